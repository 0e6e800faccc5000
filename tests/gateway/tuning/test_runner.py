"""What keeps a tuning job going: a job that was never started, one whose run has failed, a database that is lost for a while."""

import asyncio
from collections.abc import Awaitable, Callable
from time import time
from typing import Any

import pytest

from gateway.jobs.base import Run
from gateway.objects import Object
from gateway.store.errors import StoreLost
from gateway.tuning import runner
from gateway.tuning.files import data_of
from gateway.tuning.runner import Runner, free, steady
from tests.gateway.tuning.conftest import Tuner


class Steps:
    """Done at once, and written down nowhere."""

    async def do(self, name: str, work: Callable[[], Awaitable[Any]]) -> Any:
        return await work()


class Runs:
    degraded = ""

    def __init__(self, **states: Any) -> None:
        self._states = states

    async def start(self, job: str, given: Any = None, *, id: str) -> None:
        raise AssertionError(id)

    async def look(self, id: str) -> Run | None:
        state = self._states.get(id.replace(".", "_"))
        return None if state is None else Run(id, "tuning", state)

    async def cancel(self, id: str) -> None:
        raise AssertionError(id)


def test_a_job_that_was_written_down_and_not_started_is_started(tuning: Tuner) -> None:
    id = "ftjob-left"
    head = {"id": id, "object": "fine_tuning.job", "model": "gpt-4o-mini", "status": "validating_files"}
    job = {**head, "training_file": tuning.file(), "validation_file": None}
    work = {"account": "z", "model": "glm-4-flash-250414", "method": "supervised", "hyper": {}, "name": "ft:gpt-4o-mini:red:left"}
    tuning.background.run(tuning.objects.create(Object(id, "ftjob", "red", {"job": job, "work": work}, time())))

    started = tuning.background.run(Runner(lambda: tuning.app.serving, data_of).left(Steps(), None))
    again = tuning.background.run(Runner(lambda: tuning.app.serving, data_of).left(Steps(), None))
    asyncio.run_coroutine_threadsafe(tuning._over(id), tuning.background.loop).result(20)

    assert (started, again) == (1, 0)
    found = tuning.background.run(tuning.objects.get("ftjob", "red", id))
    assert found is not None
    assert found.body["job"]["status"] == "succeeded"


@pytest.mark.parametrize(
    ("states", "name"),
    [
        ({}, "j"),
        ({"j": "running"}, ""),
        ({"j": "waiting"}, ""),
        ({"j": "failed"}, "j.1"),
        ({"j": "failed", "j_1": "failed"}, "j.2"),
        ({"j": "failed", "j_1": "running"}, ""),
        ({"j": "failed", **{f"j_{n}": "failed" for n in range(1, 5)}}, ""),
    ],
    ids=str,
)
def test_a_job_whose_run_has_failed_is_run_again_a_few_times(states: dict[str, str], name: str) -> None:
    assert asyncio.run(free(Runs(**states), "j")) == name


def test_a_step_waits_for_a_lost_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "AGAIN", 0.0)
    tried: list[int] = []

    async def step() -> str:
        tried.append(1)
        if len(tried) < 3:
            raise StoreLost("gone")
        return "training"

    async def go() -> str:
        return await steady(step)()

    assert asyncio.run(go()) == "training"
    assert len(tried) == 3
