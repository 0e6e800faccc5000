"""The provider behind the front: it does what the name of the model says, and knows each request by its first message, the mark.

good      answers at once, plain or streamed as it is asked
held      a stream says "Hi" and goes on with "you" when it is let go; a plain answer waits
slow-down 429, to be tried again in ten seconds
flood     a stream that goes on until the other side has had enough, or `FLOOD` bytes
"""

import asyncio
import json
from contextlib import suppress
from threading import Condition, Event
from typing import Any

from msgspec import Struct, field

from tests.conftest import PATIENCE, Background
from tests.gateway.provider import CHUNKED, DONE, END, Json, piece, word

FLOOD = 128 << 20
MESSAGE = {"role": "assistant", "content": "Good"}
USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
PLAIN = json.dumps({"id": "c1", "choices": [{"index": 0, "message": MESSAGE, "finish_reason": "stop"}], "usage": USAGE}).encode()
USED = b'data: {"id":"c1","choices":[],"usage":%s}\n\n' % json.dumps(USAGE).encode()
LAST = piece(END) + piece(USED) + piece(DONE) + b"0\r\n\r\n"
SAID = CHUNKED + piece(word("Go")) + piece(word("od")) + LAST
SLOW_DOWN = b'{"error":{"message":"slow","type":"t","param":null,"code":null}}'
WORDS = piece(word("word " * 800))


class Seen(Struct):
    """One request as it came, and what became of it."""

    headers: dict[str, str]
    body: bytes
    left: Event = field(default_factory=Event)
    """The other side has gone before the end of the answer."""
    written: int = 0
    """Bytes of the answer that the kernel has taken."""
    go: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Vendor:
    """Runs in the background's loop; may be asked from the test's thread."""

    def __init__(self, background: Background) -> None:
        self._background = background
        self._seen: dict[str, list[Seen]] = {}
        self._more = Condition()
        self._tasks: set[asyncio.Task[None]] = set()
        self.count = 0
        """Requests, all together."""
        self.last: Json = {}
        """The body of the latest."""
        self.plain = PLAIN
        """What is answered where no stream is asked for."""
        self._server = background.run(self._open())
        self.url = "http://{}:{}/v1".format(*self._server.sockets[0].getsockname())

    def account(self, **more: Any) -> Json:
        """Its account in a gateway.yaml."""
        return {"vendor": "openai_compatible", "jurisdiction": "cn-mainland", "base_url": self.url, "api_key": "provider-key", **more}

    def close(self) -> None:
        self._background.run(self._close())

    def seen(self, mark: str, count: int = 1) -> list[Seen]:
        """The requests with a mark, once there are so many."""
        with self._more:
            assert self._more.wait_for(lambda: len(self._seen.get(mark, ())) >= count, PATIENCE), f"{mark} has not come"
            return list(self._seen[mark])

    def asked(self, mark: str) -> int:
        """How many requests with a mark there have been."""
        return len(self._seen.get(mark, ()))

    def let_go(self, mark: str) -> None:
        """Ends the wait of all that have a mark."""
        for seen in tuple(self._seen.get(mark, ())):
            self._background.loop.call_soon_threadsafe(seen.go.set)

    async def _open(self) -> asyncio.Server:
        return await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=4096)

    async def _close(self) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while True:
                    await self._answer(await self._next(reader), reader, writer)
        finally:
            writer.close()

    async def _next(self, reader: asyncio.StreamReader) -> Seen:
        _, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").rstrip().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        seen = Seen(headers, await reader.readexactly(int(headers.get("content-length", "0"))))
        body = seen.json
        content = body["messages"][0].get("content")
        with self._more:
            self.count += 1
            self.last = body
            if isinstance(content, str) and len(content) < 200:
                self._seen.setdefault(content, []).append(seen)
                self._more.notify_all()
        return seen

    async def _answer(self, seen: Seen, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        model, streamed = seen.json["model"], seen.json.get("stream")
        if model == "slow-down":
            head = b"HTTP/1.1 429 No\r\ncontent-type: application/json\r\nretry-after: 10\r\ncontent-length: %d\r\n\r\n"
            return await self._send(head % len(SLOW_DOWN) + SLOW_DOWN, seen, writer)
        if model == "flood":
            await self._send(CHUNKED, seen, writer)
            while seen.written < FLOOD:
                await self._send(WORDS, seen, writer)
            return await self._send(LAST, seen, writer)
        if model == "held":
            if streamed:
                await self._send(CHUNKED + piece(word("Hi")), seen, writer)
            await self._hold(seen, reader)
            if streamed:
                return await self._send(piece(word("you")) + LAST, seen, writer)
        if streamed:
            return await self._send(SAID, seen, writer)
        head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
        return await self._send(head % len(self.plain) + self.plain, seen, writer)

    async def _send(self, data: bytes, seen: Seen, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        try:
            await writer.drain()
        except ConnectionError:
            seen.left.set()
            raise
        seen.written += len(data)

    async def _hold(self, seen: Seen, reader: asyncio.StreamReader) -> None:
        gone, free = asyncio.ensure_future(reader.read(1)), asyncio.ensure_future(seen.go.wait())
        try:
            await asyncio.wait((gone, free), return_when=asyncio.FIRST_COMPLETED)
            if gone.done():
                gone.exception()
                seen.left.set()
                raise ConnectionError
        finally:
            gone.cancel()
            free.cancel()
            await asyncio.gather(gone, free, return_exceptions=True)
