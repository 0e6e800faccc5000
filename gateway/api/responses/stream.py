"""A response as it comes, in OpenAI's events.

response.created, response.in_progress; each item of the output from response.output_item.added to .done, one after the other; then exactly
one of response.completed, .incomplete and .failed. The events are numbered from 0 without a gap.

Chat may mix the pieces of its calls. So an item that begins before the one ahead of it is whole has to wait: words are whole whenever
something else comes, a call when its arguments are.
"""

from collections.abc import Callable
from typing import Any

from msgspec import DecodeError

from gateway.api.forms import odd
from gateway.api.grammar import Grammar
from gateway.api.objects import new
from gateway.api.responses.answer import (
    INCOMPLETE,
    Told,
    annotations_of,
    call_item,
    called,
    cut_off,
    ended,
    logprobs_of,
    message_item,
    reasoning,
    text_part,
)
from gateway.api.wire import Refusal
from providers.base import Json, decode, encode

CODES = {429: "rate_limit_exceeded", 400: "invalid_prompt"}
"""Of a response that has failed, by the status that its refusal would have; all others: server_error."""
EMPTY: Json = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}


class Item:
    """One item of the output that has begun."""

    __slots__ = ("annotations", "begun", "call", "kind", "logprobs", "parts", "pieces", "told")

    def __init__(self, kind: str, begun: Json, call: str = "") -> None:
        self.kind = kind
        """message, reasoning or call."""
        self.begun = begun
        self.call = call
        """function or custom, as chat says it."""
        self.parts: list[Json] = []
        """Of a message: those that are whole."""
        self.pieces: list[tuple[str, str, Any]] = []
        """(kind of text, text, logprobs) of what has not been told yet; of a call: arguments."""
        self.told: list[str] = []
        """What has been told, of the part that is open."""
        self.logprobs: list[Json] = []
        self.annotations: list[Json] = []

    def whole(self) -> bool:
        """Whether nothing is missing, should another item be next."""
        if self.kind != "call":
            return True
        said = "".join([*self.told, *[text for _, text, _ in self.pieces]])
        if self.call == "custom" or not said.rstrip().endswith("}"):
            return False
        try:
            decode(said)
        except (DecodeError, RecursionError):
            return False
        return True


