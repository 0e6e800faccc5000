"""Jobs on real databases, and in processes that are killed."""

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from gateway.jobs.base import Job, Run, Steps
from gateway.jobs.engine import AT_ONCE, Jobs
from gateway.store.engine import Store
from gateway.store.errors import StoreLost
from tests.store.postgres import Postgres
from tests.store.stores import until

ROOT = Path(__file__).parents[2]
PATIENCE = 30.0


@asynccontextmanager
async def running(url: str, journal: Path, *jobs: Job) -> AsyncIterator[Jobs]:
    store = Store(url, journal)
    await store.open()
    made = Jobs(store, jobs, later=0, every=0.1, again=(0.2, 0.2))
    await made.open()
    try:
        yield made
    finally:
        await made.close()
        await store.close()


async def over(jobs: Jobs, run: str) -> Run:
    """The run, once it is over."""
    async with asyncio.timeout(PATIENCE):
        while (found := await jobs.look(run)) is None or found.state in ("waiting", "running"):  # noqa: ASYNC110 - of a run nothing is an event
            await asyncio.sleep(0.05)
    return found


async def threaded() -> bool:
    return threading.current_thread() is not threading.main_thread()


def test_a_job_is_done_in_steps_in_the_loop_that_serves_and_once_for_an_id(url: str, journal: Path) -> None:
    done: list[int] = []

    async def add(number: int) -> int:
        done.append(number)
        assert not await threaded()
        return number

    async def adding(steps: Steps, given: Any) -> Any:
        return {"sum": sum([await steps.do(f"add {number}", partial(add, number)) for number in given]), "threaded": await threaded()}

    async def main() -> tuple[Run, Run | None]:
        async with running(url, journal, Job("adding", adding)) as jobs:
            await jobs.ready()
            await jobs.start("adding", [1, 2, 3], id="a")
            first = await over(jobs, "a")
            await jobs.start("adding", [1, 2, 3], id="a")
            return first, await jobs.look("a")

    first, again = asyncio.run(main())

    assert first == again == Run("a", "adding", "done", {"sum": 6, "threaded": True})
    assert done == [1, 2, 3]


def test_a_job_that_fails_says_why_and_one_that_is_cancelled_does_no_further_step(url: str, journal: Path) -> None:
    begun: list[str] = []

    async def failing(steps: Steps, _: Any) -> Any:
        async def fail() -> None:
            raise ValueError("no such line")

        await steps.do("fail", fail)

    async def long(steps: Steps, _: Any) -> Any:
        async def step(name: str) -> None:
            begun.append(name)
            await cancelled.wait()

        for name in ("first", "second"):
            await steps.do(name, partial(step, name))

    cancelled = asyncio.Event()

    async def main() -> tuple[Run, Run]:
        async with running(url, journal, Job("failing", failing), Job("long", long)) as jobs:
            await jobs.ready()
            await jobs.start("failing", id="f")
            await jobs.start("long", id="l")
            failed = await over(jobs, "f")
            await until(lambda: bool(begun))
            await jobs.cancel("l")
            cancelled.set()
            return failed, await over(jobs, "l")

    failed, stopped = asyncio.run(main())

    assert failed.state == "failed"
    assert "no such line" in failed.error
    assert stopped.state == "cancelled"
    assert begun == ["first"]


def test_what_has_places_of_its_own_does_not_wait_behind_the_others(url: str, journal: Path) -> None:
    begun: list[str] = []
    go_on = asyncio.Event()

    async def step(name: str) -> None:
        begun.append(name)
        await go_on.wait()

    async def held(steps: Steps, given: Any) -> Any:
        await steps.do("held", partial(step, given))

    async def quick(steps: Steps, given: Any) -> Any:
        return given

    async def main() -> Run:
        async with running(url, journal, Job("long", held), Job("own", held, at_once=2), Job("quick", quick, at_once=1)) as jobs:
            await jobs.ready()
            for number in range(AT_ONCE + 1):
                await jobs.start("long", f"long {number}", id=f"long {number}")
            await until(lambda: len(begun) == AT_ONCE)
            for number in range(3):
                await jobs.start("own", f"own {number}", id=f"own {number}")
            await until(lambda: len(begun) == AT_ONCE + 2)
            await jobs.start("quick", "done", id="quick")
            run = await over(jobs, "quick")
            await jobs.start("quick", "again", id="again")
            await over(jobs, "again")  # since then there were looks for what else might begin

            assert sorted(begun[AT_ONCE:]) == ["own 0", "own 1"]
            go_on.set()
            await over(jobs, "own 2")
            await over(jobs, f"long {AT_ONCE}")
        return run

    assert asyncio.run(main()).result == "done"
    assert len(begun) == AT_ONCE + 1 + 3


def test_two_jobs_of_one_name_are_refused(tmp_path: Path) -> None:
    async def nothing(steps: Steps, _: Any) -> None: ...

    with pytest.raises(ValueError, match="same name: orphans, orphans, tidy"):
        Jobs(Store(f"sqlite:///{tmp_path}/banjia.db"), [Job("orphans", nothing)])


@pytest.mark.parametrize("at_once", [0, 2])
def test_what_was_under_way_at_the_end_of_a_process_goes_on_in_the_next(url: str, journal: Path, at_once: int) -> None:
    begun: list[str] = []
    go_on = False

    async def step(name: str) -> str:
        begun.append(name)
        if name == "second" and not go_on:
            await asyncio.Event().wait()
        return name

    async def two(steps: Steps, _: Any) -> Any:
        return [await steps.do(name, partial(step, name)) for name in ("first", "second")]

    async def first() -> None:
        async with running(url, journal, Job("two", two, at_once=at_once)) as jobs:
            await jobs.ready()
            await jobs.start("two", id="t")
            await until(lambda: "second" in begun)

    async def second() -> Run:
        async with running(url, journal, Job("two", two, at_once=at_once)) as jobs:
            await jobs.ready()
            return await over(jobs, "t")

    asyncio.run(first())
    go_on = True
    run = asyncio.run(second())

    assert run.result == ["first", "second"]
    assert begun == ["first", "second", "second"]


