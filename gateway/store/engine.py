"""The store: opened once, in the event loop that uses it."""

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Protocol

from sqlalchemy import select, true
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.accounting.record import UsageRecord
from gateway.store.connect import location_of, make_engine, reading, writing
from gateway.store.errors import StoreError, StoreLost, StoreNewer, translated
from gateway.store.grouped import Grouped
from gateway.store.journal import Journal
from gateway.store.migrate import migrate
from gateway.store.rollup import LATE, insert_late
from gateway.store.sqlite import SqliteUsage
from gateway.store.writer import PATIENCE, SPACING, Writer

log = logging.getLogger(__name__)


class Inserting(Protocol):
    """What gets records into one kind of database."""

    async def insert(self, records: Sequence[UsageRecord]) -> None: ...

    def forget(self) -> None: ...

    async def close(self) -> None: ...


class Store:
    """A database, and the writer of usage.

    `writer` takes usage records; `reading` and `writing` are transactions for everything else, as are the functions of usage, rollup, keys,
    audit and counters, which take a Store.
    """

    def __init__(
        self,
        url: str,
        journal: Path | None = None,
        *,
        now: Callable[[], float] = time.time,
        patience: float = PATIENCE,
        spacing: float = SPACING,
    ) -> None:
        """`journal`: the folder where usage waits while the database is lost; beside the file of SQLite, or in `var`, if not told. Raises
        StoreError for a URL that is none."""
        self.location = location_of(url)
        self.engine = make_engine(self.location)
        self.now = now
        self._usage: Inserting
        if self.location.dialect == "sqlite":
            self._usage = SqliteUsage(self.location)
            folder = self.location.path.with_name(self.location.path.name + ".pending")
        else:
            from gateway.store.postgresql import PostgresqlUsage  # a driver of 0.1 s that SQLite does not need

            self._usage = PostgresqlUsage(self.location)
            folder = Path("var/usage.pending")
        self.grouped = Grouped(self)
        """What writes objects."""
        self.writer = Writer(self, Journal(journal or folder), patience=patience, spacing=spacing)

    async def open(self) -> None:
        """Migrates, if nobody has. A database that cannot be reached is waited for in the background, with usage going to the journal.
        Raises StoreNewer for one that a newer version has migrated."""
        lost = ""
        try:
            await self.prepare()
        except StoreNewer:
            await self._close()
            raise
        except StoreLost as error:
            log.warning("the database %s does not answer: %s", self.location, error)
            lost = str(error)
        await self.writer.open(lost)

    async def close(self) -> None:
        await self.writer.close()
        await self.grouped.close()
        await self._close()

    async def _close(self) -> None:
        await self._usage.close()
        await self.engine.dispose()

    @property
    def degraded(self) -> str:
        """Why usage is not written to the database at the moment; empty if it is. For /readyz, and for teams that are not served then."""
        return self.writer.degraded

    async def ping(self) -> float:
        """Seconds that the database takes for an answer. Raises StoreLost."""
        began = time.perf_counter()
        async with self.reading() as connection:
            await connection.execute(select(true()))
        return time.perf_counter() - began

    def reading(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """A transaction in which everything is as it was at its first statement. Raises StoreError."""
        return reading(self.engine)

    def writing(self, lock: int = 0) -> AbstractAsyncContextManager[AsyncConnection]:
        """A transaction that is alone among those of the same lock, one of gateway.store.connect. Raises StoreError."""
        return writing(self.engine, lock)

    # ---- what the writer asks for ----

    async def prepare(self) -> None:
        with translated():
            if self.location.dialect == "sqlite":
                self.location.path.parent.mkdir(parents=True, exist_ok=True)
            await self.engine.dispose()  # of connections to what may no longer be there
            if await migrate(self.engine):
                log.info("the schema of %s is up to date now", self.location)

    async def insert(self, records: Sequence[UsageRecord]) -> None:
        limit = self.now() - LATE
        if min(record.time for record in records) < limit:
            await insert_late(self.engine, [record for record in records if record.time < limit])
            records = [record for record in records if record.time >= limit]
        if records:
            await self._usage.insert(records)

    def forget(self) -> None:
        self._usage.forget()


__all__ = ["Store", "StoreError", "StoreLost", "StoreNewer"]
