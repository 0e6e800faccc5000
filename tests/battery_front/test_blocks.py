"""How long one request keeps the event loop to itself, by the CPU of the longest turn: a clock would measure other programs too."""

import asyncio
import gc
import json
import time
from collections.abc import Iterator, MutableMapping
from typing import Any

import pytest
import uvloop

from gateway.app import App
from providers.base import decode
from tests.battery_front.test_heavy import ANSWERED, REFUSED, function, saying
from tests.battery_front.vendor import Vendor
from tests.conftest import KEY, snapshot_of

LONGEST = 0.1
"""Seconds of CPU, twice what is promised: other tests run beside it, and caches and cores that others use as well make all of it slower,
see `slowness`."""
TRIES = 4
"""The fastest of them counts."""
REFERENCE, USUAL = b'["%s"]' % ("你好世界" * 500_000).encode(), 0.008
"""What a machine is measured by, and the seconds that decoding it takes where nobody else is at work."""
PIECE = 1 << 16
MB = 1_000_000
CHAT, RESPONSES, MESSAGES = "/v1/chat/completions", "/v1/responses", "/v1/messages"
BOTH = ("user", "assistant")
CALLS = [{"id": f"c{number}", "type": "function", "function": {"name": "f", "arguments": "{}"}} for number in range(8000)]
KEYS = {f"k{number}": "v" for number in range(95_000)}
HELLO = saying("Hello")


def text(content: bytes, times: int) -> bytes:
    return b'{"model":"good","messages":[{"role":"user","content":"%s"}]}' % (content * times)


def beside(more: bytes) -> bytes:
    return b'{"model":"good","messages":[{"role":"user","content":"Hello"}],"x":%s}' % more


def body(fields: dict[str, Any], *, ascii_only: bool = False) -> bytes:
    return json.dumps({"model": "good", **fields}, ensure_ascii=ascii_only, separators=(",", ":")).encode()


