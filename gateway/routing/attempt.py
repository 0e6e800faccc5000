"""Tries a plan's hops until one answers. Nothing has been sent to the client while this runs."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Iterator
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
FIRST_PAUSE = 0.1
LONGEST_PAUSE = 2.0


class Attempts:
    """How one request is tried: over a plan, under one deadline, noting its trail."""

    def __init__(self, upstream: Upstream, health: Health, deadline: Deadline, trail: Trail, *, strict: bool) -> None:
        self._upstream = upstream
        self._health = health
        self._deadline = deadline
        self._trail = trail
        self._asking = Asking(upstream, deadline, trail, strict=strict)

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

    async def _over(self, plan: Plan, once: Callable[[Hop], Awaitable[T]]) -> T:
        last: Fault | None = None
        trail = self._trail
        health = self._health
        for hop in self._in_health(plan):
            trail.hop = hop
            number = 0
            while True:
                trail.attempts += 1
                began = perf_counter()
                try:
                    answer = await once(hop)
                    trail.waited += perf_counter() - began
                    health.well(hop.name)
                    return answer
                except Fault as fault:
                    last = fault
                except asyncio.CancelledError:
                    last = self._deadline.expired()
                    if last is None:
                        health.left(hop.name)
                        raise
                except BaseException:
                    health.left(hop.name)
                    raise
                took = perf_counter() - began
                trail.waited += took
                if last.kind == "timeout" and self._deadline.left() <= 0 and self._deadline.impatient:
                    health.left(hop.name)  # the client's patience is not the provider's fault
                else:
                    health.ill(hop.name, last.kind, hop.breaker)
                trail.faults.append(f"{hop.name}: {last.kind}")
                log.info("attempt %d at %s failed: %s (%s)", trail.attempts, hop.name, last.kind, last.code)
                if last.stale and number == 0:
                    self._upstream.forget(hop.account)
                elif not self._again(hop, last, number, took):
                    break
                else:
                    try:
                        over = await self._pause(number, last)
                    except asyncio.CancelledError:
                        health.left(hop.name)
                        raise
                    if over:
                        health.left(hop.name)
                        raise over from None
                number += 1
            if not VERDICTS[last.kind].next or self._deadline.left() <= 0:
                raise last
        raise last or Fault("unreachable", "no hop may serve this request")

    def _in_health(self, plan: Plan) -> Iterator[Hop]:
        """The hops that may be tried; where all are being rested, the first is tried all the same."""
        none = True
        for hop in plan.hops:
            if self._health.lets(hop.name):
                none = False
                yield hop
        if none and plan.hops:
            yield plan.hops[0]

    def _again(self, hop: Hop, fault: Fault, number: int, took: float) -> bool:
        retry = hop.retry
        if not VERDICTS[fault.kind].again or number >= retry.max:
            return False
        if retry.only_if_failed_within is not None and took > retry.only_if_failed_within:
            return False
        wait = fault.retry_after or 0.0
        return wait <= retry.retry_after_cap and wait < self._deadline.left() and self._health.lets(hop.name)

    async def _pause(self, number: int, fault: Fault) -> Fault | None:
        """What the provider asked for; else a moment that doubles, with jitter so that those who failed together do not return together.
        A Fault if the call's time is up before it is over."""
        wait = fault.retry_after
        if wait is None:
            wait = min(FIRST_PAUSE * 2**number, LONGEST_PAUSE) * (0.5 + random.random() / 2)
        self._deadline.stage("total", self._deadline.left())
        try:
            await asyncio.sleep(wait)
        except asyncio.CancelledError:
            if over := self._deadline.expired():
                return over
            raise
        return None
