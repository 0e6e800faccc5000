"""What bars a hop: filings with their exceptions, lengths, and where refused content may go."""

from datetime import date, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.catalog import Filing
from gateway.routing.constraints import CHINA
from gateway.routing.facts import Facts
from gateway.routing.plan import Plan, make_plan
from gateway.routing.preferences import Moment
from gateway.snapshot import Snapshot, digest
from gateway.yaml_file import ConfigError
from providers.base import Json
from tests.conftest import KEY, TEAM, snapshot_of

ZHIPU: Json = {"vendor": "zhipu", "jurisdiction": "cn-mainland", "api_key": "id.secret"}
LLAMA: Json = {"vendor": "openai_compatible", "jurisdiction": "on-premises", "base_url": "http://127.0.0.1:1/v1"}
AZURE: Json = {"vendor": "azure_openai", "jurisdiction": "hk", "base_url": "http://127.0.0.1:1", "api_key": "k"}
ACCOUNTS: Json = {"zhipu": ZHIPU, "llama": LLAMA, "azure": AZURE}
FILING = Filing(number="1", name="GLM", office="Beijing", date=date(2023, 8, 31), until=date.max, scope="filing", source="s")


def made(routes: Json, policy: Json, **filings: Any) -> Snapshot:
    snapshot = snapshot_of({"providers": ACCOUNTS, "models": routes}, {**TEAM, "policy": policy})
    return replace(snapshot, catalog=replace(snapshot.catalog, filings={"zhipu": (("glm-*", FILING),), **filings}))


def plan(snapshot: Snapshot, facts: Facts | None = None, now: float = 0.0) -> Plan:
    found = make_plan(facts or Facts("chat", "m"), snapshot.keys[digest(KEY)], snapshot, Moment(now=now))
    assert found is not None
    return found


def hops(of: Plan) -> list[str]:
    return [hop.name for hop in of.hops]


def why(of: Plan) -> dict[str, str]:
    return {rejected.hop: rejected.code for rejected in of.rejected}


def at(day: str) -> float:
    return datetime.fromisoformat(f"{day}+08:00").timestamp()


# ---- filings ----


def test_only_filed_models_serve_on_every_hop() -> None:
    routes = {"m": {"serve": ["zhipu/embedding-3x", "zhipu/glm-5.2"], "fallback": ["llama/llama-3", "zhipu/glm-4.7"]}}

    found = plan(made(routes, {"filed_models_only": True, "on_refusal": ["llama/x", "zhipu/glm-4.6"]}))

    assert hops(found) == ["zhipu/glm-5.2", "zhipu/glm-4.7"]
    assert [hop.name for hop in found.on_refusal] == ["zhipu/glm-4.6"]
    assert why(found) == {"zhipu/embedding-3x": "not_filed", "llama/llama-3": "not_filed", "llama/x": "not_filed"}


@pytest.mark.parametrize("name", ["anything", "llama-3", "glm-like"])
def test_a_model_behind_a_star_is_judged_by_what_it_is(name: str) -> None:
    assert why(plan(made({"*": "llama/*"}, {"filed_models_only": True}), Facts("chat", name))) == {f"llama/{name}": "not_filed"}


def test_a_team_that_does_not_ask_for_it_may_use_any() -> None:
    assert hops(plan(made({"m": "llama/x"}, {}))) == ["llama/x"]


def test_an_exception_lasts_to_the_end_of_its_day_in_china() -> None:
    waived = {"model": "llama/llama-*", "until": "2026-12-31", "reason": "pilot"}
    snapshot = made({"m": ["llama/llama-3", "zhipu/glm-5.2"]}, {"filed_models_only": True, "exceptions": [waived]})

    before, after = plan(snapshot, now=at("2026-12-31T23:59:59")), plan(snapshot, now=at("2027-01-01T00:00:00"))

    assert sorted(hops(before)) == ["llama/llama-3", "zhipu/glm-5.2"]
    assert hops(after) == ["zhipu/glm-5.2"]
    assert why(after) == {"llama/llama-3": "not_filed"}
    assert "2026-12-31" in after.rejected[0].why


