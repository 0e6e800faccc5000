"""What a case is made of: a line, which is a route with its hops' scripts; and the words that scripts are written in."""

from typing import Any

from msgspec import Struct

from tests.battery.faulty import Script, Step
from tests.gateway.provider import CHUNKED, DONE, END, ROLE, STREAM, answer, failed, piece, said, streamed, word

__all__ = [
    "AWAY", "CHUNKED", "DEAD_END", "DONE", "END", "GOOD", "PLAIN", "ROLE", "STREAM", "Line", "answer", "body_of", "chunk", "failed",
    "piece", "said", "streamed", "word",
]  # fmt: skip

Json = dict[str, Any]

AWAY: Script = ((b"away",),)
"""In place of a script: nobody listens there."""
DEAD_END: Script = ((b"dead end",),)
"""In place of a script: no connection is made or refused there."""


class Line(Struct, frozen=True):
    """A model's name as it is served: the first hop, and its fallbacks."""

    hops: tuple[Script, ...]
    route: Json = {}
    """Over `retry: {max: 0}`."""
    account: Json = {}
    """Over the first hop's account: its timers are its own, so that another hop may take its time on a busy machine."""
    greeting: Step | None = None
    """What the first hop's provider does on every connection, in place of reading a request."""


def chunk(delta: Any, finish: Any = None, index: int = 0, **more: Any) -> Json:
    """A chunk as the provider has it."""
    return {"id": "c1", "choices": [{"index": index, "delta": delta, "finish_reason": finish}], **more}


def body_of(step: Step) -> bytes:
    """Of an answer that is one piece of bytes."""
    (raw,) = step
    assert isinstance(raw, bytes)
    return raw.partition(b"\r\n\r\n")[2]


PLAIN: Script = (said("Good"),)
GOOD: Script = (streamed("Go", "od"),)
