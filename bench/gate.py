"""`make gate`: fails when a request has become dearer. It counts instead of taking the time, so a busy machine changes nothing.

With valgrind: the instructions of the thread that serves. Without: the calls of functions, Python's and C's, in the same thread. The floor
is counted too, and what is compared with `budget.json` is how many times the floor's a request takes, so that neither another processor nor
another Python counts as a loss.
"""

import argparse
import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from msgspec import Struct

from bench import progress
from bench.gate_driver import Driver, provider
from bench.servers import PATIENCE, Failed, free_ports, running
from bench.subjects import Server, Subject, floor, ours

BUDGET = Path(__file__).with_name("budget.json")
MARGIN = 0.10
"""Share above the budget that is let pass."""
TRIES = 3
"""How often it is counted before something counts as lost: under a heavy load of others every round has something of the rest."""
WARM = 60
"""Requests before any is counted, and a tenth as many streams."""
ROUNDS, PLAIN, STREAMS = 25, 2, 1
"""How many are counted of each in a round. The lowest of the rounds holds: what a process does now and then falls into the others."""
FIXED = {"PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}
KINDS = ("plain", "stream")


class Meter(Struct, frozen=True):
    """A way to count: what is put before a module's name, and how many of what it counts there have been so far."""

    name: str
    unit: str
    before: Callable[[Path], list[str]]
    count: Callable[[int, Path], int]


def valgrind(folder: Path) -> list[str]:
    options = [
        "--tool=callgrind",
        "--instr-atstart=no",
        "--separate-threads=yes",
        f"--callgrind-out-file={folder}/counted",
        f"--vgdb-prefix={folder}/vgdb",
    ]
    return ["valgrind", *options, sys.executable, "-m"]


def instructions(pid: int, folder: Path) -> int:
    if not (folder / "on").exists():
        told_by_valgrind(pid, folder, "instrumentation on")
        (folder / "on").touch()
    found = re.search(r"^events-1: (\d+)", told_by_valgrind(pid, folder, "status internal"), re.MULTILINE)
    return int(found[1]) if found else 0


def told_by_valgrind(pid: int, folder: Path, command: str) -> str:
    words = ["vgdb", f"--pid={pid}", f"--vgdb-prefix={folder}/vgdb", *command.split()]
    return subprocess.run(words, check=True, capture_output=True, timeout=PATIENCE, text=True).stdout


def counted(folder: Path) -> list[str]:
    return [sys.executable, "-m", "bench.gate_counted", str(folder / "calls")]


def calls(pid: int, folder: Path) -> int:
    file = folder / "calls"
    file.unlink(missing_ok=True)
    os.kill(pid, signal.SIGUSR1)
    began = time.monotonic()
    while not file.exists():
        if time.monotonic() - began > PATIENCE:
            raise Failed("the process does not tell its calls")
        time.sleep(0.005)
    return int(file.read_text())


METERS = {
    "instructions": Meter("instructions", "thousand instructions", valgrind, instructions),
    "calls": Meter("calls", "thousand calls", counted, calls),
}


def main(arguments: Sequence[str] | None = None) -> int:
    made = argparse.ArgumentParser("make gate", description="Fails when a request has become dearer.")
    usual = "instructions" if shutil.which("valgrind") and shutil.which("vgdb") else "calls"
    made.add_argument("--by", choices=METERS, default=usual, help="what is counted [%(default)s here; valgrind counts instructions]")
    made.add_argument("--renew", action="store_true", help=f"write what is found into {BUDGET.name}")
    made.add_argument("--json", action="store_true", help="what was counted, as JSON")
    asked = made.parse_args(arguments)
    budget: dict[str, Any] = json.loads(BUDGET.read_text()) if BUDGET.exists() else {}
    try:
        found = measured(METERS[asked.by])
        for _ in range(TRIES - 1):
            if asked.renew or within(found, budget.get(asked.by, {})):
                break
            again = measured(METERS[asked.by])
            found = {kind: min(found[kind], again[kind], key=lambda one: one["times"]) for kind in KINDS}
    except (Failed, subprocess.SubprocessError) as exc:
        print(exc, file=sys.stderr)
        return 2
    finally:
        progress.over()
    if asked.renew:
        BUDGET.write_text(json.dumps({**budget, asked.by: {kind: round(found[kind]["times"], 3) for kind in KINDS}}, indent=2) + "\n")
        budget = json.loads(BUDGET.read_text())
    if asked.json:
        print(json.dumps(found, indent=1))
    return judged(found, budget.get(asked.by, {}), METERS[asked.by].unit)


def within(found: dict[str, dict[str, float]], budget: dict[str, float]) -> bool:
    return all(found[kind]["times"] <= budget.get(kind, 0.0) * (1 + MARGIN) for kind in KINDS)


def judged(found: dict[str, dict[str, float]], budget: dict[str, float], unit: str) -> int:
    """Says what was found, and what to do about it; the exit code."""
    lost = []
    for kind in KINDS:
        one, allowed = found[kind], budget.get(kind)
        if allowed is None:
            print(f"{BUDGET.name} has no budget for this: make gate ARGS=--renew", file=sys.stderr)
            return 2
        change = one["times"] / allowed - 1
        floors = f"{one['times']:.3f} times the floor's {one['floor']:.2f}"
        print(f"{kind:7} {one['ours']:9.2f} {unit}, {floors}; budget {allowed:.3f} ({change:+.1%})")
        if change > MARGIN:
            lost.append(f"{kind} requests take {change:.0%} more than their budget; {MARGIN:.0%} are let pass")
        elif change < -MARGIN:
            print(f"{kind} requests have become cheaper: make gate ARGS=--renew keeps it so")
    for line in lost:
        print(line, file=sys.stderr)
    if lost:
        print(
            "Find out what it is with callgrind or cProfile; if it is worth its price: make gate ARGS=--renew, and say why.",
            file=sys.stderr,
        )
    return 1 if lost else 0


def measured(meter: Meter) -> dict[str, dict[str, float]]:
    """Thousands of each request, for ours and the floor, and how many times the floor's that is."""
    counts = {}
    for subject in (floor(), ours()):
        progress.tell(f"{subject.name}: {meter.name} of plain requests and streams")
        with tempfile.TemporaryDirectory(prefix="gate-") as folder:
            counts[subject.name] = asyncio.run(of(subject, meter, Path(folder)))
    base, own = counts.values()
    return {kind: {"ours": own[kind], "floor": base[kind], "times": own[kind] / base[kind]} for kind in KINDS}


async def of(subject: Subject, meter: Meter, folder: Path) -> dict[str, float]:
    to, at = free_ports(2)
    (_, _, *words), environment = subject.command(folder, at, f"http://127.0.0.1:{to}")
    async with provider(to) as latest:
        with running([*meter.before(folder), *words], at, environment={**environment, **FIXED}) as pid:
            reader, writer = await asyncio.open_connection("127.0.0.1", at)
            server, driver = Server(subject, pid, at, 0.0, ""), Driver(reader, writer, latest)
            found = {}
            for kind, ask, times, warm in ((KINDS[0], driver.plain, PLAIN, WARM), (KINDS[1], driver.streams, STREAMS, WARM // 10)):
                request = server.request(stream=kind == KINDS[1])
                await ask(request, warm)
                counts = [await asyncio.to_thread(meter.count, pid, folder)]
                for _ in range(ROUNDS):
                    await ask(request, times)
                    counts.append(await asyncio.to_thread(meter.count, pid, folder))
                found[kind] = min(after - before for before, after in pairwise(counts)) / times / 1000
            writer.close()
    return found


if __name__ == "__main__":
    sys.exit(main())
