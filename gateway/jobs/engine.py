"""Jobs on DBOS, which keeps what they have done in the database: docs/decisions/0001-job-engine.md says why it is this one.

It is loaded and started by a thread when the gateway serves already, and again and again if the database is not there then. Its threads
ask the database once a second what there is to do. With SQLite it has a file of its own beside the other one, so that neither waits for the
other; in PostgreSQL a schema, `banjia_jobs`, that it makes itself.
"""

import asyncio
import logging
import sqlite3
import time
import warnings
from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing
from contextvars import Context
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import uuid4

from gateway.jobs.base import Job, Run, State, Steps
from gateway.jobs.presence import Presence
from gateway.store.engine import Store
from gateway.store.errors import StoreError, StoreLost

if TYPE_CHECKING:
    from dbos import DBOSConfig, WorkflowStatus
    from sqlalchemy import Engine

log = logging.getLogger(__name__)

T = TypeVar("T")

QUEUE = "jobs"
AT_ONCE = 4
"""Jobs that one replica runs at the same time, beside those that have places of their own."""
EVERY = 1.0
"""Seconds between looks for jobs to be done."""
SELDOM = 60.0
"""The same for what there is none of."""
LATER = 1.0
"""Seconds after the start of the gateway at which the engine is loaded."""
AGAIN = (5.0, 60.0)
"""Seconds after which a start that failed is tried again: at first, and at most."""
SURE = 10.0
"""Seconds for which a process has to be gone before others take over its jobs: when the database comes back, all seem gone for a moment."""
KEPT = 86_400.0
"""Seconds for which it is kept that a job of the schedule has run."""
EVERY_MINUTE = "* * * * *"
VERSION = "1"
"""The same for all releases, or the engine would leave the jobs of an older one alone."""
STATES: dict[str, State] = {
    "ENQUEUED": "waiting",
    "DELAYED": "waiting",
    "PENDING": "running",
    "SUCCESS": "done",
    "CANCELLED": "cancelled",
}
"""All others: failed."""
_open: "list[Jobs]" = []
"""DBOS has one instance in a process."""


