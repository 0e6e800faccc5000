"""What teams make by the API and ask for again by its id: files, batches, responses, conversations, jobs. What an endpoint needs to know of
where they are kept."""

from collections.abc import Callable, Sequence
from typing import Protocol

from msgspec import Struct

from providers.base import Json


class Object(Struct, frozen=True):
    """One of them. `id` is known by its kind; nobody but its team finds it."""

    id: str
    kind: str
    team: str
    body: Json
    created: float
    """Unix seconds."""
    parent: str = ""
    """The id of another that it goes with when that is deleted."""
    tag: str = ""
    """What lists may be narrowed by."""
    until: float | None = None
    """From when it is as if it were not there."""
    position: int = 0
    """Later ones have higher ones. Given by the store."""
    revision: int = 0
    """Grows with each change. Given by the store."""


class Page(Struct, frozen=True):
    """A part of a list."""

    objects: Sequence[Object]
    more: bool = False


class Objects(Protocol):
    """All of these raise StoreError."""

    async def create(self, *objects: Object) -> list[Object]:
        """All or none, in this order. Raises Taken for an id that is there already."""

    async def get(self, kind: str, team: str, id: str) -> Object | None:
        """None too for another team's, and for one whose time is over."""

    async def change(self, old: Object, body: Json, *, tag: str | None = None, until: float | None = None) -> Object | None:
        """Puts `body` in its place, if it is still as `old`; None if it is not. Without a `tag` or `until` those stay."""

    async def delete(self, kind: str, team: str, id: str) -> bool:
        """With all whose parent it is; whether it was there."""

    async def list(
        self, kind: str, team: str | None, *, parent: str | None = None, tag: str | None = None, after: str = "", before: str = "",
        limit: int = 20, newest_first: bool = True,
    ) -> Page:  # fmt: skip
        """Those of a team, or with None of all, that come after one and before another in that order. An `after` or `before` that is not
        there is an empty page."""

    async def count(self, kind: str, team: str, *, up_to: int | None = None) -> int:
        """How many a team has; with `up_to`, of no higher position."""


class Taken(Exception):
    """An object of that kind and id is there already."""


async def changed(objects: Objects, kind: str, team: str, id: str, change: Callable[[Json], Json | None]) -> Object | None:
    """The object with what `change` makes of its body, done again where another was faster; as it is where that is None. None if it is not
    there. Raises StoreError."""
    while (old := await objects.get(kind, team, id)) is not None:
        body = change(old.body)
        if body is None:
            return old
        if (new := await objects.change(old, body)) is not None:
            return new
    return None
