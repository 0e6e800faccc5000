"""From a storage URL to an engine, and the transactions that both databases understand alike."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

from msgspec import Struct
from sqlalchemy import URL, event, func, select
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from gateway.store.errors import StoreError, translated

POOL_WITHIN = 5.0
"""Seconds for which a caller waits for a free connection."""
KEYS_LOCK, AUDIT_LOCK, ROLLUP_LOCK, MIGRATION_LOCK = (0x62616E6A << 8 | number for number in range(1, 5))
"""What only one replica does at a time. Advisory locks of PostgreSQL have a number for a name, which others in the database should not
use."""


class Location(Struct, frozen=True):
    """Where a store is."""

    dialect: Literal["sqlite", "postgresql"]
    url: str
    path: Path = Path()
    """Of the file, for SQLite."""

    def __str__(self) -> str:
        """Without what it takes to get in."""
        if self.dialect == "sqlite":
            return f"sqlite:///{self.path}"
        parts = urlsplit(self.url)
        return f"postgresql://{parts.netloc.rpartition('@')[2]}{parts.path}"


def location_of(url: str) -> Location:
    """`sqlite:///var/banjia.db` is a file in the working directory, `sqlite:////var/banjia.db` one in the root. Raises StoreError."""
    scheme, _, rest = url.partition("://")
    if scheme == "sqlite":
        path = unquote(rest.removeprefix("/"))
        if not rest.startswith("/") or not path or path.startswith(":") or "?" in path:
            raise StoreError("expected a file, as in sqlite:///var/banjia.db")
        return Location("sqlite", url, Path(path).absolute())
    if scheme in ("postgresql", "postgres") and rest:
        return Location("postgresql", "postgresql://" + rest)
    raise StoreError("expected sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE")


def make_engine(location: Location) -> AsyncEngine:
    if location.dialect == "postgresql":
        from gateway.store.postgresql import connect  # a driver of 0.1 s that SQLite does not need

        async def connected() -> Any:
            return await connect(location)

        return create_async_engine(
            "postgresql+asyncpg://", async_creator=connected, pool_size=4, max_overflow=4, pool_timeout=POOL_WITHIN, pool_pre_ping=True
        )
    url = URL.create("sqlite+aiosqlite", database=str(location.path))
    engine = create_async_engine(url, pool_size=4, max_overflow=4, pool_timeout=POOL_WITHIN)
    event.listen(engine.sync_engine, "connect", _prepare)
    event.listen(engine.sync_engine, "begin", _begin)
    return engine


PRAGMAS = ("PRAGMA busy_timeout = 10000", "PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL")
"""Up to 10 s are waited for another process that writes. FULL: a commit is on the disk, not only handed to the system."""


def _prepare(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # or sqlite3 would begin transactions as it thinks best
    cursor = connection.cursor()
    for pragma in PRAGMAS:
        with suppress(connection.dbapi.OperationalError):  # another makes it WAL at this moment, which stays: SQLite waits for no lock here
            cursor.execute(pragma)
    cursor.close()


def _begin(connection: Connection) -> None:
    """A transaction that reads and then writes must be a writer from its start: SQLite refuses to make it one later if others have
    written."""
    connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get("writes") else "BEGIN")


@asynccontextmanager
async def reading(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """A transaction in which everything is as it was at its first statement. Raises StoreError."""
    with translated():
        async with engine.connect() as connection:
            if engine.dialect.name == "postgresql":
                await connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            async with connection.begin():
                yield connection


@asynccontextmanager
async def writing(engine: AsyncEngine, lock: int = 0) -> AsyncIterator[AsyncConnection]:
    """A transaction that is alone: in SQLite with all others that write, in PostgreSQL with those of the same lock. Raises StoreError."""
    with translated():
        async with engine.connect() as connection:
            await connection.execution_options(writes=True)
            async with connection.begin():
                if lock:
                    await alone(connection, lock)
                yield connection


async def alone(connection: AsyncConnection, lock: int) -> None:
    """From here to the end of the transaction. Whoever takes two locks takes them in the order that they stand in above."""
    if connection.dialect.name == "postgresql":  # in SQLite nobody else writes anyway
        await connection.execute(select(func.pg_advisory_xact_lock(lock)))
