"""Works on batches, a turn at a time: a turn lasts a minute or so, that other jobs have theirs, and any replica may take the next."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from hashlib import sha256
from time import monotonic, time

from gateway.api.files import BATCHES_KEPT, add_file, blob_of, forgotten, kept
from gateway.api.serving import Serving
from gateway.batches.answering import Answer
from gateway.batches.handing import handed
from gateway.batches.lines import Line, check, error, read
from gateway.batches.state import WINDOW, counted, stage
from gateway.batches.window import Window
from gateway.batches.work import Why, Work, errors, summed
from gateway.blobs.base import Missing
from providers.base import Json

TURN = 60.0
"""Seconds."""
TOLD = 1.0
"""Seconds between two times that the counts are told, and that it is looked whether the batch was cancelled."""
SHARE = 4
"""Lines are begun only while fewer than a fourth of the requests are under way that the gateway takes at once; but always one."""
APART = 0.004
"""Seconds between two lines that are begun: live requests find the processor free in between."""

END_OF: dict[Why, str] = {"": "completed", "cancelled": "cancelled", "expired": "expired", "revoked": "failed", "gone": "failed"}
FAILED: dict[str, tuple[str, str]] = {
    "revoked": ("key_revoked", "The key that the batch was made with is not good any more: what it has done until then is kept."),
    "gone": ("invalid_file", "The input file has been deleted: what was done until then is kept."),
}


class Runner:
    """All batches that one process works on."""

    def __init__(self, serving: Callable[[], Serving]) -> None:
        self._serving = serving
        self.under_way = 0
        """Lines."""
        self._next = 0.0

    async def turn(self, team: str, id: str) -> bool:
        """Whether there is more to do. Raises StoreError, BlobsLost, Refusal: then it is tried again later."""
        return await Turn(self._serving(), team, id, self).go()

    async def pace(self) -> None:
        """Until the next line may be begun: they are begun one after the other, however fast they are answered."""
        now = monotonic()
        self._next = max(now, self._next) + APART
        await asyncio.sleep(self._next - now)

    def room(self, serving: Serving, own: int) -> bool:
        """Whether another line may be begun by a batch of which `own` are under way or not durable yet."""
        most = kept(serving).batch_lines
        if serving.live is not None:
            most = min(most, serving.snapshot.max_in_flight // SHARE - serving.live.room.taken)
        return not own or max(own, self.under_way) < most


class Turn(Work):
    """One turn of one batch."""

    def __init__(self, serving: Serving, team: str, id: str, runner: Runner) -> None:
        super().__init__(serving, team, id)
        self._runner = runner
        self._until = monotonic() + TURN
        self._told = monotonic()

    async def go(self) -> bool:
        if not await self.take():
            return False
        if self.body["told"]["status"] == "validating" and not await self._validated():
            return False
        if self.body["vendor"] and not self.body["end"] and not await handed(self):
            return False
        while not self.body["end"]:
            if self.body["told"]["status"] == "cancelling":
                self.why = "cancelled"
            more = await self._window()
            if self.why in ("lost", "draining"):
                return self.why == "draining"
            if more and not self.why:
                if self._late():
                    return True
            elif not await self.mine(lambda body: ended(body, self.why)):
                return False
        await self._finalize()
        return False

    def _late(self) -> bool:
        return monotonic() >= self._until

    # ---- checking ----

    async def _validated(self) -> bool:
        told = self.body["told"]
        try:
            checked = await check(self.input(), told["endpoint"], self.serving.snapshot.max_body)
        except Missing:
            await self.deleted()
            await self.over("failed", errors=errors([error("invalid_file", "The input file has been deleted.")]))
            return False
        if checked.errors:
            await self.over("failed", errors=errors(checked.errors))
            return False

        def begun(body: Json) -> Json:
            body = {**body, "told": {**body["told"], "model": checked.model, "request_counts": counts}}
            return stage(body, "in_progress") if body["told"]["status"] == "validating" else body  # or cancelled meanwhile

        counts = {"total": checked.lines, "completed": 0, "failed": 0}
        return await self.mine(begun)

    # ---- lines ----

    async def _window(self) -> bool:
        """Answers some lines and writes them down together; whether there are more."""
        told = self.body["told"]
        window = Window(self.objects, self.team, self.id, self.body["next"])
        await window.open()
        self.names.clear()
        asker = self.asker()

        def stopped() -> bool:
            if self.serving.live is not None and self.serving.live.draining:
                self.why = "draining"
            elif window.lost:
                self.why = "lost"
            elif not self.why and time() >= told["expires_at"]:
                self.why = "expired"
            elif not self.why and not asker.holds():
                self.why = "revoked"
            return bool(self.why)

        def enough() -> bool:
            return stopped() or self._late()

        def cut() -> bool:
            return stopped() and self.why in ("draining", "lost")

        async def ask(line: Line) -> Answer | None:
            given = read(line)
            self.names[line.number] = given["custom_id"]
            self._runner.under_way += 1
            try:
                return await asker.ask(line.number, given, stopped=stopped, enough=enough)
            finally:
                self._runner.under_way -= 1

        async def noted() -> None:
            if monotonic() - self._told >= TOLD:
                self._told = monotonic()
                sums = summed(self.body, window)
                if await self.mine(lambda now: counted(now, sums)) and self.body["told"]["status"] == "cancelling" and not self.why:
                    self.why = "cancelled"

        async with aclosing(self.lines()) as lines:
            more = await window.work(
                lines,
                ask,
                room=lambda own: self._runner.room(self.serving, own),
                enough=enough,
                cut=cut,
                kept=noted,
                pace=self._runner.pace,
            )
        if self.why == "lost" or (not window.whole and self.why in ("", "draining")):
            return True  # the answers that there are will be found again
        if window.count:
            await self._write(window)
        return more

    async def _write(self, window: Window) -> None:
        """The window becomes a part of the output, and the batch goes on behind it."""
        part = await self.part(window)
        sums = summed(self.body, window)
        place = {"next": window.first + window.count, "offset": window.offset, "sums": sums}
        if await self.mine(lambda now: counted({**now, **place, "parts": [*now["parts"], part]}, sums)):
            await window.close()

    # ---- the end ----

    async def _finalize(self) -> None:
        body, files = self.body, {}
        for name in ("output", "error"):
            rest = name == "error" and body["end"] == "expired"
            if rest or any(name in part for part in body["parts"]):
                id = f"file-{sha256(f'{self.id} {name}'.encode()).hexdigest()[:32]}"
                made = await add_file(
                    self.serving, self.team, f"{self.id}_{name}.jsonl", "batch_output",
                    self._joined(name, rest=rest), expires_after=body["kept"] or BATCHES_KEPT, id=id,
                )  # fmt: skip
                files[f"{name}_file_id"] = made["id"] if made["bytes"] else None
        told = {"errors": errors([error(*FAILED[body["why"]])])} if body["end"] == "failed" else {}
        await self.over(body["end"], **files, **told)
        for part in body["parts"]:
            for blob in part.values():
                await forgotten(self.blobs, blob_of(self.team, blob))
        if body["input"] != body["told"]["input_file_id"]:
            await forgotten(self.blobs, blob_of(self.team, body["input"]))
        for window in (await self.objects.list(WINDOW, self.team, parent=self.id, limit=100)).objects:
            await self.objects.delete(WINDOW, self.team, window.id)

    async def _joined(self, name: str, *, rest: bool) -> AsyncIterator[bytes]:
        for part in self.body["parts"]:
            if name in part:
                async for piece in self.blobs.get(blob_of(self.team, part[name])):
                    yield piece
        if rest:
            async for line in self.lines():
                yield self.expired(line.number, read(line)["custom_id"])


def ended(body: Json, why: Why) -> Json:
    """All lines have been asked that will be. One that is cancelled stays `cancelling` to the end."""
    return {**(body if why == "cancelled" else stage(body, "finalizing")), "end": END_OF[why], "why": why}
