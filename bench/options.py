"""What a run is told."""

from msgspec import Struct


class Options(Struct, frozen=True):
    rounds: int = 5
    seconds: float = 4.0
    """Of one measurement."""
    rates: tuple[int, ...] = (200, 1000)
    """Requests a second."""
    streams: tuple[int, ...] = (100, 1000, 2000)
    """Open at once."""
    many: int = 10_000
    """Keys and routes that are many."""
    rows: int = 1_000_000
    """Of usage in a database that is not empty."""
