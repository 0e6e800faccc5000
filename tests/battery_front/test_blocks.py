"""How long one request keeps the event loop to itself, by the CPU of the longest turn: a clock would measure other programs too."""

import asyncio
import json
import time
from collections.abc import MutableMapping
from typing import Any

import pytest
import uvloop

from gateway.app import App
from tests.battery_front.test_heavy import ANSWERED, REFUSED
from tests.battery_front.vendor import Vendor
from tests.conftest import KEY, snapshot_of

LONGEST = 0.15
"""Seconds of CPU. Alone on a machine none takes 50 ms; without the limits some took two seconds."""
PIECE = 1 << 16
CALLS = [{"id": f"c{number}", "type": "function", "function": {"name": "f", "arguments": "{}"}} for number in range(8000)]
BODIES: dict[str, bytes] = {
    **{name: json.dumps(fields, ensure_ascii=False).encode()[1:] for name, fields in ANSWERED.items()},
    **{name: json.dumps(fields).encode()[1:] for name, (fields, _, _) in REFUSED.items() if name != "a-million-lists"},
    "20-mb-of-escapes": json.dumps({"messages": [{"role": "user", "content": "你好\n" * 1_200_000}]}).encode()[1:],
    "six-million-lists": b'"x":[' + b"[]," * 6_600_000 + b"[]]}",
    "8000-calls-and-their-answers": json.dumps(
        {
            "messages": [
                {"role": "user", "content": "Hello"},
                {"role": "assistant", "tool_calls": CALLS},
                *[{"role": "tool", "tool_call_id": call["id"], "content": "x"} for call in reversed(CALLS)],
            ]
        }
    ).encode()[1:],
}
"""Each without its opening brace."""


@pytest.mark.parametrize("name", BODIES)
def test_no_request_keeps_the_loop_to_itself(vendor: Vendor, name: str) -> None:
    default = b'{"model":"good",' + (b"" if b'"messages"' in BODIES[name][:200] else b'"messages":[{"role":"user","content":"Hello"}],')

    status, longest = uvloop.run(served(vendor, default + BODIES[name]))

    assert status in (200, 400)
    assert longest < LONGEST


async def served(vendor: Vendor, raw: bytes) -> tuple[int, float]:
    """The answer's status, and the CPU of the longest turn of the loop until then."""
    app = App(snapshot_of({"providers": {"p": vendor.account()}, "models": {"good": "p/good"}}))
    await app.open()
    await answered(app, b'{"model":"good","messages":[{"role":"user","content":"Hello"}]}')  # what is done once is not of each
    longest, over = 0.0, asyncio.Event()

    async def beat() -> None:
        nonlocal longest
        last = time.thread_time()
        while not over.is_set():
            await asyncio.sleep(0)
            now = time.thread_time()
            longest, last = max(longest, now - last), now

    beating = asyncio.create_task(beat())
    status = await answered(app, raw)
    over.set()
    await beating
    await app.close()
    return status, longest


async def answered(app: App, raw: bytes) -> int:
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
    await app({"type": "http", "method": "POST", "path": "/v1/chat/completions", "headers": headers}, receive, send)
    return int(statuses[0])
