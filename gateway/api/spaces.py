"""Which vector space each team has begun in under a name. What is served under that name stays in it, or is refused: an index with vectors
of two spaces finds nothing, and nobody is told."""

import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from urllib.parse import quote

from msgspec import Struct

from gateway.objects import Object, Objects, Taken
from gateway.routing.plan import resolve
from gateway.snapshot import Key, Snapshot
from gateway.store.errors import StoreError

log = logging.getLogger(__name__)

KIND = "space"
EVERY = 5.0
"""Seconds after which this process looks again at what the others have written."""
MOST = 10_000
"""Names that this process remembers; of more, those that have not been asked for the longest are looked up anew."""


class Known(Struct):
    """What this process knows of one team's name."""

    space: str
    """"" where nothing has begun."""
    until: float
    """When it is to be looked at again."""
    stored: bool


class Spaces:
    """Kept as objects of the store, and here for some seconds. `objects`: where they are kept; None: nowhere, and this process alone
    knows."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._known: OrderedDict[tuple[str, str], Known] = OrderedDict()
        self._now = now

    async def begun(self, objects: Objects | None, team: str, name: str) -> str:
        """The space that the team has begun in under that name; "" if it has not."""
        known = self._known.get((team, name))
        now = self._now()
        if objects is None or (known is not None and now < known.until):
            return known.space if known else ""
        if known is not None:
            known.until = now + EVERY  # whoever comes meanwhile goes by what is known
        try:
            found = await objects.get(KIND, team, id_of(team, name))
        except StoreError as exc:
            log.warning("the space of %s's %s cannot be looked up: %s", team, name, exc)
            return known.space if known else ""
        if found is not None:
            return self._remember(team, name, str(found.body["space"]), stored=True)
        if known is not None and known.space and not known.stored:  # the database was lost when it began
            return await self.begin(objects, team, name, known.space)
        return self._remember(team, name, "", stored=True)

    async def begin(self, objects: Objects | None, team: str, name: str, space: str) -> str:
        """The space that holds from now on: this one, unless another has been faster."""
        known = self._known.get((team, name))
        if known is not None and known.space and (known.stored or objects is None):
            return known.space
        if objects is None:
            return self._remember(team, name, space, stored=False)
        begun = Object(id_of(team, name), KIND, team, {"name": name, "space": space}, time.time())
        try:
            try:
                await objects.create(begun)
            except Taken:
                found = await objects.get(KIND, team, begun.id)
                space = str(found.body["space"]) if found else space
        except StoreError as exc:
            log.warning("the space of %s's %s cannot be kept: %s", team, name, exc)
            return self._remember(team, name, space, stored=False)
        return self._remember(team, name, space, stored=True)

    def forget(self, team: str, name: str) -> None:
        """It has been reset: whatever is served next begins anew."""
        self._known.pop((team, name), None)

    def _remember(self, team: str, name: str, space: str, *, stored: bool) -> str:
        self._known[team, name] = Known(space, self._now() + EVERY, stored)
        self._known.move_to_end((team, name))
        if len(self._known) > MOST:
            self._known.popitem(last=False)
        return space


def under(name: str, key: Key, snapshot: Snapshot) -> str:
    """What a name's space is remembered under: a key with a route of its own for it is on its own, as in `NAME@KEY`."""
    resolved = resolve(name, "embeddings", key, snapshot)
    own = resolved is not None and resolved.route.origin.startswith(f"key {key.name} of team ")
    return f"{name}@{key.name}" if own else name


def id_of(team: str, name: str) -> str:
    """Of the object that a team's space is kept as."""
    return f"{team}/{quote(name, safe='')}"


def why_changed(name: str, team: str, space: str, served: str) -> str:
    """What is told where nothing serves the name in its space any more. `name`: as it is remembered."""
    return (
        f"Vectors of `{name}` have been made in the space `{space}` for team `{team}`, and nothing serves it in that space now ({served}). "
        "Vectors of two spaces do not compare, so an index of both would find nothing. If it is the same model elsewhere, say so by "
        f"`space: {space}` in its route; else build the index anew, and begin with `banjia spaces reset {team} {name}`."
    )
