"""A replica that runs tuning jobs, to be killed.

python -m tests.gateway.tuning.worker URL JOURNAL PROVIDER FILE

PROVIDER: the address of Zhipu's API, as it is asked. FILE: the data set, whatever file a job names. Says `ready PID` when jobs run; a line
on stdin, `start ID`, starts a job of team red's that is in the store.
"""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

from gateway.app import App
from gateway.jobs.engine import Jobs
from gateway.store.engine import Store
from gateway.store.objects import StoredObjects
from gateway.tuning.runner import Runner
from gateway.tuning.table import Tuned
from tests.conftest import TEAM, snapshot_of


async def main(url: str, journal: str, provider: str, file: str) -> None:
    account = {"vendor": "zhipu", "jurisdiction": "cn-mainland", "base_url": provider, "api_key": "id.secret"}
    store = Store(url, Path(journal))
    objects = StoredObjects(store)
    apps: list[App] = []

    data = Path(file).read_bytes()  # noqa: ASYNC240 - nothing else runs yet

    async def read(serving: Any, team: str, id: str) -> bytes:
        return data

    jobs = Jobs(store, Runner(lambda: apps[0].serving, read, pause=(0.05, 0.05)).jobs(), later=0, every=0.1, sure=0.2)
    tuned = Tuned(objects, every=0.1)
    config = {"providers": {"z": account}, "models": {"m": "z/glm-4-flash-250414"}}
    app = App(snapshot_of(config, TEAM), objects=objects, jobs=jobs, beside=(store, tuned, jobs))
    apps.append(app)
    app.serving.tuned = tuned
    await app.open()
    await jobs.ready()
    os.write(1, f"ready {os.getpid()}\n".encode())
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := (await reader.readline()).decode().split():
        await jobs.start("tuning", {"team": "red", "id": line[1]}, id=line[1])
    await app.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
