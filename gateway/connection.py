"""One client's connection: uvicorn's HTTP/1.1, with the bounds that it lacks. What is no request is answered here, in OpenAI's words.

Bounded are the head (bytes, lines, time), what stands between two pieces of a body, requests sent ahead of their answers, and the time that
a client may leave an answer unread. The time of a body is the Exchange's, which can tell it in the request's record.
"""

import asyncio
import math
import re
from collections.abc import Callable
from functools import lru_cache
from random import getrandbits
from typing import Any
from urllib.parse import unquote

import httptools
import uvicorn
from uvicorn._types import ASGIVersions
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from gateway.api.wire import Refusal
from gateway.deadline import Ticker
from gateway.settings import Server
from providers.base import encode

LARGEST_HEAD = 64 << 10
"""Bytes. Also of chunk sizes, extensions and trailers with no byte of a body between them."""
MOST_HEADERS = 100
MOST_HEADS = 4096
"""Heads that may be on their way at once. They cost 9 KB each, and nobody knows yet whose they are; an honest one takes milliseconds."""
MOST_AHEAD = 16
"""Requests that wait for the answer to an earlier one of their connection. SDKs send none ahead."""
LINGER = 2.0
"""Seconds that a client which is still sending has to read its refusal: a socket closed at once resets what is on the way."""
MOST_UNSENT = 16 << 10
"""Bytes of an answer that wait here for a client that reads slowly; more wait for it at the provider."""
IDLE = 75
"""Seconds after which a connection without a request is closed."""
USUAL_URL = 256
"""Bytes: what is read in longer ones is not remembered."""
NEVER = math.inf
ASGI: ASGIVersions = {"version": "3.0", "spec_version": "2.3"}
HOST = re.compile(rb"[\w.~!$&'()*+,;=%:\[\]-]*")


class Config(uvicorn.Config):
    """uvicorn's, with what a Connection is to know."""

    def __init__(self, app: Any, patience: Server) -> None:
        super().__init__(
            app,
            interface="asgi3",
            http=Connection,
            lifespan="off",
            proxy_headers=False,
            access_log=False,
            log_config=None,
            server_header=False,
            date_header=False,
            ws="none",
            timeout_keep_alive=IDLE,
        )
        self.patience = patience
        self.ticker: Ticker
        """Of the loop that serves; there from then on."""
        self.closing = False
        """Answers from now on are the last of their connections."""
        self.heads: dict[Connection, None] = {}
        """Connections whose next head has not come to its end, the oldest first."""


