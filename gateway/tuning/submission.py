"""The first step of a tuning job: its files are checked, said in the vendor's words and uploaded, and the job is submitted, once.

Before anything is submitted it is written down that it will be; a runner that finds such a note and no id asks the vendor for the job
before it submits another. A vendor that does not yet list what it has just accepted would then be given a second one: nobody can tell.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from msgspec.structs import replace

from gateway.objects import Object
from gateway.snapshot import Account
from gateway.tuning.asking import target_of
from gateway.tuning.lines import Unfit, examples
from gateway.tuning.part import Gone, Part
from providers.base import Change, Fault
from providers.tuning import Tuning, Wanted, Written

if TYPE_CHECKING:
    from gateway.api.serving import Serving

Read = Callable[["Serving", str, str], Awaitable[bytes | None]]
"""(what serves, team, a file's id) → its bytes; None if it is not there."""


class Submission(Part):
    def __init__(self, serving: "Callable[[], Serving]", read: Read, pause: tuple[float, float], team: str, id: str) -> None:
        super().__init__(serving, pause, team, id)
        self._read = read

    async def submitted(self) -> str:
        try:
            job = await self.work.read()
            if job is not None and job.body["job"]["status"] == "cancelled" and job.body["work"].get("tries"):
                return await self._never_told(job)
            job = await self._job()
            account, tuning = self._account(job)
            known = job.body["work"]
            if known.get("id"):
                return "training"
            await self.work.event("check", "Validating training file: " + job.body["job"]["training_file"])
            files = {name: await self._file(job, tuning, name) for name in ("training_file", "validation_file")}
            await self.work.event("checked", "Files validated, moving job to queued state")
            await self.work.says(status="queued")
            refs = {name: await self._uploaded(account, tuning, name, file) for name, file in files.items() if file is not None}
            wanted = Wanted("", refs["training_file"], refs.get("validation_file", ""), known["method"], known["hyper"])
            id = await self._submitted(account, tuning, wanted)
            await self.work.note(id=id)
            await self.work.event("submitted", f"Job submitted to account {account.name} as {id}")
        except Gone:
            return "over"
        except Unfit as exc:
            return await self._failed(f"invalid_{exc.param}", str(exc), exc.param)
        except Fault as fault:
            return await self._failed("invalid_request" if fault.param else "provider_error", self._words(fault), fault.param)
        return "training"

    async def _file(self, job: Object, tuning: Tuning, name: str) -> Written | None:
        """A file in the vendor's words; None for one that the job does not have. Raises Unfit."""
        id = job.body["job"].get(name)
        if id is None:
            return None
        data = await self._read(self.serving, self._team, id)
        if data is None:
            raise Unfit(f"The file {id} is not there any more", name)
        method = job.body["work"]["method"]

        def written() -> Written:
            return tuning.dataset(examples(data, method), method)

        try:
            told = await asyncio.to_thread(written)
        except (Unfit, Fault) as exc:
            raise Unfit(f"The job failed due to an invalid {name.replace('_', ' ')}. {exc}", name) from exc
        for note in told.notes:
            await self.work.event(f"{name} {note}", f"{name}: {note}", level="warn")
        return told

    async def _uploaded(self, account: Account, tuning: Tuning, name: str, file: Written) -> str:
        """What the vendor knows the file by. A crash at the wrong moment leaves one there that nobody uses."""
        job = await self._job()
        if ref := job.body["work"].get(name):
            return str(ref)
        target = target_of(self.serving, account, job.body["work"]["model"])
        label = f"{self._id.replace('-', '_')}_{name}"
        told: str = await self._surely(lambda: self._drive(account, tuning, tuning.upload(label, file.body, target, account.bucket)))
        await self.work.note(**{name: told})
        return told

    async def _submitted(self, account: Account, tuning: Tuning, wanted: Wanted) -> str:
        job = await self._job()
        target = target_of(self.serving, account, job.body["work"]["model"])

        async def submit() -> str:
            tries = (await self._job()).body["work"].get("tries", 0)
            for number in range(1, tries + 1):  # one of them may have come through
                if found := await self._drive(account, tuning, tuning.find(self._try(wanted, number), target)):
                    return found
            await self.work.note(tries=tries + 1)
            changes: list[Change] = []
            id = await self._drive(account, tuning, tuning.submit(self._try(wanted, tries + 1), target), changes)
            for one in changes:
                note = f" ({one.note})" if one.note else ""
                await self.work.event(
                    f"change {one.field}", f"{one.field} was {one.fate}{note}: {one.why or 'as the provider has it'}", level="warn"
                )
            return id

        return await self._surely(submit)

    def _try(self, wanted: Wanted, number: int) -> Wanted:
        return replace(wanted, name=f"{self._id.replace('-', '_')}_{number}")

    async def _never_told(self, job: Object) -> str:
        """It was cancelled while it was being submitted, and a crash has kept the vendor's id from us."""
        account, tuning = self._account(job)
        known = job.body["work"]
        target = target_of(self.serving, account, known["model"])
        wanted = Wanted("", str(known.get("training_file")), method=known["method"])
        for number in range(1, known["tries"] + 1):
            if not known.get("id") and (found := await self._drive(account, tuning, tuning.find(self._try(wanted, number), target))):
                await self.work.note(id=found)
        return "training" if (await self.work.read() or job).body["work"].get("id") else "over"
