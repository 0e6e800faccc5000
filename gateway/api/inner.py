"""Requests that the gateway makes for a team while nobody waits at a connection. They go the way of all others: by the team's key, within
its limits and budgets, and into the table of usage."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from gateway.api.auth import KNOWN
from gateway.api.booking import LEFT
from gateway.api.serving import Serving
from gateway.api.wire import Exchange, Left, Refusal
from gateway.deadline import Ticker
from providers.base import Json, decode, encode

log = logging.getLogger(__name__)


class Inner(Exchange):
    """One such request. `said` is the body of its answer when that is there."""

    __slots__ = ("_asked", "_gone", "_pieces_said")

    def __init__(self, path: str, body: Json, key: bytes) -> None:
        """`key`: the digest of the one that it is made with."""
        scope: dict[str, Any] = {"type": "http", "method": "POST", "path": path, "headers": [], "query_string": b"", KNOWN: key}
        super().__init__(scope, self._until_gone, self._hear, Ticker(asyncio.get_running_loop()), 0.0)
        self._asked = body
        self._gone = asyncio.Event()
        self._pieces_said: list[bytes] = []

    async def json(self, most: int) -> Json:
        """It was measured when the client sent it."""
        self.body_read = True
        self.size = len(encode(self._asked))
        return self._asked

    def leave(self) -> None:
        """As a client does that is not interested any more."""
        self._gone.set()

    @property
    def said(self) -> Json:
        return decode(b"".join(self._pieces_said) or b"{}")

    async def _until_gone(self) -> dict[str, Any]:
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _hear(self, message: Any) -> None:
        self._pieces_said.append(message.get("body", b""))


async def serve(exchange: Inner, serving: Serving, endpoint: Callable[[Exchange, Serving], Awaitable[None]]) -> None:
    """Whatever happens, the exchange has a status and an answer afterwards; one that was left has 499 and none."""
    try:
        await endpoint(exchange, serving)
    except Refusal as refusal:
        await exchange.refuse(refusal)
    except Left:
        exchange.status = LEFT
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None or not exchange.left:
            raise
        task.uncancel()
        exchange.status = LEFT
    except Exception:
        log.exception("request %s failed inside the gateway", exchange.request_id)
        message = f"The gateway failed; its log has the reason under {exchange.request_id}."
        await exchange.refuse(Refusal(500, message, kind="api_error", code="internal_error"))
    finally:
        exchange.unwatch()
        if exchange.booking is not None:
            exchange.booking.close()
            exchange.booking = None
        if serving.live is not None:
            record = exchange.record()
            for sink in serving.live.sinks:
                sink(record)
