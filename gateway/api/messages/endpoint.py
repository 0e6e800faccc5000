"""POST /v1/messages and /v1/messages/count_tokens, as Anthropic's SDKs and Claude Code call them."""

import asyncio
import time

from gateway import usage
from gateway.api.auth import authenticate
from gateway.api.chat import answer_as
from gateway.api.idempotency import HEADER, once
from gateway.api.messages.answer import message_of
from gateway.api.messages.errors import speak
from gateway.api.messages.request import Asked, asked_of
from gateway.api.messages.stream import MessageStream
from gateway.api.serving import Routes, Serving, planned, received
from gateway.api.wire import Exchange
from providers.base import Json, encode


async def messages(exchange: Exchange, serving: Serving) -> None:
    speak(exchange)
    key, snapshot = received("messages", exchange, serving)
    given = await exchange.json(snapshot.max_body)
    asked = await exchange.aside(asked_of, given, strict=key.strict)
    body = asked.body
    exchange.model = body["model"]
    exchange.trail.own = asked.changes
    form = MessageForm(exchange, asked)
    if HEADER in exchange.headers and not body.get("stream"):
        await once(exchange, serving, given, lambda: answer_as(exchange, serving, key, snapshot, body, form))
    else:
        await answer_as(exchange, serving, key, snapshot, body, form)


class MessageForm:
    """Anthropic's."""

    __slots__ = ("_asked", "_exchange")

    def __init__(self, exchange: Exchange, asked: Asked) -> None:
        self._exchange = exchange
        self._asked = asked

    def whole(self, answer: Json) -> Json:
        return message_of(answer, self._asked.names)

    def stream(self, model: str) -> MessageStream:
        exchange = self._exchange
        return MessageStream(model=model, request_id=exchange.request_id, now=time.time, names=self._asked.names, whose=exchange.says_no)

    async def over(self) -> None:
        pass


async def count_tokens(exchange: Exchange, serving: Serving) -> None:
    """How long a prompt is for the model that comes first, by the nearest tokenizer. Images are not counted, and nothing is booked."""
    speak(exchange)
    snapshot = serving.snapshot
    key = authenticate(exchange, snapshot, serving.ring)
    body = (await exchange.aside(asked_of, await exchange.json(snapshot.max_body), count=True)).body
    exchange.model = body["model"]
    exchange.size = 0  # a prompt may be counted that is too long to be answered
    plan = await planned("chat", body, exchange, key, snapshot, serving)
    tokenizer = plan.hops[0].target.model.tokenizer
    counted = await asyncio.to_thread(usage.prompt_tokens, body, tokenizer)
    await exchange.answer(200, encode({"input_tokens": counted}))


ROUTES: Routes = {"/v1/messages": {"POST": messages}, "/v1/messages/count_tokens": {"POST": count_tokens}}
