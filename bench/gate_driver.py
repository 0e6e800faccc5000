"""Client and provider in one process, in lock-step: the next event is sent when the one before has arrived. So what a gateway does for a
request is the same each time, however busy the machine is."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bench.upstream import DONE, EVENTS, FRAMES, PLAIN_REPLY, STREAM_HEAD

PATIENCE = 120.0
"""Seconds that one answer may take: under an instrument everything takes its time."""
END = b"0\r\n\r\n"
"""Of a body in chunks."""


class Provider(asyncio.Protocol):
    """Answers plain requests at once; streams go on when they are told to."""

    transport: asyncio.Transport

    def __init__(self, latest: "list[Provider]") -> None:
        self._latest = latest
        self._held = b""
        self._sent = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]  # TCP's are

    def data_received(self, data: bytes) -> None:
        self._held += data
        head, found, rest = self._held.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0] or b"0")
        if not found or len(rest) < length:
            return
        self._held = rest[length:]
        if b'"stream":true' not in rest[:length]:
            self.transport.write(PLAIN_REPLY)
            return
        self._latest[:] = [self]
        self._sent = 1
        self.transport.write(STREAM_HEAD + FRAMES[0])

    def go_on(self) -> None:
        """The next event; after the last of the words all that is left."""
        number, self._sent = self._sent, self._sent + 1
        if number < EVENTS - 1:
            self.transport.write(FRAMES[number])
        elif number == EVENTS - 1:
            self.transport.write(FRAMES[number] + DONE)


class Driver:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, latest: list[Provider]) -> None:
        self._reader, self._writer, self._latest = reader, writer, latest

    async def plain(self, request: bytes, times: int) -> None:
        for _ in range(times):
            self._writer.write(request)
            head = await self._head()
            length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
            await self._reader.readexactly(length)

    async def streams(self, request: bytes, times: int) -> None:
        for _ in range(times):
            self._writer.write(request)
            await self._head()
            came, held = 0, b""
            while not held.endswith(END):
                piece = await asyncio.wait_for(self._reader.read(1 << 16), PATIENCE)
                if not piece:
                    raise ConnectionError("the stream has broken off")
                held = held[-200:] + piece
                for _ in range(piece.count(b"data: ")):
                    came += 1
                    self._latest[0].go_on()
            if came < EVENTS:
                raise ValueError(f"{came} events of {EVENTS}")

    async def _head(self) -> bytes:
        head = (await asyncio.wait_for(self._reader.readuntil(b"\r\n\r\n"), PATIENCE)).lower()
        if b" 200 " not in head[:20]:
            raise ValueError(head.decode("latin-1"))
        return head


@asynccontextmanager
async def provider(port: int) -> AsyncIterator[list[Provider]]:
    """The list has the connection on which the latest stream was asked for."""
    latest: list[Provider] = []
    server = await asyncio.get_running_loop().create_server(lambda: Provider(latest), "127.0.0.1", port)
    try:
        yield latest
    finally:
        server.close()
