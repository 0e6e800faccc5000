"""POST /v1/responses: asked as chat, answered as a Response, and kept unless the client says `store: false`."""

import time
from collections.abc import Sequence

from gateway.api.chat import answer_as
from gateway.api.idempotency import HEADER, once
from gateway.api.responses.answer import Told, ended, output_of, skeleton
from gateway.api.responses.keeping import not_kept, settled
from gateway.api.responses.lifecycle import queue
from gateway.api.responses.request import Asked, asked_of, checked, in_own_words
from gateway.api.responses.shown import items_of
from gateway.api.responses.store import expanded, history, keep
from gateway.api.responses.stream import ResponseStream
from gateway.api.serving import Routes, Serving, received
from gateway.api.wire import Exchange
from gateway.snapshot import Key, Snapshot
from providers.base import Json, encode


async def create(exchange: Exchange, serving: Serving) -> None:
    key, snapshot = received("responses", exchange, serving)
    body = await exchange.aside(checked, await exchange.json(snapshot.max_body))
    exchange.model = body["model"]
    if HEADER in exchange.headers and not body.get("stream"):
        if not key.keeping.store:
            raise not_kept(key, "an answer is not given again: leave out `Idempotency-Key`")
        await once(exchange, serving, body, lambda: _create(exchange, serving, key, snapshot, body))
    else:
        await _create(exchange, serving, key, snapshot, body)


ROUTES: Routes = {"/v1/responses": {"POST": create}}


async def _create(exchange: Exchange, serving: Serving, key: Key, snapshot: Snapshot, body: Json) -> None:
    exchange.says_no = in_own_words
    body, changes = settled(body, key)
    past = await history(body, key.team, serving)
    own = await expanded(await exchange.aside(items_of, body.get("input")), key.team, serving, past)
    asked = await exchange.aside(asked_of, body, [*past, *own], strict=key.strict)
    exchange.size = len(encode(asked.body))
    exchange.trail.own = changes + asked.changes
    response = skeleton(body, created=int(time.time()))
    if body.get("background"):
        return await queue(exchange, serving, key, body, response, own, past)
    form = ResponseForm(exchange, serving, body, asked, response, own, past)
    return await answer_as(exchange, serving, key, snapshot, asked.body, form)


class ResponseForm:
    """That of the Responses API."""

    __slots__ = ("_asked", "_body", "_exchange", "_own", "_past", "_response", "_serving", "_stream", "_told")

    def __init__(
        self, exchange: Exchange, serving: Serving, body: Json, asked: Asked, response: Json, own: list[Json], past: Sequence[Json]
    ) -> None:
        """`own`: the request's items; `past`: those that stand before them."""
        self._exchange = exchange
        self._serving = serving
        self._body = body
        self._asked = asked
        self._response = response
        self._own = own
        self._past = past
        self._told = Told.of(body, asked.tools)
        self._stream: ResponseStream | None = None

    def whole(self, answer: Json) -> Json:
        more = {name: answer[name] for name in ("model", "service_tier") if answer.get(name)}
        reason = answer["choices"][0]["finish_reason"]
        output = output_of(answer, self._told)
        self._response = ended(self._response, output, reason=reason, usage=answer["usage"], now=int(time.time()), more=more)
        return self._response

    def stream(self, model: str) -> ResponseStream:
        exchange = self._exchange
        self._stream = ResponseStream(model=model, request_id=exchange.request_id, now=time.time, response=self._response, told=self._told)
        return self._stream

    async def over(self) -> None:
        response = self._stream.response if self._stream is not None else self._response
        if response["status"] in ("completed", "incomplete"):
            await keep(response, self._own, self._body, self._exchange.team, self._serving, past=self._past)
