"""kill -9 at any moment: what a writer was told is kept, is in the database after the next start, once."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from threading import Thread

import pytest

from tests.store.stores import Clock, ids, opened, until

ROOT = Path(__file__).parents[2]
KILLS = 50


class Zygote:
    """What starts writers, and what they say."""

    def __init__(self, url: str, journal: Path) -> None:
        command = [sys.executable, "-m", "tests.store.killed", url, str(journal)]
        self._process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.kept: list[str] = []
        self.pids: list[int] = []
        self._rest = b""
        self._reader = Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        while data := os.read(self._process.stdout.fileno(), 1 << 16):
            *lines, self._rest = (self._rest + data).split(b"\n")
            for line in lines:
                if line.startswith(b"pid "):
                    self.pids.append(int(line[4:]))
                else:
                    self.kept.append(line.decode())

    def start(self) -> int:
        """A writer's process id."""
        count = len(self.pids)
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")
        self._process.stdin.flush()
        self.wait(lambda: len(self.pids) > count)
        return self.pids[-1]

    def wait(self, true: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 20
        while not true():
            assert time.monotonic() < deadline
            time.sleep(0.001)

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(20)
        self._reader.join(20)
        assert self._process.stdout is not None
        self._process.stdout.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_what_was_acknowledged_before_a_kill_is_there_exactly_once(url: str, journal: Path) -> None:
    chance = Random(7)
    zygote = Zygote(url, journal)

    for number in range(KILLS):
        goal = len(zygote.kept) + (chance.randrange(400) if number % 5 else 0)  # each fifth while it starts, the others while they write
        pid = zygote.start()
        zygote.wait(lambda goal=goal: len(zygote.kept) >= goal)  # type: ignore[misc]
        time.sleep(chance.uniform(0, 0.02))  # the moment is what is tested
        os.kill(pid, signal.SIGKILL)
    zygote.close()

    async def after() -> list[str]:
        async with opened(url, journal, now=Clock()) as store:
            await until(lambda: not store.degraded)
            return await ids(store)

    found = asyncio.run(after())
    assert len(set(zygote.kept)) == len(zygote.kept) > 50 * KILLS
    assert set(zygote.kept) - set(found) == set()
    assert len(found) == len(set(found))
    assert len(found) - len(zygote.kept) <= KILLS * 16, "more than what was under way is there"
