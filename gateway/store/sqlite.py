"""How usage gets into SQLite: a thread and a connection of its own, and one transaction for all that wait together."""

import asyncio
import os
import sqlite3
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from itertools import chain

from sqlalchemy.dialects.sqlite import dialect, insert

from gateway.accounting.record import UsageRecord
from gateway.store.connect import PRAGMAS, Location
from gateway.store.errors import StoreLost, translated
from gateway.store.rows import row
from gateway.store.tables import usage

IMPATIENT = "PRAGMA busy_timeout = 800"
"""Milliseconds: less than the writer's patience."""
MOST_ROWS = 64
"""In one statement: well below the number of values that SQLite takes."""


class SqliteUsage:
    """Inserts records: they are durable when `insert` returns, and those that are known already are left as they are."""

    def __init__(self, location: Location) -> None:
        self._path = location.path
        self._thread = ThreadPoolExecutor(1, "usage")
        self._connection: sqlite3.Connection | None = None
        self._file = 0

    async def insert(self, records: Sequence[UsageRecord]) -> None:
        """Raises StoreLost, Unfit. One who is cancelled meanwhile does not know whether it was done."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._insert, records)

    def forget(self) -> None:
        """The next insert opens the file anew."""
        self._thread.submit(self._close)

    async def close(self) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        self._thread.shutdown(wait=False)

    # ---- in the thread ----

    def _insert(self, records: Sequence[UsageRecord]) -> None:
        with translated():
            connection = self._opened()
            rows = [row(record) for record in records]
            # SQLite's module gives up the interpreter several times for each statement, and has to wait for it after each: with executemany
            # for each row. So there are as few statements as can be, and one that is alone is a transaction by itself.
            if len(rows) <= MOST_ROWS:
                connection.execute(statement(len(rows)), [*chain.from_iterable(rows)])
                return
            try:
                connection.execute("BEGIN IMMEDIATE")
                for start in range(0, len(rows), MOST_ROWS):
                    some = rows[start : start + MOST_ROWS]
                    connection.execute(statement(len(some)), [*chain.from_iterable(some)])
                connection.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    connection.rollback()
                raise

    def _opened(self) -> sqlite3.Connection:
        """The connection. A file that was moved away would go on taking records that nobody finds again."""
        if self._connection is not None:
            if os.stat(self._path).st_ino != self._file:
                self._close()
                raise StoreLost(f"{self._path} is another file than before")
            return self._connection
        self._file = os.stat(self._path).st_ino  # a file that is missing is made by the migration, not here
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False, cached_statements=2 * MOST_ROWS)
        for pragma in (*PRAGMAS, IMPATIENT):
            connection.execute(pragma)
        self._connection = connection
        return connection

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


@cache
def statement(rows: int) -> str:
    """An insert of so many rows. What SQLAlchemy makes for one is said again for the others: to have it make one for a hundred takes as
    long as a hundred requests."""
    made = insert(usage).values(dict.fromkeys(usage.columns.keys(), "")).on_conflict_do_nothing(index_elements=["id"])
    head, row, tail = str(made.compile(dialect=dialect())).partition("(" + ", ".join("?" * len(usage.columns)) + ")")
    assert row
    return head + ", ".join([row] * rows) + tail
