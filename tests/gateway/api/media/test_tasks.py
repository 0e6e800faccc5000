"""Tasks of vendors: looked after, ended where nobody waits, taken up again after a restart, and paid for once."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from gateway.accounting.books import Books
from gateway.api.errands import KIND
from gateway.jobs.orphans import settle
from gateway.routing import tasks
from gateway.state.memory import Memory
from gateway.store.engine import Store
from gateway.store.ledger import StoreLedger
from gateway.store.objects import StoredObjects
from gateway.store.tables import objects, replies, usage
from tests.conftest import Background, Served
from tests.gateway.api.media.conftest import KEY, until
from tests.gateway.provider import HOLD, Make, Provider, Step, answer, failed

Gateway = Callable[..., Served]
BODY = {"model": "m", "prompt": "a red bridge"}
TAKEN = answer(200, {"output": {"task_id": "t1", "task_status": "PENDING"}, "request_id": "r"})
RUNNING = answer(200, {"output": {"task_id": "t1", "task_status": "RUNNING"}, "request_id": "r"})
DONE = answer(
    200,
    {"output": {"task_id": "t1", "task_status": "SUCCEEDED", "results": [{"url": "https://a.test/1.png"}]}, "usage": {"image_count": 1}},
)
WANTED = {"idempotency-key": "k1"}
LATER = 10_000.0


def config(one: Provider, **more: Any) -> dict[str, Any]:
    account = {"vendor": "alibaba", "jurisdiction": "cn-mainland", "base_url": one.url, "api_key": KEY}
    return {"providers": {"a": account}, "models": {"m": {"serve": ["a/wan2.2-t2i-plus"], "retry": {"max": 0}, **more}}}


class Replicas:
    """Gateways over one database."""

    def __init__(self, gateway: Gateway, background: Background, path: Path) -> None:
        self._gateway, self._background, self._path = gateway, background, path
        self._stores: list[Store] = []

    def serve(self, one: Provider, **more: Any) -> Served:
        return self.serve_as(config(one, **more))

    def serve_as(self, made: dict[str, Any]) -> Served:
        store = Store(f"sqlite:///{self._path}/b.db", self._path / str(len(self._stores)))
        self._stores.append(store)
        books = Books(Memory(), StoreLedger(store))
        return self._gateway(made, objects=StoredObjects(store), books=books, beside=(store,))

    def rows(self, table: Any) -> list[dict[str, Any]]:
        async def found() -> list[dict[str, Any]]:
            async with self._stores[0].reading() as connection:
                return [dict(row) for row in (await connection.execute(select(table))).mappings().all()]

        return self._background.run(found())

    def tasks(self) -> list[dict[str, Any]]:
        return [row for row in self.rows(objects) if row["kind"] == KIND]

    def forget_claims(self) -> None:
        """As if the gateway that had them were long gone."""

        async def gone() -> None:
            async with self._stores[0].writing() as connection:
                await connection.execute(replies.delete())

        self._background.run(gone())

    def settle(self, served: Served) -> int:
        return self._background.run(settle(served.app.serving, now=lambda: time.time() + LATER))


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tasks are looked at every few milliseconds."""
    monkeypatch.setattr(tasks, "FIRST", 0.01)
    monkeypatch.setattr(tasks, "LONGEST", 0.02)


@pytest.fixture
def replicas(gateway: Gateway, background: Background, tmp_path: Path) -> Replicas:
    return Replicas(gateway, background, tmp_path)


def images(served: Served, **headers: str) -> httpx.Response:
    return served.client.post("/v1/images/generations", json=BODY, headers=headers)


def leave(served: Served, **headers: str) -> None:
    """Asks, and goes before there is an answer."""
    with pytest.raises(httpx.ReadTimeout):
        served.client.post("/v1/images/generations", json=BODY, headers=headers, timeout=0.6)


