"""Tasks that vendors have been given for requests, written down before they are asked for: a request that comes again with the same
Idempotency-Key takes up what has been begun, also after a restart, and what nobody comes back for is still put in the books.

An object of kind "task" for each request that has any:

    {"record", "due", "key", "model", "endpoint", "request_id", "tasks": [{"account", "model", "digest", "task"}], "used"}

`record` is the id of the usage record that whoever settles it writes, so that there is one; `due` is when nobody waits for it any more.
"""

import asyncio
import logging
import time
from collections.abc import Callable

from gateway.accounting.record import new_id
from gateway.api.idempotency import HEADER, name_of
from gateway.api.objects import new
from gateway.api.serving import Serving
from gateway.api.wire import Exchange
from gateway.objects import Object, Objects, Taken, changed
from gateway.snapshot import Hop
from gateway.store.errors import StoreError
from providers.base import Json

log = logging.getLogger(__name__)

KIND, OPEN, BOOKED = "task", "open", "booked"
KEPT = 86_400.0
"""Seconds that vendors keep what has come of a task, the shortest of them."""
GRACE = 120.0
"""Seconds in which a request that has failed may come again before its tasks are settled without it."""


class Errands:
    """The tasks of one request."""

    def __init__(self, exchange: Exchange, serving: Serving, endpoint: str, left: Callable[[], float]) -> None:
        """`left`: seconds that the request may still take."""
        self._exchange = exchange
        self._objects: Objects | None = serving.objects
        self._endpoint = endpoint
        self._left = left
        self.keeps = exchange.keep is not None and serving.objects is not None
        self._id = f"task_{name_of(exchange, exchange.headers[HEADER])[:32]}" if self.keeps else new("task_")
        self._lock = asyncio.Lock()
        self._looked = False
        self._there = False
        """There is an object."""
        self._earlier: list[Json] = []
        """Tasks of an earlier attempt at the same request that are not taken up yet."""
        self._record = new_id(time.time())

    async def known(self, hop: Hop, digest: str) -> str:
        if not self.keeps or self._objects is None:
            return ""
        async with self._lock:
            if not self._looked:
                self._looked = True
                try:
                    await self._look(self._objects)
                except StoreError as error:
                    log.warning("tasks of an earlier attempt cannot be looked up: %s", error)
            wanted = (hop.account.name, hop.target.model.id, digest)
            for one in self._earlier:
                if (one["account"], one["model"], one["digest"]) == wanted:
                    self._earlier.remove(one)
                    return str(one["task"])
        return ""

    async def _look(self, objects: Objects) -> None:
        found = await objects.get(KIND, self._exchange.team, self._id)
        if found is None:
            return
        self._there, self._earlier, self._record = True, list(found.body["tasks"]), found.body["record"]
        await changed(objects, KIND, self._exchange.team, self._id, lambda body: {**body, "due": self._due()})

    async def note(self, hop: Hop, digest: str, task: str) -> None:
        told = {"account": hop.account.name, "model": hop.target.model.id, "digest": digest, "task": task}
        async with self._lock:
            try:
                await self._noted(told)
            except StoreError as error:  # it has been paid for: it goes on, and is lost only if we are
                log.warning("task %s at %s was not written down: %s", task, hop.name, error)

    async def _noted(self, told: Json) -> None:
        if self._objects is None:
            return
        exchange, now = self._exchange, time.time()
        if not self._there:
            body = {
                "record": self._record,
                "due": self._due(),
                "key": exchange.key,
                "model": exchange.model,
                "endpoint": self._endpoint,
                "request_id": exchange.request_id,
                "tasks": [told],
                "used": {},
            }
            try:
                await self._objects.create(Object(self._id, KIND, exchange.team, body, now, tag=OPEN, until=now + KEPT))
                self._there = True
                return
            except Taken:
                self._there = True
        await changed(self._objects, KIND, exchange.team, self._id, lambda body: {**body, "tasks": [*body["tasks"], told]})

    async def failed(self, hop: Hop, task: str) -> None:
        def without(body: Json) -> Json:
            return {**body, "tasks": [one for one in body["tasks"] if (one["account"], one["task"]) != (hop.account.name, task)]}

        async with self._lock:
            if self._objects is None or not self._there:
                return
            try:
                await changed(self._objects, KIND, self._exchange.team, self._id, without)
            except StoreError as error:
                log.warning("task %s at %s was not struck out: %s", task, hop.name, error)

    def served(self) -> None:
        """The answer is there, and what it has used: whoever else may settle these tasks would write the same record."""
        if self._there and self._exchange.booking is not None:
            self._exchange.booking.id = self._record

    async def close(self) -> None:
        """The request is over. Where it has been answered its tasks are too."""
        if self._objects is None or not self._there:
            return
        try:
            found = await self._objects.get(KIND, self._exchange.team, self._id)
            if found is None:
                return
            now = time.time()
            if self._answered and (rest := [one for one in found.body["tasks"] if not self._is_served(one)]):
                left = {**found.body, "tasks": rest, "due": now, "record": new_id(now)}  # at hops before, which could not end them
                await changed(self._objects, KIND, self._exchange.team, self._id, lambda body: left)
            elif self._answered or not found.body["tasks"]:
                await self._objects.delete(KIND, self._exchange.team, self._id)
            else:
                due = now + (GRACE if self.keeps else 0.0)
                await changed(self._objects, KIND, self._exchange.team, self._id, lambda body: {**body, "due": due})
        except StoreError as error:
            log.warning("tasks %s are settled later: %s", self._id, error)

    @property
    def _answered(self) -> bool:
        return self._exchange.answered and not self._exchange.refused

    def _is_served(self, task: Json) -> bool:
        """Whether the task is of the hop that has answered."""
        hop = self._exchange.trail.hop
        return hop is not None and (task["account"], task["model"]) == (hop.account.name, hop.target.model.id)

    def _due(self) -> float:
        return time.time() + max(self._left(), 0.0) + GRACE
