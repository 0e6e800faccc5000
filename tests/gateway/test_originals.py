"""OpenAI's own models, at OpenAI and at Azure: versions, deployments and places in the config; and that those who may not reach them are
served as if they were not there."""

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.api.admin.probe import first_model
from gateway.catalog import shipped
from gateway.config import load, shown
from gateway.routing.facts import Facts
from gateway.routing.plan import make_plan
from gateway.routing.preferences import Moment
from gateway.settings import Account, GatewayFile
from gateway.snapshot import Snapshot, digest, full_base
from gateway.yaml_file import ConfigError, load_yaml
from providers.base import Json
from tests.conftest import Served, snapshot_of

AZURE: Json = {
    "vendor": "azure_openai",
    "jurisdiction": "hk",
    "base_url": "https://RESOURCE.openai.azure.com",
    "api_key": "0123456789abcdef",
    "api_version": "2024-10-21",
    "deployments": {"gpt-4o": "gpt4o-prod"},
}
ZHIPU: Json = {"vendor": "zhipu", "jurisdiction": "cn-mainland", "api_key": "id.secret"}
OPENAI: Json = {"vendor": "openai", "jurisdiction": "us", "api_key": "sk-0123456789"}
MAINLAND: Json = {
    name: {"vendor": name, "jurisdiction": "cn-mainland", **secrets}
    for name, secrets in {
        "zhipu": {"api_key": "id.secret"},
        "baidu": {"api_key": "k"},
        "sensetime": {"api_key": "k", "surface": "token_plan"},
        "alibaba": {"api_key": "k"},
        "baichuan": {"api_key": "k"},
    }.items()
}


def team(place: str = "cn-mainland", name: str = "red", **more: Any) -> Json:
    return {"team": name, "keys": [{"name": "main", "key": f"sk-of-{name}"}], "jurisdiction": place, **more}


def hops(snapshot: Snapshot, model: str, name: str = "red", endpoint: str = "chat", **facts: Any) -> list[str] | None:
    plan = make_plan(Facts(endpoint, model, **facts), snapshot.keys[digest(f"sk-of-{name}")], snapshot, Moment())
    return [hop.name for hop in plan.hops] if plan else None


def problems(account: Json) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        snapshot_of({"providers": {"a": account}})
    return [f"{found.field}: {found.message}" for found in raised.value.problems]


# ---- surfaces, versions, addresses ----


@pytest.mark.parametrize(
    ("more", "surface", "base"),
    [
        ({}, "v1", "https://r.openai.azure.com/openai/v1"),
        ({"api_version": ""}, "v1", "https://r.openai.azure.com/openai/v1"),
        ({"api_version": "v1"}, "v1", "https://r.openai.azure.com/openai/v1"),
        ({"api_version": "latest"}, "v1", "https://r.openai.azure.com/openai/v1"),
        ({"api_version": "preview"}, "v1", "https://r.openai.azure.com/openai/v1"),
        ({"api_version": "2024-10-21"}, "classic", "https://r.openai.azure.com/openai"),
        ({"api_version": "2025-04-01-preview"}, "classic", "https://r.openai.azure.com/openai"),
        ({"api_version": "2024-10-21", "surface": "classic"}, "classic", "https://r.openai.azure.com/openai"),
        ({"base_url": "https://r.openai.azure.com/openai/"}, "v1", "https://r.openai.azure.com/openai/v1"),
        ({"base_url": "https://r.services.ai.azure.com/openai/v1/"}, "v1", "https://r.services.ai.azure.com/openai/v1"),
        ({"base_url": "https://r.openai.azure.com/openai", "api_version": "2024-10-21"}, "classic", "https://r.openai.azure.com/openai"),
    ],
)
def test_the_version_decides_on_the_surface_and_the_address_is_filled_up(more: Json, surface: str, base: str) -> None:
    account = {"vendor": "azure_openai", "jurisdiction": "hk", "base_url": "https://r.openai.azure.com", "api_key": "k", **more}

    made = snapshot_of({"providers": {"a": account}}).accounts["a"]

    assert (made.adapter.surface, made.base_url, made.version) == (surface, base, more.get("api_version", ""))


