"""Chat answers as OpenAI's clients expect them, whatever the provider left out or put elsewhere: the reply, and the grammar of the stream.

A stream, for each choice: a first delta with the role and content ""; deltas of words, or of calls (the first fragment with index, id, type
and name, the later ones with arguments alone); a last delta that is empty, with the finish_reason. Then, if asked for, one chunk with the
usage and no choices. Every chunk has the same id, model and time. Then [DONE].
"""

from collections.abc import Callable
from typing import Any

from gateway.api import legacy_functions
from gateway.api.wire import event
from providers.base import Json, encode

DONE = b"data: [DONE]\n\n"
USUAL = frozenset({"id", "object", "created", "model", "choices", "usage", "system_fingerprint", "request_id"})
"""Keys of a chunk that are said anew, or that are the provider's own affair; others are passed on."""
DELTA = frozenset({"role", "content", "reasoning_content", "tool_calls", "function_call", "refusal"})
OPTIONAL = ("tool_calls", "reasoning_content", "function_call")
"""Keys of a message that are there only with something in them."""
CHOICE = frozenset({"index", "delta", "finish_reason", "logprobs"})


def answer_id(given: Any, request_id: str) -> str:
    """An id in OpenAI's form, with the provider's own in it so that both sides can find the call."""
    text = given if isinstance(given, str) and given else request_id
    return text if text.startswith("chatcmpl-") else f"chatcmpl-{text}"


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
    """The plain reply. Edits the provider's, which is ours."""
    for number, choice in enumerate(answer["choices"]):
        message = choice.get("message") or {}
        choice.setdefault("index", number)
        choice.setdefault("logprobs", None)
        choice["message"] = said = {"role": "assistant", "content": None, "refusal": None, **message}
        if calls := said.get("tool_calls"):
            said["tool_calls"] = [call_of(call, index) for index, call in enumerate(calls)]
            said["content"] = said["content"] or None
        for optional in OPTIONAL:
            if optional in said and not said[optional]:
                del said[optional]
    answer["id"] = answer_id(answer.get("id"), request_id)
    answer["object"] = "chat.completion"
    answer["created"] = answer.get("created") or now
    answer["model"] = answer.get("model") or model
    if answer.get("usage"):
        answer["usage"] = usage_of(answer["usage"])
    answer.pop("request_id", None)
    return answer


def call_of(call: Json, index: int) -> Json:
    """A tool call of a plain reply: no index, an id in any case, arguments as text."""
    function = call.get("function") or {}
    arguments = function.get("arguments")
    text = arguments if isinstance(arguments, str) else encode(arguments or {}).decode()
    return {
        "id": call.get("id") or f"call_{index}",
        "type": "function",
        "function": {"name": function.get("name") or "", "arguments": text},
    }


def one_line(events: bytes) -> bytes:
    """Events without the signs that some clients take for the end of a line, though JSON lets them stand: escaped, they mean the same."""
    for sign, escaped in LINE_ENDS:
        if sign in events:
            events = events.replace(sign, escaped)
    return events


LINE_ENDS = tuple((sign.encode(), b"\\u%04x" % ord(sign)) for sign in "\u2028\u2029\x85")


