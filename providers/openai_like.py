"""What most vendors share: OpenAI's chat completions and embeddings, with differences stated as data. See zhipu/adapter.py for a use."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from msgspec import DecodeError, Struct, ValidationError

from providers.base import SHAPELESS, Fault, Json, Kind, Outgoing, Stream, Target, decode, encode
from providers.faults import Errors, make_fault
from providers.fields import Fields, Rule, apply, drop, kept_here, native, served_model
from providers.likeness import Likeness
from providers.sse import MARK, EventReader, EventTooLong
from providers.unfinished import unfinished

UNKNOWN = drop("not known to this vendor")
UNREADABLE = (DecodeError, ValidationError, UnicodeDecodeError, RecursionError)
BRACE = ord("{")
SILENT = frozenset({"id", "object", "created", "model", "type", "system_fingerprint", "service_tier", "obfuscation"})

CHAT_BASICS: Fields = MappingProxyType({"model": served_model, "messages": native, "stream": native, "stream_options": kept_here})
"""The fields every chat endpoint has. Usage in streams is the gateway's own affair, so `stream_options` never reaches a vendor as such."""


class OpenAIChat(Struct, frozen=True):
    """A chat endpoint that speaks OpenAI's format with some differences."""

    path: str = "/chat/completions"
    fields: Fields = CHAT_BASICS
    others: Rule | None = UNKNOWN
    """What becomes of a field that `fields` does not name."""
    finish: Mapping[str, str | None] = {}
    """The vendor's finish reasons in OpenAI's words; None: not finished yet. Words it may add later pass through rather than vanish."""
    failed: Mapping[str, Kind] = {}
    """Finish reasons that report a failure."""
    reasoning: str = "reasoning_content"
    """The vendor's name for it."""
    errors: Errors = {}
    done_ends: bool = True
    """`[DONE]` ends an answer also where it gives no reason to finish; not so at servers that send it after a failure too."""
    mark: Mapping[str, Any] | None = None
    """What tells the vendor that a last turn of the assistant's is unfinished; {}: nothing has to; None: it cannot go on with one."""
    beside: Mapping[str, Any] = {}
    """Fields of the request that tell it."""

    def request(self, body: Json, target: Target) -> Outgoing:
        out, changes = apply(self.fields, self.others, body, target)
        return Outgoing(target.base_url + self.path, encode(out), changes=changes)

    def continuation(self, body: Json, said: str) -> Json | None:
        return None if self.mark is None else unfinished(body, said, self.mark, self.beside)

    def response(self, body: bytes) -> Json:
        answer = read_json(body)
        if not answer.get("choices") or answer.get("error"):
            raise self.fault(200, {}, body)
        for choice in answer["choices"]:
            if not isinstance(choice.get("message"), dict):
                raise Fault("broken", "the provider's answer has no message")
            self.settle(choice, choice["message"])
        return answer

    def stream(self) -> Stream:
        return Chunks(self)

    def fault(self, status: int, headers: Mapping[str, str], body: bytes) -> Fault:
        return make_fault(self.errors, status, headers, body)

    def chunk(self, event: Json) -> Json | None:
        """An event of the vendor's stream as OpenAI's chunk; None for one that says nothing. Raises Fault for one that reports an error."""
        if event.get("error") or event.get("error_code") or ("choices" not in event and "usage" not in event):
            raise make_fault(self.errors, 200, {}, event)
        for choice in event.get("choices") or ():
            self.settle(choice, choice.get("delta") or {})
        return event

    def settle(self, choice: Json, said: Json) -> None:
        """Puts a choice into OpenAI's words; `said` is its message or delta. Both are the decoded reply's own, and edited."""
        if reason := choice.get("finish_reason"):
            if reason.__class__ is not str:
                raise Fault("broken", "the provider's answer has a finish reason of no known form")
            if reason in self.failed:
                raise Fault(self.failed[reason], f"the provider ended its answer with `{reason}`", code=reason)
            if reason in self.finish:
                choice["finish_reason"] = self.finish[reason]
        elif reason == "":
            choice["finish_reason"] = None
        if self.reasoning != "reasoning_content" and self.reasoning in said:
            said["reasoning_content"] = said.pop(self.reasoning)


