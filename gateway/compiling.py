"""From settings that have been checked to the Snapshot that the service runs on."""

import time
from collections.abc import Iterable, Mapping
from hashlib import sha256

from msgspec import json

from gateway import settings as files
from gateway.accounting.admission import Holder
from gateway.accounting.budgets import Budget
from gateway.accounting.grants import Grant
from gateway.accounting.limits import Limits
from gateway.accounts import make_account
from gateway.catalog import Catalog
from gateway.config import Settings
from gateway.globs import Globs
from gateway.snapshot import Account, Candidate, Keeping, Key, Lifetimes, Route, Snapshot, Team, Waiver, digest, own_models
from gateway.wordlists import WordLists


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
        Lifetimes(gateway.responses.keep, gateway.responses.keep_conversations),
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
        Keeping(team.responses.store, team.responses.background),
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
