"""`banjia serve --workers 2`: two processes at one address that count together, and outlive one of them."""

import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import monotonic, sleep

import httpx
import pytest

from tests.conftest import KEY, NO_TLS, PATIENCE
from tests.gateway.provider import Make, said
from tests.journeys.processes import Running, banjia
from tests.journeys.test_replicas import LIMIT, write
from tests.state.servers import Server

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


def workers(running: Running) -> list[int]:
    pid = running.process.pid
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def serving(running: Running, times: int) -> None:
    """Returns when workers have said so many times that they serve."""
    began = monotonic()
    while sum(" serves on " in line for line in running.said) < times:
        assert monotonic() - began < PATIENCE, "".join(running.said)
        sleep(0.02)


def ask(url: str) -> int:
    """Over a connection of its own, which is any worker's."""
    body = {"model": "m", "messages": [{"role": "user", "content": "Hello"}]}
    with httpx.Client(timeout=PATIENCE, verify=NO_TLS, trust_env=False, headers={"authorization": f"Bearer {KEY}"}) as client:
        return client.post(f"{url}/v1/chat/completions", json=body).status_code


def test_two_workers_count_as_one_and_one_that_dies_is_replaced(tmp_path: Path, provider: Make) -> None:
    valkey = Server()
    try:
        config = write(tmp_path, f"sqlite:///{tmp_path}/banjia.db", valkey.url, provider(said()).account(), limits={"rpm": LIMIT})
        with banjia("serve", "--config", str(config), "--port", "0", "--workers", "2") as running, ThreadPoolExecutor(8) as pool:
            serving(running, 2)
            first, second = workers(running)

            statuses = list(pool.map(ask, [running.url] * (2 * LIMIT)))
            assert (statuses.count(200), set(statuses)) == (LIMIT, {200, 429})

            os.kill(first, signal.SIGKILL)
            running.wait_for(f"worker {first} has died")
            assert set(pool.map(ask, [running.url] * 5)) == {429}
            serving(running, 3)
            assert second in workers(running)
            assert first not in workers(running)
            others = workers(running)
        for pid in others:
            with pytest.raises(ProcessLookupError):
                os.kill(pid, 0)
    finally:
        valkey.close()
