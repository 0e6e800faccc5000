"""Clients that ask over and over, plain and streamed in turns, and remember what they have seen the end of."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from time import monotonic
from urllib.parse import urlsplit

DONE = b"data: [DONE]\n\n"


class Crowd:
    """Many clients of one gateway after the other. `key` and `model` are what they ask with."""

    def __init__(self, clients: int, key: str, model: str) -> None:
        self._clients = clients
        self._key = key
        self._model = model
        self._leaving = False
        self._numbers = count()
        self.seen: list[str] = []
        """The `x-request-id` of each answer whose end has come."""
        self.refused: list[bytes] = []
        """Heads of answers that were none."""
        self.slowest = 0.0
        """Seconds."""
        self._more = asyncio.Event()

    @asynccontextmanager
    async def at(self, url: str) -> AsyncIterator[None]:
        """They ask there, each until it is over or the other side has gone."""
        self._leaving = False
        async with asyncio.TaskGroup() as group:
            for _ in range(self._clients):
                group.create_task(self._ask(url))
            yield
            self._leaving = True

    async def until(self, answers: int) -> None:
        """Until so many answers have been seen."""
        while len(self.seen) < answers:
            self._more.clear()
            await self._more.wait()

    async def _ask(self, url: str) -> None:
        address = urlsplit(url)
        try:
            reader, writer = await asyncio.open_connection(address.hostname, address.port)
        except ConnectionError:
            return
        try:
            while not self._leaving:
                number = next(self._numbers)
                began = monotonic()
                writer.write(self._request(number))
                await self._answer(reader, f"asked-{number}")
                self.slowest = max(self.slowest, monotonic() - began)
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()

    def _request(self, number: int) -> bytes:
        said = [{"role": "user", "content": f"Say {number} and no more"}]
        body = json.dumps({"model": self._model, "messages": said, "stream": number % 2 == 1}).encode()
        return (
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: gateway\r\ncontent-type: application/json\r\n"
            b"authorization: Bearer %s\r\nx-request-id: asked-%d\r\ncontent-length: %d\r\n\r\n%s"
        ) % (self._key.encode(), number, len(body), body)

    async def _answer(self, reader: asyncio.StreamReader, name: str) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        _, _, length = head.partition(b"content-length: ")
        if length:
            await reader.readexactly(int(length.split(b"\r\n")[0]))
            if b" 200 " in head[:16]:
                self._see(name)
            else:
                self.refused.append(head)
            return
        while size := int(await reader.readuntil(b"\r\n"), 16):
            if (await reader.readexactly(size + 2)).endswith(DONE + b"\r\n"):
                self._see(name)
        await reader.readexactly(2)

    def _see(self, name: str) -> None:
        self.seen.append(name)
        self._more.set()
