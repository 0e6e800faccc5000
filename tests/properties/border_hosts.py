"""A host for each place, which keeps every byte that it is sent, and a client that writes its requests byte by byte."""

import asyncio
import json
import re
import socket
import struct
from collections.abc import Callable, Iterator
from enum import Enum, auto
from typing import Any, cast

from msgspec import Struct

from tests.gateway.provider import HOLD, RESET

PLACES = ("cn-mainland", "hk", "us", "on-premises", "eu")
MARK = re.compile(rb"mark[0-9]{8}")
"""What each request carries, and no other. Twelve signs, which are base64 too."""
SETTLE = b"GET /settle HTTP/1.1\r\n\r\n"


class Gate(Enum):
    RELOAD = auto()
    """Nothing more is said before the config has been swapped."""


Step = tuple[bytes | Enum, ...]


class Heard(Struct):
    """A request as it came to a place."""

    place: str
    raw: bytes
    after: bool
    """The config has been swapped by now."""
    over: asyncio.Event
    """It is answered, or given up."""
    beside: bool = False
    """Another account was still busy with it."""

    @property
    def path(self) -> str:
        return self.raw.split(b" ", 2)[1].decode()

    @property
    def account(self) -> str:
        """Whose address was asked: accounts of a place differ in their paths."""
        return self.path.split("/")[1]

    @property
    def body(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self.raw.partition(b"\r\n\r\n")[2])
        return told


class Hosts:
    """All places. What a host says is for `script` to tell: called with each request that has come in whole."""

    def __init__(self) -> None:
        self.urls: dict[str, str] = {}
        self.heard: list[Heard] = []
        self.unread: list[tuple[str, bytes]] = []
        """What came without being a whole request, and its place."""
        self.script: Callable[[Heard], Step] = lambda heard: ()
        self.reloaded = asyncio.Event()
        self.lines: set[Line] = set()
        self._servers: list[asyncio.Server] = []

    async def open(self) -> None:
        loop = asyncio.get_running_loop()
        for place in PLACES:
            server = await loop.create_server(lambda place=place: Line(self, place), "127.0.0.1", 0)  # type: ignore[misc]
            host, port = server.sockets[0].getsockname()
            self.urls[place] = f"http://{host}:{port}"
            self._servers.append(server)

    async def close(self) -> None:
        for server in self._servers:
            server.close()
        for line in tuple(self.lines):
            line.transport.abort()
        await asyncio.gather(*(task for line in self.lines for task in line.tasks), return_exceptions=True)

    async def settle(self) -> None:
        """Whatever has been sent before has been read afterwards: each host takes its connections, and what they bring, in turn."""
        for url in self.urls.values():
            reader, writer = await asyncio.open_connection(*address(url))
            writer.write(SETTLE)
            await reader.readexactly(2)
            writer.close()

    def seen(self) -> Iterator[tuple[bytes, str]]:
        """Each mark with the place that has seen it, wherever in the bytes it stood."""
        parts = [(heard.place, heard.raw) for heard in self.heard] + self.unread + [(line.place, bytes(line.unread)) for line in self.lines]
        return ((mark, place) for place, raw in parts for mark in MARK.findall(raw))

    def forget(self) -> None:
        self.heard, self.unread = [], []


class Line(asyncio.Protocol):
    """A connection to a place."""

    transport: asyncio.Transport

    def __init__(self, hosts: Hosts, place: str) -> None:
        self.place = place
        self.unread = bytearray()
        self.gone = asyncio.Event()
        self.tasks: set[asyncio.Task[None]] = set()
        self._hosts = hosts

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is one, but no subclass
        self._hosts.lines.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._hosts.lines.discard(self)
        self._hosts.unread.append((self.place, bytes(self.unread)))
        self.gone.set()
        for task in self.tasks:
            task.cancel()

    def data_received(self, data: bytes) -> None:
        self.unread += data
        if self.unread == SETTLE:
            self.unread.clear()
            self.transport.write(b"ok")
        while (length := length_of(self.unread)) and length <= len(self.unread):
            heard = Heard(self.place, bytes(self.unread[:length]), self._hosts.reloaded.is_set(), asyncio.Event())
            del self.unread[:length]
            self._hosts.heard.append(heard)
            task = asyncio.get_running_loop().create_task(self._say(heard, self._hosts.script(heard)))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    async def _say(self, heard: Heard, step: Step) -> None:
        try:
            await self._do(step)
        finally:
            heard.over.set()

    async def _do(self, step: Step) -> None:
        for act in step:
            if isinstance(act, bytes):
                self.transport.write(act)
            elif act is Gate.RELOAD:
                await self._hosts.reloaded.wait()
            elif act is HOLD:
                await self.gone.wait()
            elif act is RESET and not self.gone.is_set():
                sock: socket.socket = self.transport.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.transport.abort()
        if not any(isinstance(act, bytes) and b"connection: keep-alive" in act for act in step):
            self.transport.close()


def length_of(raw: bytearray) -> int:
    """Bytes of the request that `raw` begins with; 0 while its head is not whole."""
    head, end, _ = raw.partition(b"\r\n\r\n")
    found = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
    return len(head) + 4 + (int(found[1]) if found else 0) if end else 0


def address(url: str) -> tuple[str, int]:
    host, _, port = url.removeprefix("http://").partition(":")
    return host, int(port)


class Call:
    """One request of a client's."""

    def __init__(self, url: str, head: bytes, body: bytes, *, late: bool, leaves: bool) -> None:
        """`late`: the body follows when `go` is set; `leaves`: then the client does not wait for the answer."""
        self.begun = asyncio.Event()
        """The gateway has taken the request in, by a config that a swap does not change any more."""
        self.over = asyncio.Event()
        """The gateway is done with it, answered or not."""
        self.go = asyncio.Event()
        self.reply = b""
        self._url, self._head, self._body, self._late, self._leaves = url, head, body, late, leaves

    async def run(self) -> None:
        reader, writer = await asyncio.open_connection(*address(self._url))
        try:
            if self._late:
                writer.write(self._head)
                if not (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100"):  # it is asked for when the body is read
                    return
                self.begun.set()
                await self.go.wait()
                writer.write(self._body)
            else:
                writer.write(self._head + self._body)
            if self._leaves:
                await self.begun.wait()
                await self.go.wait()
            else:
                self.reply = await reader.read(-1)
        finally:
            self.begun.set()
            writer.close()
