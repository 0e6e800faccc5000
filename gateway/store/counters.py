"""Running totals that must survive a restart: what a budget or a grant has used in a window of time."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from sqlalchemy import delete, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.store.sums import adding
from gateway.store.tables import counters

if TYPE_CHECKING:
    from gateway.store.engine import Store

Counter = tuple[str, str]
"""A name, as in `budget:search`, and a window, as in `2026-11`."""


async def add(store: "Store", amounts: Mapping[Counter, int]) -> None:
    """Adds to counters, all or none; those that are missing begin at 0. Raises StoreError."""
    if amounts:
        async with store.writing() as connection:
            await count(connection, amounts)


async def count(connection: AsyncConnection, amounts: Mapping[Counter, int]) -> None:
    """The same within a transaction."""
    # In one order for all: two replicas that add to the same counters then never wait for each other.
    rows = [{"name": name, "window": window, "amount": amount} for (name, window), amount in sorted(amounts.items())]
    await connection.execute(adding(connection.dialect.name, counters, ("amount",)), rows)


async def amounts(store: "Store", wanted: Iterable[Counter]) -> dict[Counter, int]:
    """Those that there are."""
    async with store.reading() as connection:
        found = await connection.execute(select(counters).where(tuple_(counters.c.name, counters.c.window).in_([*wanted])))
        return {(one.name, one.window): one.amount for one in found}


async def drop(store: "Store", name: str, window: str) -> None:
    """Of a window that is over."""
    async with store.writing() as connection:
        await connection.execute(delete(counters).where(counters.c.name == name, counters.c.window == window))
