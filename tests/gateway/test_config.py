"""A folder of files: what is wrong is told all at once, with file and line; what is right becomes what runs."""

import json
from pathlib import Path

import pytest

from gateway.compiling import build
from gateway.config import load, shown
from gateway.snapshot import digest, full_base
from gateway.yaml_file import ConfigError

GATEWAY = """\
schema: banjia/v1
providers:
  a: {vendor: zhipu, jurisdiction: cn-mainland, api_key: "${A_KEY}"}
  home: {vendor: openai_compatible, jurisdiction: on-premises, base_url: "http://127.0.0.1:8000/v1"}
models:
  m: a/glm-5.2
"""
TEAM = """\
schema: banjia/team.v1
team: red
keys: [{name: main, key: "${TEAM_KEY:-sk-of-red}"}]
"""
ENVIRONMENT = {"A_KEY": "id.very-secret-key"}


def write(folder: Path, gateway: str = GATEWAY, **teams: str) -> Path:
    (folder / "teams").mkdir(exist_ok=True)
    (folder / "gateway.yaml").write_text(gateway)
    for name, text in (teams or {"red": TEAM}).items():
        (folder / "teams" / f"{name}.yaml").write_text(text)
    return folder


def problems(folder: Path) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        load(folder, ENVIRONMENT)
    return [str(found).replace(f"{folder}/", "") for found in raised.value.problems]


def test_a_folder_becomes_what_runs(tmp_path: Path) -> None:
    snapshot = build(load(write(tmp_path), ENVIRONMENT))

    assert set(snapshot.accounts) == {"a", "home"}
    assert snapshot.accounts["a"].secrets == {"api_key": "id.very-secret-key"}
    assert snapshot.keys[digest("sk-of-red")].team == "red"
    assert snapshot.keys[digest("sk-of-red")].permitted == {"cn-mainland", "on-premises"}


def test_the_revision_changes_with_what_the_files_say_and_only_then(tmp_path: Path) -> None:
    first = build(load(write(tmp_path), ENVIRONMENT)).revision
    commented = build(load(write(tmp_path, GATEWAY + "# a word\n"), ENVIRONMENT)).revision
    other = build(load(write(tmp_path, GATEWAY + "  n: a/glm-5.2\n"), ENVIRONMENT)).revision

    assert first == commented
    assert first != other


def test_a_snapshot_holds_keys_only_as_digests(tmp_path: Path) -> None:
    snapshot = build(load(write(tmp_path), ENVIRONMENT))

    assert "sk-of-red" not in str(snapshot.keys)


def test_every_problem_is_told_at_once_with_its_line(tmp_path: Path) -> None:
    gateway = """\
schema: banjia/v1
server: {port: 99999, drain: 30}
providers:
  a: {vendor: nobody, jurisdiction: cn-mainland, api_key: x}
  b: {vendor: zhipu, jurisdiction: cn-mainland, api_key: "${NOT_SET}", typo: 1}
  c: {vendor: openai_compatible, jurisdiction: Mainland China}
models:
  m: nobody/x
"""
    team = "schema: banjia/team.v1\nteam: red\nkeys: [{name: main, key: short}]\n"

    found = problems(write(tmp_path, gateway, red=team))

    assert [line.partition(": ")[0] for line in found] == [
        "gateway.yaml:2", "gateway.yaml:2", "gateway.yaml:5", "gateway.yaml:5", "gateway.yaml:6", "teams/red.yaml:3",
    ]  # fmt: skip
    assert "the environment variable NOT_SET is not set" in "\n".join(found)
    assert "providers.b.typo: is not a known key" in "\n".join(found)


