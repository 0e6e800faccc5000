"""From a folder of files to a Snapshot: read, fill in secrets, check everything, and only then build."""

import os
import time
from collections.abc import Iterable, Mapping
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

from msgspec import Struct, json
from pydantic import BaseModel, ValidationError

from gateway import settings as files
from gateway.accounting.admission import Holder
from gateway.accounting.budgets import Budget
from gateway.accounting.grants import Grant
from gateway.accounting.limits import Limits
from gateway.accounting.prices import Rates
from gateway.accounts import SECRETS, adapter_of, has_host, make_account, no_such_version, way_of
from gateway.catalog import (
    Catalog,
    EquivalentsFile,
    ExchangeFile,
    Filing,
    FilingRow,
    FilingsFile,
    ModelsFile,
    RetirementsFile,
    filings_by_vendor,
    shipped,
)
from gateway.globs import Globs
from gateway.retirement import Retirement
from gateway.routing.spaces import undeclared
from gateway.snapshot import Account, Candidate, Key, Route, Snapshot, Team, Waiver, digest, may_go, own_models
from gateway.wordlists import WordLists
from gateway.yaml_file import ConfigError, Document, Place, Problem, fill_references, load_yaml
from providers.base import Adapter, Model
from providers.load import load as load_shipped
from providers.load import load_with

Adapters = Mapping[str, Mapping[str, Adapter]]
ADDRESSES = ("base_url", "auth_url", "proxy", "url")
"""Where a name and a password may stand before an `@`."""
M = TypeVar("M", bound=BaseModel)


class Settings(Struct, frozen=True):
    """What the files say, checked."""

    gateway: files.GatewayFile
    teams: tuple[files.TeamFile, ...]
    catalog: Catalog
    adapters: Adapters
    """By vendor and surface: the shipped ones, and presets of the folder's own."""
    presets: str = ""
    """The text of the folder's own presets."""


def load(directory: Path, environment: Mapping[str, str] = os.environ) -> Settings:
    """The settings of a folder with gateway.yaml, teams/*.yaml, and perhaps catalog/ and presets.yaml. Raises ConfigError."""
    if not directory.is_dir():
        raise ConfigError([Problem(str(directory), 0, "", "there is no such folder; it should hold gateway.yaml and teams/*.yaml")])
    problems: list[Problem] = []

    def document(path: Path) -> Document | None:
        try:
            found = load_yaml(path)
        except ConfigError as exc:
            problems.extend(exc.problems)
            return None
        problems.extend(fill_references(found, environment))
        return found

    gateway = document(directory / "gateway.yaml")
    teams = [found for path in sorted((directory / "teams").glob("*.y*ml")) if (found := document(path))]
    adapters, presets = load_adapters(directory / "presets.yaml", problems)
    return read(gateway, teams, load_catalog(directory / "catalog", problems), problems, adapters, presets)


def load_adapters(own: Path, problems: list[Problem]) -> tuple[Adapters, str]:
    """The shipped adapters with those of a deployer's own presets, and the text of these."""
    try:
        return (load_with(own), own.read_text("utf-8")) if own.is_file() else (load_shipped(), "")
    except (ValueError, OSError, TypeError, LookupError, AttributeError) as exc:
        problems.append(Problem(str(own), 0, "", str(exc) or "is not of the form of presets"))
        return load_shipped(), ""


def read(
    document: Document | None,
    team_documents: list[Document],
    catalog: Catalog,
    problems: list[Problem],
    adapters: Adapters,
    presets: str = "",
) -> Settings:
    """The settings that documents with all references filled stand for. Raises ConfigError for `problems` and those it finds."""
    gateway = parse(files.GatewayFile, document, problems) if document else None
    parsed = [(parse(files.TeamFile, one, problems), one) for one in team_documents]
    teams = [(team, one) for team, one in parsed if team is not None]
    if gateway is not None and document is not None:
        problems += _Check(gateway, document, teams, catalog, adapters).problems()
    if problems or gateway is None:
        raise ConfigError(sorted(set(problems)))
    return Settings(gateway, tuple(team for team, _ in teams), catalog, adapters, presets)


def parse(model: type[M], document: Document, problems: list[Problem]) -> M | None:
    """The document's data as a model. Where it has problems: what is left without them, so that the other checks can be made too."""
    data = document.data if document.data is not None else {}
    try:
        return model.model_validate(data)
    except ValidationError as exc:
        errors = exc.errors(include_url=False, include_context=False, include_input=False)
    problems += [document.problem(tuple(error["loc"]), _plain(error["type"], error["msg"])) for error in errors]
    try:
        return model.model_validate(_without(data, {tuple(error["loc"]) for error in errors}))
    except (ValidationError, TypeError, LookupError):
        return None


