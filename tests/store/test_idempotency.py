"""`Idempotency-Key` over sockets, with two gateways over one real database."""

import asyncio
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import monotonic
from typing import Any

import httpx
import pytest

from gateway.accounting.books import Books
from gateway.api.idempotency import RENEWED, Claim
from gateway.state.memory import Memory
from gateway.store.engine import Store
from gateway.store.errors import StoreLost
from gateway.store.ledger import StoreLedger
from gateway.store.tables import replies, usage
from providers.base import Json
from tests.conftest import KEY, PATIENCE, TEAM, Background, Served
from tests.gateway.provider import HOLD, Make, failed, said, streamed
from tests.store.postgres import Postgres

Serve = Callable[..., Served]
CHAT = "/v1/chat/completions"
BODY: Json = {"model": "m", "messages": [{"role": "user", "content": "Hello"}]}
REPLAY = "x-banjia-idempotent-replay"


class Replicas:
    """Gateways over one database."""

    def __init__(self, gateway: Serve, background: Background, url: str, journal: Path) -> None:
        self._gateway = gateway
        self._background = background
        self._url = url
        self._journal = journal
        self._stores: list[Store] = []

    def serve(self, provider: Any, *teams: Json, patience: float = 10.0) -> Served:
        store = Store(self._url, self._journal / str(len(self._stores)), patience=patience)
        self._stores.append(store)
        route = {"serve": "p/x", "retry": {"max": 0}}
        config = {"providers": {"p": provider.account()}, "models": {"m": route}}
        return self._gateway(config, *teams, books=Books(Memory(), StoreLedger(store)), beside=(store,))

    def count(self, table: Any, **where: Any) -> int:
        async def found() -> int:
            async with self._stores[0].reading() as connection:
                rows = (await connection.execute(table.select().filter_by(**where))).all()
                return len(rows)

        return self._background.run(found())


@pytest.fixture
def replicas(gateway: Serve, background: Background, url: str, journal: Path) -> Replicas:
    return Replicas(gateway, background, url, journal)


def ask(served: Served, key: str = "k1", path: str = CHAT, **more: Any) -> httpx.Response:
    headers = {"idempotency-key": key, **more.pop("headers", {})}
    return served.client.post(path, json={**BODY, **more}, headers=headers)


def code(reply: httpx.Response) -> tuple[int, str]:
    return reply.status_code, reply.json()["error"]["code"]


def test_a_call_that_is_sent_again_gets_its_answer_byte_for_byte_and_is_made_and_booked_once(replicas: Replicas, provider: Make) -> None:
    one = provider(said("first"), said("second"))
    here, there = replicas.serve(one), replicas.serve(one)

    first, again, elsewhere = ask(here), ask(here), ask(there)

    assert first.status_code == 200
    assert REPLAY not in first.headers
    for reply in (again, elsewhere):
        assert (reply.status_code, reply.content, reply.headers[REPLAY]) == (200, first.content, "true")
        assert reply.headers["content-type"] == "application/json"
    assert len(one.requests) == 1
    assert replicas.count(usage) == 1


def test_embeddings_are_kept_too(replicas: Replicas, provider: Make) -> None:
    answer: Json = {"data": [{"index": 0, "embedding": [1.0]}], "usage": {"prompt_tokens": 4, "total_tokens": 4}}
    one = provider(said(**answer))
    served = replicas.serve(one)

    first, again = (
        served.client.post("/v1/embeddings", json={"model": "m", "input": "x"}, headers={"idempotency-key": "k"}) for _ in range(2)
    )

    assert (first.status_code, again.content, again.headers[REPLAY]) == (200, first.content, "true")
    assert len(one.requests) == 1
    assert replicas.count(usage) == 1


def test_the_same_body_in_another_order_is_the_same_and_another_body_is_refused(replicas: Replicas, provider: Make) -> None:
    one = provider(said())
    served = replicas.serve(one)
    ask(served)

    turned = served.client.post(CHAT, json=dict(reversed(BODY.items())), headers={"idempotency-key": "k1"})
    other = ask(served, temperature=0.5)

    assert turned.headers[REPLAY] == "true"
    assert code(other) == (409, "idempotency_key_reused")
    assert other.headers["x-should-retry"] == "false"
    assert len(one.requests) == 1


def test_a_key_is_good_for_one_key_of_a_team_and_one_path(replicas: Replicas, provider: Make) -> None:
    one = provider(said())
    other: Json = {**TEAM, "team": "blue", "keys": [{"name": "main", "key": "sk-blue"}, {"name": "second", "key": "sk-second"}]}
    served = replicas.serve(one, TEAM, other)

    for key in (KEY, "sk-blue", "sk-second"):
        assert REPLAY not in ask(served, headers={"authorization": f"Bearer {key}"}).headers
    assert REPLAY not in ask(served, path="/openai/deployments/m/chat/completions").headers

    assert len(one.requests) == 4


def test_a_twin_is_told_to_come_again_while_the_first_is_answered(replicas: Replicas, provider: Make) -> None:
    one = provider((HOLD, *said()))
    here, there = replicas.serve(one), replicas.serve(one)

    with ThreadPoolExecutor() as pool:
        first = pool.submit(ask, here)
        assert one.reached.wait(PATIENCE)
        twins = [ask(here), ask(there)]
        changed = ask(there, temperature=0.5)
        one.let_go()
        whole = first.result(PATIENCE)

    for twin in twins:
        assert code(twin) == (409, "idempotency_in_progress")
        assert twin.headers["retry-after"] == "1"
    assert code(changed) == (409, "idempotency_key_reused")
    assert ask(there).content == whole.content
    assert len(one.requests) == 1


