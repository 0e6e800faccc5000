"""What the steps of one tuning job share: the job, its account, and how its vendor is asked."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from gateway.objects import Object
from gateway.routing.verdicts import VERDICTS
from gateway.scrubbing import scrub
from gateway.snapshot import Account
from gateway.tuning.asking import driven
from gateway.tuning.work import Work, is_over
from providers.base import Change, Fault
from providers.tuning import Asks, Tuning

if TYPE_CHECKING:
    from gateway.api.serving import Serving

log = logging.getLogger(__name__)

T = TypeVar("T")
TRIES = 5
"""Of what has to be done once, where it fails in a way that may pass."""
PASSING = ("unreachable", "timeout", "overloaded", "rate_limited", "broken")


class Gone(Exception):
    """There is nothing left to do: the job is over, or not there."""


class Part:
    def __init__(self, serving: "Callable[[], Serving]", pause: tuple[float, float], team: str, id: str) -> None:
        """`pause`: seconds between two tries, the first and the longest."""
        self._serving = serving
        self._pause = pause
        self._team = team
        self._id = id

    @property
    def serving(self) -> "Serving":
        return self._serving()

    @property
    def work(self) -> Work:
        objects = self.serving.objects
        assert objects is not None
        return Work(objects, self._team, self._id)

    async def _job(self) -> Object:
        """Raises Gone where there is nothing left to do."""
        job = await self.work.read()
        if job is None or is_over(job):
            raise Gone
        return job

    def _account(self, job: Object) -> tuple[Account, Tuning]:
        name = job.body["work"]["account"]
        account = self.serving.snapshot.accounts.get(name)
        if account is None or account.off or account.adapter.tuning is None:
            raise Fault("auth", f"account {name}, which the job was given to, is no longer there: put it back under providers")
        return account, account.adapter.tuning

    async def _surely(self, act: Callable[[], Awaitable[T]]) -> T:
        """Does it again where it fails in a way that may pass. Raises Fault."""
        pause = self._pause[0]
        for left in reversed(range(TRIES)):
            try:
                return await act()
            except Fault as fault:
                if fault.kind not in PASSING or not left:
                    raise
                log.info("tuning job %s: %s; again in %g s", self._id, fault.kind, pause)
            await asyncio.sleep(pause)
            pause = min(pause * 3, self._pause[1])
        raise AssertionError("unreachable")

    async def _failed(self, code: str, message: str, param: str | None = None) -> str:
        if await self.work.over("failed", error={"code": code, "message": message, "param": param}):
            await self.work.event("failed", message, level="error")
        return "over"

    async def _drive(self, account: Account, tuning: Tuning, asks: Asks[T], changes: list[Change] | None = None) -> T:
        return await driven(self.serving, account, tuning, asks, changes)

    def _words(self, fault: Fault) -> str:
        secrets = [word for account in self.serving.snapshot.accounts.values() for word in account.secret_words]
        words = scrub(fault.message, tuple(secrets)) or VERDICTS[fault.kind].code
        return f"{words} ({fault.code})" if fault.code else words
