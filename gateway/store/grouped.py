"""Writes of objects by many callers, in one transaction for all that wait together.

A transaction costs the disk the same for one object as for a hundred, and SQLite has one at a time: so what comes while one is being
written goes into the next. A caller that is alone waits for nobody.
"""

import asyncio
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from sqlalchemy import Update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.objects import Taken
from gateway.store.errors import StoreError, Unfit
from gateway.store.sums import inserting
from gateway.store.tables import objects

if TYPE_CHECKING:
    from gateway.store.engine import Store

MOST_TOGETHER = 256
"""Writes in one transaction."""
MOST_BYTES = 32 << 20
"""Bytes in one transaction, after which no further write goes into it."""
Row = dict[str, Any]
Name = tuple[str, str]
"""The kind and the id of an object."""


class Write(Struct, eq=False):
    """Rows that are made, all or none; or one that is changed."""

    done: asyncio.Future[bool]
    """Whether there was one to be changed."""
    names: tuple[Name, ...]
    rows: Sequence[Row] = ()
    change: Update | None = None

    def fails(self, error: Exception) -> None:
        if not self.done.done():
            self.done.set_exception(error)
            self.done.exception()  # heard, also where the caller is cancelled at this moment


class There(Exception):
    """Some of the names are there already."""

    def __init__(self, names: set[Name]) -> None:
        super().__init__()
        self.names = names


class Grouped:
    """What is written is durable when its caller goes on. Of the writes of one transaction none knows of another: each is as if it were
    alone."""

    def __init__(self, store: "Store") -> None:
        self._store = store
        self._coming: list[Write] = []
        self._writing: asyncio.Task[None] | None = None

    async def create(self, rows: Sequence[Row]) -> None:
        """Raises Taken, StoreError."""
        names = tuple((row["kind"], row["id"]) for row in rows)
        if len({*names}) < len(names):
            raise Taken(next(id for number, (kind, id) in enumerate(names) if (kind, id) in names[:number]))
        if rows:
            await self._written(names, rows=rows)

    async def change(self, name: Name, change: Update) -> bool:
        """Raises StoreError."""
        return await self._written((name,), change=change)

    async def close(self) -> None:
        """Writes what has come."""
        if self._writing is not None:
            await asyncio.wait((self._writing,))

    async def _written(self, names: tuple[Name, ...], *, rows: Sequence[Row] = (), change: Update | None = None) -> bool:
        loop = asyncio.get_running_loop()
        write = Write(loop.create_future(), names, rows, change)
        self._coming.append(write)
        if self._writing is None or self._writing.done():
            self._writing = loop.create_task(self._write())
        return await write.done

    async def _write(self) -> None:
        """Until nothing waits."""
        while self._coming:
            some = self._next()
            try:
                await self._together(some)
            except Exception as error:  # each of the callers has it
                for write in some:
                    write.fails(error)

    def _next(self) -> list[Write]:
        """What goes into the next transaction: of an object no more than one write, so that it is told apart what becomes of each."""
        some: list[Write] = []
        later: list[Write] = []
        taken: set[Name] = set()
        size = 0
        for write in self._coming:
            if write.done.done():  # its caller was cancelled before it began
                continue
            if len(some) == MOST_TOGETHER or size > MOST_BYTES or not taken.isdisjoint(write.names):
                later.append(write)
            else:
                some.append(write)
                size += sum(len(row["body"]) for row in write.rows)
            taken.update(write.names)
        self._coming = later
        return some

    async def _together(self, some: list[Write]) -> None:
        """Raises StoreError, by which all of them have failed."""
        while some:
            try:
                async with self._store.writing() as connection:
                    await _create(connection, some)
                    changed = [await _changed(connection, write) for write in some]
                return _tell(some, changed)
            except There as there:
                for write in some:
                    if (name := next(filter(there.names.__contains__, write.names), None)) is not None and write.rows:
                        write.fails(Taken(name[1]))
                some = [write for write in some if not write.done.done()]
            except Unfit:
                if len(some) == 1:
                    raise
                return await self._one_by_one(some)

    async def _one_by_one(self, some: list[Write]) -> None:
        """The database refuses one of them for what it is: the others are not to be lost by it."""
        for write in some:
            try:
                await self._together([write])
            except StoreError as error:
                write.fails(error)


async def _create(connection: AsyncConnection, some: list[Write]) -> None:
    """Makes all rows. Raises There."""
    rows = sorted(_rows(some), key=lambda row: (row["kind"], row["id"]))  # in one order everywhere: two replicas do not block each other
    if not rows:
        return
    statement = inserting(connection.dialect.name, objects).on_conflict_do_nothing(index_elements=["kind", "id"])
    made = (await connection.execute(statement.returning(objects.c.kind, objects.c.id), rows)).all()
    if len(made) < len(rows):
        raise There({(row["kind"], row["id"]) for row in rows} - {(kind, id) for kind, id in made})


def _rows(some: list[Write]) -> Iterator[Row]:
    return (row for write in some for row in write.rows)


async def _changed(connection: AsyncConnection, write: Write) -> bool:
    return write.change is not None and bool((await connection.execute(write.change)).rowcount)


def _tell(some: list[Write], changed: list[bool]) -> None:
    for write, one in zip(some, changed, strict=True):
        if not write.done.done():
            write.done.set_result(one)
