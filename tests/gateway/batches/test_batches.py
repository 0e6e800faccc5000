"""Batches end to end: files in, files out, through the gateway's own way of serving."""

import asyncio
import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from openai import BadRequestError, ConflictError, NotFoundError

from gateway.api.wire import Record
from gateway.batches import runner, window
from gateway.batches.job import looked_after
from gateway.batches.state import ANSWERS
from gateway.objects import Object
from gateway.observe.metrics import Metrics
from gateway.room import Room
from gateway.store.errors import StoreError
from gateway.store.objects import StoredObjects
from providers.base import Json
from tests.conftest import PATIENCE, TEAM, snapshot_of
from tests.gateway.batches.conftest import Batching, line
from tests.gateway.provider import HOLD, Make, Provider, account_at, failed, route, said

Start = Callable[..., Batching]


def config(url: str, **more: Any) -> Json:
    return {"providers": {"p": account_at(url)}, "models": route("p/x"), **more}


def until_asked(provider: Provider, times: int) -> None:
    end = time.monotonic() + PATIENCE
    while len(provider.requests) < times and time.monotonic() < end:
        time.sleep(0.01)


def test_every_line_is_answered_once_in_order_and_billed_once(batching: Start, simulators: str) -> None:
    account = {"vendor": "zhipu", "jurisdiction": "cn-mainland", "base_url": f"{simulators}/zhipu", "api_key": "id.secret"}
    it = batching({"providers": {"z": account}, "models": {"m": "z/glm-5.2"}})

    batch = it.begin((line(number) for number in range(120)), metadata={"night": "run"})
    done = it.finished(batch)

    assert batch.status == "validating"
    assert (done.status, done.metadata, done.model) == ("completed", {"night": "run"}, "m")
    assert done.request_counts is not None
    assert done.request_counts.to_dict() == {"total": 120, "completed": 120, "failed": 0}
    assert done.error_file_id is None
    output = it.lines(done.output_file_id)
    assert [one["custom_id"] for one in output] == [f"line-{number}" for number in range(120)]
    assert {one["response"]["status_code"] for one in output} == {200}
    assert output[7]["response"]["body"]["object"] == "chat.completion"
    assert len({one["id"] for one in output}) == 120
    rows = it.rows()
    assert len(rows) == 120
    assert {row["request_id"] for row in rows} == {one["response"]["request_id"] for one in output}
    assert {row["tags"] for row in rows} == {json.dumps({"batch": batch.id}, separators=(",", ":"))}
    assert done.usage is not None
    assert done.usage.input_tokens == sum(row["prompt_tokens"] for row in rows)
    file = it.client.files.retrieve(str(done.output_file_id))
    assert (file.purpose, file.filename) == ("batch_output", f"{batch.id}_output.jsonl")
    left = {path.name for path in (it.folder / "files" / "red").iterdir()}
    assert left == {batch.input_file_id, done.output_file_id}


def test_lines_are_in_the_log_and_in_the_metrics_as_those_of_a_batch(batching: Start, provider: Make) -> None:
    one = provider(said(), failed(400), said())
    it = batching(config(one.url))
    metrics = Metrics()
    it.served.app.sinks = (*it.served.app.sinks, metrics)

    batch = it.begin(line(number) for number in range(2))
    it.finished(batch)
    it.served.chat()

    told: list[Record] = []
    while len(told) < 3:
        told += [record for record in [it.served.record()] if record.path == "/v1/chat/completions"]
    assert sorted((record.batch, record.status, record.team) for record in told) == [
        ("", 200, "red"), (batch.id, 200, "red"), (batch.id, 400, "red"),
    ]  # fmt: skip
    page = asyncio.run(metrics.page()).decode()
    assert 'banjia_batch_lines_total{status="200",team="red"} 1.0' in page
    assert 'banjia_batch_lines_total{status="400",team="red"} 1.0' in page
    assert 'banjia_requests_total{account="p",model="x",status="200",team="red"} 2.0' in page


def test_embeddings_are_batched_too(batching: Start, simulators: str) -> None:
    account = {"vendor": "zhipu", "jurisdiction": "cn-mainland", "base_url": f"{simulators}/zhipu", "api_key": "id.secret"}
    it = batching({"providers": {"z": account}, "models": {"e": "z/embedding-3"}})
    asked = {"custom_id": "a", "method": "POST", "url": "/v1/embeddings", "body": {"model": "e", "input": ["x", "y"]}}

    done = it.finished(it.begin([asked], "/v1/embeddings"))

    assert len(it.lines(done.output_file_id)[0]["response"]["body"]["data"]) == 2


