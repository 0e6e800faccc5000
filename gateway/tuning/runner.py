"""A tuning job from its data set to a model that can be called, in steps that a crash does not undo.

check the files ── upload ── submit ── look … ── deploy … ── name
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import TYPE_CHECKING, Any

from gateway.jobs.base import Job, Steps
from gateway.objects import Object
from gateway.scrubbing import scrub
from gateway.snapshot import Account
from gateway.store.errors import StoreError
from gateway.tuning.asking import target_of
from gateway.tuning.part import PASSING, Gone
from gateway.tuning.submission import Read, Submission
from gateway.tuning.work import JOB, is_over
from providers.base import Fault, Json
from providers.tuning import Progress, Tuning

if TYPE_CHECKING:
    from gateway.api.serving import Runs, Serving

log = logging.getLogger(__name__)

PAUSE = (1.0, 30.0)
"""Seconds between two looks: at first, and at most."""
ROUND = 300.0
"""Seconds of one step: what a crash may make the next runner do again."""
ROUNDS = 30 * 86_400 // int(ROUND)
PATIENCE = 200
"""Looks that may fail one after the other."""
AGAIN = 5.0
"""Seconds after which a step is done again that the database has failed."""
RUNS = 5
"""Of one job, where each but the last has failed by a fault of ours."""
LAST = 200
"""Of all jobs, the latest that are looked through for one that was never started."""


class Runner:
    def __init__(self, serving: "Callable[[], Serving]", read: Read, *, pause: tuple[float, float] = PAUSE, round_s: float = ROUND) -> None:
        self._serving = serving
        self._read = read
        self._pause = pause
        self._round = round_s

    def jobs(self) -> list[Job]:
        return [Job("tuning", self.run), Job("tuning_left", self.left, "*/10 * * * *")]

    async def left(self, steps: Steps, _: Any) -> int:
        """Starts what was written down and never started: a crash may come between the two."""

        async def start() -> int:
            serving = self._serving()
            if serving.objects is None or serving.jobs is None:
                return 0
            page = await serving.objects.list(JOB, None, limit=LAST)
            started = 0
            for one in page.objects:
                if not is_over(one) and (name := await free(serving.jobs, one.id)):
                    await serving.jobs.start("tuning", {"team": one.team, "id": one.id}, id=name)
                    started += 1
            return started

        return await steps.do("start", start)

    async def run(self, steps: Steps, given: Any) -> str:
        """`given`: {"team", "id"}."""
        one = One(self._serving, self._read, self._pause, given["team"], given["id"])
        one.lasts = self._round
        state = await steps.do("submit", steady(one.submitted))
        number = 0
        while state in ("training", "deploying") and number < ROUNDS:
            state = await steps.do(f"{state} {number}", steady(one.trained if state == "training" else one.deployed))
            number += 1
        if state in ("training", "deploying"):
            state = await steps.do("give up", steady(one.given_up))
        return state


async def free(runs: "Runs", id: str) -> str:
    """What a job that is not over can be run as: by its own id, or by another where that has failed; "" while one runs."""
    for number in range(RUNS):
        name = f"{id}.{number}" if number else id
        run = await runs.look(name)
        if run is None:
            return name
        if run.state in ("waiting", "running"):
            return ""
    return ""


def steady(step: Callable[[], Awaitable[str]]) -> Callable[[], Awaitable[str]]:
    """The step, done again for as long as the database does not answer."""

    async def done() -> str:
        while True:
            try:
                return await step()
            except StoreError as error:
                log.warning("a tuning job waits for the database: %s", error)
            await asyncio.sleep(AGAIN)

    return done


class One(Submission):
    """One job being run. Each of its steps may be done twice, and gives the state that the next goes on from."""

    lasts = ROUND

    async def trained(self) -> str:
        """Looks until the vendor is done, or the step has lasted its time."""
        try:
            async for job, account, tuning in self._looks():
                if job.body["job"]["status"] == "cancelled":
                    return await self._cancelled(job, account, tuning)
                progress = await self._look(job, account, tuning)
                if progress is None:
                    continue
                if progress.state in ("running", "succeeded"):
                    await self.work.event("started", "Fine-tuning job started")
                for one in progress.told:
                    await self.work.event(one.id, one.message, level=one.level, data=one.data, at=one.time)
                match progress.state:
                    case "succeeded":
                        metrics = next((one.data for one in reversed(progress.told) if one.data), {})
                        await self.work.note(result=progress.model, metrics=metrics)
                        await self.work.says(trained_tokens=progress.tokens)
                        return "deploying"
                    case "failed":
                        return await self._failed(
                            "training_failed", scrub(progress.error or "the provider says no more", account.secret_words)
                        )
                    case "cancelled":
                        await self.work.over("cancelled")
                        await self.work.event("cancelled there", "The job was cancelled at the provider", level="warn")
                        return "over"
                    case state:
                        await self.work.says(status=state)
        except Gone:
            return "over"
        except Fault as fault:
            return await self._failed("provider_error", self._words(fault))
        return "training"

    async def deployed(self) -> str:
        try:
            async for job, account, tuning in self._looks():
                known = job.body["work"]
                if job.body["job"]["status"] == "cancelled":
                    note = "; its deployment is billed until it is taken down there" if known.get("deployment") else ""
                    await self.work.event(
                        "left", f"Cancelled after training: the model stays at account {account.name}{note}", level="warn"
                    )
                    return "over"
                if tuning.by_hand:
                    return await self._by_hand(job, account, tuning)
                try:
                    model = known.get("deployed") or await self._deploy(account, tuning, known)
                except Fault as fault:
                    if fault.kind in PASSING:
                        continue
                    raise
                if model:
                    return await self._named(account, model)
        except Gone:
            return "over"
        except Fault as fault:
            return await self._failed("provider_error", self._words(fault))
        return "deploying"

    async def given_up(self) -> str:
        return await self._failed("timeout", "the provider has not finished within 30 days")

    # ---- parts of steps ----

    async def _looks(self) -> Any:
        """The job and its account, again and again with longer pauses, until the step has lasted its time. Raises Gone and Fault."""
        pause, most = self._pause
        until = monotonic() + self.lasts
        while True:
            job = await self.work.read()
            if job is None or job.body["job"]["status"] in ("succeeded", "failed"):
                raise Gone
            yield job, *self._account(job)
            if monotonic() >= until:
                return
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, most)

    async def _look(self, job: Object, account: Account, tuning: Tuning) -> Progress | None:
        """How it stands; None where that is not known at the moment."""
        known = job.body["work"]
        target = target_of(self.serving, account, known["model"])
        try:
            progress = await self._drive(account, tuning, tuning.look(known["id"], target))
        except Fault as fault:
            misses = known.get("misses", 0) + 1
            if fault.kind not in (*PASSING, "auth", "quota") or misses > PATIENCE:
                raise
            await self.work.note(misses=misses)
            await self.work.event(f"miss {fault.kind}", f"The provider does not answer at the moment: {self._words(fault)}", level="warn")
            return None
        if known.get("misses"):
            await self.work.note(misses=0)
        return progress

    async def _cancelled(self, job: Object, account: Account, tuning: Tuning) -> str:
        """The client has cancelled it: so it is at the vendor, or the client learns why not."""
        target = target_of(self.serving, account, job.body["work"]["model"])
        try:
            await self._surely(lambda: self._drive(account, tuning, tuning.cancel(job.body["work"]["id"], target)))
            await self.work.event("cancelled there", "The provider has cancelled the job")
        except Fault as fault:
            await self.work.event("not cancelled there", f"The provider did not cancel the job: {self._words(fault)}", level="error")
        return "over"

    async def _deploy(self, account: Account, tuning: Tuning, known: Json) -> str:
        """What the model is called by at the vendor; "" as long as it cannot be."""
        target = target_of(self.serving, account, known["model"])
        deployment: str | None = known.get("deployment")
        if deployment is None:
            deployment = await self._drive(account, tuning, tuning.deploy(known["result"], target))
            await self.work.note(deployment=deployment)
            if deployment:
                message = f"Deploying as {deployment}: the provider bills the deployment for as long as it stands"
                await self.work.event("deploy", message)
        stands = await self._drive(account, tuning, tuning.deployed(deployment, target))
        if not stands.ready:
            return ""
        model = stands.model or str(known["result"])
        await self.work.note(deployed=model)
        return model

    async def _named(self, account: Account, model: str) -> str:
        job = await self._job()
        known, name = job.body["work"], job.body["work"]["name"]
        body = {"account": account.name, "model": model, "base": known["model"], "asked": job.body["job"]["model"], "job": self._id}
        await self.work.named(name, body)
        if self.serving.tuned is not None:
            await self.serving.tuned.refresh()
        await self._succeeded(known, name)
        await self.work.event("done", "The job has successfully completed")
        return "over"

    async def _by_hand(self, job: Object, account: Account, tuning: Tuning) -> str:
        known = job.body["work"]
        await self.work.event("by hand", f"{known['name']} is {known['result']} of account {account.name}: {tuning.by_hand}", level="warn")
        await self._succeeded(known, known["name"])
        return "over"

    async def _succeeded(self, known: Json, name: str) -> None:
        metrics = {key: value for key, value in (known.get("metrics") or {}).items() if isinstance(value, int | float)}
        step = int(metrics.get("total_steps") or metrics.get("current_steps") or 0)
        told = {"step": step, **({"train_loss": metrics["loss"]} if "loss" in metrics else {})}
        await self.work.checkpoint(name, told, step)
        await self.work.event("created", f"New fine-tuned model created: {name}")
        await self.work.over("succeeded", fine_tuned_model=name)