CASES: dict[str, tuple[str, str]] = {
    "no-such-vendor": ('providers: {a: {vendor: nobody, jurisdiction: hk, api_key: x}}', "there is no vendor 'nobody'"),
    "no-such-surface": ('providers: {a: {vendor: zhipu, surface: v9, jurisdiction: hk, api_key: x}}', "has no surface 'v9'; it has: v4"),
    "no-such-way": ('providers: {a: {vendor: zhipu, auth: magic, jurisdiction: hk, api_key: x}}', "there is no way 'magic'"),
    "no-secret": ('providers: {a: {vendor: zhipu, jurisdiction: hk}}', "needs api_key"),
    "no-address": ('providers: {a: {vendor: openai_compatible, jurisdiction: hk}}', "base_url: is missing"),
    "address-without-a-scheme": ('providers: {a: {vendor: openai_compatible, jurisdiction: hk, base_url: "localhost:8000"}}', "expected an address"),  # noqa: E501
    "no-accounts": ("providers: {}", "providers"),
    "accounts-are-a-list": ("providers: []", "providers"),
    "accounts-are-missing": ("server: {}", "providers: is missing"),
    "a-place-in-capitals": ('providers: {a: {vendor: zhipu, jurisdiction: HK, api_key: x}}', "jurisdiction"),
    "no-place": ('providers: {a: {vendor: zhipu, api_key: x}}', "jurisdiction: is missing"),
    "a-short-admin-key": ('admin: {key: sk-1234}\nproviders: {a: {vendor: zhipu, jurisdiction: hk, api_key: x}}', "admin.key"),
    "a-grant-of-nobody": ('providers: {a: {vendor: zhipu, jurisdiction: hk, api_key: x}}\ngrants: [{account: b, tokens: 1M, expires: 2027-01-01T00:00:00+08:00}]', "there is no account 'b'"),  # noqa: E501
    "a-grant-without-zone": ('providers: {a: {vendor: zhipu, jurisdiction: hk, api_key: x}}\ngrants: [{account: a, tokens: 1M, expires: "2027-01-01T00:00:00"}]', "should have timezone info"),  # noqa: E501
    "state-elsewhere": ('state: {url: "mysql://x"}\nproviders: {a: {vendor: zhipu, jurisdiction: hk, api_key: x}}', "expected memory://"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_mistake_in_the_gateways_file_is_told(tmp_path: Path, case: str) -> None:
    text, told = CASES[case]

    found = problems(write(tmp_path, f"schema: banjia/v1\n{text}\n"))

    assert any(told in problem for problem in found), found


ROUTES: dict[str, tuple[str, str]] = {
    "no-such-account": ("m: nobody/x", "there is no account 'nobody'; there are: a, home"),
    "no-model": ("m: a", "models.m"),
    "a-weight-below-0": ("m: {serve: [{use: a/x, weight: -1}]}", "weight"),
    "no-weight-at-all": ("m: {serve: [{use: a/x, weight: 0}]}", "no hop of `serve` has a weight above 0"),
    "nothing": ("m: {}", "needs either `serve` or `reject`"),
    "both": ("m: {serve: a/x, reject: no}", "needs either `serve` or `reject`"),
    "sticky-and-ordered": ("m: {serve: a/x, pick: ordered, sticky: true}", "goes with pick: weighted"),
    "a-time-without-unit": ("m: {serve: a/x, timeouts: {total: 5}}", "a duration with its unit"),
    "too-many-retries": ("m: {serve: a/x, retry: {max: 11}}", "retry.max"),
    "an-unknown-key": ("m: {serve: a/x, fallbck: a/y}", "models.m.fallbck: is not a known key"),
}


@pytest.mark.parametrize("case", ROUTES)
def test_a_mistake_in_a_route_is_told(tmp_path: Path, case: str) -> None:
    text, told = ROUTES[case]

    found = problems(write(tmp_path, red=TEAM + f"models:\n  {text}\n"))

    assert all(problem.startswith("teams/red.yaml:5: ") for problem in found)
    assert any(told in problem for problem in found), found


def test_a_team_whose_callers_no_hop_may_serve_is_told(tmp_path: Path) -> None:
    team = TEAM + "jurisdiction: hk\nmodels: {m: a/glm-5.2}\n"

    found = problems(write(tmp_path, red=team))

    assert any("callers in hk have no permitted hop" in problem for problem in found)


def test_a_fallback_that_no_caller_could_reach_is_told(tmp_path: Path) -> None:
    gateway = GATEWAY.replace("models:", "  us: {vendor: openai_compatible, jurisdiction: us, base_url: 'http://x/v1'}\nmodels:")

    found = problems(write(tmp_path, gateway, red=TEAM + "models: {m: {serve: a/x, fallback: us/x}}\n"))

    assert found == ["teams/red.yaml:4: models.m.fallback[0]: no caller can reach it: policy.allow lets no caller's data go to us"]


@pytest.mark.parametrize(
    ("team", "told"),
    [
        (TEAM, "has a team of this name already"),
        (TEAM.replace("red", "blue").replace("sk-of-blue", "sk-of-red"), "is the same as that of key 'main' of team"),
        ('schema: banjia/team.v1\nteam: blue\nkeys: [{name: a, key: sk-one-1}, {name: a, key: sk-two-2}]\n', "has a key 'a' already"),
        ('schema: banjia/team.v1\nteam: blue\nkeys: [{name: a, key: sk-one-1}, {name: b, key: sk-one-1}]\n', "is the same as that of key 'a'"),  # noqa: E501
    ],
    ids=["same-team", "same-key", "same-name", "same-key-in-a-team"],
)  # fmt: skip
def test_names_and_keys_that_are_there_twice_are_told_without_the_key(tmp_path: Path, team: str, told: str) -> None:
    found = problems(write(tmp_path, red=TEAM, zwei=team))

    assert any(told in problem for problem in found)
    assert "sk-o" not in "\n".join(found)


def test_a_teams_file_cannot_take_the_gateways_place(tmp_path: Path) -> None:
    other = GATEWAY.replace("glm-5.2", "glm-4-plus")

    found = problems(write(tmp_path, GATEWAY, red=TEAM, zz=other))

    assert any(problem.startswith("teams/zz.yaml") for problem in found)


def test_an_empty_teams_file_is_told_as_a_teams(tmp_path: Path) -> None:
    found = problems(write(tmp_path, GATEWAY, red=TEAM, empty=""))

    assert "teams/empty.yaml:1: team: is missing" in found
    assert not any("providers" in problem for problem in found)


@pytest.mark.parametrize("text", ["[]", "x", "5", "null", ""])
def test_a_file_that_is_no_map_is_told(tmp_path: Path, text: str) -> None:
    assert problems(write(tmp_path, text))


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no such folder"):
        load(tmp_path / "none", ENVIRONMENT)


def test_a_folder_without_a_gateways_file_is_told(tmp_path: Path) -> None:
    assert any("gateway.yaml: cannot be read" in problem for problem in problems(tmp_path))


def test_secrets_are_masked_where_the_config_is_shown(tmp_path: Path) -> None:
    gateway = GATEWAY.replace("api_key", "headers: {x-token: hidden-header-value}, api_key")

    text = json.dumps(shown(load(write(tmp_path, gateway), ENVIRONMENT)), ensure_ascii=False)

    for secret in ("very-secret-key", "hidden-header-value", "sk-of-red"):
        assert secret not in text
    assert '"vendor": "zhipu"' in text


def test_a_secret_in_an_address_is_masked_where_the_config_is_shown(tmp_path: Path) -> None:
    gateway = GATEWAY.replace("http://127.0.0.1:8000/v1", "http://user:hidden-password@127.0.0.1:8000/v1")

    text = json.dumps(shown(load(write(tmp_path, gateway), ENVIRONMENT)))

    assert "hidden-password" not in text


def test_no_problem_tells_a_secret(tmp_path: Path) -> None:
    gateway = GATEWAY.replace("vendor: zhipu,", "vendor: zhipu, surface: v9,") + "admin: {key: tiny-secret}\n"

    assert "secret" not in "\n".join(problems(write(tmp_path, gateway)))


def test_a_deployers_own_catalog_goes_over_the_shipped_one(tmp_path: Path) -> None:
    (tmp_path / "catalog" / "models").mkdir(parents=True)
    (tmp_path / "catalog" / "models" / "own.yaml").write_text(
        "schema: banjia/models.v1\nvendor: zhipu\nmodels:\n  glm-5.2: {kind: chat, context: 5}\n  glm-own: {kind: chat}\n"
    )
    (tmp_path / "catalog" / "equivalents.yaml").write_text("schema: banjia/equivalents.v1\nmodels:\n  gpt-4o: {zhipu: [glm-own]}\n")

    catalog = load(write(tmp_path), ENVIRONMENT).catalog

    assert catalog.models["zhipu"]["glm-5.2"].context == 5
    assert catalog.models["zhipu"]["glm-own"].id == "glm-own"
    assert "glm-4.6" in catalog.models["zhipu"]
    assert catalog.equivalents["gpt-4o"] == {"zhipu": ("glm-own",)}
    assert "gpt-4" in catalog.equivalents


def test_a_model_that_has_been_retired_is_not_offered(tmp_path: Path) -> None:
    (tmp_path / "catalog" / "models").mkdir(parents=True)
    (tmp_path / "catalog" / "models" / "own.yaml").write_text(
        "schema: banjia/models.v1\nvendor: zhipu\nmodels:\n  glm-old: {kind: chat, retired: 2020-01-01}\n  glm-soon: {kind: chat, retired: 2999-01-01}\n"  # noqa: E501
    )

    models = load(write(tmp_path), ENVIRONMENT).catalog.models["zhipu"]

    assert "glm-old" not in models
    assert "glm-soon" in models


@pytest.mark.parametrize("text", ["schema: banjia/models.v1\nvendor: zhipu\nmodels: {m: {kind: soup}}", "a: [", "schema: x"])
def test_a_mistake_in_a_deployers_catalog_is_told_with_its_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "catalog" / "models").mkdir(parents=True)
    (tmp_path / "catalog" / "models" / "own.yaml").write_text(text)

    assert all(problem.startswith("catalog/models/own.yaml") for problem in problems(write(tmp_path)))


@pytest.mark.parametrize(
    "entry", ["{zhipu: [glm-5.2], defaults: [1]}", "{zhipu: [glm-5.2], defaults: no}", "{zhipu: [5]}", "{zhipu: glm-5.2}"]
)
def test_a_mistake_in_a_deployers_equivalents_is_told(tmp_path: Path, entry: str) -> None:
    (tmp_path / "catalog").mkdir()
    (tmp_path / "catalog" / "equivalents.yaml").write_text(f"schema: banjia/equivalents.v1\nmodels:\n  gpt-4o: {entry}\n")

    assert all(problem.startswith("catalog/equivalents.yaml") for problem in problems(write(tmp_path)))


@pytest.mark.parametrize(
    ("given", "own", "whole"),
    [
        ("https://proxy/zhipu", "/api/paas/v4", "https://proxy/zhipu/api/paas/v4"),
        ("https://proxy/zhipu/", "/api/paas/v4", "https://proxy/zhipu/api/paas/v4"),
        ("https://proxy/zhipu/api/paas/v4", "/api/paas/v4", "https://proxy/zhipu/api/paas/v4"),
        ("https://proxy/zhipu/api", "/api/paas/v4", "https://proxy/zhipu/api/paas/v4"),
        ("https://proxy/v4", "/api/paas/v4", "https://proxy/v4"),
        ("https://proxy", "", "https://proxy"),
        ("http://h:1/v1", "/v1", "http://h:1/v1"),
        ("https://proxy/myapi", "/api/v1", "https://proxy/myapi/api/v1"),
    ],
)
def test_an_address_gets_what_it_lacks_of_the_vendors_path(given: str, own: str, whole: str) -> None:
    assert full_base(given, own) == whole


def test_an_accounts_own_presets_are_read(tmp_path: Path) -> None:
    (tmp_path / "presets.yaml").write_text("presets: [")

    assert any("presets.yaml" in problem for problem in problems(write(tmp_path)))
