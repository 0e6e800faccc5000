"""Providers' replies on their way in.

aiohttp opens, keeps and closes the connections, also through proxies. What comes in on them is read here: its own reader of bodies takes
twice as long for each event of a stream, since it is made for more than is asked of it.
"""

import asyncio
from collections import deque
from collections.abc import Hashable, Mapping
from http import HTTPStatus

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.http import HttpProcessingError
from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from gateway.pool import Pool
from providers.base import Fault

LARGEST_REPLY = 32 << 20
"""Bytes of a plain reply, as of a request; a larger one is a broken one."""
LARGEST_PIECE = 8 << 10
"""Bytes of a stream that are taken at once: a client that does not read leaves several pieces in several forms here."""
MOST_WAITING = 2 * LARGEST_PIECE
"""Bytes of a body that wait here for who reads it; more wait in the kernel, and then at the provider."""
LARGEST_HEAD = 64 << 10
"""Bytes. Also of chunk sizes, extensions and trailers with no byte of a body between them."""
MOST_HEADERS = 128


class Receiver(ResponseHandler):
    """One connection to a provider. As long as nobody expects a reply in our way, it is aiohttp's own: it opens tunnels through proxies."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self._reply: Received | None = None
        """What is coming in."""
        self._replies: HttpResponseParser | None = None
        self._headers: dict[bytes, bytes] = {}
        self._in_head = True
        self._whole = False
        """The reply has come to its end."""
        self._idle = 0
        """Bytes since the reply was asked for, or since the last byte of its body."""
        self._moved = False
        """A head, a piece of a body or a whole reply has just ended."""
        self._names = 0

    @property
    def should_close(self) -> bool:
        return self._reply is not None or super().should_close

    def expect(self, connection: Connection, pool: Pool, place: Hashable) -> "Received":
        """From here on, what comes in is this reply's. `connection`: aiohttp's word for this one. `place`: where in the pool it waits
        afterwards; None: in aiohttp's own, as connections through proxies do."""
        self._reply = reply = Received(connection, self._loop, pool, place)
        self._parser = None
        self._in_head = True
        self._whole = False
        self._idle = self._names = 0
        if self._replies is None:
            self._replies = parser = HttpResponseParser(self)
            # what servers are known to do, and what cannot be taken for something else, since nothing follows a reply
            parser.set_dangerous_leniencies(
                lenient_headers=True,
                lenient_optional_cr_before_lf=True,
                lenient_spaces_after_chunk_size=True,
                lenient_data_after_close=True,
            )
        return reply

    def forget(self) -> None:
        """Of a reply that nobody reads any more; the connection is not fit for another."""
        self._reply = None
        self.force_close()

    # ---- the connection's callbacks ----

    def data_received(self, data: bytes) -> None:
        reply, parser = self._reply, self._replies
        if reply is None or parser is None:
            if self._parser is not None:
                return super().data_received(data)
            return self._let_go()  # nothing was asked
        while data:
            room = LARGEST_HEAD - self._idle
            piece, data = (data, b"") if len(data) <= room else (data[:room], data[room:])
            self._moved = False
            try:
                parser.feed_data(piece)
            except HttpParserUpgrade:
                self._whole = True
                self.force_close()
            except HttpParserError:
                if not self._whole:
                    return self._fail(HttpProcessingError(message="what came is not HTTP"))
                self.force_close()
            if self._whole:
                return self._end(reply)
            self._idle = 0 if self._moved else self._idle + len(piece)
            if self._idle >= LARGEST_HEAD:
                return self._fail(HttpProcessingError(message="more came than a head may have"))
        reply.wake()
        if reply.waiting > MOST_WAITING:
            reply.pause(self.transport)
        return None

    def connection_lost(self, exc: BaseException | None) -> None:
        reply = self._reply
        if reply is not None and self._replies is not None:
            if exc is None and not self._in_head and reply.until_closed:
                self.force_close()
                self._end(reply)
            elif isinstance(exc, OSError):
                self._fail(aiohttp.ClientOSError(*exc.args))
            else:
                self._fail(aiohttp.ServerDisconnectedError())
        super().connection_lost(exc)

    def _end(self, reply: "Received") -> None:
        """The connection may serve again, unless more has come than was asked for."""
        self._reply = None
        reply.end()

    def _fail(self, error: Exception) -> None:
        reply, self._reply = self._reply, None
        if reply is not None:
            reply.fail(error)
        self._let_go()

    def _let_go(self) -> None:
        self.force_close()
        if self.transport is not None:
            self.transport.close()

    # ---- the parser's callbacks ----

    def on_message_begin(self) -> None:
        if self._whole:  # another answer than was asked for
            self.force_close()

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:
            self._headers.setdefault(name.lower(), value)
        self._names += 1
        if self._names > MOST_HEADERS:
            raise ValueError("more headers than a reply may have")

    def on_headers_complete(self) -> None:
        reply, parser = self._reply, self._replies
        headers, self._headers = self._headers, {}
        self._moved = True
        if reply is None or parser is None or self._whole:
            return
        status = parser.get_status_code()
        if status < HTTPStatus.OK and status != HTTPStatus.SWITCHING_PROTOCOLS:
            self._names = 0
            return
        self._in_head = False
        if not parser.should_keep_alive():
            self.force_close()
        reply.status = status
        reply.raw = headers

    def on_body(self, body: bytes) -> None:
        self._moved = True
        reply = self._reply
        if reply is not None and not self._whole:
            reply.pieces.append(body)
            reply.waiting += len(body)

    def on_message_complete(self) -> None:
        self._moved = True
        if not self._in_head:
            self._whole = True


