"""Chat answers as OpenAI's clients expect them, whatever the provider left out or put elsewhere: the reply, and the grammar of the stream.

A stream, for each choice: a first delta with the role and content ""; deltas of words, or of calls (the first fragment with index, id, type
and name, the later ones with arguments alone); a last delta that is empty, with the finish_reason. Then, if asked for, one chunk with the
usage and no choices. Every chunk has the same id, model and time. Then [DONE].
"""

from collections.abc import Callable
from typing import Any

from gateway.api import legacy_functions
from gateway.api.forms import function_call_in, is_count, logprobs_in, odd, text, usage_in
from gateway.api.wire import event
from providers.base import SHAPELESS, Fault, Json, encode

DONE = b"data: [DONE]\n\n"
USUAL = frozenset({"id", "object", "created", "model", "choices", "usage", "system_fingerprint", "request_id", "error"})
"""Keys of a chunk that are said anew, or that are the provider's own affair; others are passed on."""
DELTA = frozenset({"role", "content", "reasoning_content", "tool_calls", "function_call", "refusal"})
APART = frozenset({"role", "tool_calls", "function_call", "refusal"})
"""Keys of a delta that have events of their own."""
OPTIONAL = {"tool_calls": list, "function_call": dict, "reasoning_content": str, "annotations": list, "audio": dict}
"""Keys of a message that are there only with something in them, and with what kind of thing."""
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
    """The plain reply. Edits the provider's, which is ours. Raises Fault("broken"), or one of SHAPELESS, for what cannot be one."""
    for number, choice in enumerate(answer["choices"]):
        message = choice.get("message") or {}
        if choice.get("index").__class__ is not int:
            choice["index"] = number
        choice["logprobs"] = logprobs_in(choice.get("logprobs"))
        choice["message"] = said = {"content": None, "refusal": None, **message, "role": "assistant"}
        text(said["content"], "content")
        text(said["refusal"], "a refusal")
        if not message.keys() <= PLAIN:
            _complete_more(said)
        choice["finish_reason"] = text(choice.get("finish_reason") or None, "a finish reason") or (
            "tool_calls" if "tool_calls" in said else "stop"
        )
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
NAMED = ("system_fingerprint", "service_tier", "obfuscation")
"""Keys of a reply that are there only with a name in them."""


def _complete_more(said: Json) -> None:
    """What a message may have beside its words."""
    if calls := said.get("tool_calls"):
        said["tool_calls"] = [call_of(call, index) for index, call in enumerate(calls)]
        said["content"] = said["content"] or None
    if said.get("function_call"):
        said["function_call"] = {"name": "", "arguments": "", **function_call_in(said["function_call"])}
    for name in OPTIONAL:
        if name in said and not (said[name] and _is_fit(name, said[name])):
            del said[name]


def _is_fit(name: str, value: Any) -> bool:
    """Whether a key that may be left out has the kind of thing in it that clients expect."""
    return name not in OPTIONAL or value.__class__ is OPTIONAL[name]


def name_of(value: Any) -> str:
    """A name that the provider gives; "" for what is none."""
    return value if value.__class__ is str else ""


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


def one_line(events: bytes) -> bytes:
    """Events without the signs that some clients take for the end of a line, though JSON lets them stand: escaped, they mean the same."""
    if not events.isascii():
        for sign, escaped in LINE_ENDS:
            events = events.replace(sign, escaped)
    return events


LINE_ENDS = tuple((sign.encode(), b"\\u%04x" % ord(sign)) for sign in "\u2028\u2029\x85")


def _is_extra(name: str, value: Any) -> bool:
    """Whether a chunk's key is one of the provider's own, with something in it."""
    return name not in USUAL and value is not None and (name not in NAMED or value.__class__ is str)


