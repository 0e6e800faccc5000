"""Names of models that teams have had tuned: which account and model each stands for. Every replica knows them a moment after."""

import asyncio
from time import monotonic

from msgspec import Struct
from msgspec.structs import replace

from gateway.objects import Object, Objects
from gateway.refreshed import EVERY, Refreshed
from gateway.routing.plan import Plan, Resolved, resolve_route
from gateway.snapshot import Candidate, Key, Route, Snapshot

PREFIX = "ft:"
WHOLE = 10.0
"""Seconds after which all are read again, so that those that were deleted are forgotten."""
PAGE = 100


class Name(Struct, frozen=True):
    account: str
    model: str
    """The vendor's name."""
    base: str
    """The model that was tuned, whose facts are its own."""
    asked: str = ""
    """The name it was tuned under, whose defaults are its own."""


class Tuned(Refreshed):
    """The names, kept in memory: no request waits for the database."""

    def __init__(self, objects: Objects, *, every: float = EVERY) -> None:
        super().__init__("names of tuned models", every)
        self._objects = objects
        self._names: dict[tuple[str, str], Name] = {}
        self._last = ""
        self._read = float("-inf")
        self._reading = asyncio.Lock()

    def of(self, team: str) -> list[str]:
        return [name for owner, name in self._names if owner == team]

    def resolve(self, model: str, endpoint: str, key: Key, snapshot: Snapshot) -> Resolved | None:
        """What one of the names of the key's team stands for: a hop like any other, under the same constraints; None for another name."""
        name = self._names.get((key.team, model))
        if name is None or name.account not in snapshot.accounts:
            return None
        account = snapshot.accounts[name.account]
        defaults = snapshot.catalog.defaults.find(name.asked) or {}
        route = Route(model, "tuned by the team", serve=(Candidate(account.name, name.model),), pick="ordered", defaults=defaults)
        found = resolve_route(route, model, endpoint, key, snapshot)
        if not found.options:
            return found
        (option,) = found.options
        facts = replace(snapshot.catalog.facts(account.vendor, name.base), id=name.model)
        hop = replace(option.hop, target=replace(option.hop.target, model=facts))
        simple = None if found.simple is None else Plan((hop,), found.rejected, route.origin, on_refusal=found.simple.on_refusal)
        return replace(found, options=(replace(option, hop=hop),), simple=simple)

    def forget(self, team: str, name: str) -> None:
        """It has been deleted; other replicas learn of it when they read all again."""
        self._names.pop((team, name), None)
        self._read = float("-inf")  # the last that was read may be the one

    async def refresh(self) -> None:
        """Raises StoreError."""
        async with self._reading:
            if monotonic() - self._read < WHOLE:
                await self._later(self._names)
                return
            names: dict[tuple[str, str], Name] = {}
            self._last = ""
            await self._later(names)
            self._names, self._read = names, monotonic()

    async def _later(self, names: dict[tuple[str, str], Name]) -> None:
        """Reads those that were made after the last that is known."""
        while True:
            page = await self._objects.list("tuned", None, after=self._last, limit=PAGE, newest_first=False)
            for one in page.objects:
                names[one.team, one.id] = told(one)
                self._last = one.id
            if not page.more:
                return


def told(one: Object) -> Name:
    return Name(one.body["account"], one.body["model"], one.body["base"], one.body.get("asked", ""))
