"""Field rules that both of Baidu's surfaces use."""

from typing import Any

from providers.base import Change, Json, Model, Target
from providers.fields import Rule, stops

Changes = tuple[Change, ...]

BLANK = "/"
"""Stands for an empty text, which is refused; the SDK's own choice."""


def is_ernie(model: Model) -> bool:
    """Baidu's own models have parameters and bounds that the other makers' do not share. Whose a model is, its name alone tells."""
    return model.id.startswith("ernie")


def ernie_or(ernie: Rule, others: Rule) -> Rule:
    """One rule for ERNIE, one for the rest."""

    def rule(out: Json, field: str, value: Any, target: Target) -> Changes:
        return (ernie if is_ernie(target.model) else others)(out, field, value, target)

    return rule


short_stops = stops(4, longest=20)


def penalty_score(out: Json, field: str, value: Any, target: Target) -> Changes:
    """OpenAI's penalties as ERNIE's only one: 0 to 2 there is 1 to 2 here, and of two the stronger counts.

    The SDK maps -2…2 to 1…2, so that asking for no penalty gets half of one; here no penalty stays none, at the price of the negative half.
    """
    if value > 0:
        score = 1 + min(value, 2) / 2
        out["penalty_score"] = max(score, out.get("penalty_score", 1))
        return (Change(field, "emulated", f"penalty_score:{score:g}"),)
    return (Change(field, "dropped", why="words can only be made rarer"),) if value < 0 else ()


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
