"""Usage over HTTP: added up and request by request, as JSON and as CSV, however odd what it is asked for."""

import csv
import io
import json
from collections.abc import Callable
from time import monotonic, perf_counter
from typing import Any

import httpx
import pytest

from gateway.accounting.record import UsageRecord
from tests.conftest import PATIENCE, Background
from tests.gateway.api.admin.desk import ADMIN, Office
from tests.store.stores import NOON, record

DAY = 86_400.0
Fill = Callable[..., None]


@pytest.fixture
def fill(background: Background) -> Fill:
    """Writes usage into an office's database."""

    def fill(office: Office, *records: UsageRecord) -> None:
        async def write() -> None:
            for done in [office.store.writer.write(one) for one in records]:
                assert await done == "database"

        background.run(write())

    return fill


SOME = (
    record(NOON, key="main", user="alice", account="z", model="gpt-4o", served_model="glm-5.2", prompt_tokens=10, cost=12_300_000),
    record(NOON + 1, key="new", model="gpt-4o", completion_tokens=5, cost=1_000_000_000, currency="USD"),
    record(NOON + DAY, team="blue", key="main", model="=cmd|'/C calc'!A0", prompt_tokens=7, reasoning_tokens=2, tags={"a": "b"}),
)
"""Two of team red, one of team blue."""


def test_usage_is_added_up_by_what_it_is_asked_for(everywhere: Office, fill: Fill) -> None:
    fill(everywhere, *SOME)

    total = everywhere.get("/usage")
    teams = everywhere.get("/usage", group_by="team,day")["data"]
    days = everywhere.get("/usage", group_by=["day", "model"], **{"from": "2027-01-15", "to": "2027-01-16"})["data"]

    assert total == {
        "data": [
            {
                "requests": 3, "prompt_tokens": 17, "cached_tokens": 0, "completion_tokens": 5, "reasoning_tokens": 2,
                "images": 0, "seconds": 0, "characters": 0, "cost": {"CNY": "0.0123", "USD": "1"},
            }
        ],
        "has_more": False,
    }  # fmt: skip
    assert [(row["team"], row["day"], row["requests"]) for row in teams] == [("blue", "2027-01-16", 1), ("red", "2027-01-15", 2)]
    assert [(row["day"], row["model"], row["requests"]) for row in days] == [("2027-01-15", "gpt-4o", 2)]


@pytest.mark.parametrize(
    ("asked", "requests"),
    [
        ({"team": "red"}, 2),
        ({"key": "main"}, 2),
        ({"user": "alice"}, 1),
        ({"account": "z"}, 1),
        ({"model": "gpt-4o", "team": "red"}, 2),
        ({"served_model": "glm-5.2"}, 1),
        ({"from": "2027-01-16"}, 1),
        ({"to": "2027-01-16T00:00:00+08:00"}, 2),
        ({"from": str(NOON + 1), "to": str(NOON + DAY)}, 1),
        ({"model": "gpt-%"}, 0),
        ({"team": ""}, 0),
    ],
)
def test_filters_leave_what_they_name(office: Office, fill: Fill, asked: dict[str, str], requests: int) -> None:
    fill(office, *SOME)

    rows = office.ask("GET", "/usage/requests", params=asked).text.splitlines()

    assert sum(row["requests"] for row in office.get("/usage", **asked)["data"]) == requests
    assert len(rows) == requests


def test_requests_come_as_lines_of_json_the_oldest_first(everywhere: Office, fill: Fill) -> None:
    fill(everywhere, *SOME)

    reply = everywhere.ask("GET", "/usage/requests")

    rows = [json.loads(line) for line in reply.text.splitlines()]
    assert reply.headers["content-type"] == "application/x-ndjson"
    assert [row["time"] for row in rows] == [NOON, NOON + 1, NOON + DAY]
    assert [row["cost"] for row in rows] == ["0.0123", "1", "0"]
    assert (rows[2]["tags"], rows[0]["tags"], rows[0]["estimated"]) == ({"a": "b"}, {}, False)


