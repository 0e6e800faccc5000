"""The commands, against a gateway that runs."""

import csv
import io
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import respx
from click.testing import CliRunner, Result
from rich.console import Console

from gateway import admin_reports
from gateway.accounting.record import UsageRecord
from gateway.admin_client import AdminClient, AdminError
from gateway.cli import main
from providers.base import Json
from tests.conftest import KEY, TEAM, Background
from tests.gateway.api.admin.conftest import Replica
from tests.gateway.api.admin.desk import ADMIN, BLUE, Office
from tests.store.stores import NOON, record

Run = Callable[..., Result]
URL = "http://gateway.test"


def command(office: Office, *arguments: str, key: str = ADMIN) -> Result:
    return CliRunner().invoke(main, arguments, env={"BANJIA_URL": office.served.url, "BANJIA_ADMIN_KEY": key}, prog_name="banjia")


def done(office: Office, *arguments: str, key: str = ADMIN, code: int = 0) -> str:
    """What it prints."""
    result = command(office, *arguments, key=key)
    assert result.exit_code == code, result.output
    return result.stdout


def cells(table: str) -> list[list[str]]:
    """Of a table's rows, without its head."""
    return [[cell.strip() for cell in line.strip("│").split("│")] for line in table.splitlines() if line.startswith("│")]


def fill(background: Background, office: Office, *records: UsageRecord) -> None:
    async def write() -> None:
        for one in [office.store.writer.write(one) for one in records]:
            assert await one == "database"

    background.run(write())


SOME = (
    record(NOON, key="main", model="gpt-4o", prompt_tokens=1234, cost=12_300_000),
    record(NOON + 1, key="main", model="[red]\x1b[31mhot", completion_tokens=5, cost=10**9, currency="USD"),
    record(NOON + 86_400, team="blue", key="main", model="gpt-4o", prompt_tokens=7),
)


# ---- keys and tokens ----


def test_a_key_is_made_rotated_and_revoked_by_commands(office: Office) -> None:
    made = command(office, "keys", "create", "--team", "red", "--name", "ci")
    secret = made.stdout.strip()
    key_id = made.stderr.partition(":")[0]
    serves = office.chat(secret).status_code
    successor = done(office, "keys", "rotate", key_id, "--grace", "1h").strip()
    listed = cells(done(office, "keys", "list"))
    done(office, "keys", "revoke", key_id)

    assert "It is not shown again" in made.stderr
    assert (serves, office.chat(secret).status_code, office.chat(successor).status_code) == (200, 401, 200)
    assert [row[1:5] for row in listed] == [
        ["red", "main", "cn-mainland", "active"],
        ["blue", "main", "cn-mainland", "active"],
        ["red", "ci", "cn-mainland", "ending"],
        ["red", "ci", "cn-mainland", "active"],
    ]
    assert [row[2] for row in cells(done(office, "keys", "list", "--team", "red"))] == ["main", "ci"]
    assert [one["state"] for one in json.loads(done(office, "keys", "list", "--all", "--json"))[2:]] == ["revoked", "active"]


def test_a_token_of_a_team_is_a_key_for_commands_too(office: Office) -> None:
    token = done(office, "tokens", "create", "--team", "red", "--name", "ops").strip()

    made = json.loads(done(office, "keys", "create", "--name", "ci", "--json", key=token))
    refused = command(office, "tokens", "list", key=token)
    (listed,) = cells(done(office, "tokens", "list"))
    done(office, "tokens", "revoke", listed[0])

    assert (made["team"], made["key"][:3]) == ("red", "sk-")
    assert (refused.exit_code, "This is for the admin key" in refused.stderr) == (2, True)
    assert listed[1:4] == ["red", "ops", "team"]
    assert command(office, "keys", "list", key=token).exit_code == 2


# ---- usage ----


def test_usage_is_a_table(office: Office, background: Background) -> None:
    fill(background, office, *SOME)

    by_team = cells(done(office, "usage"))
    by_model = done(office, "usage", "--group-by", "model,day", "--to", "2027-01-16")

    assert by_team == [["blue", "1", "7", "0", "0", "0", "0", "–"], ["red", "2", "1,234", "0", "5", "0", "0.0123", "1"]]
    assert [row[:3] for row in cells(by_model)] == [["[red]\ufffd[31mhot", "2027-01-15", "1"], ["gpt-4o", "2027-01-15", "1"]]
    assert "\x1b" not in by_model


def test_usage_is_json_and_csv(office: Office, background: Background) -> None:
    fill(background, office, *SOME)

    told = json.loads(done(office, "usage", "--json", "--team", "red", "--group-by", "key"))
    lines = done(office, "usage", "--csv", "--group-by", "team")

    assert told["data"][0]["cost"] == {"CNY": "0.0123", "USD": "1"}
    assert [(row["team"], row["requests"], row["cost_CNY"]) for row in csv.DictReader(io.StringIO(lines))] == [
        ("blue", "1", "0"), ("red", "2", "0.0123"),
    ]  # fmt: skip


@pytest.mark.parametrize("as_csv", [False, True])
def test_requests_are_exported_whole(office: Office, background: Background, *, as_csv: bool) -> None:
    fill(background, office, *(record(NOON + number / 10, prompt_tokens=number) for number in range(3000)))

    lines = done(office, "usage", "--requests", *(["--csv"] if as_csv else []))

    rows: list[Any] = [*csv.DictReader(io.StringIO(lines))] if as_csv else [json.loads(line) for line in lines.splitlines()]
    assert [int(row["prompt_tokens"]) for row in rows] == [*range(3000)]


