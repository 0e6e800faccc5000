"""Several answers as one, and a whole answer as a stream."""

from collections.abc import Sequence
from typing import Any

from providers.base import Json


def as_chunks(answer: Json) -> list[Json]:
    """The chunks of a stream that says what a whole answer says."""
    head = {key: answer[key] for key in ("id", "created", "model", "system_fingerprint") if answer.get(key)}
    said: list[Json] = []
    ends: list[Json] = []
    for number, choice in enumerate(answer["choices"]):
        index = choice.get("index", number)
        delta = {key: value for key, value in choice["message"].items() if value is not None}
        if calls := delta.get("tool_calls"):
            delta["tool_calls"] = [{**call, "index": at} for at, call in enumerate(calls)]
        said.append({"index": index, "delta": delta, "logprobs": choice.get("logprobs"), "finish_reason": None})
        ends.append({"index": index, "delta": {}, "finish_reason": choice.get("finish_reason") or "stop"})
    last: Json = {**head, "choices": ends}
    if answer.get("usage"):
        last["usage"] = answer["usage"]
    return [{**head, "choices": said}, last]


def merged(answers: Sequence[Json]) -> Json:
    """The answers to the same question, as choices of one; what each used is added up."""
    choices = [choice for answer in answers for choice in answer["choices"]]
    for index, choice in enumerate(choices):
        choice["index"] = index
    whole = {**answers[0], "choices": choices}
    whole.pop("usage", None)
    if usage := added([answer.get("usage") for answer in answers]):
        whole["usage"] = usage
    return whole


def added(usages: Sequence[Json | None]) -> Json | None:
    """The sum of several usages; None if one is not known: a part of the sum would look like the whole."""
    total: Json = {}
    for usage in usages:
        if not usage or not isinstance(usage, dict):
            return None
        _add(total, usage)
    return total or None


def _add(total: Json, usage: Json) -> None:
    for name, value in usage.items():
        if isinstance(value, dict):
            inner = total.setdefault(name, {})
            if isinstance(inner, dict):
                _add(inner, value)
        elif _is_number(value):
            before = total.get(name)
            total[name] = value + (before if _is_number(before) else 0)
        else:
            total.setdefault(name, value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
