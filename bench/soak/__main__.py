"""`make soak`: minutes at half capacity with faults, and what must be true after them."""

import argparse
import asyncio
import json
import math
import os
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp

from bench import progress
from bench.servers import CORES, Failed, free_ports, memory, module, running
from bench.setup import Setup, put, write
from bench.soak.books import wrong_in
from bench.soak.faults import FAULTS
from bench.soak.growth import MORE_FILES, Look, Watch, grown
from bench.soak.load import Load, Tally

SHORT = {"first_token": "5s", "idle": "5s", "total": "25s"}
"""Timeouts, so that what is late is late soon."""
ADMIN = {"authorization": "Bearer the-admin-key-of-the-benchmark"}
SAMPLE = 1.0
SCRAPE = 5
ONCE_MORE = 120.0
"""Seconds up to which a run is repeated where more is held after it than before: what is done for the first time looks like a leak, but
not twice. Before a longer one so much has been done that there is no first time."""
BURST, AT_ONCE = 3.0, 128
"""Seconds and clients of a burst before a longer run: connections, and statements that insert up to 64 rows at a time, of 8 MiB in all, are
there then."""
RELOAD, FIRST_RELOAD = 60, 4
TELL = 10
"""Seconds between two looks at the process, two scrapes, two reloads of the config (and until the first), two lines of progress."""
QUIET, LET_GO = 2.0, 65.0
"""Seconds without a request before what is held is counted: longer than anything that was left behind takes to be noticed; and at most,
where descriptors are left that connections to providers may be: an unused one is closed after half a minute to a minute."""


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser("make soak", description="Minutes at half capacity, one request in twenty with a fault.")
    made.add_argument("--minutes", type=float, default=20.0, help="of load after the warm-up [%(default)g]")
    made.add_argument("--rate", type=float, default=0.0, help="requests a second [half of what is measured first]")
    made.add_argument("--seed", type=int, default=1, help="of the order of faults [%(default)s]")
    made.add_argument("--trace", action="store_true", help="name the lines of code that hold more than before; slower")
    made.add_argument("--json", action="store_true", help="what was found, as JSON")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    asked = parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # what was started is ended, too
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        try:
            found = soak(Path(folder), asked)
        except Failed as exc:
            progress.over()
            print(exc, file=sys.stderr)
            return 2
    progress.over()
    print(json.dumps(found, indent=1) if asked.json else told(found))
    return 1 if found["wrong"] else 0


def soak(folder: Path, asked: argparse.Namespace) -> dict[str, Any]:
    at, to = free_ports(2)
    config = folder / "config"
    config.mkdir()
    write(config, f"http://127.0.0.1:{to}/v1", Setup(storage=f"sqlite:///{folder}/usage.db"))
    patient(config, 0)
    environment = {"BENCH_TRACE": "1"} if asked.trace else {}
    command = module("bench.soak.watched", str(folder / "asked"), "serve", "--config", str(config), "--port", str(at))
    with (
        running(module("bench.soak.provider", str(to)), to),
        running(command, at, tested=len(CORES), environment=environment) as pid,
    ):
        run = Run(folder, config, pid, f"http://127.0.0.1:{at}", asked)
        found = asyncio.run(run.all())
    found["wrong"] += wrong_in(folder / "usage.db", run.load.tally)
    return found


def patient(config: Path, number: int) -> None:
    """Timeouts, and something that is another with each reload."""
    file = config / "gateway.yaml"
    put(file, {**json.loads(file.read_text()), "defaults": {"timeouts": {**SHORT, "connect": f"{4000 + number}ms"}}})