class Received:
    """A reply to what was sent on a connection."""

    __slots__ = (
        "_connection", "_ended", "_error", "_headers", "_loop", "_paused", "_place", "_pool", "_waiter", "number", "pieces", "raw",
        "status", "waiting",
    )  # fmt: skip

    def __init__(self, connection: Connection, loop: asyncio.AbstractEventLoop, pool: Pool, place: Hashable) -> None:
        self._connection: Connection | None = connection
        """None when it has ended: the connection is another's then."""
        self._loop = loop
        self._pool = pool
        self._place = place
        self.status = 0
        """0 until the head has come."""
        self.number = 0
        """Of the account's credential that it was asked with."""
        self.waiting = 0
        """Bytes of the body that nobody has taken."""
        self.raw: dict[bytes, bytes] = {}
        """The headers, by names in small letters."""
        self._headers: Mapping[str, str] | None = None
        self.pieces: deque[bytes] = deque()
        """Of the body, those that nobody has taken."""
        self._ended = False
        self._error: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._paused: asyncio.Transport | None = None

    # ---- for who reads it ----

    @property
    def headers(self) -> Mapping[str, str]:
        """By names in small letters; of several by one name, the first."""
        if self._headers is None:
            self._headers = {name.decode("latin-1"): value.decode("utf-8", "surrogateescape") for name, value in self.raw.items()}
        return self._headers

    @property
    def encoded(self) -> bool:
        return self.raw.get(b"content-encoding", b"identity") != b"identity"

    @property
    def until_closed(self) -> bool:
        """Whether the body ends where the connection does."""
        return b"content-length" not in self.raw and b"chunked" not in self.raw.get(b"transfer-encoding", b"").lower()

    async def head(self) -> None:
        """Waits for the head. Raises aiohttp.ClientError, HttpProcessingError."""
        while not self.status:
            if self._error is not None:
                raise self._error
            self._waiter = waiter = self._loop.create_future()
            try:
                await waiter
            finally:
                self._waiter = None

    async def piece(self) -> bytes:
        """The next bytes of the body as they come; b"" at its end. Raises Fault("broken") if the connection breaks."""
        pieces = self.pieces
        while not pieces:
            if self._ended:
                return b""
            if self._error is not None:
                raise Fault("broken", "the provider's connection broke off") from self._error
            await self._more()
        piece = pieces.popleft()
        if pieces or len(piece) > LARGEST_PIECE:
            piece = self._as_many(piece)
        self.waiting -= len(piece)
        if self._paused is not None and self.waiting <= LARGEST_PIECE:
            self._resume()
        return piece

    async def read(self, most: int = LARGEST_REPLY) -> bytes:
        """The whole body. Raises Fault("broken") for one larger than `most` bytes."""
        length = self.raw.get(b"content-length")
        if length is not None and int(length) > most:
            raise too_long(most)
        taken: list[bytes] = []
        size = 0
        while True:
            taken += self.pieces
            size += self.waiting
            self.pieces.clear()
            self.waiting = 0
            if size > most:
                raise too_long(most)
            if self._ended:
                return taken[0] if len(taken) == 1 else b"".join(taken)
            if self._error is not None:
                raise Fault("broken", "the provider's connection broke off") from self._error
            if self._paused is not None:
                self._resume()
            await self._more()

    def close(self) -> None:
        """Lets go of the reply; what has not been read of it is cut off."""
        connection, self._connection = self._connection, None
        if connection is not None:
            if isinstance(receiver := connection.protocol, Receiver):
                receiver.forget()
            connection.close()
            self.fail(aiohttp.ClientConnectionError("closed"))
        self.pieces.clear()
        self.waiting = 0

    def _as_many(self, piece: bytes) -> bytes:
        """With as many of the next as there is room for in one."""
        room = LARGEST_PIECE - len(piece)
        if room < 0:
            self.pieces.appendleft(piece[LARGEST_PIECE:])
            return piece[:LARGEST_PIECE]
        taken = [piece]
        while self.pieces and (room := room - len(self.pieces[0])) >= 0:
            taken.append(self.pieces.popleft())
        return b"".join(taken)

    async def _more(self) -> None:
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _resume(self) -> None:
        transport, self._paused = self._paused, None
        if transport is not None and not transport.is_closing():
            transport.resume_reading()

    # ---- for the connection ----

    def wake(self) -> None:
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def pause(self, transport: asyncio.Transport | None) -> None:
        """The provider waits until who reads has caught up."""
        if self._paused is None and transport is not None and not transport.is_closing():
            self._paused = transport
            transport.pause_reading()

    def end(self) -> None:
        """The connection goes back to the pool, unless the provider has answered before it was asked all."""
        self._ended = True
        connection, self._connection = self._connection, None
        if connection is not None:
            transport = connection.transport
            if transport is None or transport.get_write_buffer_size():
                connection.close()
            elif self._place is None:
                connection.release()
            else:
                self._pool.give(self._place, connection)
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def fail(self, error: Exception) -> None:
        if not self._ended:
            self._error = error
            self.wake()


def too_long(most: int) -> Fault:
    return Fault("broken", f"the provider's answer is longer than {most} bytes")
