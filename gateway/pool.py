"""Connections to providers between two requests. The one that was used last is used first: those too many grow old, and are closed."""

import asyncio
from collections.abc import Hashable

from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection

KEEP = 30.0
"""Seconds that a connection waits for its next request."""


Idle = tuple[Connection, ResponseHandler, float]
"""A connection that waits, its protocol, and since when by the loop's clock."""


class Pool:
    """aiohttp opens connections and would keep them, too; that takes it as long as sending a request."""

    __slots__ = ("_closed", "_idle", "_loop", "_timer")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._idle: dict[Hashable, list[Idle]] = {}
        """By where they lead; those that have waited longest first."""
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    def take(self, place: Hashable) -> Connection | None:
        """One that leads there and is open, as far as is known."""
        idle = self._idle.get(place)
        while idle:
            connection, protocol, _ = idle.pop()
            if protocol.is_connected():
                return connection
            connection.close()
        return None

    def give(self, place: Hashable, connection: Connection) -> None:
        """It may serve again."""
        protocol = connection.protocol
        if self._closed or protocol is None or protocol.should_close:
            return connection.close()
        idle = self._idle.get(place)
        if idle is None:
            idle = self._idle[place] = []
        idle.append((connection, protocol, self._loop.time()))
        if self._timer is None:
            self._timer = self._loop.call_later(KEEP, self._sweep)
        return None

    def close(self) -> None:
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        for idle in self._idle.values():
            for connection, _, _ in idle:
                connection.close()
        self._idle.clear()

    def _sweep(self) -> None:
        """Closes what has waited long enough, and what the other side has closed."""
        before = self._loop.time() - KEEP
        kept: dict[Hashable, list[Idle]] = {}
        for place, idle in self._idle.items():
            for one in idle:
                connection, protocol, since = one
                if since > before and protocol.is_connected():
                    kept.setdefault(place, []).append(one)
                else:
                    connection.close()
        self._idle = kept
        self._timer = self._loop.call_later(KEEP / 2, self._sweep) if kept else None
