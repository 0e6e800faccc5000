"""Long lists are made in pieces, so that nobody waits for somebody else's: the CPU of the loop's longest turn, as in test_blocks."""

import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import uvloop

from gateway.app import App
from gateway.observe.metrics import MOST, Metrics
from tests.battery_front.test_blocks import LONGEST, TRIES, slowness
from tests.conftest import KEY, snapshot_of


async def longest_turn(work: Callable[[], Awaitable[object]]) -> float:
    """Seconds of the loop's own CPU."""
    longest, over = 0.0, asyncio.Event()

    async def beat() -> None:
        nonlocal longest
        last = time.thread_time()
        while not over.is_set():
            await asyncio.sleep(0)
            now = time.thread_time()
            longest, last = max(longest, now - last), now

    beating = asyncio.create_task(beat())
    await asyncio.sleep(0)
    await work()
    over.set()
    await beating
    return longest


def fastest(work: Callable[[], Awaitable[object]]) -> float:
    longest = 1.0
    for _ in range(TRIES):
        longest = min(longest, uvloop.run(longest_turn(work)) / slowness())
        if longest < LONGEST:
            break
    return longest


def test_a_list_of_ten_thousand_models_is_made_in_pieces() -> None:
    account = {"vendor": "openai_compatible", "jurisdiction": "cn-mainland", "base_url": "http://127.0.0.1:1/v1", "api_key": "k"}
    app = App(snapshot_of({"providers": {"p": account}, "models": {f"m{number}": "p/good" for number in range(10_000)}}))
    sent: list[MutableMapping[str, Any]] = []

    async def receive() -> MutableMapping[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    async def asked() -> None:
        app.serving.snapshot.routes_seen.clear()
        headers = [(b"authorization", b"Bearer " + KEY.encode())]
        await app({"type": "http", "method": "GET", "path": "/v1/models", "query_string": b"", "headers": headers}, receive, send)

    assert fastest(asked) < LONGEST
    assert sent[0]["status"] == 200
    assert sent[1]["body"].count(b'"id"') == 10_000


def test_metrics_of_as_many_labels_as_there_may_be_are_written_beside_the_loop() -> None:
    metrics = Metrics()
    for number in range(MOST):
        metrics._requests.add((f"team-{number}", "account", "model", "200"))
        metrics._seconds.add((f"account-{number}",), 0.3)

    assert fastest(metrics.page) < LONGEST
