"""POST /v1/chat/completions, plain and streamed."""

import asyncio
import time

from gateway import usage
from gateway.api import legacy_functions, validate
from gateway.api.auth import authenticate
from gateway.api.chat_out import ChatStream, complete, usage_of
from gateway.api.serving import Serving, plan_for
from gateway.api.wire import Exchange, Left, event, refusal_of
from gateway.deadline import Deadline
from gateway.routing.attempt import Attempts
from gateway.routing.begun import SHAPELESS, Begun
from gateway.routing.plan import Plan, facts_of
from gateway.snapshot import Hop
from providers.base import Fault, Json, encode


async def chat(exchange: Exchange, serving: Serving, deployment: str = "") -> None:
    """Answers one request. `deployment`: the model, where the path names it."""
    snapshot = serving.snapshot
    key = authenticate(exchange, snapshot)
    body = await exchange.json(snapshot.max_body)
    if deployment:
        body = {**body, "model": deployment}
    body = validate.chat(body)
    exchange.model = body["model"]
    functions = "functions" in body
    if legacy_functions.used(body):
        body = legacy_functions.as_tools(body)
    plan = plan_for(facts_of("chat", body), key, snapshot)
    exchange.watch()
    deadline = deadline_of(exchange, plan)
    attempts = Attempts(serving.upstream, serving.health, deadline, exchange.trail, strict=key.strict)
    try:
        if body.get("stream"):
            await _stream(exchange, attempts, plan, body, deadline, functions=functions)
        else:
            await _plain(exchange, attempts, plan, body, functions=functions)
    finally:
        deadline.close()


def deadline_of(exchange: Exchange, plan: Plan) -> Deadline:
    """The call's clock. Where the client is the impatient one, its end is not the provider's failure."""
    total = total_of(exchange, plan)
    deadline = Deadline(total, exchange.ticker)
    deadline.impatient = total < plan.hops[0].timeouts.total
    return deadline


def total_of(exchange: Exchange, plan: Plan) -> float:
    """Seconds that the client's first byte may take: the route's total, or the client's own patience where that is shorter."""
    total = plan.hops[0].timeouts.total
    given = exchange.headers.get(b"x-stainless-read-timeout") or exchange.headers.get(b"x-stainless-timeout")
    if not given:
        return total
    try:
        patience = float(given)
    except ValueError:
        return total
    return min(total, patience) if patience > 0 else total


async def _plain(exchange: Exchange, attempts: Attempts, plan: Plan, body: Json, *, functions: bool) -> None:
    try:
        whole = await attempts.plain(plan, lambda hop: [body], lambda hop, answers: _whole(exchange, hop, answers[0], functions=functions))
    except Fault as fault:
        raise refusal_of(fault, exchange.trail) from fault
    if not whole.get("usage"):
        whole["usage"] = usage_of(await usage.estimated(body, usage.texts_of(whole), _tokenizer(exchange)))
    exchange.usage = whole["usage"]
    exchange.finish = whole["choices"][0].get("finish_reason") or ""
    await exchange.answer(200, encode(whole))


def _whole(exchange: Exchange, hop: Hop, answer: Json, *, functions: bool) -> Json:
    whole = complete(answer, model=hop.target.model.id, request_id=exchange.request_id, now=int(time.time()))
    return legacy_functions.plain(whole) if functions else whole


async def _stream(exchange: Exchange, attempts: Attempts, plan: Plan, body: Json, deadline: Deadline, *, functions: bool) -> None:
    exchange.stream = True
    try:
        begun = await attempts.stream(plan, body)
    except Fault as fault:
        raise refusal_of(fault, exchange.trail) from fault
    deadline.extend(plan.hops[0].timeouts.total)  # a client's read timeout is of each wait, not of a whole stream
    model = exchange.trail.hop.target.model.id if exchange.trail.hop else ""
    wanted = bool((body.get("stream_options") or {}).get("include_usage"))
    out = ChatStream(model=model, request_id=exchange.request_id, now=time.time, include_usage=wanted, functions=functions)
    try:
        await exchange.begin()
        await _words(exchange, attempts, begun, out, body, deadline)
    finally:
        begun.close()
        if out.usage is None:  # cut off, by whomever: what was said has been used
            out.usage = await usage.estimated(body, out.said, _tokenizer(exchange))
        exchange.usage, exchange.finish = out.usage, out.finish


def _tokenizer(exchange: Exchange) -> str:
    hop = exchange.trail.hop
    return hop.target.model.tokenizer if hop else ""


async def _words(exchange: Exchange, attempts: Attempts, begun: Begun, out: ChatStream, body: Json, deadline: Deadline) -> None:
    """The answer from its first words to its end; a failure is told in an event, and then there is neither a finish nor a [DONE]."""
    try:
        await _hand_over(exchange, out.feed(begun.first), deadline)
        while (chunks := await begun.more()) is not None:
            if chunks and (events := out.feed(chunks)):
                await _hand_over(exchange, events, deadline)
        last = out.feed(begun.rest())
        if out.usage is None:
            deadline.stage("total", deadline.left())
            out.usage = await usage.estimated(body, out.said, _tokenizer(exchange))
    except (Fault, *SHAPELESS) as exc:
        if not exchange.left:
            fault = exc if isinstance(exc, Fault) else Fault("broken", "the provider's answer is of no known form")
            attempts.broke(fault)
            refusal = refusal_of(fault, exchange.trail)
            exchange.refused = str(refusal)
            await _hand_over(exchange, event(refusal.body), deadline, last=True)
        return
    except asyncio.CancelledError:
        if exchange.left:
            raise Left from None
        raise
    await _hand_over(exchange, last + out.end(), deadline, last=True)


async def _hand_over(exchange: Exchange, events: bytes, deadline: Deadline, *, last: bool = False) -> None:
    """Writes to the client. One that reads slowly is waited for as long as the call may take: it is not the provider that is silent."""
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