class Run:
    def __init__(self, folder: Path, config: Path, pid: int, url: str, asked: argparse.Namespace) -> None:
        self._folder, self._config, self._pid, self._url, self._asked = folder, config, pid, url, asked
        self.load = Load(url, asked.seed)
        self._watch = Watch()
        self._reloads = 0

    async def all(self) -> dict[str, Any]:
        seconds = self._asked.minutes * 60
        progress.tell("how much it can do")
        rate = self._asked.rate or max(10.0, await self.load.capacity(min(5.0, 2 + seconds / 60)) / 2)
        if seconds > ONCE_MORE:
            await self.load.capacity(BURST, AT_ONCE)
        progress.tell(f"to warm up, at {rate:.0f} requests a second")
        await self._under_load(rate, max(8.0, min(120.0, seconds / 4)))
        before = await self._look()
        after, growth = await self._round(rate, seconds, before)
        if growth and seconds <= ONCE_MORE:
            progress.tell(f"once more: {'; '.join(growth)}")
            before = after
            after, growth = await self._round(rate, seconds, before)
        return self._found(rate, before, after, growth)

    async def _round(self, rate: float, seconds: float, before: Look) -> tuple[Look, list[str]]:
        """What there is after so long, and what of it is more than it may be."""
        self._watch, asked = Watch(), self.load.tally.asked.total()
        await self._under_load(rate, seconds)
        after = await self._look(before.files + MORE_FILES)
        return after, grown(before, after, self._watch, seconds / 60, self.load.tally.asked.total() - asked)

    async def _under_load(self, rate: float, seconds: float) -> None:
        watching = asyncio.create_task(self._watching(seconds))
        await self.load.run(rate, seconds)
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching  # what it has found wrong itself

    async def _look(self, files: float = math.inf) -> Look:
        """What is held. `files`: more descriptors than these are waited for."""
        await asyncio.sleep(QUIET)
        for _ in range(int(LET_GO / SAMPLE)):
            if self._files() <= files:
                break
            await asyncio.sleep(SAMPLE)
        reader, writer = await asyncio.open_unix_connection(str(self._folder / "asked"), limit=1 << 20)
        held = json.loads(await reader.readline())
        writer.close()
        return Look(self._files(), memory(self._pid), held)

    def _files(self) -> int:
        return len(os.listdir(f"/proc/{self._pid}/fd"))

    async def _watching(self, seconds: float) -> None:
        """Looks, scrapes and reloads beside the load."""
        began = time.monotonic()
        async with aiohttp.ClientSession() as session:
            number = 0
            while True:
                await asyncio.sleep(SAMPLE)
                number += 1
                self._watch.memory.append(memory(self._pid))
                self._watch.files.append(self._files())
                if number % SCRAPE == 0:
                    await self._scrape(session)
                if number % RELOAD == FIRST_RELOAD:
                    self._reloads += 1
                    patient(self._config, self._reloads)
                    os.kill(self._pid, signal.SIGHUP)
                if number % TELL == 0:
                    self._tell(time.monotonic() - began, seconds)

    async def _scrape(self, session: aiohttp.ClientSession) -> None:
        for path in ("/metrics", "/readyz"):
            async with session.get(self._url + path, headers=ADMIN) as answer:
                if answer.status != 200 or not await answer.read():
                    self.load.tally.wrong(f"{path}: {answer.status}")

    def _tell(self, passed: float, seconds: float) -> None:
        tally, watch = self.load.tally, self._watch
        gone = len(tally.left) + len(tally.impatient)
        progress.tell(
            f"{passed / 60:.1f} of {seconds / 60:g} min: {tally.asked.total()} asked, {tally.answered.total()} answered,"
            f" {tally.told.total()} honest errors, {gone} clients gone, {len(tally.unexplained)} unexplained,"
            f" {watch.memory[-1]:.1f} MiB, {watch.files[-1]} files"
        )

    def _found(self, rate: float, before: Look, after: Look, growth: list[str]) -> dict[str, Any]:
        tally, seconds = self.load.tally, len(self._watch.memory) * SAMPLE
        risen = self._watch.risen()
        slope = risen * 2 / max(1.0, seconds) * 3600
        found = {
            "requests_a_second": round(rate, 1),
            "seconds": seconds,
            "asked": dict(tally.asked),
            "answered": dict(tally.answered),
            "honest_errors": dict(tally.told),
            "clients_gone": len(tally.left) + len(tally.impatient),
            "reloads": self._reloads,
            "memory": {"before": round(before.memory, 1), "after": round(after.memory, 1), "MiB_an_hour": round(slope, 2)},
            "files": {"before": before.files, "after": after.files, "most": max(self._watch.files, default=0)},
            "blocks": {"before": before.held["blocks"], "after": after.held["blocks"]},
            "objects": {"before": before.held["objects"], "after": after.held["objects"]},
        }
        wrong = [*tally.unexplained, *growth]
        if not hidden(tally):
            wrong.append("hardly a fault that can be hidden by another attempt was hidden")
        return {**found, "wrong": wrong}


def hidden(tally: Tally) -> bool:
    """Whether faults that only the first attempt meets are mostly not seen by clients: some come while the spare provider is rested."""
    once = [one.name for one in FAULTS if one.once]
    return sum(tally.answered[name] for name in once) >= 0.8 * sum(tally.asked[name] for name in once)


def told(found: dict[str, Any]) -> str:
    lines = [f"{name.replace('_', ' '):20} {value}" for name, value in found.items() if name != "wrong"]
    return "\n".join(
        [*lines, *(f"WRONG: {one}" for one in found["wrong"]), "" if found["wrong"] else "Nothing was lost, made up or left behind."]
    )


if __name__ == "__main__":
    sys.exit(main())
