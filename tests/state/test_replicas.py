"""Three processes over one Valkey: together they get what one would."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gateway.state.base import Held, Level, Refused
from gateway.state.valkey import Valkey
from tests.state.replica import BUDGET, GRANT, PLACES, TPM
from tests.state.servers import Server, fresh_prefix

ROOT = Path(__file__).parents[2]


def run(server: Server, prefix: str, job: str, number: int, seconds: float, replicas: int = 3) -> list[dict[str, Any]]:
    """What each of the processes says, which begin together."""
    command = [sys.executable, "-m", "tests.state.replica", server.url, prefix, job, str(number), str(seconds)]
    processes = [
        subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8")
        for _ in range(replicas)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    return [json.loads(process.communicate(timeout=40)[0]) for process in processes]


def total(said: Sequence[dict[str, Any]], what: str) -> int:
    return sum(one[what] for one in said)


async def seed(server: Server, prefix: str, *buckets: Any) -> None:
    state = Valkey(server.url, prefix=prefix, timeout=5.0)
    await state.open()
    for bucket in buckets:
        await state.seed(bucket, 0, 0)
    await state.close()


async def peek(server: Server, prefix: str, *buckets: Any) -> list[Level]:
    state = Valkey(server.url, prefix=prefix, timeout=5.0)
    await state.open()
    levels = await state.peek(buckets)
    await state.close()
    return levels


def test_of_600_requests_in_ten_seconds_100_a_minute_are_admitted(valkey: Server) -> None:
    said = run(valkey, fresh_prefix(), "rpm", 200, 10.0)

    assert [one["degraded"] for one in said] == [""] * 3
    assert 100 <= total(said, "admitted") <= 102
    assert total(said, "admitted") + total(said, "refused") == 600


def test_tokens_a_minute_are_passed_by_no_more_than_what_is_under_way(valkey: Server) -> None:
    prefix = fresh_prefix()

    said = run(valkey, prefix, "tpm", 60, 2.0)
    used = asyncio.run(peek(valkey, prefix, TPM))[0].used

    assert used == 900 * total(said, "admitted")
    assert 20_000 - 900 < used <= 20_000 + 3 * 900


def test_a_budget_is_spent_to_the_end_and_not_beyond(valkey: Server) -> None:
    prefix = fresh_prefix()
    asyncio.run(seed(valkey, prefix, BUDGET))

    said = run(valkey, prefix, "budget", 200, 3.0)
    level = asyncio.run(peek(valkey, prefix, BUDGET))[0]

    assert level == Level(7_000_000 * total(said, "admitted"))
    assert 1_000_000_000 - 10_000_000 < level.used <= 1_000_000_000


def test_what_killed_processes_held_comes_back_and_of_grants_stays_in_doubt(valkey: Server) -> None:
    prefix = fresh_prefix()
    asyncio.run(seed(valkey, prefix, GRANT))

    said = run(valkey, prefix, "die", 40, 0.0)
    assert total(said, "admitted") == 50  # all there are

    assert asyncio.run(_once_free(valkey, prefix)) == [Level(held=1), Level(held=10, doubt=500)]


async def _once_free(server: Server, prefix: str) -> list[Level]:
    """What the counters stand at when there are places again."""
    state = Valkey(server.url, prefix=prefix, timeout=5.0)
    await state.open()
    for _ in range(30):
        if isinstance(got := await state.reserve((PLACES, GRANT), (1, 10)), Held):
            break
        assert isinstance(got, Refused)
        await asyncio.sleep(got.wait / 1000)
    levels = await state.peek((PLACES, GRANT))
    await state.close()
    return levels
