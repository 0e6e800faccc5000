"""What every endpoint shares: an Exchange reads a request and answers it once, with OpenAI's headers and OpenAI's errors."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from random import getrandbits
from time import perf_counter, time
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from msgspec import DecodeError, Raw, Struct, ValidationError

from gateway.api.booking import LEFT, Booking
from gateway.api.weight import DEEPEST, MOST_ESCAPES, MOST_ITEMS, MOST_NODES, SMALL, deeper, lightened, too_heavy
from gateway.deadline import Ticker
from gateway.headers import header_text
from gateway.routing.decision import Decision
from gateway.routing.trail import Trail
from gateway.routing.verdicts import VERDICTS, code_told
from gateway.scrubbing import scrub
from gateway.sending import Headers, Send, put_piece, send_head, send_piece, send_whole, taken
from providers.base import Fault, Json, decode, encode

T = TypeVar("T")
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

SANE_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")
WATCH_AFTER = 0.25
"""Seconds before somebody looks whether the client has left: most plain calls are over by then, and a watcher is a task of its own."""
MOST_PIECES = 1000
"""Pieces of a body that are held as they have come: each is an object, however small it is."""
LONGEST_PATH = 400
"""Characters of an address that are written down: strangers may send 64 KB of it."""
JSON_TYPE = (b"content-type", b"application/json")
EVENTS = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache"), (b"x-accel-buffering", b"no")]


class Refusal(Exception):
    """An answer that is an error, in OpenAI's words."""

    def __init__(
        self, status: int, message: str, *, kind: str = "invalid_request_error", param: str | None = None, code: str | None = None,
        headers: Headers | None = None,
    ) -> None:  # fmt: skip
        super().__init__(message)
        self.status = status
        self.body: Json = {"error": {"message": message, "type": kind, "param": param, "code": code}}
        self.headers: Headers = headers or []


class Left(Exception):
    """The client has gone."""


NOTHING = Raw(b"null")


class Record(Struct):
    """What is known of a finished exchange: the only thing that logs and metrics are made of."""

    time: float
    request_id: str
    method: str
    path: str
    status: int
    seconds: float
    overhead_ms: float
    team: str = ""
    key: str = ""
    model: str = ""
    served: str = ""
    attempts: int = 0
    stream: bool = False
    finish: str = ""
    usage: Json | None = None
    changes: str = ""
    faults: list[str] = []
    error: str = ""
    decision: Raw = NOTHING
    """What the plan was made from: a Decision as JSON."""
    batch: str = ""
    """The id of the batch whose line this was."""


