"""Writes usage so that it is durable before a client sees the end of its answer, whatever becomes of the database.

As long as the database takes them, records that come while others are being written go into the next transaction together. When it does
not, or takes longer than `PATIENCE`, they go to the journal on the disk, and when that fails too, are held in memory; meanwhile one task
tries to write what waits, in the order it came, and when all of it is in the database, that is written to directly again. A record may
reach the database twice on the way, by a timeout or a crash: its id makes it one.

With 64 who wait at a time, a record costs 10 µs of CPU with SQLite, 2 of them in the event loop, and some 8 with PostgreSQL, besides its
own; alone it costs some 300, most of it for the disk.

At most `MOST` records wait. Those that come when there are as many are lost, and counted: the ones that wait were promised to be kept, a
new one was not yet.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from time import thread_time
from typing import Any, Literal, Protocol

from gateway.accounting.record import UsageRecord, cleaned
from gateway.store.errors import StoreError, StoreLost, Unfit
from gateway.store.journal import Journal

log = logging.getLogger(__name__)

Kept = Literal["database", "journal", "memory", "lost"]
"""Where a record is when its writing is over."""

MOST = 100_000
PATIENCE = 1.0
"""Seconds that the database may take for what was just written, and the disk for the journal."""
SPACING = 0.01
"""Seconds from the beginning of one transaction of many records to that of the next, at least, while the event loop is busy: each costs as
much as twenty records, so then there are not more of them than need be. While it has time, nobody waits for company."""
BUSY = 0.5
"""From this share of the time on in which the event loop works."""
LOOK_AFTER = 0.05
"""Seconds over which that is measured."""
MANY = 5
"""Records: after fewer the next transaction may begin sooner, and a record that is alone waits for nobody."""
MOST_TOGETHER = 1024
"""Records in one transaction."""
RECOVERY = 500
"""Records of the journal in one transaction."""
RECOVERY_WITHIN = 30.0
"""Seconds that it may take."""
RETRY_AFTER, RETRY_MOST = 0.1, 2.0
"""Seconds between attempts to reach the database: at first, and at most."""


class Database(Protocol):
    """What takes the records."""

    async def prepare(self) -> None:
        """Sees whether it is there, and does what must be done before records can be inserted. Raises StoreError."""

    async def insert(self, records: Sequence[UsageRecord]) -> None:
        """They are durable when this returns; what it knows already, it leaves as it is. Raises StoreLost, Unfit."""

    def forget(self) -> None:
        """Something was broken off: begin anew the next time."""


class Writer:
    """Takes records from the event loop that it was opened in."""

    def __init__(
        self, database: Database, journal: Journal, *, most: int = MOST, patience: float = PATIENCE, spacing: float = SPACING
    ) -> None:
        self._database = database
        self._journal = journal
        self._most = most
        self._patience = patience
        self._spacing = spacing
        self._disk = ThreadPoolExecutor(1, "journal")
        self._loop: asyncio.AbstractEventLoop = None  # type: ignore[assignment]  # from `open` on
        self._coming: list[tuple[UsageRecord, asyncio.Future[Kept]]] = []
        self._come = asyncio.Event()
        self._held: list[UsageRecord] = []
        """What waits in memory because the journal does not take it; newer than all that is in the journal."""
        self._disk_at = 0.0
        """When the journal is tried again."""
        self._turn = asyncio.Lock()
        """Held by whoever decides where records go."""
        self._tasks: list[asyncio.Task[None]] = []
        self._closing = False
        self._load = (0.0, 0.0, False)
        """When it was looked last how much the event loop works, its CPU time then, and whether that was much."""
        self.degraded = ""
        """Why records do not go to the database directly; empty when they do."""
        self.lost = 0
        """Records that are nowhere."""

    @property
    def pending(self) -> int:
        """Records that are kept, but not in the database yet."""
        return self._journal.pending + len(self._held)

    async def open(self, lost: str = "") -> None:
        """`lost`: why the database cannot be used at the start, if it cannot."""
        self._loop = asyncio.get_running_loop()
        try:
            await self._loop.run_in_executor(self._disk, self._journal.open)
        except OSError as error:
            log.error("usage cannot be kept on this disk (%s): while the database is lost it is held in memory", error)
        self._tasks = [self._loop.create_task(self._write())]
        if lost:
            self._degrade(lost)
        elif self.pending:
            self._degrade(f"{self.pending} records of an earlier run are being written")

    def write(self, record: UsageRecord) -> "asyncio.Future[Kept]":
        """Await it to know where the record is kept; unless that is "lost", it survives the process, or with "memory" at least the
        database's absence. Never raises."""
        done: asyncio.Future[Kept] = self._loop.create_future()
        if self._closing or len(self._coming) >= self._most:
            self.lost += 1
            done.set_result("lost")
            return done
        if not self._coming:
            self._come.set()
        self._coming.append((record, done))
        return done

    async def write_required(self, record: UsageRecord) -> None:
        """For those who must not be served without the database. Raises StoreLost if the record is not in it; it is kept all the same."""
        kept = await self.write(record)
        if kept != "database":
            raise StoreLost(self.degraded or "the database did not take the record")

    async def close(self) -> None:
        """Writes what has come. What waits in the journal stays there for the next start."""
        self._closing = True
        self._come.set()
        writing, *others = self._tasks
        for task in others:
            task.cancel()
        await asyncio.gather(writing, *others, return_exceptions=True)
        if self._held:
            self.lost += len(self._held)
            log.error("%d usage records are lost: neither the database nor the disk took them", len(self._held))
        with suppress(OSError, TimeoutError):
            await self._on_disk(self._journal.close)
        self._disk.shutdown(wait=False)

    # ---- what has come ----

    async def _write(self) -> None:
        while True:
            if not self._coming:
                if self._closing:
                    return
                self._come.clear()
                await self._come.wait()
                continue
            began = self._loop.time()
            batch, self._coming = self._coming[:MOST_TOGETHER], self._coming[MOST_TOGETHER:]
            records = [record for record, _ in batch]
            async with self._turn:
                kept = await self._put(records)
            for number, (_, done) in enumerate(batch):
                if not done.done():  # who waits for it may have been cancelled
                    done.set_result(kept if number < len(records) else "lost")
            if self._spacing and self._busy(began):
                spacing = self._spacing * min(1.0, len(batch) / MANY)
                if (rest := began + spacing - self._loop.time()) > 0 and not self._closing:
                    await asyncio.sleep(rest)

    def _busy(self, now: float) -> bool:
        """Whether the event loop, whose thread this is, works most of the time."""
        seen, worked, busy = self._load
        if now - seen >= LOOK_AFTER:
            working = thread_time()
            busy = working - worked > BUSY * (now - seen)
            self._load = (now, working, busy)
        return busy

    async def _put(self, records: list[UsageRecord]) -> Kept:
        """Where they are now. Shortens the list to what there was room for."""
        if not self.degraded:
            try:
                async with asyncio.timeout(self._patience):
                    await self._insert(records)
                return "database"
            except TimeoutError:
                self._database.forget()
                self._degrade(f"no answer for {self._patience:g} s")
            except StoreError as error:
                self._degrade(str(error))
            except Exception as error:
                log.exception("usage could not be written")
                self._degrade(str(error))
        room = max(0, self._most - self.pending)
        if len(records) > room:
            if not self.lost:
                log.error("%d usage records wait for the database, as many as may: what comes now is lost", self.pending)
            self.lost += len(records) - room
            del records[room:]
        if not records:
            return "lost"
        return await self._keep(records)

    async def _keep(self, records: list[UsageRecord]) -> Kept:
        """In the journal, after what is held in memory because that could not be."""
        if self._held and self._loop.time() < self._disk_at:
            self._held += records
            return "memory"
        waiting = [*self._held, *records]
        try:
            await self._on_disk(self._journal.append, waiting[:MOST_TOGETHER])
        except (OSError, TimeoutError) as error:
            if not self._held:
                log.error("usage cannot be kept on disk (%s): it is held in memory", error)
            self._disk_at = self._loop.time() + RETRY_MOST
            self._held = waiting
            return "memory"
        self._held = waiting[MOST_TOGETHER:]
        return "memory" if self._held else "journal"

    async def _insert(self, records: Sequence[UsageRecord]) -> None:
        """Raises StoreLost."""
        try:
            if records:
                await self._database.insert(records)
        except Unfit:
            for record in records:
                await self._insert_alone(cleaned(record))

    async def _insert_alone(self, record: UsageRecord) -> None:
        try:
            await self._database.insert([record])
        except Unfit as error:
            self.lost += 1
            log.error("the database refuses a usage record for what it is, and it is lost: %s: %s", error, record)

    # ---- what waits ----

    def _degrade(self, why: str) -> None:
        self.degraded = why
        log.warning("usage goes to the journal: %s", why)
        self._tasks[1:] = [self._loop.create_task(self._recover())]

    async def _recover(self) -> None:
        """Until the database is written to directly again."""
        pause = 0.0
        while True:
            await asyncio.sleep(pause)
            try:
                await self._catch_up()
            except StoreError as error:
                self.degraded = str(error)
            except (OSError, TimeoutError) as error:
                self._database.forget()
                self.degraded = str(error) or f"no answer for {RECOVERY_WITHIN:g} s"
            except Exception as error:  # nobody would write what waits if this task ended
                log.exception("usage that waits could not be written")
                self.degraded = str(error)
            else:
                return
            pause = min(max(pause * 2, RETRY_AFTER), RETRY_MOST)

    async def _catch_up(self) -> None:
        """Writes all that waits. Raises what the database and the disk do, and StoreLost if it goes on being slow."""
        took = await self._timed(self._database.prepare())
        while True:
            async with self._turn:
                if not self.pending:
                    if took > self._patience / 2:
                        raise StoreLost(f"slow: {took:.1f} s for a transaction")
                    self.degraded = ""
                    log.warning("usage goes to the database again")
                    return
            if self._journal.pending:
                records = await self._on_disk(self._journal.peek, RECOVERY)
                took = await self._timed(self._insert(records))
                await self._on_disk(self._journal.drop)
            else:
                records = self._held[:RECOVERY]
                took = await self._timed(self._insert(records))
                if self._held and self._held[0] is records[0]:  # or they have gone to the journal meanwhile, and are written once more
                    self._held = self._held[len(records) :]

    async def _timed(self, work: Coroutine[Any, Any, None]) -> float:
        """Seconds."""
        began = self._loop.time()
        async with asyncio.timeout(RECOVERY_WITHIN):
            await work
        return self._loop.time() - began

    async def _on_disk(self, work: Callable[..., Any], *arguments: Any) -> Any:
        async with asyncio.timeout(self._patience):
            return await self._loop.run_in_executor(self._disk, work, *arguments)
