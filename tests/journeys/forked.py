"""Gateways to be killed: whole `banjia serve` processes, started by fork from one that has loaded everything.

python -m tests.journeys.forked CONFIG

Each line on stdin starts one, which says `pid N` and then where it listens, on stderr.
"""

import gc
import os
import signal
import sys
from importlib import import_module
from pathlib import Path

from gateway.config import load
from gateway.running import serve


def main() -> None:
    directory = Path(sys.argv[1])
    settings = load(directory)
    for late in ("alembic.command", "asyncpg", "gateway.store.postgresql"):
        import_module(late)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    gc.freeze()
    for _ in sys.stdin:
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.write(2, f"pid {os.getpid()}\n".encode())
            serve(settings, directory, "127.0.0.1", 0)
            os._exit(0)


if __name__ == "__main__":
    main()
