"""Runs an App under uvicorn: the listening socket, signals, draining, and the config's reload when its files change."""

import asyncio
import errno
import logging
import signal
import socket
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from watchfiles import awatch

from gateway.app import App, Asgi
from gateway.config import build, load
from gateway.yaml_file import ConfigError

log = logging.getLogger(__name__)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises OSError with what to do in its words."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
    except OSError as exc:
        sock.close()
        if exc.errno == errno.EADDRINUSE:
            raise OSError(f"port {port} on {host} is in use: choose another with --port, or stop what listens there") from exc
        raise OSError(f"cannot listen on {host}:{port}: {exc.strerror}") from exc
    sock.listen(2048)
    sock.set_inheritable(True)
    return sock


class _Joined:
    """A transport that sends the head of a response together with the first bytes of its body: a write to a socket is the dearest thing a
    request does, and uvicorn makes two where one will do. What is not a final head goes out at once.
    """

    __slots__ = ("_held", "_transport", "_write")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._write = transport.write
        self._held = b""

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
        self.flush()
        self._transport.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class _Protocol(HttpToolsProtocol):
    def on_response_complete(self) -> None:
        self.transport.flush()  # type: ignore[attr-defined]  # ours
        super().on_response_complete()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # TCP's are
        super().connection_made(_Joined(transport))  # type: ignore[arg-type]  # it has all that is used of one


class _Server(uvicorn.Server):
    """uvicorn that leaves signals to us, since draining is ours, and says when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()


def server_of(app: Asgi, grace: float) -> _Server:
    return _Server(
        uvicorn.Config(
            app,
            http=_Protocol,
            lifespan="off",
            proxy_headers=False,
            access_log=False,
            log_config=None,
            server_header=False,
            date_header=False,
            ws="none",
            timeout_graceful_shutdown=max(1, round(grace)),
            timeout_keep_alive=75,
        )
    )


async def run(
    app: App,
    sock: socket.socket,
    *,
    drain: float,
    directory: Path | None = None,
    beside: tuple[tuple[Asgi, socket.socket], ...] = (),
    ready: Callable[[], None] = lambda: None,
) -> None:
    """Serves until SIGTERM or SIGINT. `directory`: the config's, reloaded when it changes. `beside`: other applications to serve."""
    await app.open()
    servers = [server_of(app, drain), *(server_of(other, 1) for other, _ in beside)]
    sockets = [sock, *(at for _, at in beside)]
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _stop, app, stop, servers)
    watcher: asyncio.Task[None] | None = None
    if directory is not None:
        loop.add_signal_handler(signal.SIGHUP, reload, app, directory)
        watcher = asyncio.create_task(_watch(app, directory, stop))
    try:
        async with asyncio.TaskGroup() as group:
            for server, at in zip(servers, sockets, strict=True):
                group.create_task(server.serve([at]))
            for server in servers:
                await server.listening.wait()
            ready()
            await stop.wait()
            for server in servers:
                server.should_exit = True
    finally:
        if watcher is not None:
            watcher.cancel()
        await app.close()


def _stop(app: App, stop: asyncio.Event, servers: list[_Server]) -> None:
    """The first signal lets running answers end; the second does not."""
    if app.draining:
        for server in servers:
            server.force_exit = True
    app.draining = True
    stop.set()


def reload(app: App, directory: Path) -> list[str]:
    """Reads the config again and swaps it in whole; where it has problems, they are told and what runs goes on."""
    try:
        snapshot = build(load(directory))
    except ConfigError as exc:
        app.reload_failed = f"{len(exc.problems)} problem(s); see the log"
        for problem in exc.problems:
            log.error("config not reloaded: %s", problem)
        return [str(problem) for problem in exc.problems]
    app.reload_failed = ""
    if snapshot.revision != app.serving.snapshot.revision:
        app.swap(snapshot)
        log.info("config %s is running", snapshot.revision)
    return []


async def _watch(app: App, directory: Path, stop: asyncio.Event) -> None:
    """Kubernetes swaps a link rather than writing a file: so the folder is watched, not the files."""
    async for _ in awatch(directory, stop_event=stop, recursive=True, step=400, debounce=400):
        reload(app, directory)


async def run_simulators(application: Asgi, sock: socket.socket, *, ready: Callable[[], None]) -> None:
    """Serves an application that has nothing to drain, until SIGTERM or SIGINT."""
    server = server_of(application, 1)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, lambda: setattr(server, "should_exit", True))
    async with asyncio.TaskGroup() as group:
        group.create_task(server.serve([sock]))
        await server.listening.wait()
        ready()
