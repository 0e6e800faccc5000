"""The way to a Valkey server: what is asked in the same moment goes in one script call, no call waits longer than `TIMEOUT`, and after some
that failed in a row nobody asks any more until the server has answered a sign of life."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from hashlib import sha1
from pathlib import Path
from typing import Any

import msgspec
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisError

log = logging.getLogger(__name__)

TIMEOUT = 0.1
LOOKS = 10
"""Into how many parts that is divided. A part counts when the event loop has had its turn after it, and has seen what has come: a process
that is busy itself would take its server for gone."""
FAILURES = 5
"""In a row; then the server counts as gone."""
AT_ONCE = 2
"""Calls under way. While they are, what is asked gathers for the next."""
LARGEST = 128
"""Operations in a call: the server does nothing else meanwhile."""
SCRIPT = Path(__file__).with_name("valkey.lua").read_text(encoding="utf-8")
SHA = sha1(SCRIPT.encode(), usedforsecurity=False).hexdigest()

Operation = Sequence[Any]
"""Its name in the script, and its arguments."""


class Unreachable(ConnectionError):
    """The server has not answered in time, or said that it cannot."""


class Link:
    """`now`: what the script takes for the time; None: the server's own clock. `lease`: seconds."""

    def __init__(self, url: str, *, prefix: str, replica: str, lease: float, now: Callable[[], float] | None, timeout: float) -> None:
        # The names of Valkey's own documents; the protocol, and so the library's, is that of redis.
        url = "redis" + url.removeprefix("valkey") if url.startswith("valkey") else url
        self._redis = Redis.from_url(url, socket_timeout=None, retry=Retry(NoBackoff(), 0), max_connections=AT_ONCE + 3)
        self._execute: Callable[..., Awaitable[bytes]] = self._redis.execute_command
        self._prefix = prefix
        self._replica = replica
        self._lease = int(lease * 1000)
        self._now = now
        self._timeout = timeout
        self._encode = msgspec.msgpack.Encoder().encode
        self._queue: deque[tuple[Operation, asyncio.Future[Any]]] = deque()
        self._wake = asyncio.Event()
        self._workers: list[asyncio.Task[None]] = []
        self._failures = 0
        self._closing = False
        self.down = ""
        """Why nobody asks at present."""

    def open(self) -> None:
        self._workers = [asyncio.create_task(self._work(), name="valkey") for _ in range(AT_ONCE)]

    async def close(self) -> None:
        """What is under way comes to its end, which is never far."""
        self._closing = True
        self._wake.set()
        await asyncio.gather(*self._workers)
        self._fail(Unreachable("the gateway is closing"), [])
        self.down = "it has been closed"
        await self._redis.aclose()

    async def ask(self, *operation: Any) -> Any:
        """What comes of it. Raises Unreachable; then it may have been done, or not."""
        if self.down:
            raise Unreachable(self.down)
        asked: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._queue.append((operation, asked))
        self._wake.set()
        return await asked

    async def run(self, operations: Sequence[Operation], batch: int = 0) -> Any:
        """One call. Of a `batch` with a number above 0 comes False if it had been done before. Raises Unreachable."""
        now = 0 if self._now is None else int(self._now() * 1000)
        payload = self._encode([now, self._lease, self._replica, batch, operations])
        try:
            async with patient(self._timeout):
                try:
                    packed = await self._execute("EVALSHA", SHA, 1, self._prefix, payload)
                except NoScriptError:
                    packed = await self._execute("EVAL", SCRIPT, 1, self._prefix, payload)
        except (RedisError, OSError) as exc:
            raise Unreachable(f"{type(exc).__name__}: {exc}") from exc
        return msgspec.msgpack.decode(packed)

    def failed(self, exc: Unreachable) -> None:
        self._failures += 1
        if self._failures >= FAILURES and not self.down:
            self.down = str(exc) or "no answer"
            log.warning("shared state cannot be reached (%s): limits are this process's share, budgets and grants are refused", self.down)

    def answered(self) -> None:
        self._failures = 0
        if self.down:
            self.down = ""
            log.warning("shared state can be reached again")

    async def _work(self) -> None:
        while not self._closing:
            await self._wake.wait()
            while self._queue:
                many = min(len(self._queue), LARGEST)
                asked = [one for one in (self._queue.popleft() for _ in range(many)) if not one[1].done()]
                if asked:
                    await self._send(asked)
            if not self._closing:
                self._wake.clear()

    async def _send(self, asked: list[tuple[Operation, "asyncio.Future[Any]"]]) -> None:
        try:
            answers = await self.run([operation for operation, _ in asked])
        except Unreachable as exc:
            self._fail(exc, asked)
            return
        self._failures = 0
        for (_, waiting), answer in zip(asked, answers, strict=True):
            if not waiting.done():
                waiting.set_result(answer)

    def _fail(self, exc: Unreachable, asked: list[tuple[Operation, "asyncio.Future[Any]"]]) -> None:
        """Those who have come since have a call of their own, unless the server counts as gone now."""
        self.failed(exc)
        waiting = [one for _, one in asked]
        if self.down or self._closing:
            waiting += [one for _, one in self._queue]
            self._queue.clear()
        for one in waiting:
            if not one.done():
                one.set_exception(Unreachable(str(exc)))


@asynccontextmanager
async def patient(seconds: float) -> AsyncIterator[None]:
    """A time limit on what is waited for within, of which only that counts in which the event loop has its turns. Raises TimeoutError."""
    loop = asyncio.get_running_loop()
    timer: asyncio.TimerHandle | None = None
    async with asyncio.timeout(None) as limit:

        def look(left: int) -> None:
            nonlocal timer
            if left:
                timer = loop.call_later(seconds / LOOKS, look, left - 1)
            else:
                limit.reschedule(loop.time())

        look(LOOKS)
        try:
            yield
        finally:
            if timer is not None:
                timer.cancel()
