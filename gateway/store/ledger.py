"""The store as the books see it: records go in, and what has been spent comes out."""

import asyncio
from typing import Any

from gateway.accounting.budgets import Spent
from gateway.accounting.limits import TOKENS
from gateway.accounting.prices import nano
from gateway.accounting.record import UsageRecord
from gateway.store.engine import Store
from gateway.store.replies import KeptReplies
from gateway.store.rollup import granted
from gateway.store.sums import END_OF_TIME
from gateway.store.usage import Asked, report


class StoreLedger:
    """Records in a store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.replies = KeptReplies(store)

    @property
    def degraded(self) -> str:
        return self._store.degraded

    @property
    def pending(self) -> int:
        return self._store.writer.pending

    @property
    def lost(self) -> int:
        return self._store.writer.lost

    def write(self, record: UsageRecord) -> "asyncio.Future[Any]":
        return self._store.writer.write(record)

    async def spent(self, of: Spent) -> dict[str, int]:
        """By the day on which requests ended. Raises StoreError."""
        kind, _, name = of.scope.partition(" ")
        team, _, rest = name.partition("/")
        asked = Asked(of.since, of.until or END_OF_TIME, team, key=rest if kind == "key" else None, user=rest if kind == "user" else None)
        rows = (await report(self._store, asked)).rows
        found = {TOKENS: sum(row["prompt_tokens"] + row["completion_tokens"] for row in rows)}
        for row in rows:
            for currency, amount in row["cost"].items():
                found[currency] = found.get(currency, 0) + nano(amount)
        return found

    async def granted(self, grant: str) -> int:
        """Raises StoreError."""
        return await granted(self._store, grant)
