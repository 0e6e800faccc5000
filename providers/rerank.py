"""Reranking: the request and reply that Cohere and Jina began with, from which most vendors differ in a name or a limit.

Request: model, query, documents (strings), top_n. Reply: results of an index and a relevance_score, and usage in tokens. The documents
themselves never come back from a vendor: the gateway has them.
"""

from types import MappingProxyType
from typing import Any

from msgspec import DecodeError, json

from providers.base import Change, Fault, Json, Stream, Target
from providers.fields import Fields, Rule, all_native, drop, served_model
from providers.openai_like import JsonEndpoint, no_object, read_json

BASICS: Fields = MappingProxyType(
    {
        "model": served_model,
        **all_native("query", "documents", "top_n"),
        "user": drop("not offered"),
        "max_chunks_per_doc": drop("not offered"),
        "max_tokens_per_doc": drop("not offered"),
    }
)


class CommonRerank(JsonEndpoint, frozen=True):
    """A reranking endpoint of the common form with some differences."""

    path: str = "/rerank"
    fields: Fields = BASICS

    def response(self, body: bytes) -> Json:
        """{"model", "results": [{"index", "relevance_score"}], "usage": {"prompt_tokens", "total_tokens"}}; usage may be missing."""
        answer = read_json(body)
        if not isinstance(answer.get("results"), list) or answer.get("error"):
            raise self.fault(200, {}, body)
        return ranking(answer["results"], tokens_of(answer), str(answer.get("model") or ""))

    def stream(self) -> Stream:
        raise Fault("bad_request", "rankings are not streamed", param="stream")


def ranking(results: list[Any], tokens: int | None, model: str = "") -> Json:
    """A reply of this package's form. Some call the score `score`."""
    told: Json = {
        "model": model,
        "results": [
            {"index": one["index"], "relevance_score": one["relevance_score" if "relevance_score" in one else "score"]} for one in results
        ],
    }
    if tokens is not None:
        told["usage"] = {"prompt_tokens": tokens, "total_tokens": tokens}
    return told


def tokens_of(answer: Json) -> int | None:
    """Tokens that were read: under `usage` as at Jina, under `meta` as at Cohere, or under `tokens`; None where nobody says."""
    usage = answer.get("usage") or {}
    meta = (answer.get("meta") or {}).get("tokens") or answer.get("tokens") or {}
    told = (usage.get("total_tokens"), usage.get("prompt_tokens"), meta.get("input_tokens"))
    return next((int(count) for count in told if count is not None), None)


def read_list(body: bytes) -> list[Any] | None:
    """The JSON array that a body is; None for an object. Raises Fault("broken")."""
    try:
        told = json.decode(body)
    except (DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise no_object() from exc
    return told if isinstance(told, list) else None


def clipped(characters: int) -> Rule:
    """Texts of at most so many characters: a model reads their beginning alone, and longer ones would be refused."""

    def rule(out: Json, field: str, value: Any, target: Target) -> tuple[Change, ...]:
        kept = value[:characters] if isinstance(value, str) else [text[:characters] for text in value]
        out[field] = kept
        return () if kept == value else (Change(field, "clamped", f"{characters} characters", "longer texts are refused"),)

    return rule
