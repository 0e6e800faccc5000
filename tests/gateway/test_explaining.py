"""What `banjia explain` says of each field of a request at each hop."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from gateway.cli import main

GATEWAY = {"schema": "banjia/v1", "providers": {
    "z": {"vendor": "zhipu", "jurisdiction": "cn-mainland", "api_key": "very.secret"},
    "s": {"vendor": "sensetime", "surface": "token_plan", "jurisdiction": "cn-mainland", "api_key": "sk-very-secret"},
    "a": {"vendor": "alibaba", "surface": "native", "jurisdiction": "cn-mainland", "api_key": "sk-very-secret"},
}}  # fmt: skip
TEAM = {"schema": "banjia/team.v1", "team": "red", "keys": [{"name": "main", "key": "sk-very-secret-too"}],
    "models": {"m": {"serve": ["z/glm-5.2", "a/qwen3-max"]}}}  # fmt: skip
SCHEMA = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object", "title": "a-title"}}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "teams").mkdir()
    (tmp_path / "gateway.yaml").write_text(json.dumps(GATEWAY))
    (tmp_path / "teams" / "red.yaml").write_text(json.dumps(TEAM))
    return tmp_path


def run(folder: Path, body: dict[str, Any], *more: str) -> str:
    (folder / "request.json").write_text(json.dumps({"messages": [{"role": "user", "content": "x"}], **body}))
    request = str(folder / "request.json")
    result = CliRunner().invoke(
        main, ["explain", "--config", str(folder), "--team", "red", "--model", "m", "--json", request, *more], env={"COLUMNS": "200"}
    )
    assert result.exit_code == 0, result.output
    return result.stdout


def fates(folder: Path, hop: int = 0, **body: Any) -> dict[str, dict[str, str]]:
    told = json.loads(run(folder, body, "--output", "json"))["hops"][hop]["fields"]
    assert len({one["field"] for one in told}) == len(told)
    return {one["field"]: one for one in told}


def test_every_field_has_a_fate_and_those_that_pass_as_they_are_too(folder: Path) -> None:
    told = fates(folder, temperature=2, top_p=0.5, seed=1, logit_bias={"1": 1}, max_completion_tokens=5)

    assert {name: one["fate"] for name, one in told.items()} == {
        "model": "native", "messages[].role:user": "native", "temperature": "clamped", "top_p": "native", "seed": "native",
        "logit_bias": "dropped", "max_completion_tokens": "renamed",
    }  # fmt: skip
    assert told["max_completion_tokens"]["note"] == "max_tokens"


def test_parts_of_messages_and_tools_have_fates_of_their_own(folder: Path) -> None:
    content = [{"type": "text", "text": "x"}, {"type": "file", "file": {"file_id": "file-1"}}]
    tool = {"type": "function", "function": {"name": "f", "strict": True}}

    told = fates(
        folder,
        messages=[{"role": "developer", "content": "x"}, {"role": "user", "content": content, "name": "ann"}],
        tools=[tool, {"type": "custom", "custom": {"name": "g"}}],
    )

    assert {name: one["fate"] for name, one in told.items()} == {
        "model": "native", "messages[].role:developer": "renamed", "messages[].role:user": "native", "messages[].name": "dropped",
        "messages[].content[].text": "native", "messages[].content[].file": "dropped", "tools[].function": "native",
        "tools[].function.strict": "dropped", "tools[].custom": "dropped",
    }  # fmt: skip


def test_a_change_of_several_fields_is_told_once(folder: Path) -> None:
    told = fates(folder, messages=[{"role": "system", "content": "x"}])

    assert told["messages[].role:system"]["fate"] == "emulated"


def test_what_the_gateway_does_itself_is_told_in_words(folder: Path) -> None:
    text = run(folder, {"n": 2, "stop": ["a", "b"], "response_format": SCHEMA}, "--output", "json")
    told = json.loads(text)["hops"][0]

    work = {one["field"]: one["work"] for one in told["fields"] if one["work"]}
    assert work == {
        "n": "makes as many calls",
        "stop": "ends the answer there",
        "response_format": "holds the answer to the schema",
    }
    assert {one["field"]: one["work"] for one in told["changes"]} == work
    assert "a-title" not in text


def test_a_field_that_says_what_happens_anyhow_is_native_and_left_out(folder: Path) -> None:
    told = fates(folder, presence_penalty=0, n=1)

    assert {(told[name]["fate"], told[name]["note"]) for name in ("presence_penalty", "n")} == {
        ("native", "left out: it is what happens anyhow")
    }


def test_fields_that_stand_elsewhere_at_a_provider_are_native(folder: Path) -> None:
    told = fates(folder, 1, temperature=0.5, seed=7, stream=True)

    assert {(one["fate"], one["note"]) for one in told.values()} == {("native", "")}


def test_the_table_counts_what_is_native(folder: Path) -> None:
    told = run(folder, {"temperature": 2, "seed": 1, "n": 2})

    assert "native (3): messages[].role:user, seed, model" in told
    assert "temperature: clamped → 1" in told
    assert "n: emulated → 2 calls (at most 1 a call; the gateway makes as many calls)" in told


def test_a_hop_that_would_refuse_has_no_fates(folder: Path) -> None:
    content = [{"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}]

    told = json.loads(run(folder, {"messages": [{"role": "user", "content": content}]}, "--output", "json", "--model", "kimi-k3"))

    (hop,) = told["hops"]
    assert (hop["changes"], hop["fields"]) == ([], [])
    assert "takes no address of an image" in hop["refused"]
