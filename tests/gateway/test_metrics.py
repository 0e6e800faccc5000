"""GET /metrics: what it counts, whom it tells, and that no client can make it grow."""

import asyncio
from collections.abc import Callable
from time import time

import pytest

from gateway.api.wire import Record
from gateway.observe.metrics import MOST, Metrics
from gateway.observe.scraped import Scraped
from gateway.settings import Admin
from tests.conftest import Served
from tests.gateway.provider import Make, failed, said

Serve = Callable[..., Served]
ADMIN, SCRAPER = "an-admin-key-of-a-test", "a-metrics-key-of-a-test"


def lines(page: str, name: str) -> dict[str, float]:
    found = (line.rpartition(" ") for line in page.splitlines() if line.startswith(name))
    return {labels.removeprefix(name): float(value) for labels, _, value in found}


def serve(gateway: Serve, *accounts: object) -> tuple[Served, Metrics]:
    metrics = Metrics()
    providers = {name: one.account() for name, one in zip("pq", accounts, strict=False)}  # type: ignore[attr-defined]
    models = {"m": {"serve": "p/x", "fallback": [f"{name}/x" for name in providers if name != "p"], "retry": {"max": 0}}}
    page = Scraped(metrics, Admin(key=ADMIN, metrics_key=SCRAPER))
    served = gateway({"providers": providers, "models": models}, metrics=page)
    served.app.sinks = (*served.app.sinks, metrics)
    metrics.gauges = served.app.gauges
    return served, metrics


def page_of(served: Served, key: str = SCRAPER) -> str:
    reply = served.client.get("/metrics", headers={"authorization": f"Bearer {key}"})
    assert reply.status_code == 200
    return reply.text


def test_requests_tokens_and_faults_are_counted(gateway: Serve, provider: Make) -> None:
    served, _ = serve(gateway, provider(failed(500)), provider(said()))

    for _ in range(3):
        served.chat()
        served.record()
    served.chat("unknown")
    served.record()
    page = page_of(served, ADMIN)

    assert lines(page, "banjia_requests_total") == {
        '{account="q",model="x",status="200",team="red"}': 3,
        '{account="",model="",status="404",team="red"}': 1,
    }
    assert lines(page, "banjia_tokens_total")['{account="q",kind="prompt",model="x",team="red"}'] == 9
    assert lines(page, "banjia_faults_total") == {'{hop="p/x",kind="overloaded"}': 3}
    assert lines(page, "banjia_request_seconds_count") == {'{account="q"}': 3}
    assert lines(page, "banjia_in_flight") == {"": 0}
    assert "banjia_state_degraded 0.0" in page


@pytest.mark.parametrize("key", ["x", "wrong", ADMIN[:-1]])
def test_the_page_is_for_those_with_a_key_to_it(gateway: Serve, provider: Make, key: str) -> None:
    served, _ = serve(gateway, provider(said()))

    reply = served.client.get("/metrics", headers={"authorization": f"Bearer {key}"})

    assert (reply.status_code, reply.json()["error"]["code"]) == (401, "invalid_api_key")


def test_without_a_key_in_the_config_there_is_no_page(gateway: Serve, provider: Make) -> None:
    metrics = Metrics()
    served = gateway({"providers": {"p": provider(said()).account()}}, metrics=Scraped(metrics, Admin()))

    assert served.client.get("/metrics").status_code == 404


def test_a_client_cannot_make_it_grow(gateway: Serve) -> None:
    metrics = Metrics()
    for number in range(3 * MOST):
        served = f"llama/model-{number}"
        metrics(Record(time(), "r", "POST", "/v1/chat/completions", 200, 0.1, 1.0, team="red", model=served, served=served))

    found = lines(asyncio.run(metrics.page()).decode(), "banjia_requests_total")

    assert len(found) == MOST + 1
    assert found['{account="other",model="other",status="other",team="other"}'] == 2 * MOST


def test_times_fall_into_the_buckets_that_they_belong_to() -> None:
    metrics = Metrics()
    for seconds in (0.05, 0.051, 7.0, 1000.0):
        metrics(Record(time(), "r", "POST", "/v1/chat/completions", 200, seconds, 1.5, served="p/x", stream=seconds > 5))
    page = asyncio.run(metrics.page()).decode()

    buckets = lines(page, "banjia_request_seconds_bucket")
    assert [buckets[f'{{account="p",le="{bound}"}}'] for bound in ("0.05", "0.1", "5.0", "10.0", "300.0", "+Inf")] == [1, 2, 2, 3, 3, 4]
    assert lines(page, "banjia_request_seconds_sum")['{account="p"}'] == pytest.approx(1007.101)
    assert lines(page, "banjia_overhead_seconds_bucket")['{le="0.001"}'] == 0
    assert lines(page, "banjia_overhead_seconds_bucket")['{le="0.002"}'] == 2
