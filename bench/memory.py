"""What a forwarder holds: idle, and for each stream that is open."""

import asyncio
import resource
import time
from collections.abc import Sequence
from pathlib import Path

from bench.opened import Connection, at_rate, held, run
from bench.options import Options
from bench.progress import over, tell
from bench.servers import Failed, memory
from bench.subjects import Server, Subject, served
from bench.tables import Section

SETTLE = 5.0
"""Seconds after which a server has loaded what it loads when it serves already."""
PATIENCE = 90.0
"""Seconds that streams may take to open."""
PAUSE = 8.0
"""Seconds between two events of a stream that is open."""
WARM = 500
"""Requests before, so that what the first ones load is not booked on streams."""


def memories(options: Options, folder: Path, subjects: Sequence[Subject], provider: str) -> Section:
    """`provider`: one that takes its time."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most[1], most[1]))
    raw = {}
    for one in subjects:
        try:
            with served(one, folder, provider) as server:
                raw[one.name] = memory_of(server, options)
        except Failed as exc:
            tell(str(exc))
    rows = []
    for name, found in raw.items():
        warm = found.get("warm", 0.0)
        levels = [found.get(str(count), 0.0) for count in options.streams]
        each = [(level - warm) / count * 1024 for count, level in zip(options.streams, levels, strict=True) if level]
        rows.append([name, *map(mib, (found["idle"], warm, *levels)), f"{each[-1]:,.0f}" if each else "-"])
    return Section(
        "memory",
        "MiB resident",
        ["", "idle", f"after {WARM} requests", *(f"{count:,} streams open" for count in options.streams), "KiB a stream"],
        rows,
        raw,
        ["KiB a stream: at the most streams, over what it had after the requests."],
    )


def memory_of(server: Server, options: Options) -> dict[str, float]:
    tell(f"memory of {server.name}: idle")
    time.sleep(SETTLE)
    found = {"idle": memory(server.pid)}
    try:
        run(at_rate(server.port, server.request(), 50, WARM / 50))
        found["warm"] = memory(server.pid)
        asyncio.run(hold(server, options, found))
    except Failed as exc:
        over()
        tell(f"memory of {server.name}: {exc}")
    return found


async def hold(server: Server, options: Options, found: dict[str, float]) -> None:
    connections: list[Connection] = []
    try:
        for count in options.streams:
            tell(f"memory of {server.name}: {count} streams")
            await held(server.port, server.request(stream=True), count, connections, PATIENCE)
            await asyncio.sleep(1)
            found[str(count)] = memory(server.pid)
    finally:
        for connection in connections:
            connection.transport.abort()
        await asyncio.sleep(0.5)


def mib(value: float) -> str:
    return f"{value:,.0f}" if value else "-"
