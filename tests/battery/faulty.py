"""A provider that fails in every way a test can name: HTTP/1.1 written by hand, one server and one script for each hop of a route.

A script has a step for each request, the last of them for all that come after. A step is what is done for it, in order; then the
connection is closed, unless the step ends in KEEP.

bytes           are sent as they are; a function that makes some is called then
Drip(bytes)     the same, a few bytes at a time, each in a write of its own
Flood(bytes)    again and again, until the other side has gone or `most` is reached
HOLD            nothing more is said until the other side has gone, or the test lets go
RESET           the connection is broken off without a farewell
KEEP            the next request is read from the same connection
"""

import asyncio
import json
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from threading import Event
from time import monotonic
from typing import Any

from msgspec import Struct

from tests.gateway.provider import HOLD, RESET, Act

__all__ = ["HOLD", "KEEP", "RESET", "Act", "Asked", "DeadEnd", "Do", "Drip", "Faulty", "Flood", "Nobody", "Script", "Step"]

Json = dict[str, Any]


class Keep(Struct, frozen=True):
    pass


KEEP = Keep()


class Drip(Struct, frozen=True):
    data: bytes
    size: int = 1


class Flood(Struct, frozen=True):
    data: bytes
    most: int = 128 << 20
    """Bytes after which it stops by itself, and the test has failed."""


Do = bytes | Act | Keep | Drip | Flood | Callable[[], bytes]
Step = tuple[Do, ...]
Script = tuple[Step, ...]


class Asked(Struct):
    """A request as it came."""

    at: float
    """By the monotonic clock."""
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Faulty:
    """One hop's provider. Runs in the background's loop; its events may be waited for from the test's thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop, script: Script, greeting: Step | None = None) -> None:
        """`greeting`: done on every connection in place of reading a request."""
        self.requests: list[Asked] = []
        self.connections = 0
        self.reached = Event()
        """A request has come in whole."""
        self.left = Event()
        """The other side has gone while it was held or flooded."""
        self.written = 0
        self.url = ""
        self._loop = loop
        self._script = script
        self._greeting = greeting
        self._let_go = asyncio.Semaphore(0)
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = "http://{}:{}/v1".format(*self._server.sockets[0].getsockname())

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def let_go(self) -> None:
        """Ends a HOLD, this one or the next: what comes after it is done."""
        self._loop.call_soon_threadsafe(self._let_go.release)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self.connections += 1
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                if self._greeting is not None:
                    await self._all(self._greeting, reader, writer)
                    return
                while await self._all(await self._next(reader), reader, writer):
                    pass
        finally:
            writer.close()

    async def _next(self, reader: asyncio.StreamReader) -> Step:
        """What is to be done for the next request, which has been read."""
        head, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").rstrip().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        step = self._script[min(len(self.requests), len(self._script) - 1)]
        self.requests.append(Asked(monotonic(), head.split(" ")[1], headers, body))
        self.reached.set()
        return step

    async def _all(self, step: Step, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Whether the connection is kept."""
        for do in step:
            match do:
                case bytes():
                    await self._send(do, writer)
                case Drip(data, size):
                    for start in range(0, len(data), size):
                        await self._send(data[start : start + size], writer)
                        await asyncio.sleep(0)
                case Flood(data, most):
                    await self._flood(data, most, writer)
                case Keep():
                    return True
                case Act.HOLD:
                    await self._hold(reader)
                case Act.RESET:
                    sock: socket.socket = writer.get_extra_info("socket")
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    writer.transport.abort()
                case _:
                    await self._send(do(), writer)
        return False

    async def _send(self, data: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()
        self.written += len(data)

    async def _flood(self, data: bytes, most: int, writer: asyncio.StreamWriter) -> None:
        try:
            while self.written < most:
                await self._send(data, writer)
        except ConnectionError:
            self.left.set()
            raise

    async def _hold(self, reader: asyncio.StreamReader) -> None:
        gone, free = asyncio.ensure_future(reader.read()), asyncio.ensure_future(self._let_go.acquire())
        try:
            await asyncio.wait((gone, free), return_when=asyncio.FIRST_COMPLETED)
            if gone.done():
                gone.exception()
                self.left.set()
        finally:
            gone.cancel()
            free.cancel()


class Nobody:
    """An address where nobody listens. It is held, so that nobody will."""

    def __init__(self) -> None:
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self.url = "http://{}:{}/v1".format(*self._socket.getsockname())

    def close(self) -> None:
        self._socket.close()


class DeadEnd:
    """An address that takes no connection and does not refuse one either: its queue is full."""

    def __init__(self) -> None:
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self._socket.listen(0)
        self._held = [socket.socket() for _ in range(8)]
        for one in self._held:
            one.setblocking(False)
            with suppress(BlockingIOError):
                one.connect(self._socket.getsockname())
        self.url = "http://{}:{}/v1".format(*self._socket.getsockname())

    def close(self) -> None:
        for one in (*self._held, self._socket):
            one.close()
