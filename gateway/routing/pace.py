"""How long hops let a first token be awaited: a moving average that believes bad news at once and good news slowly."""

from collections.abc import Callable
from math import exp
from time import monotonic

from msgspec import Struct

SETTLES = 10.0
"""Seconds after which an older measurement has lost two thirds of its weight."""
MOST_KNOWN = 10_000


class Pace(Struct):
    seconds: float = 0.0
    at: float = 0.0
    waiting: int = 0
    """Requests that wait for their first token now: a hop that has begun to hang shows it in these before any measurement does."""


class Paces:
    """By hop and by whether answers are streamed; kept where a route picks the fastest."""

    def __init__(self, *, now: Callable[[], float] = monotonic) -> None:
        self._now = now
        self._known: dict[tuple[str, bool], Pace] = {}

    def of(self, hop: str, *, stream: bool) -> float:
        """Seconds that one more request has to reckon with; 0 where nothing is known, so that each hop is tried."""
        pace = self._known.get((hop, stream))
        return pace.seconds * (pace.waiting + 1) if pace else 0.0

    def known(self) -> dict[tuple[str, bool], float]:
        """Seconds to the first token, by hop and by whether answers are streamed, where some have been measured."""
        return {which: pace.seconds for which, pace in self._known.items() if pace.seconds}

    def begin(self, hop: str, *, stream: bool) -> None:
        if (pace := self._known.get((hop, stream))) is None:
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            pace = self._known[hop, stream] = Pace(at=self._now())
        pace.waiting += 1

    def end(self, hop: str, seconds: float | None, *, stream: bool, failed: bool = False) -> None:
        """The wait is over after so many seconds; None where the client did not stay to see. A failure that comes fast is no speed."""
        if (pace := self._known.get((hop, stream))) is None:
            return
        pace.waiting = max(0, pace.waiting - 1)
        if seconds is None or (failed and seconds < pace.seconds):
            return
        now = self._now()
        kept = exp(-(now - pace.at) / SETTLES)
        pace.seconds = seconds if seconds > pace.seconds else pace.seconds * kept + seconds * (1 - kept)
        pace.at = now
