"""A gateway whose Valkey is killed, stands still or is emptied: it goes on serving, and its books are whole afterwards."""

import json
import sqlite3
from pathlib import Path
from time import monotonic, sleep

import httpx
import pytest

from tests.conftest import KEY, NO_TLS, PATIENCE
from tests.gateway.provider import Make, said
from tests.journeys.processes import banjia
from tests.journeys.test_replicas import write
from tests.state.servers import Server

MANY = 20


@pytest.mark.parametrize("harm", ["killed", "still", "emptied"])
def test_requests_are_served_and_written_down_once_each_whatever_becomes_of_valkey(tmp_path: Path, provider: Make, harm: str) -> None:
    one = provider(said())
    valkey = Server()
    try:
        config = write(tmp_path, f"sqlite:///{tmp_path}/banjia.db", valkey.url, one.account())
        team = json.loads((config / "teams" / "red.yaml").read_text())
        (config / "teams" / "red.yaml").write_text(json.dumps({**team, "limits": {"rpm": 100_000, "concurrent": 1000}}))
        with (
            banjia("serve", "--config", str(config), "--port", "0") as running,
            httpx.Client(
                base_url=running.url, timeout=PATIENCE, verify=NO_TLS, trust_env=False, headers={"authorization": f"Bearer {KEY}"}
            ) as client,
        ):
            statuses: list[int] = []

            def ask(count: int) -> float:
                """Seconds that the slowest of so many calls took."""
                took = 0.0
                for _ in range(count):
                    began = monotonic()
                    body = {"model": "m", "messages": [{"role": "user", "content": "Hello"}]}
                    statuses.append(client.post("/v1/chat/completions", json=body).status_code)
                    took = max(took, monotonic() - began)
                return took

            def until_degraded(*, wanted: bool) -> None:
                began = monotonic()
                while bool(client.get("/readyz").json().get("degraded")) != wanted:
                    assert monotonic() - began < PATIENCE
                    ask(1)
                    sleep(0.05)

            ask(MANY)
            if harm == "emptied":
                valkey.empty()
                ask(MANY)
            else:
                valkey.kill() if harm == "killed" else valkey.freeze()
                until_degraded(wanted=True)
                assert ask(MANY) < 1
                assert client.get("/readyz").status_code == 200
                if harm == "still":
                    valkey.thaw()
                else:
                    port = valkey.port
                    valkey.close()
                    valkey = Server(port)
                until_degraded(wanted=False)
                ask(MANY)
        assert set(statuses) == {200}
        with sqlite3.connect(tmp_path / "banjia.db") as database:
            written = database.execute("SELECT count(*), count(DISTINCT request_id) FROM usage").fetchone()
        assert written == (len(statuses), len(statuses))
        assert len(one.requests) == len(statuses)
    finally:
        valkey.close()