def _without(data: Any, places: set[Place], at: Place = ()) -> Any:
    """The data less the values at those places."""
    if isinstance(data, dict):
        return {key: _without(value, places, (*at, key)) for key, value in data.items() if (*at, key) not in places}
    if isinstance(data, list):
        return [_without(value, places, (*at, index)) for index, value in enumerate(data) if (*at, index) not in places]
    return data


def _plain(kind: str, message: str) -> str:
    if kind == "extra_forbidden":
        return "is not a known key"
    if kind == "missing":
        return "is missing"
    return message.removeprefix("Value error, ")


def load_catalog(own: Path, problems: list[Problem]) -> Catalog:
    """The shipped catalog with a deployer's own rows over it."""
    today = date.today()
    models: dict[str, dict[str, Model]] = {}
    prices: dict[str, dict[str, Rates]] = {}
    equivalents: dict[str, Mapping[str, tuple[str, ...]]] = {}
    defaults: dict[str, Mapping[str, Any]] = {}
    common, exchange = "", dict[str, int]()
    filings: dict[str, tuple[FilingRow, Filing]] = {}
    retirements: dict[str, Retirement] = {}
    spaces: dict[str, str] = {}
    for folder in (shipped() / "catalog", own):
        for path in sorted(folder.glob("models/*.y*ml")):
            if row := _file(ModelsFile, path, problems):
                known, costs = models.setdefault(row.vendor, {}), prices.setdefault(row.vendor, {})
                for name, facts in row.models.items():
                    if facts.live(today):
                        known[name] = facts.facts(name, row.tokenizer(name))
                    else:
                        known.pop(name, None)
                    if facts.price:
                        costs[name] = facts.price.rates()
                    else:
                        costs.pop(name, None)
        for path in sorted(folder.glob("equivalents.y*ml")):
            if found := _file(EquivalentsFile, path, problems):
                equivalents |= {
                    name: {vendor: tuple(ids) for vendor, ids in entry.items() if isinstance(ids, list)}
                    for name, entry in found.models.items()
                }
                defaults |= {name: entry["defaults"] for name, entry in found.models.items() if entry.get("defaults")}
                spaces |= {name: entry["space"] for name, entry in found.models.items() if "space" in entry}
        for path in sorted(folder.glob("exchange.y*ml")):
            if rates := _file(ExchangeFile, path, problems):
                exchange = rates.in_nano() if rates.common != common else exchange | rates.in_nano()
                common = rates.common
        for path in sorted(folder.glob("filings/*.y*ml")):
            if register := _file(FilingsFile, path, problems):
                filings |= {name: (filing, filing.compiled(register.sources)) for name, filing in register.filings.items()}
        for path in sorted(folder.glob("retirements.y*ml")):
            if ends := _file(RetirementsFile, path, problems):
                retirements |= ends.compiled()
    by_vendor = filings_by_vendor(filings.values())
    return Catalog(models, equivalents, Globs(defaults.items()), prices, exchange, by_vendor, retirements, Globs(spaces.items()))


def _file(model: type[M], path: Path, problems: list[Problem]) -> M | None:
    try:
        return parse(model, load_yaml(path), problems)
    except ConfigError as exc:
        problems += exc.problems
        return None


# ---- checks across files ----