def test_of_two_exceptions_the_longer_counts() -> None:
    two = [{"model": "llama/*", "until": f"{year}-01-01", "reason": "pilot"} for year in (2026, 2028, 2027)]

    assert hops(plan(made({"m": "llama/x"}, {"filed_models_only": True, "exceptions": two}), now=at("2027-06-01T00:00:00"))) == ["llama/x"]


def test_a_filing_that_is_to_come_does_not_count_yet() -> None:
    later = replace(FILING, date=datetime.now(CHINA).date() + timedelta(days=2))

    assert why(plan(made({"m": "zhipu/glm-5.2"}, {"filed_models_only": True}, zhipu=(("glm-*", later),)))) == {"zhipu/glm-5.2": "not_filed"}


def test_an_exception_cannot_take_data_to_another_place() -> None:
    waived = {"model": "*/*", "until": "2099-01-01", "reason": "everything"}
    policy = {"filed_models_only": True, "exceptions": [waived], "allow": {"cn-mainland": ["cn-mainland"], "hk": ["hk"]}}
    keys = [{"name": "main", "key": KEY}, {"name": "hk", "key": "sk-hk-key", "jurisdiction": "hk"}]
    snapshot = snapshot_of({"providers": ACCOUNTS, "models": {"m": ["azure/gpt-4o"]}}, {**TEAM, "policy": policy, "keys": keys})

    assert why(plan(snapshot)) == {"azure/gpt-4o": "jurisdiction"}


@pytest.mark.parametrize(
    ("policy", "told"),
    [
        ({"exceptions": [{"model": "llama/x", "until": "2026-12-31"}]}, "exceptions[0].reason: is missing"),
        ({"exceptions": [{"model": "llama/x", "reason": "pilot"}]}, "exceptions[0].until: is missing"),
        ({"exceptions": [{"model": "llama", "until": "2026-12-31", "reason": "pilot"}]}, "exceptions[0].model"),
        ({"on_refusal": ["nobody/x"]}, "policy.on_refusal[0].use: there is no account 'nobody'"),
        ({"on_refusal": ["azure/gpt-4o"]}, "policy.on_refusal[0]: no caller can reach it"),
        ({"on_refusal": "somewhere"}, "on_refusal"),
    ],
)
def test_a_mistake_in_a_policy_is_told(policy: Json, told: str) -> None:
    with pytest.raises(ConfigError) as raised:
        made({"m": "zhipu/glm-5.2"}, policy)

    assert any(told in str(problem) for problem in raised.value.problems), raised.value.problems


# ---- refused content ----


def test_refused_content_goes_where_the_team_says_under_the_same_rules() -> None:
    policy = {
        "allow": {"cn-mainland": ["cn-mainland", "on-premises"], "hk": ["hk"]},
        "on_refusal": ["llama/x", {"use": "azure/y"}, "zhipu/*"],
    }
    keys = [{"name": "main", "key": KEY}, {"name": "hk", "key": "sk-hk-key", "jurisdiction": "hk"}]
    snapshot = snapshot_of(
        {"providers": ACCOUNTS, "models": {"m": {"serve": "zhipu/glm-5.2", "fallback": "azure/gpt-4o"}}},
        {**TEAM, "policy": policy, "keys": keys},
    )

    there = {key: make_plan(Facts("chat", "m"), snapshot.keys[digest(key)], snapshot, Moment()) for key in (KEY, "sk-hk-key")}

    assert {key: [hop.name for hop in found.on_refusal] for key, found in there.items() if found} == {
        KEY: ["llama/x", "zhipu/m"],
        "sk-hk-key": ["azure/y"],
    }


