"""Brings a database to the schema of this program. Of several replicas that start together one does it, and the others wait for it."""

import sys

from sqlalchemy import column, inspect, select, table
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from gateway.store.connect import MIGRATION_LOCK, writing
from gateway.store.errors import StoreNewer

REVISIONS = ("0001", "0002", "0003", "0004", "0005")
"""All of them, the oldest first: known without Alembic, which takes a while to load and is needed once."""
BASE = "base"
"""Alembic's word for a database without our tables."""
VERSION = table("alembic_version", column("version_num"))
"""Alembic's own."""
UNUSED = "mako.ext.pygmentplugin"
"""By which Alembic's templates load 5 MB that colour the errors in them, where it is installed."""


async def migrate(engine: AsyncEngine, to: str = REVISIONS[-1]) -> bool:
    """Up or down to that revision; whether there was anything to do. All or nothing. Raises StoreNewer, StoreLost."""
    async with engine.connect() as connection:
        if await revision_of(connection) == to:
            return False
    sys.modules.setdefault(UNUSED, None)  # type: ignore[arg-type]  # what is None there is not found
    from gateway.store.migrations.run import run  # Alembic: 0.3 s that most starts do not need, and nobody waits for in the lock

    async with writing(engine, MIGRATION_LOCK) as connection:
        found = await revision_of(connection)
        if found == to:
            return False
        if found not in (BASE, *REVISIONS):
            raise StoreNewer(
                f"the database has schema {found}, this version of the program knows {REVISIONS[-1]} and older: "
                "run the version that made it, or a newer one"
            )
        known = (BASE, *REVISIONS)
        await connection.run_sync(run, to, down=known.index(to) < known.index(found))
        return True


async def revision_of(connection: AsyncConnection) -> str:
    """`base` for a database that has none of our tables."""
    if not await connection.run_sync(lambda inner: inspect(inner).has_table(VERSION.name)):
        return BASE
    return (await connection.execute(select(VERSION.c.version_num))).scalar() or BASE
