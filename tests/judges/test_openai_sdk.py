"""OpenAI's own tests of its SDK, of four generations, against a gateway on simulators: what it answers is what the SDK's types say.

They are in the sdists of the SDK, as OpenAI writes them, and are run there as they are (tests/clients/openai_tests.py). A test that is not
answered as its mock would answer it is in the tables of sdists.py, with the refusal and its reason; none is passed over.
"""

import asyncio
import io
import json
import re
import time
import wave
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.api.fine_tuning import job_of
from gateway.objects import Object
from gateway.store.engine import Store
from gateway.store.objects import StoredObjects
from gateway.tuning.work import JOB, Work
from tests.conftest import NO_TLS
from tests.journeys.accounts import ACCOUNTS
from tests.journeys.frameworks import picture
from tests.journeys.judges import judge
from tests.journeys.processes import Failed, banjia, until_jobs_run
from tests.judges.sdists import (
    AS_IT_STANDS,
    ASYNC,
    GENERATIONS,
    GROUPS,
    LEFT,
    LOOSE,
    NOT_ASKED,
    REFUSED,
    files_of,
    row_of,
    unpacked,
)

pytestmark = pytest.mark.timeout(180)  # of which cold imports may take most, on a busy machine
KEY = "My API Key"
"""The key of those tests."""
TEAM = "judges"
FINISHED = "ftjob-finished"
DELETED = 6
"""Tests of a generation that delete a model."""
LEAST = {"max_tokens": 16, "max_completion_tokens": 16, "max_output_tokens": 16, "max_tool_calls": 1, "best_of": 1, "bytes": 12}
"""What stands for a 0."""
ANY = {"serve": "zhipu/glm-5.2", "fallback": ["openai/gpt-4o-mini-tts", "openai/gpt-image-2", "zhipu/moderation"]}
MODELS: dict[str, Any] = {
    "gpt-4o": "alibaba/qwen3.7-plus",
    "gpt-5.4": "baidu/ernie-5.1",
    "gpt-6-astra": "sensetime/SenseNova-V6-5-Pro",
    "text-embedding-3-small": {"serve": "alibaba/text-embedding-v4", "space": "alibaba/text-embedding-v4"},
    "string": ANY,
    "model": ANY,
}
"""Beside the stand-ins of the catalog. Some tests have the same word for a model of any kind."""


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of one that runs, with models that were tuned."""
    folder = tmp_path_factory.mktemp("judges")
    asyncio.run(_tune(_storage(folder)))
    with ExitStack() as stack:
        simulators = stack.enter_context(banjia("simulate", "--port", "0"))
        url = stack.enter_context(banjia("serve", "--config", str(_config(folder, simulators.url)), "--port", "0")).url
        until_jobs_run(url, KEY)
        yield url


def _storage(folder: Path) -> str:
    return f"sqlite:///{folder}/banjia.db"


def _config(folder: Path, simulators: str) -> Path:
    accounts = {account.id: account for account in ACCOUNTS if account.id in ("zhipu", "alibaba", "baidu", "sensetime", "openai")}
    told = {
        "schema": "banjia/v1",
        "server": {"host": "127.0.0.1", "port": 0, "pre_stop": "0s"},
        "storage": {"url": _storage(folder)},
        "files": {"url": f"file:///{folder}/files"},
        "defaults": {"retry": {"max": 0}},
        "providers": {
            name: {"vendor": account.vendor, "jurisdiction": "cn-mainland", "base_url": f"{simulators}/{account.vendor}", **account.secrets}
            for name, account in accounts.items()
        },
    }
    team = {"schema": "banjia/team.v1", "team": TEAM, "keys": [{"name": "sdk", "key": KEY}], "models": MODELS}
    place = {"jurisdiction": "cn-mainland", "policy": {"allow": {"cn-mainland": ["cn-mainland"]}}}
    config = folder / "config"
    (config / "teams").mkdir(parents=True)
    (config / "gateway.yaml").write_text(json.dumps(told))
    (config / "teams" / f"{TEAM}.yaml").write_text(json.dumps({**team, **place}))
    return config


async def _tune(storage: str) -> None:
    """Leaves what tuning leaves, which would take longer than all the tests: a job that is over, and models."""
    store = Store(storage)
    await store.open()
    objects = StoredObjects(store)
    job = {**job_of({"model": "gpt-4o-mini", "training_file": "file-0"}, "supervised"), "id": FINISHED}
    await objects.create(Object(FINISHED, JOB, TEAM, {"job": job, "work": {}}, time.time()))
    work = Work(objects, TEAM, FINISHED)
    names = [name for generation in GENERATIONS for name in _names(generation)]
    for name in names:
        await work.named(name, {"account": "zhipu", "model": "glm-tuned", "base": "glm-5.3-flash"})
    await work.checkpoint(names[0], {"step": 3, "train_loss": 0.5}, 3)
    await work.event("created", f"New fine-tuned model created: {names[0]}")
    await work.over("succeeded", fine_tuned_model=names[0], trained_tokens=7)
    await store.close()


def _names(generation: str) -> list[str]:
    return [f"ft:gpt-4o-mini:{TEAM}:{generation}:{number}" for number in range(DELETED)]


class Judges:
    """What each generation has told, asked once."""

    def __init__(self, gateway: str) -> None:
        self._gateway = gateway
        self._told: dict[str, Any] = {}

    def told(self, generation: str) -> Any:
        if generation not in self._told:
            self._told[generation] = self._judge(generation)
        return self._told[generation]

    def _judge(self, generation: str) -> Any:
        source = unpacked(generation)
        question = {
            "source": str(source),
            "base_url": f"{self._gateway}/v1",
            "key": KEY,
            "files": [file for files in files_of(source).values() for file in files],
            "loose": LOOSE,
            "asynchronous": generation in ASYNC,
            "least": LEAST,
            "finished": FINISHED,
            "tuned": _names(generation),
            "picture": picture().hex(),
            "sound": _sound().hex(),
        }
        return judge("openai-tests", question)


def _sound() -> bytes:
    """A second of silence."""
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(16_000)
        writer.writeframes(bytes(32_000))
    return file.getvalue()


@pytest.fixture(scope="module")
def judges(gateway: str) -> Judges:
    return Judges(gateway)


@pytest.mark.parametrize("generation", GENERATIONS)
def test_the_sdk_is_of_that_generation(generation: str, judges: Judges) -> None:
    assert judges.told(generation)["version"] == GENERATIONS[generation]


@pytest.mark.parametrize(("generation", "group"), [(generation, group) for group in GROUPS for generation in GROUPS[group]])
def test_the_answers_are_of_the_sdks_types(generation: str, group: str, judges: Judges) -> None:
    """Each test ends well, or as the tables say, and has asked the gateway."""
    told = judges.told(generation)["told"]
    files = files_of(unpacked(generation))[group]

    assert Counter({test: len(rows) for test, rows in told.items() if test.partition("::")[0] in files}) == _written(generation, files)
    wrong = {
        f"{test} ({number})": row
        for test, rows in told.items()
        if test.partition("::")[0] in files
        for number, row in enumerate(rows)
        if not _as_tabled(generation, test, row)
    }
    assert wrong == {}


def _written(generation: str, files: list[str]) -> Counter[str]:
    """How often each test of these files stands in its source: once plain and, where that is run, once with async. Those by which the SDK
    itself takes no empty id are not run."""
    found: Counter[str] = Counter()
    for file in files:
        text = (unpacked(generation) / "tests" / "api_resources" / f"{file}.py").read_text()
        names = re.findall(rf"^    {'(?:async )?' * (generation in ASYNC)}def (test_\w+)", text, re.M)
        found.update(f"{file}::{name}" for name in names if not name.startswith("test_path_params_"))
    return found


def _as_tabled(generation: str, test: str, row: Any) -> bool:
    ends, begins = row_of(REFUSED, generation, test), row_of(AS_IT_STANDS, generation, test)
    error, refused = _told(row["error"]), {f"{status} {code}" for status, code in row["refused"]}
    if ends is not None:
        return error == ends.told and refused <= {ends.told}
    return error == "" and refused == ({begins.told} if begins and begins.told else set()) and (row["asked"] > 0 or test in NOT_ASKED)


def _told(error: Any) -> str:
    """In the words of the tables."""
    if error is None:
        return ""
    if error["type"] in ("JSONDecodeError", "UnicodeDecodeError"):
        return "not JSON"
    return f"{error['status']} {error['code']}" if error["status"] else error["type"]


def test_no_row_of_the_tables_is_idle(judges: Judges) -> None:
    tests = [(generation, test) for generation in GENERATIONS for test in judges.told(generation)["told"]]

    for rows in (AS_IT_STANDS, REFUSED):
        used = {row_of(rows, generation, test) for generation, test in tests}
        assert [row.tests for row in rows if row not in used] == []
    assert set(NOT_ASKED) <= {test for _, test in tests}


@pytest.mark.parametrize("generation", GENERATIONS)
def test_every_file_of_tests_is_run_or_left_for_a_reason(generation: str) -> None:
    assert set(files_of(unpacked(generation))) == {group for group, generations in GROUPS.items() if generation in generations}


def test_an_sdist_that_is_not_unpacked() -> None:
    with pytest.raises(Failed, match=r"make \.judges/sdists/openai-0\.28/\.installed.*make test"):
        unpacked("0.28")


@pytest.mark.parametrize("what", LEFT)
def test_what_is_left_says_so_in_openais_words(what: str, gateway: str) -> None:
    reply = httpx.get(gateway + LEFT[what], headers={"authorization": f"Bearer {KEY}"}, trust_env=False, verify=NO_TLS)

    assert reply.status_code == 404
    assert reply.json()["error"]["code"] in ("retired_endpoint", "unsupported_endpoint")
    assert set(reply.json()["error"]) == {"message", "type", "param", "code"}
