"""Writers to be killed. A process that has loaded everything starts them by fork, since one is wanted each tenth of a second.

python -m tests.store.killed URL JOURNAL LOCKED

Each line on stdin starts a writer, whose process id is told as `pid N`. Writers say each id that they were told is kept, a line for a
batch. LOCKED: records go to the journal every other time, as if the database were lost.
"""

import asyncio
import gc
import os
import signal
import sys
from importlib import import_module
from pathlib import Path
from random import Random

from gateway.store.engine import Store
from tests.store.stores import Clock, records

TASKS = 16


async def work(url: str, journal: Path, chance: Random) -> None:
    """Until killed."""
    store = Store(url, journal, now=Clock(), patience=5, spacing=0.001)
    await store.open()
    if chance.random() < 0.3:
        store.writer.degraded = "for the test"

    async def write() -> None:
        while True:
            for one in records(20, team=str(os.getpid())):
                if await store.writer.write(one) in ("database", "journal"):
                    os.write(1, f"{one.id}\n".encode())

    await asyncio.gather(*(write() for _ in range(TASKS)))


def main() -> None:
    url, journal = sys.argv[1], Path(sys.argv[2])
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    import_module("alembic.command")
    gc.freeze()
    for number, _ in enumerate(sys.stdin):
        pid = os.fork()
        if pid == 0:
            asyncio.run(work(url, journal, Random(number)))
        os.write(1, f"pid {pid}\n".encode())


if __name__ == "__main__":
    main()
