"""How usage gets into PostgreSQL: a connection of its own, and one statement for all that wait together."""

from collections.abc import Sequence
from typing import Any

import asyncpg  # type: ignore[import-untyped]
from sqlalchemy import Text, bindparam, func, select
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.dialects.postgresql.asyncpg import dialect

from gateway.accounting.record import UsageRecord
from gateway.store.connect import Location
from gateway.store.errors import Unfit, translated
from gateway.store.rows import row
from gateway.store.tables import usage

CONNECT_WITHIN = 5.0
"""Seconds."""
ANSWER_WITHIN = 60.0
"""Seconds for a statement."""


async def connect(location: Location) -> Any:
    """A connection of asyncpg's own. Raises StoreError."""
    with translated(asyncpg.PostgresError, asyncpg.InterfaceError):
        return await asyncpg.connect(
            location.url, timeout=CONNECT_WITHIN, command_timeout=ANSWER_WITHIN, server_settings={"application_name": "banjia"}
        )


class PostgresqlUsage:
    """Inserts records: they are durable when `insert` returns, and those that are known already are left as they are."""

    def __init__(self, location: Location) -> None:
        self._location = location
        self._connection: Any = None
        self._statement = statement()

    async def insert(self, records: Sequence[UsageRecord]) -> None:
        """Raises StoreLost, Unfit. One who is cancelled meanwhile does not know whether it was done."""
        connection = self._connection
        if connection is None or connection.is_closed():
            connection = self._connection = await connect(self._location)
        try:
            with translated(asyncpg.PostgresError, asyncpg.InterfaceError):
                await connection.execute(self._statement, *zip(*map(row, records), strict=True))
        except Unfit:
            raise
        except BaseException:
            self.forget()
            raise

    def forget(self) -> None:
        """The next insert connects anew."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()

    async def close(self) -> None:
        self.forget()


def statement() -> str:
    """An insert of arrays, one for each column: the text is the same for any number of records, so the server parses it once."""
    names = [column.name for column in usage.columns]
    arrays = [bindparam(column.name, type_=ARRAY(column.type if column.name != "tags" else Text)) for column in usage.columns]
    rows = func.unnest(*arrays).table_valued(*names)
    made = insert(usage).from_select(names, select(rows)).on_conflict_do_nothing(index_elements=["id"])
    compiled = made.compile(dialect=dialect())  # type: ignore[no-untyped-call]
    assert compiled.positiontup == names
    return str(compiled)
