"""Live state of account models, outside the snapshot and keyed by name: which of them fail, and when to try them again."""

from collections.abc import Callable
from time import monotonic

from msgspec import Struct

from gateway.settings import Breaker
from providers.base import Kind

FAILURES: frozenset[Kind] = frozenset({"unreachable", "timeout", "overloaded", "broken"})
"""Faults that are the provider's doing. A refusal or a caller's mistake says nothing of its health."""
MOST_KNOWN = 10_000


class State(Struct):
    failed: int = 0
    """In a row."""
    closed_until: float = 0.0
    """Not tried before this moment, by the monotonic clock."""
    probing: bool = False


class Health:
    """A breaker for each hop by its name, `account/model`. Those that never failed cost nothing."""

    def __init__(self, *, now: Callable[[], float] = monotonic) -> None:
        self._now = now
        self._states: dict[str, State] = {}

    def lets(self, hop: str) -> bool:
        """Whether the hop may be tried now. Of a hop that has failed, one at a time may, after its pause."""
        state = self._states.get(hop)
        if state is None or not state.closed_until:
            return True
        if self._now() < state.closed_until or state.probing:
            return False
        state.probing = True
        return True

    def well(self, hop: str) -> None:
        """It has answered."""
        if self._states:
            self._states.pop(hop, None)

    def ill(self, hop: str, kind: Kind, breaker: Breaker) -> None:
        """It has failed."""
        state = self._states.get(hop)
        if kind not in FAILURES:
            if state is not None:
                state.probing = False
            return
        if state is None:
            if len(self._states) >= MOST_KNOWN:
                self._states.clear()
            state = self._states[hop] = State()
        state.failed += 1
        state.probing = False
        if state.failed >= breaker.failures:
            state.closed_until = self._now() + breaker.cooldown

    def left(self, hop: str) -> None:
        """An attempt was given up by the client: it says nothing."""
        if state := self._states.get(hop):
            state.probing = False
