"""Several processes that serve one address: each listens for itself, and the kernel shares connections out among them.

What they have in common is in the store and in Valkey, as with replicas. This process only starts them, starts those anew that die, and
passes on signals.
"""

import logging
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

log = logging.getLogger(__name__)

AGAIN = (0.1, 5.0)
"""Seconds after which a worker that has died is started anew: at first, and at most."""
SOON = 10.0
"""Seconds: a worker that dies sooner than that after its start will hardly do better at once."""
MOST_TRIES = 5
"""Workers in a row that die so soon: then all end, for whoever watches this process to see it."""
LOOK = 0.2
"""Seconds between looks whether one has died."""


class Worker:
    """A process that serves, and the next in its place should it die."""

    def __init__(self, command: list[str]) -> None:
        self._command = command
        self._pause = AGAIN[0]
        self._due = 0.0
        self._tries = 0
        self._start()

    def _start(self) -> None:
        self._began = time.monotonic()
        self.process = subprocess.Popen(self._command, stdin=subprocess.PIPE)  # noqa: S603 - ours; it ends when the pipe does

    def look(self) -> bool:
        """Starts it anew if it has died, after a while; False if that is of no use."""
        if self.process.poll() is None:
            return True
        now = time.monotonic()
        if not self._due:
            soon = now - self._began < SOON
            self._tries, self._pause = (self._tries + 1, min(2 * self._pause, AGAIN[1])) if soon else (1, AGAIN[0])
            if self._tries >= MOST_TRIES:
                return False
            self._due = now + self._pause
            log.error("worker %d has died with %d: another takes its place", self.process.pid, self.process.returncode)
        elif now >= self._due:
            self._due = 0.0
            self._start()
        return True


def run(count: int, directory: Path, host: str, port: int, ready: Callable[[socket.socket], None]) -> int:
    """Serves with `count` workers until SIGTERM or SIGINT; the exit code. Raises OSError where they could not listen."""
    reserved = reserve(host, port)  # so that port 0 is the same for all, and nobody else gets it while one is started anew
    port = reserved.getsockname()[1]
    command = [sys.executable, "-m", "gateway.cli", "serve", "--config", str(directory), "--host", host, "--port", str(port), "--shared"]
    asked: list[int] = []
    workers: list[Worker] = []

    def passed_on(number: int, _: FrameType | None) -> None:
        if number != signal.SIGHUP:
            asked.append(number)
        for worker in workers:
            if worker.process.poll() is None:
                worker.process.send_signal(number)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, passed_on)
    while len(workers) < count:
        workers.append(Worker(command))
    ready(reserved)
    while not asked:
        time.sleep(LOOK)
        if not all(worker.look() for worker in workers):
            passed_on(signal.SIGTERM, None)
    codes = [worker.process.wait() for worker in workers]
    reserved.close()
    return next((code for code in codes if code), 0)


def reserve(host: str, port: int) -> socket.socket:
    """A socket that has the address and takes no connections."""
    from gateway.server import bound

    return bound(host, port, shared=True)