def test_lines_that_fail_are_in_the_error_file(batching: Start, provider: Make) -> None:
    it = batching(config(provider(said()).url))

    done = it.finished(it.begin([line(0), line(1, model="unknown"), line(2, temperature=9), line(3)]))

    assert done.status == "completed"
    assert done.request_counts is not None
    assert done.request_counts.to_dict() == {"total": 4, "completed": 2, "failed": 2}
    assert [one["custom_id"] for one in it.lines(done.output_file_id)] == ["line-0", "line-3"]
    errors = it.lines(done.error_file_id)
    assert [(one["custom_id"], one["response"]["status_code"]) for one in errors] == [("line-1", 404), ("line-2", 400)]
    assert errors[0]["response"]["body"]["error"]["code"] == "model_not_found"


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ([], [("empty_file", None)]),
        ([line(0), b"{no json"], [("invalid_json_line", 2)]),
        ([line(0), b"", line(1), line(0)], [("duplicate_custom_id", 4)]),
        ([{**line(0), "method": "GET"}, {**line(1), "url": "/v1/embeddings"}], [("invalid_method", 1), ("invalid_url", 2)]),
        ([{"custom_id": "a"}, {**line(1), "custom_id": 5}], [("missing_required_parameter", 1), ("invalid_custom_id", 2)]),
        ([{**line(0), "body": []}, line(1, stream=True)], [("invalid_body", 1), ("invalid_body", 2)]),
        ([{**line(0), "body": {}}, b"[" * 300 + b"]" * 300], [("missing_required_parameter", 1), ("invalid_json_line", 2)]),
    ],
)
def test_a_file_with_wrong_lines_fails_with_their_numbers(batching: Start, provider: Make, lines: Any, told: Any) -> None:
    asked = provider(said())
    it = batching(config(asked.url))

    done = it.finished(it.begin(lines or [b""]))

    assert done.status == "failed"
    assert done.errors is not None
    assert [(error.code, error.line) for error in done.errors.data or []] == told
    assert asked.requests == []


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"endpoint": "/v1/files"}, "endpoint"),
        ({"completion_window": "24 hours"}, "completion_window"),
        ({"completion_window": "999h"}, "completion_window"),
        ({"metadata": {"a": 1}}, "metadata"),
        ({"output_expires_after": {"anchor": "created_at", "seconds": 1}}, "output_expires_after.seconds"),
    ],
)
def test_a_batch_that_cannot_be_is_refused(batching: Start, fields: Json, param: str) -> None:
    it = batching(config("http://127.0.0.1:9/v1"))

    with pytest.raises(BadRequestError) as caught:
        it.begin([line(0)], **fields)

    assert caught.value.param == param


def test_files_have_to_be_of_batches_and_ones_own(batching: Start) -> None:
    it = batching(config("http://127.0.0.1:9/v1"))
    other = it.client.files.create(file=b"x", purpose="evals").id

    with pytest.raises(BadRequestError, match="upload it with the purpose 'batch'"):
        it.client.batches.create(completion_window="24h", endpoint="/v1/embeddings", input_file_id=other)
    for ask in (it.client.batches.retrieve, it.client.batches.cancel):
        with pytest.raises(NotFoundError, match="No batch found"):
            ask("batch_none")


def test_batches_are_listed(batching: Start, provider: Make) -> None:
    it = batching(config(provider(said()).url))
    ids = [it.begin([line(0)]).id for _ in range(3)]
    it.background.run(it.jobs.all())

    assert [batch.id for batch in it.client.batches.list(limit=2)] == ids[::-1]


def test_a_line_waits_where_it_is_told_to_come_later(batching: Start, provider: Make) -> None:
    asked = provider(said("0"), failed(429, "slowly", "retry-after: 1"), failed(503), said("1"))
    it = batching(config(asked.url), batch_lines=1)

    began = time.monotonic()
    done = it.finished(it.begin([line(0), line(1)]))

    assert done.status == "completed"
    assert done.error_file_id is None
    assert [one["response"]["body"]["choices"][0]["message"]["content"] for one in it.lines(done.output_file_id)] == ["0", "1"]
    assert time.monotonic() - began > 1
    assert len(asked.requests) == 4


