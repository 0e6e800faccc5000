"""Who still calls names that OpenAI ends."""

import json
from typing import Any

import pytest

from gateway.store.rollup import Kept, forget, roll_up
from tests.conftest import Background, catalog
from tests.gateway.api.admin.desk import Office
from tests.gateway.api.admin.test_commands import cells, done, fill
from tests.store.stores import NOON, record

GPT_4O, GPT_5 = catalog().retirements["gpt-4o"], catalog().retirements["gpt-5"]
SOME = (
    record(NOON, key="main", model="gpt-4o", prompt_tokens=1),
    record(NOON + 60, key="main", model="gpt-4o", prompt_tokens=1),
    record(NOON + 1, key="made-since", model="gpt-5", prompt_tokens=1),
    record(NOON + 2, key="main", model="glm-5.2", prompt_tokens=1),
    record(NOON + 3, team="blue", key="main", model="gpt-4o", prompt_tokens=1),
    record(NOON + 4, team="gone", key="main", model="gpt-4o", prompt_tokens=1),
)


def rows(office: Office, **asked: Any) -> list[tuple[Any, ...]]:
    found = office.get("/usage", retiring="true", **asked)["data"]
    return [tuple(row[name] for name in ("team", "key", "model", "requests", "last")) for row in found]


def test_the_names_that_end_first_come_first_with_who_calls_them_and_when_last(everywhere: Office, background: Background) -> None:
    fill(background, everywhere, *SOME)

    assert rows(everywhere) == [
        ("red", "made-since", "gpt-5", 1, NOON + 1),
        ("blue", "main", "gpt-4o", 1, NOON + 3),
        ("gone", "main", "gpt-4o", 1, NOON + 4),
        ("red", "main", "gpt-4o", 2, NOON + 60),
    ]


def test_filters_hold_and_a_name_that_does_not_end_is_nobodys(office: Office, background: Background) -> None:
    fill(background, office, *SOME)

    assert rows(office, team="blue") == [("blue", "main", "gpt-4o", 1, NOON + 3)]
    assert rows(office, model="gpt-5") == [("red", "made-since", "gpt-5", 1, NOON + 1)]
    assert rows(office, model="glm-5.2") == []
    assert rows(office, **{"from": str(NOON + 4)}) == [("gone", "main", "gpt-4o", 1, NOON + 4), ("red", "main", "gpt-4o", 1, NOON + 60)]


def test_a_row_tells_when_it_ends_and_what_serves_it_now(office: Office, background: Background) -> None:
    fill(background, office, *SOME)

    by = {(row["team"], row["model"]): row for row in office.get("/usage", retiring="true")["data"]}

    assert by["red", "gpt-4o"]["announced"] == GPT_4O.announced.isoformat()
    assert by["red", "gpt-4o"]["shutdown"] == GPT_4O.shutdown.isoformat()
    assert by["red", "gpt-4o"]["days_left"] == by["red", "gpt-5"]["days_left"] + (GPT_4O.shutdown - GPT_5.shutdown).days
    assert "z/glm-5.2" in by["red", "gpt-4o"]["served_by"]
    assert by["gone", "gpt-4o"]["served_by"] == [], "no team of the config's"


def test_a_team_sees_its_own_alone(office: Office, background: Background) -> None:
    fill(background, office, *SOME)

    found = office.get("/usage", office.token("blue"), retiring="true")["data"]

    assert [row["team"] for row in found] == ["blue"]


def test_days_whose_requests_are_no_longer_kept_count_and_end_at_their_end(office: Office, background: Background) -> None:
    fill(background, office, *SOME)
    later = NOON + 400 * 86_400

    async def let_go() -> None:
        office.store.now = lambda: later
        await roll_up(office.store)
        await forget(office.store, Kept(requests_days=1))

    background.run(let_go())

    assert ("red", "main", "gpt-4o", 2, NOON + 12 * 3600 - 1) in rows(office)


@pytest.mark.parametrize("asked", [{"group_by": "team"}, {"format": "csv"}])
def test_what_makes_no_sense_with_it_is_refused(office: Office, asked: dict[str, str]) -> None:
    reply = office.ask("GET", "/usage", params={"retiring": "true", **asked})

    assert reply.status_code == 400
    assert reply.json()["error"]["param"] == "retiring"


def test_the_command_prints_a_table_or_json(office: Office, background: Background) -> None:
    fill(background, office, *SOME)

    table = cells(done(office, "usage", "--retiring", "--team", "red"))
    told = json.loads(done(office, "usage", "--retiring", "--json", "--team", "red"))

    assert [row[:4] for row in table] == [["red", "made-since", "gpt-5", "1"], ["red", "main", "gpt-4o", "2"]]
    assert table[1][7] == "z/glm-5.2 and 2 more"
    assert [row["model"] for row in told["data"]] == ["gpt-5", "gpt-4o"]
    assert done(office, "usage", "--retiring", "--csv", code=2) == ""
