"""Tries a plan's hops until one answers. Nothing has been sent to the client while this runs."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import TypeVar

from gateway.deadline import Deadline
from gateway.routing.asking import Asking
from gateway.routing.begun import SHAPELESS, Begun
from gateway.routing.health import Health
from gateway.routing.plan import Plan
from gateway.routing.trail import Trail
from gateway.routing.verdicts import VERDICTS
from gateway.snapshot import Hop
from gateway.upstream import Upstream
from providers.base import Fault, Json

log = logging.getLogger(__name__)

T = TypeVar("T")
REDIRECTS = range(300, 400)
FIRST_PAUSE = 0.05
FIRST_PAUSE_OF_THE_LIMITED = 0.5
LONGEST_PAUSE = 2.0


class Attempts:
    """How one request is tried: over a plan, under one deadline, noting its trail."""

    def __init__(self, upstream: Upstream, health: Health, deadline: Deadline, trail: Trail, *, strict: bool) -> None:
        self._upstream = upstream
        self._health = health
        self._deadline = deadline
        self._trail = trail
        self._asking = Asking(upstream, deadline, trail, strict=strict)
        self._took = 0.0
        """Seconds of the last attempt."""

    async def plain(self, plan: Plan, bodies: Callable[[Hop], list[Json]], whole: Callable[[Hop, list[Json]], T]) -> T:
        """What `whole` makes of the answers of the first hop that gives them to all of `bodies(hop)`."""

        async def once(hop: Hop) -> T:
            answers = [await self._asking.answer(hop, body) for body in bodies(hop)]
            try:
                return whole(hop, answers)
            except SHAPELESS as exc:
                raise Fault("broken", "the provider's answer is of no known form") from exc

        return await self._over(plan, once)

    async def stream(self, plan: Plan, body: Json) -> Begun:
        """The beginning of a stream that has said something. The caller closes it."""
        return await self._over(plan, lambda hop: self._asking.stream(hop, body))

    def broke(self, fault: Fault) -> None:
        """A stream that had begun has ended in a fault."""
        hop = self._trail.hop
        if hop is not None and self._deadline.left() > 0:
            self._health.ill(hop.name, fault, hop.breaker)

    async def _over(self, plan: Plan, once: Callable[[Hop], Awaitable[T]]) -> T:
        last: Fault | None = None
        turns = Turns(plan, self._health)
        while hop := turns.next():
            self._trail.hop = hop
            self._health.asked(hop.account.name)
            number = 0
            while isinstance(answer := await self._once(hop, once), Fault):
                last = answer
                if last.stale and number == 0:
                    self._upstream.forget(hop.account)
                elif self._again(hop, last, number, turns):
                    await self._pause(hop, number, last)
                else:
                    break
                number += 1
            else:
                return answer
            if self._deadline.left() <= 0 or not turns.go_on(hop, last):
                break
        raise last or Fault("unreachable", "no hop may serve this request")

    async def _once(self, hop: Hop, once: Callable[[Hop], Awaitable[T]]) -> T | Fault:
        """One attempt, and what it says of the hop's health."""
        trail, health = self._trail, self._health
        trail.attempts += 1
        began = perf_counter()
        try:
            answer = await once(hop)
            trail.waited += perf_counter() - began
            health.well(hop.name)
            return answer
        except Fault as found:
            fault = found
        except asyncio.CancelledError:
            expired = self._deadline.expired()
            if expired is None:
                health.left(hop.name)
                raise
            fault = expired
        except BaseException:
            health.left(hop.name)
            raise
        self._took = perf_counter() - began
        trail.waited += self._took
        if fault.kind == "timeout" and self._deadline.left() <= 0 and self._deadline.impatient:
            health.left(hop.name)  # the client's patience is not the provider's fault
        else:
            health.ill(hop.name, fault, hop.breaker)
        trail.faults.append(f"{hop.name}: {fault.kind}")
        log.info("attempt %d at %s failed: %s (%s)", trail.attempts, hop.name, fault.kind, fault.code)
        return fault

    def _again(self, hop: Hop, fault: Fault, number: int, turns: "Turns") -> bool:
        """Whether the same hop is tried once more: where that may help, in time, and within its account's budget of retries."""
        retry = hop.retry
        said_so = fault.kind == "timeout" and fault.status is not None  # a timeout of the provider's own: waiting has cost nothing here
        if not (VERDICTS[fault.kind].again or said_so) or number >= retry.max:
            return False
        if fault.status in REDIRECTS:  # it would say so again
            return False
        if retry.only_if_failed_within is not None and self._took > retry.only_if_failed_within:
            return False
        wait = fault.retry_after or 0.0
        if wait > retry.retry_after_cap or wait >= self._deadline.left() or (wait > LONGEST_PAUSE and turns.others()):
            return False
        return (fault.retry_after is not None or self._health.lets(hop.name)) and self._health.spend_retry(hop.account.name)

    async def _pause(self, hop: Hop, number: int, fault: Fault) -> None:
        """What the provider asked for; else a moment that doubles, with jitter so that those who failed together do not return together.
        Raises a Fault if the call's time is up before it is over."""
        wait = fault.retry_after
        if wait is None:
            first = FIRST_PAUSE_OF_THE_LIMITED if fault.kind == "rate_limited" else FIRST_PAUSE
            wait = min(first * 2**number, LONGEST_PAUSE) * (0.5 + random.random() / 2)
        self._deadline.stage("total", self._deadline.left())
        try:
            await asyncio.sleep(wait)
        except asyncio.CancelledError:
            self._health.left(hop.name)
            if over := self._deadline.expired():
                raise over from None
            raise


class Turns:
    """The hops of a plan in their order, as far as they may be tried. What comes after a fault depends on the fault."""

    __slots__ = ("_health", "_hops", "_larger_than", "_next", "_plan", "_refused", "_tried")

    def __init__(self, plan: Plan, health: Health) -> None:
        self._plan = plan
        self._health = health
        self._hops = plan.hops
        self._next = 0
        self._larger_than = 0
        self._refused = False
        self._tried = False

    def next(self) -> Hop | None:
        """The next hop; where all are being rested, the first all the same. None when there is none left."""
        while self._next < len(self._hops):
            hop = self._hops[self._next]
            self._next += 1
            if hop.target.model.context >= self._larger_than and self._health.lets(hop.name):
                self._tried = True
                return hop
        if self._tried or not self._hops:
            return None
        self._tried = True
        return self._hops[0]

    def others(self) -> bool:
        """Whether another hop might be tried now."""
        return any(self._health.open(hop.name) for hop in self._hops[self._next :])

    def go_on(self, hop: Hop, fault: Fault) -> bool:
        """Whether another hop may help after this fault of `hop`; those that cannot are passed over from now on."""
        if fault.kind == "too_long":  # only a model that is known to read more
            self._larger_than = hop.target.model.context + 1
            return hop.target.model.context > 0
        if fault.kind == "refused" and not self._refused:  # an outage of nobody: such content goes only where the team has said
            self._hops, self._next, self._refused, self._tried = self._plan.on_refusal, 0, True, False
            return bool(self._hops)
        return VERDICTS[fault.kind].next or fault.kind == "refused"