def test_refused_content_goes_to_no_model_that_cannot_take_it() -> None:
    found = plan(made({"m": "zhipu/glm-5v-turbo"}, {"on_refusal": ["zhipu/glm-5.2", "llama/x"]}), Facts("chat", "m", images=True))

    assert [hop.name for hop in found.on_refusal] == ["llama/x"]


# ---- lengths ----


def test_a_prompt_goes_to_no_model_that_cannot_read_it() -> None:
    snapshot = made({"m": {"serve": "zhipu/glm-4.6", "fallback": ["zhipu/glm-5.2", "llama/x"]}}, {})

    found = plan(snapshot, Facts("chat", "m", size=900_000, tokens={"": 300_000}))

    assert hops(found) == ["zhipu/glm-5.2", "llama/x"]
    assert why(found) == {"zhipu/glm-4.6": "too_long"}


@pytest.mark.parametrize(("tokens", "tried"), [(200_000, True), (249_999, True), (250_001, False)])
def test_what_another_tokenizer_has_counted_has_the_benefit_of_the_doubt(tokens: int, tried: bool) -> None:
    assert bool(hops(plan(made({"m": "zhipu/glm-4.6"}, {}), Facts("chat", "m", tokens={"": tokens})))) is tried


def test_a_models_own_tokenizer_is_believed() -> None:
    accounts = {"bailian": {"vendor": "alibaba", "jurisdiction": "cn-mainland", "api_key": "k"}}
    snapshot = snapshot_of({"providers": accounts, "models": {"m": "bailian/qwen3.7-plus"}}, TEAM)
    model = snapshot.catalog.facts("alibaba", "qwen3.7-plus")
    assert model.tokenizer
    assert model.context

    assert hops(plan(snapshot, Facts("chat", "m", tokens={model.tokenizer: model.context}))) == ["bailian/qwen3.7-plus"]
    assert hops(plan(snapshot, Facts("chat", "m", tokens={model.tokenizer: model.context + 1}))) == []


def test_models_that_answer_too_briefly_come_last() -> None:
    snapshot = made({"m": {"serve": ["zhipu/glm-4.6v", "llama/x"], "pick": "ordered", "fallback": ["zhipu/glm-5.2"]}}, {})

    assert hops(plan(snapshot, Facts("chat", "m", output=4_000))) == ["zhipu/glm-4.6v", "llama/x", "zhipu/glm-5.2"]
    assert hops(plan(snapshot, Facts("chat", "m", output=40_000))) == ["llama/x", "zhipu/glm-5.2", "zhipu/glm-4.6v"]


# ---- keys ----


def test_a_key_made_later_is_not_served_as_its_namesake() -> None:
    keys = [{"name": "main", "key": KEY}, {"name": "hk", "key": "sk-hk-key", "jurisdiction": "hk"}]
    team_file = {**TEAM, "policy": {"allow": {"cn-mainland": ["cn-mainland"], "hk": ["hk"]}}, "keys": keys}
    snapshot = snapshot_of({"providers": ACCOUNTS, "models": {"m": ["zhipu/glm-5.2", "azure/gpt-4o"]}}, team_file)
    team = snapshot.teams["red"]

    plans = [make_plan(Facts("chat", "m"), team.key("main", place), snapshot, Moment()) for place in ("hk", "cn-mainland", "hk")]

    assert [hops(found) for found in plans if found] == [["azure/gpt-4o"], ["zhipu/glm-5.2"], ["azure/gpt-4o"]]


def test_a_key_made_later_does_not_have_the_routes_of_its_namesake() -> None:
    keys = [{"name": "main", "key": KEY, "models": {"m": "zhipu/glm-4.7"}}]
    snapshot = snapshot_of({"providers": ACCOUNTS, "models": {"m": "zhipu/glm-5.2"}}, {**TEAM, "keys": keys})
    made = make_plan(Facts("chat", "m"), snapshot.teams["red"].key("main"), snapshot, Moment())

    assert hops(plan(snapshot)) == ["zhipu/glm-4.7"]
    assert made is not None
    assert hops(made) == ["zhipu/glm-5.2"]