class _Check:
    """What one file alone cannot tell: names that must exist, keys that must differ, hops that somebody must be able to reach."""

    def __init__(
        self,
        gateway: files.GatewayFile,
        document: Document,
        teams: list[tuple[files.TeamFile, Document]],
        catalog: Catalog,
        adapters: Adapters,
    ) -> None:
        self.gateway = gateway
        self.document = document
        self.teams = teams
        self.catalog = catalog
        self.adapters = adapters
        self.found: list[Problem] = []

    def problems(self) -> list[Problem]:
        for name, account in self.gateway.providers.items():
            self.account(name, account)
        self.routes(self.gateway.models, self.document, ("models",))
        self.reachable(self.gateway.models, self.document, ("models",), [self.places(team) for team, _ in self.teams], every=False)
        self.keys()
        self.grants()
        for team, document in self.teams:
            self.routes(team.models, document, ("models",))
            self.reachable(team.models, document, ("models",), [self.places(team)], every=True)
            if team.policy.on_refusal != "stop":
                self.accounts_of(team.policy.on_refusal, document, ("policy", "on_refusal"))
                self.users_of(team.policy.on_refusal, document, ("policy", "on_refusal"), [self.places(team)])
            for number, key in enumerate(team.keys):
                place: Place = ("keys", number, "models")
                self.routes(key.models, document, place)
                at = key.jurisdiction or team.jurisdiction
                self.reachable(key.models, document, place, [{at: permitted(team, at)}], every=True)
        return self.found

    def say(self, document: Document, place: Place, message: str) -> None:
        self.found.append(document.problem(place, message))

    def account(self, name: str, account: files.Account) -> None:
        place: Place = ("providers", name)
        surfaces = self.adapters.get(account.vendor)
        if surfaces is None:
            return self.say(self.document, (*place, "vendor"), f"there is no vendor {account.vendor!r}; there are: {_list(self.adapters)}")
        if account.surface is not None and account.surface not in surfaces:
            return self.say(
                self.document, (*place, "surface"), f"{account.vendor} has no surface {account.surface!r}; it has: {_list(surfaces)}"
            )
        adapter = adapter_of(surfaces, account)
        if adapter is None:
            return self.say(self.document, (*place, "api_version"), no_such_version(surfaces, account))
        if account.deployments and not adapter.deployments:
            self.say(self.document, (*place, "deployments"), f"{account.vendor} has none: a model goes by its own name there")
        if account.auth is not None and account.auth not in adapter.auth:
            return self.say(self.document, (*place, "auth"), f"there is no way {account.auth!r}; there are: {_list(adapter.auth)}")
        given = self.document.data["providers"][name].get("base_url")  # a wrong one has been told already
        if not has_host(adapter) and given is None:
            self.say(self.document, (*place, "base_url"), f"is missing: an account of {account.vendor} has an address of its own")
        if way_of(adapter, account) is None:
            ways = " or ".join(" and ".join(way.secrets) for way in adapter.auth.values())
            self.say(self.document, place, f"needs {ways}")
        elif way := way_of(adapter, account):
            for number, more in enumerate(account.credentials):
                if any(getattr(more, secret) is None for secret in way.secrets):
                    self.say(self.document, (*place, "credentials", number), f"needs {' and '.join(way.secrets)}, as the account itself")
        return None

    def grants(self) -> None:
        names: set[str] = set()
        for number, grant in enumerate(self.gateway.grants):
            name = grant.name or f"{grant.account}-{number + 1}"
            if grant.account not in self.gateway.providers:
                known = _list(self.gateway.providers)
                self.say(self.document, ("grants", number, "account"), f"there is no account {grant.account!r}; there are: {known}")
            if name in names:
                self.say(self.document, ("grants", number, "name"), f"there is a grant {name!r} already")
            names.add(name)

    def keys(self) -> None:
        admin = self.gateway.admin
        seen: dict[str, str] = {key: whose for key, whose in ((admin.metrics_key, "/metrics"), (admin.key, "the admin")) if key}
        names: dict[str, str] = {}
        for team, document in self.teams:
            if team.team in names:
                self.say(document, ("team",), f"{names[team.team]} has a team of this name already")
            names[team.team] = document.file
            own: set[str] = set()
            for number, key in enumerate(team.keys):
                if key.name in own:
                    self.say(document, ("keys", number, "name"), f"the team has a key {key.name!r} already")
                own.add(key.name)
                if key.key in seen:
                    self.say(document, ("keys", number, "key"), f"is the same as that of {seen[key.key]}")
                seen[key.key] = f"key {key.name!r} of team {team.team!r}"

    def places(self, team: files.TeamFile) -> dict[str, frozenset[str]]:
        """Where a team's callers are, and the places that the data of each may go."""
        at = {team.jurisdiction, *(key.jurisdiction for key in team.keys if key.jurisdiction)}
        return {place: permitted(team, place) for place in at}

    def routes(self, routes: Mapping[str, files.Route], document: Document, place: Place) -> None:
        for name, route in routes.items():
            self.accounts_of(route.serve, document, (*place, name, "serve"))
            self.accounts_of(route.fallback, document, (*place, name, "fallback"))
            if why := undeclared(name, route, self.gateway.providers, self.catalog):
                self.say(document, (*place, name, *("space",) * (route.space is not None)), why)

    def accounts_of(self, hops: Iterable[files.Hop], document: Document, place: Place) -> None:
        for number, hop in enumerate(hops):
            account = hop.use.partition("/")[0]
            if account not in self.gateway.providers:
                known = _list(self.gateway.providers)
                self.say(document, (*place, number, "use"), f"there is no account {account!r}; there are: {known}")

    def reachable(
        self, routes: Mapping[str, files.Route], document: Document, place: Place, callers: list[dict[str, frozenset[str]]], *, every: bool
    ) -> None:
        """Each hop is of use to some caller, and with `every`, each caller has some hop."""
        if not callers:
            return
        for name, route in routes.items():
            allowed: dict[str, bool] = {at: False for some in callers for at in some}
            users = self.users_of(route.serve, document, (*place, name, "serve"), callers)
            users |= self.users_of(route.fallback, document, (*place, name, "fallback"), callers)
            allowed |= dict.fromkeys(users, True)
            if every and not route.reject:
                for at in (at for at, some in allowed.items() if not some):
                    self.say(
                        document, (*place, name), f"callers in {at} have no permitted hop: add one, or another place to policy.allow.{at}"
                    )

    def users_of(self, hops: Iterable[files.Hop], document: Document, place: Place, callers: list[dict[str, frozenset[str]]]) -> set[str]:
        """Places whose callers some of the hops are of use to. Each has to be of use to somebody."""
        found: set[str] = set()
        for number, hop in enumerate(hops):
            account = self.gateway.providers.get(hop.use.partition("/")[0])
            if account is None:
                continue
            users = {at for some in callers for at, may in some.items() if account.jurisdiction in may and _meant(hop.when, at)}
            if not users:
                why = f"no caller can reach it: policy.allow lets no caller's data go to {account.jurisdiction}"
                self.say(document, (*place, number), why)
            found |= users
        return found


