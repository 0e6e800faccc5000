"""Load in an open loop: requests go out at their time, whether or not those before are answered, and are timed from when they were due, so
that a server that stands still is not spared the requests it would have had (coordinated omission)."""

import asyncio
import gc
import re
import selectors
import time
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import httptools
from msgspec import Struct

from bench.servers import Failed, pinned

T = TypeVar("T")
CONNECTIONS = 64
"""Open from the start; there may be more."""
MOST = 512
"""Requests under way at once: a server that is so late cannot keep up."""
GRACE = 10.0
"""Seconds after the last request in which all have to be answered."""
STAMP = re.compile(rb'"content": ?"(\d{19})"')


class Timed(Struct):
    """Seconds, of each request or event."""

    first: list[float]
    """From when a request was due to the first byte of its answer's body."""
    whole: list[float]
    """To the answer's end."""
    events: list[float]
    """From when the provider sent an event to when it was here."""


def run(work: Coroutine[Any, Any, T]) -> T:
    """On the cores that are not the server's. select() waits to the microsecond, epoll whole milliseconds."""
    gc.disable()
    try:
        with pinned(0), asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selectors.SelectSelector())) as runner:
            return runner.run(work)
    finally:
        gc.enable()


class Connection(asyncio.Protocol):
    """To a server, one request after the other."""

    def __init__(self, timed: Timed, done: Callable[["Connection", str], None]) -> None:
        self.timed = timed
        self.done = done
        self.parser = httptools.HttpResponseParser(self)
        self.due = 0.0
        self.waits = False
        """For the first byte of a body."""
        self.busy = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]  # TCP's are

    def ask(self, request: bytes, due: float) -> None:
        self.due = due
        self.waits = self.busy = True
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        now = time.monotonic_ns()
        if self.waits:
            self.waits = False
            self.timed.first.append(now / 1e9 - self.due)
        self.timed.events.extend((now - int(sent)) / 1e9 for sent in STAMP.findall(body))

    def on_message_complete(self) -> None:
        self.timed.whole.append(time.monotonic() - self.due)
        self.busy = False
        status = self.parser.get_status_code()
        self.parser = httptools.HttpResponseParser(self)
        self.done(self, "" if status == 200 else f"it answers {status}")

    def connection_lost(self, exc: Exception | None) -> None:
        if self.busy:
            self.done(self, "it has hung up")


async def at_rate(port: int, request: bytes, rate: float, seconds: float) -> Timed:
    """Raises Failed where it does not keep up."""
    loop = asyncio.get_running_loop()
    timed = Timed([], [], [])
    idle: deque[Connection] = deque()
    """The one that has waited longest goes first: servers hang up on those that are not used for some seconds."""
    asked = answered = 0
    count = round(rate * seconds)
    over: asyncio.Future[None] = loop.create_future()

    def done(connection: Connection, problem: str) -> None:
        nonlocal answered
        if over.done():
            return
        if problem:
            over.set_exception(Failed(problem))
            return
        idle.append(connection)
        answered += 1
        if answered == count:
            over.set_result(None)

    async def connect() -> Connection:
        return (await loop.create_connection(lambda: Connection(timed, done), "127.0.0.1", port))[1]

    every = [await connect() for _ in range(CONNECTIONS)]
    idle.extend(every)
    opening: set[asyncio.Task[None]] = set()

    async def open_and_ask(due: float) -> None:
        every.append(connection := await connect())
        connection.ask(request, due)

    began = loop.time() + 0.05

    def send() -> None:
        nonlocal asked
        while asked < count and (due := began + asked / rate) <= loop.time():
            asked += 1
            while idle and idle[0].transport.is_closing():
                idle.popleft()
            if idle:
                idle.popleft().ask(request, due)
            elif len(every) + len(opening) < MOST:
                task = asyncio.create_task(open_and_ask(due))
                opening.add(task)
                task.add_done_callback(opening.discard)
            elif not over.done():
                over.set_exception(Failed("cannot keep up"))
        if asked < count and not over.done():
            loop.call_at(began + asked / rate, send)

    loop.call_at(began, send)
    try:
        async with asyncio.timeout(seconds + GRACE):
            await over
    except TimeoutError:
        raise Failed("cannot keep up") from None
    finally:
        if not over.done():
            over.cancel()
        for connection in every:
            connection.transport.abort()
    return timed


async def held(port: int, request: bytes, count: int, connections: list[Connection], patience: float) -> None:
    """Opens streams until there are so many in all, and waits for the first event of each."""
    loop = asyncio.get_running_loop()
    timed = Timed([], [], [])
    problems: list[str] = []
    more = count - len(connections)
    for _ in range(more):
        _, connection = await loop.create_connection(
            lambda: Connection(timed, lambda _, problem: problems.append(problem)), "127.0.0.1", port
        )
        connections.append(connection)
        connection.ask(request, loop.time())
    until = loop.time() + patience
    while len(timed.first) < more:
        await asyncio.sleep(0.05)
        if problems or loop.time() > until:
            raise Failed(f"{len(timed.first)} of {more} more streams have begun within {patience:.0f} s; {problems[0] if problems else ''}")


def quantile(values: list[float], share: float) -> float:
    """NaN-free: of nothing, nothing."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0
