"""Tries a plan's hops until one answers. Nothing has been sent to the client while this runs."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Iterator
from time import perf_counter
from typing import TypeVar

from msgspec import Struct

from gateway.deadline import Deadline
from gateway.routing.health import Health
from gateway.routing.plan import Plan
from gateway.routing.verdicts import VERDICTS
from gateway.snapshot import Hop
from gateway.upstream import Reply, Upstream
from providers.base import Change, Fault, Json, Outgoing, Stream

log = logging.getLogger(__name__)

T = TypeVar("T")
CHANGED = ("dropped", "clamped", "emulated")
"""Fates that `fidelity: strict` refuses."""
OK = 200
SHAPELESS = (AttributeError, IndexError, KeyError, TypeError, ValueError)
"""What translators run into where a provider sends a list for an object, or a number for a text."""
LARGEST_ERROR = 1 << 20
FIRST_PAUSE = 0.1
LONGEST_PAUSE = 2.0
DONE = b"data: [DONE]"
FAREWELL = 1.0
"""Seconds that a provider which has said `[DONE]` has to end the body, so that its connection can be kept."""


class Trail(Struct):
    """What became of a request on its way: filled in as it goes, so that it is there also when the request fails."""

    started: float
    """By `perf_counter`: uvloop's own clock counts milliseconds."""
    hop: Hop | None = None
    attempts: int = 0
    changes: tuple[Change, ...] = ()
    waited: float = 0.0
    """Seconds spent waiting for providers before the client's first byte."""
    faults: list[str] = []


class Begun:
    """An attempt that has begun to answer: its first chunks are in hand, the rest still on the wire."""

    __slots__ = ("_deadline", "_last", "_reply", "_stream", "first")

    def __init__(self, first: list[Json], stream: Stream, reply: Reply, deadline: Deadline) -> None:
        self.first = first
        self._stream = stream
        self._reply = reply
        self._deadline = deadline
        self._last: list[Json] | None = None

    async def more(self) -> list[Json] | None:
        """The chunks of the next piece, perhaps none; None at the end. Raises Fault if the answer breaks off or stalls."""
        try:
            piece = await self._reply.piece()
        except asyncio.CancelledError:
            if fault := self._deadline.expired():
                return self._whole_in_spite_of(fault)
            raise
        except Fault as fault:
            return self._whole_in_spite_of(fault)
        if not piece:
            return None
        chunks = fed(self._stream, piece)
        if says_done(piece):  # nothing but the end of the body can come now, and some never send it
            self._deadline.stage("idle", FAREWELL)
        elif chunks:  # comments are not progress
            self._deadline.progress()
        return chunks

    def _whole_in_spite_of(self, fault: Fault) -> list[Json] | None:
        """An answer that has given its reason to finish is whole, whatever comes of the connection. Raises the fault of another."""
        try:
            self._last = ended(self._stream)
        except Fault:
            raise fault from None
        return None

    def rest(self) -> list[Json]:
        """What the end of the body completes. Raises Fault if the answer has not ended."""
        return ended(self._stream) if self._last is None else self._last

    def close(self) -> None:
        self._reply.close()