def test_a_limit_of_the_team_slows_a_batch_down_and_fails_no_line(batching: Start, provider: Make) -> None:
    team = {**TEAM, "limits": {"concurrent": 1}}
    it = batching(config(provider(said()).url), team, batch_lines=4)

    done = it.finished(it.begin(line(number) for number in range(3)))

    assert done.request_counts is not None
    assert done.request_counts.completed == 3


def test_a_cancelled_batch_keeps_what_it_has_done(batching: Start, provider: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "TOLD", 0.0)
    asked = provider(said(), said(), (HOLD, *said()))
    it = batching(config(asked.url), batch_lines=1)
    batch = it.begin(line(number) for number in range(200))
    until_asked(asked, 3)

    assert it.client.batches.cancel(batch.id).status == "cancelling"
    asked.let_go()
    done = it.finished(batch)

    assert done.status == "cancelled"
    assert done.cancelled_at is not None
    names = [one["custom_id"] for one in it.lines(done.output_file_id)]
    assert names == [f"line-{number}" for number in range(len(names))]
    assert 3 <= len(names) < 100
    assert it.client.batches.cancel(batch.id).status == "cancelled"
    finished = it.finished(it.begin([line(0)]))
    with pytest.raises(ConflictError, match="Cannot cancel a batch with status 'completed'"):
        it.client.batches.cancel(finished.id)


def test_an_expired_batch_keeps_what_it_has_done_and_names_the_rest(batching: Start, provider: Make) -> None:
    asked = provider(said(), said(), (HOLD, *said()))
    it = batching(config(asked.url), batch_lines=1)
    batch = it.begin(line(number) for number in range(5))
    until_asked(asked, 3)

    it.background.run(it.jobs.kill(f"{batch.id}.0"))
    objects = it.served.app.serving.objects
    assert objects is not None
    old = it.background.run(objects.get("batch", "red", batch.id))
    assert old is not None
    it.background.run(objects.change(old, {**old.body, "turn": 1, "told": {**old.body["told"], "expires_at": int(time.time()) - 1}}))
    asked.let_go()
    it.background.run(looked_after(it.served.app.serving))
    done = it.finished(batch)

    assert done.status == "expired"
    good = [one["custom_id"] for one in it.lines(done.output_file_id)]
    errors = it.lines(done.error_file_id)
    assert good[0] == "line-0"
    assert "line-2" not in good
    assert {(one["response"], one["error"]["code"]) for one in errors} == {(None, "batch_expired")}
    assert good + [one["custom_id"] for one in errors] == [f"line-{number}" for number in range(5)]
    assert done.request_counts is not None
    assert done.request_counts.completed == len(good)


def test_a_batch_goes_on_where_it_was_and_asks_no_finished_line_again(batching: Start, provider: Make) -> None:
    asked = provider(*[said()] * 7, (HOLD, *said()), said())
    it = batching(config(asked.url), batch_lines=1)
    batch = it.begin(line(number) for number in range(20))
    until_asked(asked, 8)

    it.background.run(it.jobs.kill(f"{batch.id}.0"))
    asked.let_go()
    it.background.run(it.jobs.start("batch", ["red", batch.id, 1], id=f"{batch.id}.1"))
    done = it.finished(batch)

    assert done.status == "completed"
    assert [one["custom_id"] for one in it.lines(done.output_file_id)] == [f"line-{number}" for number in range(20)]
    words = Counter(json.loads(one.body)["messages"][0]["content"] for one in asked.requests)
    assert set(words) == {f"Hello {number}" for number in range(20)}
    again = {word for word, times in words.items() if times > 1}
    assert {"Hello 7"} <= again <= {"Hello 5", "Hello 6", "Hello 7"}  # those before may have been on their way into the database
    assert sorted(row["kind"] for row in it.rows()) == ["aborted"] + ["ok"] * 20


