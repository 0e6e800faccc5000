"""Runs an App under uvicorn: the listening socket, signals, draining, and the config's reload when its files change."""

import asyncio
import errno
import logging
import signal
import socket
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock

import uvicorn
from watchfiles import Change, DefaultFilter, awatch

from gateway.app import App, Asgi
from gateway.compiling import build
from gateway.config import load
from gateway.connection import Config
from gateway.deadline import Ticker
from gateway.settings import Server
from gateway.yaml_file import ConfigError

log = logging.getLogger(__name__)

FAREWELL = 5.0
"""Seconds in which answers that are cut off must be counted, and their clients take the error that ends them."""
UNSENT = 128 << 10
"""Bytes that the kernel holds for a client beyond those on their way: what a slow reader has not asked for stays with the provider."""
BESIDE = Server.model_validate({"drain": "1s", "pre_stop": "0s"})
"""For what is served beside the gateway, and has nothing to lose."""
_one_at_a_time = Lock()
"""Reads of the config, so that the last to begin is the last to be swapped in."""


def listen(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """A listening socket; `shared`: others may listen there too. Raises OSError with what to do in its words."""
    sock = bound(host, port, shared=shared)
    sock.listen(2048)
    sock.set_inheritable(True)
    return sock


def bound(host: str, port: int, *, shared: bool) -> socket.socket:
    """A socket that has an address. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if hasattr(socket, "TCP_NOTSENT_LOWAT"):  # connections have it from their listener
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT)
    try:
        sock.bind((host, port))
    except OSError as exc:
        sock.close()
        if exc.errno == errno.EADDRINUSE:
            raise OSError(f"port {port} on {host} is in use: choose another with --port, or stop what listens there") from exc
        raise OSError(f"cannot listen on {host}:{port}: {exc.strerror}") from exc
    return sock


class _Server(uvicorn.Server):
    """uvicorn that leaves signals to us, since draining is ours, and says when it listens."""

    config: Config

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self.config.ticker = Ticker(asyncio.get_running_loop())
        await super().startup(sockets)
        self.listening.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Takes no new connections, lets answers under way end for as long as `drain` says, and then ends them."""
        cut = asyncio.get_running_loop().call_later(self.config.patience.drain, self._cut)
        try:
            await super().shutdown(sockets)
        finally:
            cut.cancel()

    def _cut(self) -> None:
        """Whoever serves a request tells its client; who does not take that is not waited for."""
        for task in self.server_state.tasks:
            task.cancel()
        asyncio.get_running_loop().call_later(FAREWELL, self.hang_up)

    def hang_up(self) -> None:
        self.force_exit = True
        for connection in tuple(self.server_state.connections):
            connection.transport.abort()


def server_of(app: Asgi, settings: Server) -> _Server:
    return _Server(Config(app, settings))


async def run(
    app: App,
    sock: socket.socket,
    settings: Server,
    *,
    directory: Path | None = None,
    beside: tuple[tuple[Asgi, socket.socket], ...] = (),
    ready: Callable[[], None] = lambda: None,
    until_closed: int | None = None,
) -> None:
    """Serves until SIGTERM or SIGINT. `directory`: the config's, reloaded when it changes. `beside`: other applications to serve.
    `until_closed`: a pipe whose other end is closed when whoever started this has gone: then it ends too."""
    await app.open()
    servers = [server_of(app, settings), *(server_of(other, BESIDE) for other, _ in beside)]
    sockets = [sock, *(at for _, at in beside)]
    stopping = Stopping(app, servers)
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stopping.asked)
    loop.add_signal_handler(signal.SIGINT, stopping.asked_by_hand)
    if until_closed is not None:
        pipe = until_closed

        def closed() -> None:
            loop.remove_reader(pipe)
            stopping.asked()

        loop.add_reader(pipe, closed)
    over = asyncio.Event()
    reloading: list[asyncio.Task[None]] = []
    if directory is not None:
        wanted = asyncio.Event()
        loop.add_signal_handler(signal.SIGHUP, wanted.set)
        reloading = [asyncio.create_task(_watch(directory, wanted, over)), asyncio.create_task(_reload_when(wanted, app, directory))]
    try:
        async with asyncio.TaskGroup() as group:
            for server, at in zip(servers, sockets, strict=True):
                group.create_task(server.serve([at]))
            for server in servers:
                await server.listening.wait()
            ready()
            await stopping.wait(settings.pre_stop)
            for server in servers:
                server.should_exit = True
    finally:
        over.set()
        for task in reloading:
            task.cancel()
        await app.close()


class Stopping:
    """From the signal to the moment when listeners close: requests are taken still, so that a balancer has time to see that they should not
    be sent here any more."""

    def __init__(self, app: App, servers: list[_Server]) -> None:
        self._app = app
        self._servers = servers
        self._first = asyncio.Event()
        self._now = asyncio.Event()

    async def wait(self, pre_stop: float) -> None:
        await self._first.wait()
        with suppress(TimeoutError):
            async with asyncio.timeout(pre_stop):
                await self._now.wait()

    def asked(self) -> None:
        """The first signal lets running answers end; the second does not."""
        if self._app.draining:
            self._now.set()
            for server in self._servers:
                server.hang_up()
        self._app.draining = True
        for server in self._servers:
            server.config.closing = True
        self._first.set()

    def asked_by_hand(self) -> None:
        """At a keyboard there is no balancer to wait for."""
        self.asked()
        self._now.set()


def reload(app: App, directory: Path) -> list[str]:
    """Reads the config again and swaps it in whole; where it has problems, they are told and what runs goes on. Takes a tenth of a second
    of CPU, so it belongs in a thread."""
    with _one_at_a_time:
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


async def _watch(directory: Path, wanted: asyncio.Event, over: asyncio.Event) -> None:
    """Kubernetes swaps a link rather than writing a file: so the folder is watched, not the files."""
    async for _ in awatch(directory, watch_filter=is_config, stop_event=over, recursive=True, step=400, debounce=400):
        wanted.set()


_usual_file = DefaultFilter()


def is_config(change: Change, path: str) -> bool:
    """Whether it may be a file that is read, or a folder or link with some in it: a database in the same folder changes all the time."""
    name = Path(path).name
    return _usual_file(change, path) and ("." not in name or name.startswith("..") or name.endswith((".yaml", ".yml")))


async def _reload_when(wanted: asyncio.Event, app: App, directory: Path) -> None:
    """However often it is wanted while one goes on, one more follows."""
    while True:
        await wanted.wait()
        wanted.clear()
        before = app.serving.snapshot.revision
        await asyncio.to_thread(reload, app, directory)
        after = app.serving.snapshot.revision
        if app.noted is not None and after != before:
            await app.noted(before, after)


async def run_simulators(application: Asgi, sock: socket.socket, *, ready: Callable[[], None]) -> None:
    """Serves an application that has nothing to drain, until SIGTERM or SIGINT."""
    server = server_of(application, BESIDE)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, lambda: setattr(server, "should_exit", True))
    async with asyncio.TaskGroup() as group:
        group.create_task(server.serve([sock]))
        await server.listening.wait()
        ready()