class ChatStream:
    """Chunks in, server-sent events out."""

    __slots__ = (
        "_calls",
        "_end",
        "_finished",
        "_functions",
        "_head",
        "_model",
        "_now",
        "_request_id",
        "_start",
        "_started",
        "finish",
        "include_usage",
        "said",
        "usage",
    )

    def __init__(self, *, model: str, request_id: str, now: Callable[[], float], include_usage: bool, functions: bool = False) -> None:
        self._model = model
        self._request_id = request_id
        self._now = now
        self.include_usage = include_usage
        self._functions = functions
        self.usage: Json | None = None
        self.said: list[str] = []
        """Everything that was said, for who has to count it."""
        self.finish = ""
        self._head: Json = {}
        self._calls: set[tuple[int, int]] = set()
        self._started: set[int] = set()
        self._finished: set[int] = set()
        self._start: dict[int, bytes] = {}
        """Per choice: a chunk of words up to the words."""
        self._end = b""
        """… and after them."""

    def feed(self, chunks: list[Json]) -> bytes:
        """The events for a group of chunks; b"" if they say nothing."""
        out: list[bytes] = []
        for chunk in legacy_functions.chunks(chunks) if self._functions else chunks:
            if usage := chunk.get("usage"):
                self.usage = usage
            if not self._head:
                self._begin(chunk)
            for choice in chunk.get("choices") or ():
                self._choice(choice, chunk, out)
        return one_line(b"".join(out))

    def end(self) -> bytes:
        """What follows the last chunk of a whole answer."""
        if self.include_usage and self.usage:
            return event({**self._head, "choices": [], "usage": usage_of(self.usage)}) + DONE
        return DONE

    def _begin(self, chunk: Json) -> None:
        created = chunk.get("created")
        self._head = {
            "id": answer_id(chunk.get("id"), self._request_id),
            "object": "chat.completion.chunk",
            "created": created if isinstance(created, int) and created else int(self._now()),
            "model": chunk.get("model") or self._model,
        }
        if chunk.get("system_fingerprint"):
            self._head["system_fingerprint"] = chunk["system_fingerprint"]
        self._end = b'},"logprobs":null,"finish_reason":null}]' + (b',"usage":null}\n\n' if self.include_usage else b"}\n\n")

    def _choice(self, choice: Json, chunk: Json, out: list[bytes]) -> None:
        index = choice.get("index") or 0
        delta = choice.get("delta") or {}
        if index not in self._started:
            self._started.add(index)
            self._start[index] = b"data: " + encode(self._head)[:-1] + b',"choices":[{"index":%d,"delta":{"content":' % index
            out.append(self._event(index, {"role": "assistant", "content": ""}))
        extra = {} if chunk.keys() <= USUAL else {name: value for name, value in chunk.items() if name not in USUAL and value is not None}
        if extra or not (delta.keys() <= DELTA and choice.keys() <= CHOICE) or choice.get("logprobs"):
            self._unusual(index, choice, delta, extra, out)
        else:
            if reasoning := delta.get("reasoning_content"):
                self.said.append(reasoning)
                out.append(self._event(index, {"reasoning_content": reasoning}))
            if content := delta.get("content"):
                self.said.append(content)
                out.append(self._start[index] + encode(content) + self._end)
        if delta.get("refusal"):
            out.append(self._event(index, {"refusal": delta["refusal"]}))
        if delta.get("function_call"):
            out.append(self._event(index, {"function_call": delta["function_call"]}))
        for call in delta.get("tool_calls") or ():
            self._call(index, call, out)
        if (reason := choice.get("finish_reason")) and index not in self._finished:  # some providers repeat it with the usage
            self._finished.add(index)
            self.finish = reason
            out.append(self._event(index, {}, finish=reason))

    def _unusual(self, index: int, choice: Json, delta: Json, extra: Json, out: list[bytes]) -> None:
        """A chunk with something of the provider's own, or with logprobs: passed on as it is."""
        skipped = ("role", "tool_calls", "function_call", "refusal")
        words = {name: value for name, value in delta.items() if name not in skipped and value not in (None, "")}
        more = {name: value for name, value in choice.items() if name not in CHOICE and value is not None}
        self.said += [text for name in ("reasoning_content", "content") if isinstance(text := words.get(name), str)]
        if words or more or extra or choice.get("logprobs"):
            out.append(self._event(index, words, logprobs=choice.get("logprobs"), extra=extra, more=more))

    def _call(self, index: int, call: Json, out: list[bytes]) -> None:
        number = call.get("index") or 0
        function = call.get("function") or {}
        if (index, number) not in self._calls:
            self._calls.add((index, number))
            name = {"name": function.get("name") or "", "arguments": ""}
            first = {"index": number, "id": call.get("id") or f"call_{number}", "type": "function", "function": name}
            out.append(self._event(index, {"tool_calls": [first]}))
        if arguments := function.get("arguments"):
            text = arguments if isinstance(arguments, str) else encode(arguments).decode()
            self.said.append(text)
            out.append(self._event(index, {"tool_calls": [{"index": number, "function": {"arguments": text}}]}))

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
        chunk = {**self._head, "choices": [{**choice, **more} if more else choice]}
        if extra:
            chunk |= extra
        if self.include_usage:
            chunk["usage"] = None
        return event(chunk)