class ResponseStream(Grammar):
    """Chunks of chat in, events of a response out."""

    __slots__ = ("_by_number", "_count", "_number", "_open", "_part", "_reason", "_tier", "_told", "_waiting", "output", "response")

    def __init__(self, *, model: str, request_id: str, now: Callable[[], float], response: Json, told: Told) -> None:
        """`response`: as it is before anything is in it."""
        super().__init__(model=model, request_id=request_id, now=now, answers=1)
        self.response = response
        self.output: list[Json] = []
        """Items that are done."""
        self._told = told
        self._number = 0
        """Of the next event."""
        self._by_number: dict[int, Item] = {}
        """Calls."""
        self._open: Item | None = None
        self._waiting: list[Item] = []
        """Begun behind the open one."""
        self._count = 0
        """How many items have been opened."""
        self._part = ""
        """Which part of the open item is open."""
        self._reason = "stop"
        self._tier: Json = {}

    # ---- what chat says ----

    def begins(self, index: int) -> bytes:
        if index:
            return b""
        self.response = {**self.response, "model": self.head["model"]}
        return self._event("response.created", response=self.response) + self._event("response.in_progress", response=self.response)

    def says(self, index: int, text: str, logprobs: Json | None) -> bytes:
        tokens = logprobs_of((logprobs or {}).get("content"))
        return self._words(index, "message", "output_text", text, tokens) if text or tokens else b""

    def thinks(self, index: int, text: str) -> bytes:
        return self._words(index, "reasoning", "reasoning", text, ())

    def refuses(self, index: int, text: str) -> bytes:
        return self._words(index, "message", "refusal", text, ())

    def calls(self, index: int, number: int, id: str, kind: str, name: str) -> bytes:
        if index:
            return b""
        item = Item("call", call_item(id, kind, name, self._told), kind)
        self._by_number[number] = item
        return self._item(item)

    def argues(self, index: int, number: int, kind: str, text: str) -> bytes:
        return b"" if index else self._add(self._by_number[number], "call", text, ())

    def says_more(self, index: int, fields: Json) -> bytes:
        if index:
            return b""
        if isinstance(tier := fields.get("service_tier"), str):
            self._tier = {"service_tier": tier}
        found = annotations_of(fields.get("annotations"))
        last = self._waiting[-1] if self._waiting else self._open
        if not found or last is None or last.kind != "message":
            return b""
        if last is not self._open or self._part != "output_text":
            last.annotations += found
            return b""
        return b"".join(self._annotation(last, one) for one in found)

    def finishes(self, index: int, reason: str) -> bytes:
        if index:
            return b""
        self._reason = reason
        return self._all()

    def over(self) -> bytes:
        events = self._all()
        more = {"model": self.head["model"], **self._tier}
        self.response = ended(self.response, self.output, reason=self._reason, usage=self.usage, now=int(self._now()), more=more)
        if self.continued_by:
            self.response["banjia"] = {"continued_by": self.continued_by}
        return events + self._event(f"response.{self.response['status']}", response=self.response)

    def fails(self, refusal: Refusal) -> bytes:
        error = refusal.body["error"]
        if not self._number:  # there is no response yet that could fail
            return self._event("error", code=error["code"], message=error["message"], param=error["param"])
        why = {"code": CODES.get(refusal.status, "server_error"), "message": error["message"]}
        self.response = {**self.response, "status": "failed", "error": why, "output": self.output}
        return self._event("response.failed", response=self.response)

    # ---- items ----

    def _words(self, index: int, kind: str, part: str, text: str, logprobs: Any) -> bytes:
        if index:
            return b""
        last = self._waiting[-1] if self._waiting else self._open
        if last is not None and last.kind == kind:
            return self._add(last, part, text, logprobs)
        begun = (
            message_item(new("msg_"), [], "in_progress") if kind == "message" else {"id": new("rs_"), "type": "reasoning", "summary": []}
        )
        item = Item(kind, begun)
        return self._item(item) + self._add(item, part, text, logprobs)

    def _item(self, item: Item) -> bytes:
        self._waiting.append(item)
        events = b""
        while self._waiting and (self._open is None or self._open.whole()):
            events += self._next()
        return events

    def _add(self, item: Item, part: str, text: str, logprobs: Any) -> bytes:
        if item is self._open:
            return self._say(item, part, text, logprobs)
        if item in self._waiting:
            item.pieces.append((part, text, logprobs))
        elif text.strip():
            raise odd("a call")  # it had all its arguments
        return b""

    def _all(self) -> bytes:
        """Whatever has begun, to its end."""
        events = b""
        if not self._count and not self._waiting:
            events += self._words(0, "message", "output_text", "", ())
        while self._waiting:
            events += self._next()
        return events + self._close(last=True)

    def _next(self) -> bytes:
        """The first that waits takes the place of the open one."""
        events = self._close()
        item = self._open = self._waiting.pop(0)
        events += self._event("response.output_item.added", output_index=self._count, item=item.begun)
        self._count += 1
        pieces, item.pieces = item.pieces, []
        return events + b"".join(self._say(item, *piece) for piece in pieces)

    def _close(self, *, last: bool = False) -> bytes:
        """`last`: nothing comes after it, so that it is what was cut off, if anything was."""
        item, self._open = self._open, None
        if item is None:
            return b""
        events, done = self._call_done(item) if item.kind == "call" else self._words_done(item)
        if last and self._reason in INCOMPLETE:
            done = cut_off(done)
        self.output.append(done)
        return events + self._event("response.output_item.done", output_index=self._count - 1, item=done)

    # ---- what is in an item ----

    def _say(self, item: Item, part: str, text: str, logprobs: Any) -> bytes:
        if item.kind == "call":
            item.told.append(text)
            if item.begun["type"] == "function_call":
                return self._delta("response.function_call_arguments.delta", item, text)
            if item.call == "custom":
                return self._delta("response.custom_tool_call_input.delta", item, text)
            return b""  # the input is in arguments: told when they are whole
        events = b""
        if self._part != part:
            events = self._part_done(item) + self._part_added(item, part)
        if not text and not logprobs:
            return events
        item.told.append(text)
        if part == "output_text":
            item.logprobs += logprobs
            return events + self._delta("response.output_text.delta", item, text, content_index=len(item.parts), logprobs=logprobs)
        if part == "refusal":
            return events + self._delta("response.refusal.delta", item, text, content_index=len(item.parts))
        if self._told.summary:
            return events + self._delta("response.reasoning_summary_text.delta", item, text, summary_index=0)
        return events + self._delta("response.reasoning_text.delta", item, text, content_index=0)

    def _part_added(self, item: Item, part: str) -> bytes:
        self._part = part
        if part == "output_text":
            events = self._within("response.content_part.added", item, content_index=len(item.parts), part=EMPTY)
            found, item.annotations = item.annotations, []
            return events + b"".join(self._annotation(item, one) for one in found)
        if part == "refusal":
            return self._within("response.content_part.added", item, content_index=len(item.parts), part={"type": part, "refusal": ""})
        if self._told.summary:
            return self._within("response.reasoning_summary_part.added", item, summary_index=0, part={"type": "summary_text", "text": ""})
        return self._within("response.content_part.added", item, content_index=0, part={"type": "reasoning_text", "text": ""})

    def _part_done(self, item: Item) -> bytes:
        part, self._part = self._part, ""
        text, item.told = "".join(item.told), []
        at = len(item.parts)
        if part == "output_text":
            whole = text_part(text, item.annotations, item.logprobs)
            item.annotations, item.logprobs = [], []
            done = self._within("response.output_text.done", item, content_index=at, text=text, logprobs=whole["logprobs"])
        elif part == "refusal":
            whole = {"type": "refusal", "refusal": text}
            done = self._within("response.refusal.done", item, content_index=at, refusal=text)
        elif part:
            item.told = [text]
            if self._told.summary:
                whole = {"type": "summary_text", "text": text}
                return self._within("response.reasoning_summary_text.done", item, summary_index=0, text=text) + self._within(
                    "response.reasoning_summary_part.done", item, summary_index=0, part=whole
                )
            whole = {"type": "reasoning_text", "text": text}
            done = self._within("response.reasoning_text.done", item, content_index=0, text=text)
        else:
            return b""
        item.parts.append(whole)
        return done + self._within("response.content_part.done", item, content_index=at, part=whole)

    def _annotation(self, item: Item, one: Json) -> bytes:
        number = len(item.annotations)
        item.annotations.append(one)
        where = {"content_index": len(item.parts), "annotation_index": number}
        return self._within("response.output_text.annotation.added", item, **where, annotation=one)

    def _words_done(self, item: Item) -> tuple[bytes, Json]:
        events = self._part_done(item)
        if item.kind == "reasoning":
            return events, reasoning(item.begun["id"], "".join(item.told), self._told)
        return events, message_item(item.begun["id"], item.parts)

    def _call_done(self, item: Item) -> tuple[bytes, Json]:
        said = "".join(item.told)
        done = called(item.begun, said, item.call)
        if done["type"] == "function_call":
            events = b"" if said else self._delta("response.function_call_arguments.delta", item, done["arguments"])
            return events + self._within(
                "response.function_call_arguments.done", item, name=done["name"], arguments=done["arguments"]
            ), done
        events = self._delta("response.custom_tool_call_input.delta", item, done["input"]) if item.call == "function" else b""
        return events + self._within("response.custom_tool_call_input.done", item, input=done["input"]), done

    # ---- events ----

    def _delta(self, name: str, item: Item, delta: str, /, **more: Any) -> bytes:
        return self._within(name, item, **more, delta=delta)

    def _within(self, name: str, item: Item, /, **more: Any) -> bytes:
        return self._event(name, item_id=item.begun["id"], output_index=self._count - 1, **more)

    def _event(self, name: str, /, **more: Any) -> bytes:
        told = {"type": name, "sequence_number": self._number, **more}
        self._number += 1
        return b"event: " + name.encode() + b"\ndata: " + encode(told) + b"\n\n"
