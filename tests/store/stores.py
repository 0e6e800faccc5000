"""Stores for tests: opened and closed, records for them, and what is in them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, literal_column, select

from gateway.accounting.record import UsageRecord, new_id
from gateway.store.engine import Store
from gateway.store.tables import usage

NOON = 1_800_014_400.0
"""2027-01-15 12:00 UTC."""
DAY = 86_400.0
PATIENCE = 20.0
"""Seconds after which something that should happen has not happened."""


class Clock:
    """Wall time that moves when it is told to."""

    def __init__(self, now: float = NOON) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def opened(url: str, journal: Path, *, now: Callable[[], float] | None = None, patience: float = 5.0) -> AsyncIterator[Store]:
    """Of great patience, so that a busy machine does not look like a lost database."""
    store = Store(url, journal, now=now or Clock(), patience=patience, spacing=0.0)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


def record(time: float = NOON, **fields: Any) -> UsageRecord:
    return UsageRecord(**{"id": new_id(time), "time": time, "team": "red", "currency": "CNY", **fields})


def records(count: int, **fields: Any) -> list[UsageRecord]:
    """With numbers, as tokens of the prompt, by which their order is known."""
    return [record(NOON + number / 1000, prompt_tokens=number, **fields) for number in range(count)]


async def written(store: Store) -> list[int]:
    """The numbers of the records in the database, in the order they were inserted."""
    order: ColumnElement[int] = literal_column("rowid" if store.location.dialect == "sqlite" else "ctid")
    async with store.reading() as connection:
        return [*(await connection.execute(select(usage.c.prompt_tokens).order_by(order))).scalars()]


async def ids(store: Store) -> list[str]:
    async with store.reading() as connection:
        return [*(await connection.execute(select(usage.c.id))).scalars()]


async def until(true: Callable[[], bool]) -> None:
    """Until that is so."""
    async with asyncio.timeout(PATIENCE):
        while not true():  # noqa: ASYNC110 - of what the store tells, nothing is an event
            await asyncio.sleep(0.005)
