"""Chat answers as OpenAI's clients expect them, whatever the provider left out or put elsewhere: the reply, and the grammar of the stream.

A stream, for each choice: a first delta with the role and content ""; deltas of words, or of calls (the first fragment with index, id, type
and name, the later ones with arguments alone); a last delta that is empty, with the finish_reason. Then, if asked for, one chunk with the
usage and no choices. Every chunk has the same id, model and time. Then [DONE].
"""

from collections.abc import Callable
from typing import Any

from gateway.api import legacy_functions
from gateway.api.forms import function_call_in, is_count, logprobs_in, text, usage_in
from gateway.api.grammar import NAMED, OPTIONAL, Grammar, answer_id, is_fit, name_of
from gateway.api.wire import Refusal, event
from providers.base import Json, encode

DONE = b"data: [DONE]\n\n"


def usage_of(usage: Json) -> Json:
    """Usage with the details that clients read, which some providers leave out."""
    prompt, completion = usage.get("prompt_tokens") or 0, usage.get("completion_tokens") or 0
    before, after = usage.get("prompt_tokens_details") or {}, usage.get("completion_tokens_details") or {}
    return {
        **usage,
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": usage.get("total_tokens") or prompt + completion,
        "prompt_tokens_details": before if "cached_tokens" in before else {**before, "cached_tokens": 0},
        "completion_tokens_details": after if "reasoning_tokens" in after else {**after, "reasoning_tokens": 0},
    }


def complete(answer: Json, *, model: str, request_id: str, now: int) -> Json:
    """The plain reply. Edits the provider's, which is ours. Raises Fault("broken"), or one of SHAPELESS, for what cannot be one."""
    for number, choice in enumerate(answer["choices"]):
        message = choice.get("message") or {}
        if choice.get("index").__class__ is not int:
            choice["index"] = number
        logprobs = choice.get("logprobs")
        choice["logprobs"] = None if logprobs is None else logprobs_in(logprobs)
        choice["message"] = said = {"content": None, "refusal": None, **message, "role": "assistant"}
        if said["content"].__class__ is not str:
            text(said["content"], "content")
        if said["refusal"] is not None:
            text(said["refusal"], "a refusal")
        if not message.keys() <= PLAIN:
            _complete_more(said)
        reason = choice.get("finish_reason") or None
        if reason.__class__ is not str:
            choice["finish_reason"] = text(reason, "a finish reason") or ("tool_calls" if "tool_calls" in said else "stop")
    created, usage = answer.get("created"), usage_in(answer.pop("usage", None))
    answer["id"] = answer_id(answer.get("id"), request_id)
    answer["object"] = "chat.completion"
    answer["created"] = created if is_count(created) and created else now
    answer["model"] = name_of(answer.get("model")) or model
    for optional in NAMED:
        if optional in answer and not name_of(answer[optional]):
            del answer[optional]
    if usage:
        answer["usage"] = usage_of(usage)
    answer.pop("request_id", None)
    return answer


PLAIN = frozenset({"role", "content", "refusal"})


def _complete_more(said: Json) -> None:
    """What a message may have beside its words."""
    if calls := said.get("tool_calls"):
        said["tool_calls"] = [call_of(call, index) for index, call in enumerate(calls)]
        said["content"] = said["content"] or None
    if said.get("function_call"):
        said["function_call"] = {"name": "", "arguments": "", **function_call_in(said["function_call"])}
    for name in OPTIONAL:
        if name in said and not (said[name] and is_fit(name, said[name])):
            del said[name]


def call_of(call: Json, index: int) -> Json:
    """A tool call of a plain reply: no index, an id in any case, arguments as text."""
    if call.get("custom"):
        custom = {"name": text(call["custom"].get("name"), "a call") or "", "input": text(call["custom"].get("input"), "a call") or ""}
        return {"id": name_of(call.get("id")) or f"call_{index}", "type": "custom", "custom": custom}
    function = call.get("function") or {}
    arguments = function.get("arguments")
    told = arguments if isinstance(arguments, str) else encode(arguments or {}).decode()
    return {
        "id": name_of(call.get("id")) or f"call_{index}",
        "type": "function",
        "function": {"name": text(function.get("name"), "a call") or "", "arguments": told},
    }


class ChatStream(Grammar):
    """Chunks in, server-sent events out."""

    __slots__ = ("_end", "_functions", "_start", "include_usage")

    def __init__(
        self, *, model: str, request_id: str, now: Callable[[], float], include_usage: bool, functions: bool = False, answers: int = 0
    ) -> None:
        super().__init__(model=model, request_id=request_id, now=now, answers=answers)
        self.include_usage = include_usage
        self._functions = functions
        self._start: dict[int, bytes] = {}
        """Per choice: a chunk of words up to the words."""
        self._end = b'},"logprobs":null,"finish_reason":null}]' + (b',"usage":null}\n\n' if include_usage else b"}\n\n")
        """… and after them."""

    def feed(self, chunks: list[Json]) -> bytes:
        return super().feed(legacy_functions.chunks(chunks) if self._functions else chunks)

    def begins(self, index: int) -> bytes:
        self._start[index] = b"data: " + encode(self.head)[:-1] + b',"choices":[{"index":%d,"delta":{"content":' % index
        return self._event(index, {"role": "assistant", "content": ""})

    def says(self, index: int, text: str, logprobs: Json | None) -> bytes:
        return self._start[index] + encode(text) + self._end

    def thinks(self, index: int, text: str) -> bytes:
        return self._event(index, {"reasoning_content": text})

    def refuses(self, index: int, text: str) -> bytes:
        return self._event(index, {"refusal": text})

    def calls(self, index: int, number: int, id: str, kind: str, name: str) -> bytes:
        words = "input" if kind == "custom" else "arguments"
        return self._event(index, {"tool_calls": [{"index": number, "id": id, "type": kind, kind: {"name": name, words: ""}}]})

    def argues(self, index: int, number: int, kind: str, text: str) -> bytes:
        words = "input" if kind == "custom" else "arguments"
        return self._event(index, {"tool_calls": [{"index": number, kind: {words: text}}]})

    def finishes(self, index: int, reason: str) -> bytes:
        told = {"banjia": {"continued_by": self.continued_by}} if self.continued_by else None
        return self._event(index, {}, finish=reason, extra=told)

    def over(self) -> bytes:
        if self.include_usage and self.usage:
            return event({**self.head, "choices": [], "usage": usage_of(self.usage)}) + DONE
        return DONE

    def fails(self, refusal: Refusal) -> bytes:
        return event(refusal.body)

    def _say_unusual(self, index: int, words: Json, logprobs: Json | None, more: Json, extra: Json, out: list[bytes]) -> None:
        """Passed on as it is, in one chunk."""
        if words or more or extra or logprobs:
            out.append(self._event(index, words, logprobs=logprobs, extra=extra, more=more))

    def _old_call(self, index: int, call: Json, out: list[bytes]) -> None:
        out.append(self._event(index, {"function_call": call}))

    def _event(
        self,
        index: int,
        delta: Json,
        *,
        finish: str | None = None,
        logprobs: Any = None,
        extra: Json | None = None,
        more: Json | None = None,
    ) -> bytes:
        choice = {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish}
        chunk = {**self.head, "choices": [{**choice, **more} if more else choice]}
        if extra:
            chunk |= extra
        if self.include_usage:
            chunk["usage"] = None
        return event(chunk)