class Jobs:
    """The jobs of one process. Opened after the store, closed before it."""

    def __init__(
        self,
        store: Store,
        jobs: Sequence[Job] = (),
        *,
        later: float = LATER,
        every: float = EVERY,
        again: tuple[float, float] = AGAIN,
        sure: float = SURE,
        orphans: str = EVERY_MINUTE,
    ) -> None:
        self._store = store
        path = store.location.path
        self._folder = path.with_name(f"{path.name}.jobs") if path.name else path  # of SQLite alone
        self._name = uuid4().hex
        known = (*jobs, Job("orphans", self._orphans, orphans), Job("tidy", self._tidy, "17 * * * *"))
        self._jobs = {job.name: job for job in known}
        if len(self._jobs) < len(known):
            raise ValueError(f"two jobs have the same name: {', '.join(job.name for job in known)}")
        self._presence = Presence(store, self._folder, self._name)
        self._later = later
        self._every = every
        self._again = again
        self._sure = sure
        self._loop: asyncio.AbstractEventLoop | None = None
        self._starting: asyncio.Task[None] | None = None
        self._started = asyncio.Event()
        self._engine: Engine | None = None
        self.degraded = ""
        """Why no jobs run at the moment."""

    async def open(self) -> None:
        if _open:
            raise RuntimeError("there are jobs in this process already")
        _open.append(self)
        self._loop = asyncio.get_running_loop()
        self._starting = asyncio.create_task(self._start_up())

    async def close(self) -> None:
        """What runs is left where it is, and goes on at the next start."""
        if self not in _open:
            return
        if self._starting is not None:
            self._starting.cancel()
            await asyncio.gather(self._starting, return_exceptions=True)
        if self._started.is_set():
            await asyncio.to_thread(self._stop)
            self._started.clear()
        await self._presence.close()
        _open.remove(self)

    async def ready(self) -> None:
        """Returns when jobs run."""
        await self._started.wait()

    # ---- what others ask for ----

    async def start(self, job: str, given: Any = None, *, id: str) -> None:
        """Starts a job on one of the replicas. A second time under the same id it does nothing. Raises KeyError for a job that there is
        not, StoreLost while no jobs can be started."""
        await self._call(partial(_enqueue, job=self._jobs[job], id=id, given=given))

    async def look(self, id: str) -> Run | None:
        """How a run stands. Raises StoreLost."""
        found: list[WorkflowStatus] = await self._call(lambda dbos: dbos.list_workflows(workflow_ids=[id], load_input=False))
        return _run_of(found[0]) if found else None

    async def cancel(self, id: str) -> None:
        """It does no further step. Raises StoreLost."""
        await self._call(lambda dbos: dbos.cancel_workflow(id))

    async def _call(self, work: Callable[[Any], T]) -> T:
        """Work with the engine's blocking interface."""
        if not self._started.is_set():
            raise StoreLost(self.degraded or "jobs are being started")
        from dbos import DBOS

        return await asyncio.to_thread(work, DBOS)

    # ---- starting ----

    async def _start_up(self) -> None:
        await asyncio.sleep(self._later)
        pause, most = self._again
        while True:
            try:
                if self._store.location.dialect == "sqlite":
                    await asyncio.to_thread(prepared, self._folder)
                await self._presence.open()
                launching = asyncio.create_task(asyncio.to_thread(self._launch))
                try:
                    await asyncio.shield(launching)
                finally:
                    await asyncio.wait((launching,))  # a thread cannot be cancelled: whoever closes us meanwhile waits for it
                    if not launching.cancelled() and launching.exception() is None:
                        self._started.set()
                break
            except Exception as error:
                self.degraded = f"jobs do not run: {_said(error)}"
                log.warning("%s; the next attempt is in %g s", self.degraded, pause)
                await self._presence.close()
            await asyncio.sleep(pause)
            pause = min(2 * pause, most)
        self.degraded = ""
        try:
            await self._take_over(await self._suspects())
        except Exception as error:
            log.warning("jobs of processes that have ended were not looked for: %s", _said(error))

    def _launch(self) -> None:
        """Blocks for some tenths of a second, or until the database has not answered for a while."""
        _quiet()
        from dbos import DBOS

        engine = self._engine = None if self._store.location.dialect == "sqlite" else _engine(self._store.location.url)
        config: DBOSConfig = {
            "name": "banjia",
            "system_database_url": f"sqlite:///{self._folder}/engine.db" if engine is None else None,
            "system_database_engine": engine,
            "dbos_system_schema": "banjia_jobs",
            "sys_db_pool_size": 4,
            "use_listen_notify": False,
            "executor_id": self._name,
            "application_version": VERSION,
            "serializer": _json(),
            "log_level": "WARNING",
            "max_executor_threads": 16,
            "scheduler_polling_interval_sec": 60.0,
            "enable_otlp": False,
        }
        try:
            _calm(DBOS(config=config))
            schedules = [(job, self._registered(job)) for job in self._jobs.values()]
            DBOS.launch()
            for queue, at_once in {QUEUE: AT_ONCE, **{_queue_of(job): job.at_once or AT_ONCE for job in self._jobs.values()}}.items():
                DBOS.register_queue(queue, worker_concurrency=at_once, polling_interval_sec=self._every, on_conflict="always_update")
            DBOS.apply_schedules(
                [
                    {
                        "schedule_name": job.name,
                        "workflow_fn": workflow,
                        "schedule": job.every,
                        "queue_name": _queue_of(job),
                        "context": None,
                    }
                    for job, workflow in schedules
                    if job.every
                ]
            )
        except BaseException:
            self._stop()
            raise

    def _stop(self) -> None:
        """Blocks for half a second: the engine's threads look that often whether they should end."""
        from dbos import DBOS

        # it takes up runs until its very end; one that it cannot begin any more is begun at the next start, or by another replica
        warnings.filterwarnings("ignore", r"coroutine '.*\.start_workflow_task' was never awaited", RuntimeWarning)
        DBOS.destroy(destroy_registry=True)
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None

    def _registered(self, job: Job) -> Callable[..., Any]:
        from dbos import DBOS

        assert self._loop is not None
        steps = _Steps(self._loop)

        async def workflow(due: str, given: Any) -> Any:
            try:
                return await job.run(steps, str(due) if due else given)
            except Exception as error:
                log.warning("job %s failed: %s", job.name, _said(error), exc_info=None if isinstance(error, StoreError) else error)
                raise

        return DBOS.workflow(name=_workflow_name(job.name), max_recovery_attempts=100)(workflow)

    # ---- jobs of the engine's own ----

    async def _orphans(self, steps: Steps, _: Any) -> int:
        """Takes over what processes were doing that have ended."""
        suspects: list[str] = await steps.do("suspects", self._suspects)
        if not suspects:
            return 0
        await asyncio.sleep(self._sure)
        return await steps.do("take over", partial(self._take_over, suspects))

    async def _suspects(self) -> list[str]:
        """Those that seem to have ended with work left."""
        running: list[WorkflowStatus] = await self._call(
            lambda dbos: dbos.list_workflows(status="PENDING", load_input=False, load_output=False)
        )
        found = []
        for name in {run.executor_id for run in running if run.executor_id}:
            async with self._presence.gone(name) as gone:
                if gone:
                    found.append(name)
        return found

    async def _take_over(self, names: list[str]) -> int:
        count = 0
        for name in names:
            async with self._presence.gone(name) as gone:
                if gone:
                    count += await self._call(partial(_resume, of=name))
        if count:
            log.info("%d jobs of processes that have ended go on", count)
        return count

    async def _tidy(self, steps: Steps, _: Any) -> int:
        """Forgets what has run by the schedule, a day later. Runs that somebody has started stay with whoever knows their id."""
        scheduled = [job.name for job in self._jobs.values() if job.every]
        return await steps.do("forget", lambda: self._call(partial(_forget, schedules=scheduled, before=time.time() - KEPT)))