def test_without_a_database_jobs_wait_for_it_and_nothing_else_does(server: Postgres, journal: Path) -> None:
    ran = 0

    async def step() -> None:
        nonlocal ran
        ran += 1

    async def one(steps: Steps, _: Any) -> None:
        await steps.do("one", step)

    url = server.create()

    async def main() -> float:
        server.stop()
        slowest = 0.0
        async with running(url, journal, Job("one", one)) as jobs:
            began = time.monotonic()
            while not jobs.degraded:
                before = time.monotonic()
                await asyncio.sleep(0.001)
                slowest = max(slowest, time.monotonic() - before)
                assert before - began < PATIENCE
            with pytest.raises(StoreLost):
                await jobs.start("one", id="1")
            await asyncio.to_thread(server.start)
            await jobs.ready()
            await jobs.start("one", id="2")
            await over(jobs, "2")
            await asyncio.to_thread(server.stop)
            await asyncio.to_thread(server.start)
            await jobs.start("one", id="3")
            await over(jobs, "3")
        return slowest

    assert asyncio.run(main()) < 1.0
    assert ran == 2


# ---- processes ----


class Worker:
    def __init__(self, url: str, folder: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "tests.jobs.worker", url, str(folder / "pending"), str(folder / "log")],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1,
        )  # fmt: skip
        self.pid = self._process.pid
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._in, self._out = self._process.stdin, self._process.stdout

    def ready(self) -> None:
        assert self.says() == f"ready {self.pid}"

    def says(self) -> str:
        return self._out.readline().strip()

    def tell(self, line: str) -> None:
        self._in.write(line + "\n")
        self._in.flush()

    def start(self, run: str, *given: Any) -> None:
        self.tell(f"start counting {run} {json.dumps(given)}")

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()

    def end(self) -> str:
        """What else it has said."""
        out, err = self._process.communicate(timeout=PATIENCE)
        return out + err


Start = Callable[[], Worker]


@pytest.fixture
def worker(url: str, tmp_path: Path) -> Iterator[Start]:
    made: list[Worker] = []

    def start() -> Worker:
        made.append(Worker(url, tmp_path))
        return made[-1]

    yield start
    for one in made:
        one.kill()


def lines(folder: Path, of: str) -> list[list[str]]:
    """[what a step did, whose process id], in order."""
    log = folder / "log"
    return [line.split() for line in log.read_text().splitlines() if line.startswith(of)] if log.exists() else []


def wait(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_of_several_replicas_one_does_each_job_and_all_of_them_help(worker: Start, tmp_path: Path) -> None:
    workers = [worker(), worker()]
    for one in workers:
        one.ready()

    for number in range(30):
        for one in workers:  # each run is asked for twice
            one.start(f"run{number}", f"run{number}", 2, 0.05)
    wait(lambda: len(lines(tmp_path, "run")) >= 60 and len(lines(tmp_path, "tick")) >= 3)
    said = [one.end() for one in workers]

    done = Counter(what for what, _ in lines(tmp_path, "run"))
    assert done == Counter(f"run{number}:{step}" for number in range(30) for step in range(2))
    assert {int(pid) for _, pid in lines(tmp_path, "run")} == {one.pid for one in workers}
    ticks = [due for _, due, _ in lines(tmp_path, "tick")]
    assert len(ticks) == len(set(ticks))
    assert said == ["", ""]


@pytest.mark.parametrize("survivor", [False, True], ids=["the next process", "another process"])
def test_after_kill_9_a_job_goes_on_where_it_was(worker: Start, tmp_path: Path, *, survivor: bool) -> None:
    workers = [worker(), worker()] if survivor else [worker()]
    for one in workers:
        one.ready()
    workers[0].start("long", "long", 12, 0.1)
    wait(lambda: len(lines(tmp_path, "long")) >= 5)

    pid = int(lines(tmp_path, "long")[0][1])
    next(one for one in workers if one.pid == pid).kill()
    before = len(lines(tmp_path, "long"))
    if not survivor:
        worker().ready()
    wait(lambda: bool(lines(tmp_path, "long:11")))

    numbers = [int(what.partition(":")[2]) for what, _ in lines(tmp_path, "long")]
    assert {int(pid) for _, pid in lines(tmp_path, "long")[before:]}.isdisjoint({pid})
    assert numbers in (list(range(12)), [*range(before), *range(before - 1, 12)])  # what was under way may be done again


def test_a_start_does_not_wait_for_what_few_need_to_be_loaded() -> None:
    later = ("dbos", "psycopg", "alembic", "asyncpg", "fastapi", "jsonschema_rs", "tiktoken")
    program = f"import sys, gateway.running; print([name for name in {later} if name in sys.modules])"

    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


@pytest.mark.skipif(not os.path.exists("/proc/net/tcp"), reason="needs /proc")
def test_the_engine_opens_no_connection_and_no_port_of_its_own(tmp_path: Path) -> None:
    one = Worker(f"sqlite:///{tmp_path}/banjia.db", tmp_path)
    one.ready()
    one.tell("sockets")

    assert one.says() == "tcp []"
    assert one.end() == ""
