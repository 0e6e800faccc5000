"""Vector spaces as a contract: what must be declared, and that a name stays in the space in which its index has begun."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai import OpenAI

from gateway.accounting.books import Books
from gateway.api.spaces import EVERY, MOST, Spaces, id_of
from gateway.objects import Object, Objects, Taken
from gateway.space import same, space_of
from gateway.state.memory import Memory
from gateway.store.engine import Store
from gateway.store.errors import StoreError
from gateway.store.ledger import StoreLedger
from gateway.store.objects import StoredObjects
from gateway.yaml_file import ConfigError
from providers.base import Json
from tests.conftest import TEAM, Background, Served, snapshot_of
from tests.gateway.provider import Make, answer, failed

Gateway = Callable[..., Served]
NAME = "text-embedding-3-small"


def vectors(count: int = 1) -> tuple[Any, ...]:
    data = [{"object": "embedding", "index": index, "embedding": [0.5]} for index in range(count)]
    return answer(200, {"object": "list", "data": data, "usage": {"prompt_tokens": 2, "total_tokens": 2}})


def embed(served: Served, model: str = NAME, **fields: Any) -> httpx.Response:
    return served.client.post("/v1/embeddings", json={"model": model, "input": "a", **fields})


def at(vendor: str, url: str, **more: Any) -> Json:
    keys = {"zhipu": "id.secret", "alibaba": "sk-0123456789abcdef"}
    return {"vendor": vendor, "jurisdiction": "cn-mainland", "base_url": f"{url}/{vendor}", "api_key": keys[vendor], **more}


def reload(served: Served, config: Json) -> None:
    served.app.swap(snapshot_of(config))


def refusal(reply: httpx.Response) -> tuple[int, str]:
    return reply.status_code, reply.json()["error"]["code"]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(f"sqlite:///{tmp_path}/b.db", tmp_path / "pending")


@pytest.fixture
def stored(gateway: Gateway, store: Store) -> Callable[..., Served]:
    return lambda config: gateway(config, TEAM, objects=StoredObjects(store), books=Books(Memory(), StoreLedger(store)), beside=(store,))


# ---- what is served ----


def test_last_years_code_gets_vectors_of_what_stands_in_and_is_told_their_space(gateway: Gateway, simulators: str) -> None:
    served = gateway({"providers": {"z": at("zhipu", simulators)}})
    with OpenAI(base_url=served.url + "/v1", api_key=served.key, max_retries=0) as client:
        reply = client.embeddings.with_raw_response.create(model=NAME, input=["a", "b"])

    assert reply.headers["x-banjia-space"] == "zhipu/embedding-3"
    assert len(reply.parse().data) == 2


def test_who_stands_in_next_is_not_asked_where_its_vectors_are_of_another_space(gateway: Gateway, provider: Make) -> None:
    first = provider(vectors(), failed(500))
    second = provider(vectors())
    accounts = {
        "z": first.account(vendor="zhipu", api_key="id.secret"),
        "a": second.account(vendor="alibaba", api_key="sk-0123456789abcdef"),
    }
    served = gateway({"providers": accounts, "defaults": {"retry": {"max": 0}}})

    well = embed(served)
    ill = embed(served)

    assert (well.status_code, ill.status_code) == (200, 503)
    assert len(second.requests) == 0


def test_a_name_stays_in_its_space_when_another_account_comes_first(stored: Callable[..., Served], simulators: str) -> None:
    zhipu, alibaba = at("zhipu", simulators), at("alibaba", simulators)
    served = stored({"providers": {"z": zhipu}})

    before = embed(served).headers["x-banjia-space"]
    reload(served, {"providers": {"a": alibaba, "z": zhipu}})
    after = embed(served).headers["x-banjia-space"]

    assert before == after == "zhipu/embedding-3"


def test_a_swap_that_nobody_declared_is_refused_until_it_is_declared_or_reset(stored: Callable[..., Served], simulators: str) -> None:
    zhipu, alibaba = at("zhipu", simulators), at("alibaba", simulators)
    served = stored({"providers": {"z": zhipu}})
    embed(served)

    reload(served, {"providers": {"a": alibaba}})
    swapped = embed(served)
    with OpenAI(base_url=served.url + "/v1", api_key=served.key, max_retries=0) as client, pytest.raises(openai.ConflictError) as told:
        client.embeddings.create(model=NAME, input="a")
    route = {"serve": ["a/text-embedding-v4"], "space": "zhipu/embedding-3"}
    reload(served, {"providers": {"a": alibaba}, "models": {NAME: route}})
    declared = embed(served)

    assert refusal(swapped) == (409, "embedding_space_changed")
    assert f"banjia spaces reset red {NAME}" in told.value.message
    assert "space: zhipu/embedding-3" in told.value.message
    assert (declared.status_code, declared.headers["x-banjia-space"]) == (200, "zhipu/embedding-3")


def test_another_name_and_another_team_begin_for_themselves(gateway: Gateway, simulators: str) -> None:
    blue = {**TEAM, "team": "blue", "keys": [{"name": "main", "key": "sk-of-the-blue-team"}]}
    zhipu, alibaba = {"providers": {"z": at("zhipu", simulators)}}, {"providers": {"a": at("alibaba", simulators)}}
    served = gateway(zhipu, TEAM, blue)
    embed(served)
    served.app.swap(snapshot_of(alibaba, TEAM, blue))

    other_name = embed(served, "text-embedding-3-large")
    other_team = served.client.post(
        "/v1/embeddings", json={"model": NAME, "input": "a"}, headers={"authorization": "Bearer sk-of-the-blue-team"}
    )

    assert other_name.headers["x-banjia-space"] == other_team.headers["x-banjia-space"] == "alibaba/text-embedding-v4"
    assert embed(served).status_code == 409


def test_a_key_with_a_route_of_its_own_is_on_its_own(gateway: Gateway, simulators: str) -> None:
    own = {NAME: {"serve": "a/text-embedding-v4", "space": "other"}}
    team = {**TEAM, "keys": [*TEAM["keys"], {"name": "ci", "key": "sk-of-the-ci", "models": own}]}
    served = gateway({"providers": {"z": at("zhipu", simulators), "a": at("alibaba", simulators)}}, team)

    embed(served)
    other = served.client.post("/v1/embeddings", json={"model": NAME, "input": "a"}, headers={"authorization": "Bearer sk-of-the-ci"})

    assert other.headers["x-banjia-space"] == "other"
    assert embed(served).headers["x-banjia-space"] == "zhipu/embedding-3"


def test_a_request_that_fails_begins_nothing(gateway: Gateway, provider: Make, simulators: str) -> None:
    broken = provider(failed(400, code="1210")).account(vendor="zhipu", api_key="id.secret")
    served = gateway({"providers": {"z": broken}})

    assert embed(served).status_code == 400
    reload(served, {"providers": {"a": at("alibaba", simulators)}})
    assert embed(served).headers["x-banjia-space"] == "alibaba/text-embedding-v4"


def test_a_width_that_the_space_does_not_have_is_an_error_and_no_reason_to_leave_it(gateway: Gateway, simulators: str) -> None:
    served = gateway({"providers": {"z": at("zhipu", simulators), "a": at("alibaba", simulators)}})
    embed(served)

    assert refusal(embed(served, dimensions=1536)) == (400, "unsupported_parameter")


def test_openais_own_model_is_the_same_space_everywhere() -> None:
    assert space_of("own", "openai", NAME, original=True) == space_of("", "azure_openai", NAME, original=True) == NAME
    assert space_of("own", "zhipu", "embedding-3", original=False) == "zhipu/embedding-3"
    assert space_of("mine", "zhipu", "embedding-3", original=False) == "mine"


# ---- what must be declared ----


def problems(models: Json, *more: str) -> list[str]:
    accounts = {
        name: {"vendor": vendor, "jurisdiction": "cn-mainland", "api_key": "id.secret"}
        for name, vendor in (("z", "zhipu"), ("a", "alibaba"), ("s", "siliconflow"), ("o", "openai"))
    }
    try:
        snapshot_of({"providers": accounts, "models": models})
    except ConfigError as exc:
        return [f"{problem.field}: {problem.message}" for problem in exc.problems]
    return []


@pytest.mark.parametrize(
    "models",
    [
        {NAME: {"serve": "z/embedding-3", "space": "mine"}},
        {NAME: {"serve": ["a/text-embedding-v4", "s/Qwen/text-embedding-v4"], "space": "mine"}},
        {NAME: "o/text-embedding-3-small"},
        {NAME: "o/*"},
        {"text-embedding-*": "o/*"},
        {"*": "z/glm-5.2"},
        {"ours": "z/embedding-3"},
        {"ours": ["z/embedding-3", "a/text-embedding-v4"]},
        {"gpt-4o": "z/glm-5.2"},
    ],
)
def test_routes_that_say_enough(models: Json) -> None:
    assert problems(models) == []


@pytest.mark.parametrize(
    ("models", "told"),
    [
        ({NAME: "z/embedding-3"}, f"models.{NAME}: vectors of z/embedding-3 do not compare with those of OpenAI's {NAME}"),
        ({NAME: {"serve": "o/*", "fallback": "z/embedding-3"}}, f"models.{NAME}: vectors of z/embedding-3 do not compare"),
        ({"text-*": "z/embedding-3"}, "models.text-*: vectors of z/embedding-3 do not compare"),
        ({NAME: "z/of-no-catalog"}, "`space: zhipu/of-no-catalog`"),
        (
            {"ours": {"serve": ["z/embedding-3", "a/text-embedding-v4"], "space": "x"}},
            "models.ours.space: vectors of different models are not of one space: embedding-3, text-embedding-v4",
        ),
        ({"ours": {"serve": "z/embedding-3", "fallback": "z/embedding-2", "space": "x"}}, "embedding-2, embedding-3"),
        ({"e-*": {"serve": "z/*", "space": "x"}}, "models.e-*.space: e-* with `account/*` is many models"),
        ({"ours": {"serve": "z/embedding-3", "space": "a b"}}, "models.ours.space: "),
    ],
)
def test_routes_that_do_not_are_errors_where_they_stand(models: Json, told: str) -> None:
    found = problems(models)

    assert len(found) == 1
    assert told in found[0]


@given(st.text(alphabet="abAB/-.", min_size=1, max_size=12), st.sampled_from(["", "BAAI/", "a/b/"]))
def test_the_same_model_is_known_by_any_of_its_ids(model: str, owner: str) -> None:
    assert same(owner + model) == same(model.upper()) == same(same(model))


# ---- how it is remembered ----


class Kept:
    """Objects that count who asks, and can be lost."""

    def __init__(self) -> None:
        self.found: dict[str, Object] = {}
        self.asked = 0
        self.lost = False

    async def get(self, kind: str, team: str, id: str) -> Object | None:
        self.asked += 1
        self._there()
        return self.found.get(id)

    async def create(self, *made: Object) -> list[Object]:
        self._there()
        for one in made:
            if one.id in self.found:
                raise Taken(one.id)
            self.found[one.id] = one
        return list(made)

    def _there(self) -> None:
        if self.lost:
            raise StoreError("no database")


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def kept() -> Any:
    return Kept()


def test_the_database_is_asked_once_in_some_seconds_and_not_per_request(kept: Any) -> None:
    clock = Clock()
    spaces = Spaces(clock)

    async def often() -> list[str]:
        await spaces.begin(kept, "red", "e", "x")
        return [await spaces.begun(kept, "red", "e") for _ in range(1000)]

    assert set(asyncio.run(often())) == {"x"}
    assert kept.asked == 0
    clock.now = EVERY
    assert set(asyncio.run(often())) == {"x"}
    assert kept.asked == 1


def test_of_two_replicas_that_begin_at_once_one_is_told_the_others(kept: Any) -> None:
    here, there = Spaces(Clock()), Spaces(Clock())

    async def both() -> list[str]:
        assert [await one.begun(kept, "red", "e") for one in (here, there)] == ["", ""]
        return [await here.begin(kept, "red", "e", "x"), await there.begin(kept, "red", "e", "y")]

    assert asyncio.run(both()) == ["x", "x"]


def test_a_reset_elsewhere_is_known_in_some_seconds(kept: Any) -> None:
    clock = Clock()
    spaces = Spaces(clock)
    asyncio.run(spaces.begin(kept, "red", "e", "x"))
    kept.found.clear()

    assert asyncio.run(spaces.begun(kept, "red", "e")) == "x"
    clock.now = EVERY
    assert asyncio.run(spaces.begun(kept, "red", "e")) == ""


def test_what_begins_while_the_database_is_lost_is_written_when_it_is_back(kept: Any) -> None:
    clock = Clock()
    spaces = Spaces(clock)
    kept.lost = True
    assert asyncio.run(spaces.begun(kept, "red", "e")) == ""
    assert asyncio.run(spaces.begin(kept, "red", "e", "x")) == "x"
    assert asyncio.run(spaces.begun(kept, "red", "e")) == "x"

    kept.lost, clock.now = False, EVERY
    assert asyncio.run(spaces.begun(kept, "red", "e")) == "x"
    assert kept.found[id_of("red", "e")].body == {"name": "e", "space": "x"}


def test_without_a_store_this_process_remembers(kept: Any) -> None:
    spaces = Spaces(Clock())

    assert asyncio.run(spaces.begin(None, "red", "e", "x")) == "x"
    assert asyncio.run(spaces.begin(None, "red", "e", "y")) == "x"
    assert asyncio.run(spaces.begun(None, "red", "e")) == "x"


def test_names_without_number_do_not_fill_the_memory(kept: Any) -> None:
    spaces = Spaces(Clock())

    async def many() -> None:
        for number in range(MOST + 100):
            await spaces.begun(kept, "red", f"e{number}")

    asyncio.run(many())
    assert len(spaces._known) == MOST


@given(st.text(max_size=20))
def test_any_name_makes_an_id_that_a_database_takes(name: str) -> None:
    made = id_of("red", name.encode(errors="ignore").decode())

    assert made.isascii()
    assert made.isprintable()
    assert made.count("/") == 1


def test_it_is_kept_in_the_store(background: Background, store: Store) -> None:
    async def twice() -> tuple[str, str]:
        await store.open()
        objects: Objects = StoredObjects(store)
        await Spaces().begin(objects, "red", "e/模", "x")
        found = await Spaces().begun(objects, "red", "e/模"), await Spaces().begin(objects, "red", "e/模", "y")
        await store.close()
        return found

    assert background.run(twice()) == ("x", "x")
