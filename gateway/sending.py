"""A whole answer in one step, where uvicorn is who sends it."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]
CLOSE = (b"connection", b"close")


async def send_whole(send: Send, status: int, headers: Headers, body: bytes) -> None:
    """Sends head and body. The headers are ours, and have no sign that ends a line: uvicorn, which would see to that, looks at each of them
    again, and takes as long for it as all else that it does for an answer."""
    cycle = getattr(send, "__self__", None)
    if cycle.__class__ is not RequestResponseCycle:
        await send({"type": "http.response.start", "status": status, "headers": headers})
        return await send({"type": "http.response.body", "body": body})
    if cycle.flow.write_paused and not cycle.disconnected:
        await cycle.flow.drain()
    if cycle.disconnected:
        return None
    if CLOSE in headers:
        cycle.keep_alive = False
    elif not cycle.keep_alive:
        headers = [*headers, CLOSE]
    cycle.response_started = cycle.response_complete = True
    cycle.waiting_for_100_continue = False
    cycle.transport.write(b"".join((STATUS_LINE[status], *[b"%b: %b\r\n" % header for header in headers], b"\r\n", body)))
    cycle.message_event.set()
    if not cycle.keep_alive:
        cycle.transport.close()
    return cycle.on_response()