class Exchange:
    """One request and its answer."""

    __slots__ = (
        "_drain", "_due", "_patience", "_receive", "_send", "_task", "_watcher", "answered", "body_read", "booking", "decided", "decision",
        "fails", "finish", "first_byte", "headers", "keep", "key", "left", "limits", "method", "model", "more", "notices", "path",
        "refused", "request_id", "route", "says_no", "scope", "size", "started", "status", "stream", "team", "ticker", "trail", "usage",
    )  # fmt: skip

    def __init__(self, scope: Scope, receive: Receive, send: Send, ticker: Ticker, patience: float) -> None:
        """`patience`: seconds that its body may make no progress."""
        self.ticker = ticker
        """Has the loop too: finding the running one is a system call in Python 3.11."""
        self.started = perf_counter()
        self.scope = scope
        self._receive = receive
        self._send = send
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        given = self.headers.get(b"x-request-id")
        self.request_id = given.decode() if given and SANE_ID.fullmatch(given) else new_request_id()
        self.trail = Trail(self.started)
        self.answered = False
        """A status line has been sent: a second one cannot be."""
        self.body_read = False
        self.left = False
        self.status = 0
        self.team = self.key = self.model = self.finish = self.refused = ""
        self.stream = False
        self.usage: Json | None = None
        self.size = 0
        """Bytes of the body."""
        self.route = ""
        """The plan, for teams that want to see it."""
        self.booking: Booking | None = None
        self.keep: Callable[[int, bytes], Awaitable[None]] | None = None
        """Given the status and the body of a whole answer before it is sent."""
        self.limits: Headers = []
        """`x-ratelimit-*`"""
        self.more: Headers = []
        """What a surface's clients look for beside OpenAI's."""
        self.notices: tuple[tuple[bytes, bytes], ...] = ()
        """Of the end that the model's name has at OpenAI."""
        self.first_byte = 0.0
        """When the first of the answer went out, by `perf_counter`."""
        self.decision: Decision | None = None
        self.decided = b""
        """The same as JSON."""
        self.says_no: Callable[[Refusal], Json] = body_of
        """How a refusal is told, on surfaces that are not OpenAI's."""
        self.fails: Callable[[Refusal], bytes] = failed
        """How a stream that has begun tells that it breaks off."""
        self._task: asyncio.Task[Any] | None = None
        self._patience = patience
        self._due = 0.0
        """When the next bytes of the body must be there, while it is read."""
        self._watcher: asyncio.Task[None] | None = None
        self._drain = False

    # ---- the request ----

    def query(self) -> dict[str, str]:
        """What stands behind the `?`. Of a name that is given twice the last one counts."""
        return dict(parse_qsl(self.scope["query_string"].decode("latin-1"), keep_blank_values=True, max_num_fields=100))

    async def read(self, most: int) -> bytes:
        """The body. Raises Refusal: 413 for one larger than `most` bytes, before it is read where it says so itself; 415 for a compressed
        one, whose size nothing tells; 408 for one that makes no progress."""
        body = self._at_once(most)
        if body is None:
            body = await self._in_time(self._pieces(most))
            self.body_read = True
        return body

    def _at_once(self, most: int) -> bytes | None:
        """The body, where all of it has come. Raises Refusal."""
        self._fits(most)
        body = taken(self._receive)
        if body is not None:
            if len(body) > most:
                raise too_large(most)
            self.body_read = True
        return body

    async def pieces(self, most: int) -> AsyncIterator[bytes]:
        """The body as it comes in. Raises as `read` does; what the reader does between two pieces may take its time."""
        self._fits(most)
        size, more = 0, True
        while more:
            message = await self._in_time(self._receive())
            if message["type"] == "http.disconnect":
                raise Left
            piece: bytes = message.get("body", b"")
            more = message.get("more_body", False)
            size += len(piece)
            if size > most:
                raise too_large(most)
            if piece:
                yield piece
        self.body_read = True

    def _fits(self, most: int) -> None:
        """Raises Refusal for a body that need not be read."""
        if b"content-encoding" in self.headers and encoded(self.scope["headers"]):
            raise compressed()
        length = self.headers.get(b"content-length", b"")
        if length.isdigit() and int(length) > most:
            raise too_large(most)

    async def _in_time(self, reading: Awaitable[T]) -> T:
        """Raises Refusal(408) where nothing comes."""
        self._task = asyncio.current_task(self.ticker.loop)
        self._due = self.ticker.loop.time() + self._patience
        self.ticker.add(self)
        try:
            return await reading
        except asyncio.CancelledError:
            if self._due or self._task is None:
                raise
            self._task.uncancel()
            raise stalled(self._patience) from None
        finally:
            self._due = 0.0
            self.ticker.remove(self)

    async def _pieces(self, most: int) -> bytes:
        message = await self._receive()
        body: bytes = message.get("body", b"")
        held, size, joined = [body], len(body), 0
        while message.get("more_body") and size <= most:
            self._due = self.ticker.loop.time() + self._patience
            message = await self._receive()
            body = message.get("body", b"")
            held.append(body)
            size += len(body)
            if len(held) - joined == MOST_PIECES:
                held[joined:] = [b"".join(held[joined:])]
                joined += 1
        if message["type"] == "http.disconnect":
            raise Left
        if size > most:  # no header has told
            raise too_large(most)
        return b"".join(held)

    async def json(self, most: int) -> Json:
        """The body as a JSON object. Raises Refusal. Of a key that is given twice the last one counts; what is sent on is made anew from
        what is read here, so that nobody behind can take the other."""
        raw = self._at_once(most)
        if raw is None:
            raw = await self.read(most)
        self.size = len(raw)
        large = self.size > SMALL
        if large:
            raw = await lightened(raw)
            if await too_heavy(raw):
                raise too_complex()
        try:
            body = decode(raw)
        except (DecodeError, ValidationError, UnicodeDecodeError, RecursionError) as exc:
            raise no_json(_where(exc)) from exc
        if large:
            await self.others()
        if deeper(raw, body, DEEPEST):
            raise no_json(f"it is nested more than {DEEPEST} levels deep")
        if large:
            await self.others()
        return body

    async def others(self) -> None:
        """Lets others have their turn, where the request is so large that one step of serving it takes a while."""
        if self.size > SMALL:
            await asyncio.sleep(0)

    async def aside(self, work: Callable[..., T], *arguments: Any, **named: Any) -> T:
        """What `work` gives. That of a large request is done in a thread, where Python changes to the loop every few milliseconds."""
        if self.size > SMALL:
            return await asyncio.to_thread(work, *arguments, **named)
        return work(*arguments, **named)

    def watch(self, *, drain: bool = False) -> None:
        """From now on, if the client leaves, the task that serves it is cancelled; with `drain` it goes on, and what it sends goes nowhere.
        The body has been read."""
        self._drain = drain
        self._task = asyncio.current_task(self.ticker.loop)
        self.ticker.add(self)

    def tick(self, now: float) -> None:
        """While the body is read: looks whether it comes. After `watch`: called when the call is not one of the many that are over at
        once."""
        if self._due:
            if now >= self._due and self._task is not None:
                self._due = 0.0
                self._task.cancel()
        elif perf_counter() - self.started > WATCH_AFTER:
            self.ticker.remove(self)
            self._watcher = self.ticker.loop.create_task(self._wait_until_it_leaves())

    async def _wait_until_it_leaves(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        if self._task is not None:
            self.left = True
            if not self._drain:
                self._task.cancel()

    def unwatch(self) -> None:
        self._task = None
        self.ticker.remove(self)
        if self._watcher is not None:
            self._watcher.cancel()
            self._watcher = None  # the two know each other, and would wait for the garbage collector

    # ---- the answer ----

    def head(self) -> Headers:
        """The headers that every answer has, and those that tell what became of the request."""
        trail = self.trail
        now = perf_counter()
        headers = [
            (b"x-request-id", self.request_id.encode()),
            (b"openai-processing-ms", b"%d" % ((now - self.started) * 1000)),
            (b"x-banjia-overhead-ms", b"%.2f" % ((now - self.started - trail.waited) * 1000)),
        ]
        if trail.hop is not None:
            headers += trail.hop.headers
            headers.append((b"x-banjia-attempts", b"%d" % trail.attempts))
        if self.route:
            headers.append((b"x-banjia-route", header_text(self.route)))
        if trail.changes:
            headers.append((b"x-banjia-changes", header_text(self.changes)))
        if self.more:
            headers += self.more
        if self.notices:
            headers += self.notices
        return headers + self.limits if self.limits else headers

    @property
    def changes(self) -> str:
        """What became of the request's fields, as the header says it."""
        changes = self.trail.changes
        return ",".join(map(told, changes)) if changes else ""

    async def answer(self, status: int, body: bytes, headers: Headers | None = None, kind: tuple[bytes, bytes] = JSON_TYPE) -> None:
        """A whole answer."""
        self.status = LEFT if self.left else status
        if self.booking is not None:
            await self.booking.settle()
        if self.keep is not None:
            await self.keep(status, body)
        self.unwatch()
        self.answered = True
        head = [kind, (b"content-length", b"%d" % len(body)), *self.head(), *(headers or ())]
        if not self.body_read and self.method not in ("GET", "HEAD", "DELETE"):
            head.append((b"connection", b"close"))  # what is left of the body is not worth reading
        await send_whole(self._send, status, head, b"" if self.method == "HEAD" else body)

    async def refuse(self, refusal: Refusal) -> None:
        self.refused = str(refusal)
        await self.answer(refusal.status, encode(self.says_no(refusal)), refusal.headers)

    async def begin(self, headers: Headers = EVENTS) -> None:
        """The head of a stream, of events unless `headers` say otherwise. From here on a failure can only be told within it."""
        self.answered = True
        self.status = 200
        self.first_byte = perf_counter()
        await send_head(self._send, headers + self.head())

    async def write(self, data: bytes) -> None:
        await send_piece(self._send, data)

    def put(self, data: bytes) -> bool:
        """`write`, where nobody has to be waited for. False: nothing has been written."""
        return put_piece(self._send, data)

    async def end(self, data: bytes = b"") -> None:
        """The last piece of a stream."""
        if self.left:
            self.status = LEFT
        if self.booking is not None:
            await self.booking.settle()
        self.unwatch()
        await send_piece(self._send, data, last=True)

    async def pour(self, headers: Headers, length: int, pieces: AsyncIterator[bytes]) -> None:
        """A whole answer of so many bytes that is too large to be held. Raises Left where it breaks off: the connection is closed before
        the end of the body, for there is no other way to tell."""
        self.answered = True
        self.status = 200
        self.first_byte = perf_counter()
        head = [(b"content-length", b"%d" % length), *headers, *self.head()]
        await self._send({"type": "http.response.start", "status": 200, "headers": head})
        try:
            async for piece in pieces:
                length -= len(piece)
                if length < 0:
                    raise Left
                await self._send({"type": "http.response.body", "body": piece, "more_body": True})
        except asyncio.CancelledError:
            if self.left or self._task is None:
                raise
            self._task.uncancel()  # the gateway is being stopped
            raise Left from None
        if length:
            raise Left
        self.unwatch()
        await self._send({"type": "http.response.body", "body": b""})

    def record(self) -> Record:
        trail = self.trail
        seconds = perf_counter() - self.started
        return Record(
            time(),
            self.request_id,
            self.method,
            self.path[:LONGEST_PATH],
            self.status,
            round(seconds, 6),
            round((seconds - trail.waited) * 1000, 3) if not self.stream else 0.0,
            self.team,
            self.key,
            self.model,
            trail.hop.name if trail.hop else "",
            trail.attempts,
            self.stream,
            self.finish,
            self.usage,
            self.changes,
            trail.faults,
            self.refused,
            Raw(self.decided or b"null"),
        )


def new_request_id() -> str:
    """Ids made later sort later, as those of records do: that keeps the writes into the database's index of them together."""
    return f"req_{int(time() * 1000):011x}{getrandbits(84):021x}"


def body_of(refusal: Refusal) -> Json:
    """OpenAI's words for it."""
    return refusal.body


def failed(refusal: Refusal) -> bytes:
    """The same within a stream."""
    return event(refusal.body)


def told(change: Any) -> str:
    """A change as the header says it: `temperature=clamped:0.99`."""
    return f"{change.field}={change.fate}:{change.note}" if change.note else f"{change.field}={change.fate}"


def too_large(most: int) -> Refusal:
    return Refusal(413, f"The request is too large: at most {most} bytes are taken.", code="request_too_large")


def encoded(headers: Headers) -> bool:
    """Whether one of the headers says that the body is compressed."""
    return any(name == b"content-encoding" and value.lower() not in (b"", b"identity") for name, value in headers)


def compressed() -> Refusal:
    return Refusal(415, "A compressed body is not taken: send it as it is.", code="unsupported_content_encoding")


def too_complex() -> Refusal:
    message = (
        f"The body has too many parts: at most {MOST_NODES} objects, lists and fields are taken, with {MOST_ITEMS} values in them"
        f" and {MOST_ESCAPES} backslashes. Send text as UTF-8 rather than in escapes."
    )
    return Refusal(400, message, code="request_too_complex")


def stalled(seconds: float) -> Refusal:
    return Refusal(408, f"The body of the request made no progress for {seconds:g} s.", code="request_timeout")


def no_json(why: str) -> Refusal:
    return Refusal(400, f"The body of the request is not a JSON object that can be read: {why}.")


def _where(exc: Exception) -> str:
    text = str(exc) if isinstance(exc, DecodeError | ValidationError) else "it is nested too deeply or not UTF-8"
    return text.replace("`$`", "the top level")


# ---- faults in OpenAI's words ----


def refusal_of(fault: Fault, trail: Trail) -> Refusal:
    """The error a client gets for a fault when no hop is left."""
    verdict = VERDICTS[fault.kind]
    secrets = trail.hop.account.secret_words if trail.hop else ()
    message = scrub(fault.message, secrets) or "the provider has said nothing of it"
    param = scrub(fault.param, secrets) if fault.param else None
    if fault.kind == "auth":
        message = f"The gateway's own account with the provider was not accepted ({message}). This is for the gateway's operator to mend."
    headers: Headers = []
    if fault.retry_after is not None:
        headers.append((b"retry-after", b"%d" % -(-fault.retry_after // 1)))
    if not verdict.again or trail.attempts > 1:
        headers.append((b"x-should-retry", b"false"))
    return Refusal(verdict.status, message, kind=verdict.type, param=param, code=code_told(fault.kind, fault.code), headers=headers)


def event(body: Mapping[str, Any]) -> bytes:
    return b"data: " + encode(body) + b"\n\n"
