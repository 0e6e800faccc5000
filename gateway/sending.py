"""Answers on their way out and requests on their way in, in fewer steps where uvicorn is who sends and takes them.

uvicorn looks at each header for signs that end a line, which ours cannot have, and at each message for what it may be: that takes as
long as all else that is done to send it.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Headers = list[tuple[bytes, bytes]]
CLOSE = (b"connection", b"close")
CHUNKED = (b"transfer-encoding", b"chunked")


async def send_whole(send: Send, status: int, headers: Headers, body: bytes) -> None:
    """Head and body, whose length is among the headers."""
    cycle = getattr(send, "__self__", None)
    if cycle.__class__ is not RequestResponseCycle:
        await send({"type": "http.response.start", "status": status, "headers": headers})
        return await send({"type": "http.response.body", "body": body})
    if (cycle.disconnected or cycle.flow.write_paused) and await gone(cycle):
        return None
    cycle.transport.write(head(cycle, status, headers) + body)
    return over(cycle)


async def send_head(send: Send, headers: Headers) -> None:
    """The head of a stream."""
    cycle = getattr(send, "__self__", None)
    if cycle.__class__ is not RequestResponseCycle:
        return await send({"type": "http.response.start", "status": 200, "headers": headers})
    if await gone(cycle):
        return None
    cycle.chunked_encoding = True
    return cycle.transport.write(head(cycle, 200, [*headers, CHUNKED]))


async def send_piece(send: Send, data: bytes, *, last: bool = False) -> None:
    """A piece of a stream."""
    cycle = getattr(send, "__self__", None)
    if cycle.__class__ is not RequestResponseCycle:
        return await send({"type": "http.response.body", "body": data, "more_body": not last})
    if await gone(cycle):
        return None
    if last:
        cycle.transport.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(data), data) if data else b"0\r\n\r\n")
        return over(cycle)
    return cycle.transport.write(b"%x\r\n%b\r\n" % (len(data), data)) if data else None


def put_piece(send: Send, data: bytes) -> bool:
    """A piece of a stream, if it can go out at once; else `send_piece` is the one to wait."""
    cycle = getattr(send, "__self__", None)
    if cycle.__class__ is not RequestResponseCycle or cycle.flow.write_paused or cycle.disconnected:
        return False
    cycle.transport.write(b"%x\r\n%b\r\n" % (len(data), data))
    return True


def taken(receive: Receive) -> bytes | None:
    """The body of a request that has come as a whole; None where there is something to wait for."""
    cycle = getattr(receive, "__self__", None)
    if cycle.__class__ is not RequestResponseCycle or cycle.more_body or cycle.disconnected or cycle.response_complete:
        return None
    cycle.flow.resume_reading()
    cycle.message_event.clear()
    body, cycle.body = bytes(cycle.body), bytearray()
    return body


# ---- what uvicorn does, and expects to have been done ----


async def gone(cycle: RequestResponseCycle) -> bool:
    """Whether the client has gone; after waiting for one that reads slowly."""
    if cycle.flow.write_paused and not cycle.disconnected:
        await cycle.flow.drain()
    return cycle.disconnected


def head(cycle: RequestResponseCycle, status: int, headers: Headers) -> bytes:
    if CLOSE in headers:
        cycle.keep_alive = False
    elif not cycle.keep_alive:
        headers = [*headers, CLOSE]
    cycle.response_started = True
    cycle.waiting_for_100_continue = False
    return b"%b%b\r\n\r\n" % (STATUS_LINE[status], b"\r\n".join(map(b": ".join, headers)))


def over(cycle: RequestResponseCycle) -> None:
    cycle.response_complete = True
    cycle.message_event.set()
    if not cycle.keep_alive:
        cycle.transport.close()
    cycle.on_response()
