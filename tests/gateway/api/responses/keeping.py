"""Gateways that keep responses, for tests: with a real SQLite store, and OpenAI's SDK for two teams."""

import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct
from openai import DefaultHttpxClient, OpenAI

from gateway.accounting.books import Books
from gateway.api.responses.background import job_of
from gateway.jobs.engine import Jobs
from gateway.state.memory import Memory
from gateway.store.engine import Store
from gateway.store.ledger import StoreLedger
from gateway.store.objects import StoredObjects
from providers.base import Json
from tests.conftest import NO_TLS, PATIENCE, TEAM, Background, Served
from tests.gateway.provider import account_at

BLUE: Json = {**TEAM, "team": "blue", "keys": [{"name": "main", "key": "sk-of-the-blue-team"}]}
ALONE: Json = {"providers": {"p": account_at("http://127.0.0.1:9/v1")}, "models": {"m": "p/x"}}
"""For who asks no provider."""


class Clock:
    """Wall time, moved."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


class Desk(Struct):
    """One gateway and who asks it."""

    served: Served
    store: Store
    red: OpenAI
    blue: OpenAI
    clock: Clock


Open = Callable[..., Desk]


def words(items: Iterable[Any]) -> list[str]:
    """What messages say."""
    return [item.content[0].text for item in items]


def client_of(url: str, key: str) -> OpenAI:
    return OpenAI(
        base_url=f"{url}/v1", api_key=key, max_retries=0, timeout=PATIENCE, http_client=DefaultHttpxClient(verify=NO_TLS, trust_env=False)
    )


@pytest.fixture
def desk(gateway: Callable[..., Served], background: Background, tmp_path: Path) -> Iterator[Open]:
    """Opens gateways over one database, each closed for good when the test is over: jobs are those of one process."""
    opened: list[Desk] = []

    def open_one(config: Json | None = None, *teams: Json, jobs: bool = False) -> Desk:
        clock = Clock()
        store = Store(f"sqlite:///{tmp_path}/banjia.db", tmp_path / "pending", now=clock)
        runs = Jobs(store, [job_of(lambda: served.app.serving)], later=0, every=0.1) if jobs else None
        served = gateway(
            config or ALONE,
            *(teams or (TEAM, BLUE)),
            books=Books(Memory(), StoreLedger(store)),
            objects=StoredObjects(store),
            beside=(store, runs) if runs else (store,),
            jobs=runs,
        )
        if runs:
            background.run(runs.ready())
        red, blue = client_of(served.url, served.key), client_of(served.url, "sk-of-the-blue-team")
        opened.append(Desk(served, store, red, blue, clock))
        return opened[-1]

    yield open_one
    for one in opened:
        one.red.close()
        one.blue.close()
        background.run(one.served.app.close())