def asked(one: Provider) -> list[str]:
    return [f"{asked.method} {asked.path.rpartition('/v1')[2]}" for asked in one.requests]


def test_a_task_is_submitted_once_and_looked_at_until_it_is_done(replicas: Replicas, provider: Make) -> None:
    one = provider(TAKEN, RUNNING, failed(500), RUNNING, DONE)
    served = replicas.serve(one)

    reply = images(served)

    assert reply.json()["data"] == [{"url": "https://a.test/1.png"}]
    assert asked(one)[0] == "POST /services/aigc/text2image/image-synthesis"
    assert asked(one)[1:] == ["GET /tasks/t1"] * 4
    assert one.requests[0].headers["x-dashscope-async"] == "enable"
    until(lambda: not replicas.tasks())
    (row,) = replicas.rows(usage)
    assert (row["endpoint"], row["images"], row["kind"], row["cost"], row["currency"]) == ("images", 1, "ok", 200_000_000, "CNY")


@pytest.mark.parametrize(
    ("told", "status", "code"),
    [
        ({"task_status": "FAILED", "code": "DataInspectionFailed", "message": "no"}, 400, "content_filter"),
        ({"task_status": "FAILED", "code": "InvalidParameter", "message": "bad size"}, 400, "invalid_request"),
        ({"task_status": "FAILED", "code": "InternalError", "message": "no"}, 503, "overloaded"),
        ({"task_status": "UNKNOWN"}, 502, "upstream_broken"),
        ({"task_status": "SUCCEEDED", "results": [{"code": "DataInspectionFailed", "message": "no"}]}, 400, "content_filter"),
        ({"task_status": "SUCCEEDED", "results": [{}]}, 502, "upstream_broken"),
    ],
    ids=str,
)
def test_what_a_task_fails_for_is_told_in_openais_words(gateway: Gateway, provider: Make, told: Any, status: int, code: str) -> None:
    served = gateway(config(provider(TAKEN, answer(200, {"output": {"task_id": "t1", **told}}))))

    reply = images(served)

    assert (reply.status_code, reply.json()["error"]["code"]) == (status, code)


def test_a_task_that_is_not_known_any_more_goes_to_the_next_hop(gateway: Gateway, provider: Make, simulators: str) -> None:
    one = provider(TAKEN, answer(200, {"output": {"task_id": "t1", "task_status": "UNKNOWN"}}))
    made = config(one, fallback=["z/cogview-4"])
    made["providers"]["z"] = {"vendor": "zhipu", "jurisdiction": "cn-mainland", "base_url": f"{simulators}/zhipu", "api_key": "id.secret"}

    assert images(gateway(made)).headers["x-banjia-model"] == "cogview-4"


def test_a_client_that_leaves_ends_its_task_at_the_vendor(replicas: Replicas, provider: Make) -> None:
    one = provider(TAKEN, RUNNING)
    leave(replicas.serve(one))

    until(lambda: asked(one)[-1] == "POST /tasks/t1/cancel")
    until(lambda: replicas.rows(usage))
    until(lambda: not replicas.tasks())
    assert [row["kind"] for row in replicas.rows(usage)] == ["aborted"]


def test_a_call_that_takes_too_long_ends_its_task_too(gateway: Gateway, provider: Make) -> None:
    one = provider(TAKEN, RUNNING)
    served = gateway(config(one, timeouts={"total": "1s"}))

    reply = images(served)

    assert (reply.status_code, reply.json()["error"]["code"]) == (504, "timeout")
    assert "POST /tasks/t1/cancel" in asked(one)


