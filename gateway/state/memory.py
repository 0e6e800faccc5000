"""The counters of one process. Every step is one call without an await; the coroutines stand for those whose state is elsewhere."""

import time
from collections.abc import Callable, Iterable, Sequence
from itertools import takewhile
from math import inf

from gateway.state.base import (
    CLOSED,
    LAPSED,
    NEVER,
    OPEN,
    SHORTLY,
    SLOTS,
    Bucket,
    Chain,
    Held,
    Level,
    Refused,
    Unseeded,
)

FEW = 4096
"""Counters below which nobody looks for idle ones."""
LONG_AGO = -(1 << 62)
KEPT = 7 * 24 * 3600 * 1000
"""Milliseconds that a period's hold is kept after its end, for what is settled late."""


class Entry:
    """One counter, of either kind."""

    __slots__ = ("at", "doubt", "held", "newest", "resets", "seeded", "slots", "spent", "total", "turned", "width")

    def __init__(self, bucket: Bucket) -> None:
        self.width = bucket.width
        self.total = 0
        self.slots: dict[int, int] = {}
        """What counts, the oldest first."""
        self.newest = self.turned = LONG_AGO
        """The last slot that has anything; the slot of the last look."""
        self.seeded = bucket.seeded
        self.resets = bucket.resets
        self.spent = self.held = self.doubt = self.at = 0
        if bucket.seeded:
            self.at = NEVER  # not known

    def turn(self, slot: int) -> int:
        """Drops what no longer counts. The slot to count in: a clock that went back a little stands still until it is there again; one
        that went back by more than the period takes all that counts along."""
        if slot < self.newest:
            if self.newest - slot <= SLOTS:
                slot = self.newest
            else:
                total = self.total
                self._clear()
                if total:
                    self.add(slot, total)
        dead = slot - SLOTS - 1
        if self.newest <= dead:
            self._clear()
        else:
            slots = self.slots
            for oldest in [*takewhile(dead.__ge__, slots)]:
                self.total -= slots.pop(oldest)
        self.turned = slot
        return slot

    def _clear(self) -> None:
        self.slots.clear()
        self.total = 0
        self.newest = LONG_AGO

    def add(self, slot: int, amount: int) -> None:
        if slot in self.slots:
            self.slots[slot] += amount
        else:
            self.slots[slot] = amount
            self.newest = slot
        self.total += amount

    def undo(self, slot: int) -> None:
        """Takes back the last slot, which was added just now."""
        self.total -= self.slots.pop(slot)
        self.newest = next(reversed(self.slots), LONG_AGO)

    def give_back(self, slot: int, amount: int) -> None:
        if (there := self.slots.get(slot)) is not None:
            amount = min(amount, there)
            self.slots[slot] = there - amount
            self.total -= amount

    def wait(self, over: int, now: int) -> int:
        """Milliseconds until `over` of what counts does not count any more."""
        for slot, amount in self.slots.items():
            over -= amount
            if over <= 0:
                return (slot + SLOTS + 1) * self.width - now
        return NEVER

    def empty_at(self) -> int:
        return (self.newest + SLOTS + 1) * self.width if self.slots else 0

    def idle(self, now: int) -> bool:
        if self.width:
            return now // self.width - self.newest > SLOTS
        return not self.held and (not self.seeded or 0 < self.resets < now - KEPT)