@pytest.mark.parametrize(("account", "told"), [
    ({**ZHIPU, "api_version": "2024-10-21"}, "providers.a.api_version: zhipu has no versions to choose from"),
    ({**ZHIPU, "deployments": {"glm-5.2": "x"}}, "providers.a.deployments: zhipu has none: a model goes by its own name there"),
    ({**AZURE, "api_version": "2024"}, "azure_openai has no version '2024'; it takes: v1, latest, preview, YYYY-MM-DD, YYYY-MM-DD-preview"),
    ({**AZURE, "surface": "v1"}, "surface 'v1' of azure_openai has no version '2024-10-21'; it takes: v1, latest, preview"),
    ({**AZURE, "surface": "classic", "api_version": None}, "is missing: surface 'classic' of azure_openai takes: YYYY-MM-DD"),
    ({**AZURE, "base_url": None}, "providers.a.base_url: is missing: an account of azure_openai has an address of its own"),
    ({**AZURE, "api_key": None}, "needs api_key or tenant_id and client_id and client_secret"),
    ({**AZURE, "deployments": {"gpt-4o": ""}}, "providers.a.deployments.gpt-4o"),
    ({**OPENAI, "api_version": "2024-10-21"}, "openai has no versions to choose from"),
])  # fmt: skip
def test_what_an_account_cannot_have_is_told(account: Json, told: str) -> None:
    assert any(told in problem for problem in problems(account)), problems(account)


def test_an_empty_address_switches_off_an_account_that_has_to_have_one() -> None:
    accounts = snapshot_of({"providers": {"a": {**AZURE, "base_url": "", "api_key": ""}, "z": {**ZHIPU, "base_url": ""}}}).accounts

    assert accounts["a"].off == "it is switched off: api_key and base_url are empty"
    assert (accounts["z"].off, accounts["z"].base_url) == ("", "https://open.bigmodel.cn/api/paas/v4")


def test_of_several_ways_the_one_whose_secrets_are_not_empty_proves_the_account() -> None:
    application = {"tenant_id": "t", "client_id": "c", "client_secret": "s"}

    account = snapshot_of({"providers": {"a": {**AZURE, "api_key": "", **application}}}).accounts["a"]

    assert (account.auth.secrets, account.off) == (("tenant_id", "client_id", "client_secret"), "")
    assert "auth_url" not in account.secrets  # tokens are not issued by the resource
    given = {**AZURE, **application, "auth_url": "https://login.example.com"}
    assert snapshot_of({"providers": {"a": given}}).accounts["a"].secrets["auth_url"] == "https://login.example.com"


@pytest.mark.parametrize(("given", "own", "whole"), [
    ("https://r.openai.azure.com", "/openai", "https://r.openai.azure.com/openai"),
    ("https://r.openai.azure.com/openai", "/openai", "https://r.openai.azure.com/openai"),
    ("https://r.openai.azure.com/openai", "/openai/v1", "https://r.openai.azure.com/openai/v1"),
    ("https://proxy/myopenai", "/openai/v1", "https://proxy/myopenai/openai/v1"),
])  # fmt: skip
def test_a_base_that_ends_in_openai_is_not_doubled(given: str, own: str, whole: str) -> None:
    assert full_base(given, own) == whole


def test_secrets_of_an_application_are_masked(tmp_path: Path) -> None:
    account = {
        **AZURE,
        "api_key": None,
        "tenant_id": "tenant-0123456789",
        "client_id": "client-0123456789",
        "client_secret": "hidden-0123456789",
    }
    (tmp_path / "teams").mkdir()
    (tmp_path / "teams" / "red.yaml").write_text(json.dumps({"schema": "banjia/team.v1", **team("hk")}))
    (tmp_path / "gateway.yaml").write_text(json.dumps({"schema": "banjia/v1", "providers": {"a": account}}))

    text = json.dumps(shown(load(tmp_path, {})))

    assert "hidden-0123456789" not in text
    assert "0123456789" not in text


