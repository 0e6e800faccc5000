"""A streamed answer on its way to the client: from its first words to exactly one end, whatever becomes of the provider."""

import asyncio
from typing import Protocol

from gateway import usage
from gateway.api.grammar import Grammar
from gateway.api.wire import Exchange, Left, refusal_of
from gateway.deadline import Deadline
from gateway.emulation.goingon import may_go_on, what_is_left
from gateway.emulation.whole import added
from gateway.routing.attempt import Attempts
from gateway.routing.begun import SHAPELESS, Begun
from gateway.routing.plan import Plan
from gateway.routing.trail import Trail
from providers.base import Fault, Json

LOOK_AFTER = 32 << 10
"""Bytes of events after which what is kept of an answer is looked at."""
LONGEST_KEPT = 64 << 10
"""Characters that are kept of an answer for counting, should no usage come."""
SAMPLE = 4096
"""Characters that are counted of what is not: whoever sends very much should not have it all counted, or have it wait for that."""


class Form(Protocol):
    """How a surface tells an answer of chat."""

    def whole(self, answer: Json) -> Json:
        """Its reply, made of a complete chat completion with usage, which may be edited."""

    def stream(self, model: str) -> Grammar:
        """How it is told as it comes. `model`: what serves, should the provider not say."""

    async def over(self) -> None:
        """Awaited when all has been said and the client has not seen the end yet: what must be kept is kept here. Raises nothing."""