def test_csv_is_what_a_spreadsheet_may_open(everywhere: Office, fill: Fill) -> None:
    fill(everywhere, *SOME)

    sums = everywhere.ask("GET", "/usage", params={"format": "csv", "group_by": "model"})
    rows = everywhere.ask("GET", "/usage/requests", params={"format": "csv"})

    assert sums.headers["content-type"] == "text/csv; charset=utf-8"
    assert [*csv.reader(io.StringIO(sums.text))] == [
        [
            "model", "requests", "prompt_tokens", "cached_tokens", "completion_tokens", "reasoning_tokens",
            "images", "seconds", "characters", "cost_CNY", "cost_USD",
        ],
        ["'=cmd|'/C calc'!A0", "1", "7", "0", "0", "2", "0", "0", "0", "0", ""],
        ["gpt-4o", "2", "10", "0", "5", "0", "0", "0", "0", "0.0123", "1"],
    ]  # fmt: skip
    found = [*csv.DictReader(io.StringIO(rows.text))]
    assert [row["cost"] for row in found] == ["0.0123", "1", "0"]
    assert found[2]["model"] == "'=cmd|'/C calc'!A0"
    assert found[2]["tags"] == '{"a":"b"}'


def test_a_long_export_is_whole(office: Office, fill: Fill) -> None:
    fill(office, *(record(NOON + number / 10, prompt_tokens=number, user="u" * 100) for number in range(5000)))

    with office.client.stream("GET", "/admin/v1/usage/requests", headers={"authorization": f"Bearer {ADMIN}"}) as reply:
        assert reply.headers["transfer-encoding"] == "chunked"
        numbers = [json.loads(line)["prompt_tokens"] for line in reply.iter_lines()]

    assert numbers == [*range(5000)]


def test_an_export_is_cut_off_rather_than_ended_when_the_database_fails(office: Office, fill: Fill, background: Background) -> None:
    fill(office, *(record(NOON + number / 10, changes="x" * 4000) for number in range(5000)))

    async def drop() -> None:
        async with office.store.writing() as connection:
            await connection.exec_driver_sql("ALTER TABLE usage RENAME TO gone")

    async def put_back() -> None:
        async with office.store.writing() as connection:
            await connection.exec_driver_sql("ALTER TABLE gone RENAME TO usage")

    with office.client.stream("GET", "/admin/v1/usage/requests", headers={"authorization": f"Bearer {ADMIN}"}) as reply:
        pieces = reply.iter_raw()
        next(pieces)
        background.run(drop())
        with pytest.raises(httpx.RemoteProtocolError):
            for _ in pieces:
                pass
    background.run(put_back())

    assert reply.status_code == 200
    assert office.get("/usage")["data"][0]["requests"] == 5000


def test_a_08_a_token_sees_its_own_teams_usage(everywhere: Office, fill: Fill) -> None:
    token = everywhere.token("red")
    fill(everywhere, *SOME, record(NOON, team="red", request_id="req_red"), record(NOON, team="blue", request_id="req_blue"))

    sums = everywhere.get("/usage", token, group_by="team")["data"]
    rows = everywhere.ask("GET", "/usage/requests", token).text
    found = [everywhere.ask("GET", f"/usage/requests/req_{team}", token).status_code for team in ("red", "blue", "none")]

    assert [(row["team"], row["requests"]) for row in sums] == [("red", 3)]
    assert {json.loads(line)["team"] for line in rows.splitlines()} == {"red"}
    assert found == [200, 404, 404]
    assert [row["team"] for row in everywhere.get("/usage/requests/req_blue")["data"]] == ["blue"]


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"teem": "red"}, "teem"),
        ({"group_by": "team,currency"}, "group_by"),
        ({"group_by": "1; DROP TABLE usage"}, "group_by"),
        ({"from": "yesterday"}, "from"),
        ({"from": "2027-01-15T12:00:00"}, "from"),
        ({"from": "nan"}, "from"),
        ({"to": "-1"}, "to"),
        ({"to": "1e300"}, "to"),
        ({"from": "2027-01-16", "to": "2027-01-15"}, "from"),
        ({"format": "xml"}, "format"),
        ({"limit": "0"}, "limit"),
    ],
)
def test_what_is_asked_wrongly_is_refused_by_name(office: Office, asked: dict[str, str], param: str) -> None:
    reply = office.ask("GET", "/usage", params=asked)

    assert (reply.status_code, reply.json()["error"]["param"]) == (400, param)
    assert reply.json()["error"]["type"] == "invalid_request_error"


ODD = ["'", '"', ";", "--", "\\", "%", "_", "\0", "' OR 1=1 --", "'; DROP TABLE usage; --", "\ud83d\ude00", "x" * 10_000, "%00", "{{7*7}}"]