# ---- deployments ----


def test_a_hop_takes_its_facts_from_the_models_name_and_goes_to_the_deployment() -> None:
    snapshot = snapshot_of({"providers": {"azure-hk": AZURE}}, team("hk", models={"m": "azure-hk/gpt-4o", "n": "azure-hk/something"}))

    plan = make_plan(Facts("chat", "m"), snapshot.keys[digest("sk-of-red")], snapshot, Moment())
    other = make_plan(Facts("chat", "n"), snapshot.keys[digest("sk-of-red")], snapshot, Moment())

    assert plan
    assert other
    target = plan.hops[0].target
    assert (target.model.id, target.model.endpoint, target.model.output, target.model.json) == ("gpt-4o", "gpt4o-prod", 16_384, "schema")
    assert target.version == "2024-10-21"
    assert (other.hops[0].target.model.id, other.hops[0].target.model.endpoint) == ("something", "")


def test_the_names_of_an_account_are_those_it_has_deployed_if_it_says() -> None:
    some = snapshot_of({"providers": {"a": {**AZURE, "deployments": {"gpt-4o": "x", "deepseek-v3": "y"}}}}, team("hk"))
    all_ = snapshot_of({"providers": {"a": {**AZURE, "deployments": None}}}, team("hk"))

    assert (hops(some, "gpt-4o"), hops(some, "deepseek-v3"), hops(some, "gpt-4.1")) == (["a/gpt-4o"], ["a/deepseek-v3"], None)
    assert (hops(all_, "gpt-4o"), hops(all_, "gpt-4.1"), hops(all_, "deepseek-v3")) == (["a/gpt-4o"], ["a/gpt-4.1"], None)


def test_a_probe_asks_for_a_model_that_is_deployed() -> None:
    some = snapshot_of({"providers": {"a": {**AZURE, "deployments": {"text-embedding-3-small": "e", "gpt-4.1-mini": "x"}}}})
    all_ = snapshot_of({"providers": {"a": {**AZURE, "deployments": None}}})
    none = snapshot_of({"providers": {"a": {**AZURE, "deployments": {"text-embedding-3-small": "e"}}}})

    asked = [first_model(snapshot.accounts["a"], snapshot) for snapshot in (some, all_, none)]

    assert asked == ["gpt-4.1-mini", "gpt-4o", None]


# ---- places ----


def test_the_originals_change_nothing_for_callers_who_may_not_reach_them() -> None:
    without = snapshot_of({"providers": MAINLAND}, team())
    behind = snapshot_of({"providers": {**MAINLAND, "azure": {**AZURE, "deployments": None}, "openai": OPENAI}}, team())
    before = snapshot_of({"providers": {"openai": OPENAI, "azure": AZURE, **MAINLAND}}, team())
    names = {
        name
        for level in (*without.keys[digest("sk-of-red")].levels, *behind.keys[digest("sk-of-red")].levels)
        for name, _ in level.values()
    }
    names = {name.replace("*", "06-06") for name in names}
    assert {"gpt-4o", "gpt-5.4", "glm-5.2", "text-embedding-3-small", "gpt-4o-2006-06"} <= names

    for name in names:
        for endpoint in ("chat", "embeddings"):
            served = hops(without, name, endpoint=endpoint) or []
            assert (hops(behind, name, endpoint=endpoint) or []) == (hops(before, name, endpoint=endpoint) or []) == served, name