class _Steps:
    """Steps on DBOS, done in the gateway's loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    async def do(self, name: str, work: Callable[[], Awaitable[T]]) -> T:
        from dbos import DBOS

        async def awaited() -> T:
            return await work()

        async def there() -> T:
            send = asyncio.run_coroutine_threadsafe
            return await asyncio.wrap_future(Context().run(send, awaited(), self._loop))  # what the engine knows of the job stays here

        return await DBOS.run_step_async({"name": name}, there)


# ---- what is called in threads ----


def prepared(folder: Path) -> None:
    """The engine's file, in the mode in which readers do not wait for writers."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with closing(sqlite3.connect(folder / "engine.db", timeout=10)) as database:
        database.execute("PRAGMA journal_mode = WAL")


def _engine(url: str) -> "Engine":
    """Of our own making: DBOS's would look for the database `postgres` too, to make ours if it is not there."""
    from sqlalchemy import create_engine, make_url

    options = {"application_name": "banjia jobs", "connect_timeout": 5, "options": "-c idle_in_transaction_session_timeout=60000"}
    return create_engine(
        make_url(url).set(drivername="postgresql+psycopg"),
        pool_size=2,
        max_overflow=2,
        pool_timeout=30,
        pool_pre_ping=True,
        connect_args=options,
    )


def _calm(dbos: Any) -> None:
    """The engine looks every second into a queue of its own, and for runs that are to be put off or to time out. There are none of either
    here, and looking takes as long as fifty requests."""
    from dbos import _workflow_commands

    dbos._registry.get_internal_queue()._polling_interval_sec = SELDOM
    assert _workflow_commands._BACKGROUND_JOBS_INTERVAL_SEC
    _workflow_commands._BACKGROUND_JOBS_INTERVAL_SEC = SELDOM


def _json() -> Any:
    from dbos import DBOSPortableJSONSerializer

    return DBOSPortableJSONSerializer()  # its usual one is pickle: whoever writes to the database could run code


def _enqueue(dbos: Any, job: Job, id: str, given: Any) -> None:
    options = {"workflow_name": _workflow_name(job.name), "queue_name": _queue_of(job), "workflow_id": id}
    dbos.enqueue_workflow_with_options(options, "", given)


def _resume(dbos: Any, of: str) -> int:
    runs = dbos.list_workflows(status="PENDING", executor_id=of, load_input=False, load_output=False)
    for run in runs:
        dbos.resume_workflow(run.workflow_id, queue_name=run.queue_name or QUEUE)
    return len(runs)


def _forget(dbos: Any, schedules: list[str], before: float) -> int:
    count = 0
    until = datetime.fromtimestamp(before, UTC).isoformat()
    some = partial(dbos.list_workflows, schedule_name=schedules, completed_before=until, limit=500, load_input=False, load_output=False)
    while runs := some():
        dbos.delete_workflows([run.workflow_id for run in runs])
        count += len(runs)
    return count


def _workflow_name(job: str) -> str:
    return f"banjia.{job}"


def _queue_of(job: Job) -> str:
    return f"{QUEUE}.{job.name}" if job.at_once else QUEUE


def _run_of(found: "WorkflowStatus") -> Run:
    error = "" if found.error is None else _said(found.error)
    return Run(found.workflow_id, found.name.removeprefix("banjia."), STATES.get(found.status, "failed"), found.output, error)


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:300]}"


class _Seldom(logging.Filter):
    """The same of the engine's warnings is heard once a minute: while the database is lost each of its threads has one a second."""

    def __init__(self) -> None:
        super().__init__()
        self._heard: dict[tuple[str, int], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        place, now = (record.pathname, record.lineno), time.monotonic()
        if now - self._heard.get(place, -60.0) < 60.0:
            return False
        self._heard[place] = now
        record.msg, record.args = (str(record.getMessage()).splitlines() or [""])[0][:300], ()
        return True


def _quiet() -> None:
    """Its words go where ours go: it adds a handler of its own only if there is none."""
    logger = logging.getLogger("dbos")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
        logger.addFilter(_Seldom())
