"""Streamed answers as every surface reads them: a provider's chunks are checked here, once, and said by a subclass in its surface's words.

For each choice: `begins`; any of `says`, `thinks`, `refuses`, `says_more`, and `calls` before the `argues` of the same call; then
`finishes`. At the end of a whole answer `over`; of one that breaks off `fails`, and nothing after it.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from gateway.api.forms import function_call_in, is_count, logprobs_in, odd, text, usage_in
from gateway.api.wire import Refusal
from providers.base import SHAPELESS, Fault, Json, encode

USUAL = frozenset({"id", "object", "created", "model", "choices", "usage", "system_fingerprint", "request_id", "error"})
"""Keys of a chunk that are said anew, or that are the provider's own affair; others are passed on."""
DELTA = frozenset({"role", "content", "reasoning_content", "tool_calls", "function_call", "refusal"})
APART = frozenset({"role", "tool_calls", "function_call", "refusal"})
"""Keys of a delta that have events of their own."""
OPTIONAL = {"tool_calls": list, "function_call": dict, "reasoning_content": str, "annotations": list, "audio": dict}
"""Keys of a message that are there only with something in them, and with what kind of thing."""
CHOICE = frozenset({"index", "delta", "finish_reason", "logprobs"})
NAMED = ("system_fingerprint", "service_tier", "obfuscation")
"""Keys of a reply that are there only with a name in them."""


def answer_id(given: Any, request_id: str) -> str:
    """An id in OpenAI's form, with the provider's own in it so that both sides can find the call."""
    text = given if isinstance(given, str) and given else request_id
    return text if text.startswith("chatcmpl-") else f"chatcmpl-{text}"


def name_of(value: Any) -> str:
    """A name that the provider gives; "" for what is none."""
    return value if value.__class__ is str else ""


def is_fit(name: str, value: Any) -> bool:
    """Whether a key that may be left out has the kind of thing in it that clients expect."""
    return name not in OPTIONAL or value.__class__ is OPTIONAL[name]


def is_extra(name: str, value: Any) -> bool:
    """Whether a chunk's key is one of the provider's own, with something in it."""
    return name not in USUAL and value is not None and (name not in NAMED or value.__class__ is str)


