"""A message as it comes, in Anthropic's events.

message_start, ping; for each block of content content_block_start, its deltas, content_block_stop; message_delta with the reason and the
usage; message_stop. One that breaks off has an error event, and nothing after it.

Blocks come one after the other, while chat may mix the pieces of its calls. So a block that begins before the one ahead of it is whole has
to wait: words are whole whenever something else comes, a call when its arguments are.
"""

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct

from gateway.api.forms import odd
from gateway.api.grammar import Grammar
from gateway.api.messages.answer import SIGNATURE, UNREAD, ended, head_of, input_of, usage_of
from gateway.api.wire import Refusal
from providers.base import Json, encode

EMPTY: Mapping[str, Json] = {
    "text": {"type": "text", "text": ""},
    "thinking": {"type": "thinking", "thinking": "", "signature": ""},
    "tool_use": {"type": "tool_use", "input": {}},
}
DELTAS = {"text": ("text_delta", "text"), "thinking": ("thinking_delta", "thinking"), "tool_use": ("input_json_delta", "partial_json")}
"""By the kind of block: what its deltas are called, and what is in them."""


def named(name: str, **more: Any) -> bytes:
    return b"event: " + name.encode() + b"\ndata: " + encode({"type": name, **more}) + b"\n\n"


PING = named("ping")


class Block(Struct, eq=False):
    """One block of content that has begun."""

    kind: str
    beside: Json = {}
    """What a call is known by."""
    told: list[str] = []
    """A call's pieces, and of another block those that have not been handed on."""

    def whole(self) -> bool:
        """Whether nothing is missing, should another block be next."""
        if self.kind != "tool_use":
            return True
        said = "".join(self.told)
        return said.rstrip().endswith("}") and UNREAD not in input_of(said)


class MessageStream(Grammar):
    """Chunks of chat in, Anthropic's events out."""

    __slots__ = ("_blocks", "_by_number", "_count", "_names", "_open", "_reason", "_refused", "_stop", "_waiting", "_whose")

    def __init__(
        self, *, model: str, request_id: str, now: Callable[[], float], names: Mapping[str, str], whose: Callable[[Refusal], Json]
    ) -> None:
        """`names`: the client's own of tools, where chat was told others. `whose`: how an error is told."""
        super().__init__(model=model, request_id=request_id, now=now, answers=1)
        self._names = names
        self._whose = whose
        self._by_number: dict[int, Block] = {}
        """Calls."""
        self._open: Block | None = None
        self._waiting: list[Block] = []
        """Begun behind the open one."""
        self._count = 0
        """How many blocks have been opened."""
        self._reason = "stop"
        self._stop: Any = None
        self._refused = False

    def begins(self, index: int) -> bytes:
        if index:
            return b""
        message = head_of(self.head["id"], self.head["model"])
        return (
            named("message_start", message=message | {"content": [], "stop_reason": None, "stop_sequence": None, "usage": usage_of(None)})
            + PING
        )

    def says(self, index: int, text: str, logprobs: Json | None) -> bytes:
        return self._words(index, "text", text)

    def thinks(self, index: int, text: str) -> bytes:
        return self._words(index, "thinking", text)

    def refuses(self, index: int, text: str) -> bytes:
        self._refused = True
        return self._words(index, "text", text)

    def calls(self, index: int, number: int, id: str, kind: str, name: str) -> bytes:
        if index:
            return b""
        block = Block("tool_use", {"id": id, "name": self._names.get(name, name)})
        self._by_number[number] = block
        return self._block(block)

    def argues(self, index: int, number: int, kind: str, text: str) -> bytes:
        return b"" if index else self._add(self._by_number[number], text)

    def says_more(self, index: int, fields: Json) -> bytes:
        self._stop = fields.get("stop_reason") or self._stop
        return b""

    def finishes(self, index: int, reason: str) -> bytes:
        if index:
            return b""
        self._reason = reason
        return self._all()

    def over(self) -> bytes:
        events = self._all()
        reason, stop = ended(self._reason, self._stop, called=bool(self._by_number), refused=self._refused)
        more = {"banjia": {"continued_by": self.continued_by}} if self.continued_by else {}
        delta = {"stop_reason": reason, "stop_sequence": stop}
        return events + named("message_delta", delta=delta, usage=usage_of(self.usage), **more) + named("message_stop")

    def fails(self, refusal: Refusal) -> bytes:
        return b"event: error\ndata: " + encode(self._whose(refusal)) + b"\n\n"

    # ---- blocks ----

    def _words(self, index: int, kind: str, text: str) -> bytes:
        if index or not text:
            return b""
        last = self._waiting[-1] if self._waiting else self._open
        if last is not None and last.kind == kind:
            return self._add(last, text)
        block = Block(kind)
        return self._block(block) + self._add(block, text)

    def _block(self, block: Block) -> bytes:
        self._waiting.append(block)
        events = b""
        while self._waiting and (self._open is None or self._open.whole()):
            events += self._next()
        return events

    def _add(self, block: Block, text: str) -> bytes:
        if block is self._open:
            if block.kind == "tool_use":
                block.told.append(text)
            return self._delta(block, text)
        if block in self._waiting:
            block.told.append(text)
        elif text.strip():
            raise odd("a call")  # it had all its arguments
        return b""

    def _all(self) -> bytes:
        """Whatever has begun, to its end."""
        events = b""
        while self._waiting:
            events += self._next()
        return events + self._close()

    def _next(self) -> bytes:
        """The first that waits takes the place of the open one."""
        events = self._close()
        block = self._open = self._waiting.pop(0)
        events += named("content_block_start", index=self._count, content_block=EMPTY[block.kind] | block.beside)
        self._count += 1
        if block.told:
            events += self._delta(block, "".join(block.told))
        return events

    def _delta(self, block: Block, text: str) -> bytes:
        kind, key = DELTAS[block.kind]
        return named("content_block_delta", index=self._count - 1, delta={"type": kind, key: text})

    def _close(self) -> bytes:
        block, self._open = self._open, None
        if block is None:
            return b""
        signed = b""
        if block.kind == "thinking":
            signed = named("content_block_delta", index=self._count - 1, delta={"type": "signature_delta", "signature": SIGNATURE})
        return signed + named("content_block_stop", index=self._count - 1)
