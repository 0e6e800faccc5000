"""Kill -9 while a job is being submitted: the next process goes on with what the vendor has, and submits nothing twice."""

import asyncio
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from time import time

from msgspec import json

from gateway.objects import Object
from gateway.store.engine import Store
from gateway.store.objects import StoredObjects
from gateway.tuning.work import is_over
from tests.conftest import PATIENCE
from tests.gateway.provider import HOLD, Make, answer
from tests.gateway.tuning.conftest import LINES
from tests.jobs.test_engine import ROOT, wait

ID = "ftjob-0123456789"
WORK = {"account": "z", "model": "glm-4-flash-250414", "method": "supervised", "hyper": {}, "name": "ft:m:red:x"}
JOB = {"id": ID, "model": "m", "status": "validating_files", "training_file": "file-1", "validation_file": None}


def worker(*arguments: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-W", "error", "-m", "tests.gateway.tuning.worker", *arguments]
    process = subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1
    )
    assert process.stdout is not None
    assert process.stdout.readline().startswith("ready")
    return process


def end(process: "subprocess.Popen[str]") -> None:
    process.kill()
    process.communicate(timeout=PATIENCE)


def in_store(url: str, journal: Path, work: Callable[[StoredObjects], object]) -> Object | None:
    async def go() -> Object | None:
        store = Store(url, journal)
        await store.open()
        try:
            return await work(StoredObjects(store))  # type: ignore[misc, no-any-return]
        finally:
            await store.close()

    return asyncio.run(go())


def test_a_job_that_was_being_submitted_is_found_again(provider: Make, tmp_path: Path) -> None:
    accepted = {"id": "ftjob-v", "status": "running", "training_file": "file-v"}
    done = {**accepted, "status": "succeeded", "fine_tuned_model": "glm:v", "trained_tokens": 7}
    vendor = provider(
        answer(200, {"id": "file-v"}), (HOLD,), answer(200, {"data": [accepted]}), answer(200, done), answer(200, {"data": []})
    )
    url, journal = f"sqlite:///{tmp_path}/banjia.db", tmp_path / "journal"
    (tmp_path / "data").write_bytes(b"\n".join(map(json.encode, LINES)))
    arguments = (url, str(journal), vendor.url + "/v4", str(tmp_path / "data"))
    in_store(url, journal, lambda objects: objects.create(Object(ID, "ftjob", "red", {"job": JOB, "work": WORK}, time())))

    first = worker(*arguments)
    assert first.stdin is not None
    first.stdin.write(f"start {ID}\n")
    first.stdin.flush()
    wait(lambda: len(vendor.requests) == 2)
    end(first)
    second = worker(*arguments)
    wait(lambda: (found := in_store(url, journal, lambda objects: objects.get("ftjob", "red", ID))) is not None and is_over(found))
    end(second)

    asked = [(one.method, one.path.removeprefix("/v1/v4")) for one in vendor.requests]
    assert asked == [
        ("POST", "/files"),
        ("POST", "/fine_tuning/jobs"),
        ("GET", "/fine_tuning/jobs?limit=100"),
        ("GET", "/fine_tuning/jobs/ftjob-v"),
        ("GET", "/fine_tuning/jobs/ftjob-v/events"),
    ]
    job = in_store(url, journal, lambda objects: objects.get("ftjob", "red", ID))
    assert job is not None
    assert job.body["job"]["status"] == "succeeded"
    tuned = in_store(url, journal, lambda objects: objects.get("tuned", "red", "ft:m:red:x"))
    assert tuned is not None
    assert tuned.body["model"] == "glm:v"