BODIES: dict[str, tuple[str, bytes]] = {
    **{name: (CHAT, body({**HELLO, **fields})) for name, fields in ANSWERED.items()},
    **{name: (CHAT, body({**HELLO, **fields})) for name, (fields, _, _) in REFUSED.items()},
    "33-mb-of-ascii": (CHAT, text(b"a", 33 * MB)),
    "33-mb-of-chinese": (CHAT, text("你".encode(), 11 * MB)),
    "a-million-chinese-signs-in-escapes": (CHAT, text(b"\\u4e2d", MB)),
    "33-mb-of-chinese-in-escapes": (CHAT, text(b"\\u4e2d", 5_500_000)),
    "17-mb-of-text-in-escapes": (CHAT, body(saying("你好\n" * 1_200_000), ascii_only=True)),
    "32-mb-of-pairs": (CHAT, text(b"\\ud83d\\ude00", 2_700_000)),
    "33-mb-of-halves-of-pairs": (CHAT, text(b"\\ud800", 5_500_000)),
    "33-mb-of-control-signs": (CHAT, text(b"\\u0001", 5_500_000)),
    "32-mb-of-line-ends": (CHAT, text(b"\\n", 16 * MB)),
    "4-mb-of-line-ends": (CHAT, text(b"\\n", 1_990_000)),
    "30-mb-of-digits": (CHAT, beside(b"1" * (30 * MB))),
    "30-mb-of-blanks": (CHAT, beside(b" " * (30 * MB) + b"1")),
    "30-mb-of-brackets": (CHAT, beside(b"[" * (30 * MB))),
    "six-million-lists": (CHAT, beside(b"[" + b"[]," * 6_600_000 + b"[]]")),
    "95000-lists": (CHAT, beside(b"[" + b"[]," * 95_000 + b"[]]")),
    "499000-floats": (CHAT, beside(b"[" + b"1.23456789012345678," * 499_000 + b"1]")),
    "as-deep-as-may-be": (CHAT, beside(b"[" + b",".join([b'{"a":' * 190 + b"1" + b"}" * 190] * 250) + b"]")),
    "95000-fields": (CHAT, body({**HELLO, **KEYS})),
    "95000-keys-of-metadata": (CHAT, body({**HELLO, "metadata": KEYS})),
    "480000-stops": (CHAT, body({**HELLO, "stop": ["x"] * 480_000})),
    "128-tools-of-240-fields": (
        CHAT, body({**HELLO, "tools": [function(f"f{one}", **{f"p{two}": {"type": "string"} for two in range(240)}) for one in range(128)]})
    ),
    "30-mb-of-arguments": (
        CHAT,
        body({"messages": [
            *HELLO["messages"],
            {"role": "assistant", "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "[" * 30 * MB}}]},
            {"role": "tool", "tool_call_id": "c", "content": "x"},
        ]}),
    ),
    "8000-calls-and-their-answers": (
        CHAT,
        body({"messages": [
            *HELLO["messages"],
            {"role": "assistant", "tool_calls": CALLS},
            *[{"role": "tool", "tool_call_id": call["id"], "content": "x"} for call in reversed(CALLS)],
        ]}),
    ),
    "24000-items": (RESPONSES, body({"input": [{"role": "user", "content": "h"}] * 24_000})),
    "32000-parts-of-an-item": (RESPONSES, body({"input": [{"role": "user", "content": [{"type": "input_text", "text": "x"}] * 32_000}]})),
    "24000-turns": (MESSAGES, body({"max_tokens": 9, "messages": [{"role": role, "content": "h"} for role in BOTH] * 12_000})),
    "32000-blocks": (
        MESSAGES, body({"max_tokens": 9, "messages": [{"role": "user", "content": [{"type": "text", "text": "x"}] * 32_000}]})
    ),
    "480000-tokens": ("/v1/completions", body({"prompt": [1] * 480_000})),
    "2048-lists-of-tokens": ("/v1/embeddings", body({"model": "none", "input": [[1] * 240] * 2048})),
    "a-million-prompts": ("/v1/completions", body({"prompt": ["h"] * 480_000})),
}  # fmt: skip
"""The address and the body."""


@pytest.fixture(scope="module", autouse=True)
def collector() -> Iterator[None]:
    """As in the process that serves."""
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 50)
    yield
    gc.set_threshold(*before)
    gc.unfreeze()


@pytest.mark.parametrize("name", BODIES)
def test_no_request_keeps_the_loop_to_itself(vendor: Vendor, name: str) -> None:
    path, raw = BODIES[name]
    longest = 1.0

    for _ in range(TRIES):
        status, turn = uvloop.run(served(vendor, path, raw))
        assert status in (200, 400, 404)
        longest = min(longest, turn / slowness())
        if longest < LONGEST:
            break

    assert longest < LONGEST


def slowness() -> float:
    """How many times as long as usual the same takes here and now."""
    began = time.thread_time()
    decode_list(REFERENCE)
    return max(1.0, (time.thread_time() - began) / USUAL)


def decode_list(raw: bytes) -> Any:
    return decode(b'{"x":' + raw + b"}")


async def served(vendor: Vendor, path: str, raw: bytes) -> tuple[int, float]:
    """The answer's status, and the CPU of the longest turn of the loop until then."""
    app = App(snapshot_of({"providers": {"p": vendor.account()}, "models": {"good": "p/good"}}))
    await app.open()
    await answered(app, CHAT, body(HELLO))  # what is done once is not of each
    longest, over = 0.0, asyncio.Event()

    async def beat() -> None:
        nonlocal longest
        last = time.thread_time()
        while not over.is_set():
            await asyncio.sleep(0)
            now = time.thread_time()
            longest, last = max(longest, now - last), now

    beating = asyncio.create_task(beat())
    status = await answered(app, path, raw)
    over.set()
    await beating
    await app.close()
    return status, longest


async def answered(app: App, path: str, raw: bytes) -> int:
    """The status of an answer to a body that comes in pieces."""
    at, statuses = 0, []

    async def receive() -> MutableMapping[str, Any]:
        nonlocal at
        await asyncio.sleep(0)
        if at >= len(raw):
            await asyncio.Event().wait()
        at += PIECE
        return {"type": "http.request", "body": raw[at - PIECE : at], "more_body": at < len(raw)}

    async def send(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    headers = [(b"authorization", b"Bearer " + KEY.encode()), (b"content-length", b"%d" % len(raw))]
    await app({"type": "http", "method": "POST", "path": path, "query_string": b"", "headers": headers}, receive, send)
    return int(statuses[0])
