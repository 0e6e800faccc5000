"""Accounts, teams and grants over HTTP: how they stand."""

import time
from typing import Any

import pytest

from gateway.accounting.grants import Drawn
from providers.base import Json
from tests.conftest import KEY, TEAM, Background
from tests.gateway.api.admin.conftest import ZHIPU, Replica
from tests.gateway.api.admin.desk import BLUE
from tests.gateway.provider import Make, failed, said

USAGE = {"prompt_tokens": 100, "completion_tokens": 1000, "total_tokens": 1100}
PRICE = "0.0288"
"""What that costs at 8 and 28 CNY a million tokens."""


def account(of: list[Json], name: str) -> Json:
    (found,) = [one for one in of if one["name"] == name]
    return found


# ---- accounts ----


def test_an_account_that_fails_rests_and_says_until_when(replica: Replica, sqlite: str, provider: Make) -> None:
    config = {
        "providers": {"z": provider(failed(500)).account(**ZHIPU), "y": provider(said()).account(**ZHIPU)},
        "models": {"m": {"serve": "z/glm-5.2", "retry": {"max": 0}}, "n": "y/glm-5.2"},
        "defaults": {"breaker": {"failures": 2, "cooldown": "60s"}},
    }
    office = replica(sqlite, config)
    assert account(office.get("/accounts")["data"], "z")["models"] == []

    office.chat(KEY)
    (once,) = account(office.get("/accounts")["data"], "z")["models"]
    office.chat(KEY)
    office.chat(KEY, model="n")
    accounts = office.get("/accounts")["data"]

    (twice,) = account(accounts, "z")["models"]
    assert (once["model"], once["state"], once["failed"], once["resting_until"]) == ("glm-5.2", "well", 1, None)
    assert (twice["state"], twice["failed"]) == ("resting", 2)
    assert 30 < twice["resting_until"] - time.time() < 90
    assert account(accounts, "y")["models"] == []


def test_the_pace_of_hops_is_told_where_a_route_looks_at_it(replica: Replica, sqlite: str, provider: Make) -> None:
    accounts = {name: provider(said()).account(**ZHIPU) for name in "zy"}
    office = replica(sqlite, {"providers": accounts, "models": {"m": {"serve": ["z/glm-5.2", "y/glm-5.2"], "pick": "fastest"}}})

    assert [office.chat(KEY).status_code for _ in range(4)] == [200] * 4

    for one in office.get("/accounts")["data"]:
        (hop,) = one["models"]
        assert 0 < hop["first_token_s"] < 10
        assert hop["first_token_stream_s"] is None


def test_an_accounts_limits_and_its_tired_credentials_are_told_without_secrets(replica: Replica, sqlite: str, provider: Make) -> None:
    of = provider(failed(429, "slow down"), said()).account(
        **ZHIPU, credentials=[{"api_key": "id2.secret2"}], limits={"rpm": 100, "concurrent": 5}
    )
    office = replica(sqlite, {"providers": {"z": of}, "models": {"m": "z/glm-5.2"}})

    assert office.chat(KEY).status_code == 200
    reply = office.ask("GET", "/accounts")

    (told,) = reply.json()["data"]
    assert told["limits"] == {"rpm": {"limit": 100, "used": 2}, "concurrent": {"limit": 5, "used": 0}}
    assert told["credentials"] == 2
    assert [one["credential"] for one in told["cooling"]] == [0]
    assert told["cooling"][0]["until"] > time.time()
    for secret in ("id.secret", "id2.secret2", "provider-key"):
        assert secret not in reply.text


def test_what_stands_before_the_host_of_an_address_is_not_told(replica: Replica, sqlite: str) -> None:
    of = {"vendor": "zhipu", "jurisdiction": "cn-mainland", "api_key": "id.secret", "base_url": "http://me:hidden@127.0.0.1:9/api/paas/v4"}
    office = replica(sqlite, {"providers": {"z": of}})

    reply = office.ask("GET", "/accounts")

    assert reply.json()["data"][0]["base_url"] == "http://127.0.0.1:9/api/paas/v4"
    assert "hidden" not in reply.text


# ---- teams ----


@pytest.fixture
def bounded(provider: Make) -> tuple[Json, Json]:
    """A config, and a team with limits and budgets."""
    keys = [{"name": "main", "key": KEY, "limits": {"rpm": 5}, "budget": {"amount": "10K tokens", "per": "total"}}]
    config = {"providers": {"z": provider(said(usage=USAGE)).account(**ZHIPU)}, "models": {"m": "z/glm-5.2"}}
    return config, {**TEAM, "keys": keys, "limits": {"rpm": 10, "concurrent": 3}, "budget": {"amount": "3 CNY", "per": "day"}}


