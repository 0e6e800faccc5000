"""What comes in on a provider's connection, however it is cut into packets, and when the connection may be used again."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.receiving import LARGEST_PIECE, Received
from gateway.upstream import Http
from providers.base import Fault, Outgoing
from tests.conftest import Background, snapshot_of
from tests.gateway.provider import account_at, route

CLOSED = b""
"""In a script: the connection is closed."""
LENGTH = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
BARE = b"HTTP/1.1 200 OK\r\n\r\n"
KEPT = LENGTH % 2 + b"{}"


async def replies(*scripts: tuple[bytes, ...], by_pieces: bool = False) -> tuple[list[bytes | str], int]:
    """(the body of each reply or the kind of its fault, how many connections were made). Each script is what is sent for one request: its
    pieces are sent one after the other, as packets of their own as far as that can be had."""
    waiting = list(scripts)
    made = 0
    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal made
        made += 1
        writers.append(writer)
        while await reader.read(1 << 16):
            for piece in waiting.pop(0):
                if piece == CLOSED:
                    return writer.close()
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0)

    http = Http()
    await http.open()
    got: list[bytes | str] = []
    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        url = "http://{}:{}/v1".format(*server.sockets[0].getsockname())
        account = snapshot_of({"providers": {"p": account_at(url)}, "models": route("p/x")}).accounts["p"]
        for _ in scripts:
            try:
                reply = await http.send(account, Outgoing(url, b"{}"), 5.0)
                assert isinstance(reply, Received)
                try:
                    got.append(await (in_pieces(reply) if by_pieces else reply.read()))
                finally:
                    reply.close()
            except Fault as fault:
                got.append(fault.kind)
        await http.close()
        for writer in writers:
            writer.transport.abort()
    return got, made


async def in_pieces(reply: Received) -> bytes:
    pieces = []
    while piece := await reply.piece():
        assert len(piece) <= LARGEST_PIECE
        pieces.append(piece)
    return b"".join(pieces)


def chunked(*parts: bytes) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts if part) + b"0\r\n\r\n"


@given(
    body=st.lists(st.integers(1, 3 * LARGEST_PIECE), max_size=5),
    cuts=st.lists(st.integers(1, 40_000), max_size=6),
    framing=st.sampled_from(["length", "chunks", "until closed"]),
    by_pieces=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_a_body_comes_whole_however_it_is_cut(
    background: Background, body: list[int], cuts: list[int], framing: str, by_pieces: bool
) -> None:
    parts = [bytes([65 + number]) * size for number, size in enumerate(body)]
    whole = b"".join(parts)
    sent = {"length": LENGTH % len(whole) + whole, "chunks": CHUNKED + chunked(*parts), "until closed": BARE + whole}[framing]
    script = []
    for cut in cuts:
        piece, sent = sent[:cut], sent[cut:]
        script += [piece] if piece else []
    script += [sent] if sent else []
    if framing == "until closed":
        script.append(CLOSED)

    got, made = background.run(replies(tuple(script), (KEPT,), by_pieces=by_pieces))

    assert got == [whole, b"{}"]
    assert made == (2 if framing == "until closed" else 1)


ENDS: dict[str, tuple[tuple[bytes, ...], list[bytes | str], int]] = {
    "more-than-was-announced": ((KEPT + b"more",), [b"{}", b"{}"], 2),
    "a-second-answer-in-the-same-packet": ((KEPT + KEPT,), [b"{}", b"{}"], 2),
    "no-more-after-this": ((b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}",), [b"{}", b"{}"], 2),
    "an-older-protocol": ((b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\n{}",), [b"{}", b"{}"], 2),
    "another-protocol": ((b"HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\nwords",), [b"", b"{}"], 2),
    "no-body-at-all": ((b"HTTP/1.1 204 No Content\r\n\r\n",), [b"", b"{}"], 1),
    "trailers": ((CHUNKED + b"2\r\n{}\r\n0\r\nx: y\r\n\r\n",), [b"{}", b"{}"], 1),
    "less-than-was-announced": ((LENGTH % 9 + b"{}", CLOSED), ["broken", b"{}"], 2),
    "chunks-without-an-end": ((CHUNKED + b"2\r\n{}\r\n", CLOSED), ["broken", b"{}"], 2),
    "chunks-of-no-number": ((CHUNKED + b"2\r\n{}\r\nwords",), ["broken", b"{}"], 2),
    "trailers-without-end": ((CHUNKED + b"2\r\n{}\r\n0\r\n", *[b"x: y\r\n" * 1000] * 20), ["broken", b"{}"], 2),
    "a-head-and-no-more": ((b"HTTP/1.1 200 OK\r\n", CLOSED), ["unreachable", b"{}"], 2),
    "too-many-headers": ((b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 200 + b"\r\n",), ["unreachable", b"{}"], 2),
    "two-lengths": ((b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}",), ["unreachable", b"{}"], 2),
}


@pytest.mark.parametrize("end", ENDS)
def test_a_connection_is_used_again_only_after_what_ended_well(background: Background, end: str) -> None:
    script, bodies, connections = ENDS[end]

    assert background.run(replies(script, (KEPT,))) == (bodies, connections)


def test_what_came_before_a_break_is_given(background: Background) -> None:
    async def first_words() -> tuple[bytes, str]:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(1 << 16)
            writer.write(CHUNKED + b"5\r\nwords\r\n")
            writer.close()

        http = Http()
        await http.open()
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            url = "http://{}:{}/v1".format(*server.sockets[0].getsockname())
            account = snapshot_of({"providers": {"p": account_at(url)}, "models": route("p/x")}).accounts["p"]
            reply = await http.send(account, Outgoing(url, b"{}"), 5.0)
            words = await reply.piece()
            try:
                await reply.piece()
            except Fault as fault:
                return words, fault.kind
            finally:
                reply.close()
                await http.close()
        return words, ""

    assert background.run(first_words()) == (b"words", "broken")
