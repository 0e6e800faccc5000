"""Objects of the API in the table `objects`."""

import time
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, delete, func, or_, select, update

from gateway.objects import Object, Page
from gateway.store.tables import objects
from providers.base import Json, decode, encode

if TYPE_CHECKING:
    from gateway.store.engine import Store

AT_ONCE = 500
"""Rows that are deleted in one transaction."""


class StoredObjects:
    """Objects in a store."""

    def __init__(self, store: "Store") -> None:
        self._store = store
        self._last = 0

    async def create(self, *made: Object) -> list[Object]:
        placed = [Object(**{**_fields(one), "position": self._position()}) for one in made]
        await self._store.grouped.create([{**_fields(one), "body": encode(one.body), "revision": 0} for one in placed])
        return placed

    def _position(self) -> int:
        """Microseconds, and never twice in a process; of two processes within one the order is anybody's."""
        self._last = max(self._last + 1, time.time_ns() // 1000)
        return self._last

    async def get(self, kind: str, team: str, id: str) -> Object | None:
        if not fit(id):
            return None
        async with self._store.reading() as connection:
            wanted = objects.c.kind == kind, objects.c.id == id, objects.c.team == team, self._alive()
            found = (await connection.execute(select(objects).where(*wanted))).mappings().first()
        return _object(found) if found else None

    async def change(self, old: Object, body: Json, *, tag: str | None = None, until: float | None = None) -> Object | None:
        new: dict[str, Any] = {"body": body, "revision": old.revision + 1}
        if tag is not None:
            new["tag"] = tag
        if until is not None:
            new["until"] = until
        ours = objects.c.kind == old.kind, objects.c.id == old.id, objects.c.team == old.team, objects.c.revision == old.revision
        changing = update(objects).where(*ours, self._alive()).values({**new, "body": encode(body)})
        return Object(**{**_fields(old), **new}) if await self._store.grouped.change((old.kind, old.id), changing) else None

    async def delete(self, kind: str, team: str, id: str) -> bool:
        if not fit(id):
            return False
        async with self._store.writing() as connection:
            done = await connection.execute(delete(objects).where(objects.c.kind == kind, objects.c.id == id, objects.c.team == team))
            if done.rowcount:
                await connection.execute(delete(objects).where(objects.c.parent == id, objects.c.parent != "", objects.c.team == team))
        return bool(done.rowcount)

    async def list(
        self, kind: str, team: str | None, *, parent: str | None = None, tag: str | None = None, after: str = "", before: str = "",
        limit: int = 20, newest_first: bool = True,
    ) -> Page:  # fmt: skip
        if not fit(after) or not fit(before):
            return Page(())
        place = objects.c.position
        wanted = [objects.c.kind == kind, self._alive()]
        wanted += [objects.c[name] == value for name, value in (("team", team), ("parent", parent), ("tag", tag)) if value is not None]
        statement = select(objects).order_by(place.desc() if newest_first else place, objects.c.id)
        async with self._store.reading() as connection:
            for edge, later in ((after, not newest_first), (before, newest_first)):
                if edge:
                    at = (await connection.execute(select(place).where(*wanted, objects.c.id == edge))).scalar()
                    if at is None:
                        return Page(())
                    statement = statement.where(place > at if later else place < at)
            one_more = statement.where(*wanted).limit(limit + 1)
            found = (await connection.execute(one_more)).mappings().all()
        return Page([_object(one) for one in found[:limit]], len(found) > limit)

    async def count(self, kind: str, team: str, *, up_to: int | None = None) -> int:
        wanted = [objects.c.kind == kind, objects.c.team == team, self._alive()]
        if up_to is not None:
            wanted.append(objects.c.position <= up_to)
        async with self._store.reading() as connection:
            return (await connection.execute(select(func.count()).select_from(objects).where(*wanted))).scalar() or 0

    def _alive(self) -> ColumnElement[bool]:
        return or_(objects.c.until.is_(None), objects.c.until > self._store.now())


def fit(id: str) -> bool:
    """Whether an id that a client says can be asked for: PostgreSQL takes no NUL in a text, and neither database half a character."""
    return "\0" not in id and id.isascii()


def _fields(one: Object) -> dict[str, Any]:
    return {name: getattr(one, name) for name in Object.__struct_fields__}


def _object(row: Any) -> Object:
    return Object(**{**row, "body": decode(row["body"])})


async def forget(store: "Store") -> int:
    """Deletes those whose time is over, with what goes with them; how many of the former. Raises StoreError."""
    now, deleted = store.now(), 0
    some = select(objects.c.kind, objects.c.id).where(objects.c.until <= now).limit(AT_ONCE)
    while True:
        async with store.writing() as connection:
            found = (await connection.execute(some)).all()
            for kind, id in found:
                await connection.execute(delete(objects).where(objects.c.kind == kind, objects.c.id == id, objects.c.until <= now))
                await connection.execute(delete(objects).where(objects.c.parent == id, objects.c.parent != ""))
        deleted += len(found)
        if len(found) < AT_ONCE:
            return deleted