class Connection(HttpToolsProtocol):
    config: Config

    def __init__(self, config: Config, *others: Any, **more: Any) -> None:
        super().__init__(config, *others, **more)
        self._in_head = False
        """A head has begun and has not ended."""
        self._idle = 0
        """Bytes since the head began, or since the last byte of a body."""
        self._moved = False
        """A head, a piece of a body or a whole request has just ended."""
        self._trailers = 0
        self._deaf = False
        """What comes in is passed over."""
        self._refusal: Refusal | None = None
        """Why a callback has stopped the parser."""
        self._due = NEVER
        """When the head must be there, or the lingering be over."""
        self._unread_due = NEVER
        self._unread = 0
        self._idle_until = NEVER
        """When a connection without a request is closed."""

    # ---- uvicorn's callbacks; what it does for each request is done here, in fewer steps ----

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # TCP's are
        transport.set_write_buffer_limits(high=MOST_UNSENT)
        super().connection_made(Joined(transport, self._hang_up))  # type: ignore[arg-type]  # it has all that is used of one
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._deaf = True
        self.config.heads.pop(self, None)
        self._unset_keepalive_if_required()
        super().connection_lost(exc)
        self.transport.let_go()  # type: ignore[attr-defined]  # ours
        self.config.ticker.remove(self)

    def data_received(self, data: bytes | memoryview) -> None:
        while data and not self._deaf:
            room = LARGEST_HEAD - self._idle
            if len(data) <= room:
                piece, data = data, b""
            else:
                rest = memoryview(data)
                piece, data = rest[:room], rest[room:]
            self._moved = False
            try:
                self.parser.feed_data(piece)
            except httptools.HttpParserUpgrade as offer:
                data = self._declined() + piece[offer.args[0] :] + data
            except httptools.HttpParserError:
                return self._refuse(self._refusal or no_http())
            self._idle = 0 if self._moved else self._idle + len(piece)
            if self._idle >= LARGEST_HEAD:
                return self._refuse(head_too_large() if self._in_head else no_http())
        if self._in_head and self._due == NEVER:
            self._await_head()
        return None

    def on_message_begin(self) -> None:
        self._in_head = True
        self.url = b""
        self.expect_100_continue = False
        self.headers = []

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_head:  # a trailer: it belongs to no request by now
            self._trailers += 1
            if self._trailers > MOST_HEADERS:
                self._stop(no_http())
            return
        if len(self.headers) >= MOST_HEADERS:
            self._stop(head_too_large())
        name = name.lower()
        if name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        parser, url, transport = self.parser, self.url, self.transport
        method, version = parser.get_method(), parser.get_http_version()
        if parser.should_upgrade():
            if method == b"CONNECT":
                self._stop(no_http())
            return
        if url == b"*" or len(self.pipeline) >= MOST_AHEAD or in_doubt(self.headers, version):
            self._stop(no_http())
        path, raw_path, query = known_address(url) if len(url) <= USUAL_URL else address(url)
        self.scope = {
            "type": "http",
            "asgi": ASGI,
            "http_version": version,
            "server": self.server,
            "client": self.client,
            "scheme": self.scheme or "http",
            "root_path": "",
            "headers": self.headers,
            "state": {},
            "method": method.decode("ascii"),
            "path": path,
            "raw_path": raw_path,
            "query_string": query,
        }
        before: RequestResponseCycle | None = self.cycle
        keep_alive = version != "1.0" and parser.should_keep_alive() and not self.config.closing
        if version != "1.1":
            transport = Unchunked(transport)  # type: ignore[assignment]  # it has all that is used of one
        self.cycle = cycle = RequestResponseCycle(
            self.scope, transport, self.flow, self.logger, self.access_logger, False, [], asyncio.Event(), self.expect_100_continue,
            keep_alive, self.on_response_complete,
        )  # fmt: skip
        if before is None or before.response_complete:
            self._start_asgi_task(cycle, self.app)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((cycle, self.app))
        self._in_head = False
        self._moved = True
        self._trailers = 0
        if self._due != NEVER:
            self._wait(NEVER)
            self.config.heads.pop(self, None)

    def on_body(self, body: bytes) -> None:
        self._moved = True
        cycle = self.cycle
        if not cycle.response_complete:
            cycle.body += body
            if len(cycle.body) > HIGH_WATER_LIMIT:
                self.flow.pause_reading()
            cycle.message_event.set()

    def on_message_complete(self) -> None:
        if self._in_head:
            return
        self._moved = True
        cycle = self.cycle
        if not cycle.response_complete:
            cycle.more_body = False
            cycle.message_event.set()

    def on_response_complete(self) -> None:
        self.server_state.total_requests += 1
        transport = self.transport
        transport.flush()  # type: ignore[attr-defined]  # ours
        if transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
            return
        self._idle_until = self.loop.time() + self.timeout_keep_alive
        if self.timeout_keep_alive_task is None:
            self.timeout_keep_alive_task = self.loop.call_at(self._idle_until, self.timeout_keep_alive_handler)

    def timeout_keep_alive_handler(self) -> None:
        """One timer for many requests: it looks how long the connection has been without one."""
        self.timeout_keep_alive_task = None
        if not self.cycle.response_complete or self.transport.is_closing():
            return
        if self.loop.time() < self._idle_until:
            self.timeout_keep_alive_task = self.loop.call_at(self._idle_until, self.timeout_keep_alive_handler)
        else:
            self.transport.close()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch_unread()

    def resume_writing(self) -> None:
        super().resume_writing()
        if not self.transport.is_closing():
            self._unread_due = NEVER
            self._watch()

    def _declined(self) -> bytes:
        """The head of a request that offers another protocol, without the offer: every server may pass it over, but the parser takes what
        follows for that protocol. Java's own client offers HTTP/2 with its first request."""
        version = self.parser.get_http_version().encode()
        lines = [b"%s %s HTTP/%s" % (self.parser.get_method(), self.url, version)]
        lines += [b"%s: %s" % header for header in self.headers if header[0] != b"upgrade"]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does
        self._idle = 0
        return b"\r\n".join(lines) + b"\r\n\r\n"

    # ---- time ----

    def tick(self, now: float) -> None:
        if now >= self._due:
            self._due = NEVER
            if not self._deaf and self._in_head:
                self._refuse(head_too_slow(self.config.patience.head_timeout))
            elif self._unread_due == NEVER:  # lingered enough, or has never said a word
                self.transport.abort()
        if self._unread_due != NEVER:
            unread = self.transport.get_write_buffer_size()
            if unread < self._unread:
                self._unread_due = now + self.config.patience.write_timeout
            elif now >= self._unread_due:
                self.transport.abort()
            self._unread = unread

    def _await_head(self) -> None:
        """Where very many do not finish theirs, whoever has had most time for it has to go."""
        heads = self.config.heads
        if len(heads) >= MOST_HEADS:
            oldest = next(iter(heads))
            del heads[oldest]
            oldest.transport.abort()
        heads[self] = None
        self._wait(self.config.patience.head_timeout)

    def _wait(self, seconds: float) -> None:
        self._due = self.loop.time() + seconds
        self._watch()

    def _watch_unread(self) -> None:
        self._unread = self.transport.get_write_buffer_size()
        self._unread_due = self.loop.time() + self.config.patience.write_timeout
        self._watch()

    def _watch(self) -> None:
        if self._due == self._unread_due == NEVER:
            self.config.ticker.remove(self)
        else:
            self.config.ticker.add(self)

    # ---- the end ----

    def _stop(self, refusal: Refusal) -> None:
        """Ends the parser's work from within a callback."""
        self._refusal = refusal
        raise ValueError(str(refusal))

    def _refuse(self, refusal: Refusal) -> None:
        """Nothing more is taken from the client. It is told why, unless it would be in the middle of another answer."""
        self._deaf = True
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is None or cycle.response_complete:
            self.transport.write(whole(refusal))
        elif self._in_head:  # of what follows on a request that is being served, which is the last then
            cycle.keep_alive = False
            return self._wait(NEVER)
        else:
            cycle.disconnected = True
            cycle.message_event.set()
            if not cycle.response_started:
                self.transport.write(whole(refusal))
        return self.transport.close()

    def _hang_up(self, transport: asyncio.Transport) -> None:
        """Closes once all is sent; and where the client is sending still, once it has had time to read that."""
        if transport.is_closing():
            return
        cycle: RequestResponseCycle | None = self.cycle
        sends_still = self._deaf or (cycle is not None and cycle.more_body)
        self._deaf = True
        if sends_still:
            self.flow.resume_reading()
            transport.write_eof()
            self._wait(LINGER)
        else:
            transport.close()
            self._wait(NEVER)
        if transport.get_write_buffer_size():
            self._watch_unread()


