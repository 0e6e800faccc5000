"""A gateway that keeps files and works on batches, with jobs that run in its own loop."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from msgspec import Struct
from openai import OpenAI
from openai.types import Batch

from gateway.accounting.books import Books
from gateway.batches.job import batch_jobs
from gateway.blobs.local import LocalBlobs
from gateway.blobs.opening import FileStore
from gateway.jobs.base import Job, Run
from gateway.state.memory import Memory
from gateway.store.engine import Store
from gateway.store.ledger import StoreLedger
from gateway.store.objects import StoredObjects
from providers.base import Json
from tests.conftest import NO_TLS, TEAM, Background, Served


class Inline:
    """Jobs without an engine: what is started runs at once, and is gone with the process."""

    def __init__(self) -> None:
        self.jobs: dict[str, Job] = {}
        self.runs: dict[str, asyncio.Task[Any]] = {}

    async def do(self, name: str, work: Callable[[], Awaitable[Any]]) -> Any:
        return await work()

    async def start(self, job: str, given: Any = None, *, id: str) -> None:
        if id not in self.runs:
            self.runs[id] = asyncio.ensure_future(self.jobs[job].run(self, given))

    async def look(self, id: str) -> Run | None:
        if id not in self.runs:
            return None
        return Run(id, "batch", "failed" if self.runs[id].done() else "running")

    async def cancel(self, id: str) -> None:
        raise NotImplementedError

    async def kill(self, id: str) -> None:
        """As when its process ends."""
        self.runs[id].cancel()
        await asyncio.wait((self.runs[id],))

    async def all(self) -> None:
        """Until nothing runs."""
        while running := [run for run in self.runs.values() if not run.done()]:
            await asyncio.wait(running)


class Batching(Struct):
    served: Served
    client: OpenAI
    jobs: Inline
    background: Background
    folder: Path

    def begin(self, lines: Iterable[Json | bytes], endpoint: str = "/v1/chat/completions", **more: Any) -> Batch:
        data = b"".join((line if isinstance(line, bytes) else json.dumps(line).encode()) + b"\n" for line in lines)
        file = self.client.files.create(file=("lines.jsonl", data), purpose="batch")
        asked: Any = {"completion_window": "24h", "endpoint": endpoint, "input_file_id": file.id, **more}
        return self.client.batches.create(**asked)

    def finished(self, batch: Batch) -> Batch:
        """The batch, when nothing works on it any more."""
        self.background.run(self.jobs.all())
        return self.client.batches.retrieve(batch.id)

    def lines(self, file: str | None) -> list[Json]:
        assert file is not None
        return [json.loads(line) for line in self.client.files.content(file).text.splitlines()]

    def rows(self) -> list[Json]:
        """Of the table of usage."""
        from gateway.store.usage import Asked, requests

        ledger = self.served.app.serving.books.ledger
        assert isinstance(ledger, StoreLedger)
        store = ledger._store

        async def read() -> list[Json]:
            return [row async for row in requests(store, Asked())]

        return self.background.run(read())


def line(number: int, model: str = "m", url: str = "/v1/chat/completions", **more: Any) -> Json:
    body = {"model": model, "messages": [{"role": "user", "content": f"Hello {number}"}], **more}
    return {"custom_id": f"line-{number}", "method": "POST", "url": url, "body": body}


@pytest.fixture
def batching(gateway: Callable[..., Served], background: Background, tmp_path: Path) -> Iterator[Callable[..., Batching]]:
    clients: list[OpenAI] = []

    def start(config: Json, team: Json = TEAM, **limits: Any) -> Batching:
        store = Store(f"sqlite:///{tmp_path}/b.db", tmp_path / "pending")
        jobs = Inline()
        served: list[Served] = []
        jobs.jobs = {job.name: job for job in batch_jobs(lambda: served[0].app.serving)}
        served.append(
            gateway(
                config, team, objects=StoredObjects(store), books=Books(Memory(), StoreLedger(store)), beside=(store,),
                files=FileStore(LocalBlobs(tmp_path / "files"), **limits), jobs=jobs,
            )
        )  # fmt: skip
        client = OpenAI(
            api_key=served[0].key, base_url=f"{served[0].url}/v1", max_retries=0,
            http_client=httpx2.Client(trust_env=False, verify=NO_TLS),
        )  # fmt: skip
        clients.append(client)
        return Batching(served[0], client, jobs, background, tmp_path)

    yield start
    for client in clients:
        client.close()
