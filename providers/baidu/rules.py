"""Field rules that both of Baidu's surfaces use."""

from typing import Any

from providers.base import Change, Json, Model, Target, encode
from providers.fields import Rule
from providers.tools import instruct

Changes = tuple[Change, ...]

BLANK = "/"
"""Stands for an empty text, which is refused; the SDK's own choice."""
STOPS, LONGEST_STOP = 4, 20


def is_ernie(model: Model) -> bool:
    """Baidu's own models have parameters and bounds that the other makers' do not share. Whose a model is, its name alone tells."""
    return model.id.startswith("ernie")


def ernie_or(ernie: Rule, others: Rule) -> Rule:
    """One rule for ERNIE, one for the rest."""

    def rule(out: Json, field: str, value: Any, target: Target) -> Changes:
        return (ernie if is_ernie(target.model) else others)(out, field, value, target)

    return rule


def short_stops(out: Json, field: str, value: Any, target: Target) -> Changes:
    given = [value] if isinstance(value, str) else value
    kept = [stop for stop in given if len(stop) <= LONGEST_STOP][:STOPS]
    if kept:
        out[field] = kept
    if kept == given:
        return ()
    why = f"at most {STOPS} of at most {LONGEST_STOP} characters"
    return (Change(field, "clamped", str(len(kept)), why),)


def penalty_score(out: Json, field: str, value: Any, target: Target) -> Changes:
    """OpenAI's penalties as ERNIE's only one: 0 to 2 there is 1 to 2 here, and of two the stronger counts.

    The SDK maps -2…2 to 1…2, so that asking for no penalty gets half of one; here no penalty stays none, at the price of the negative half.
    """
    if value > 0:
        score = 1 + min(value, 2) / 2
        out["penalty_score"] = max(score, out.get("penalty_score", 1))
        return (Change(field, "emulated", f"penalty_score:{score:g}"),)
    return (Change(field, "dropped", why="words can only be made rarer"),) if value < 0 else ()


def json_form(*, untold: bool, schemas: bool) -> Rule:
    """`response_format` as far as the model has it; the rest is said in words.

    `untold`: JSON is asked for also where the catalog does not know whether the model has it; `schemas`: the surface has JSON schemas.
    """

    def rule(out: Json, field: str, value: Any, target: Target) -> Changes:
        kind, able = value["type"], target.model.json
        if kind == "text":
            return ()
        if kind == "json_schema" and schemas and able == "schema":
            out[field] = value
            return ()
        asked = able in ("object", "schema") or (not able and untold)
        if asked:
            out[field] = {"type": "json_object"}
            if kind == "json_object":
                return ()
        instruct(out, in_words(value))
        return (Change(field, "emulated", "json_object" if asked else "prompt", "the model is told the form"),)

    return rule


def in_words(form: Json) -> str:
    text = "Answer with one JSON object and nothing else."
    if schema := form.get("json_schema", {}).get("schema"):
        text += f" It must be valid against this JSON schema: {encode(schema).decode()}"
    return text


# ---- rules for the whole of `messages`: they look at what the ones before have made of it, out[field] ----


def merge_turns(out: Json, field: str, value: Any, target: Target) -> Changes:
    """Turns of the same speaker that follow each other, as one."""
    turns: list[Json] = []
    for message in out[field]:
        last = turns[-1] if turns else {}
        if message["role"] in ("user", "assistant") and last.get("role") == message["role"] and not last.get("tool_calls"):
            turns[-1] = {**last, **message, "content": joined(last.get("content"), message.get("content"))}
        else:
            turns.append(message)
    if len(turns) == len(out[field]):
        return ()
    out[field] = turns
    return (Change("messages", "emulated", "merged", "speakers must take turns"),)


def joined(one: Any, other: Any) -> Any:
    """Two contents in one: texts as paragraphs, others as parts."""
    if isinstance(one, list) or isinstance(other, list):
        return [part for content in (one, other) for part in as_parts(content)]
    return "\n\n".join(filter(None, (one, other)))


def as_parts(content: Any) -> list[Json]:
    return content if isinstance(content, list) else [{"type": "text", "text": content}] if content else []
