"""The commands from their user's seat: exit codes, words, and no stack trace ever."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from gateway.cli import main
from gateway.server import listen

SECRET = "id.this-is-very-secret"
GATEWAY = {
    "schema": "banjia/v1",
    "providers": {
        "z": {"vendor": "zhipu", "jurisdiction": "cn-mainland", "api_key": SECRET},
        "us": {"vendor": "openai_compatible", "jurisdiction": "us", "base_url": "http://127.0.0.1:1/v1"},
        "off": {"vendor": "zhipu", "jurisdiction": "cn-mainland", "api_key": ""},
    },
}
TEAM = {"schema": "banjia/team.v1", "team": "red", "keys": [{"name": "main", "key": "sk-very-secret-too"}]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "teams").mkdir()
    (tmp_path / "gateway.yaml").write_text(json.dumps(GATEWAY))
    (tmp_path / "teams" / "red.yaml").write_text(json.dumps(TEAM))
    return tmp_path


def run(*arguments: Any, **environment: str) -> Result:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments], env=environment)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in result.output
    return result


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name)


COMMANDS = list(commands(main))


def test_these_are_the_commands() -> None:
    assert {" ".join(path) for path in COMMANDS} >= {
        "serve", "demo", "simulate", "config check", "config schema", "config show", "explain", "providers test",
    }  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_has_help_with_an_example_of_itself(command: tuple[str, ...]) -> None:
    result = run(*command, "--help")

    assert result.exit_code == 0
    assert f"banjia {' '.join(command)}" in result.output.partition("Example:")[2]


@pytest.mark.parametrize("command", [(), ("config",), ("providers",), ("--help",), ("-h",)])
def test_a_group_tells_its_commands(command: tuple[str, ...]) -> None:
    assert "Commands:" in run(*command).output


@pytest.mark.parametrize(
    "arguments",
    [
        ("nonsense",),
        ("serve", "--port", "x"),
        ("serve", "--port", "70000"),
        ("serve", "--nonsense"),
        ("explain",),
        ("config", "schema", "x"),
    ],
)
def test_what_is_no_command_ends_with_2(arguments: tuple[str, ...]) -> None:
    assert run(*arguments).exit_code == 2


# ---- config ----


def test_a_right_folder_is_said_to_be_right(folder: Path) -> None:
    result = run("config", "check", "--config", folder)

    assert result.exit_code == 0
    assert "is right: 3 accounts, 1 teams, 1 keys" in result.output
    assert "account off (it is switched off: api_key is empty)" in result.output


def test_every_problem_of_a_folder_is_told_and_the_exit_code_is_2(folder: Path) -> None:
    (folder / "gateway.yaml").write_text(json.dumps({**GATEWAY, "typo": 1, "server": {"port": "x"}}))

    plain, as_json = run("config", "check", "--config", folder), run("config", "check", "--config", folder, "--json")

    assert plain.exit_code == as_json.exit_code == 2
    assert [line.partition("gateway.yaml:1: ")[2].partition(":")[0] for line in plain.stderr.splitlines()] == ["server.port", "typo"]
    assert [problem["field"] for problem in json.loads(as_json.stdout)["problems"]] == ["server.port", "typo"]


@pytest.mark.parametrize("command", [("config", "check"), ("config", "show"), ("serve",), ("explain", "--team", "red", "--model", "m")])
def test_a_folder_that_is_not_there_ends_with_2_and_words(tmp_path: Path, command: tuple[str, ...]) -> None:
    result = run(*command, "--config", tmp_path / "none")

    assert result.exit_code == 2
    assert "there is no such folder" in result.stderr


@pytest.mark.parametrize("which", ["gateway", "team"])
def test_a_schema_is_one(which: str) -> None:
    schema = json.loads(run("config", "schema", which).stdout)

    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert "schema" in schema["properties"]
    assert schema["additionalProperties"] is False


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_what_is_shown_holds_no_secret(folder: Path, form: tuple[str, ...]) -> None:
    result = run("config", "show", "--config", folder, *form)

    assert result.exit_code == 0
    assert "very-secret" not in result.output
    assert "zhipu" in result.output


# ---- explain ----


def explained(folder: Path, *arguments: Any) -> Any:
    result = run("explain", "--config", folder, "--team", "red", "--output", "json", *arguments)
    assert result.exit_code == 0, result.output
    assert "very-secret" not in result.output
    return json.loads(result.stdout)


def test_a_plan_is_explained_with_those_that_may_not_serve(folder: Path) -> None:
    (folder / "teams" / "red.yaml").write_text(json.dumps({**TEAM, "models": {"m": {"serve": ["z/glm-5.2"], "fallback": ["off/glm-5.2"]}}}))

    told = explained(folder, "--model", "m")

    assert [hop["hop"] for hop in told["hops"]] == ["z/glm-5.2"]
    assert [(rejected["hop"], rejected["code"]) for rejected in told["rejected"]] == [("off/glm-5.2", "off")]
    assert told["origin"] == "team red: models.m"


def test_the_fate_of_each_field_is_explained(folder: Path, tmp_path: Path) -> None:
    request = tmp_path / "request.json"
    request.write_text(json.dumps({"messages": [{"role": "user", "content": "x"}], "temperature": 2, "logit_bias": {"1": 1}}))

    told = explained(folder, "--model", "glm-5.2", "--json", request)

    changes = {change["field"]: change["fate"] for change in told["hops"][0]["changes"]}
    assert changes == {"temperature": "clamped", "logit_bias": "dropped"}


def test_functions_of_2023_are_explained_as_they_are_served(folder: Path, tmp_path: Path) -> None:
    request = tmp_path / "request.json"
    request.write_text(json.dumps({"messages": [{"role": "user", "content": "x"}], "functions": [{"name": "f", "parameters": {}}]}))

    told = explained(folder, "--model", "glm-5.2", "--json", request)

    assert "functions" not in {change["field"] for change in told["hops"][0]["changes"]}


def test_a_model_that_nothing_is_known_of_is_explained(folder: Path) -> None:
    assert "nothing is known" in explained(folder, "--model", "what")["refusal"]


def test_a_plan_is_explained_in_a_table_too(folder: Path) -> None:
    result = run("explain", "--config", folder, "--team", "red", "--model", "gpt-4o")

    assert result.exit_code == 0
    assert "z/glm-5.2" in result.output
    assert "another model of this account is preferred" in result.output


@pytest.mark.parametrize("name", ["[bold]", "[/]", "[red]x[/red]", "a[b"])
def test_a_models_name_is_shown_as_it_is_and_not_as_markup(folder: Path, name: str) -> None:
    result = run("explain", "--config", folder, "--team", "red", "--model", name)

    assert result.exit_code == 0
    assert name in result.output


@pytest.mark.parametrize("text", ["", "[]", "{", '{"messages": []}', '{"messages": 5}', "\xff"])
def test_a_request_that_openai_would_refuse_ends_with_2(folder: Path, tmp_path: Path, text: str) -> None:
    request = tmp_path / "request.json"
    request.write_bytes(text.encode("latin-1"))

    result = run("explain", "--config", folder, "--team", "red", "--model", "gpt-4o", "--json", request)

    assert result.exit_code == 2
    assert "request.json" in result.stderr


def test_a_team_that_is_none_ends_with_2_and_tells_which_there_are(folder: Path) -> None:
    result = run("explain", "--config", folder, "--team", "blue", "--model", "gpt-4o")

    assert (result.exit_code, result.stderr) == (2, "there is no team 'blue'; there are: red\n")


# ---- what runs ----


@pytest.mark.parametrize("command", ["serve", "demo", "simulate"])
def test_a_port_in_use_ends_with_2_and_what_to_do(folder: Path, command: str) -> None:
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        result = run(command, "--port", port, *(("--config", folder) if command == "serve" else ()))

    assert result.exit_code == 2
    assert f"port {port} on 127.0.0.1 is in use" in result.stderr


def test_more_workers_than_can_share_what_they_must_end_with_2(folder: Path) -> None:
    assert run("serve", "--config", folder, "--workers", "2").exit_code == 2


@pytest.mark.parametrize("command", ["demo", "simulate"])
def test_a_brain_that_is_none_ends_with_2(command: str) -> None:
    result = run(command, "--port", "0", "--brain", "clever")

    assert result.exit_code == 2
    assert "'clever' is neither scripted, local, nor a URL" in result.stderr


@pytest.mark.parametrize("account", ["zhipu", "zhipu:id", ":id:secret", "zhipu::secret"])
def test_an_account_of_another_form_ends_with_2(account: str) -> None:
    assert run("simulate", "--port", "0", "--account", account).exit_code == 2


def test_an_account_of_a_vendor_that_is_none_ends_with_2() -> None:
    with listen("127.0.0.1", 0) as taken:  # so that the command does not run on if it takes the account
        result = run("simulate", "--port", taken.getsockname()[1], "--account", "nobody:id:secret")

    assert result.exit_code == 2
    assert "nobody" in result.stderr


def test_accounts_of_a_gateway_that_does_not_run_cannot_be_tested() -> None:
    with listen("127.0.0.1", 0) as sock:
        port = sock.getsockname()[1]

    result = run("providers", "test", "--url", f"http://127.0.0.1:{port}", BANJIA_ADMIN_KEY="admin-very-secret")

    assert result.exit_code == 2
    assert "cannot be asked" in result.stderr
    assert "admin-very-secret" not in result.output


def test_the_admin_key_is_asked_for() -> None:
    result = run("providers", "test", BANJIA_ADMIN_KEY="")

    assert result.exit_code == 2
