"""The audit log over HTTP."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.gateway.api.admin.desk import Office


@pytest.fixture
def office_with_entries(office: Office) -> Office:
    for number in range(5):
        office.made("/keys", team="red", name=f"key-{number}")
    return office


@pytest.fixture
def database(office_with_entries: Office, tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(tmp_path / "banjia.db", isolation_level=None)) as connection:
        yield connection


def test_each_change_is_an_entry_with_who_did_what_to_what(office: Office) -> None:
    token = office.made("/tokens", team="red", name="ops")
    key = office.made("/keys", token["token"], name="new", jurisdiction="cn-mainland")
    rotated = office.made(f"/keys/{key['id']}/rotate", grace="90s")

    first, second, third = office.get("/audit")["data"]

    assert (first["number"], first["actor"], first["action"], first["target"]) == (1, "admin", "tokens.create", token["id"])
    assert first["detail"] == {"team": "red", "name": "ops", "role": "team"}
    assert (second["actor"], second["action"], second["target"]) == (f"token red/ops ({token['id']})", "keys.create", key["id"])
    assert third["detail"] == {"team": "red", "name": "new", "jurisdiction": "cn-mainland", "successor": rotated["id"], "grace": 90.0}
    assert first["time"] <= second["time"] <= third["time"]


def test_entries_come_page_by_page(office_with_entries: Office) -> None:
    first = office_with_entries.get("/audit", limit=2)
    rest = office_with_entries.get("/audit", after=2)

    assert ([entry["number"] for entry in first["data"]], first["has_more"]) == ([1, 2], True)
    assert ([entry["number"] for entry in rest["data"]], rest["has_more"]) == ([3, 4, 5], False)


def test_a_log_as_it_was_written_is_well(office_with_entries: Office) -> None:
    found = office_with_entries.get("/audit/verify")
    office_with_entries.made("/keys", team="red", name="another")

    assert (found["ok"], found["entries"], found["broken"], found["why"]) == (True, 5, None, None)
    assert office_with_entries.get("/audit/verify", head=found["head"])["entries"] == 6


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE audit SET detail = replace(detail, 'key-2', 'key-3') WHERE number = 3",
        "UPDATE audit SET actor = 'Admin' WHERE number = 3",
        "UPDATE audit SET detail = substr(detail, 2) WHERE number = 3",
        "DELETE FROM audit WHERE number = 3",
    ],
)
def test_one_changed_byte_is_found(office_with_entries: Office, database: sqlite3.Connection, change: str) -> None:
    database.execute(change)

    found = office_with_entries.get("/audit/verify")

    assert (found["ok"], found["entries"], found["broken"]) == (False, 2, 3)
    assert found["why"]
    assert office_with_entries.ask("GET", "/audit").status_code == 200


def test_a_log_that_was_cut_off_is_found_by_an_earlier_head(office_with_entries: Office, database: sqlite3.Connection) -> None:
    head = office_with_entries.get("/audit/verify")["head"]
    database.execute("DELETE FROM audit WHERE number > 3")

    assert office_with_entries.get("/audit/verify")["ok"] is True
    assert office_with_entries.get("/audit/verify", head=head)["ok"] is False


def test_what_cannot_be_noted_is_not_done(office_with_entries: Office, database: sqlite3.Connection) -> None:
    key = office_with_entries.get("/keys")["data"][-1]
    database.execute("ALTER TABLE audit RENAME TO gone")

    replies = [
        office_with_entries.post("/keys", team="red", name="new"),
        office_with_entries.post(f"/keys/{key['id']}/rotate"),
        office_with_entries.ask("DELETE", f"/keys/{key['id']}"),
        office_with_entries.post("/tokens", team="red", name="new"),
    ]

    assert {reply.status_code for reply in replies} == {503}
    assert office_with_entries.get(f"/keys/{key['id']}") == key
    assert len(office_with_entries.get("/keys")["data"]) == 7
    assert office_with_entries.get("/tokens")["data"] == []
