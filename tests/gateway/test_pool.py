"""Connections to providers between two requests."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from gateway import pool
from gateway.snapshot import Account
from gateway.upstream import Http
from providers.base import Outgoing
from tests.conftest import PATIENCE, Background, snapshot_of
from tests.gateway.provider import account_at, route

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"


class Server:
    """Counts what comes on each connection."""

    def __init__(self) -> None:
        self.requests: list[int] = []
        """By connection, in the order in which they were made."""
        self.ended = asyncio.Event()
        """A connection was closed by the other side."""
        self.together = asyncio.Barrier(1)
        """How many requests wait for each other."""
        self.writers: list[asyncio.StreamWriter] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = len(self.requests)
        self.requests.append(0)
        self.writers.append(writer)
        while await reader.read(1 << 16):
            self.requests[number] += 1
            async with self.together:
                writer.write(ANSWER)
        self.ended.set()
        writer.close()


Ask = Callable[[], Awaitable[bytes]]


@asynccontextmanager
async def served() -> AsyncIterator[tuple[Server, Ask]]:
    it, http = Server(), Http()
    await http.open()
    async with await asyncio.start_server(it.serve, "127.0.0.1", 0) as server:
        url = "http://{}:{}/v1".format(*server.sockets[0].getsockname())
        account: Account = snapshot_of({"providers": {"p": account_at(url)}, "models": route("p/x")}).accounts["p"]

        async def ask() -> bytes:
            reply = await http.send(account, Outgoing(url, b"{}"), 5.0)
            try:
                return await reply.read()
            finally:
                reply.close()

        try:
            yield it, ask
        finally:
            await http.close()
            for writer in it.writers:
                writer.transport.abort()


def test_the_connection_that_was_used_last_is_used_first(background: Background) -> None:
    async def asked() -> list[int]:
        async with served() as (server, ask):
            server.together = asyncio.Barrier(3)
            await asyncio.gather(ask(), ask(), ask())
            server.together = asyncio.Barrier(1)
            for _ in range(4):
                await ask()
            return sorted(server.requests)

    assert background.run(asked()) == [1, 1, 5]


def test_a_connection_that_waits_too_long_is_closed(background: Background, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "KEEP", 0.05)

    async def asked() -> list[int]:
        async with served() as (server, ask):
            await ask()
            await asyncio.wait_for(server.ended.wait(), PATIENCE)
            await ask()
            return server.requests

    assert background.run(asked()) == [1, 1]


def test_what_the_provider_has_closed_meanwhile_is_not_used_again(background: Background) -> None:
    async def asked() -> list[int]:
        async with served() as (server, ask):
            await ask()
            server.writers[0].write_eof()
            await asyncio.wait_for(server.ended.wait(), PATIENCE)  # our side has seen it, and closed its own
            assert await ask() == b"{}"
            return server.requests

    assert background.run(asked()) == [1, 1]


def test_all_are_closed_with_the_gateway(background: Background) -> None:
    async def asked() -> bool:
        async with served() as (server, ask):
            await ask()
        await asyncio.wait_for(server.ended.wait(), PATIENCE)
        return True

    assert background.run(asked())
