"""POST /v1/rerank, in the form that Cohere's and Jina's clients speak: documents in the order in which they answer a query.

What one call of a vendor cannot hold is asked in several: the models look at one document at a time, so that scores of several calls can be
compared. The documents of an answer are the client's own; no vendor is asked to send them back.
"""

from math import isfinite
from secrets import token_hex
from typing import Any

from gateway.api import validate
from gateway.api.chat import deadline_of
from gateway.api.forms import is_count, odd, usage_in
from gateway.api.grammar import name_of
from gateway.api.idempotency import HEADER, once
from gateway.api.serving import Routes, Serving, planned, received
from gateway.api.validate import boolean, empty, integer, invalid, missing, model_name, string, wrong_type
from gateway.api.wire import Exchange, refusal_of
from gateway.routing.attempt import Attempts
from gateway.snapshot import Hop, Key, Snapshot
from providers.base import Fault, Json, encode

MOST = 10_000
"""Documents of a request: Cohere takes as many."""
BYTES_OF_A_TOKEN = 3
"""For what a call may hold: Chinese has about as many, English more."""
CHECKS = {"model": model_name, "query": string, "top_n": integer(1, validate.MOST_TOKENS), "return_documents": boolean, "user": string}


async def rerank(exchange: Exchange, serving: Serving) -> None:
    key, snapshot = received("rerank", exchange, serving)
    body = checked(await exchange.json(snapshot.max_body))
    exchange.model = body["model"]
    if HEADER in exchange.headers:
        await once(exchange, serving, body, lambda: _rerank(exchange, serving, key, snapshot, body))
    else:
        await _rerank(exchange, serving, key, snapshot, body)


ROUTES: Routes = {"/v1/rerank": {"POST": rerank}, "/v2/rerank": {"POST": rerank}}
"""Cohere's newer clients ask at the second."""


async def _rerank(exchange: Exchange, serving: Serving, key: Key, snapshot: Snapshot, body: Json) -> None:
    plan = await planned("rerank", body, exchange, key, snapshot, serving)
    texts = [one if isinstance(one, str) else one["text"] for one in body["documents"]]
    asked = {name: value for name, value in body.items() if name not in ("return_documents", "rank_fields")}
    wanted = min(body.get("top_n", len(texts)), len(texts))
    if exchange.keep is None:  # what is kept is not in vain if the client has left
        exchange.watch(drain=plan.hops[0].drains)
    deadline = deadline_of(exchange, plan)
    attempts = Attempts(serving.upstream, serving.health, deadline, exchange.trail, strict=key.strict, payer=exchange.booking)

    def calls(hop: Hop) -> list[Json]:
        return [call(asked, texts[at:end]) for at, end in batches(body["query"], texts, hop)]

    def whole(hop: Hop, answers: list[Json]) -> Json:
        ranked, usage = joined(answers, batches(body["query"], texts, hop), wanted)
        return {
            "model": name_of(answers[0].get("model")) or hop.target.model.id,
            "ranked": ranked,
            "usage": usage or estimated(texts, body["query"]),
        }

    try:
        told = await attempts.plain(plan, calls, whole)
        exchange.usage = told["usage"]
    except Fault as fault:
        raise refusal_of(fault, exchange.trail) from fault
    finally:
        deadline.close()
        attempts.close(exchange.usage)
    shown = body["documents"] if body.get("return_documents") else None
    await exchange.answer(200, encode(reply(told, shown)))


def checked(body: Json) -> Json:
    """The request without nulls. Raises Refusal(400)."""
    for name in ("model", "query", "documents"):
        if body.get(name) is None:
            raise missing(name)
    body = {name: value for name, value in body.items() if value is not None}
    for name, check in CHECKS.items():
        if name in body:
            check(body[name], name)
    if not body["query"]:
        raise empty("query", "the string")
    documents = body["documents"]
    if not isinstance(documents, list):
        raise wrong_type("documents", "an array", documents)
    if not documents:
        raise empty("documents", "the array")
    if len(documents) > MOST:
        raise invalid(
            "documents", f"Invalid 'documents': at most {MOST} documents are taken, but got {len(documents)}.", "array_above_max_length"
        )
    for at, one in enumerate(documents):
        _document(one, f"documents[{at}]")
    if body.get("rank_fields", ["text"]) != ["text"]:
        raise invalid(
            "rank_fields", "Invalid 'rank_fields': documents are ranked by their `text` alone; join the fields there.", "unsupported_value"
        )
    return {**body, "top_n": int(body["top_n"])} if "top_n" in body else body


