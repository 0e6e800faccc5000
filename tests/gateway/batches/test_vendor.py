"""The vendors' own batches: given whole, billed at their price, and what they do not answer is run by the gateway."""

from collections.abc import Callable
from typing import Any

import pytest
from openai import BadRequestError
from openai.types import Batch

from gateway.batches.job import looked_after
from providers.base import Json
from tests.conftest import TEAM
from tests.gateway.batches.conftest import Batching, line
from tests.gateway.provider import account_at, route
from tests.journeys.processes import bill

Start = Callable[..., Batching]
ACCOUNTS: dict[str, tuple[Json, str, int, str]] = {
    "zhipu": ({"vendor": "zhipu", "api_key": "id.secret"}, "glm-5.2", 50, "/v4"),
    "alibaba": ({"vendor": "alibaba", "api_key": "sk-simulated"}, "qwen3.7-plus", 50, ""),
    "baidu": ({"vendor": "baidu", "access_key_id": "ak", "access_key_secret": "sk"}, "ernie-5.1", 40, ""),
}
AT_VENDOR = {"x-banjia-batch": "vendor"}


@pytest.fixture(params=list(ACCOUNTS))
def vendor(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def config(vendor: str, simulators: str, base: str = "") -> Json:
    account, model, _, _ = ACCOUNTS[vendor]
    base = {"zhipu": "", "alibaba": "/compatible-mode/v1", "baidu": "/v2"}[vendor]
    told = {**account, "jurisdiction": "cn-mainland", "base_url": f"{simulators}/{vendor}{base}"}
    return {"providers": {"a": told}, "models": {"m": f"a/{model}"}}


def finished(it: Batching, batch: Batch) -> Batch:
    """The batch, looked after as it is each minute."""
    for _ in range(10):
        now = it.finished(batch)
        if now.status in ("completed", "failed", "expired", "cancelled"):
            return now
        it.background.run(looked_after(it.served.app.serving))
    raise AssertionError(now)


def test_a_vendors_batch_is_answered_there_at_its_price(batching: Start, simulators: str, vendor: str) -> None:
    it = batching(config(vendor, simulators))
    before = sum(row["requests"] for row in bill(simulators).values())

    batch = it.begin([line(number) for number in range(30)], extra_headers=AT_VENDOR)
    waits = it.finished(batch)
    done = finished(it, batch)

    assert waits.status == "in_progress"
    assert done.status == "completed"
    assert done.request_counts is not None
    assert done.request_counts.to_dict() == {"total": 30, "completed": 30, "failed": 0}
    output = it.lines(done.output_file_id)
    assert [one["custom_id"] for one in output] == [f"line-{number}" for number in range(30)]
    assert all(one["response"]["body"]["object"] == "chat.completion" for one in output)
    assert all("Hello" in one["response"]["body"]["choices"][0]["message"]["content"] for one in output)
    assert sum(row["requests"] for row in bill(simulators).values()) - before == 30
    rows = it.rows()
    assert len(rows) == 30
    at = it.served.app.serving.snapshot
    rates = at.catalog.rates(vendor, ACCOUNTS[vendor][1])
    assert rates is not None
    for row in rows:
        rate = rates.of(row["prompt_tokens"])
        full = (row["prompt_tokens"] - row["cached_tokens"]) * rate.input + row["cached_tokens"] * rate.cached
        full += row["completion_tokens"] * rate.output
        assert abs(row["cost"] - full * ACCOUNTS[vendor][2] / 100 / 1_000_000) <= 1
        assert '"batch_at":"vendor"' in row["tags"]


def test_lines_that_a_vendor_cannot_take_are_run_by_the_gateway(batching: Start, simulators: str, vendor: str) -> None:
    it = batching(config(vendor, simulators))
    lines = [line(0), line(1, model="unknown"), line(2, n=2), line(3, temperature=9), line(4, user="u-12345678")]

    batch = it.begin(lines, extra_headers=AT_VENDOR)
    done = finished(it, batch)

    assert done.status == "completed"
    assert done.request_counts is not None
    assert done.request_counts.to_dict() == {"total": 5, "completed": 3, "failed": 2}
    output = {one["custom_id"]: one["response"]["body"] for one in it.lines(done.output_file_id)}
    assert set(output) == {"line-0", "line-2", "line-4"}
    assert len(output["line-2"]["choices"]) == 2
    assert {one["custom_id"]: one["response"]["status_code"] for one in it.lines(done.error_file_id)} == {"line-1": 404, "line-3": 400}
    ids = [one["id"] for one in (*it.lines(done.output_file_id), *it.lines(done.error_file_id))]
    assert len(set(ids)) == 5


def test_what_the_vendor_refuses_is_in_the_error_file(batching: Start, simulators: str) -> None:
    it = batching(config("zhipu", simulators))
    unsafe = line(1)
    from providers.simulation import UNSAFE_INPUT

    unsafe["body"]["messages"][0]["content"] = UNSAFE_INPUT
    done = finished(it, it.begin([line(0), unsafe], extra_headers=AT_VENDOR))

    [error] = it.lines(done.error_file_id)
    assert (error["custom_id"], error["response"]["status_code"]) == ("line-1", 400)
    assert error["response"]["body"]["error"]["code"] == "content_filter"


def test_a_crash_between_two_steps_makes_no_second_batch(batching: Start, simulators: str, vendor: str) -> None:
    it = batching(config(vendor, simulators))
    before = sum(row["requests"] for row in bill(simulators).values())
    batch = it.begin([line(number) for number in range(3)], extra_headers=AT_VENDOR)
    it.finished(batch)
    objects = it.served.app.serving.objects
    assert objects is not None
    old = it.background.run(objects.get("batch", "red", batch.id))
    assert old is not None
    assert old.body["vendor"]["stage"] == "submitted"

    forgot = {name: value for name, value in old.body["vendor"].items() if name != "job"}
    it.background.run(objects.change(old, {**old.body, "vendor": {**forgot, "stage": "uploaded"}}))
    done = finished(it, batch)

    assert done.status == "completed"
    assert sum(row["requests"] for row in bill(simulators).values()) - before == 3


def test_a_cancelled_batch_is_cancelled_at_the_vendor(batching: Start, simulators: str, vendor: str) -> None:
    it = batching(config(vendor, simulators))
    before = sum(row["requests"] for row in bill(simulators).values())
    batch = it.begin([line(number) for number in range(3)], extra_headers=AT_VENDOR)
    it.background.run(it.jobs.all())

    it.client.batches.cancel(batch.id)
    done = finished(it, batch)

    assert done.status == "cancelled"
    assert done.output_file_id is None
    assert sum(row["requests"] for row in bill(simulators).values()) == before


@pytest.mark.parametrize(
    ("more", "fields", "words"),
    [
        ({}, {"endpoint": "/v1/embeddings"}, "of /v1/chat/completions alone"),
        ({"limits": {"rpm": 5}}, {}, "not for keys with limits or budgets"),
        ({}, {"extra_headers": {"x-banjia-batch": "cheap"}}, "is `gateway` or `vendor`"),
    ],
)
def test_what_cannot_be_a_vendors_batch_is_refused(batching: Start, more: Json, fields: Any, words: str) -> None:
    it = batching(config("zhipu", "http://127.0.0.1:9"), {**TEAM, **more})

    with pytest.raises(BadRequestError, match=words):
        it.begin([line(0)], **{"extra_headers": AT_VENDOR, **fields})


def test_where_nobody_offers_batches_the_batch_says_so(batching: Start) -> None:
    it = batching({"providers": {"p": account_at("http://127.0.0.1:9/v1")}, "models": route("p/x")})

    done = finished(it, it.begin([line(0)], extra_headers=AT_VENDOR))

    assert done.status == "failed"
    assert done.errors is not None
    assert [error.code for error in done.errors.data or []] == ["vendor_batch_not_offered"]
