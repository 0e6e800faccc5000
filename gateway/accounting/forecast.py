"""When something that is being used up will be, from how fast it has been used lately."""

from collections import deque

from msgspec import Struct

DAY = 86_400.0
LOOKS = 300
"""That are remembered: a day of one every five minutes."""
SOON = 60.0
"""Seconds below which two looks are one."""


class Forecast(Struct, frozen=True):
    """Times are unix seconds."""

    a_day: float
    """Tokens, at the pace of the last day, or of as much of it as was seen."""
    exhausted: float | None
    """When nothing is left, if that is before it expires."""
    unused: int
    """What will be left when it expires."""


class Track:
    """How much had been used, at the moments when somebody looked."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque(maxlen=LOOKS)

    def saw(self, now: float, used: int) -> None:
        if self._seen and (used < self._seen[-1][1] or now < self._seen[-1][0]):
            self._seen.clear()  # corrected by a bill, or the clock was
        if len(self._seen) >= 2 and now - self._seen[-2][0] < SOON:
            self._seen.pop()
        self._seen.append((now, used))

    def forecast(self, left: int, expires: float, now: float) -> Forecast:
        pace = self._pace(now)
        lasts = left / pace if pace else float("inf")
        remaining = max(0.0, expires - now)
        if not left:
            return Forecast(pace * DAY, now, 0)
        if lasts < remaining:
            return Forecast(pace * DAY, now + lasts, 0)
        return Forecast(pace * DAY, None, max(0, left - int(pace * remaining)))

    def _pace(self, now: float) -> float:
        """Tokens a second."""
        lately = [one for one in self._seen if one[0] >= now - DAY]
        if len(lately) < 2 or lately[-1][0] <= lately[0][0]:
            return 0.0
        return (lately[-1][1] - lately[0][1]) / (lately[-1][0] - lately[0][0])
