"""Counters with a cap, and what can be done with them. Two kinds, in one Struct:

window   what was taken within the last `period` (requests or tokens a minute). Counted in `SLOTS` slots by wall time, each of which
         counts until it is wholly out of the period: never more than the cap within any period, and at most one slot longer than need be.
hold     what is taken until it is settled (requests at once), and what has been spent by then (budgets, grants): spent + held <= cap.

Amounts are whole numbers of the bucket's own unit; times are milliseconds of the wall clock. A hold has a lease: what a process that died
has taken comes back when it runs out. memory.py and valkey.py keep the same rules; tests/state/test_twins.py holds them to it.
"""

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

SLOTS = 600
SHORTLY = 1000
"""Milliseconds to wait for what is held by others: nobody knows when one of them ends."""
NEVER = -1


class Bucket(Struct, frozen=True):
    """One counter: what it is called and what bounds it. The cap may change from one call to the next; what has been counted stays."""

    key: str
    cap: int
    unit: str
    """`requests`, `tokens`, `concurrent`, or a currency, counted in nano units."""
    scope: str = ""
    """Whose it is, for messages: `team red`."""
    width: int = 0
    """Of a window: milliseconds of a slot."""
    seeded: bool = False
    """Of a hold: what has been spent so far must be known before anything is taken."""
    keep: bool = False
    """Of a hold: what a dead process held counts as in doubt rather than coming back."""
    resets: int = 0
    """Of a hold: when it is over and another takes its place; 0 never."""

    def end_of(self, slot: int) -> int:
        """Of a window: when what is counted in the slot counts no more."""
        return (slot + SLOTS + 1) * self.width


def window(key: str, cap: int, unit: str, *, scope: str = "", period: float = 60.0) -> Bucket:
    return Bucket(key, cap, unit, scope, max(1, int(period * 1000) // SLOTS))


class Held(Struct, eq=False):
    """What one call has taken. It is settled or released exactly once; what comes later does nothing."""

    id: str
    buckets: Sequence[Bucket]
    amounts: Sequence[int]
    slots: Sequence[int]
    """Of the windows: where it was counted."""
    used: Sequence[int]
    """Of each bucket, with this: a window's total; what a hold has spent, without what is held."""
    at: int
    until: float
    """The lease."""
    stage: int = 0
    """OPEN, LAPSED or CLOSED."""
    alone: bool = False
    """Taken from this process's share, while what is shared could not be reached."""


OPEN, LAPSED, CLOSED = 0, 1, 2


class Refused(Struct, frozen=True):
    """Nothing has been taken: this bucket has not enough left. Of several, the one that takes the longest."""

    bucket: Bucket
    wait: int
    """Milliseconds until it would have; exact for windows. NEVER where the amount is above the cap or the hold has no end."""
    spent: bool = False
    """Of a hold: it is not only held by others for a while, but used up."""
    used: int = 0
    """What the bucket stands at: a window's total; what a hold has spent."""
    empty_at: int = 0
    """Of a window: when nothing of it counts any more."""
    unreachable: bool = False
    """What it stands at cannot be known now, and must not be guessed."""


class Unseeded(Struct, frozen=True):
    """Nothing has been taken: what this bucket has spent is not known. Seed it and ask again."""

    bucket: Bucket


class Level(Struct, frozen=True):
    """What a bucket stands at."""

    used: int = 0
    """A window's total; what a hold has spent."""
    held: int = 0
    doubt: int = 0
    """Held by processes that died."""
    empty_at: int = 0
    """Of a window: when nothing of it counts any more."""
    known: bool = True
    """False: it has to be seeded."""


Chain = tuple[Sequence[Bucket], int]
"""Holds to draw on in this order, and how much in all."""


class State(Protocol):
    """Where the counters are."""

    @property
    def degraded(self) -> str:
        """Why limits are this process's share alone at present; empty: all is well."""

    @property
    def replicas(self) -> int:
        """How many processes share the counters, as far as is known."""

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def reserve(self, buckets: Sequence[Bucket], amounts: Sequence[int]) -> Held | Refused | Unseeded:
        """Takes all the amounts or none. No bucket twice."""

    async def draw(self, chains: Sequence[Chain]) -> Held | Refused | Unseeded:
        """Takes of each chain's holds what they have left, one after the other, until it has as much as is needed or none has any more.
        Amounts may be 0; refused only where what is shared cannot be reached."""

    def settle(self, held: Held, actual: Sequence[int]) -> None:
        """What has come of it, by bucket. Windows: less is given back where it was taken, more is counted now. Holds: no longer held, but
        spent."""

    def release(self, held: Held) -> None:
        """It has not come to anything: all is given back."""

    async def seed(self, bucket: Bucket, spent: int, at: int, *, force: bool = False) -> None:
        """What has been spent, as read from the records at `at`; what was settled before is part of it. `force`: though it is known
        already; then nothing is in doubt any more."""

    async def peek(self, buckets: Sequence[Bucket]) -> list[Level]:
        """What they stand at. Raises ConnectionError where it cannot be known."""