class Memory:
    """`lease`: seconds; in a process of its own there is nobody left to give anything back to, so there it is without end."""

    degraded = ""
    replicas = 1

    def __init__(self, *, now: Callable[[], float] = time.time, lease: float = inf) -> None:
        self._now = now
        self._lease = lease * 1000
        self._entries: dict[str, Entry] = {}
        self._many = FEW
        self._open: dict[str, Held] = {}
        self._first = inf
        """No lease runs out before."""
        self._number = 0

    async def open(self) -> None:
        return None

    async def close(self) -> None:
        return None

    async def reserve(self, buckets: Sequence[Bucket], amounts: Sequence[int]) -> Held | Refused | Unseeded:
        return self.reserve_now(buckets, amounts)

    async def draw(self, chains: Sequence[Chain]) -> Held | Refused | Unseeded:
        return self.draw_now(chains)

    async def seed(self, bucket: Bucket, spent: int, at: int, *, force: bool = False) -> None:
        self.seed_now(bucket, spent, at, force=force)

    async def peek(self, buckets: Sequence[Bucket]) -> list[Level]:
        return [self.level(bucket) for bucket in buckets]

    def reserve_now(self, buckets: Sequence[Bucket], amounts: Sequence[int]) -> Held | Refused | Unseeded:
        now = int(self._now() * 1000)
        if now >= self._first:
            self._sweep(now)
        entries = self._entries
        if len(entries) >= self._many:
            self._drop_idle(now)
        slots: list[int] = []
        used: list[int] = []
        new: list[Entry] = []
        """What has got a slot by this request."""
        for bucket, amount in zip(buckets, amounts, strict=True):
            entry = entries.get(bucket.key) or self._make(bucket)
            if width := bucket.width:
                slot = now // width
                if slot != entry.turned:
                    slot = entry.turn(slot)
                total = entry.total + amount
                if total > bucket.cap:
                    break
                if slot == entry.newest:
                    entry.slots[slot] += amount
                    entry.total = total
                elif amount:
                    entry.add(slot, amount)
                    new.append(entry)
                slots.append(slot)
                used.append(total)
            else:
                if entry.at < 0 or entry.spent + entry.held + entry.doubt + amount > bucket.cap:
                    break
                entry.held += amount
                slots.append(0)
                used.append(entry.spent)
        else:
            return self._held(buckets, amounts, slots, used, now)
        return self._not_held(buckets, amounts, slots, new, now)

    def _not_held(
        self, buckets: Sequence[Bucket], amounts: Sequence[int], slots: list[int], new: list[Entry], now: int
    ) -> Refused | Unseeded:
        """Gives back what has been taken of the first buckets, since one has not enough; why not."""
        found: list[Entry] = []
        for bucket in buckets:
            entry = self._entries.get(bucket.key) or self._make(bucket)
            if bucket.width and (slot := now // bucket.width) != entry.turned:
                entry.turn(slot)
            found.append(entry)
        for bucket, amount, entry, slot in zip(buckets, amounts, found, slots, strict=False):
            if not bucket.width:
                entry.held -= amount
            elif entry in new:
                entry.undo(slot)
            else:
                entry.give_back(slot, amount)
        for bucket, entry in zip(buckets, found, strict=True):
            if entry.at < 0:
                return Unseeded(bucket)
        return _refused(buckets, amounts, found, now)

    def draw_now(self, chains: Sequence[Chain]) -> Held | Refused | Unseeded:
        now = int(self._now() * 1000)
        if now >= self._first:
            self._sweep(now)
        for buckets, _ in chains:
            for bucket in buckets:
                if (self._entries.get(bucket.key) or self._make(bucket)).at < 0:
                    return Unseeded(bucket)
        drawn: list[Bucket] = []
        amounts: list[int] = []
        used: list[int] = []
        for buckets, need in chains:
            for bucket in buckets:
                entry = self._entries[bucket.key]
                amount = max(0, min(need, bucket.cap - entry.spent - entry.held - entry.doubt))
                entry.held += amount
                need -= amount
                drawn.append(bucket)
                amounts.append(amount)
                used.append(entry.spent)
        return self._held(drawn, amounts, [0] * len(drawn), used, now)

    def settle(self, held: Held, actual: Sequence[int]) -> None:
        if held.stage == CLOSED:
            return
        now = int(self._now() * 1000)
        lapsed = held.stage == LAPSED
        self._close(held)
        entries = self._entries
        for bucket, amount, slot, used in zip(held.buckets, held.amounts, held.slots, actual, strict=True):
            if width := bucket.width:
                if used == amount:
                    continue
                entry = entries.get(bucket.key) or self._make(bucket)
                current = now // width
                if current != entry.turned:
                    current = entry.turn(current)
                if used > amount:
                    entry.add(current, used - amount)
                elif not lapsed:
                    entry.give_back(slot, amount - used)
                continue
            entry = entries.get(bucket.key) or self._make(bucket)
            if not lapsed:
                entry.held -= amount
            elif bucket.keep:
                entry.doubt = max(0, entry.doubt - amount)
            if bucket.seeded and 0 <= entry.at <= now:
                entry.spent += used

    def release(self, held: Held) -> None:
        self.settle(held, [0] * len(held.amounts))

    def renew(self) -> None:
        """All that is open is alive; what had lapsed is held again."""
        now = int(self._now() * 1000)
        for held in self._open.values():
            held.until = now + self._lease
            if held.stage == LAPSED:
                held.stage = OPEN
                self._shift(held, 1)
        self._first = now + self._lease

    def seed_now(self, bucket: Bucket, spent: int, at: int, *, force: bool = False) -> None:
        entry = self._entries.get(bucket.key) or self._make(bucket)
        if entry.at < 0 or force:
            entry.spent, entry.at = spent, at
            if force:
                entry.doubt = 0

    def level(self, bucket: Bucket) -> Level:
        entry = self._entries.get(bucket.key)
        if entry is None:
            return Level(known=not bucket.seeded)
        if not bucket.width:
            return Level(entry.spent, entry.held, entry.doubt, known=entry.at >= 0)
        entry.turn(int(self._now() * 1000) // bucket.width)
        return Level(entry.total, empty_at=entry.empty_at())

    def _drop_idle(self, now: int) -> None:
        for key in [key for key, entry in self._entries.items() if entry.idle(now)]:
            del self._entries[key]
        self._many = max(FEW, 2 * len(self._entries))

    def _make(self, bucket: Bucket) -> Entry:
        made = self._entries[bucket.key] = Entry(bucket)
        return made

    def _held(self, buckets: Sequence[Bucket], amounts: Sequence[int], slots: list[int], used: list[int], now: int) -> Held:
        if self._lease == inf:
            return Held("", buckets, amounts, slots, used, now, inf)
        self._number += 1
        held = Held(str(self._number), buckets, amounts, slots, used, now, now + self._lease)
        self._open[held.id] = held
        self._first = min(self._first, held.until)
        return held

    def _close(self, held: Held) -> None:
        held.stage = CLOSED
        if held.id:
            del self._open[held.id]

    def _sweep(self, now: int) -> None:
        """Takes back what leases have run out for."""
        for held in self._open.values():
            if held.stage == OPEN and held.until <= now:
                held.stage = LAPSED
                self._shift(held, -1)
        self._first = min((held.until for held in self._open.values() if held.stage == OPEN), default=inf)

    def _shift(self, held: Held, sign: int) -> None:
        for bucket, amount in zip(held.buckets, held.amounts, strict=True):
            if not bucket.width:
                entry = self._entries.get(bucket.key) or self._make(bucket)
                entry.held += sign * amount
                if bucket.keep:
                    entry.doubt = max(0, entry.doubt - sign * amount)


def _refused(buckets: Sequence[Bucket], amounts: Sequence[int], entries: Sequence[Entry], now: int) -> Refused:
    return max(_refusals(buckets, amounts, entries, now), key=lambda one: (one.wait == NEVER, one.wait))


def _refusals(buckets: Sequence[Bucket], amounts: Sequence[int], entries: Sequence[Entry], now: int) -> Iterable[Refused]:
    for bucket, amount, entry in zip(buckets, amounts, entries, strict=True):
        if bucket.width:
            if (over := entry.total + amount - bucket.cap) > 0:
                wait = NEVER if amount > bucket.cap else entry.wait(over, now)
                yield Refused(bucket, wait, used=entry.total, empty_at=entry.empty_at())
        elif entry.spent + entry.held + entry.doubt + amount > bucket.cap:
            if amount > bucket.cap:
                yield Refused(bucket, NEVER, bucket.seeded, entry.spent)
            elif bucket.seeded and entry.spent + entry.doubt + amount > bucket.cap:
                yield Refused(bucket, max(0, bucket.resets - now) if bucket.resets else NEVER, True, entry.spent)
            else:
                yield Refused(bucket, SHORTLY, used=entry.spent)
