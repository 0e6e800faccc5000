"""Rules for embeddings requests, and the reply that clients of OpenAI expect."""

from typing import Any

from providers.base import Change, Fault, Json, Target
from providers.fields import Fields, Rule, kept_here, native, served_model


def dimensions(to: str) -> Rule:
    """The width of a vector is a promise about an index: one that the model does not have is refused, never faked."""

    def rule(out: Json, field: str, value: Any, target: Target) -> tuple[Change, ...]:
        model = target.model
        if value in model.allowed_dimensions:
            out[to] = value
            return (Change(field, "renamed", to),) if to != field else ()
        if value == model.dimensions:
            return ()
        widths = ", ".join(map(str, model.allowed_dimensions or (model.dimensions,)))
        raise Fault("unsupported", f"model {model.id} has no vectors of {value} dimensions; it has: {widths}", param=field)

    return rule


BASICS: Fields = {"model": served_model, "input": native, "encoding_format": kept_here, "dimensions": dimensions("dimensions")}
"""Base64 is the gateway's own work: vendors are asked for numbers."""


def reply(vectors: list[Any], tokens: int, model: str = "") -> Json:
    """OpenAI's embeddings reply, of vectors in the order of the input."""
    data = [{"object": "embedding", "index": index, "embedding": vector} for index, vector in enumerate(vectors)]
    return {"object": "list", "data": data, "model": model, "usage": {"prompt_tokens": tokens, "total_tokens": tokens}}