def _meant(when: files.When | None, place: str) -> bool:
    if when is None or when.jurisdiction is None:
        return True
    return place in ([when.jurisdiction] if isinstance(when.jurisdiction, str) else when.jurisdiction)


def _list(names: Iterable[str]) -> str:
    return ", ".join(names)


def permitted(team: files.TeamFile, place: str) -> frozenset[str]:
    """Places that the data of a team's callers in `place` may go."""
    return may_go(team.policy.allow, place)


# ---- the snapshot ----


def build(settings: Settings) -> Snapshot:
    """The look-ups that the service runs on, of settings that have been checked."""
    gateway, catalog = settings.gateway, settings.catalog
    accounts = {name: make_account(name, account, settings.adapters[account.vendor]) for name, account in gateway.providers.items()}
    shared = (_table(gateway.models, "gateway.yaml"), _equivalents(accounts, catalog), _own_names(accounts, catalog))
    words = WordLists(gateway.moderation.lists)
    teams: dict[str, Team] = {}
    keys: dict[bytes, Key] = {}
    for team in settings.teams:
        teams[team.team] = made = _team(team, shared, _words(gateway, team) if team.moderation.lists else words)
        for key in team.keys:
            own = _table(key.models, f"key {key.name} of team {team.team}")
            limits = _holder(f"key {team.team}/{key.name}", key.limits, key.budget)
            keys[digest(key.key)] = made.key(key.name, key.jurisdiction or "", (own,) if key.models else (), limits)
    return Snapshot(
        revision(settings),
        accounts,
        teams,
        keys,
        catalog,
        gateway.server.max_body,
        tuple(_grant(number, grant) for number, grant in enumerate(gateway.grants, 1)),
        gateway.server.body_timeout,
        gateway.server.max_in_flight,
        2 * gateway.server.max_in_flight if gateway.server.queue is None else gateway.server.queue,
        gateway.server.queue_timeout,
        gateway.defaults.timeouts,
        gateway.defaults.retry,
        gateway.defaults.breaker,
        time.time(),
    )


def _team(team: files.TeamFile, shared: tuple[Globs[Route], ...], words: WordLists) -> Team:
    policy = team.policy
    return Team(
        team.team,
        team.jurisdiction,
        None if policy.allow is None else {place: frozenset(may) for place, may in policy.allow.items()},
        policy.fidelity == "strict",
        (_table(team.models, f"team {team.team}"), *shared),
        policy.filed_models_only,
        tuple(Waiver(one.model, one.until, one.reason) for one in policy.exceptions),
        () if policy.on_refusal == "stop" else tuple(map(_candidate, policy.on_refusal)),
        policy.show_route,
        _holder(f"team {team.team}", team.limits, team.budget),
        _holder(f"user {team.team}", team.per_user.limits, team.per_user.budget),
        team.usage == "required",
        words,
    )


def _words(gateway: files.GatewayFile, team: files.TeamFile) -> WordLists:
    """A team's own with those of all."""
    every, own = gateway.moderation.lists, team.moderation.lists
    return WordLists({category: [*every.get(category, ()), *own.get(category, ())] for category in (*every, *own)})


