"""The vendors' bills and the table of usage say the same, to the token."""

import json
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from gateway.accounting.books import Books
from gateway.brain.scripted import Scripted
from gateway.simulate import Simulators
from gateway.state.memory import Memory
from gateway.store.engine import Store
from gateway.store.ledger import StoreLedger
from gateway.store.tables import usage
from providers.base import Json
from tests.conftest import PATIENCE, Background, Listening, Served, catalog
from tests.gateway.provider import HOLD, STREAM, Make
from tests.journeys.accounts import ACCOUNTS, RESCUED, Account, gateway_yaml, teams_yaml
from tests.journeys.processes import bill, owed_since

TOKENS = ("prompt_tokens", "completion_tokens", "cached_tokens", "reasoning_tokens")
BILLED = [account for account in ACCOUNTS if not account.own]
LONG = {"role": "system", "content": "Answer as briefly as you can, in the words of the question and in no others. " * 3}
"""Long enough for vendors' caches."""
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


class Kiosk:
    """A gateway with a database, before simulators of its own."""

    def __init__(self, served: Served, store: Store, background: Background, simulators: str) -> None:
        self._served = served
        self._store = store
        self._background = background
        self._simulators = simulators

    def ask(self, key: str, text: str, *, model: str = "gpt-4o", **fields: Any) -> int:
        messages = [LONG, {"role": "user", "content": text}]
        headers = {"authorization": f"Bearer {key}"}
        return self._served.client.post(
            "/v1/chat/completions", json={"model": model, "messages": messages, **fields}, headers=headers
        ).status_code

    def post(self, key: str, path: str, body: Json) -> int:
        return self._served.client.post(path, json=body, headers={"authorization": f"Bearer {key}"}).status_code

    def booked(self) -> dict[str, int]:
        """Tokens in the table of usage."""

        async def sums() -> dict[str, int]:
            async with self._store.reading() as connection:
                row = (await connection.execute(select(*(func.sum(usage.c[name]).label(name) for name in TOKENS)))).one()
                return {name: count or 0 for name, count in row._mapping.items()}

        return self._background.run(sums())

    def billed(self) -> dict[tuple[str, str, str], dict[str, int]]:
        return bill(self._simulators)

    def owed_since(self, before: dict[tuple[str, str, str], dict[str, int]]) -> dict[str, int]:
        """Tokens on the vendors' bills."""
        owed = owed_since(before, self._simulators)
        return {name: owed.get(name, 0) for name in TOKENS}


@pytest.fixture(scope="module")
def address(background: Background) -> Iterator[str]:
    listening = Listening(background, Simulators(Scripted(), catalog()))
    yield listening.url
    listening.close()


@pytest.fixture
def kiosk(gateway: Callable[..., Served], address: str, background: Background, tmp_path: Path) -> Kiosk:
    store = Store(f"sqlite:///{tmp_path}/usage.db")
    books = Books(Memory(), StoreLedger(store))
    return Kiosk(gateway(gateway_yaml(address, address), *teams_yaml().values(), books=books, beside=(store,)), store, background, address)


def compared(account: Account, tokens: dict[str, int]) -> dict[str, int]:
    """What the vendor tells with an answer."""
    return tokens if account.tells_details else {name: tokens[name] for name in TOKENS[:2]}


@pytest.mark.parametrize("account", BILLED, ids=lambda account: account.id)
def test_what_a_vendor_bills_is_what_is_booked(kiosk: Kiosk, account: Account) -> None:
    before = kiosk.billed()

    codes = [
        kiosk.ask(account.key, "Say seven words about the rain in Hangzhou"),
        kiosk.ask(account.key, "Say as much of the snow in Harbin", stream=True),
        kiosk.ask(account.key, "Say as much of the fog in Chongqing", stream=True, stream_options={"include_usage": True}),
        kiosk.ask(account.key, "Say one of several things", n=2),
        kiosk.ask(account.key, "Say one of several things again", n=2, stream=True),
        kiosk.ask(account.key, "Say a good deal more than may be said", max_tokens=16),
        kiosk.ask(account.key, "What is the weather in Paris?", tools=[WEATHER]),
        kiosk.ask(account.key, "What is the weather in Rome?", tools=[WEATHER], stream=True),
    ]
    if account.thinker:
        codes.append(kiosk.ask(account.key, "Say it after a thought", model="o3", reasoning_effort="high"))
        codes.append(kiosk.ask(account.key, "Say it after a thought", model="o3", reasoning_effort="high", stream=True))
    if account.embeddings:
        codes.append(kiosk.post(account.key, "/v1/embeddings", {"model": "text-embedding-3-small", "input": ["rain", "and snow"]}))

    assert set(codes) == {200}
    booked = kiosk.booked()
    assert compared(account, booked) == compared(account, kiosk.owed_since(before))
    assert booked["prompt_tokens"] > 0 < booked["completion_tokens"]


def test_what_a_vendor_refuses_is_neither_billed_nor_booked(kiosk: Kiosk) -> None:
    before = kiosk.billed()

    codes = [kiosk.ask(f"sk-zhipu-{trouble}", "Say no") for trouble in ("invalid", "limited", "quota")]

    assert 200 not in codes
    assert kiosk.booked() == kiosk.owed_since(before) == dict.fromkeys(TOKENS, 0)


@pytest.mark.parametrize("stream", [False, True])
def test_a_request_that_another_vendor_answers_is_billed_and_booked_there(kiosk: Kiosk, *, stream: bool) -> None:
    before = kiosk.billed()

    assert kiosk.ask(RESCUED, "Say that it was rescued", stream=stream) == 200

    booked = kiosk.booked()
    assert booked == kiosk.owed_since(before)
    assert booked["completion_tokens"] > 0


def test_an_answer_whose_client_leaves_is_booked_as_far_as_the_vendor_has_billed_it(
    gateway: Callable[..., Served], provider: Make, background: Background, tmp_path: Path
) -> None:
    """By a vendor that tells with each word what it comes to."""
    one = provider((STREAM, billed_word(1), billed_word(2), HOLD))
    store = Store(f"sqlite:///{tmp_path}/usage.db")
    config = {"providers": {"p": one.account()}, "models": {"m": "p/x"}}
    served = gateway(config, books=Books(Memory(), StoreLedger(store)), beside=(store,))
    body = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "Hello"}]}

    with served.client.stream("POST", "/v1/chat/completions", json=body) as reply:
        seen = ""
        for piece in reply.iter_text():
            seen += piece
            if "word 2" in seen:
                break
    assert one.left.wait(PATIENCE)
    served.record()
    background.run(served.app.close())

    columns = (usage.c.kind, usage.c.prompt_tokens, usage.c.completion_tokens, usage.c.estimated)
    with sqlite3.connect(tmp_path / "usage.db") as database:
        assert database.execute(str(select(*columns))).fetchall() == [("aborted", 30, 2, 0)]


def billed_word(number: int) -> bytes:
    """The so-manyth word of a stream, with what the answer has come to so far."""
    told = {"prompt_tokens": 30, "completion_tokens": number, "total_tokens": 30 + number}
    choice = {"index": 0, "delta": {"content": f"word {number}"}, "finish_reason": None}
    return b"data: " + json.dumps({"id": "c1", "choices": [choice], "usage": told}).encode() + b"\n\n"
