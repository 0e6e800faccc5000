"""POST /v1/embeddings: text, lists and tokens in; numbers or base64 out."""

import asyncio
from array import array
from base64 import b64decode, b64encode
from collections.abc import Callable
from math import isfinite
from sys import byteorder
from typing import Any

from msgspec import Raw

from gateway import tokens
from gateway.api import validate
from gateway.api.chat import deadline_of
from gateway.api.forms import is_count, odd, usage_in
from gateway.api.grammar import name_of
from gateway.api.idempotency import HEADER, once
from gateway.api.serving import Serving, planned, received
from gateway.api.spaces import under, why_changed
from gateway.api.wire import Exchange, Refusal, refusal_of
from gateway.headers import header_text
from gateway.routing.attempt import Attempts
from gateway.snapshot import Hop, Key, Snapshot
from providers.base import Fault, Json, encode

MANY_NUMBERS = 100_000
"""Numbers of a reply that take a few milliseconds to write."""
MOST_NUMBERS = 1_000_000
"""Of one answer of a provider: reading them takes some 30 ms."""
WIDE = 4096
"""Numbers of a vector, where the catalog does not say."""


async def embeddings(exchange: Exchange, serving: Serving, deployment: str = "") -> None:
    key, snapshot = received("embeddings", exchange, serving)
    body = await exchange.json(snapshot.max_body)
    if deployment:
        body = {**body, "model": deployment}
    body = validate.embeddings(body)
    exchange.model = body["model"]
    if HEADER in exchange.headers:
        await once(exchange, serving, body, lambda: _embeddings(exchange, serving, key, snapshot, body))
    else:
        await _embeddings(exchange, serving, key, snapshot, body)


async def _embeddings(exchange: Exchange, serving: Serving, key: Key, snapshot: Snapshot, body: Json) -> None:
    plan = await planned("embeddings", body, exchange, key, snapshot, serving)
    texts = await texts_of(body["input"])
    if exchange.keep is None:  # what is kept is not in vain if the client has left
        exchange.watch(drain=plan.hops[0].drains)
    deadline = deadline_of(exchange, plan)
    attempts = Attempts(serving.upstream, serving.health, deadline, exchange.trail, strict=key.strict, payer=exchange.booking)
    try:
        whole = await attempts.plain(
            plan,
            lambda hop: [{**body, "input": batch} for batch in batches(texts, hop)],
            lambda hop, answers: joined(answers, len(texts), hop.target.model.id, width=body.get("dimensions", 0)),
        )
        exchange.usage = whole["usage"]
    except Fault as fault:
        raise refusal_of(fault, exchange.trail) from fault
    finally:
        deadline.close()
        attempts.close(exchange.usage)
    await stays(exchange, serving, key, snapshot)
    whole = await said(whole, base64=body.get("encoding_format") == "base64")
    await exchange.answer(200, encode(whole))


async def stays(exchange: Exchange, serving: Serving, key: Key, snapshot: Snapshot) -> None:
    """Notes the space of the answer, which the name keeps from its first answer on. Raises Refusal(409) where another replica's first was
    faster, in another space."""
    space = exchange.trail.hop.space if exchange.trail.hop is not None else ""
    name = under(exchange.model, key, snapshot)
    begun = await serving.spaces.begin(serving.objects, key.team, name, space)
    if begun != space:
        why = why_changed(name, key.team, begun, f"this answer is of {space}")
        raise Refusal(409, why, param="model", code="embedding_space_changed")
    exchange.more = [*exchange.more, (b"x-banjia-space", header_text(space))]


async def texts_of(given: Any) -> list[str]:
    """The inputs as texts: providers take no tokens, so these are turned back into what they were made from."""
    if isinstance(given, str):
        return [given]
    if isinstance(given[0], str):
        return list(given)
    lists = [given] if isinstance(given[0], int) else given
    try:
        return await asyncio.to_thread(tokens.decode, lists)
    except (KeyError, OverflowError) as exc:
        raise Refusal(400, "Invalid 'input': it has a token that is not of cl100k_base.", param="input", code="invalid_value") from exc


def batches(texts: list[str], hop: Hop) -> list[list[str]]:
    """The inputs in calls as large as the hop's model takes, and with answers as large as can be read in one step."""
    model = hop.target.model
    most = min(model.batch or len(texts), MOST_NUMBERS // (model.dimensions or WIDE))
    return [texts[at : at + most] for at in range(0, len(texts), most)]


def joined(answers: list[Json], count: int, model: str, *, width: int) -> Json:
    """One reply with the vectors of all answers in the order of the input. Raises Fault("broken") where a provider left some out, or gave
    others than were asked for. `width`: numbers of each, 0 if any will do."""
    vectors = [numbers(item["embedding"]) for answer in answers for item in in_order(answer["data"])]
    if len(vectors) != count:
        raise Fault("broken", f"the provider gave {len(vectors)} vectors for {count} inputs")
    widths = {len(vector) for vector in vectors}
    if len(widths) != 1 or widths == {0} or (width and widths != {width}):
        raise Fault(
            "broken", f"the provider gave vectors of {', '.join(map(str, sorted(widths)))} numbers" + f" and not of {width}" * bool(width)
        )
    data = [{"object": "embedding", "index": index, "embedding": vector} for index, vector in enumerate(vectors)]
    usages = [usage_in(answer.get("usage")) or {} for answer in answers]
    prompt = sum(usage.get("prompt_tokens") or 0 for usage in usages)
    total = sum(usage.get("total_tokens") or 0 for usage in usages)
    usage = {"prompt_tokens": prompt or total, "total_tokens": total or prompt}
    return {"object": "list", "data": data, "model": name_of(answers[0].get("model")) or model, "usage": usage}


async def said(whole: Json, *, base64: bool) -> Json:
    """The reply with its vectors as they are sent. Many are written in a thread, one by one, so that others have their turn in between."""
    if len(whole["data"]) * len(whole["data"][0]["embedding"]) > MANY_NUMBERS:
        return await asyncio.to_thread(_said, whole, in_base64 if base64 else lambda vector: Raw(encode(vector)))
    return _said(whole, in_base64) if base64 else whole


def _said(whole: Json, form: Callable[[list[float]], Any]) -> Json:
    return {**whole, "data": [{**item, "embedding": form(item["embedding"])} for item in whole["data"]]}


def in_order(items: list[Json]) -> list[Json]:
    """An answer's vectors in the order of its inputs. Where one says its place, all do, and no place is said twice."""
    places = [item.get("index") for item in items]
    if all(place is None for place in places):
        return items
    if len({*places}) != len(places) or not all(map(is_count, places)):
        raise odd("places of vectors")
    return sorted(items, key=lambda item: item["index"])


def numbers(vector: Any) -> list[float]:
    """A vector's numbers, also of a provider that gives base64 unasked. Raises one of SHAPELESS for what is no vector."""
    if isinstance(vector, str):
        return little_endian(array("f", b64decode(vector, validate=True))).tolist()
    if vector.__class__ is not list:
        raise odd("a vector")
    if not isfinite(sum(vector)):  # a TypeError, if one of them is no number
        raise odd("a vector")
    return vector


def in_base64(vector: list[float]) -> str:
    """Little-endian 32-bit floats in base64, which OpenAI's SDKs ask for unless told otherwise."""
    return b64encode(little_endian(array("f", vector)).tobytes()).decode()


def little_endian(floats: "array[float]") -> "array[float]":
    if byteorder == "big":
        floats.byteswap()
    return floats
