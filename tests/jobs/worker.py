"""A replica for tests of jobs.

python -m tests.jobs.worker URL JOURNAL LOG

Says `ready PID` when jobs run. Each line on stdin, `start JOB ID GIVEN`, starts a run. What steps do is a line each in the file LOG.
"""

import asyncio
import json
import os
import sys
from functools import partial
from pathlib import Path
from typing import Any

from gateway.jobs.base import Job, Steps
from gateway.jobs.engine import Jobs
from gateway.store.engine import Store


def note(log: Path, line: str) -> None:
    with log.open("a") as file:  # a line is appended whole
        file.write(line + "\n")


def jobs_of(log: Path) -> tuple[Job, ...]:
    async def step(line: str, pause: float) -> str:
        note(log, f"{line} {os.getpid()}")
        await asyncio.sleep(pause)
        return line

    async def counting(steps: Steps, given: Any) -> Any:
        """`given`: (name, how many steps, seconds that each takes)."""
        name, count, pause = given
        return [await steps.do(f"step {number}", partial(step, f"{name}:{number}", pause)) for number in range(count)]

    async def tick(steps: Steps, given: Any) -> Any:
        return await steps.do("tick", partial(step, f"tick {given.replace(' ', 'T')}", 0))

    return Job("counting", counting), Job("tick", tick, "* * * * * *")


def tcp() -> list[str]:
    """Sockets of this process that are TCP's."""
    ours = {os.readlink(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{name}")}
    lines = [line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/self/net/{name}").read_text().splitlines()[1:]]
    return [line[1] for line in lines if f"socket:[{line[9]}]" in ours]


async def main(url: str, journal: str, log: str) -> None:
    store = Store(url, Path(journal))
    await store.open()
    jobs = Jobs(store, jobs_of(Path(log)), later=0, every=0.1, sure=0.2, orphans="* * * * * *")
    await jobs.open()
    await jobs.ready()
    os.write(1, f"ready {os.getpid()}\n".encode())
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := (await reader.readline()).decode():
        word, *rest = line.split(maxsplit=3)
        if word == "start":
            await jobs.start(rest[0], json.loads(rest[2]), id=rest[1])
        else:
            os.write(1, f"tcp {tcp()}\n".encode())
    await jobs.close()
    await store.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
