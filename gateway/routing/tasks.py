"""Work that a vendor takes as a task: submitted, asked for again and again, and ended at the vendor where nobody waits for it any more."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from hashlib import sha256
from typing import Protocol, TypeVar

from gateway.deadline import Deadline
from gateway.snapshot import Hop
from providers.base import SHAPELESS, Deferred, Fault, Json, Outgoing

log = logging.getLogger(__name__)

T = TypeVar("T")
FIRST, GROWTH, LONGEST = 0.4, 1.5, 5.0
"""Seconds between two looks at a task: they grow, each less up to half of it by chance."""
PASSING = ("unreachable", "overloaded", "rate_limited", "timeout", "broken")
"""Faults of a look that say nothing of the task."""
MOST_FAULTS = 5
"""Of them in a row."""
FAREWELL = 5.0
"""Seconds that ending a task at the vendor may take."""

Read = Callable[[Hop, Outgoing], Awaitable[bytes]]
"""Sends, and reads a reply that is no error. Raises Fault."""


class Book(Protocol):
    """Where submitted tasks are written down, so that they are not paid for twice. Raises nothing."""

    @property
    def keeps(self) -> bool:
        """Whether somebody may come back for a task: then it is not ended when its request is."""

    async def known(self, hop: Hop, digest: str) -> str:
        """The task that the same request has been given before; "" if there is none. A second call gives the next one."""

    async def note(self, hop: Hop, digest: str, task: str) -> None:
        """Awaited before the task is looked at for the first time."""

    async def failed(self, hop: Hop, task: str) -> None:
        """Nothing comes of it any more."""


async def finished(hop: Hop, translator: Deferred, outgoing: Outgoing, read: Read, deadline: Deadline, book: Book) -> Json:
    """What comes of a request, whether the vendor answers at once or takes a task. Raises Fault."""
    digest = sha256(outgoing.url.encode() + outgoing.body).hexdigest()
    task = await book.known(hop, digest)
    if not task:
        raw = await read(hop, outgoing)
        task = _understood(lambda: translator.task(raw))
        if not task:
            return _understood(lambda: hop.translator.response(raw))
        await book.note(hop, digest, task)
    try:
        return await _looked_after(hop, translator, task, read, deadline)
    except _Lost as lost:  # it may still be made, and have to be paid for
        if not book.keeps and await _ended(hop, translator, task, read):
            await book.failed(hop, task)
        raise lost.fault from None
    except asyncio.CancelledError:
        if not book.keeps and await _ended(hop, translator, task, read):
            await book.failed(hop, task)
        raise
    except Fault:
        await book.failed(hop, task)
        raise


class _Lost(Exception):
    """A task of which nothing can be learnt at present."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message)
        self.fault = fault


async def _looked_after(hop: Hop, translator: Deferred, task: str, read: Read, deadline: Deadline) -> Json:
    pause, faults = FIRST, 0
    while True:
        wait = pause * (1 - random.random() / 2)
        deadline.stage("total", deadline.left())
        await asyncio.sleep(min(wait, max(deadline.left(), 0)))
        pause = min(pause * GROWTH, LONGEST)
        try:
            raw = await read(hop, translator.poll(task, hop.target))
        except Fault as fault:
            faults += 1
            if fault.kind not in PASSING:
                raise
            if faults > MOST_FAULTS:
                raise _Lost(fault) from fault
            pause = max(pause, min(fault.retry_after or 0, LONGEST))
            continue
        faults = 0
        answer = _understood(lambda: translator.result(raw))  # noqa: B023
        if answer is not None:
            return answer


async def _ended(hop: Hop, translator: Deferred, task: str, read: Read) -> bool:
    """Tells the vendor that nobody waits for the task. Where that fails, the task runs on, and is paid for."""
    outgoing = translator.cancel(task, hop.target)
    if outgoing is None:
        return False
    ending = asyncio.ensure_future(read(hop, outgoing))
    done, _ = await asyncio.wait((ending,), timeout=FAREWELL)
    if not done:
        ending.cancel()
    (told,) = await asyncio.gather(ending, return_exceptions=True)
    over = not isinstance(told, BaseException)
    log.info("task %s at %s is given up; it %s", task, hop.name, "is cancelled" if over else "runs on")
    return over


def _understood(read: Callable[[], T]) -> T:
    try:
        return read()
    except SHAPELESS as exc:
        raise Fault("broken", "the provider's answer is of no known form") from exc
