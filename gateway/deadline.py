"""One clock over a whole call: whichever of its deadlines comes first cancels what the call waits for.

A timer of its own for each of thousands of calls would cost more than all else that is decided about them; so one ticker looks after all.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

from providers.base import Fault

EVERY = 0.05
"""Seconds between two looks: no deadline is met more exactly than this, and none needs to be."""
LATE = 0.5
"""A look that comes so much too late, since the process was stopped, is passed over: what has come in meanwhile is read first."""


class Ticked(Protocol):
    """Something that waits for a moment."""

    def tick(self, now: float) -> None:
        """`now` by the loop's clock."""
        ...


class Ticker:
    """Looks every 50 ms at all that wait; sleeps while nothing does."""

    __slots__ = ("_items", "_next", "_timer", "loop", "remove")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._items: set[Ticked] = set()
        self.remove: Callable[[Ticked], None] = self._items.discard
        """Of what does not wait any more, or has never."""
        self._timer: asyncio.TimerHandle | None = None
        self._next = 0.0
        """When it should look again."""

    def add(self, item: Ticked) -> None:
        self._items.add(item)
        if self._timer is None:
            self._start()

    def _start(self) -> None:
        self._next = self.loop.time() + EVERY
        self._timer = self.loop.call_later(EVERY, self._tick)

    def _tick(self) -> None:
        now = self.loop.time()
        if now < self._next + LATE:
            for item in tuple(self._items):
                item.tick(now)
        if self._items:
            self._start()
        else:
            self._timer = None


class Deadline:
    """Like `asyncio.timeout`, but its moment moves: `stage` for what is waited for now, `total` for the call, retries included.

    `progress()` says that the stage's wait begins anew; it costs one look at the clock. When a deadline passes, the task is cancelled; who
    catches the CancelledError asks `expired()`, which turns it into a Fault where it was ours. Made in the task that it watches.
    """

    __slots__ = ("_at", "_loop", "_rang", "_stage", "_started", "_task", "_ticker", "_total", "_what", "impatient")

    def __init__(self, total: float, ticker: Ticker) -> None:
        task = asyncio.current_task(ticker.loop)
        if task is None:
            raise RuntimeError("a deadline watches a task")
        self._task = task
        self._ticker = ticker
        self._loop = ticker.loop
        self._started = self._loop.time()
        self._total = self._at = self._started + total
        self._stage = total
        self._what = "total"
        self._rang = False
        self.impatient = False
        ticker.add(self)

    def stage(self, name: str, seconds: float) -> None:
        """From now on, each wait may last this long. `name` is the setting's, for the message."""
        self._what, self._stage = name, seconds
        self._at = self._loop.time() + seconds

    def soon(self, seconds: float) -> None:
        """From now on, no wait of this stage may last longer than this."""
        self.stage(self._what, min(seconds, self._stage))

    def progress(self) -> None:
        self._at = self._loop.time() + self._stage

    def extend(self, total: float) -> None:
        """The call as a whole may take this long from its start."""
        self._total = self._started + total

    def left(self) -> float:
        """Seconds until the call as a whole must be over."""
        return self._total - self._loop.time()

    def tick(self, now: float) -> None:
        if (now >= self._at or now >= self._total) and not self._rang:
            self._rang = True
            self._task.cancel()

    def expired(self) -> Fault | None:
        """After a CancelledError: the Fault it stands for, if it was this deadline's doing alone."""
        if not self._rang or self._task.uncancel() > 0:
            return None
        self._rang = False
        if self.left() <= 0:
            return Fault("timeout", "the call took longer than its `timeouts.total`")
        self.progress()
        return Fault("timeout", f"the provider was silent for longer than `timeouts.{self._what}`, {self._stage:g} s")

    def close(self) -> None:
        """The call is over."""
        self._ticker.remove(self)
