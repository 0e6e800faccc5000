"""A provider with a script: an HTTP server that does, byte for byte, what a test tells it to. Speaks OpenAI's format where it is well."""

import asyncio
import json
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from enum import Enum, auto
from threading import Event
from typing import Any

from msgspec import Struct

Json = dict[str, Any]
WAIT = 20.0


class Act(Enum):
    """What a provider may do other than speak."""

    HOLD = auto()
    """Say nothing more until the other side has gone, or the test lets go."""
    RESET = auto()
    """Break the connection off without a farewell."""


HOLD, RESET = Act.HOLD, Act.RESET
Step = tuple[bytes | Act, ...]
"""What is done for one request: bytes to send, and acts; then the connection is closed."""


class Asked(Struct):
    """A request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Provider:
    """See the module's words. Runs in the background's loop; its events may be waited for from the test's thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop, script: tuple[Step, ...]) -> None:
        self.requests: list[Asked] = []
        self.connections = 0
        self.reached = Event()
        """A request has come in whole."""
        self.left = Event()
        """The other side has closed a connection that was held."""
        self.gone = Event()
        """A connection has ended, whoever ended it."""
        self.written = 0
        """Bytes that the kernel has taken."""
        self._loop = loop
        self._script = script
        self._let_go = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.url = ""

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        host, port = self._server.sockets[0].getsockname()
        self.url = f"http://{host}:{port}/v1"

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def script(self, *steps: Step) -> None:
        """What it does from now on, where that depends on its address."""
        self._script = steps

    def let_go(self) -> None:
        """Ends every HOLD, now and later: what comes after them is done."""
        self._loop.call_soon_threadsafe(self._let_go.set)

    def account(self, **more: Any) -> Json:
        """Its account in a gateway.yaml."""
        return {"vendor": "openai_compatible", "jurisdiction": "cn-mainland", "base_url": self.url, "api_key": "provider-key", **more}

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self.connections += 1
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                asked = await _read(reader)
                step = self._script[min(len(self.requests), len(self._script) - 1)]
                self.requests.append(asked)
                self.reached.set()
                for act in step:
                    await self._do(act, reader, writer)
        finally:
            writer.close()
            self.gone.set()

    async def _do(self, act: bytes | Act, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if isinstance(act, bytes):
            writer.write(act)
            await writer.drain()
            self.written += len(act)
        elif act is HOLD:
            await self._hold(reader)
        else:
            sock: socket.socket = writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

    async def _hold(self, reader: asyncio.StreamReader) -> None:
        gone, free = asyncio.ensure_future(reader.read()), asyncio.ensure_future(self._let_go.wait())
        try:
            await asyncio.wait((gone, free), return_when=asyncio.FIRST_COMPLETED)
            if gone.done():
                gone.exception()
                self.left.set()
        finally:
            gone.cancel()
            free.cancel()


async def _read(reader: asyncio.StreamReader) -> Asked:
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").rstrip().split("\r\n")
    method, path, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return Asked(method, path, headers, await reader.readexactly(int(headers.get("content-length", "0"))))


# ---- what it says ----

STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
"""The head of a stream that ends where the connection ends."""
CHUNKED = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
"""The head of a stream whose end is marked: one that ends without the mark is broken."""
DONE = b"data: [DONE]\n\n"
ROLE = b'data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":"p","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}\n\n'  # noqa: E501
END = b'data: {"id":"c1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'


def answer(status: int, body: Any, *headers: str) -> Step:
    """A whole reply; `body` is JSON unless it is bytes."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    kind = "text/html" if raw.startswith(b"<") else "application/json"
    head = [f"HTTP/1.1 {status} Because", f"content-type: {kind}", f"content-length: {len(raw)}", "connection: close", *headers]
    return ("\r\n".join(head).encode() + b"\r\n\r\n" + raw,)


def said(text: str = "Hi", **more: Any) -> Step:
    """A good plain answer."""
    message = {"role": "assistant", "content": text}
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    return answer(200, {"id": "c1", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": usage, **more})


def failed(status: int, message: str = "no", *headers: str, code: str | None = None) -> Step:
    return answer(status, {"error": {"message": message, "type": "t", "param": None, "code": code}}, *headers)


def word(text: str) -> bytes:
    """One event of a stream."""
    return (
        b"data: "
        + json.dumps({"id": "c1", "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]}).encode()
        + b"\n\n"
    )


def streamed(*words: str) -> Step:
    """A good stream."""
    return (STREAM, ROLE, *map(word, words), END, DONE)


def piece(data: bytes) -> bytes:
    """A piece of a chunked body."""
    return b"%x\r\n%s\r\n" % (len(data), data)


def refusing() -> str:
    """An address where nobody listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{sock.getsockname()[1]}/v1"


def account_at(url: str, **more: Any) -> Json:
    return {"vendor": "openai_compatible", "jurisdiction": "cn-mainland", "base_url": url, "api_key": "provider-key", **more}


def route(*uses: str, **more: Any) -> Json:
    """A gateway.yaml's `models`: `m` is served by the first, the others are fallbacks. One attempt each unless `retry` says otherwise."""
    first, *others = uses
    return {"m": {"serve": [first], "fallback": others, "retry": {"max": 0}, **more}}


Make = Callable[..., Provider]
