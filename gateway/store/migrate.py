"""Brings a database to the schema of this program. Of several replicas that start together one does it, and the others wait for it."""

from pathlib import Path

from sqlalchemy import column, inspect, select, table
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from gateway.store.connect import MIGRATION_LOCK, writing
from gateway.store.errors import StoreNewer
from gateway.store.tables import metadata

REVISIONS = ("0001",)
"""All of them, the oldest first: known without Alembic, which takes a while to load and is needed once."""
VERSION = table("alembic_version", column("version_num"))
"""Alembic's own."""


async def migrate(engine: AsyncEngine, to: str = REVISIONS[-1]) -> bool:
    """Up or down to that revision; whether there was anything to do. All or nothing. Raises StoreNewer, StoreLost."""
    async with engine.connect() as connection:
        if await revision_of(connection) == to:
            return False
    async with writing(engine, MIGRATION_LOCK) as connection:
        found = await revision_of(connection)
        if found == to:
            return False
        if found and found not in REVISIONS:
            raise StoreNewer(
                f"the database has schema {found}, this program knows {REVISIONS[-1]} and older: "
                "run a newer version of it, or go back with that version's `downgrade` first"
            )
        await connection.run_sync(_run, found, to)
        return True


async def revision_of(connection: AsyncConnection) -> str:
    """Empty for a database that has none of our tables."""
    if not await connection.run_sync(lambda inner: inspect(inner).has_table(VERSION.name)):
        return ""
    return (await connection.execute(select(VERSION.c.version_num))).scalar() or ""


def _run(connection: Connection, found: str, to: str) -> None:
    from alembic import command  # 0.2 s that most starts do not need
    from alembic.config import Config

    config = Config(attributes={"connection": connection, "metadata": metadata})
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    down = found in REVISIONS and to in REVISIONS and REVISIONS.index(to) < REVISIONS.index(found)
    (command.downgrade if down or to == "base" else command.upgrade)(config, to)
