"""Live state of account models, outside the snapshot and keyed by name: which of them fail, when to try them again, how often to retry."""

import random
from collections.abc import Callable
from time import monotonic

from msgspec import Struct

from gateway.routing.limits import Limits
from gateway.routing.pace import Paces
from gateway.settings import Breaker
from providers.base import Fault, Kind

FAILURES: frozenset[Kind] = frozenset({"unreachable", "timeout", "overloaded", "broken"})
"""Faults that are the provider's doing. A refusal or a caller's mistake says nothing of its health."""
WINDOW = 30.0
"""Seconds over which shares are looked at."""
SHARE, OF = 0.5, 20
"""A hop is rested, too, when this share of its answers fails, of at least so many within a window."""
LONGEST_REST = 300.0
JITTER = 0.2
RETRIES, FREE_RETRIES = 0.2, 3
"""Retries may be this share of an account's requests within a window, and so many in any case: more would be a load of their own."""
MOST_KNOWN = 10_000


class State(Struct):
    failed: int = 0
    """In a row."""
    rested: int = 0
    """How often, lately: each rest is longer than the one before."""
    rested_at: float = 0.0
    closed_until: float = 0.0
    """Not tried before this moment, by the monotonic clock."""
    proving: bool = False
    """After its rest, one request at a time tries it, until one succeeds."""
    probing: bool = False
    since: float = 0.0
    """When the window began, of which `seen` answers were counted, `bad` of them failures."""
    seen: int = 0
    bad: int = 0


class Seen(Struct, frozen=True):
    """How a hop that has failed lately is doing."""

    failed: int
    """In a row."""
    wait: float
    """Seconds until it is tried again; 0: it is."""
    proving: bool
    """By one request at a time, until one succeeds."""


class Budget(Struct):
    since: float
    requests: int = 0
    retries: int = 0


class Health:
    """A breaker for each hop by its name, `account/model`, and a budget of retries for each account."""

    def __init__(self, *, now: Callable[[], float] = monotonic, draw: Callable[[], float] = random.random) -> None:
        self._now = now
        self._draw = draw
        self._states: dict[str, State] = {}
        self._budgets: dict[str, Budget] = {}
        self.limits = Limits()
        self.pace = Paces()

    def open(self, hop: str) -> bool:
        """Whether the hop might be tried now."""
        state = self._states.get(hop)
        return state is None or (self._now() >= state.closed_until and not state.probing)

    def lets(self, hop: str) -> bool:
        """As `open`; and of a hop that has failed, the one who is told so is its probe, who has to say what came of it."""
        if not self._states:
            return True
        if not self.open(hop):
            return False
        if (state := self._states.get(hop)) and state.proving:
            state.probing = True
        return True

    def well(self, hop: str) -> None:
        """It has answered."""
        if not self._states or (state := self._states.get(hop)) is None:
            return
        state.failed = 0
        state.proving = state.probing = False
        state.closed_until = 0.0
        self._count(state, bad=False)
        if not state.bad and (not state.rested or self._now() > state.rested_at + LONGEST_REST):
            del self._states[hop]

    def ill(self, hop: str, fault: Fault, breaker: Breaker) -> None:
        """It has failed."""
        state = self._states.get(hop)
        wait = fault.retry_after if fault.kind == "rate_limited" else None
        if fault.kind not in FAILURES and wait is None:
            if state is not None:
                state.probing = False
            return
        if state is None:
            if len(self._states) >= MOST_KNOWN:
                self._states.clear()
            state = self._states[hop] = State(since=self._now())
        state.probing = False
        if wait is not None:  # it says itself when to come back
            state.closed_until = max(state.closed_until, self._now() + wait)
            return
        state.failed += 1
        self._count(state, bad=True)
        if state.proving or state.failed >= breaker.failures or (state.seen >= OF and state.bad >= SHARE * state.seen):
            self._rest(state, breaker)

    def resting(self) -> int:
        """How many hops are not tried at present."""
        return sum(not self.open(hop) for hop in self._states)

    def seen(self) -> dict[str, Seen]:
        """By hop; those that are well are not among them."""
        now = self._now()
        return {hop: Seen(it.failed, max(0.0, it.closed_until - now), it.proving) for hop, it in self._states.items()}

    def left(self, hop: str) -> None:
        """An attempt was given up by the client: it says nothing."""
        if state := self._states.get(hop):
            state.probing = False

    def asked(self, account: str) -> None:
        """A request goes to the account for the first time."""
        self._budget(account).requests += 1

    def spend_retry(self, account: str) -> bool:
        """Whether the account's budget has a retry left, which is then spent."""
        budget = self._budget(account)
        if budget.retries >= max(FREE_RETRIES, RETRIES * budget.requests):
            return False
        budget.retries += 1
        return True

    def _rest(self, state: State, breaker: Breaker) -> None:
        state.rested += 1
        rest = min(breaker.cooldown * state.rested, max(LONGEST_REST, breaker.cooldown))
        state.rested_at = self._now()
        state.closed_until = state.rested_at + rest * (1 + JITTER * (2 * self._draw() - 1))
        state.proving = True
        state.seen = state.bad = 0

    def _count(self, state: State, *, bad: bool) -> None:
        if self._now() > state.since + WINDOW:
            state.since, state.seen, state.bad = self._now(), 0, 0
        state.seen += 1
        state.bad += bad

    def _budget(self, account: str) -> Budget:
        budget = self._budgets.get(account)
        if budget is None or self._now() > budget.since + WINDOW:
            if len(self._budgets) >= MOST_KNOWN:
                self._budgets.clear()
            budget = self._budgets[account] = Budget(self._now())
        return budget
