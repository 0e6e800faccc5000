"""One clock over a whole call: whichever of its deadlines comes first cancels what the call waits for."""

import asyncio

from providers.base import Fault


class Deadline:
    """Like `asyncio.timeout`, but its moment moves: `stage` for what is waited for now, `total` for the call, retries included.

    `progress()` says that the stage's wait begins anew; it costs one look at the clock. When a deadline passes, the task is cancelled; who
    catches the CancelledError asks `expired()`, which turns it into a Fault where it was ours. Made in the task that it watches.
    """

    __slots__ = ("_at", "_loop", "_rang", "_stage", "_started", "_task", "_timer", "_total", "_what")

    def __init__(self, total: float) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a deadline watches a task")
        self._task = task
        self._loop = asyncio.get_running_loop()
        self._started = self._loop.time()
        self._total = self._started + total
        self._at = self._total
        self._stage = total
        self._what = "total"
        self._rang = False
        self._timer: asyncio.TimerHandle | None = None

    def stage(self, name: str, seconds: float) -> None:
        """From now on, each wait may last this long. `name` is the setting's, for the message."""
        self._what, self._stage = name, seconds
        self.progress()
        moment = min(self._at, self._total)
        if self._timer is None or self._timer.when() > moment:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._loop.call_at(moment, self._ring)

    def progress(self) -> None:
        self._at = self._loop.time() + self._stage

    def extend(self, total: float) -> None:
        """The call as a whole may take this long from its start."""
        self._total = self._started + total

    def left(self) -> float:
        """Seconds until the call as a whole must be over."""
        return self._total - self._loop.time()

    def _ring(self) -> None:
        self._timer = None
        moment = min(self._at, self._total)
        if self._loop.time() < moment:  # there has been progress since the timer was set
            self._timer = self._loop.call_at(moment, self._ring)
            return
        self._rang = True
        self._task.cancel()

    def expired(self) -> Fault | None:
        """After a CancelledError: the Fault it stands for, if it was this deadline's doing alone."""
        if not self._rang or self._task.uncancel() > 0:
            return None
        self._rang = False
        if self.left() <= 0:
            return Fault("timeout", "the call took longer than its `timeouts.total`")
        return Fault("timeout", f"the provider was silent for longer than `timeouts.{self._what}`, {self._stage:g} s")

    def close(self) -> None:
        """The call is over."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
