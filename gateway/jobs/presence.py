"""Which processes are alive: each holds a lock that goes with it, however it ends. Whoever gets a lock knows that its owner has gone."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import blake2b
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from gateway.store.engine import Store
from gateway.store.errors import StoreError
from gateway.store.lock import locked

log = logging.getLogger(__name__)

AGAIN = 1.0
"""Seconds between attempts to get the lock back after the database was lost."""


class Presence:
    """`name`: of this process, new for each. With SQLite the lock is on a file in `folder`, with PostgreSQL on a session."""

    def __init__(self, store: Store, folder: Path, name: str) -> None:
        self._store = store
        self._folder = folder
        self._name = name
        self._descriptor = -1
        self._connection: Any = None
        self._keeper: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Raises StoreError."""
        if self._store.location.dialect == "sqlite":
            self._descriptor = os.open(self._path(self._name), os.O_RDWR | os.O_CREAT, 0o600)
            if not locked(self._descriptor):
                raise RuntimeError("the lock of a new name is held")
            return
        lost = asyncio.Event()
        await self._hold(lost)
        self._keeper = asyncio.create_task(self._keep(lost))

    async def close(self) -> None:
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
            self._keeper = None
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._path(self._name).unlink(missing_ok=True)
            self._descriptor = -1

    @asynccontextmanager
    async def gone(self, name: str) -> AsyncIterator[bool]:
        """Whether the process of that name has ended. If so, nobody else is told so while the context is open. Raises StoreError."""
        if name == self._name:
            yield False
        elif self._store.location.dialect == "sqlite":
            descriptor = os.open(self._path(name), os.O_RDWR | os.O_CREAT, 0o600)
            try:
                ended = locked(descriptor)
                yield ended
                if ended:
                    self._path(name).unlink(missing_ok=True)
            finally:
                os.close(descriptor)
        else:
            async with self._store.writing() as connection:
                yield bool((await connection.execute(select(func.pg_try_advisory_xact_lock(number_of(name))))).scalar())

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.alive"

    async def _hold(self, lost: asyncio.Event) -> None:
        from gateway.store.postgresql import connect

        connection = await connect(self._store.location)
        connection.add_termination_listener(lambda _: lost.set())
        await connection.execute("SELECT pg_advisory_lock($1)", number_of(self._name))
        self._connection = connection

    async def _keep(self, lost: asyncio.Event) -> None:
        """With the session the lock has gone, while we have not."""
        while True:
            await lost.wait()
            lost.clear()
            try:
                await self._hold(lost)
            except (StoreError, OSError) as error:
                log.debug("the database is not there to hold a lock: %s", error)
                await asyncio.sleep(AGAIN)
                lost.set()
            except Exception as error:  # a driver has many names for a session that breaks off
                log.debug("the lock of this process was not to be had: %r", error)
                await asyncio.sleep(AGAIN)
                lost.set()


def number_of(name: str) -> int:
    """A name as PostgreSQL's locks have them: 64 bits."""
    return int.from_bytes(blake2b(name.encode(), digest_size=8, person=b"banjia.jobs").digest(), "big", signed=True)