class Chunks:
    """OpenAI chunks out of a vendor's event stream; notices an answer that stops before its end.

    It ends where each of its choices has a reason to finish, or, if the chat's `done_ends` says so, with `[DONE]`. An event that cannot be
    read is passed over, but then a reason to finish has to come.
    """

    __slots__ = ("_begun", "_calls", "_chat", "_done", "_like", "_open", "_reader", "_unread")

    def __init__(self, chat: OpenAIChat) -> None:
        self._chat = chat
        self._reader = EventReader()
        self._like = Likeness()
        self._calls: dict[int, list[str]] = {}
        self._begun: set[int] = set()
        self._open: set[int] = set()
        """Choices that have begun and not ended."""
        self._done = False
        self._unread = False

    @property
    def finished(self) -> bool:
        """Whether every choice has given its reason to finish; the usage may still come."""
        return bool(self._begun) and not self._open

    def feed(self, data: bytes) -> list[Json]:
        try:
            return self._chunks(self._reader.feed(data))
        except EventTooLong as exc:
            raise Fault("broken", f"the provider sent {exc}") from exc

    def end(self) -> list[Json]:
        last = self._chunks(self._reader.end())
        if not self._begun or (self._open and (self._unread or not (self._done and self._chat.done_ends))):
            raise unended()
        ends: list[Json] = [
            {"index": at, "delta": {}, "finish_reason": "tool_calls" if at in self._calls else "stop"} for at in sorted(self._open)
        ]
        self._open = set()
        return [*last, {"choices": ends}] if ends else last

    def _chunks(self, payloads: list[bytes]) -> list[Json]:
        chunks: list[Json] = []
        for payload in payloads:
            if (alike := self._like.read(payload)) is not None and 0 in self._open:
                chunks.append(alike)
                continue
            if payload[0] != BRACE and payload.strip() == b"[DONE]":
                self._done = True
                continue
            try:
                event = self._read(payload)
                if event is None or ("choices" not in event and is_silent(event)):
                    continue
                chunk = self._chat.chunk(event)
                if chunk is None:
                    continue
                for choice in chunk.get("choices") or ():
                    index = choice.get("index") or 0
                    if index not in self._begun:
                        if index.__class__ is not int:
                            raise Fault("broken", "the provider's answer has an index of no known form")
                        self._begun.add(index)
                        self._open.add(index)
                        if "delta" not in choice and choice.get("message"):  # the whole answer at once
                            choice["delta"] = choice.pop("message")
                    if calls := (choice.get("delta") or {}).get("tool_calls"):
                        self._number(index, calls)
                    if choice.get("finish_reason"):  # the last of all: a chunk that is of no known form ends nothing
                        self._open.discard(index)
            except (Fault, *SHAPELESS):
                if self._open or not self._begun:
                    raise
                continue  # a finished answer stays whole
            self._like.learn(payload, chunk)
            chunks.append(chunk)
        return chunks

    def _read(self, payload: bytes) -> Json | None:
        """The event; None for one that is none, of which it cannot be told what is lost with it. Raises Fault for a page of HTML."""
        try:
            return decode(payload)
        except UNREADABLE as exc:
            if payload.lstrip().startswith(b"<"):
                raise no_object() from exc
            self._unread = True
            return None

    def _number(self, choice: int, calls: list[Json]) -> None:
        """Gives calls their index where the vendor leaves it out or says -1: a new id is a new call, no id goes on with the last."""
        known = self._calls.setdefault(choice, [])
        for call in calls:
            index = call.get("index")
            if index.__class__ is int and index >= 0:
                continue
            call_id = call.get("id")
            if call_id and call_id not in known:
                known.append(call_id)
            call["index"] = known.index(call_id) if call_id else max(len(known) - 1, 0)


class JsonEndpoint(Struct, frozen=True):
    """What endpoints beside chat share: JSON goes out by a table of fields, and a table of errors judges what comes back."""

    path: str = ""
    fields: Fields = {}
    others: Rule | None = UNKNOWN
    """What becomes of a field that `fields` does not name."""
    errors: Errors = {}

    def request(self, body: Json, target: Target) -> Outgoing:
        out, changes = apply(self.fields, self.others, body, target)
        return Outgoing(target.base_url + self.path, encode(out), changes=changes)

    def fault(self, status: int, headers: Mapping[str, str], body: bytes) -> Fault:
        return make_fault(self.errors, status, headers, body)


class OpenAIEmbeddings(JsonEndpoint, frozen=True):
    """An embeddings endpoint that speaks OpenAI's format with some differences. Its input is always a list of strings."""

    path: str = "/embeddings"

    def response(self, body: bytes) -> Json:
        answer = read_json(body)
        if not answer.get("data") or answer.get("error"):
            raise self.fault(200, {}, body)
        return answer

    def stream(self) -> Stream:
        raise Fault("bad_request", "embeddings are not streamed", param="stream")


class Payloads(ABC):
    """A stream of a form of its own, event by event: `over` when its end has been said. What comes after that is passed over."""

    __slots__ = ("_reader", "over")

    def __init__(self) -> None:
        self._reader = EventReader()
        self.over = False

    @abstractmethod
    def chunks(self, payload: bytes) -> list[Json]:
        """The chunks that an event says. Raises Fault, or one of SHAPELESS, for one that is of no known form."""

    def feed(self, data: bytes) -> list[Json]:
        try:
            return self._said(self._reader.feed(data))
        except EventTooLong as exc:
            raise Fault("broken", f"the provider sent {exc}") from exc

    def end(self) -> list[Json]:
        last = self._said(self._reader.end())
        if not self.over:
            raise unended()
        return last

    def _said(self, payloads: list[bytes]) -> list[Json]:
        return [chunk for payload in payloads if not self.over for chunk in self.chunks(payload)]


def kept(payloads: list[bytes], chunk_of: Callable[[Json], Json], is_whole: Callable[[], bool]) -> list[Json]:
    """The chunks of events, for streams of a form of their own. What comes after the end of an answer and is none is passed over."""
    chunks: list[Json] = []
    for payload in payloads:
        try:
            chunks.append(chunk_of(read_json(payload)))
        except (Fault, *SHAPELESS):
            if not is_whole():
                raise
    return chunks


def unended() -> Fault:
    return Fault("broken", "the provider's answer ended before it was complete")


def no_object() -> Fault:
    return Fault("broken", "the provider's answer is not a JSON object")


def is_silent(event: Json) -> bool:
    """Whether an event without choices says what it is, and nothing else: a ping, or the head of a chunk alone."""
    names = (event.get("type"), event.get("object"))
    return event.keys() <= SILENT and any(names) and "error" not in names


def read_json(data: bytes) -> Json:
    """A JSON object of the provider's. Raises Fault("broken") for anything else."""
    try:
        return decode(data)
    except UNREADABLE as exc:
        if data.startswith(MARK):
            return read_json(data.removeprefix(MARK))
        raise no_object() from exc
