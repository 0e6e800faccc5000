"""POST /v1/embeddings: text, lists and tokens in; numbers or base64 out."""

import asyncio
from array import array
from base64 import b64encode
from sys import byteorder
from typing import Any

from gateway import tokens
from gateway.api import validate
from gateway.api.auth import authenticate
from gateway.api.chat import deadline_of
from gateway.api.serving import Serving, plan_for
from gateway.api.wire import Exchange, Refusal, refusal_of
from gateway.routing.attempt import Attempts
from gateway.routing.plan import facts_of
from gateway.snapshot import Hop
from providers.base import Fault, Json, encode


async def embeddings(exchange: Exchange, serving: Serving, deployment: str = "") -> None:
    snapshot = serving.snapshot
    key = authenticate(exchange, snapshot)
    body = await exchange.json(snapshot.max_body)
    if deployment:
        body = {**body, "model": deployment}
    body = validate.embeddings(body)
    exchange.model = body["model"]
    plan = plan_for(facts_of("embeddings", body), key, snapshot)
    texts = await texts_of(body["input"])
    exchange.watch()
    deadline = deadline_of(exchange, plan)
    try:
        whole = await Attempts(serving.upstream, serving.health, deadline, exchange.trail, strict=key.strict).plain(
            plan,
            lambda hop: [{**body, "input": batch} for batch in batches(texts, hop)],
            lambda hop, answers: joined(answers, len(texts), hop.target.model.id, base64=body.get("encoding_format") == "base64"),
        )
    except Fault as fault:
        raise refusal_of(fault, exchange.trail) from fault
    finally:
        deadline.close()
    exchange.usage = whole["usage"]
    await exchange.answer(200, encode(whole))


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
    """The inputs in calls as large as the hop's model takes."""
    most = hop.target.model.batch or len(texts)
    return [texts[at : at + most] for at in range(0, len(texts), most)]


def joined(answers: list[Json], count: int, model: str, *, base64: bool) -> Json:
    """One reply with the vectors of all answers in the order of the input. Raises Fault("broken") where a provider left some out."""
    vectors = [item["embedding"] for answer in answers for item in sorted(answer["data"], key=lambda item: item.get("index", 0))]
    if len(vectors) != count:
        raise Fault("broken", f"the provider gave {len(vectors)} vectors for {count} inputs")
    data = [
        {"object": "embedding", "index": index, "embedding": in_base64(vector) if base64 else vector}
        for index, vector in enumerate(vectors)
    ]
    prompt = sum((answer.get("usage") or {}).get("prompt_tokens") or 0 for answer in answers)
    total = sum((answer.get("usage") or {}).get("total_tokens") or 0 for answer in answers)
    usage = {"prompt_tokens": prompt or total, "total_tokens": total or prompt}
    return {"object": "list", "data": data, "model": answers[0].get("model") or model, "usage": usage}


def in_base64(vector: Any) -> str:
    """Little-endian 32-bit floats in base64, which OpenAI's SDKs ask for unless told otherwise."""
    if isinstance(vector, str):
        return vector
    floats = array("f", vector)
    if byteorder == "big":
        floats.byteswap()
    return b64encode(floats.tobytes()).decode()
