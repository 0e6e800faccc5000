"""One line of a batch, served as any request is: by the key that made the batch, within its limits, and into the table of usage."""

import asyncio
from collections.abc import Callable
from hashlib import sha256
from time import monotonic
from typing import NamedTuple

from gateway.api.booking import LEFT, ROW, Row
from gateway.api.inner import Inner, serve
from gateway.api.serving import Serving
from gateway.api.wire import Record, Refusal
from gateway.batches.lines import answered
from gateway.routing.verdicts import VERDICTS
from gateway.snapshot import Key
from providers.base import Json

TRIES = 3
"""For what a provider does wrong; the gateway has tried its hops each time."""
PAUSES = (1.0, 30.0)
"""Seconds before a refused line is tried again that nobody says a time for: at first, and at most."""
LONGEST_PAUSE = 300.0
TAG = "batch"


class Answer(NamedTuple):
    number: int
    good: bool
    line: bytes
    """Of the output, or of the errors."""
    body: Json


class Ask(Inner):
    """The request of a line."""

    __slots__ = ("refusal",)

    def __init__(self, path: str, body: Json, key: bytes, row: Row, request_id: str) -> None:
        super().__init__(path, body, key)
        self.scope[ROW] = row
        self.request_id = request_id
        self.status = LEFT  # until it is answered: a line that is given up when the gateway ends has been left
        self.refusal: Refusal | None = None

    async def refuse(self, refusal: Refusal) -> None:
        self.refusal = refusal
        await super().refuse(refusal)

    def record(self) -> Record:
        record, row = super().record(), self.scope[ROW]
        record.batch = row.tags[TAG]
        return record


class Pause:
    """A time in which none of a batch's lines is begun, since one was told to come later."""

    def __init__(self) -> None:
        self._until = 0.0

    def left(self) -> float:
        return self._until - monotonic()

    def set(self, seconds: float) -> None:
        self._until = max(self._until, monotonic() + seconds)


class Asker:
    """What the lines of one batch are asked with."""

    def __init__(self, serving: Serving, batch: str, endpoint: str, key: bytes, started: float, pause: Pause) -> None:
        """`started`: when the batch was made, for the ids of its rows."""
        from gateway.api.routes import PATHS  # which has us among its endpoints

        self._serving = serving
        self._batch = batch
        self._path = endpoint
        self._endpoint = PATHS[endpoint]["POST"]
        self._key = key
        self._rows = f"{int(started * 1000):011x}"
        self._pause = pause

    def holder(self) -> Key | None:
        """The key, while it is good."""
        snapshot, ring = self._serving.snapshot, self._serving.ring
        return snapshot.keys.get(self._key) or (ring.find(self._key, snapshot) if ring is not None else None)

    def holds(self) -> bool:
        return self.holder() is not None

    def row(self, number: int) -> str:
        """What the id of a line's row of usage begins with."""
        return self._rows + self.name(number)[:16]

    def name(self, number: int) -> str:
        """The same for a line that is asked again after a crash."""
        return sha256(f"{self._batch}\0{number}".encode()).hexdigest()[:32]

    async def ask(self, number: int, given: Json, *, stopped: Callable[[], bool], enough: Callable[[], bool]) -> Answer | None:
        """The line's answer; None where there is none yet, and the line has to be asked another time. `stopped`: whether an answer that is
        an error may be the gateway's own doing. `enough`: whether a line need not wait here until it may be tried again."""
        name = self.name(number)
        row = Row(self.row(number), {TAG: self._batch})
        tries, pause = 0, PAUSES[0]
        while not stopped() and self.holds():
            if (left := self._pause.left()) > 0:
                if enough():
                    break
                await asyncio.sleep(min(left, 0.5))
                continue
            asked = Ask(self._path, given["body"], self._key, row, f"batch_req_{name}")
            await serve(asked, self._serving, self._endpoint)
            if asked.refusal is not None:
                if stopped() or not self.holds():
                    break
                wait = later(asked.refusal, asked.trail.attempts)
                tries += asked.refusal.status >= 500 and asked.trail.attempts > 0
                if wait is not None and tries < TRIES:
                    self._pause.set(min(wait or pause, LONGEST_PAUSE))
                    pause = min(2 * pause, PAUSES[1])
                    continue
            said = asked.said
            line = answered(f"batch_req_{name}", given["custom_id"], asked.status, asked.request_id, said)
            return Answer(number, asked.status == 200, line, said)
        return None


def later(refusal: Refusal, attempts: int) -> float | None:
    """Seconds after which a refused request may go well, 0 if nobody knows; None if it will not."""
    headers = dict(refusal.headers)
    after = headers.get(b"retry-after", b"")
    if refusal.status == 429:
        if after.isdigit():
            return float(after)
        exhausted = refusal.body["error"]["code"] == VERDICTS["quota"].code
        return None if exhausted or (not attempts and headers.get(b"x-should-retry") == b"false") else 0.0
    return 0.0 if refusal.status in (500, 502, 503, 504) else None
