"""What one turn of a batch knows and keeps: its lines, where it stands in the database, and the parts of its output."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from hashlib import sha256
from random import getrandbits
from typing import Literal

from gateway.api.files import blob_of, kept
from gateway.api.objects import needed
from gateway.api.serving import Serving
from gateway.batches.answering import Asker, Pause
from gateway.batches.lines import Line, lines_of, read, unanswered
from gateway.batches.state import KIND, OVER, added, stage
from gateway.batches.window import Window
from gateway.blobs.base import BlobsLost, Missing
from gateway.objects import changed
from providers.base import Json

Why = Literal["", "cancelled", "expired", "revoked", "gone", "lost", "draining"]
"""Why no further line is begun: `gone` is the file, `lost` the batch, which somebody else works on."""


class Work:
    """One turn's hold on a batch."""

    def __init__(self, serving: Serving, team: str, id: str) -> None:
        self.serving = serving
        self.objects = needed(serving)
        self.blobs = kept(serving).blobs
        self.team = team
        self.id = id
        self.owner = f"{getrandbits(64):016x}"
        self.why: Why = ""
        self.body: Json = {}
        """What is stored of it: gateway/batches/state.py."""
        self.names: dict[int, str] = {}
        """What the client calls lines of the window."""

    # ---- what is stored ----

    async def take(self) -> bool:
        """Whether it is ours from now on; not if it is over, or gone."""
        taken = await self.change(lambda body: None if body["end"] == OVER else {**body, "owner": self.owner})
        return taken is not None and taken["end"] != OVER

    async def change(self, change: Callable[[Json], Json | None]) -> Json | None:
        """The batch as it is then; None if it is gone."""
        found = await changed(self.objects, KIND, self.team, self.id, change)
        if found is None:
            return None
        self.body = found.body
        return self.body

    async def mine(self, change: Callable[[Json], Json]) -> bool:
        """Changes it, unless somebody else has taken it over."""
        now = await self.change(lambda body: change(body) if body["owner"] == self.owner else None)
        if now is None or now["owner"] != self.owner:
            self.why = "lost"
            return False
        return True

    async def over(self, status: str, **more: object) -> None:
        while (old := await self.objects.get(KIND, self.team, self.id)) is not None and old.body["owner"] == self.owner:
            if await self.objects.change(old, {**stage(old.body, status, **more), "end": OVER}, tag="") is not None:
                return

    # ---- lines ----

    def input(self, offset: int = 0) -> AsyncIterator[bytes]:
        return self.blobs.get(blob_of(self.team, self.body["input"]), offset)

    async def lines(self) -> AsyncGenerator[Line, None]:
        """From the first on that is in no part of the output."""
        body = self.body
        lines = lines_of(self.input(body["offset"]), self.serving.snapshot.max_body, at=body["offset"], number=body["next"])
        try:
            async for line in lines:
                yield line
        except Missing:
            await self.deleted()
            self.why = "gone"

    async def deleted(self) -> None:
        """Raises BlobsLost where the file is only not to be seen from here."""
        file = self.body["told"]["input_file_id"]
        if self.body["input"] == file and await self.objects.get("file", self.team, file) is not None:
            raise BlobsLost(f"batch {self.id}: the bytes of {file} are not to be seen from here: do all replicas see the place of `files`?")

    def asker(self) -> Asker:
        body = self.body
        return Asker(self.serving, self.id, body["told"]["endpoint"], bytes.fromhex(body["key"]), body["started"], Pause())

    # ---- parts of the output ----

    async def part(self, window: Window) -> Json:
        """The window's answers as files: `{"output": name, "error": name}`, without those that would be empty."""
        good = [answer.line for _, answer in sorted(window.answers.items()) if answer.good]
        bad = {number: answer.line for number, answer in window.answers.items() if not answer.good}
        if self.why == "expired":
            self.names |= {line.number: read(line)["custom_id"] for line in window.passed}
            for number in range(window.first, window.first + window.count):
                if number not in window.answers:
                    bad[number] = self.expired(number, self.names[number])
        part = {}
        for name, lines in (("output", good), ("error", [bad[number] for number in sorted(bad)])):
            if lines:
                part[name] = f"{window.id}.{name}"
                await self.blobs.put(blob_of(self.team, part[name]), _pieces(lines))
        return part

    def expired(self, number: int, custom_id: str) -> bytes:
        name = sha256(f"{self.id}\0{number}".encode()).hexdigest()[:32]
        message = "This request could not be executed before the completion window expired."
        return unanswered(f"batch_req_{name}", custom_id, "batch_expired", message)


def summed(body: Json, window: Window) -> Json:
    sums = body["sums"]
    usage = sums["usage"]
    good = 0
    for answer in window.answers.values():
        good += answer.good
        usage = added(usage, answer.body)
    return {"completed": sums["completed"] + good, "failed": sums["failed"] + len(window.answers) - good, "usage": usage}


def errors(data: list[Json]) -> Json:
    return {"object": "list", "data": data}


async def _pieces(lines: list[bytes]) -> AsyncIterator[bytes]:
    for line in lines:
        yield line
