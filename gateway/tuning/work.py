"""What is kept of a tuning job: OpenAI's object, and what its runner has to know to go on after a crash."""

from collections.abc import Callable
from hashlib import sha256
from time import time
from typing import Any

from gateway.objects import Object, Objects, Taken, changed
from providers.base import Json

JOB, EVENT, CHECKPOINT, TUNED = "ftjob", "ftevent", "ftcheckpoint", "tuned"
OVER = frozenset({"succeeded", "failed", "cancelled"})


def is_over(job: Object) -> bool:
    return job.body["job"]["status"] in OVER


class Work:
    """One job in the store. All of these raise StoreError."""

    def __init__(self, objects: Objects, team: str, id: str) -> None:
        self._objects = objects
        self.team = team
        self.id = id

    async def read(self) -> Object | None:
        return await self._objects.get(JOB, self.team, self.id)

    async def note(self, **known: Any) -> Object | None:
        """Keeps what the runner has to know."""
        return await self._change(lambda body: {**body, "work": {**body["work"], **known}})

    async def says(self, **fields: Any) -> Object | None:
        """Changes what the client sees, as long as the job is not over."""

        def change(body: Json) -> Json | None:
            job = body["job"]
            if job["status"] in OVER or all(job.get(name) == value for name, value in fields.items()):
                return None
            return {**body, "job": {**job, **fields}}

        return await self._change(change)

    async def over(self, status: str, **fields: Any) -> bool:
        """Ends the job; whether it has ended so, and not otherwise before."""
        now = int(time())
        ended = await self.says(status=status, finished_at=now, estimated_finish=None, **fields)
        return ended is not None and ended.body["job"]["status"] == status

    async def event(self, key: str, message: str, *, level: str = "info", data: Json | None = None, at: float | None = None) -> None:
        """Tells it to the client, once for each `key`."""
        id = f"ftevent-{sha256(f'{self.id} {key}'.encode()).hexdigest()[:24]}"
        told: Json = {
            "object": "fine_tuning.job.event",
            "id": id,
            "created_at": int(at or time()),
            "level": level,
            "message": message,
            "type": "metrics" if data else "message",
            "data": data or None,
        }
        await self._make(Object(id, EVENT, self.team, told, time(), parent=self.id))

    async def checkpoint(self, name: str, metrics: Json, step: int) -> None:
        id = f"ftckpt_{sha256(f'{self.id} {step}'.encode()).hexdigest()[:24]}"
        told: Json = {
            "object": "fine_tuning.job.checkpoint",
            "id": id,
            "created_at": int(time()),
            "fine_tuned_model_checkpoint": name,
            "fine_tuning_job_id": self.id,
            "metrics": metrics,
            "step_number": step,
        }
        await self._make(Object(id, CHECKPOINT, self.team, told, time(), parent=self.id))

    async def named(self, name: str, body: Json) -> None:
        """Makes a model callable by the name."""
        await self._make(Object(name, TUNED, self.team, body, time()))

    async def _make(self, one: Object) -> None:
        try:
            await self._objects.create(one)
        except Taken:
            return  # a step that was done before a crash is done again

    async def _change(self, change: Callable[[Json], Json | None]) -> Object | None:
        return await changed(self._objects, JOB, self.team, self.id, change)
