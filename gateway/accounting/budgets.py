"""How much may be spent: money or tokens, a day, a month or in all. Reserved before, settled after; what has been spent is read from the
records when nobody remembers it."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from math import inf
from typing import Literal
from zoneinfo import ZoneInfo

from msgspec import Struct

from gateway.state.base import Bucket, Held, State

log = logging.getLogger(__name__)

Per = Literal["day", "month", "total"]


class Budget(Struct, frozen=True):
    amount: int
    """In nano units of a currency, or tokens."""
    unit: str
    """The currency, or `tokens`."""
    per: Per
    warn: tuple[float, ...] = (0.8, 0.95)
    """Shares of the amount, rising."""
    zone: str = "Asia/Shanghai"
    """Where a day begins."""


class Period(Struct, frozen=True):
    """A day or a month somewhere, or all time: unix seconds, the end not part of it; 0: none."""

    label: str
    since: float
    until: float


def period_of(per: Per, zone: str, now: float) -> Period:
    if per == "total":
        return Period("total", 0.0, 0.0)
    there = datetime.fromtimestamp(now, ZoneInfo(zone))
    begin = there.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    if per == "day":
        end = begin + timedelta(days=1)
        return Period(f"{begin:%Y-%m-%d}", begin.timestamp(), end.timestamp())
    begin = begin.replace(day=1)
    end = (begin + timedelta(days=32)).replace(day=1)
    return Period(f"{begin:%Y-%m}", begin.timestamp(), end.timestamp())


class Spent(Struct, frozen=True):
    """What is asked of the records: what `scope` has spent of `unit` in requests that began within the period."""

    scope: str
    """`team red`, `key red/main` or `user red/alice`."""
    unit: str
    since: float
    until: float
    """0: until now."""


class Purse(Struct, frozen=True):
    """A budget as it stands at some moment: its counter, and the question what has been spent of it."""

    bucket: Bucket
    spent: Spent
    warn: tuple[float, ...]
    first: float = inf
    """What has been spent at the first of the levels that are warned of."""


def purse_of(scope: str, budget: Budget, now: float) -> Purse:
    """A period's counter is another than the last one's. Its amount may change, and what has been spent stays."""
    period = period_of(budget.per, budget.zone, now)
    key = f"{scope} budget {budget.unit} {period.label}"
    bucket = Bucket(key, budget.amount, budget.unit, scope, seeded=True, resets=int(period.until * 1000))
    first = budget.warn[0] * budget.amount if budget.warn else inf
    return Purse(bucket, Spent(scope, budget.unit, period.since, period.until), budget.warn, first)


class Warned(Struct, frozen=True):
    """A budget has been used to one of its levels."""

    bucket: Bucket
    level: float
    spent: int


class Warnings:
    """Tells once, in this process, of each level that a budget reaches."""

    def __init__(self, tell: Callable[[Warned], None]) -> None:
        self._tell = tell
        self._reached: dict[str, int] = {}
        """By counter: how many of its levels have been told of."""

    def look(self, held: Held, purses: Sequence[Purse]) -> None:
        """`purses`: of the last buckets that are held, in this order."""
        for used, purse in zip(held.used[-len(purses) :], purses, strict=True):
            if used < purse.first:
                continue
            reached = self._reached.get(purse.bucket.key, 0)
            while reached < len(purse.warn) and used >= purse.warn[reached] * purse.bucket.cap:
                self._tell(Warned(purse.bucket, purse.warn[reached], used))
                reached += 1
                self._reached[purse.bucket.key] = reached


class Seeding:
    """Reads what has been spent from the records, once for all who wait for it."""

    def __init__(self, state: State, *, now: Callable[[], float] = time.time) -> None:
        self._state = state
        self._now = now
        self._reading: dict[str, asyncio.Task[bool]] = {}

    async def seed(self, bucket: Bucket, read: Callable[[], Awaitable[int]]) -> bool:
        """Whether it is known now. `read` may fail as it likes: then it is not."""
        reading = self._reading.get(bucket.key)
        if reading is None:
            reading = self._reading[bucket.key] = asyncio.create_task(self._seed(bucket, read), name=f"seed {bucket.key}")
            reading.add_done_callback(lambda _: self._reading.pop(bucket.key, None))
        return await asyncio.shield(reading)

    async def close(self) -> None:
        readings = list(self._reading.values())
        for reading in readings:
            reading.cancel()
        await asyncio.gather(*readings, return_exceptions=True)

    async def _seed(self, bucket: Bucket, read: Callable[[], Awaitable[int]]) -> bool:
        at = int(self._now() * 1000)
        try:
            await self._state.seed(bucket, await read(), at)
        except Exception:  # of a store or of the state: whatever it is, nothing is known
            log.exception("what has been spent of %s cannot be read", bucket.key)
            return False
        return True
