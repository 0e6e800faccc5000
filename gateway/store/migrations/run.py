"""Alembic, run inside the program."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy.engine import Connection

from gateway.store.tables import metadata


def run(connection: Connection, to: str, *, down: bool) -> None:
    """To that revision, in the transaction that is open."""
    config = Config(attributes={"connection": connection, "metadata": metadata})
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    (command.downgrade if down else command.upgrade)(config, to)
