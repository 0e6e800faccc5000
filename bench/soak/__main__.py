"""`make soak`: minutes at half capacity with faults, and what must be true after them."""

import argparse
import asyncio
import json
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
from msgspec import Struct, field

from bench import progress
from bench.servers import CORES, Failed, free_ports, memory, module, running
from bench.setup import Setup, put, write
from bench.soak.books import wrong_in
from bench.soak.faults import FAULTS
from bench.soak.load import Load, Tally

SHORT = {"first_token": "5s", "idle": "5s", "total": "25s"}
"""Timeouts, so that what is late is late soon."""
ADMIN = {"authorization": "Bearer the-admin-key-of-the-benchmark"}
SAMPLE = 1.0
SCRAPE = 5
RELOAD, FIRST_RELOAD = 60, 4
TELL = 10
"""Seconds between two looks at the process, two scrapes, two reloads of the config (and until the first), two lines of progress."""
QUIET = 2.0
"""Seconds without a request before what is held is counted: longer than anything that was left behind takes to be noticed."""
MORE_MEMORY, OF_A_FILE = 4.0, 0.08
"""MiB that the memory of the second half may be above that of the first, and for each descriptor that was open at its busiest moment beyond
the first half's: when the machine halts the gateway, requests pile up, and what they have needed the allocator keeps."""
MORE = {"blocks": 20_000, "objects": 6_000}
"""How many more blocks of memory and objects there may be at the end than after the warm-up: what is asked for the first time then, above
all statements of the database, has some thousands; a leak of one for each request of 20 minutes, many more."""
MORE_FILES = 32
"""Descriptors that may be more: connections to providers are kept for a while."""


class Look(Struct):
    """The gateway while nothing is asked."""

    files: int
    memory: float
    held: dict[str, Any]


class Watch(Struct):
    """The gateway while it is asked: MiB resident and open descriptors, look by look."""

    memory: list[float] = field(default_factory=list)
    files: list[int] = field(default_factory=list)


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
        progress.tell(f"to warm up, at {rate:.0f} requests a second")
        await self._under_load(rate, max(8.0, min(120.0, seconds / 4)))
        before, self._watch = await self._look(), Watch()
        await self._under_load(rate, seconds)
        after = await self._look()
        return self._found(rate, before, after)

    async def _under_load(self, rate: float, seconds: float) -> None:
        watching = asyncio.create_task(self._watching(seconds))
        await self.load.run(rate, seconds)
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching  # what it has found wrong itself

    async def _look(self) -> Look:
        await asyncio.sleep(QUIET)
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

    def _found(self, rate: float, before: Look, after: Look) -> dict[str, Any]:
        tally, seconds = self.load.tally, len(self._watch.memory) * SAMPLE
        growth, slope = grown(self._watch.memory)
        half = len(self._watch.files) // 2
        burst = max(self._watch.files[half:], default=0) - max(self._watch.files[:half], default=0)
        let_pass = MORE_MEMORY + OF_A_FILE * max(0, burst)
        found = {
            "requests_a_second": round(rate, 1),
            "seconds": seconds,
            "asked": dict(tally.asked),
            "answered": dict(tally.answered),
            "honest_errors": dict(tally.told),
            "clients_gone": len(tally.left) + len(tally.impatient),
            "reloads": self._reloads,
            "memory": {"before": round(before.memory, 1), "after": round(after.memory, 1), "MiB_an_hour": round(slope * 3600 / SAMPLE, 2)},
            "files": {"before": before.files, "after": after.files, "most": max(self._watch.files, default=0)},
            "blocks": {"before": before.held["blocks"], "after": after.held["blocks"]},
            "objects": {"before": before.held["objects"], "after": after.held["objects"]},
        }
        wrong = list(tally.unexplained)
        if growth > let_pass:
            wrong.append(f"memory has grown by {growth:.1f} MiB from one half to the other: {let_pass:.1f} are let pass")
        if after.files > before.files + MORE_FILES:
            wrong.append(f"{after.files} descriptors are open, {before.files} were after the warm-up")
        for what, let_be in MORE.items():
            if after.held[what] > before.held[what] + let_be:
                more = ", ".join(f"{name} +{count}" for name, count in difference(before.held, after.held).items())
                wrong.append(f"{after.held[what]} {what}, {before.held[what]} after the warm-up: {more}")
        if not hidden(tally):
            wrong.append("hardly a fault that can be hidden by another attempt was hidden")
        return {**found, "wrong": wrong}


def grown(looks: Sequence[float]) -> tuple[float, float]:
    """How much the middle of the second half is above that of the first, and how much that is for each look."""
    half = len(looks) // 2
    if half < 2:
        return 0.0, 0.0
    growth = sorted(looks[-half:])[half // 2] - sorted(looks[:half])[half // 2]
    return growth, growth / (len(looks) - half)


def difference(before: dict[str, Any], after: dict[str, Any]) -> dict[str, int]:
    """What there is more of, the most first: types of objects, and lines of code if they were traced."""
    found = {name: count - before[of].get(name, 0) for of in ("types", "lines") if of in before for name, count in after[of].items()}
    return {name: more for name, more in sorted(found.items(), key=lambda one: -one[1])[:10] if more > 0}


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