class Joined:
    """A transport that sends the head of a response together with the first bytes of its body: a write to a socket is the dearest thing a
    request does, and uvicorn makes two where one will do. What is not a final head goes out at once.
    """

    __slots__ = ("_closing", "_hang_up", "_held", "_transport", "_write")

    def __init__(self, transport: asyncio.Transport, hang_up: Callable[[asyncio.Transport], None]) -> None:
        self._transport = transport
        self._write = transport.write
        self._hang_up = hang_up
        self._held = b""
        self._closing = False

    def write(self, data: bytes) -> None:
        if self._held:
            data, self._held = self._held + data, b""
        elif data.startswith(b"HTTP/1.1 ") and not data.startswith(b"HTTP/1.1 1") and data.endswith(b"\r\n\r\n"):
            self._held = data
            return
        self._write(data)

    def flush(self) -> None:
        """Sends a head that no body follows, as in an answer to HEAD."""
        if self._held:
            self._write(self._held)
            self._held = b""

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            self.flush()
            self._hang_up(self._transport)

    def let_go(self) -> None:
        """Of whoever was to hang up, so that both go when their connection has gone, and not when a collector looks."""
        self._closing = True
        self._hang_up = _nobody

    def is_closing(self) -> bool:
        return self._closing or self._transport.is_closing()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


def _nobody(transport: asyncio.Transport) -> None:
    pass


class Unchunked:
    """A transport for an answer to HTTP/1.0, which knows no chunks: a body without a length ends where the connection does."""

    __slots__ = ("_chunked", "_transport", "close", "is_closing")

    CHUNKED = b"transfer-encoding: chunked\r\n"

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._chunked = False
        self.close = transport.close
        self.is_closing = transport.is_closing

    def write(self, data: bytes) -> None:
        if self._chunked:  # one chunk, or the mark of the end, or both
            size, _, rest = data.partition(b"\r\n")
            data = rest[: int(size, 16)] if size else b""
        elif data.startswith(b"HTTP/1.1 ") and self.CHUNKED in data:
            self._chunked = True
            data = data.replace(self.CHUNKED, b"")
        self._transport.write(data)


def address(url: bytes) -> tuple[str, bytes, bytes]:
    """The path of a URL, decoded and as it came, and its query. Raises HttpParserError, UnicodeDecodeError."""
    parsed = httptools.parse_url(url)
    raw = parsed.path
    path = raw.decode("ascii")
    return unquote(path) if "%" in path else path, raw, parsed.query or b""


known_address = lru_cache(1024)(address)


def in_doubt(headers: list[tuple[bytes, bytes]], version: str) -> bool:
    """Whether a head is one that two servers may read differently: as RFC 9112 has it, which wants a 400 for each."""
    hosts = 0
    for name, value in headers:
        if name == b"host":
            hosts += 1
            if not HOST.fullmatch(value):
                return True
        elif name == b"transfer-encoding" and (version != "1.1" or value.lower() != b"chunked"):
            return True
    return hosts != 1 if version == "1.1" else hosts > 1 or version != "1.0"


def whole(refusal: Refusal) -> bytes:
    body = encode(refusal.body)
    head = b"content-type: application/json\r\ncontent-length: %d\r\nx-request-id: req_%032x\r\nconnection: close\r\n\r\n"
    return STATUS_LINE[refusal.status] + head % (len(body), getrandbits(128)) + body


def no_http() -> Refusal:
    return Refusal(400, "The request is not HTTP/1.1 that can be read without doubt.", code="invalid_http")


def head_too_large() -> Refusal:
    message = f"The head of the request is too large: at most {LARGEST_HEAD} bytes in {MOST_HEADERS} headers are taken."
    return Refusal(431, message, code="headers_too_large")


def head_too_slow(seconds: float) -> Refusal:
    return Refusal(408, f"The head of the request was not there within {seconds:g} s.", code="request_timeout")