def test_a_team_sees_what_is_left_of_its_limits_and_budgets(replica: Replica, url: str, bounded: tuple[Json, Json]) -> None:
    config, team = bounded
    office = replica(url, config, team, BLUE)
    token = office.token("red")

    assert office.chat(KEY, max_tokens=10).status_code == 200
    assert office.chat(KEY, max_tokens=10).status_code == 200
    (told,) = office.get("/teams", token)["data"]

    assert (told["name"], told["keys"], told["permitted"]) == ("red", ["main"], ["cn-mainland", "on-premises"])
    assert told["limits"] == [
        {"of": "team", "unit": "requests", "limit": 10, "used": 2},
        {"of": "team", "unit": "concurrent", "limit": 3, "used": 0},
        {"of": "key main", "unit": "requests", "limit": 5, "used": 2},
    ]
    money, tokens = told["budgets"]
    assert (money["of"], money["unit"], money["amount"], money["spent"], money["held"]) == ("team", "CNY", "3", "0.0576", "0")
    assert money["left"] == "2.9424"
    assert money["until"] - money["since"] == 86_400
    assert (tokens["of"], tokens["spent"], tokens["left"], tokens["until"]) == ("key main", "2200", "7800", None)
    assert [one["name"] for one in office.get("/teams")["data"]] == ["red", "blue"]


def test_a_budget_is_told_before_anybody_has_asked_for_it(replica: Replica, sqlite: str, bounded: tuple[Json, Json]) -> None:
    config, team = bounded
    assert replica(sqlite, config, team, BLUE).chat(KEY, max_tokens=10).status_code == 200

    again = replica(sqlite, config, team, BLUE)

    assert [one["spent"] for one in again.get("/teams", team="red")["data"][0]["budgets"]] == [PRICE, "1100"]


# ---- grants ----


@pytest.fixture
def gifted(provider: Make) -> Json:
    return {
        "providers": {"z": provider(said(usage=USAGE)).account(**ZHIPU)},
        "models": {"m": {"serve": "z/glm-5.2", "pick": "grants_first"}},
        "grants": [
            {"account": "z", "name": "gift", "tokens": "1M", "expires": "2099-12-31T00:00:00+08:00", "reserve": "10%"},
            {"account": "z", "name": "later", "tokens": "2M", "expires": "2099-12-31T00:00:01+08:00", "models": ["glm-*"]},
        ],
    }


def test_grants_are_told_as_they_stand(replica: Replica, sqlite: str, gifted: Json) -> None:
    office = replica(sqlite, gifted)

    assert office.chat(KEY, max_tokens=2000).status_code == 200
    gift, later = office.get("/grants")["data"]

    assert (gift["name"], gift["tokens"], gift["cap"], gift["used"], gift["held"], gift["doubt"]) == (
        "gift",
        1_000_000,
        900_000,
        1100,
        0,
        0,
    )
    assert (gift["left"], gift["expires"], gift["models"], gift["kinds"]) == (898_900, 4102329600.0, ["*"], "all")
    assert (later["used"], later["left"], later["unused"]) == (0, 2_000_000, 2_000_000)
    assert [grant["name"] for grant in office.get("/accounts")["data"][0]["grants"]] == ["gift", "later"]


def test_a_grant_is_compared_with_the_bill_and_corrected_only_when_told(
    replica: Replica, url: str, gifted: Json, background: Background
) -> None:
    office = replica(url, gifted)
    assert office.chat(KEY, max_tokens=2000).status_code == 200

    compared = office.post("/grants/gift/reconcile", billed=1500).json()
    before = office.get("/grants")["data"][0]["used"]
    adopted = office.post("/grants/gift/reconcile", billed=1500, adopt=True).json()
    after = office.get("/grants")["data"][0]["used"]

    assert compared == {"grant": "gift", "billed": 1500, "used": 1100, "doubt": 0, "drift": 400, "adopted": False}
    assert (adopted["drift"], adopted["adopted"]) == (400, True)
    assert (before, after) == (1100, 1500)
    assert office.log() == [("admin", "grants.adopt", "gift")]
    assert office.chat(KEY, max_tokens=2000).status_code == 200
    again = replica(url, gifted)  # counts by what is written down
    assert again.get("/grants")["data"][0]["used"] == 2600
    assert again.post("/grants/gift/reconcile", billed=100, adopt=True).status_code == 200
    assert replica(url, gifted).get("/grants")["data"][0]["used"] == 100


def test_what_is_held_is_told_beside_what_is_used(replica: Replica, sqlite: str, gifted: Json, background: Background) -> None:
    office = replica(sqlite, gifted)
    grants = office.served.app.serving.books.grants

    drawn = background.run(grants.draw("z", "glm-5.2", prompt=10, completion=20, until=time.time() + 9))
    held = office.get("/grants")["data"][0]["held"]
    assert isinstance(drawn, Drawn)
    background.loop.call_soon_threadsafe(grants.release, drawn)

    assert held == 30
    assert office.get("/grants")["data"][0]["held"] == 0


@pytest.mark.parametrize(
    ("name", "body", "status"),
    [
        ("none", {"billed": 5}, 404),
        ("gift", {}, 400),
        ("gift", {"billed": -1}, 400),
        ("gift", {"billed": 10**20}, 400),
        ("gift", {"billed": "5"}, 400),
        ("gift", {"billed": 5, "adopt": 1}, 400),
        ("gift", {"billed": 5, "used": 0}, 400),
    ],
)
def test_a_bill_that_is_none_changes_nothing(
    replica: Replica, sqlite: str, gifted: Json, name: str, body: dict[str, Any], status: int
) -> None:
    office = replica(sqlite, gifted)

    assert office.post(f"/grants/{name}/reconcile", **body).status_code == status
    assert office.get("/grants")["data"][0]["used"] == 0
    assert office.log() == []
