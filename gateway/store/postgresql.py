"""How usage gets into PostgreSQL: a connection of its own, and one statement for all that wait together."""

from collections.abc import Sequence
from typing import Any

import asyncpg  # type: ignore[import-untyped]
from sqlalchemy import Text, bindparam, cast, column, func, select
from sqlalchemy.dialects.postgresql import JSON, insert
from sqlalchemy.dialects.postgresql.asyncpg import dialect

from gateway.accounting.record import UsageRecord
from gateway.store.connect import Location
from gateway.store.errors import Unfit, translated
from gateway.store.tables import usage
from providers.base import encode

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
                await connection.execute(self._statement, encode(records).decode())
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
    """An insert of records as one list of JSON. An array for each column would be less work for PostgreSQL, by a third, and three times the
    work for the gateway, in the event loop."""
    records = cast(bindparam("records", type_=Text), JSON)
    rows = func.json_to_recordset(records).table_valued(*(column(one.name, one.type) for one in usage.columns))
    names = [one.name for one in usage.columns]
    made = insert(usage).from_select(names, select(rows.render_derived(with_types=True)))
    return str(made.on_conflict_do_nothing(index_elements=["id"]).compile(dialect=dialect()))  # type: ignore[no-untyped-call]