def _holder(scope: str, limits: files.Limits, budgets: Iterable[files.Budget]) -> Holder:
    kept = (Budget(one.amount.amount, one.amount.unit, one.per, tuple(sorted(one.warn)), one.zone) for one in budgets)
    return Holder(scope, Limits(limits.rpm, limits.tpm, limits.concurrent), tuple(kept))


def _grant(number: int, grant: files.Grant) -> Grant:
    name = grant.name or f"{grant.account}-{number}"
    return Grant(name, grant.account, grant.tokens, grant.expires.timestamp(), tuple(grant.models), grant.kinds, grant.reserve)


def revision(settings: Settings) -> str:
    """A digest of all that the files say. Values are in it, not their text: the same settings written otherwise are the same."""
    files_say = [settings.gateway.model_dump(mode="json"), *(team.model_dump(mode="json") for team in settings.teams)]
    known = settings.catalog
    catalog = [known.models, known.equivalents, known.defaults.values(), known.prices, known.exchange, known.filings]
    catalog += [known.retirements, known.spaces.values()]
    return sha256(json.encode([files_say, catalog, settings.presets], order="deterministic")).hexdigest()[:12]


def _table(routes: Mapping[str, files.Route], origin: str) -> Globs[Route]:
    return Globs((name, _route(name, route, origin)) for name, route in routes.items())


def _route(name: str, route: files.Route, origin: str) -> Route:
    return Route(
        name,
        f"{origin}: models.{name}",
        tuple(map(_candidate, route.serve)),
        tuple(map(_candidate, route.fallback)),
        route.pick,
        route.sticky,
        route.timeouts,
        route.retry,
        route.reject or "",
        route.defaults,
        route.stream is not None and route.stream.on_cut == "continue",
        route.on_disconnect == "drain",
        route.hedge,
        route.space or "",
    )


def _candidate(hop: files.Hop) -> Candidate:
    account, _, model = hop.use.partition("/")
    return Candidate(account, model, hop.weight, hop.when, hop.prefer)


def _equivalents(accounts: Mapping[str, Account], catalog: Catalog) -> Globs[Route]:
    """OpenAI's names, served by whatever accounts there are in the order of gateway.yaml: by the model itself where an account has it, by
    what stands in for it elsewhere."""
    entries = Globs(catalog.equivalents.items())
    models = {account.name: own_models(account, catalog) for account in accounts.values()}
    names = dict.fromkeys([*catalog.equivalents, *(name for own in models.values() for name in own)])
    routes: list[tuple[str, Route]] = []
    for name in names:
        of_vendors = catalog.equivalents.get(name) or entries.find(name)
        if of_vendors is None:
            continue
        serve = tuple(
            Candidate(account.name, model, group=account.name)
            for account in accounts.values()
            if not account.off
            for model in ((name,) if name in models[account.name] else of_vendors.get(account.vendor, ()))
        )
        if serve:
            space = catalog.spaces.find(name) or ""
            routes.append((name, Route(name, f"catalog/equivalents: {name}", serve, pick="ordered", space=space)))
    return Globs(routes)


def _own_names(accounts: Mapping[str, Account], catalog: Catalog) -> Globs[Route]:
    """The vendors' own model ids, each served by the accounts that have it."""
    serve: dict[str, list[Candidate]] = {}
    for account in accounts.values():
        for name in own_models(account, catalog):
            serve.setdefault(name, []).append(Candidate(account.name, name))
    return Globs((name, Route(name, f"catalog/models: {name}", tuple(hops), pick="ordered")) for name, hops in serve.items())


def shown(settings: Settings) -> dict[str, Any]:
    """The effective settings for people to read, with secrets masked."""
    gateway = settings.gateway.model_dump(mode="json", by_alias=True, exclude_none=True)
    teams = [team.model_dump(mode="json", by_alias=True, exclude_none=True) for team in settings.teams]
    return {"gateway": _masked(gateway), "teams": _masked(teams)}


def _masked(value: Any, name: str = "") -> Any:
    if isinstance(value, dict):
        return {key: _masked(item, key if name != "headers" else "headers") for key, item in value.items()}
    if isinstance(value, list):
        return [_masked(item) for item in value]
    if isinstance(value, str) and value and name in (*SECRETS, "key", "headers"):
        return value[:3] + "…" if len(value) > 12 else "…"
    if isinstance(value, str) and name in ADDRESSES and "@" in value:
        scheme, _, rest = value.partition("://")
        return f"{scheme}://…@{rest.rpartition('@')[2]}"
    return value