class Grammar(ABC):
    """Chunks in, bytes out."""

    __slots__ = (
        "_answers", "_calls", "_finished", "_model", "_now", "_request_id", "_started", "continued_by", "finish", "head", "others", "usage",
        "words",
    )  # fmt: skip

    def __init__(self, *, model: str, request_id: str, now: Callable[[], float], answers: int = 0) -> None:
        """`answers`: how many choices have to have ended before the whole has; 0: any."""
        self._answers = answers
        self._model = model
        self._request_id = request_id
        self._now = now
        self.usage: Json | None = None
        self.words: list[str] = []
        self.others: list[str] = []
        """What was said in words, and what was thought or called: for who has to count it."""
        self.finish = ""
        self.continued_by: list[str] = []
        """The hops that went on with the answer after it had broken off: the last chunk names them."""
        self.head: Json = {}
        """id, object, created and model, as a chunk of chat has them; from the first chunk on."""
        self._calls: set[tuple[int, int]] = set()
        self._started: set[int] = set()
        self._finished: set[int] = set()

    def feed(self, chunks: list[Json]) -> bytes:
        """The events for a group of chunks; b"" if they say nothing. Raises Fault("broken"), or one of SHAPELESS, for what is no answer."""
        out: list[bytes] = []
        for chunk in chunks:
            if usage := chunk.get("usage"):
                self.usage = usage_in(usage) or self.usage
            if not self.head:
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
        return one_line(self.over())

    @property
    def called(self) -> bool:
        """Whether a tool call has begun."""
        return bool(self._calls)

    # ---- what a surface says; each gives bytes ----

    @abstractmethod
    def begins(self, index: int) -> bytes:
        """The first sign of a choice."""

    @abstractmethod
    def says(self, index: int, text: str, logprobs: Json | None) -> bytes: ...

    @abstractmethod
    def thinks(self, index: int, text: str) -> bytes: ...

    @abstractmethod
    def refuses(self, index: int, text: str) -> bytes: ...

    @abstractmethod
    def calls(self, index: int, number: int, id: str, kind: str, name: str) -> bytes:
        """The beginning of a call. `kind`: function or custom."""

    @abstractmethod
    def argues(self, index: int, number: int, kind: str, text: str) -> bytes:
        """A piece of a function's arguments, or of a custom tool's input."""

    def says_more(self, index: int, fields: Json) -> bytes:
        """What else a delta, a choice or a chunk has: `annotations`, `audio`, something of the provider's own."""
        return b""

    @abstractmethod
    def finishes(self, index: int, reason: str) -> bytes: ...

    @abstractmethod
    def over(self) -> bytes:
        """The whole answer has been said; `usage` is what it used."""

    @abstractmethod
    def fails(self, refusal: Refusal) -> bytes:
        """It breaks off, and must not look as if it were whole."""

    # ---- what providers say ----

    def _begin(self, chunk: Json) -> None:
        created = chunk.get("created")
        self.head = {
            "id": answer_id(chunk.get("id"), self._request_id),
            "object": "chat.completion.chunk",
            "created": created if is_count(created) and created else int(self._now()),
            "model": name_of(chunk.get("model")) or self._model,
        }
        if fingerprint := name_of(chunk.get("system_fingerprint")):
            self.head["system_fingerprint"] = fingerprint

    def _choice(self, choice: Json, chunk: Json, out: list[bytes]) -> None:
        index = choice.get("index") or 0
        delta = choice.get("delta") or {}
        if index not in self._started:
            if not is_count(index):
                raise odd("an index")
            self._started.add(index)
            out.append(self.begins(index))
        extra = {} if len(chunk) == 1 or chunk.keys() <= USUAL else {name: value for name, value in chunk.items() if is_extra(name, value)}
        if extra or not (delta.keys() <= DELTA and choice.keys() <= CHOICE) or choice.get("logprobs"):
            self._unusual(index, choice, delta, extra, out)
        else:
            if (reasoning := delta.get("reasoning_content")) and reasoning.__class__ is str:
                self.others.append(reasoning)
                out.append(self.thinks(index, reasoning))
            if content := delta.get("content"):
                if content.__class__ is not str:
                    raise odd("content")
                self.words.append(content)
                out.append(self.says(index, content, None))
        if len(delta) > 1 or "content" not in delta:
            if delta.get("refusal"):
                out.append(self.refuses(index, text(delta["refusal"], "a refusal")))
            if delta.get("function_call"):
                self._old_call(index, function_call_in(delta["function_call"]), out)
            for call in delta.get("tool_calls") or ():
                self._call(index, call, out)
        if (reason := choice.get("finish_reason")) and index not in self._finished:  # some providers repeat it with the usage
            self.finish = text(reason, "a finish reason")
            self._finished.add(index)
            out.append(self.finishes(index, reason))

    def _unusual(self, index: int, choice: Json, delta: Json, extra: Json, out: list[bytes]) -> None:
        """A chunk with something of the provider's own, or with logprobs."""
        words = {name: value for name, value in delta.items() if name not in APART and value not in (None, "") and is_fit(name, value)}
        more = {name: value for name, value in choice.items() if name not in CHOICE and value is not None}
        logprobs = logprobs_in(choice.get("logprobs"))
        content, reasoning = text(words.get("content"), "content"), words.get("reasoning_content")
        if reasoning:
            self.others.append(reasoning)
        if content:
            self.words.append(content)
        self._say_unusual(index, words, logprobs, more, extra, out)

    def _say_unusual(self, index: int, words: Json, logprobs: Json | None, more: Json, extra: Json, out: list[bytes]) -> None:
        """`words`: what is in the delta; `more`: in the choice; `extra`: in the chunk."""
        if reasoning := words.pop("reasoning_content", None):
            out.append(self.thinks(index, reasoning))
        content = words.pop("content", None)
        if content or logprobs:
            out.append(self.says(index, content or "", logprobs))
        if words or more or extra:
            out.append(self.says_more(index, {**extra, **more, **words}))

    def _old_call(self, index: int, call: Json, out: list[bytes]) -> None:
        """A call of OpenAI's oldest form, from a provider that was asked for none of them."""
        self._call(index, {"function": call}, out)

    def _call(self, index: int, call: Json, out: list[bytes]) -> None:
        """A piece of a call: of a function's arguments, or of a custom tool's input."""
        number = call.get("index") or 0
        kind, words = ("custom", "input") if call.get("custom") else ("function", "arguments")
        called = call.get(kind) or {}
        if (index, number) not in self._calls:
            if not is_count(number):
                raise odd("a call")
            self._calls.add((index, number))
            name = text(called.get("name"), "a call") or ""
            out.append(self.calls(index, number, name_of(call.get("id")) or f"call_{number}", kind, name))
        if said := called.get(words):
            told = said if isinstance(said, str) else encode(said).decode()
            self.others.append(told)
            out.append(self.argues(index, number, kind, told))


def one_line(events: bytes) -> bytes:
    """Events without the signs that some clients take for the end of a line, though JSON lets them stand: escaped, they mean the same."""
    if not events.isascii():
        for sign, escaped in LINE_ENDS:
            events = events.replace(sign, escaped)
    return events


LINE_ENDS = tuple((sign.encode(), b"\\u%04x" % ord(sign)) for sign in "\u2028\u2029\x85")
