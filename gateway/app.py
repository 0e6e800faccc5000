"""The gateway as an ASGI application, and the only place where its parts are put together."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Protocol

from gateway.accounting.books import Books
from gateway.api.auth import Ring, authenticate
from gateway.api.booking import LEFT
from gateway.api.routes import endpoint_of, not_for
from gateway.api.serving import Runs, Serving
from gateway.api.wire import Exchange, Left, Receive, Record, Refusal, Scope
from gateway.blobs.opening import FileStore
from gateway.deadline import Ticker
from gateway.objects import Objects
from gateway.room import Room
from gateway.routing.health import Health
from gateway.sending import Send
from gateway.snapshot import Snapshot
from gateway.state.memory import Memory
from gateway.upstream import Http, Upstream
from providers.base import Json, encode

log = logging.getLogger(__name__)

Sink = Callable[[Record], None]
"""Takes the record of each finished exchange. Quick, and never failing."""
Noted = Callable[[str, str], Awaitable[None]]
"""Is told the revisions of the config before and after."""
Asgi = Callable[[Scope, Receive, Send], Awaitable[None]]
Page = Callable[[Exchange], Awaitable[None]]
"""Answers one request beside the API."""


class Opened(Protocol):
    """What lives as long as the application serves."""

    async def open(self) -> None: ...

    async def close(self) -> None: ...


class App:
    """Answers requests by the snapshot of the moment."""

    def __init__(
        self,
        snapshot: Snapshot,
        *,
        upstream: Upstream | None = None,
        sinks: tuple[Sink, ...] = (),
        admin: Asgi | None = None,
        books: Books | None = None,
        beside: tuple[Opened, ...] = (),
        ring: Ring | None = None,
        metrics: Page | None = None,
        objects: Objects | None = None,
        jobs: Runs | None = None,
        files: FileStore | None = None,
    ) -> None:
        """`beside`: what is opened before and closed after everything else, in this order: the store, keys, jobs."""
        self.http = Http()
        """What requests are sent with, unless a test brings something else."""
        self.serving = Serving(
            snapshot, upstream or self.http, Health(), books or Books(Memory()), ring, objects, jobs, files=files, live=self
        )
        self.serving.books.use(snapshot)
        self.sinks = sinks
        self._beside = beside
        self._metrics = metrics
        self.admin = admin
        """What answers under `/admin/`; it checks its own key."""
        self._ticker: Ticker | None = None
        self.room = Room()
        self.draining = False
        self.reload_failed = ""
        """Why the files on disk are not what is running, if they are not."""
        self.noted: Noted | None = None
        """Writes down that other files are running, where there is a log of changes."""

    async def open(self) -> None:
        """In the event loop that will serve."""
        self._ticker = Ticker(asyncio.get_running_loop())
        await self.http.open()
        await self.serving.books.open()
        for part in self._beside:
            await part.open()

    async def close(self) -> None:
        """A second time it does nothing."""
        parts, self._beside = self._beside, ()
        await self.http.close()
        for part in reversed(parts):
            await part.close()
        await self.serving.books.close()

    def swap(self, snapshot: Snapshot) -> None:
        """From the next request on, the new config. Requests under way keep theirs."""
        self.serving.snapshot = snapshot
        if self._ticker is None:
            self.serving.books.use(snapshot)
        else:  # whoever reads the files does so in a thread
            self._ticker.loop.call_soon_threadsafe(self.serving.books.use, snapshot)

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """ASGI 3."""
        if scope["type"] != "http":
            return self._not_http(scope, send)
        path: str = scope["path"]
        if path.startswith("/admin/") and self.admin is not None:
            return self.admin(scope, receive, send)
        exchange = Exchange(scope, receive, send, self._ticker or Ticker(asyncio.get_running_loop()), self.serving.snapshot.body_timeout)
        if path in ("/healthz", "/readyz"):
            return self._health(exchange)
        if path == "/metrics" and self._metrics is not None:
            return self._metrics(exchange)
        return self._serve(exchange)

    async def _serve(self, exchange: Exchange) -> None:
        """The rim: whatever happens further in, the client gets one answer, in OpenAI's words, and the request is written down."""
        try:
            serve = endpoint_of(exchange)
            snapshot = self.serving.snapshot
            if not self.room.enter(snapshot.max_in_flight):
                authenticate(exchange, snapshot, self.serving.ring)  # strangers do not stand in line
                if not await self.room.wait(snapshot.queue, snapshot.queue_timeout):
                    raise overloaded()
            try:
                await serve(exchange, self.serving)
            finally:
                self.room.leave(self.serving.snapshot.max_in_flight)
        except Refusal as refusal:
            if not exchange.left:
                await exchange.refuse(refusal)
        except Left:
            exchange.status = LEFT
        except asyncio.CancelledError:
            task = asyncio.current_task(exchange.ticker.loop)
            if task is None or not (exchange.left or self.draining):
                raise
            task.uncancel()
            if exchange.left:
                exchange.status = LEFT
            elif exchange.answered:
                exchange.refused = str(stopping())
                await exchange.end(exchange.fails(stopping()))
            else:
                await exchange.refuse(stopping())
        except Exception:
            log.exception("request %s failed inside the gateway", exchange.request_id)
            failed = failure(exchange.request_id)
            if exchange.answered:
                exchange.refused = str(failed)
                await exchange.end(exchange.fails(failed))
            else:
                await exchange.refuse(failed)
        finally:
            exchange.unwatch()
            if exchange.booking is not None:
                exchange.booking.close()
                exchange.booking = None  # the two know each other, and would wait for the garbage collector
            record = exchange.record()
            for sink in self.sinks:
                sink(record)

    async def _health(self, exchange: Exchange) -> None:
        if exchange.method not in ("GET", "HEAD"):
            return await exchange.refuse(not_for(exchange, "GET, HEAD"))
        exchange.body_read = True
        if exchange.path == "/healthz":
            return await exchange.answer(200, b'{"status":"ok"}')
        snapshot = self.serving.snapshot
        told: Json = {"status": "draining" if self.draining else "ready", "config": snapshot.revision, "in_flight": self.room.taken}
        if self.reload_failed:
            told["reload"] = self.reload_failed
        jobs = self.serving.jobs
        if degraded := "; ".join(filter(None, (self.serving.books.degraded, jobs.degraded if jobs else ""))):
            told["degraded"] = degraded
        return await exchange.answer(503 if self.draining else 200, encode(told))

    def gauges(self) -> dict[str, float]:
        """What is so at this moment, for metrics."""
        books, health = self.serving.books, self.serving.health
        ledger = books.ledger
        return {
            "in_flight": self.room.taken,
            "waiting": self.room.waiting,
            "draining": self.draining,
            "config_reload_failed": bool(self.reload_failed),
            "state_degraded": bool(books.state.degraded),
            "store_degraded": bool(ledger and ledger.degraded),
            "usage_pending": ledger.pending if ledger else 0,
            "usage_lost": ledger.lost if ledger else 0,
            "replicas": books.state.replicas,
            "resting": health.resting(),
        }

    async def _not_http(self, scope: Scope, send: Send) -> None:
        """Websockets are closed before they open: nothing here speaks them."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})


def failure(request_id: str) -> Refusal:
    return Refusal(500, f"The gateway failed; its log has the reason under {request_id}.", kind="api_error", code="internal_error")


def stopping() -> Refusal:
    message = "The gateway is being stopped, and the answer took too long to wait for."
    return Refusal(503, message, kind="api_error", code="overloaded", headers=[(b"retry-after", b"1")])


def overloaded() -> Refusal:
    message = "The gateway has as many requests under way as it may have; try again in a moment."
    return Refusal(503, message, kind="api_error", code="overloaded", headers=[(b"retry-after", b"1")])
