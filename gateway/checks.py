"""What one file of the config alone cannot tell: names that must exist, keys that must differ, hops that somebody can reach."""

from collections.abc import Iterable, Mapping

from gateway import settings as files
from gateway.accounts import adapter_of, has_host, no_such_version, way_of
from gateway.catalog import Catalog
from gateway.routing.spaces import undeclared
from gateway.snapshot import may_go
from gateway.yaml_file import Document, Place, Problem
from providers.base import Adapter

Adapters = Mapping[str, Mapping[str, Adapter]]
"""By vendor and surface."""


class Check:
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