def _document(one: Any, path: str) -> None:
    if isinstance(one, dict):
        if one.get("text") is None:
            raise missing(f"{path}.text")
        one, path = one["text"], f"{path}.text"
    if not isinstance(one, str):
        raise wrong_type(path, "a string", one)
    if not one:
        raise empty(path, "the string")


def batches(query: str, texts: list[str], hop: Hop) -> list[tuple[int, int]]:
    """Where the calls begin and end that the hop's model takes: by the number of documents, and by tokens where it has a limit of them."""
    model = hop.target.model
    most, room = model.batch or len(texts), model.context * BYTES_OF_A_TOKEN
    if not room:
        return [(at, min(at + most, len(texts))) for at in range(0, len(texts), most)]
    each = len(query.encode())
    found: list[tuple[int, int]] = []
    begin = held = 0
    for at, text in enumerate(texts):
        size = each + len(text.encode())
        if at > begin and (at - begin >= most or held + size > room):
            found.append((begin, at))
            begin, held = at, 0
        held += size
    return [*found, (begin, len(texts))]


def call(asked: Json, texts: list[str]) -> Json:
    """The request for some of the documents: of these, no more than there are."""
    top = {"top_n": min(asked["top_n"], len(texts))} if "top_n" in asked else {}
    return {**asked, "documents": texts, **top}


def joined(answers: list[Json], places: list[tuple[int, int]], wanted: int) -> tuple[list[tuple[int, float]], Json | None]:
    """(indexes with their scores, the best first; what was used, None where a provider does not say). Raises Fault("broken") for what is no
    ranking of what was asked for."""
    ranked: list[tuple[int, float]] = []
    for answer, (begin, end) in zip(answers, places, strict=True):
        found = [(one["index"], one["relevance_score"]) for one in answer["results"]]
        if not all(is_count(at) and at < end - begin and is_score(score) for at, score in found):
            raise odd("a ranking")
        if len({at for at, _ in found}) != len(found) or len(found) < min(wanted, end - begin):
            raise Fault("broken", f"the provider ranked {len(found)} of {end - begin} documents")
        ranked += [(begin + at, float(score)) for at, score in found]
    usages = [usage_in(answer.get("usage")) for answer in answers]
    usage = None if None in usages else {"total_tokens": sum(one["total_tokens"] for one in usages if one)}
    if usage is not None:
        usage = {"prompt_tokens": usage["total_tokens"], **usage}
    return sorted(ranked, key=lambda one: (-one[1], one[0]))[:wanted], usage


def is_score(value: Any) -> bool:
    return value.__class__ in (int, float) and isfinite(value)


def estimated(texts: list[str], query: str) -> Json:
    """What is written down where a provider tells no usage."""
    tokens = (sum(len(text.encode()) for text in texts) + len(query.encode()) * len(texts)) // (BYTES_OF_A_TOKEN + 1) + 1
    return {"prompt_tokens": tokens, "total_tokens": tokens, "estimated": True}


def reply(told: Json, documents: list[Any] | None) -> Json:
    """`meta` is for clients of Cohere's, `usage` for those of Jina's. `documents`: the client's, if they are to be shown."""
    results: list[Json] = []
    for at, score in told["ranked"]:
        one: Json = {"index": at, "relevance_score": score}
        if documents is not None:
            one["document"] = {"text": documents[at]} if isinstance(documents[at], str) else documents[at]
        results.append(one)
    usage = {name: count for name, count in told["usage"].items() if name != "estimated"}
    meta = {"api_version": {"version": "1"}, "tokens": {"input_tokens": usage["prompt_tokens"], "output_tokens": 0}}
    return {"id": f"rerank-{token_hex(16)}", "object": "list", "model": told["model"], "results": results, "usage": usage, "meta": meta}