def test_of_many_at_once_on_two_replicas_one_is_served(replicas: Replicas, provider: Make) -> None:
    one = provider((HOLD, *said()))
    both = replicas.serve(one), replicas.serve(one)

    with ThreadPoolExecutor(12) as pool:
        asked = [pool.submit(ask, both[number % 2]) for number in range(12)]
        refused = [code(reply) for reply in (future.result(PATIENCE) for future in first_done(asked, 11))]
        one.let_go()
        statuses = sorted(future.result(PATIENCE).status_code for future in asked)

    assert refused == [(409, "idempotency_in_progress")] * 11
    assert statuses == [200, *[409] * 11]
    assert len(one.requests) == 1


def first_done(futures: list[Any], count: int) -> list[Any]:
    until = monotonic() + PATIENCE
    while len(done := [future for future in futures if future.done()]) < count:
        assert monotonic() < until
    return done


class Renewed:
    """Replies of which one is being answered. The database does not answer at first."""

    def __init__(self) -> None:
        self.signs = 0
        self.twice = asyncio.Event()
        self.released: list[tuple[str, str]] = []

    async def renew(self, id: str, owner: str) -> None:
        self.signs += 1
        if self.signs == 1:
            raise StoreLost("not now")
        if self.signs == 3:
            self.twice.set()

    async def release(self, id: str, owner: str) -> None:
        self.released.append((id, owner))


def test_a_long_attempt_gives_signs_of_life_until_it_ends(background: Background) -> None:
    kept: Any = Renewed()

    async def main() -> int:
        claim = Claim(kept, "id", "owner", every=0.01)
        async with asyncio.timeout(PATIENCE):
            await kept.twice.wait()
        await claim.close()
        return int(kept.signs)

    signs = background.run(main())

    assert (kept.signs, kept.released) == (signs, [("id", "owner")])
    assert RENEWED <= 5.0, "a claim is out of date after 20 s"


def test_what_is_refused_or_has_failed_is_not_kept(replicas: Replicas, provider: Make) -> None:
    one = provider(failed(500), said())
    served = replicas.serve(one)

    assert ask(served, temperature="hot").status_code == 400
    assert ask(served, model="unknown").status_code == 404
    assert ask(served).status_code in (502, 503)
    assert replicas.count(replies) == 0
    last = ask(served)

    assert last.status_code == 200
    assert REPLAY not in last.headers


def test_the_answer_is_there_for_a_client_that_has_left_meanwhile(replicas: Replicas, provider: Make) -> None:
    one = provider((HOLD, *said()))
    served = replicas.serve(one)
    body = httpx.Request("POST", served.url, json=BODY).content
    host, port = served.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as client:
        head = (
            f"POST {CHAT} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\nidempotency-key: k1\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        client.sendall(head.encode() + body)
        assert one.reached.wait(PATIENCE)

    one.let_go()
    served.record()
    again = ask(served)

    assert (again.status_code, again.headers[REPLAY]) == (200, "true")
    assert len(one.requests) == 1
    assert replicas.count(usage, kind="ok") == 1


def test_streams_and_calls_without_the_header_are_not_kept(replicas: Replicas, provider: Make) -> None:
    one = provider(streamed("word"), said())
    served = replicas.serve(one)

    assert "[DONE]" in ask(served, stream=True).text
    assert served.chat().status_code == 200

    assert replicas.count(replies) == 0


@pytest.mark.parametrize("given", ["", "k" * 256, "ключ".encode(), b"tab\tbed"])
def test_a_key_of_another_form_is_refused(replicas: Replicas, provider: Make, given: Any) -> None:
    served = replicas.serve(provider(said()))

    assert code(served.client.post(CHAT, json=BODY, headers={"idempotency-key": given})) == (400, "invalid_value")


def test_nothing_of_the_key_or_the_question_is_stored(replicas: Replicas, provider: Make, background: Background) -> None:
    served = replicas.serve(provider(said("the answer")))
    ask(served, key="order-zulu")

    async def row() -> str:
        async with replicas._stores[0].reading() as connection:
            return repr((await connection.execute(replies.select())).one())

    stored = background.run(row())
    assert "the answer" in stored
    assert "zulu" not in stored
    assert "Hello" not in stored


def test_without_the_database_such_calls_are_refused_and_others_served(
    gateway: Serve, background: Background, provider: Make, server: Postgres, journal: Path
) -> None:
    one = provider(said())
    served = Replicas(gateway, background, server.create(), journal).serve(one, patience=0.3)

    server.stop()
    try:
        lost = ask(served)
        others = served.chat()
    finally:
        server.start()

    assert code(lost) == (503, "idempotency_unavailable")
    assert lost.headers["retry-after"] == "1"
    assert others.status_code == 200
    assert len(one.requests) == 1


def test_where_nothing_is_stored_such_calls_are_refused(gateway: Serve, provider: Make) -> None:
    one = provider(said())
    served = gateway({"providers": {"p": one.account()}, "models": {"m": "p/x"}})

    assert code(ask(served)) == (503, "idempotency_unavailable")
    assert one.requests == []