def test_a_long_export_shows_how_far_it_is_to_those_who_look_on(
    office: Office, background: Background, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    fill(background, office, *(record(NOON + number / 10) for number in range(10)))
    seen = io.StringIO()
    monkeypatch.setattr(admin_reports, "Console", lambda **_: Console(file=seen, force_terminal=True, width=80))

    with AdminClient(office.served.url, ADMIN) as client:
        assert admin_reports.export_requests(client, {}, as_csv=False) == 0

    assert "10/10" in seen.getvalue()
    assert capfdbinary.readouterr().out.count(b"\n") == 10


def test_an_export_that_breaks_off_is_an_error() -> None:
    class Broken(httpx.SyncByteStream):
        def __iter__(self) -> Any:
            yield b'{"id":"1"}\n'
            raise httpx.RemoteProtocolError("peer closed connection")

    with respx.mock(base_url=URL) as api:
        api.get("/admin/v1/usage/requests").mock(return_value=httpx.Response(200, stream=Broken()))
        with AdminClient(URL, ADMIN) as client, pytest.raises(AdminError, match="broke off: what has come of it is not all"):
            for _ in client.pieces("usage/requests", {}):
                pass


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["usage", "--group-by", "colour"], "usage is not grouped by colour"),
        (["usage", "--from", "yesterday"], "expected a day"),
        (["usage", "--requests", "--from", "yesterday"], "expected a day"),
        (["keys", "create", "--name", "ci"], "team: is missing"),
        (["keys", "create", "--team", "red", "--name", "main"], "has a key 'main'"),
        (["keys", "revoke", "../tokens"], "There is nothing at DELETE"),
        (["keys", "rotate", "key_none", "--grace", "soon"], "a duration with its unit"),
        (["grants", "none", "--billed", "5"], "There is no grant 'none'"),
        (["grants", "none"], "both NAME and --billed"),
        (["grants", "--adopt"], "both NAME and --billed"),
    ],
)
def test_what_cannot_be_done_is_told_and_ends_with_2(office: Office, arguments: list[str], told: str) -> None:
    result = command(office, *arguments)

    assert result.exit_code == 2
    assert told in result.stderr
    assert result.stdout == ""


# ---- standings ----


def test_teams_accounts_and_grants_are_tables(replica: Replica, sqlite: str, config: Json) -> None:
    grant = {"account": "off", "name": "gift", "tokens": "1M", "expires": "2099-12-31T00:00:00+08:00"}
    accounts = {**config["providers"], "off": {"vendor": "zhipu", "jurisdiction": "cn-mainland", "api_key": ""}}
    limited = {**TEAM, "limits": {"rpm": 10}, "budget": {"amount": "3 CNY", "per": "total"}}
    office = replica(sqlite, {**config, "providers": accounts, "grants": [grant]}, limited, BLUE)
    assert office.chat(KEY, max_tokens=10).status_code == 200

    teams = cells(done(office, "teams"))
    accounts_ = cells(done(office, "accounts"))
    grants = cells(done(office, "grants"))

    assert [row[:7] for row in teams] == [
        ["red", "team", "requests a minute", "10", "1", "–", "9"],
        ["red", "team", "CNY", "3", "0.00008", "0", "2.99992"],
        ["blue", "team", "unlimited", "–", "–", "–", "–"],
    ]
    assert [row[0] for row in cells(done(office, "teams", "--team", "blue"))] == ["blue"]
    assert [(row[0], row[3], row[5]) for row in accounts_] == [("z", "well", "1"), ("off", "it is switched off: api_key is empty", "1")]
    assert grants[0][:8] == ["gift", "off", "*", "1,000,000", "0", "0", "0", "1,000,000"]
    assert grants[0][9] == "1,000,000 will be left over"
    for name in ("teams", "accounts", "grants"):
        assert json.loads(done(office, name, "--json"))[0]["name"]


def test_a_bill_that_differs_ends_with_1_until_it_is_adopted(replica: Replica, sqlite: str, config: Json) -> None:
    grant = {"account": "z", "name": "gift", "tokens": "1M", "expires": "2099-12-31T00:00:00+08:00"}
    office = replica(sqlite, {**config, "grants": [grant]})

    assert "billed 1,500, counted 0: a drift of +1,500" in done(office, "grants", "gift", "--billed", "1500", code=1)
    assert "holds from now on" in done(office, "grants", "gift", "--billed", "1500", "--adopt")
    assert json.loads(done(office, "grants", "gift", "--billed", "1500", "--json"))["drift"] == 0


# ---- the log of changes ----


def test_a_log_with_one_changed_byte_ends_with_1_and_the_entry_is_told(office: Office, tmp_path: Path) -> None:
    for number in range(3):
        office.made("/keys", team="red", name=f"key-{number}")

    well = done(office, "audit", "verify")
    head = well.split()[-1]
    entries = cells(done(office, "audit", "list", "--limit", "2"))
    with sqlite3.connect(tmp_path / "banjia.db") as database:
        database.execute("UPDATE audit SET detail = replace(detail, 'key-1', 'key-9') WHERE number = 2")
    broken = command(office, "audit", "verify", "--head", head)

    assert well.startswith("3 entries, all as they were written\nhead ")
    assert [row[0] + row[2] + row[3] for row in entries] == ["1adminkeys.create", "2adminkeys.create"]
    assert (broken.exit_code, broken.stdout) == (1, "")
    assert broken.stderr.startswith("entry 2: it is not what was written; the 1 before it")
    assert json.loads(done(office, "audit", "verify", "--json", code=1))["broken"] == 2


def test_a_key_in_the_address_is_asked_for_where_there_is_none() -> None:
    for group in (["keys", "list"], ["usage"], ["accounts"], ["audit", "verify"]):
        result = CliRunner().invoke(main, group, env={"BANJIA_ADMIN_KEY": None}, prog_name="banjia")

        assert (result.exit_code, "--admin-key" in result.stderr) == (2, True)