def test_no_more_lines_are_begun_than_may_be_asked_again_while_answers_are_not_durable(
    batching: Start, provider: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    create, refused, there = StoredObjects.create, threading.Semaphore(0), threading.Event()

    async def created(self: StoredObjects, *objects: Object) -> list[Object]:
        if objects[0].kind == ANSWERS and not there.is_set():
            refused.release()
            raise StoreError("not now")
        return await create(self, *objects)

    monkeypatch.setattr(StoredObjects, "create", created)
    monkeypatch.setattr(window, "AGAIN", 0.01)
    asked = provider(said())
    it = batching(config(asked.url), batch_lines=3)
    batch = it.begin(line(number) for number in range(12))
    until_asked(asked, 3)

    assert all(refused.acquire(timeout=PATIENCE) for _ in range(20))
    assert len(asked.requests) == 3
    there.set()
    done = it.finished(batch)

    assert [one["custom_id"] for one in it.lines(done.output_file_id)] == [f"line-{number}" for number in range(12)]
    assert len(asked.requests) == 12


def test_a_batch_whose_key_is_revoked_fails_and_keeps_what_it_has_done(batching: Start, provider: Make) -> None:
    asked = provider(said(), (HOLD, *said()))
    settings = config(asked.url)
    it = batching(settings, {**TEAM, "keys": [*TEAM["keys"], {"name": "other", "key": "sk-of-another"}]}, batch_lines=1)
    batch = it.begin(line(number) for number in range(5))
    until_asked(asked, 2)

    it.served.app.swap(snapshot_of(settings, {**TEAM, "keys": [{"name": "other", "key": "sk-of-another"}]}))
    asked.let_go()
    it.client = it.client.copy(api_key="sk-of-another")
    done = it.finished(batch)

    assert done.status == "failed"
    assert done.errors is not None
    assert [error.code for error in done.errors.data or []] == ["key_revoked"]
    assert [one["custom_id"] for one in it.lines(done.output_file_id)] == ["line-0", "line-1"]


def test_a_batch_whose_file_is_deleted_fails_and_keeps_what_it_has_done(
    batching: Start, provider: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(window, "MOST_LINES", 2)
    asked = provider(said(), (HOLD, *said()))
    it = batching(config(asked.url), batch_lines=1)
    batch = it.begin(line(number) for number in range(5))
    until_asked(asked, 2)

    it.client.files.delete(batch.input_file_id)
    asked.let_go()
    done = it.finished(batch)

    assert done.status == "failed"
    assert done.errors is not None
    assert [error.code for error in done.errors.data or []] == ["invalid_file"]
    assert [one["custom_id"] for one in it.lines(done.output_file_id)] == ["line-0", "line-1"]


def test_batches_leave_most_of_the_room_to_live_requests(batching: Start) -> None:
    it = batching(config("http://127.0.0.1:9/v1", server={"max_in_flight": 40}), batch_lines=8)
    at = runner.Runner(lambda: it.served.app.serving)
    room: Room = it.served.app.room

    def most(live: int) -> int:
        room.taken = live
        at.under_way = 0
        while at.room(it.served.app.serving, at.under_way):
            at.under_way += 1
        return at.under_way

    try:
        assert [most(live) for live in (0, 1, 4, 9, 10, 40)] == [8, 8, 6, 1, 1, 1]
    finally:
        room.taken = 0


def test_a_batch_that_nobody_works_on_is_begun(batching: Start, provider: Make) -> None:
    it = batching(config(provider(said()).url))
    jobs, it.served.app.serving.jobs = it.served.app.serving.jobs, None  # what starts jobs is not there yet
    batch = it.begin([line(0)])
    it.served.app.serving.jobs = jobs

    assert it.background.run(looked_after(it.served.app.serving)) == 1
    assert it.background.run(looked_after(it.served.app.serving)) in (0, 1)

    assert it.finished(batch).status == "completed"
    assert it.background.run(looked_after(it.served.app.serving)) == 0


def test_a_batch_waits_where_its_file_is_not_to_be_seen_from_this_replica(batching: Start, provider: Make) -> None:
    it = batching(config(provider(said()).url))
    away = it.folder / "away"
    jobs, it.served.app.serving.jobs = it.served.app.serving.jobs, None
    batch = it.begin([line(0)])
    it.served.app.serving.jobs = jobs
    (it.folder / "files").rename(away)

    it.background.run(looked_after(it.served.app.serving))
    waits = it.finished(batch)
    away.rename(it.folder / "files")
    it.background.run(looked_after(it.served.app.serving))

    assert waits.status == "validating"
    assert it.finished(batch).status == "completed"
