"""Vector spaces that teams have begun in: seen, and reset, by the admin API and by commands."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from gateway.store.objects import StoredObjects
from providers.base import Json
from tests.gateway.api.admin.conftest import Replica
from tests.gateway.api.admin.desk import Office
from tests.gateway.api.admin.test_commands import cells, done
from tests.gateway.provider import Make, answer

VECTOR = answer(200, {"object": "list", "data": [{"index": 0, "embedding": [0.5]}], "usage": {"prompt_tokens": 1, "total_tokens": 1}})
ODD = "own/模 name"


@pytest.fixture
def office(replica: Replica, sqlite: str, provider: Make) -> Office:
    accounts = {"z": provider(VECTOR).account(vendor="zhipu", api_key="id.secret")}
    made = replica(sqlite, {"providers": accounts, "models": {ODD: "z/embedding-3"}})
    made.served.app.serving.objects = StoredObjects(made.store)
    return made


Embed = Callable[..., Any]


@pytest.fixture
def embed(office: Office) -> Embed:
    def embed(name: str = "text-embedding-3-small", key: str = "") -> None:
        headers = {"authorization": f"Bearer {key}"} if key else None
        assert office.served.client.post("/v1/embeddings", json={"model": name, "input": "a"}, headers=headers).status_code == 200

    return embed


def listed(office: Office, *key: str, **asked: Any) -> list[tuple[str, str, str]]:
    found: list[Json] = office.get("/spaces", *key, **asked)["data"]
    return [(one["team"], one["name"], one["space"]) for one in found]


def test_they_are_listed_and_reset_by_whoever_may_and_it_is_written_down(office: Office, embed: Embed) -> None:
    embed()
    embed(ODD)
    embed(key="sk-of-the-blue-team")
    space, blue = "zhipu/embedding-3", office.token("blue")

    every, own = listed(office), listed(office, blue)
    foreign = office.ask("DELETE", "/spaces/red/text-embedding-3-small", blue)
    reset = office.ask("DELETE", "/spaces/red/own%2F%E6%A8%A1%20name")
    again = office.ask("DELETE", "/spaces/red/own%2F%E6%A8%A1%20name")

    name = "text-embedding-3-small"
    assert every == [("red", name, space), ("red", ODD, space), ("blue", name, space)]
    assert own == [("blue", name, space)]
    assert (foreign.status_code, reset.status_code, again.status_code) == (404, 200, 404)
    assert listed(office, team="red") == [("red", name, space)]
    assert [entry[1:] for entry in office.log() if entry[1] == "space.reset"] == [("space.reset", "red/own%2F%E6%A8%A1%20name")]


def test_after_a_reset_the_next_answer_begins_anew_at_once(office: Office, embed: Embed) -> None:
    embed()
    office.ask("DELETE", "/spaces/red/text-embedding-3-small")
    assert listed(office) == []

    embed()

    assert listed(office) == [("red", "text-embedding-3-small", "zhipu/embedding-3")]


def test_the_commands_list_and_reset(office: Office, embed: Embed) -> None:
    embed()

    table = cells(done(office, "spaces", "list"))
    told = json.loads(done(office, "spaces", "list", "--json", "--team", "red"))
    reset = done(office, "spaces", "reset", "red", "text-embedding-3-small")

    assert table[0][:3] == ["red", "text-embedding-3-small", "zhipu/embedding-3"]
    assert told[0]["space"] == "zhipu/embedding-3"
    assert "begins anew" in reset
    assert done(office, "spaces", "reset", "red", "text-embedding-3-small", code=2) == ""