class ChatStream:
    """Chunks in, server-sent events out."""

    __slots__ = (
        "_answers",
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
        "continued_by",
        "finish",
        "include_usage",
        "others",
        "usage",
        "words",
    )

    def __init__(
        self, *, model: str, request_id: str, now: Callable[[], float], include_usage: bool, functions: bool = False, answers: int = 0
    ) -> None:
        """`answers`: how many choices have to have ended before the whole has; 0: any."""
        self._answers = answers
        self._model = model
        self._request_id = request_id
        self._now = now
        self.include_usage = include_usage
        self._functions = functions
        self.usage: Json | None = None
        self.words: list[str] = []
        self.others: list[str] = []
        """What was said in words, and what was thought or called: for who has to count it."""
        self.finish = ""
        self.continued_by: list[str] = []
        """The hops that went on with the answer after it had broken off: the last chunk names them."""
        self._head: Json = {}
        self._calls: set[tuple[int, int]] = set()
        self._started: set[int] = set()
        self._finished: set[int] = set()
        self._start: dict[int, bytes] = {}
        """Per choice: a chunk of words up to the words."""
        self._end = b""
        """… and after them."""

    def feed(self, chunks: list[Json]) -> bytes:
        """The events for a group of chunks; b"" if they say nothing. Raises Fault("broken"), or one of SHAPELESS, for what is no answer."""
        out: list[bytes] = []
        for chunk in legacy_functions.chunks(chunks) if self._functions else chunks:
            if usage := chunk.get("usage"):
                self.usage = usage_in(usage) or self.usage
            if not self._head:
                self._begin(chunk)
            try:
                for choice in chunk.get("choices") or ():
                    self._choice(choice, chunk, out)
            except (Fault, *SHAPELESS):
                if not self._started or self._started != self._finished:
                    raise  # … but a finished answer stays whole
        return one_line(b"".join(out))

    def end(self) -> bytes:
        """What follows the last chunk of a whole answer. Raises Fault("broken") where a choice is missing or has no end."""
        if self._answers and (len(self._finished) < self._answers or self._finished != self._started):
            raise Fault("broken", "the provider's answer ended before it was complete")
        if self.include_usage and self.usage:
            return event({**self._head, "choices": [], "usage": usage_of(self.usage)}) + DONE
        return DONE

    @property
    def called(self) -> bool:
        """Whether a tool call has begun."""
        return bool(self._calls)

    def _begin(self, chunk: Json) -> None:
        created = chunk.get("created")
        self._head = {
            "id": answer_id(chunk.get("id"), self._request_id),
            "object": "chat.completion.chunk",
            "created": created if is_count(created) and created else int(self._now()),
            "model": name_of(chunk.get("model")) or self._model,
        }
        if fingerprint := name_of(chunk.get("system_fingerprint")):
            self._head["system_fingerprint"] = fingerprint
        self._end = b'},"logprobs":null,"finish_reason":null}]' + (b',"usage":null}\n\n' if self.include_usage else b"}\n\n")

    def _choice(self, choice: Json, chunk: Json, out: list[bytes]) -> None:
        index = choice.get("index") or 0
        delta = choice.get("delta") or {}
        if index not in self._started:
            if not is_count(index):
                raise odd("an index")
            self._started.add(index)
            self._start[index] = b"data: " + encode(self._head)[:-1] + b',"choices":[{"index":%d,"delta":{"content":' % index
            out.append(self._event(index, {"role": "assistant", "content": ""}))
        extra = {} if chunk.keys() <= USUAL else {name: value for name, value in chunk.items() if _is_extra(name, value)}
        if extra or not (delta.keys() <= DELTA and choice.keys() <= CHOICE) or choice.get("logprobs"):
            self._unusual(index, choice, delta, extra, out)
        else:
            if (reasoning := delta.get("reasoning_content")) and reasoning.__class__ is str:
                self.others.append(reasoning)
                out.append(self._event(index, {"reasoning_content": reasoning}))
            if content := delta.get("content"):
                if content.__class__ is not str:
                    raise odd("content")
                self.words.append(content)
                out.append(self._start[index] + encode(content) + self._end)
        if len(delta) > 1 or "content" not in delta:
            if delta.get("refusal"):
                out.append(self._event(index, {"refusal": text(delta["refusal"], "a refusal")}))
            if delta.get("function_call"):
                out.append(self._event(index, {"function_call": function_call_in(delta["function_call"])}))
            for call in delta.get("tool_calls") or ():
                self._call(index, call, out)
        if (reason := choice.get("finish_reason")) and index not in self._finished:  # some providers repeat it with the usage
            self.finish = text(reason, "a finish reason")
            self._finished.add(index)
            told = {"banjia": {"continued_by": self.continued_by}} if self.continued_by else None
            out.append(self._event(index, {}, finish=reason, extra=told))

    def _unusual(self, index: int, choice: Json, delta: Json, extra: Json, out: list[bytes]) -> None:
        """A chunk with something of the provider's own, or with logprobs: passed on as it is."""
        words = {name: value for name, value in delta.items() if name not in APART and value not in (None, "") and _is_fit(name, value)}
        more = {name: value for name, value in choice.items() if name not in CHOICE and value is not None}
        logprobs = logprobs_in(choice.get("logprobs"))
        if content := text(words.get("content"), "content"):
            self.words.append(content)
        if reasoning := words.get("reasoning_content"):
            self.others.append(reasoning)
        if words or more or extra or logprobs:
            out.append(self._event(index, words, logprobs=logprobs, extra=extra, more=more))

    def _call(self, index: int, call: Json, out: list[bytes]) -> None:
        """A piece of a call: of a function's arguments, or of a custom tool's input."""
        number = call.get("index") or 0
        kind, words = ("custom", "input") if call.get("custom") else ("function", "arguments")
        called = call.get(kind) or {}
        if (index, number) not in self._calls:
            if not is_count(number):
                raise odd("a call")
            self._calls.add((index, number))
            name = {"name": text(called.get("name"), "a call") or "", words: ""}
            first = {"index": number, "id": name_of(call.get("id")) or f"call_{number}", "type": kind, kind: name}
            out.append(self._event(index, {"tool_calls": [first]}))
        if said := called.get(words):
            told = said if isinstance(said, str) else encode(said).decode()
            self.others.append(told)
            out.append(self._event(index, {"tool_calls": [{"index": number, kind: {words: told}}]}))

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
