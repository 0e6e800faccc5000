"""The `banjia` command, of which somebody else may ask what it holds: `python -m bench.soak.watched SOCKET serve …`.

A connection to the socket is told, as a line of JSON, how many blocks of memory and how many objects of each type there are after a full
collection; with BENCH_TRACE in the environment also the lines of code that have allocated most of it.
"""

import gc
import json
import os
import socket
import sys
import tracemalloc
from collections import Counter
from contextlib import suppress
from threading import Thread
from typing import Any

from gateway.cli import main

MOST = 40
"""Types, and lines of code, that are told."""


def held() -> dict[str, Any]:
    for _ in range(3):
        gc.collect()
    types = Counter(f"{type(one).__module__}.{type(one).__qualname__}" for one in gc.get_objects())
    found: dict[str, Any] = {"blocks": sys.getallocatedblocks(), "objects": types.total(), "types": dict(types.most_common(MOST))}
    if tracemalloc.is_tracing():
        lines = tracemalloc.take_snapshot().statistics("lineno")[:MOST]
        found["lines"] = {str(one.traceback): one.size for one in lines}
    return found


def serve(listening: socket.socket) -> None:
    while True:
        connection, _ = listening.accept()
        with connection, suppress(OSError):
            connection.sendall(json.dumps(held()).encode() + b"\n")


if __name__ == "__main__":
    if os.environ.get("BENCH_TRACE"):
        tracemalloc.start()
    asked = socket.socket(socket.AF_UNIX)
    asked.bind(sys.argv.pop(1))
    asked.listen()
    Thread(target=serve, args=(asked,), daemon=True).start()
    main()
