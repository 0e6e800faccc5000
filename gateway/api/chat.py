"""POST /v1/chat/completions, plain and streamed."""

import time
from collections.abc import Callable

from gateway import usage
from gateway.api import legacy_functions, validate
from gateway.api.chat_out import ChatStream, complete, usage_of
from gateway.api.chat_stream import Form, Telling, tokenizer_of
from gateway.api.idempotency import HEADER, once
from gateway.api.serving import Serving, planned, received
from gateway.api.wire import Exchange, refusal_of
from gateway.deadline import Deadline
from gateway.routing.attempt import Attempts
from gateway.routing.plan import Plan
from gateway.snapshot import Hop, Key, Snapshot
from providers.base import Fault, Json, encode


async def chat(exchange: Exchange, serving: Serving, deployment: str = "") -> None:
    """Answers one request. `deployment`: the model, where the path names it."""
    key, snapshot = received("chat", exchange, serving)
    body = await exchange.json(snapshot.max_body)
    if deployment:
        body = {**body, "model": deployment}
    body = validate.chat(body)
    exchange.model = body["model"]
    form = ChatForm(exchange, body)
    asked = legacy_functions.as_tools(body) if legacy_functions.used(body) else body
    if HEADER in exchange.headers and not body.get("stream"):
        await once(exchange, serving, body, lambda: answer_as(exchange, serving, key, snapshot, asked, form))
    else:
        await answer_as(exchange, serving, key, snapshot, asked, form)


class ChatForm:
    """Chat's own."""

    __slots__ = ("_body", "_exchange", "_functions")

    def __init__(self, exchange: Exchange, body: Json) -> None:
        self._exchange = exchange
        self._body = body
        self._functions = "functions" in body

    def whole(self, answer: Json) -> Json:
        return legacy_functions.plain(answer) if self._functions else answer

    def stream(self, model: str) -> ChatStream:
        return ChatStream(
            model=model,
            request_id=self._exchange.request_id,
            now=time.time,
            include_usage=bool((self._body.get("stream_options") or {}).get("include_usage")),
            functions=self._functions,
            answers=self._body.get("n") or 1,
        )

    async def over(self) -> None:
        pass


async def answer_as(
    exchange: Exchange,
    serving: Serving,
    key: Key,
    snapshot: Snapshot,
    body: Json,
    form: Form,
    *,
    attempts: Callable[..., Attempts] = Attempts,
) -> None:
    """Serves a request of chat that has been checked, and tells the answer in that form. Raises Refusal, Left.

    `attempts`: how hops are tried, where that is not by one call with the body."""
    plan = await planned("chat", body, exchange, key, snapshot, serving)
    if exchange.keep is None:  # what is kept is not in vain if the client has left
        exchange.watch(drain=plan.hops[0].drains)
    deadline = deadline_of(exchange, plan)
    tried = attempts(serving.upstream, serving.health, deadline, exchange.trail, strict=key.strict, payer=exchange.booking)
    try:
        if body.get("stream"):
            await Telling(exchange, tried, plan, deadline, body, form).tell()
        else:
            await _plain(exchange, tried, plan, deadline, body, form)
    finally:
        deadline.close()
        tried.close(exchange.usage)


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


async def _plain(exchange: Exchange, attempts: Attempts, plan: Plan, deadline: Deadline, body: Json, form: Form) -> None:
    try:
        whole = await attempts.plain(plan, lambda hop: [body], lambda hop, answers: _whole(exchange, hop, answers[0]))
    except Fault as fault:
        raise refusal_of(fault, exchange.trail) from fault
    deadline.close()  # the provider has answered: however long a store takes, that is not its fault
    if not whole.get("usage"):
        whole["usage"] = usage_of(await usage.estimated(body, usage.texts_of(whole), tokenizer_of(exchange.trail)))
    exchange.usage = whole["usage"]
    exchange.finish = whole["choices"][0].get("finish_reason") or ""
    reply = form.whole(whole)
    await form.over()
    await exchange.answer(200, encode(reply))


def _whole(exchange: Exchange, hop: Hop, answer: Json) -> Json:
    return complete(answer, model=hop.target.model.id, request_id=exchange.request_id, now=int(time.time()))
