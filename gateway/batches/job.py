"""Batches as jobs: a turn each, and a look each minute that none has been left alone."""

import logging
from collections.abc import Callable
from typing import Any

from gateway.api.objects import needed
from gateway.api.serving import Serving
from gateway.batches.runner import Runner
from gateway.batches.state import KIND, OPEN
from gateway.jobs.base import Job, Steps
from gateway.objects import Object, changed
from gateway.store.errors import StoreError
from providers.base import Json

log = logging.getLogger(__name__)

JOB = "batch"
PAGE = 100


def batch_jobs(serving: Callable[[], Serving]) -> list[Job]:
    runner = Runner(serving)

    async def batch(steps: Steps, given: Any) -> Any:
        team, id, turn = given
        more: bool = await steps.do("answer lines", lambda: runner.turn(team, id))
        if more:
            await steps.do("go on", lambda: begun(serving(), team, id, turn + 1))
        return more

    async def look(steps: Steps, _: Any) -> Any:
        return await steps.do("look", lambda: looked_after(serving()))

    return [Job(JOB, batch), Job("batches", look, "* * * * *")]


async def begun(serving: Serving, team: str, id: str, turn: int) -> None:
    """Has a batch worked on. Turns have numbers, that none is taken twice. Raises StoreError."""

    def numbered(body: Json) -> Json | None:
        return {**body, "turn": turn} if body["turn"] < turn else None

    if turn and await changed(needed(serving), KIND, team, id, numbered) is None:
        return
    if serving.jobs is not None:
        await serving.jobs.start(JOB, [team, id, turn], id=run_of(id, turn))


def run_of(id: str, turn: int) -> str:
    return f"{id}.{turn}"


async def looked_after(serving: Serving) -> int:
    """Begins batches that nobody works on, since something failed; how many."""
    if serving.objects is None or serving.jobs is None:
        return 0
    count, after = 0, ""
    while True:
        page = await serving.objects.list(KIND, None, tag=OPEN, after=after, limit=PAGE, newest_first=False)
        for one in page.objects:
            count += await _looked_after(serving, one)
        if not page.more:
            return count
        after = page.objects[-1].id


async def _looked_after(serving: Serving, one: Object) -> int:
    assert serving.jobs is not None
    turn = one.body["turn"]
    try:
        run = await serving.jobs.look(run_of(one.id, turn))
        if run is not None and run.state in ("waiting", "running"):
            return 0
        if run is not None:
            log.info("batch %s is begun again: its turn %d has %s", one.id, turn, run.state)
        await begun(serving, one.team, one.id, turn if run is None else turn + 1)
    except StoreError as error:
        log.warning("batch %s was not looked after: %s", one.id, error)
        return 0
    return 1
