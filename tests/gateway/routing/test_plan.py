"""Who may serve a request, in which order: constraints first, preferences after, and always the same for the same draw."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.routing.facts import Facts
from gateway.routing.plan import Plan, make_plan, resolve
from gateway.routing.preferences import Moment
from gateway.snapshot import Key, Snapshot, digest
from providers.base import Json
from tests.conftest import KEY, TEAM, snapshot_of

CN, HK, US, HOME = "cn-mainland", "hk", "us", "on-premises"


def account(place: str = CN, **more: Any) -> Json:
    return {"vendor": "openai_compatible", "jurisdiction": place, "base_url": "http://127.0.0.1:1/v1", **more}


ACCOUNTS: Json = {"a": account(), "b": account(), "c": account(), "hk": account(HK), "us": account(US), "home": account(HOME)}
ALLOW: Json = {"policy": {"allow": {CN: [CN, HOME], HK: [HK, CN], US: [US]}}}
EVERYWHERE: Json = {"policy": {"allow": {CN: [CN, HK, US, HOME]}}}


def snapshot(routes: Json, accounts: Json = ACCOUNTS, **team: Any) -> Snapshot:
    return snapshot_of({"providers": accounts, "models": routes}, {**TEAM, **EVERYWHERE, **team})


def plan(made: Snapshot, facts: Facts | None = None, *, draw: float = 0.0, key: str = KEY) -> Plan:
    found = make_plan(facts or Facts("chat", "m"), made.keys[digest(key)], made, Moment(draw))
    assert found is not None
    return found


def hops(of: Plan) -> list[str]:
    return [hop.name for hop in of.hops]


def why(of: Plan) -> dict[str, str]:
    return {rejected.hop: rejected.code for rejected in of.rejected}


def test_fallbacks_come_in_their_order_after_what_serves() -> None:
    made = snapshot({"m": {"serve": ["a/x"], "fallback": ["c/z", "b/y"]}})

    assert hops(plan(made)) == ["a/x", "c/z", "b/y"]


@pytest.mark.parametrize(("draw", "first"), [(0.0, "a/x"), (0.69, "a/x"), (0.71, "b/y"), (0.999999, "b/y")])
def test_the_draw_decides_between_weights_and_the_others_follow(draw: float, first: str) -> None:
    made = snapshot({"m": {"serve": [{"use": "a/x", "weight": 70}, {"use": "b/y", "weight": 30}], "fallback": ["c/z"]}})

    found = hops(plan(made, draw=draw))

    assert found[0] == first
    assert sorted(found[:2]) == ["a/x", "b/y"]
    assert found[2] == "c/z"


def test_weights_are_met_over_many_draws() -> None:
    made = snapshot({"m": {"serve": [{"use": "a/x", "weight": 5}, {"use": "b/y", "weight": 3}, {"use": "c/z", "weight": 2}]}})

    firsts = Counter(hops(plan(made, draw=number / 1000))[0] for number in range(1000))

    assert firsts == {"a/x": 500, "b/y": 300, "c/z": 200}


def test_a_hop_of_no_weight_serves_nobody() -> None:
    made = snapshot({"m": {"serve": [{"use": "a/x", "weight": 1}, {"use": "b/y", "weight": 0}]}})

    assert {tuple(hops(plan(made, draw=number / 100))) for number in range(100)} == {("a/x",)}


def test_a_hop_of_no_weight_serves_nobody_where_the_other_is_not_permitted_either() -> None:
    serve = [{"use": "us/x", "weight": 1}, {"use": "a/y", "weight": 0}]
    made = snapshot({"m": {"serve": serve}}, **ALLOW, **KEYS)

    assert hops(plan(made)) == []


def test_ordered_hops_keep_their_order_whatever_the_draw() -> None:
    made = snapshot({"m": {"serve": [{"use": "b/y", "weight": 1}, {"use": "a/x", "weight": 99}], "pick": "ordered"}})

    assert {tuple(hops(plan(made, draw=draw))) for draw in (0.0, 0.5, 0.99)} == {("b/y", "a/x")}


def test_a_preferred_hop_goes_first_where_its_when_holds() -> None:
    made = snapshot({"m": {"serve": [{"use": "a/x"}, {"use": "b/y", "when": {"stream": True}, "prefer": True}]}})

    streamed, plain = plan(made, Facts("chat", "m", stream=True)), plan(made)

    assert hops(streamed) == ["b/y", "a/x"]
    assert hops(plain) == ["a/x"]
    assert why(plain) == {"b/y": "when"}


@pytest.mark.parametrize(
    ("when", "facts", "held"),
    [
        ({"stream": True}, Facts("chat", "m", stream=True), True),
        ({"stream": False}, Facts("chat", "m", stream=True), False),
        ({"tools": True}, Facts("chat", "m", tools=True), True),
        ({"tools": True}, Facts("chat", "m"), False),
        ({"images": False}, Facts("chat", "m"), True),
        ({"images": True}, Facts("chat", "m", images=True), True),
        ({"endpoint": "chat"}, Facts("chat", "m"), True),
        ({"endpoint": "embeddings"}, Facts("chat", "m"), False),
        ({"jurisdiction": CN}, Facts("chat", "m"), True),
        ({"jurisdiction": [HK, CN]}, Facts("chat", "m"), True),
        ({"stream": True, "tools": True}, Facts("chat", "m", stream=True), False),
        ({}, Facts("chat", "m"), True),
    ],
)
def test_a_hops_when_is_held_against_the_request(when: Json, facts: Facts, held: bool) -> None:
    made = snapshot({"m": {"serve": [{"use": "a/x", "when": when}], "fallback": ["b/y"]}})

    assert hops(plan(made, facts)) == (["a/x", "b/y"] if held else ["b/y"])


# ---- places ----

KEYS: Json = {
    "keys": [
        {"name": "main", "key": KEY},
        {"name": "hk", "key": "sk-hk-key", "jurisdiction": HK},
        {"name": "us", "key": "sk-us-key", "jurisdiction": US},
    ]
}


@pytest.mark.parametrize(("key", "allowed"), [(KEY, ["a/x", "home/x"]), ("sk-hk-key", ["a/x", "hk/x"]), ("sk-us-key", ["us/x"])])
def test_data_goes_only_where_the_policy_lets_the_callers_go(key: str, allowed: list[str]) -> None:
    made = snapshot({"m": {"serve": ["a/x"], "fallback": ["hk/x", "us/x", "home/x"]}}, **ALLOW, **KEYS)

    found = plan(made, key=key)

    assert hops(found) == allowed
    assert set(why(found).values()) == {"jurisdiction"}


def test_without_a_policy_data_stays_where_the_caller_is_or_at_home() -> None:
    made = snapshot_of({"providers": ACCOUNTS, "models": {"m": {"serve": ["a/x"], "fallback": ["home/x"]}, "n": "a/x"}}, TEAM)

    assert hops(plan(made)) == ["a/x", "home/x"]


def test_a_preference_cannot_overrule_a_place() -> None:
    made = snapshot({"m": {"serve": [{"use": "us/x", "prefer": True, "weight": 1000}, "a/x"]}}, **ALLOW, **KEYS)

    assert {tuple(hops(plan(made, draw=draw))) for draw in (0.0, 0.5, 0.999)} == {("a/x",)}


PLACES = [CN, HK, US, HOME]


@given(
    allow=st.dictionaries(st.sampled_from(PLACES), st.lists(st.sampled_from(PLACES), min_size=1, unique=True), min_size=1),
    serve=st.lists(st.tuples(st.sampled_from(sorted(ACCOUNTS)), st.integers(0, 3), st.booleans()), min_size=1, max_size=4),
    fallback=st.lists(st.sampled_from(sorted(ACCOUNTS)), max_size=3),
    facts=st.builds(Facts, st.just("chat"), st.just("m"), st.booleans(), st.booleans(), st.booleans()),
    draw=st.floats(0, 1, exclude_max=True),
    at=st.sampled_from(PLACES),
)
def test_no_hop_of_any_plan_is_in_a_place_that_is_not_permitted(
    allow: dict[str, list[str]], serve: list[tuple[str, int, bool]], fallback: list[str], facts: Facts, draw: float, at: str
) -> None:
    made = snapshot({"m": "a/x"})
    key = made.keys[digest(KEY)]
    route = {
        "serve": [{"use": f"{use}/x", "weight": weight, "prefer": prefer} for use, weight, prefer in [*serve, ("a", 1, False)]],
        "fallback": [f"{use}/y" for use in fallback],
    }
    tables = snapshot({"m": route}).keys[digest(KEY)].levels
    permitted = frozenset(allow.get(at, ()))

    found = make_plan(facts, Key(key.team, key.name, at, permitted, False, tables), made, Moment(draw))

    assert found is not None
    assert {hop.account.jurisdiction for hop in found.hops} <= permitted


# ---- which entry decides ----


def test_an_entry_of_the_key_goes_before_the_teams_before_the_gateways_before_the_catalogs() -> None:
    accounts = {**ACCOUNTS, "z": {"vendor": "zhipu", "jurisdiction": CN, "api_key": "id.secret"}}
    keys = [{"name": "main", "key": KEY, "models": {"one": "a/key"}}]
    team = {"keys": keys, "models": {"one": "a/team", "two": "a/team"}}
    made = snapshot({"one": "a/gateway", "two": "a/gateway", "three": "a/gateway", "gpt-4o": "a/gateway"}, accounts, **team)

    found = {name: hops(plan(made, Facts("chat", name)))[0] for name in ("one", "two", "three", "gpt-4o", "gpt-4", "glm-5.2")}

    assert found == {
        "one": "a/key",
        "two": "a/team",
        "three": "a/gateway",
        "gpt-4o": "a/gateway",
        "gpt-4": "z/glm-5.2",
        "glm-5.2": "z/glm-5.2",
    }


def test_a_pattern_near_goes_before_an_exact_name_far() -> None:
    made = snapshot({"gpt-4o": "a/gateway"}, models={"gpt-*": "a/team"})

    assert hops(plan(made, Facts("chat", "gpt-4o"))) == ["a/team"]


def test_a_star_passes_the_clients_name_on() -> None:
    made = snapshot({"*": "home/*"})

    assert hops(plan(made, Facts("chat", "meta/llama-3"))) == ["home/meta/llama-3"]


def test_a_name_that_is_rejected_is_told_the_entrys_words() -> None:
    found = plan(snapshot({"m*": {"reject": "no mapping for {model}"}}), Facts("chat", "m-{x}"))

    assert (found.hops, found.refusal) == ((), "no mapping for m-{x}")


def test_of_a_name_that_nothing_knows_there_is_no_plan() -> None:
    made = snapshot({"m": "a/x"})

    assert make_plan(Facts("chat", "other"), made.keys[digest(KEY)], made, Moment()) is None


def test_one_keys_entry_is_not_anothers() -> None:
    keys = [{"name": "main", "key": KEY, "models": {"m": "a/mine"}}, {"name": "other", "key": "sk-other"}]
    made = snapshot({"m": "b/all"}, keys=keys)

    assert [hops(plan(made, key=key)) for key in (KEY, "sk-other", KEY)] == [["a/mine"], ["b/all"], ["a/mine"]]


# ---- what accounts and models can ----


def test_an_account_without_a_key_is_off_and_says_why() -> None:
    accounts = {**ACCOUNTS, "z": {"vendor": "zhipu", "jurisdiction": CN, "api_key": ""}}
    made = snapshot({"m": {"serve": ["z/glm-5.2"], "fallback": ["a/x"]}}, accounts)

    found = plan(made)

    assert hops(found) == ["a/x"]
    assert [(r.code, r.why) for r in found.rejected] == [("off", "it is switched off: api_key is empty")]


def test_a_name_of_the_catalog_is_served_by_accounts_in_their_order() -> None:
    one = {"vendor": "zhipu", "jurisdiction": CN, "api_key": "id.secret"}
    made = snapshot({}, {"first": one, "off": {**one, "api_key": ""}, "second": one})

    assert {tuple(hops(plan(made, Facts("chat", "gpt-4o"), draw=draw))) for draw in (0.0, 0.9)} == {("first/glm-5.2", "second/glm-5.2")}


def test_of_a_group_the_first_that_can_take_the_request_stands_for_all() -> None:
    made = snapshot({}, {"z": {"vendor": "zhipu", "jurisdiction": CN, "api_key": "id.secret"}})

    plain, seeing = plan(made, Facts("chat", "gpt-4o")), plan(made, Facts("chat", "gpt-4o", images=True))

    assert hops(plain) == ["z/glm-5.2"]
    assert why(plain) == {"z/glm-5v-turbo": "not_needed", "z/glm-5.3-flash": "not_needed"}
    assert hops(seeing) == ["z/glm-5v-turbo"]
    assert why(seeing)["z/glm-5.2"] == "incapable"


@pytest.mark.parametrize(
    ("model", "facts"),
    [
        ("glm-4-plus", Facts("chat", "m", images=True)),
        ("glm-4v-flash", Facts("chat", "m", tools=True)),
        ("embedding-3", Facts("embeddings", "m", dimensions=333)),
    ],
)
def test_a_model_that_cannot_take_the_request_is_passed_by(model: str, facts: Facts) -> None:
    accounts = {**ACCOUNTS, "z": {"vendor": "zhipu", "jurisdiction": CN, "api_key": "id.secret"}}

    found = plan(snapshot({"m": {"serve": [f"z/{model}"], "fallback": ["a/x"]}}, accounts), facts)

    assert hops(found) == ["a/x"]
    assert why(found) == {f"z/{model}": "incapable"}


def test_a_model_of_which_nothing_is_known_is_tried() -> None:
    found = plan(snapshot({"m": "a/x"}), Facts("chat", "m", images=True, tools=True))

    assert hops(found) == ["a/x"]


def test_an_embedding_model_answers_no_chats() -> None:
    made = snapshot({"m": "z/embedding-3"}, {"z": {"vendor": "zhipu", "jurisdiction": CN, "api_key": "id.secret"}})

    assert why(plan(made)) == {"z/embedding-3": "endpoint"}


def test_what_was_found_once_is_remembered_and_the_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.routing.plan.MOST_SEEN", 10)
    made = snapshot({"*": "home/*"})
    key = made.keys[digest(KEY)]

    first = resolve("m", "chat", key, made)
    again = resolve("m", "chat", key, made)
    for number in range(50):
        resolve(f"m{number}", "chat", key, made)

    assert first is again
    assert len(made.routes_seen) <= 10
