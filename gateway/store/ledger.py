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

TOGETHER = 500
"""Sums that are read at once."""
EVERY = 1_000_000


class StoreLedger:
    """Records in a store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.replies = KeptReplies(store)
        self._asked: list[tuple[Spent, asyncio.Future[dict[str, int]]]] = []
        """Sums that somebody waits for, the oldest first."""
        self._reading = asyncio.Lock()

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
        """By the day on which requests ended. What is asked meanwhile is then read together: at midnight each key's first request asks.
        Raises StoreError."""
        own: asyncio.Future[dict[str, int]] = asyncio.get_running_loop().create_future()
        self._asked.append((of, own))
        async with self._reading:
            while not own.done():
                await self._read(own)
        return own.result()

    async def _read(self, own: "asyncio.Future[dict[str, int]]") -> None:
        """For those who ask at present. If it fails, each of the others has a turn of its own."""
        asked, self._asked = self._asked[:TOGETHER], self._asked[TOGETHER:]
        try:
            alike: dict[tuple[str, float, float], set[Spent]] = {}
            for of, _ in asked:
                alike.setdefault((of.scope.partition(" ")[0], of.since, of.until), set()).add(of)
            found: dict[Spent, dict[str, int]] = {}
            for several in alike.values():
                found |= await self._alike(several)
        except BaseException:
            self._asked[:0] = [one for one in asked if one[1] is not own]
            raise
        for of, waiting in asked:
            if not waiting.done():
                waiting.set_result(found[of])

    async def _alike(self, asked: set[Spent]) -> dict[Spent, dict[str, int]]:
        """Of scopes of one kind, within the same time."""
        named = {one: _named(one.scope) for one in asked}
        columns = next(iter(named.values())).keys()
        teams, keys, users = ((*{one[name] for one in named.values() if name in one},) for name in ("team", "key", "user"))
        since, until = next((one.since, one.until or END_OF_TIME) for one in asked)
        wanted = Asked(since, until, teams=teams, keys=keys, users=users, group_by=(*columns,), limit=EVERY)
        rows = (await report(self._store, wanted)).rows
        found: dict[tuple[str, ...], dict[str, int]] = {}
        for row in rows:
            sums = found.setdefault(tuple(row[name] for name in columns), {TOKENS: 0})
            sums[TOKENS] += row["prompt_tokens"] + row["completion_tokens"]
            for currency, amount in row["cost"].items():
                sums[currency] = sums.get(currency, 0) + nano(amount)
        return {one: found.get((*names.values(),), {TOKENS: 0}) for one, names in named.items()}

    async def granted(self, grant: str) -> int:
        """Raises StoreError."""
        return await granted(self._store, grant)


def _named(scope: str) -> dict[str, str]:
    """`key red/main`: the columns that say so."""
    kind, _, name = scope.partition(" ")
    team, _, rest = name.partition("/")
    return {"team": team} if kind == "team" else {"team": team, kind: rest}