class Telling:
    """One stream. It ends with a finish and [DONE], or with an error event and neither."""

    def __init__(self, exchange: Exchange, attempts: Attempts, plan: Plan, deadline: Deadline, body: Json, form: Form) -> None:
        self._exchange = exchange
        self._attempts = attempts
        self._plan = plan
        self._deadline = deadline
        self._body = body
        self._form = form
        self._spent: list[Json | None] = []
        """Usage of answers that broke off and were gone on with."""
        self._counted = 0
        """How many of the stream's words are in it."""
        self._handed = 0
        """Bytes of events since what is kept was looked at."""
        self._counting: list[tuple[asyncio.Future[Json], float]] = []
        """Counts of samples of what is not kept any more, and how many times as long that was."""

    async def tell(self) -> None:
        """Raises Refusal while nothing has been sent, and Left when the client has gone."""
        exchange, trail = self._exchange, self._exchange.trail
        exchange.stream = True
        try:
            begun = await self._attempts.stream(self._plan, self._body)
        except Fault as fault:
            raise refusal_of(fault, trail) from fault
        self._deadline.extend(self._plan.hops[0].timeouts.total)  # a client's read timeout is of each wait, not of a whole stream
        out = self._form.stream(trail.hop.target.model.id if trail.hop else "")
        exchange.fails = out.fails
        try:
            await exchange.begin()
            await self._words(begun, out)
        finally:
            if out.usage is None or self._spent:
                await self._settle_late(out)
            for counted, _ in self._counting:
                counted.cancel()
            exchange.usage, exchange.finish = out.usage, out.finish

    async def _words(self, begun: Begun, out: Grammar) -> None:
        further: Begun | None = begun
        while further is not None:
            begun = further
            try:
                last = await self._all_of(begun, out)
                if out.usage is None or self._spent:
                    self._deadline.stage("total", self._deadline.left())
                    await self._settle(out)
                return await self._finish(last + out.end(), out)
            except (Fault, *SHAPELESS) as exc:
                if self._exchange.left:
                    return None
                fault = exc.with_traceback(None) if isinstance(exc, Fault) else Fault("broken", "the provider's answer is of no known form")
                fault.__context__ = None  # or it and this frame, or that of what it came of, would wait for the garbage collector
                self._attempts.broke(fault)
                further = await self._further(fault, out)
            except asyncio.CancelledError:
                if self._exchange.left:
                    raise Left from None
                raise
            finally:
                begun.close()
        refusal = refusal_of(fault, self._exchange.trail)
        self._exchange.refused = str(refusal)
        await self._settle_late(out)
        return await self._finish(out.fails(refusal), out)

    async def _finish(self, events: bytes, out: Grammar) -> None:
        """The end of the answer, when it is known what it has used."""
        self._exchange.usage, self._exchange.finish = out.usage, out.finish
        self._deadline.stage("total", self._deadline.left())  # that of the provider's last words is short, and a store may take longer
        await self._form.over()
        await self._hand_over(events, last=True)

    async def _all_of(self, begun: Begun, out: Grammar) -> bytes:
        """Hands over all but the last events of an answer. Raises Fault where it breaks off."""
        events = out.feed(begun.first)
        begun.first = []  # a client that reads slowly should not hold chunks as well as what has been made of them
        await self._hand_over(events)
        while (chunks := await begun.more()) is not None:
            if chunks and (events := out.feed(chunks)):
                chunks = None
                if not self._exchange.put(events):
                    await self._hand_over(events)
                self._handed += len(events)
                if self._handed > LOOK_AFTER:
                    self._handed = 0
                    self._keep_less(out)
        return out.feed(begun.rest())

    def _keep_less(self, out: Grammar) -> None:
        """Of a long answer only so much is kept, unless it may have to be gone on with: the rest is counted beside the stream, should no
        usage come."""
        hop = self._exchange.trail.hop
        if hop is None or hop.goes_on:
            return
        said = "".join(out.others) + "".join(out.words)
        if len(said) > LONGEST_KEPT:
            counted = asyncio.ensure_future(usage.estimated({}, [said[:SAMPLE]], hop.target.model.tokenizer))
            self._counting.append((counted, len(said) / SAMPLE))
            said = ""
        out.others, out.words = [], [said]  # one text takes less room than its words

    async def _further(self, fault: Fault, out: Grammar) -> Begun | None:
        """The rest of an answer that broke off, where the route wants it and another hop can give it; else None."""
        hop, said = self._exchange.trail.hop, "".join(out.words)
        if hop is None or not hop.goes_on or not may_go_on(self._body, fault, said, called=out.called):
            return None
        tokenizer = tokenizer_of(self._exchange.trail)
        self._deadline.stage("total", self._deadline.left())
        try:
            left = await what_is_left(self._body, said, tokenizer)
            spent = out.usage or await usage.estimated(self._body, [*out.others, *out.words[self._counted :]], tokenizer)
            if left is None:
                return None
            if self._exchange.booking is not None:
                self._exchange.booking.broke_off(hop, spent)
            begun = await self._attempts.go_on(self._plan, left, said)
        except Fault:
            return None
        except asyncio.CancelledError:
            if self._exchange.left or self._deadline.expired() is None:
                raise
            return None
        if begun is not None and self._exchange.trail.hop is not None:
            self._spent.append(spent)
            self._counted = len(out.words)
            out.usage = None
            out.others = []
            out.continued_by.append(self._exchange.trail.hop.name)
        return begun

    async def _settle(self, out: Grammar) -> None:
        """What was used, counted where nobody tells: also of an answer that was cut off, by whomever."""
        if out.usage is None:
            said = [*out.others, *out.words[self._counted :]]
            out.usage = await usage.estimated(self._body, said, tokenizer_of(self._exchange.trail))
            ahead = sum([round((await counted)["completion_tokens"] * times) for counted, times in self._counting])
            out.usage["completion_tokens"] += ahead
            out.usage["total_tokens"] += ahead
        if self._spent:
            out.usage = added([*self._spent, out.usage])
            self._spent = []

    async def _settle_late(self, out: Grammar) -> None:
        """The same for an answer that is over, when no deadline may spoil its record."""
        self._deadline.close()
        try:
            await self._settle(out)
        except (asyncio.CancelledError, OSError):
            if self._deadline.expired() is None and not self._exchange.left:
                raise

    async def _hand_over(self, events: bytes, *, last: bool = False) -> None:
        """Writes to the client. One that reads slowly is waited for as long as the call may take: it is not the provider that is silent."""
        exchange, deadline = self._exchange, self._deadline
        while True:
            try:
                return await (exchange.end(events) if last else exchange.write(events))
            except asyncio.CancelledError:
                fault = None if exchange.left else deadline.expired()
                if fault is None:
                    raise
                if deadline.left() <= 0:
                    exchange.refused = fault.message
                    raise Left from None


def tokenizer_of(trail: Trail) -> str:
    return trail.hop.target.model.tokenizer if trail.hop else ""
