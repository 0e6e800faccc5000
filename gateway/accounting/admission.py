"""Whether a request may begin: all limits and budgets of its team, key and user in one step, taken together or not at all."""

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial

from msgspec import Struct

from gateway.accounting.budgets import Budget, Purse, Seeding, Spent, Warned, Warnings, purse_of
from gateway.accounting.limits import MINUTE, Buckets, Limits, asked, buckets_of, came_of
from gateway.state.base import SHORTLY, Bucket, Held, Level, Refused, State, Unseeded
from gateway.state.memory import Memory

USERS = 10_000
"""Users whose counters are remembered by name here; what has been counted is in the state."""
UNLIMITED = Limits()


class Holder(Struct, frozen=True):
    """Somebody who has limits: `scope` is `team red`, `key red/main`, or `user red` for each user of a team."""

    scope: str
    limits: Limits = Limits()
    budgets: tuple[Budget, ...] = ()

    @property
    def bounds(self) -> bool:
        """Whether there is anything that it may not do."""
        return bool(self.budgets) or self.limits != UNLIMITED


class Counters(Struct, frozen=True):
    """What one request is counted in at present."""

    buckets: Buckets
    """Those of `purses` come last, in the same order."""
    purses: tuple[Purse, ...]


NONE = Counters(Buckets(), ())


class Bounds:
    """All that bounds the requests of one key. Made with the snapshot; keeps nothing but what follows from it."""

    def __init__(self, holders: Sequence[Holder], each_user: Holder | None = None, *, period: float = MINUTE) -> None:
        self._holders = tuple(holders)
        self._each_user = each_user
        self._period = period
        self._known: dict[str, Counters] = {}
        self._since = self._until = 0.0
        """Budgets' counters are others when a day or a month is over."""

    def counters(self, user: str, now: float) -> Counters:
        """`user`: as gateway.accounting.record.user_of has it; empty: nobody."""
        if not self._since <= now < self._until:
            self._turn(now)
        user = user if self._each_user is not None else ""
        return self._known.get(user) or self._make(user, now)

    def _turn(self, now: float) -> None:
        purses = self._make("-", now).purses
        self._known.clear()
        self._since = max((purse.spent.since for purse in purses), default=0.0)
        self._until = min((purse.spent.until for purse in purses if purse.spent.until), default=float("inf"))

    def _make(self, user: str, now: float) -> Counters:
        holders = list(self._holders)
        if user and self._each_user is not None:
            each = self._each_user
            holders.append(Holder(f"{each.scope}/{user}", each.limits, each.budgets))
        purses = tuple(purse_of(holder.scope, budget, now) for holder in holders for budget in holder.budgets)
        limits = [bucket for holder in holders for bucket in buckets_of(holder.scope, holder.limits, period=self._period)]
        if len(self._known) >= USERS:
            self._known.clear()
        made = self._known[user] = Counters(Buckets((*limits, *(purse.bucket for purse in purses))), purses)
        return made


class Standing(Struct, frozen=True):
    """A limit or a budget as it stands."""

    bucket: Bucket
    level: Level
    purse: Purse | None
    """Of a budget."""


class Admission:
    """`read`: what the records say of a budget. `warn`: is told of each level that is reached."""

    def __init__(
        self,
        state: State,
        read: Callable[[Spent], Awaitable[int]],
        *,
        warn: Callable[[Warned], None] = lambda warned: None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.state = state
        self._at_once = state.reserve_now if isinstance(state, Memory) else None
        self._read = read
        self._now = now
        self._seeding = Seeding(state, now=now)
        self._warnings = Warnings(warn)

    async def admit(self, bounds: Bounds, upper: Mapping[str, int], user: str = "") -> Held | Refused | None:
        """Takes what the request may use at most, by unit (`{"tokens": 1200, "CNY": 30_000_000}`); what is held has to be settled or
        released. None: nothing bounds it."""
        counters = bounds.counters(user, self._now())
        buckets = counters.buckets
        if not buckets:
            return None
        amounts = asked(buckets, upper)
        got = await self.state.reserve(buckets, amounts) if self._at_once is None else self._at_once(buckets, amounts)
        seeded = 0
        while isinstance(got, Unseeded):
            if seeded > len(counters.purses) or not await self._seed(got.bucket, counters):
                return Refused(got.bucket, SHORTLY, unreachable=True)
            seeded += 1
            got = await self.state.reserve(buckets, amounts)
        if counters.purses and isinstance(got, Held):
            self._warnings.look(got, counters.purses)
        return got

    def settle(self, held: Held, actual: Mapping[str, int]) -> None:
        """What it has used, by unit; once its record is durable. It was one request, whatever came of it."""
        self.state.settle(held, came_of(held.buckets, actual))

    def release(self, held: Held) -> None:
        """It has never been sent: not even the request counts."""
        self.state.release(held)

    async def standings(self, of: Sequence[Bounds]) -> list[list[Standing]]:
        """What the limits and budgets of each stand at, those of its users aside. Raises ConnectionError where the state cannot be
        reached."""
        now = self._now()
        counters = [bounds.counters("", now) for bounds in of]
        buckets = [*{bucket.key: bucket for one in counters for bucket in one.buckets}.values()]
        levels = await self.state.peek(buckets)
        unknown = {bucket.key for bucket, level in zip(buckets, levels, strict=True) if not level.known}
        if unknown:
            for one in counters:
                for purse in one.purses:
                    if purse.bucket.key in unknown:
                        unknown.discard(purse.bucket.key)
                        await self._seed(purse.bucket, one)
            levels = await self.state.peek(buckets)
        known = {bucket.key: level for bucket, level in zip(buckets, levels, strict=True)}
        purses = {purse.bucket.key: purse for one in counters for purse in one.purses}
        return [[Standing(bucket, known[bucket.key], purses.get(bucket.key)) for bucket in one.buckets] for one in counters]

    async def close(self) -> None:
        await self._seeding.close()

    async def _seed(self, bucket: Bucket, counters: Counters) -> bool:
        purse = next(purse for purse in counters.purses if purse.bucket.key == bucket.key)
        return await self._seeding.seed(bucket, partial(self._read, purse.spent))