def test_a_task_that_cannot_be_ended_is_put_in_the_books_when_it_is_done(replicas: Replicas, provider: Make) -> None:
    one = provider(TAKEN, RUNNING)
    served = replicas.serve(one)
    one.script(TAKEN, (HOLD,), failed(400, code="UnsupportedOperation"))
    leave(served)
    until(lambda: "POST /tasks/t1/cancel" in asked(one) and replicas.rows(usage))

    one.script(RUNNING)
    assert replicas.settle(served) == 0
    one.script(DONE)
    assert replicas.settle(served) == 1
    assert replicas.settle(served) == 0

    rows = replicas.rows(usage)
    assert [(row["kind"], row["images"], row["cost"]) for row in rows] == [("aborted", 0, 0), ("attempt", 1, 200_000_000)]
    assert rows[0]["request_id"] == rows[1]["request_id"]


def test_a_task_left_behind_at_a_hop_before_is_not_forgotten(replicas: Replicas, provider: Make) -> None:
    first, second = provider(TAKEN, *[failed(503)] * 7, DONE), provider(TAKEN, DONE)
    made = config(first)
    made["providers"]["b"] = config(second)["providers"]["a"]
    made["models"]["m"]["fallback"] = ["b/wan2.2-t2i-plus"]
    served = replicas.serve_as(made)

    assert images(served).headers["x-banjia-provider"] == "b"
    until(lambda: len(replicas.rows(usage)) == 1 and b'"b"' not in replicas.tasks()[0]["body"])
    assert replicas.settle(served) == 1

    assert [(row["kind"], row["account"], row["images"]) for row in replicas.rows(usage)] == [("failed_over", "b", 1), ("attempt", "a", 1)]


def test_a_request_that_comes_again_after_a_restart_takes_up_its_task(replicas: Replicas, provider: Make) -> None:
    one = provider(TAKEN, (HOLD,), DONE)
    leave(replicas.serve(one), **WANTED)
    (task,) = until(replicas.tasks)
    assert b'"t1"' in task["body"]
    replicas.forget_claims()

    reply = images(replicas.serve(one), **WANTED)

    assert reply.json()["data"] == [{"url": "https://a.test/1.png"}]
    one.let_go()  # what the first gateway was waiting for: it finds the task as well, and books nothing more
    until(lambda: len(asked(one)) > 3)
    assert [path for path in asked(one) if path.startswith("POST")] == ["POST /services/aigc/text2image/image-synthesis"]
    until(lambda: not replicas.tasks())
    assert [row["images"] for row in replicas.rows(usage)] == [1]


def test_another_request_under_the_same_key_gets_a_task_of_its_own(replicas: Replicas, provider: Make) -> None:
    one = provider(TAKEN, (HOLD,), TAKEN, DONE)
    leave(replicas.serve(one), **WANTED)
    until(replicas.tasks)
    replicas.forget_claims()

    served = replicas.serve(one)
    reply = served.client.post("/v1/images/generations", json={**BODY, "prompt": "a blue bridge"}, headers=WANTED)

    assert reply.status_code == 200
    assert sum(path.startswith("POST") for path in asked(one)) == 2


def test_what_was_settled_without_the_client_is_not_booked_again_when_it_comes_back(replicas: Replicas, provider: Make) -> None:
    one = provider(TAKEN, (HOLD,), DONE)
    leave(replicas.serve(one), **WANTED)
    until(replicas.tasks)
    replicas.forget_claims()
    served = replicas.serve(one)

    assert replicas.settle(served) == 1
    assert images(served, **WANTED).status_code == 200

    assert [(row["kind"], row["images"]) for row in replicas.rows(usage)] == [("attempt", 1)]


def test_nothing_is_settled_of_what_somebody_still_waits_for(replicas: Replicas, provider: Make, background: Background) -> None:
    served = replicas.serve(provider(TAKEN, (HOLD,), DONE))
    leave(served, **WANTED)
    until(replicas.tasks)

    assert background.run(settle(served.app.serving)) == 0


STEPS: tuple[Step, ...] = (TAKEN, RUNNING, DONE)


def test_without_a_store_tasks_are_looked_after_all_the_same(gateway: Gateway, provider: Make) -> None:
    assert images(gateway(config(provider(*STEPS)))).status_code == 200
