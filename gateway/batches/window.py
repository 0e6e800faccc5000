"""Some lines of a batch, answered beside each other. An answer counts when it is in the database; then it is not asked for again."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any

from msgspec import Struct, field

from gateway.batches.answering import Answer
from gateway.batches.lines import Line
from gateway.batches.state import ANSWERS, WINDOW
from gateway.objects import Object, Objects, Taken
from gateway.store.errors import StoreError

log = logging.getLogger(__name__)

MOST_LINES = 1000
MOST_BYTES = 16 << 20
"""Of answers that are held until they are written together."""
AT_ONCE = 64
"""Answers that are put in the database together."""
LOOK = 0.25
"""Seconds between looks whether the lines should stop."""
AGAIN = 1.0
"""Seconds after which the database is asked again."""
LEAVING = 5.0
"""Seconds that lines under way get when they should stop."""


class Window(Struct):
    """Lines from `first` on, as many as have been begun."""

    objects: Objects
    team: str
    batch: str
    first: int
    answers: dict[int, Answer] = field(default_factory=dict)
    """What is in the database."""
    offset: int = 0
    """The byte after the last line that was begun."""
    count: int = 0
    passed: list[Line] = field(default_factory=list)
    """What is not asked any more, between lines that are answered."""
    waiting: list[Answer] = field(default_factory=list)
    """What is not there yet."""
    lost: bool = False
    """Somebody else works on the same lines."""

    @property
    def id(self) -> str:
        return f"{self.batch}.{self.first}"

    @property
    def whole(self) -> bool:
        """Whether every line that was begun has its answer."""
        return not self.waiting and len(self.answers) == self.count

    async def open(self) -> None:
        """Finds what was answered before a crash. Raises StoreError."""
        if await self.objects.get(WINDOW, self.team, self.id) is None:
            try:
                await self.objects.create(Object(self.id, WINDOW, self.team, {}, 0.0, parent=self.batch))
            except Taken:
                self.lost = True
        after = ""
        while True:
            page = await self.objects.list(ANSWERS, self.team, parent=self.id, after=after, limit=50, newest_first=False)
            for group in page.objects:
                for number, good, line, body in group.body["answers"]:
                    self.answers.setdefault(number, Answer(number, good, line.encode(), body))
            if not page.more:
                return
            after = page.objects[-1].id

    async def close(self) -> None:
        """Its answers are elsewhere now. Raises StoreError."""
        await self.objects.delete(WINDOW, self.team, self.id)

    async def work(
        self,
        lines: AsyncIterator[Line],
        ask: Callable[[Line], Coroutine[Any, Any, Answer | None]],
        *,
        room: Callable[[int], bool],
        enough: Callable[[], bool],
        cut: Callable[[], bool],
        kept: Callable[[], Awaitable[None]],
        pace: Callable[[], Awaitable[None]],
    ) -> bool:
        """Has lines answered until there are none, or enough; whether there are more. `room`: whether one more may be begun, given how many
        are under way or not durable yet: no more than those are asked again after a crash. `cut`: whether not even those should be waited
        for. `kept` is called when answers have become durable, `pace` when a line has been begun."""
        under_way: set[asyncio.Task[Answer | None]] = set()
        keeping: asyncio.Task[None] | None = None
        held = 0
        more = False
        last = max(self.answers, default=-1)  # of those that were answered before a crash

        async def collect(wait: float) -> None:
            """What is done goes into the database, while others go on."""
            nonlocal keeping, held
            if wait and (awaited := {*under_way, *([keeping] if keeping is not None else [])}):
                await asyncio.wait(awaited, timeout=wait, return_when=asyncio.FIRST_COMPLETED)
            held += self._done(under_way)
            if keeping is not None and (keeping.done() or len(self.waiting) > AT_ONCE):
                await keeping
                keeping = None
            if self.waiting and keeping is None:
                keeping = asyncio.create_task(self._keep(kept, cut))

        try:
            async for line in lines:
                await collect(0)
                while not room(len(under_way) + len(self.waiting)) and not cut():
                    await collect(LOOK)
                full = self.count >= MOST_LINES or held >= MOST_BYTES or enough()
                if full and (line.number > last or cut()):
                    more = True
                    break
                self.count += 1
                self.offset = line.end
                if line.number in self.answers:
                    held += len(self.answers[line.number].line)
                elif full:
                    self.passed.append(line)
                else:
                    under_way.add(asyncio.create_task(ask(line)))
                    await pace()
            while under_way and not cut():
                await collect(LOOK)
            if under_way:
                await asyncio.wait(under_way, timeout=LEAVING)
                self._done(under_way)
            if keeping is not None:
                await keeping
            await self._keep(kept, cut)
        finally:
            others = [*under_way, *([keeping] if keeping is not None else [])]
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)
        return more

    def _done(self, under_way: set[asyncio.Task[Answer | None]]) -> int:
        """Bytes of the answers that have come."""
        done = {task for task in under_way if task.done()}
        under_way -= done
        answers = [answer for task in done if (answer := task.result()) is not None]
        self.waiting += answers
        return sum(len(answer.line) for answer in answers)

    async def _keep(self, kept: Callable[[], Awaitable[None]], cut: Callable[[], bool]) -> None:
        """Puts what waits into the database; while that is not there, no further line is begun."""
        while self.waiting and not self.lost:
            some = self.waiting[:AT_ONCE]
            body = {"answers": [[one.number, one.good, one.line.decode(), {"usage": one.body.get("usage")}] for one in some]}
            try:
                await self.objects.create(
                    Object(f"{self.id}.{min(one.number for one in some)}", ANSWERS, self.team, body, 0.0, parent=self.id)
                )
            except Taken:
                self.lost = True
                return
            except StoreError as error:
                log.warning("batch %s: answers are not kept yet: %s", self.batch, error)
                if cut():
                    return
                await asyncio.sleep(AGAIN)
                continue
            self.answers |= {one.number: one for one in some}
            del self.waiting[: len(some)]
            await kept()