class Attempts:
    """How one request is tried: over a plan, under one deadline, noting its trail."""

    def __init__(self, upstream: Upstream, health: Health, deadline: Deadline, trail: Trail, *, strict: bool) -> None:
        self._upstream = upstream
        self._health = health
        self._deadline = deadline
        self._trail = trail
        self._strict = strict

    async def plain(self, plan: Plan, bodies: Callable[[Hop], list[Json]], whole: Callable[[Hop, list[Json]], T]) -> T:
        """What `whole` makes of the answers of the first hop that gives them to all of `bodies(hop)`."""

        async def once(hop: Hop) -> T:
            answers = [await self._ask(hop, body) for body in bodies(hop)]
            try:
                return whole(hop, answers)
            except SHAPELESS as exc:
                raise Fault("broken", "the provider's answer is of no known form") from exc

        return await self._over(plan, once)

    async def stream(self, plan: Plan, body: Json) -> Begun:
        """The beginning of a stream that has said something. The caller closes it."""
        return await self._over(plan, lambda hop: self._begin(hop, body))

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

    def _request(self, hop: Hop, body: Json) -> Outgoing:
        try:
            outgoing = hop.translator.request({**hop.defaults, **body} if hop.defaults else body, hop.target)
        except RecursionError as exc:  # it could just be read
            raise Fault("bad_request", "the request is nested too deeply") from exc
        except SHAPELESS as exc:
            log.exception("a request could not be said to %s", hop.name)
            raise Fault("unsupported", f"the request cannot be said to {hop.name}") from exc
        changes = outgoing.changes
        if hop.defaults:  # what became of a field that the client did not send is no concern of the client's
            changes = tuple(change for change in changes if change.field in body or change.field not in hop.defaults)
        self._trail.changes = changes
        if self._strict:
            for change in changes:
                if change.fate in CHANGED:
                    why = f": {change.why}" if change.why else ""
                    raise Fault("unsupported", f"`{change.field}` would be {change.fate} at {hop.name}{why}", param=change.field)
        return outgoing

    async def _open(self, hop: Hop, body: Json, *, stream: bool) -> Reply:
        outgoing = self._request(hop, body)
        self._deadline.stage("first_token", hop.timeouts.first(stream=stream))
        return await self._upstream.send(hop.account, outgoing, hop.timeouts.connect)

    async def _ask(self, hop: Hop, body: Json) -> Json:
        reply = await self._open(hop, body, stream=False)
        try:
            raw = await reply.read()
            if reply.status != OK:
                raise hop.translator.fault(reply.status, _lower(reply), raw)
            try:
                return hop.translator.response(raw)
            except SHAPELESS as exc:
                raise Fault("broken", "the provider's answer is of no known form") from exc
        finally:
            reply.close()

    async def _begin(self, hop: Hop, body: Json) -> Begun:
        reply = await self._open(hop, body, stream=True)
        try:
            # JSON where a stream was asked for is an error, whatever the status says
            if reply.status != OK or reply.headers.get("content-type", "").startswith("application/json"):
                raise hop.translator.fault(reply.status, _lower(reply), await reply.read(LARGEST_ERROR))
            stream = hop.translator.stream()
            first, done = await _first_words(stream, reply)
            self._deadline.stage("idle", FAREWELL if done else hop.timeouts.idle)
            return Begun(first, stream, reply, self._deadline)
        except BaseException:
            reply.close()
            raise


def _lower(reply: Reply) -> dict[str, str]:
    return {name.lower(): value for name, value in reply.headers.items()}


async def _first_words(stream: Stream, reply: Reply) -> tuple[list[Json], bool]:
    """(everything up to the first chunk that says something, whether that was all). Until then the attempt may still fail unseen."""
    first: list[Json] = []
    while piece := await reply.piece():
        first += fed(stream, piece)
        if any(map(says_something, first)):
            return first, says_done(piece)
    return first + ended(stream), True


def says_done(piece: bytes) -> bool:
    return piece[-20:].rstrip().endswith(DONE)


def fed(stream: Stream, piece: bytes) -> list[Json]:
    """`stream.feed`, where anything that is not of the form it should be is the provider's failure."""
    try:
        return stream.feed(piece)
    except SHAPELESS as exc:
        raise Fault("broken", "the provider's answer is of no known form") from exc


def ended(stream: Stream) -> list[Json]:
    try:
        return stream.end()
    except SHAPELESS as exc:
        raise Fault("broken", "the provider's answer is of no known form") from exc


def says_something(chunk: Json) -> bool:
    """Whether a client could tell that an answer has begun: a word, a call, a reason to finish."""
    return any(
        choice.get("finish_reason") or any(value for name, value in (choice.get("delta") or {}).items() if name != "role")
        for choice in chunk.get("choices") or ()
    )
