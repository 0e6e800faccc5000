"""Several answers as one, a whole answer as a stream, and a stream as a whole answer."""

from collections.abc import Sequence
from typing import Any

from providers.base import Json, encode


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


class Gathered:
    """What the chunks of a stream come to: words, thoughts, calls and reasons; nobody asks for logprobs in this way."""

    __slots__ = ("_calls", "_choices", "_head", "_usage")

    def __init__(self) -> None:
        self._head: Json = {}
        self._usage: Any = None
        self._choices: dict[int, Json] = {}
        self._calls: dict[tuple[int, int], Json] = {}

    def add(self, chunks: Sequence[Json]) -> None:
        """Raises one of SHAPELESS for what is no chunk."""
        for chunk in chunks:
            self._head = self._head or {key: chunk[key] for key in ("id", "created", "model", "system_fingerprint") if chunk.get(key)}
            self._usage = chunk.get("usage") or self._usage
            for choice in chunk.get("choices") or ():
                index = choice.get("index") or 0
                whole = self._choices.setdefault(index, {"index": index, "message": {"role": "assistant", "content": None}})
                delta = choice.get("delta") or {}
                for key in ("content", "reasoning_content", "refusal"):
                    if text := delta.get(key):
                        whole["message"][key] = (whole["message"].get(key) or "") + text
                for call in delta.get("tool_calls") or ():
                    self._call(index, whole["message"], call)
                whole |= {key: value for key, value in choice.items() if key not in PIECES and value is not None}

    def _call(self, index: int, message: Json, piece: Json) -> None:
        number = piece.get("index") or 0
        if (index, number) not in self._calls:
            self._calls[index, number] = {"id": piece.get("id"), "type": "function", "function": {"name": "", "arguments": ""}}
            message.setdefault("tool_calls", []).append(self._calls[index, number])
        function, told = self._calls[index, number]["function"], piece.get("function") or {}
        function["name"] = function["name"] or told.get("name") or ""
        if said := told.get("arguments"):
            function["arguments"] += said if isinstance(said, str) else encode(said).decode()

    def answer(self) -> Json:
        whole = {**self._head, "choices": [self._choices[index] for index in sorted(self._choices)]}
        return {**whole, "usage": self._usage} if self._usage else whole


PIECES = frozenset({"index", "delta", "logprobs"})
"""Keys of a chunk's choice that are not those of a whole answer's."""


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


def images(answers: Sequence[Json]) -> Json:
    """The images of several answers as those of one."""
    whole = {**answers[0], "data": [image for answer in answers for image in answer["data"]]}
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
