"""What became of a request on its way."""

from msgspec import Struct

from gateway.snapshot import Hop
from providers.base import Change


class Trail(Struct):
    """What became of a request on its way: filled in as it goes, so that it is there also when the request fails."""

    started: float
    """By `perf_counter`: uvloop's own clock counts milliseconds."""
    hop: Hop | None = None
    attempts: int = 0
    changes: tuple[Change, ...] = ()
    own: tuple[Change, ...] = ()
    """What the surface itself has changed, whichever hop serves: told, and done, like a hop's changes."""
    waited: float = 0.0
    """Seconds spent waiting for providers before the client's first byte."""
    faults: list[str] = []

    def take(self, other: "Trail") -> None:
        """What became of the same request on a way beside this one."""
        self.hop, self.changes = other.hop, other.changes
        self.attempts += other.attempts
        self.waited = max(self.waited, other.waited)
        self.faults += other.faults
