"""What is written down: a line of JSON for each exchange, and the gateway's own words. Never a key, never a prompt."""

import asyncio
import atexit
import logging
import os
import re
import sys
from contextlib import suppress
from queue import SimpleQueue
from threading import Thread
from typing import Any

from gateway.api.wire import Record
from providers.base import encode

FLUSH_AFTER = 0.2
"""Seconds that a line may wait for company: a write for each request would cost as much as the request."""
UNSEEN = re.compile("[\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
"""What some readers take for the end of a line, and terminals for an order or another direction. JSON lets it stand as it is."""
MOST_WAITING = 64
"""Batches that wait for a slow reader of the log; more are dropped, and how many is said."""


class Lines:
    """A sink that writes a line of JSON for each record, or for each of a request that failed. A slow reader never makes a request wait."""

    def __init__(self, descriptor: int, *, failures_only: bool) -> None:
        self._descriptor = descriptor
        self._failures_only = failures_only
        self._held: list[bytes] = []
        self._dropped = 0
        self._batches: SimpleQueue[bytes] = SimpleQueue()
        self._thread = Thread(target=self._write, name="log", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    def __call__(self, record: Record) -> None:
        if self._failures_only and record.status < 400 and not record.error:
            return
        if not self._held:
            asyncio.get_running_loop().call_later(FLUSH_AFTER, self.flush)
        self._held.append(line_of(record))

    def flush(self) -> None:
        if self._batches.qsize() >= MOST_WAITING:
            self._dropped += len(self._held)
        elif self._held:
            if self._dropped:
                self._held.append(encode({"dropped_lines": self._dropped}))
                self._dropped = 0
            self._batches.put(b"\n".join(self._held) + b"\n")
        self._held = []

    def close(self) -> None:
        """Writes what is held; waits a moment for it."""
        self.flush()
        self._batches.put(b"")
        self._thread.join(2)

    def _write(self) -> None:
        with suppress(OSError):  # nobody reads any more: that must not stop the gateway
            while data := self._batches.get():
                while data:
                    data = data[os.write(self._descriptor, data) :]


def line_of(value: Any) -> bytes:
    """JSON in one line, whoever counts them."""
    line = encode(value)
    if line.isascii() and line.find(b"\x7f") < 0:
        return line
    return UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", line.decode()).encode()


class _AsJson(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {"time": record.created, "level": record.levelname.lower(), "from": record.name, "message": record.getMessage()}
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return line_of(line).decode()


def set_up(level: int = logging.WARNING) -> None:
    """The gateway's own log, on standard error as lines of JSON."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_AsJson())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for noisy in ("uvicorn", "asyncio", "watchfiles", "httpx"):
        logging.getLogger(noisy).setLevel(logging.WARNING if noisy != "uvicorn" else logging.ERROR)
    logging.getLogger("gateway").setLevel(logging.INFO)