@pytest.mark.parametrize("text", ODD, ids=lambda text: ascii(text[:20]))
def test_a_01_no_text_reaches_the_database_as_anything_but_text(everywhere: Office, fill: Fill, text: str) -> None:
    fill(everywhere, *SOME)
    safe = text.encode("utf-16", "surrogatepass").decode("utf-16")
    before = everywhere.get("/keys"), everywhere.get("/tokens")

    replies = [
        *(
            everywhere.ask("GET", path, params={name: safe})
            for path in ("/usage", "/usage/requests", "/keys", "/teams")
            for name in ("team", "key", "user", "account", "model", "served_model", "group_by", "from")
        ),
        everywhere.ask("GET", "/audit/verify", params={"head": safe}),
        *(everywhere.ask(method, f"/keys/{httpx.QueryParams({'': safe})}"[:12_000]) for method in ("GET", "DELETE")),
        everywhere.post("/keys", team=safe, name=safe),
        everywhere.post("/keys", team="red", name=safe, jurisdiction=safe),
        everywhere.post("/tokens", team="red", name=safe),
        everywhere.ask("GET", "/usage/requests/" + "".join(f"%{byte:02x}" for byte in safe.encode())[:12_000]),
        everywhere.client.get("/admin/v1/keys", headers={b"authorization": b"Bearer bat-" + safe.replace("\0", "").encode()}),
        everywhere.client.get("/v1/models", headers={b"api-key": b"k" + safe.replace("\0", "").encode()}),
    ]

    assert {reply.status_code for reply in replies} <= {200, 400, 401, 404}
    assert (everywhere.get("/keys"), everywhere.get("/tokens")) == before
    assert everywhere.get("/usage")["data"][0]["requests"] == 3


@pytest.mark.parametrize("text", ["{{7*7}}", "${7*7}", "%(x)s", "{0.__class__}", "<img src=x onerror=1>", "a\u202eb"])
def test_a_03_what_looks_like_a_template_comes_back_as_it_was(office: Office, text: str) -> None:
    refused = office.served.chat(model=text, user=text, metadata={"t": text})
    office.served.chat(model="m", user=text, metadata={"t": text})

    def rows() -> list[Any]:
        return [json.loads(line) for line in office.ask("GET", "/usage/requests").text.splitlines()]

    until = monotonic() + PATIENCE
    while len(found := rows()) < 2 and monotonic() < until:
        pass
    assert text in refused.json()["error"]["message"]
    assert [row["model"] for row in found] == [text, "m"]
    assert (found[1]["user"], found[1]["tags"]) == (text, {"t": text})
    assert {row["model"] for row in office.get("/usage", group_by="model")["data"]} == {text, "m"}
    assert office.get("/usage", user=text)["data"][0]["requests"] == 1
    assert office.served.record().model == text


@pytest.mark.parametrize("mark", ["%", "_", "\\"])
def test_a_11_a_long_search_for_wildcards_is_quick_and_finds_nothing(everywhere: Office, fill: Fill, mark: str) -> None:
    fill(everywhere, *(record(NOON + number / 10, model=f"model-{number}") for number in range(2000)))
    everywhere.get("/usage")  # what is done once is done

    began = perf_counter()
    found = everywhere.get("/usage", model=mark * 10_000, group_by="model", limit=5)
    took = perf_counter() - began

    assert (found["data"], found["has_more"]) == ([], False)
    assert took < 0.2
    assert len(everywhere.get("/usage", group_by="model", limit=5)["data"]) == 5
    assert everywhere.get("/usage", group_by="model", limit=5)["has_more"] is True


def test_a_lost_database_is_told_with_a_status(office: Office, background: Background) -> None:
    background.run(office.store.engine.dispose())
    office.store.location.path.rename(office.store.location.path.with_name("away.db"))
    office.store.location.path.mkdir()

    replies = [
        office.ask("GET", "/usage"),
        office.ask("GET", "/usage/requests"),
        office.ask("GET", "/keys"),
        office.post("/keys", team="red", name="new"),
        office.ask("GET", "/keys", "bat-somebody"),
    ]

    assert {(reply.status_code, reply.json()["error"]["code"]) for reply in replies} == {(503, "storage_unavailable")}
    assert office.ask("GET", "/accounts").status_code == 200
