"""The counters in Valkey, for several processes: one round trip to take; what is settled goes in batches, and nobody waits for it.

Where the server cannot be reached, windows and places are this process's share of the cap, counted here; what has to be known
(budgets, grants) is refused.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from secrets import token_hex
from typing import Any

from msgspec import structs

from gateway.state.base import CLOSED, SHORTLY, Bucket, Chain, Held, Level, Refused, Unseeded
from gateway.state.link import LARGEST, TIMEOUT, Link, Operation, Unreachable
from gateway.state.memory import Memory

log = logging.getLogger(__name__)

LEASE = 30.0
RENEWALS = 3
"""In the time of a lease."""
BEAT = 1.0
"""Seconds between two signs of life; so often is a server that has gone looked for."""
PREFIX = "{banjia}"
LAST_FLUSH = 2.0
"""Seconds that closing waits for what is settled."""


class Valkey:
    def __init__(
        self,
        url: str,
        *,
        prefix: str = PREFIX,
        lease: float = LEASE,
        beat: float = BEAT,
        timeout: float = TIMEOUT,
        now: Callable[[], float] = time.time,
        server_time: bool = True,
    ) -> None:
        self.replica = token_hex(8)
        self.replicas = 1
        self._now = now
        self._link = Link(url, prefix=prefix, replica=self.replica, lease=lease, now=None if server_time else now, timeout=timeout)
        self._own = Memory(now=now)
        """What is taken while nothing can be shared."""
        self._beat = beat
        self._lease = lease
        self._number = 0
        self._open: dict[str, Held] = {}
        self._settled: list[Operation] = []
        self._batch = 0
        self._sending: list[Operation] = []
        """The last batch, until it is known to have arrived: it is sent again under the same number."""
        self._more = asyncio.Event()
        self._quiet = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._closing = False

    @property
    def degraded(self) -> str:
        return self._link.down

    async def open(self) -> None:
        self._link.open()
        await self._sign_of_life(renew=False)
        self._task = asyncio.create_task(self._live(), name="valkey beat")

    async def close(self) -> None:
        self._closing = True
        self._more.set()
        if self._task is not None:  # it ends by itself: the library may swallow a cancellation that comes together with an answer
            await self._task
        try:
            async with asyncio.timeout(LAST_FLUSH):
                await self._send_settled()
                await self._link.run([("leave",)])
        except (Unreachable, TimeoutError) as exc:
            log.warning("%d settlements have not reached the shared state: %s", len(self._sending) + len(self._settled), exc)
        await self._link.close()

    async def reserve(self, buckets: Sequence[Bucket], amounts: Sequence[int]) -> Held | Refused | Unseeded:
        if self._link.down:
            return self._alone(buckets, amounts)
        taken = self._next_id()
        try:
            answer = await self._link.ask("reserve", taken, [_wire(bucket) for bucket in buckets], amounts)
        except Unreachable:
            self._undo(taken)
            return self._alone(buckets, amounts)
        except asyncio.CancelledError:
            self._undo(taken)
            raise
        if answer[0] == 1:
            return Refused(buckets[answer[1]], *answer[2:])
        if answer[0] == 2:
            return Unseeded(buckets[answer[1]])
        _, at, slots, used = answer
        return self._held(taken, buckets, amounts, slots, used, at)

    async def draw(self, chains: Sequence[Chain]) -> Held | Refused | Unseeded:
        buckets = [bucket for chain, _ in chains for bucket in chain]
        if self._link.down:
            return self._alone(buckets, [0] * len(buckets))
        taken = self._next_id()
        try:
            answer = await self._link.ask("draw", taken, [([_wire(bucket) for bucket in chain], need) for chain, need in chains])
        except Unreachable:
            self._undo(taken)
            return self._alone(buckets, [0] * len(buckets))
        except asyncio.CancelledError:
            self._undo(taken)
            raise
        if answer[0] == 2:
            return Unseeded(next(bucket for bucket in buckets if bucket.key == answer[1]))
        _, at, amounts, used = answer
        return self._held(taken, buckets, amounts, [0] * len(buckets), used, at)

    def settle(self, held: Held, actual: Sequence[int]) -> None:
        if held.alone:
            return self._own.settle(held, actual)
        if held.stage == CLOSED:
            return None
        held.stage = CLOSED
        self._open.pop(held.id, None)
        wire = [_wire(bucket) for bucket in held.buckets]
        self._later("settle", held.id, int(self._now() * 1000), wire, held.amounts, held.slots, list(actual))
        return None

    def release(self, held: Held) -> None:
        self.settle(held, [0] * len(held.amounts))

    async def seed(self, bucket: Bucket, spent: int, at: int, *, force: bool = False) -> None:
        await self._link.ask("seed", _wire(bucket), spent, at, force)

    async def peek(self, buckets: Sequence[Bucket]) -> list[Level]:
        answers = await asyncio.gather(*[self._link.ask("peek", _wire(bucket)) for bucket in buckets])
        return [Level(*answer) for answer in answers]

    async def arrived(self) -> None:
        """When all that has been settled so far has arrived."""
        while self._sending or self._settled:
            self._quiet.clear()
            await self._quiet.wait()

    def _next_id(self) -> str:
        self._number += 1
        return f"{self.replica}:{self._number}"

    def _held(self, taken: str, buckets: Sequence[Bucket], amounts: Sequence[int], slots: Any, used: Any, at: int) -> Held:
        held = self._open[taken] = Held(taken, buckets, amounts, slots, used, at, at + self._lease * 1000)
        return held

    def _alone(self, buckets: Sequence[Bucket], amounts: Sequence[int]) -> Held | Refused | Unseeded:
        for bucket in buckets:
            if bucket.seeded:
                return Refused(bucket, SHORTLY, unreachable=True)
        share = [structs.replace(bucket, cap=min(bucket.cap, max(1, bucket.cap // self.replicas))) for bucket in buckets]
        # What is larger than the share but not than the cap waits until nothing else counts.
        clipped = [
            min(amount, part.cap) if amount <= bucket.cap else amount for bucket, part, amount in zip(buckets, share, amounts, strict=True)
        ]
        got = self._own.reserve_now(share, clipped)
        if isinstance(got, Held):
            got.alone = True
        return got

    def _undo(self, taken: str) -> None:
        self._later("undo", taken)

    def _later(self, *operation: Any) -> None:
        self._settled.append(operation)
        self._more.set()

    async def _live(self) -> None:
        """The only one who sends what is settled, so that all of it arrives in its order."""
        loop = asyncio.get_running_loop()
        next_beat = loop.time() + self._beat
        beats = 0
        while not self._closing:
            if (left := next_beat - loop.time()) <= 0:
                next_beat = loop.time() + self._beat
                beats += 1
                await self._sign_of_life(renew=beats % max(1, int(self._lease / self._beat / RENEWALS)) == 0)
                continue
            try:
                async with asyncio.timeout(left):
                    await self._more.wait()
            except TimeoutError:
                continue
            self._more.clear()
            if not self._link.down:
                try:
                    await self._send_settled()
                except Unreachable as exc:
                    self._link.failed(exc)
                    self._more.set()

    async def _sign_of_life(self, *, renew: bool) -> None:
        """Says that this process is there, and finds out whether the server is. If it is back, what had been taken is held again, and what
        has been settled is counted, before anybody asks."""
        try:
            self.replicas = (await self._link.run([("beat",)]))[0]
            if renew or self._link.down:
                self.renew()
                await self._send_settled()
        except Unreachable as exc:
            self._link.failed(exc)
        else:
            self._link.answered()

    def renew(self) -> None:
        """What is open is alive. Goes the way of what is settled: overtaken by its own end, it would be held again."""
        for held in self._open.values():
            self._later("renew", held.id, [_wire(bucket) for bucket in held.buckets], held.amounts, held.slots)

    async def _send_settled(self) -> None:
        """Raises Unreachable; then the same batch is the next to go."""
        while self._sending or self._settled:
            if not self._sending:
                self._batch += 1
                self._sending, self._settled = self._settled[:LARGEST], self._settled[LARGEST:]
            await self._link.run(self._sending, self._batch)
            self._sending = []
        self._quiet.set()


def _wire(bucket: Bucket) -> tuple[Any, ...]:
    return bucket.key, bucket.cap, bucket.width, bucket.seeded, bucket.keep, bucket.resets
