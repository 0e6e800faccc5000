"""POST /v1/responses/input_tokens: how long a request would be. Nothing is asked and nothing is booked; pictures are not counted."""

import asyncio

from gateway import usage
from gateway.api.auth import authenticate
from gateway.api.responses.request import asked_of, checked, in_own_words
from gateway.api.responses.store import all_items
from gateway.api.serving import Routes, Serving, planned
from gateway.api.wire import Exchange
from gateway.tokens import NEAREST
from providers.base import encode

NOBODY = "none"


async def input_tokens(exchange: Exchange, serving: Serving) -> None:
    """By the tokenizer of the model that would come first, or the nearest to OpenAI's where none is named."""
    snapshot = serving.snapshot
    key = authenticate(exchange, snapshot, serving.ring)
    body = await exchange.json(snapshot.max_body)
    named = body.get("model") is not None
    body = checked(body if named else {**body, "model": NOBODY})
    exchange.says_no = in_own_words
    asked = asked_of(body, await all_items(body, key.team, serving)).body
    tokenizer = NEAREST
    if named:
        exchange.model = body["model"]
        exchange.size = 0  # what is too long to be answered may be counted
        plan = await planned("chat", asked, exchange, key, snapshot, serving)
        tokenizer = plan.hops[0].target.model.tokenizer
    counted = await asyncio.to_thread(usage.prompt_tokens, asked, tokenizer)
    await exchange.answer(200, encode({"object": "response.input_tokens", "input_tokens": counted}))


ROUTES: Routes = {"/v1/responses/input_tokens": {"POST": input_tokens}}
