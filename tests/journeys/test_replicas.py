"""Three gateways over one PostgreSQL and one Valkey, as processes: what they count together, and what one of them does for all."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import cycle
from pathlib import Path
from time import monotonic
from typing import Any

import httpx
import pytest

from tests.conftest import KEY, NO_TLS, PATIENCE, TEAM
from tests.gateway.provider import HOLD, Make, said
from tests.journeys.killed_batch import begun, until
from tests.journeys.processes import banjia
from tests.state.servers import Server
from tests.store.postgres import Postgres, installed

ADMIN = "an-admin-key-of-a-test"
LIMIT = 20
LINES, BATCHES = 20, 6


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    programs = installed()
    if programs is None:
        pytest.skip("there is no PostgreSQL for this platform")
    server = Postgres(programs)
    yield server
    server.remove()


@pytest.fixture
def valkey() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


def write(folder: Path, storage: str, state: str, account: Any, **team: Any) -> Path:
    config = folder / "config"
    (config / "teams").mkdir(parents=True)
    gateway = {
        "schema": "banjia/v1",
        "server": {"pre_stop": "0s", "drain": "2s"},
        "admin": {"key": ADMIN},
        "storage": {"url": storage, "journal": str(folder / "journal")},
        "files": {"url": f"file:///{folder}/files", "batch_lines": 4},
        "state": {"url": state},
        "providers": {"p": account},
        "models": {"m": "p/x"},
    }
    (config / "gateway.yaml").write_text(json.dumps(gateway))
    (config / "teams" / "red.yaml").write_text(json.dumps({**TEAM, **team}))
    (config / "teams" / "blue.yaml").write_text(json.dumps({**TEAM, "team": "blue", "keys": []}))
    return config


def test_three_gateways_are_as_one(tmp_path: Path, postgres: Postgres, valkey: Server, provider: Make) -> None:
    database = postgres.create()
    config = write(tmp_path, database, valkey.url, provider(said()).account(), limits={"rpm": LIMIT})
    with ExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor(9))
        starting = [pool.submit(stack.enter_context, banjia("serve", "--config", str(config), "--port", "0")) for _ in range(3)]
        urls = [one.result(60).url for one in starting]  # all at once: one of them makes the tables
        client = stack.enter_context(httpx.Client(timeout=PATIENCE, trust_env=False, verify=NO_TLS))

        def ask(url: str, key: str = KEY) -> int:
            body = {"model": "m", "messages": [{"role": "user", "content": "Hello"}]}
            return client.post(f"{url}/v1/chat/completions", json=body, headers={"authorization": f"Bearer {key}"}).status_code

        # a limit is one limit
        statuses = list(pool.map(ask, [url for url, _ in zip(cycle(urls), range(3 * LIMIT), strict=False)]))
        assert statuses.count(200) == LIMIT
        assert set(statuses) == {200, 429}

        # usage is one table
        admin = {"authorization": f"Bearer {ADMIN}"}
        reply = client.get(f"{urls[2]}/admin/v1/usage", params={"group_by": "team"}, headers=admin).json()
        assert [(row["team"], row["requests"], row["completion_tokens"]) for row in reply["data"]] == [("red", 3 * LIMIT, 2 * LIMIT)]

        # a key made at one holds at the others, and so does its end
        made = client.post(f"{urls[0]}/admin/v1/keys", json={"team": "blue", "name": "new"}, headers=admin).json()
        assert all(became(lambda url=url: ask(url, made["key"]), 200) < 5 for url in urls)
        client.delete(f"{urls[1]}/admin/v1/keys/{made['id']}", headers=admin)
        assert all(became(lambda url=url: ask(url, made["key"]), 401) < 5 for url in urls)


def test_of_batches_that_two_gateways_work_on_each_line_is_asked_and_answered_once(
    tmp_path: Path, postgres: Postgres, valkey: Server, provider: Make
) -> None:
    one = provider((HOLD, *said()))
    config = write(tmp_path, postgres.create(), valkey.url, one.account())
    with ExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor(2))
        starting = [pool.submit(stack.enter_context, banjia("serve", "--config", str(config), "--port", "0")) for _ in range(2)]
        headers = {"authorization": f"Bearer {KEY}"}
        here, there = (
            stack.enter_context(
                httpx.Client(base_url=f"{gateway.result(60).url}/v1", headers=headers, timeout=PATIENCE, trust_env=False, verify=NO_TLS)
            )
            for gateway in starting
        )
        until(lambda: not any("degraded" in client.get("/../readyz").json() for client in (here, there)), PATIENCE)

        batches = [begun(client, LINES) for client in (here, there) * (BATCHES // 2)]
        first = {"role": "user", "content": "Hello 0"}
        until(lambda: [request.json["messages"] for request in one.requests].count([first]) == BATCHES, PATIENCE)  # more than one takes
        one.let_go()
        until(lambda: all(there.get(f"/batches/{id}").json()["status"] == "completed" for id in batches), 60)

        for id in batches:
            told = here.get(f"/batches/{id}").json()
            lines = here.get(f"/files/{told['output_file_id']}/content").text.splitlines()
            assert sorted(json.loads(line)["custom_id"] for line in lines) == sorted(f"line-{number}" for number in range(LINES))
            assert told["request_counts"] == {"total": LINES, "completed": LINES, "failed": 0}
        asked = BATCHES * LINES
        assert len(one.requests) == asked
        usage = here.get("/../admin/v1/usage", params={"group_by": "team"}, headers={"authorization": f"Bearer {ADMIN}"}).json()["data"]
        assert [(row["team"], row["requests"]) for row in usage] == [("red", asked)]


def became(ask: Any, status: int) -> float:
    """Seconds until it is answered so."""
    began = monotonic()
    while ask() != status:
        assert monotonic() - began < PATIENCE
    return monotonic() - began