def test_a_policy_that_lets_data_go_there_is_served_by_the_original_itself() -> None:
    providers = {"azure-hk": AZURE, "zhipu": ZHIPU, "openai": OPENAI}
    open_policy = {"policy": {"allow": {"hk": ["hk", "cn-mainland", "us"]}}}
    snapshot = snapshot_of({"providers": providers}, team("hk"), team("hk", "blue", **open_policy), team("us", "green"))

    assert hops(snapshot, "gpt-4o") == ["azure-hk/gpt-4o"]
    assert hops(snapshot, "gpt-5.4", "blue") == ["zhipu/glm-5.3", "openai/gpt-5.4"]
    assert (hops(snapshot, "gpt-4o", "blue") or [])[:2] == ["azure-hk/gpt-4o", "zhipu/glm-5.2"]
    assert hops(snapshot, "gpt-5.4", "green") == ["openai/gpt-5.4"]
    assert hops(snapshot, "text-embedding-3-small", "green", "embeddings", dimensions=300) == ["openai/text-embedding-3-small"]
    assert hops(snapshot, "text-embedding-3-small", "green", "embeddings", dimensions=1537) == []


def test_the_shipped_accounts_of_the_originals_are_off_until_somebody_has_one() -> None:
    providers: dict[str, Json] = load_yaml(shipped() / "gateway.yaml").data["providers"]

    assert (providers["azure-hk"]["jurisdiction"], providers["openai"]["jurisdiction"]) == ("hk", "us")
    assert [list(providers).index(name) > list(providers).index("baichuan") for name in ("azure-hk", "openai")] == [True, True]
    assert "${AZURE_OPENAI_API_KEY:-}" in providers["azure-hk"]["api_key"]
    assert "${OPENAI_API_KEY:-}" in providers["openai"]["api_key"]


def test_the_keys_of_an_account_are_what_the_files_say() -> None:
    account = GatewayFile.model_validate({"schema": "banjia/v1", "providers": {"a": AZURE}}).providers["a"]

    assert isinstance(account, Account)
    assert account.deployments == {"gpt-4o": "gpt4o-prod"}


# ---- over sockets ----


@pytest.mark.parametrize("account", [
    {"api_version": "2024-10-21", "deployments": {"gpt-4o": "gpt4o-prod"}, "api_key": "0123456789abcdef"},
    {"deployments": {"gpt-4o": "gpt4o-prod"}, "tenant_id": "t", "client_id": "client", "client_secret": "secret"},
], ids=["classic", "v1"])  # fmt: skip
def test_a_question_goes_to_the_deployment(gateway: Any, simulators: str, account: Json) -> None:
    address = f"{simulators}/azure_openai"
    azure = {"vendor": "azure_openai", "jurisdiction": "hk", "base_url": f"{address}/openai", "auth_url": address, **account}
    served: Served = gateway({"providers": {"azure-hk": azure}}, team("hk"))

    plain = served.chat("gpt-4o", "Say hello")
    stream = served.chat("gpt-4o", "Say hello", stream=True)

    assert (plain.status_code, plain.json()["choices"][0]["message"]["content"]) == (200, "hello")
    assert (plain.headers["x-banjia-provider"], plain.headers["x-banjia-model"]) == ("azure-hk", "gpt-4o")
    assert plain.json()["id"].startswith("chatcmpl-")
    assert stream.text.endswith("data: [DONE]\n\n")
    assert '"model":"gpt-4o-2024-11-20"' in stream.text
    assert "filter" not in stream.text + plain.text


def test_callers_elsewhere_are_refused_though_the_name_is_openais(gateway: Any, simulators: str) -> None:
    openai = {**OPENAI, "base_url": f"{simulators}/openai"}
    served: Served = gateway({"providers": {"openai": openai}}, team(), team("us", "blue"))

    mainland = served.chat("gpt-5.4")
    there = served.chat("gpt-5.4", headers={"authorization": "Bearer sk-of-blue"})

    assert (mainland.status_code, mainland.json()["error"]["code"]) == (403, "jurisdiction_not_allowed")
    assert there.status_code == 200
