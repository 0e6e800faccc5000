"""How CPU per request grows with what there is more of. What is compared runs side by side and is measured in turns."""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

from bench.closed import CONNECTIONS, Load, in_turns, load
from bench.options import Options
from bench.progress import tell
from bench.setup import Setup
from bench.subjects import Subject, all_served, floor, ours
from bench.tables import Section, ratios, spread
from gateway.store.engine import Store
from gateway.store.rollup import roll_up
from tests.state.servers import server as valkey
from tests.store.million import fill
from tests.store.postgres import Postgres, installed

SIZES = {"1 KB": 1 << 10, "32 KB": 32 << 10, "1 MB": 1 << 20}
FEW = 10
SHARED = 16
"""Connections, where the machine has other servers to feed as well."""
SAME_TEAM = 100
"""Keys of a team, where there are many."""


def by_size(options: Options, folder: Path, port: int) -> Section:
    """Of the request; the floor's cost beside ours, since much of it is the kernel's."""
    with all_served(folder, [floor(), ours()], port) as servers:
        loads = [
            load(folder, one, [one.request(fill=fill)], CONNECTIONS if fill < 1 << 20 else 8) for one in servers for fill in SIZES.values()
        ]
        found = in_turns("size of the request", loads, options.rounds, options.seconds)
    costs = [one.cpu for one in found]
    least, own = costs[: len(SIZES)], costs[len(SIZES) :]
    rows = [[name, spread(one), spread(other), spread(ratios(other, one), 2)] for name, one, other in zip(SIZES, least, own, strict=True)]
    raw = {"floor": dict(zip(SIZES, least, strict=True)), "banjia": dict(zip(SIZES, own, strict=True))}
    return Section("size", "CPU µs by size of the request", ["", "floor", "banjia", "× floor"], rows, raw)


def by_keys(options: Options, folder: Path, port: int) -> Section:
    """Each request comes with another key."""
    many = Setup(teams=max(1, options.many // SAME_TEAM), keys=SAME_TEAM)
    apart = Setup(teams=options.many, keys=1)
    subjects = [
        ours(Setup(teams=FEW), name=f"{FEW} teams, a key each"),
        ours(many, name=f"{many.teams:,} teams, {many.keys} keys each"),
        ours(apart, name=f"{apart.teams:,} teams, a key each"),
    ]
    return compared("keys", "CPU µs by number of teams and keys", options, folder, port, subjects)


def by_routes(options: Options, folder: Path, port: int) -> Section:
    """Each request asks for another model."""
    subjects = [
        ours(Setup(routes=FEW), name=f"{FEW} routes"),
        ours(Setup(routes=options.many), name=f"{options.many:,} routes"),
        ours(Setup(routes=options.many, globs=True), name=f"{options.many:,} routes with *"),
        ours(Setup(routes=options.many, teams=FEW), name=f"{options.many:,} routes, asked by {FEW} teams"),
    ]
    return compared("routes", "CPU µs by number of routes", options, folder, port, subjects)


def by_rows(options: Options, folder: Path, port: int) -> Section:
    full = folder / "full.db"
    tell(f"{options.rows:,} rows of usage are made")
    asyncio.run(filled(f"sqlite:///{full}", folder / "full.journal", options.rows))
    subjects = [ours(name="no rows"), ours(Setup(storage=f"sqlite:///{full}"), name=f"{options.rows:,} rows")]
    return compared("rows", "CPU µs by rows of usage in the database", options, folder, port, subjects)


async def filled(url: str, journal: Path, count: int) -> None:
    """Of ten teams, ours among them; days that are over are added up already."""
    store = Store(url, journal)
    await store.open()
    try:
        await fill(store, time.time(), rows=count, team="team-0000")
        await roll_up(store)
    finally:
        await store.close()


def by_workers(options: Options, folder: Path, port: int) -> Section:
    """Over one Valkey, which counts for them."""
    with valkey() as state:
        setup = Setup(state=state.url)
        subjects = [ours(name="1, counting in memory"), ours(setup, name="1"), ours(setup, name="2", workers=2)]
        return compared("workers", "CPU µs by workers, over Valkey", options, folder, port, subjects, connections=SHARED)


def by_replicas(options: Options, folder: Path, port: int) -> Section:
    """Over one PostgreSQL and one Valkey; with two, half of the requests go to each."""
    programs = installed()
    assert programs is not None
    database = Postgres(programs)
    try:
        alone, shared = database.create(), database.create()
        with valkey() as state, valkey() as other:
            both = Setup(storage=shared, state=other.url)
            subjects = [ours(Setup(storage=alone, state=state.url), name="1"), ours(both, name="2"), ours(both, name="second of 2")]
            with all_served(folder, subjects, port) as (one, first, second):
                loads = [load(folder, one, [one.request()], SHARED), load(folder, first, [first.request()], SHARED, second)]
                return tabled("replicas", "CPU µs by replicas, over PostgreSQL and Valkey", options, loads)
    finally:
        database.remove()


def compared(
    name: str, title: str, options: Options, folder: Path, port: int, subjects: Sequence[Subject], connections: int = CONNECTIONS
) -> Section:
    """A row for each; the first is what others are compared to."""
    with all_served(folder, subjects, port) as servers:
        loads = [
            load(folder, one, [one.request(number=number) for number in range(variety(one.subject.setup))], connections) for one in servers
        ]
        return tabled(name, title, options, loads)


def variety(setup: Setup) -> int:
    """Requests that differ in key or in model: as many as it takes to use each."""
    return max(setup.teams * setup.keys, setup.routes) * (setup.teams if setup.routes > 1 else 1)


def tabled(name: str, title: str, options: Options, loads: Sequence[Load]) -> Section:
    found = in_turns(title, loads, options.rounds, options.seconds)
    rows = []
    for one, kept in zip(loads, found, strict=True):
        ratio = "1" if one is loads[0] else spread(ratios(kept.cpu, found[0].cpu), 2)
        first = f"{kept.first:,.0f}" if one.variety > 1 else ""
        rows.append([one.server.name, spread(kept.cpu), ratio, first, spread(kept.rate), f"{one.server.ready:.1f} s"])
    raw = {
        one.server.name: {"cpu": kept.cpu, "first": kept.first, "ready": one.server.ready} for one, kept in zip(loads, found, strict=True)
    }
    return Section(name, title, ["", "plain request", "× the first", "while new", "requests/s", "ready after"], rows, raw)
