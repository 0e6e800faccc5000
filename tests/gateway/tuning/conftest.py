"""A gateway with a store, jobs and names of tuned models, whose looks at a vendor follow quickly upon another. One for all tests of a file:
there is one engine of jobs in a process."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct, json
from openai import OpenAI

from gateway.app import App
from gateway.blobs.local import LocalBlobs
from gateway.blobs.opening import FileStore
from gateway.jobs.engine import Jobs
from gateway.store.engine import Store
from gateway.store.objects import StoredObjects
from gateway.tuning.files import data_of
from gateway.tuning.runner import Runner
from gateway.tuning.table import Tuned
from providers.base import Json
from tests.conftest import KEY, TEAM, Background, Listening, snapshot_of

LINES: list[Json] = [
    {"messages": [{"role": "user", "content": f"Question {n}"}, {"role": "assistant", "content": f"Answer {n}"}]} for n in range(12)
]
BLUE: Json = {**TEAM, "team": "blue", "keys": [{"name": "main", "key": "sk-of-the-other-team"}]}


def accounts(simulators: str) -> Json:
    place = {"jurisdiction": "cn-mainland"}
    baidu = {"access_key_id": "ak", "access_key_secret": "sk", "bucket": f"{simulators}/baidu/bos/my-bucket"}
    return {
        "providers": {
            "z": {"vendor": "zhipu", "base_url": f"{simulators}/zhipu", "api_key": "id.secret", **place},
            "a": {"vendor": "alibaba", "base_url": f"{simulators}/alibaba", "api_key": "sk-0123456789abcdef", **place},
            "b": {"vendor": "baidu", "base_url": f"{simulators}/baidu", "auth": "iam_token", **baidu, **place},
            "q": {"vendor": "qihoo360", "base_url": f"{simulators}/qihoo360", "api_key": "fk-0123456789", **place},
        },
        "models": {
            "gpt-4o-mini": ["z/glm-4-flash-250414"],
            "qwen": {"serve": ["q/360gpt-pro", "a/qwen-plus"], "pick": "ordered"},
            "ernie": ["b/ernie-speed-8k"],
            "none": ["q/360gpt-pro"],
        },
    }


class Tuner(Struct):
    app: App
    sdk: OpenAI
    background: Background
    objects: StoredObjects
    jobs: Jobs

    def file(self, lines: Any = LINES, *, purpose: Any = "fine-tune") -> str:
        """The id of a file of the team's with these lines, or bytes."""
        data = lines if isinstance(lines, bytes) else b"\n".join(map(json.encode, lines))
        return self.sdk.files.create(file=("train.jsonl", data), purpose=purpose).id

    def over(self, id: str) -> Any:
        """The job, once it is over and nobody works on it any more."""
        self.background.run(self._over(id))
        return self.sdk.fine_tuning.jobs.retrieve(id)

    async def _over(self, id: str) -> None:
        async with asyncio.timeout(15):
            while (run := await self.jobs.look(id)) is None or run.state in ("waiting", "running"):  # noqa: ASYNC110 - of a run nothing is an event
                await asyncio.sleep(0.05)
            assert run.state == "done", run.error

    def says(self, id: str) -> list[str]:
        """What the job's events say, the first first."""
        return [one.message for one in self.sdk.fine_tuning.jobs.list_events(id, limit=100)][::-1]


@pytest.fixture(scope="module")
def tuning(background: Background, simulators: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tuner]:
    path: Path = tmp_path_factory.mktemp("tuning")
    store = Store(f"sqlite:///{path}/banjia.db", path / "journal")
    objects = StoredObjects(store)
    apps: list[App] = []

    jobs = Jobs(store, Runner(lambda: apps[0].serving, data_of, pause=(0.01, 0.02)).jobs(), later=0, every=0.05)
    tuned = Tuned(objects, every=0.05)
    files = FileStore(LocalBlobs(path / "files"))
    app = App(snapshot_of(accounts(simulators), TEAM, BLUE), objects=objects, jobs=jobs, files=files, beside=(store, tuned, jobs))
    apps.append(app)
    app.serving.tuned = tuned
    background.run(app.open())
    listening = Listening(background, app)
    background.run(jobs.ready())
    sdk = OpenAI(base_url=f"{listening.url}/v1", api_key=KEY, max_retries=0)
    yield Tuner(app, sdk, background, objects, jobs)
    sdk.close()
    background.run(app.close())
    listening.close()
