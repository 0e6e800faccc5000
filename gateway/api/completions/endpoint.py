"""POST /v1/completions, plain and streamed."""

import time
from functools import partial

from gateway.api.chat import answer_as
from gateway.api.completions.answer import completion_of
from gateway.api.completions.prompts import Prompts
from gateway.api.completions.request import Asked, asked_of
from gateway.api.completions.stream import CompletionStream
from gateway.api.idempotency import HEADER, once
from gateway.api.serving import Routes, Serving, received
from gateway.api.wire import Exchange
from gateway.snapshot import Key, Snapshot
from providers.base import Json


async def completions(exchange: Exchange, serving: Serving, deployment: str = "") -> None:
    """`deployment`: the model, where the path names it."""
    key, snapshot = received("completions", exchange, serving)
    given = await exchange.json(snapshot.max_body)
    if deployment:
        given = {**given, "model": deployment}
    asked = await asked_of(given)
    exchange.model = given["model"]
    exchange.trail.own = asked.changes
    if HEADER in exchange.headers and not given.get("stream"):
        await once(exchange, serving, given, lambda: _completions(exchange, serving, key, snapshot, asked))
    else:
        await _completions(exchange, serving, key, snapshot, asked)


async def _completions(exchange: Exchange, serving: Serving, key: Key, snapshot: Snapshot, asked: Asked) -> None:
    form = CompletionForm(exchange, asked)
    if len(asked.bodies) == 1:
        await answer_as(exchange, serving, key, snapshot, asked.body, form)
    else:
        await answer_as(exchange, serving, key, snapshot, asked.body, form, attempts=partial(Prompts, bodies=asked.bodies, n=asked.n))


class CompletionForm:
    """The older form."""

    __slots__ = ("_asked", "_exchange")

    def __init__(self, exchange: Exchange, asked: Asked) -> None:
        self._exchange = exchange
        self._asked = asked

    def whole(self, answer: Json) -> Json:
        return completion_of(answer, self._asked)

    def stream(self, model: str) -> CompletionStream:
        return CompletionStream(model=model, request_id=self._exchange.request_id, now=time.time, asked=self._asked)

    async def over(self) -> None:
        pass


ROUTES: Routes = {"/v1/completions": {"POST": completions}}
