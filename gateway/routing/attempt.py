"""Tries a plan's hops until one answers. Nothing has been sent to the client while this runs."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Coroutine
from time import perf_counter, time
from typing import Any, Protocol, TypeVar

from gateway.accounting.grants import Drawn
from gateway.deadline import Deadline
from gateway.routing.asking import Asking
from gateway.routing.begun import SHAPELESS, Begun
from gateway.routing.health import Health
from gateway.routing.limits import Held
from gateway.routing.plan import Plan
from gateway.routing.tasks import Book
from gateway.routing.trail import Trail
from gateway.routing.verdicts import VERDICTS
from gateway.snapshot import Hop
from gateway.upstream import Upstream
from providers.base import Fault, GoesOn, Json

log = logging.getLogger(__name__)

T = TypeVar("T")
REDIRECTS = range(300, 400)
FIRST_PAUSE = 0.05
FIRST_PAUSE_OF_THE_LIMITED = 0.5
LONGEST_PAUSE = 2.0


class Payer(Protocol):
    """Who pays for attempts, where grants may."""

    def gifted(self, hop: Hop) -> bool:
        """Whether a grant may pay for what the hop uses."""

    async def draw(self, hop: Hop, until: float) -> Drawn | None:
        """Holds what an attempt may use that is over by `until`, in unix seconds."""

    def serves(self, drawn: Drawn | None) -> None:
        """The attempt is the one that answers."""

    def give_back(self, drawn: Drawn) -> None:
        """It has come to nothing."""

    def given_up(self, hop: Hop) -> None:
        """An attempt beside the one that answers was cut off: its provider has read the prompt, and will want to be paid for it."""


Once = Callable[[Asking, Hop], Awaitable[T]]
"""One attempt at a hop."""


def continuation(hop: Hop, body: Json, said: str) -> Json | None:
    """The request for what comes after `said`; None where the hop cannot go on with an answer."""
    return hop.translator.continuation(body, said) if isinstance(hop.translator, GoesOn) else None


class Attempts:
    """How one request is tried: over a plan, under one deadline, noting its trail."""

    def __init__(
        self,
        upstream: Upstream,
        health: Health,
        deadline: Deadline,
        trail: Trail,
        *,
        strict: bool,
        payer: Payer | None = None,
        book: Book | None = None,
    ) -> None:
        """`book`: where tasks are written down, for endpoints whose providers take some."""
        self._payer = payer
        self._book = book
        self._upstream = upstream
        self._health = health
        self._deadline = deadline
        self._trail = trail
        self._strict = strict
        self._asking = Asking(upstream, deadline, trail, strict=strict, book=book)
        self._held: list[Held] = []
        """What has been taken of accounts with limits, and is not yet given back."""
        self._took = 0.0
        """Seconds of the last attempt."""
        self._streams = False

    def close(self, usage: Json | None) -> None:
        """All is over: what accounts with limits have been sent is known now."""
        if self._held:
            self._health.limits.give_back(self._held, (usage or {}).get("total_tokens") or 0)
            self._held = []

    def plain(self, plan: Plan, bodies: Callable[[Hop], list[Json]], whole: Callable[[Hop, list[Json]], T]) -> Coroutine[Any, Any, T]:
        """What `whole` makes of the answers of the first hop that gives them to all of `bodies(hop)`."""

        async def once(asking: Asking, hop: Hop) -> T:
            asked = bodies(hop)
            answers = [await asking.answer(hop, asked[0])] if len(asked) == 1 else [await asking.answer(hop, body) for body in asked]
            try:
                return whole(hop, answers)
            except SHAPELESS as exc:
                raise Fault("broken", "the provider's answer is of no known form") from exc

        return self._over(plan, bodies, once)

    async def stream(self, plan: Plan, body: Json) -> Begun:
        """The beginning of a stream that has said something. The caller closes it."""
        self._streams = True
        return await self._over(plan, lambda hop: [body], lambda asking, hop: asking.stream(hop, body))

    async def either(self, plan: Plan, body: Json, once: Once[T]) -> T:
        """What `once` makes of the first hop that answers: where it depends on the hop whether an answer comes as a stream."""
        return await self._over(plan, lambda hop: [body], once)

    async def go_on(self, plan: Plan, body: Json, said: str) -> Begun | None:
        """The rest of an answer that broke off after `said`, from a hop that can go on with it; None if there is none. Raises Fault."""
        asked = {hop.name: rest for hop in plan.hops if (rest := continuation(hop, body, said)) is not None and self._health.open(hop.name)}
        able = sorted((hop for hop in plan.hops if hop.name in asked), key=lambda hop: hop is self._trail.hop)  # who broke off comes last
        if not able:
            return None
        return await self._over(Plan(tuple(able)), lambda hop: [asked[hop.name]], lambda asking, hop: asking.stream(hop, asked[hop.name]))

    def broke(self, fault: Fault) -> None:
        """A stream that had begun has ended in a fault."""
        hop = self._trail.hop
        if hop is None:
            return
        self._trail.faults.append(f"{hop.name}: {fault.kind} in the stream")
        if self._deadline.left() > 0:
            self._health.ill(hop.name, fault, hop.breaker)

    async def _over(self, plan: Plan, bodies: Callable[[Hop], list[Json]], once: Once[T]) -> T:
        last: Fault | None = None
        turns = Turns(plan, bodies, self._health, self._trail.faults)
        while hop := turns.next():
            answer = await (self._at(hop, turns, once) if hop.hedge is None else self._race(hop, hop.hedge, turns, once))
            if not isinstance(answer, Fault):
                return answer
            last = answer
            del answer
            if self._deadline.left() <= 0 or not turns.go_on(self._trail.hop or hop, last):
                break
        try:
            raise last or turns.why_none()
        finally:
            last = None  # as above

    async def _at(self, hop: Hop, turns: "Turns", once: Once[T]) -> T | Fault:
        """What comes of a hop, tried as often as may help."""
        self._trail.hop = hop
        self._health.asked(hop.account.name)
        number = refused = 0
        if self._payer is not None and self._payer.gifted(hop):
            once = self._gifted(self._payer, once)
        attempt = self._timed if hop.timed else self._once if hop.account.limits is None else self._within_limits
        while isinstance(answer := await attempt(hop, turns, once), Fault):
            if answer.spare and refused < len(hop.account.spare):
                refused += 1
                continue
            if answer.stale and number == 0:
                self._upstream.forget(hop.account)
            elif self._again(hop, answer, number, turns):
                await self._pause(hop, number, answer)
            else:
                break
            number += 1
        return answer

    async def _timed(self, hop: Hop, turns: "Turns", once: Once[T]) -> T | Fault:
        """One attempt, where the route wants to know how fast its hops are."""
        pace, began = self._health.pace, perf_counter()
        seconds, failed = None, False
        pace.begin(hop.name, stream=self._streams)
        try:
            answer = await (self._once if hop.account.limits is None else self._within_limits)(hop, turns, once)
            seconds, failed = perf_counter() - began, isinstance(answer, Fault)
            return answer
        finally:
            pace.end(hop.name, seconds, stream=self._streams, failed=failed)

    async def _within_limits(self, hop: Hop, turns: "Turns", once: Once[T]) -> T | Fault:
        """One attempt, counted in the limits of the account."""
        held = [taken for body in turns.bodies(hop) if (taken := self._health.limits.take(hop.account, body))]
        self._held += held
        answer = await self._once(hop, turns, once)
        if isinstance(answer, Fault):
            self._health.limits.give_back(held, 0)
            self._held = [one for one in self._held if one not in held]
        return answer

    def _gifted(self, payer: Payer, once: Once[T]) -> Once[T]:
        """The same attempt, for as long as it lasts with what it may use held of the account's grants."""

        async def paid(asking: Asking, hop: Hop) -> T:
            drawn = await payer.draw(hop, time() + self._deadline.left())
            try:
                answer = await once(asking, hop)
            except BaseException:
                if drawn is not None:
                    payer.give_back(drawn)
                raise
            payer.serves(drawn)
            return answer

        return paid

    async def _race(self, hop: Hop, after: float, turns: "Turns", once: Once[T]) -> T | Fault:
        """What comes of a hop, and of the next beside it where this one lets the client wait for `after` seconds. The first that answers
        serves; the other is given up, and what it has cost is lost."""
        racers: dict[asyncio.Task[T | Fault], Attempts] = {}

        def start(one: Hop) -> None:
            trail = Trail(self._trail.started, own=self._trail.own)
            runner = Attempts(self._upstream, self._health, self._deadline, trail, strict=self._strict, payer=self._payer, book=self._book)
            runner._streams = self._streams
            racers[asyncio.create_task(runner._at(one, turns, once))] = runner

        start(hop)
        wait: float | None = after
        fault: Fault | None = None
        try:
            while running := [task for task in racers if not task.done()]:
                done, _ = await asyncio.wait(running, timeout=wait, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    answer = task.result()
                    self._trail.take(racers[task]._trail)
                    self._held += racers[task]._held
                    racers[task]._held = []
                    if not isinstance(answer, Fault):
                        return answer
                    fault = answer
                if not done or wait is None:
                    if wait is not None and (other := turns.next()):
                        start(other)
                    wait = None
        except asyncio.CancelledError:
            fault = self._deadline.expired()
            if fault is None:
                raise
            self._trail.take(next(iter(racers.values()))._trail)
        finally:
            await self._give_up(racers)
        return fault or Fault("timeout", "no hop has answered")

    async def _give_up(self, racers: "dict[asyncio.Task[T | Fault], Attempts]") -> None:
        """Ends those that still run, and closes what one has got too late."""
        late = [task for task, runner in racers.items() if runner._trail.hop is not self._trail.hop or not task.done()]
        for task in late:
            if task.cancel() and (hop := racers[task]._trail.hop):
                self._trail.faults.append(f"{hop.name}: given up")
                if self._payer is not None:
                    self._payer.given_up(hop)
        for answer in await asyncio.gather(*late, return_exceptions=True):
            if close := getattr(answer, "close", None):
                close()
        for runner in racers.values():
            runner.close(None)

    async def _once(self, hop: Hop, turns: "Turns", once: Once[T]) -> T | Fault:
        """One attempt, and what it says of the hop's health."""
        trail, health = self._trail, self._health
        trail.attempts += 1
        began = perf_counter()
        try:
            answer = await once(self._asking, hop)
            trail.waited += perf_counter() - began
            health.well(hop.name)
            return answer
        except Fault as found:
            fault = found.with_traceback(None)  # which leads here, and from here to the fault: the two would wait for the garbage collector
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
        if fault.spare or (fault.kind == "timeout" and self._deadline.left() <= 0 and self._deadline.impatient):
            health.left(hop.name)  # neither the client's patience nor one key of several is the provider's fault
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

    __slots__ = ("_faults", "_health", "_hops", "_larger_than", "_limited", "_next", "_plan", "_refused", "_tried", "bodies")

    def __init__(self, plan: Plan, bodies: Callable[[Hop], list[Json]], health: Health, faults: list[str]) -> None:
        self._plan = plan
        self.bodies = bodies
        """What a hop is sent."""
        self._limited = 0.0
        """Seconds until the first of the hops is free that have reached their account's limits."""
        self._health = health
        self._faults = faults
        """Where it is written down why a hop has been passed over."""
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
            if hop.target.model.context < self._larger_than or (hop.account.limits is not None and self._waits(hop)):
                continue
            if self._health.lets(hop.name):
                self._tried = True
                return hop
            self._faults.append(f"{hop.name}: resting")
        if self._tried or self._limited or not self._hops:
            return None
        self._tried = True
        return self._hops[0]

    def _waits(self, hop: Hop) -> bool:
        """Whether the hop's account has reached one of its limits."""
        wait = max(self._health.limits.wait(hop.account, body) for body in self.bodies(hop))
        if wait:
            self._limited = min(wait, self._limited or wait)
        return wait > 0

    def why_none(self) -> Fault:
        """What the client is told where no hop has been tried."""
        if self._limited:
            return Fault("rate_limited", "every account that may serve this has reached its own limits", retry_after=self._limited)
        return Fault("unreachable", "no hop may serve this request")

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
