"""Reports: the same sums before and after days are added up and requests forgotten, and text that stays text."""

import asyncio
import csv
import io
from itertools import product
from pathlib import Path
from random import Random
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.accounting.record import UsageRecord, new_id
from gateway.store import rollup
from gateway.store.engine import Store
from gateway.store.rollup import Kept, forget, roll_up
from gateway.store.usage import FILTERS, GROUPS, Asked, Report, amount, csv_line, csv_of, report, request, requests
from tests.store.stores import DAY, NOON, Clock, ids, opened, record

TODAY = int(NOON // DAY)
ODD = ["'", '"', ";", "--", "\\", "%", "_", "' OR 1=1 --", "李", "{{7*7}}", "%(x)s", "{0.__class__}", "x" * 10_000]


def day(number: int) -> str:
    """2027-01-15 is day 0."""
    return f"2027-01-{15 + number:02}"


def some(count: int = 400, days: int = 6, seed: int = 5) -> list[UsageRecord]:
    """Of several teams, on days before noon of 2027-01-15, the oldest first."""
    chance = Random(seed)
    times = sorted(NOON - chance.random() * days * DAY for _ in range(count))
    return [
        record(
            time,
            team=chance.choice(["red", "blue"]),
            key=chance.choice(["a", "b"]),
            user=chance.choice(["", "u1", "u2"]),
            account=chance.choice(["zhipu", "azure"]),
            model=chance.choice(["gpt-4o", "gpt-4o-mini"]),
            served_model=chance.choice(["glm", "qwen"]),
            kind=chance.choice(["ok", "failed", "attempt", "aborted"]),
            currency=chance.choice(["CNY", "USD", ""]),
            cost=chance.randrange(10**9),
            prompt_tokens=chance.randrange(1000),
            cached_tokens=chance.randrange(100),
            completion_tokens=chance.randrange(500),
            reasoning_tokens=chance.randrange(50),
            images=chance.randrange(3),
            seconds=chance.randrange(100),
            characters=chance.randrange(2000),
        )
        for time in times
    ]


COUNTED = ("prompt_tokens", "cached_tokens", "completion_tokens", "reasoning_tokens", "images", "seconds", "characters")


def expected(records: list[UsageRecord], asked: Asked) -> list[dict[str, Any]]:
    """A report, worked out the long way."""
    rows: dict[tuple[Any, ...], dict[str, Any]] = {}
    for one in records:
        if not asked.since <= one.time < asked.until:
            continue
        if any(getattr(asked, name) not in (None, getattr(one, name)) for name in FILTERS):
            continue
        named = {name: day(int(one.time // DAY) - TODAY) if name == "day" else getattr(one, name) for name in asked.group_by}
        row = rows.setdefault(tuple(named.values()), {**named, "requests": 0, "cost": {}})
        row["requests"] += one.kind != "attempt"
        for name in COUNTED:
            row[name] = row.get(name, 0) + getattr(one, name)
        if one.currency:
            row["cost"][one.currency] = row["cost"].get(one.currency, 0) + one.cost
    for row in rows.values():
        row["cost"] = {currency: amount(cost) for currency, cost in sorted(row["cost"].items())}
    return [rows[group] for group in sorted(rows)]


async def fill(store: Store, records: list[UsageRecord]) -> None:
    assert set(await asyncio.gather(*map(store.writer.write, records))) <= {"database"}


QUESTIONS = [
    Asked(),
    Asked(group_by=("day",)),
    Asked(group_by=("team", "day")),
    Asked(group_by=GROUPS),
    Asked(team="red", group_by=("user", "served_model")),
    Asked(team="blue", key="a", user="u1", account="zhipu", model="gpt-4o", served_model="glm", group_by=("day", "key")),
    Asked(since=NOON - 3 * DAY, until=NOON - DAY, group_by=("day",)),
    Asked(since=NOON - 3.5 * DAY, until=NOON - 1.5 * DAY, group_by=("day", "account")),
    Asked(since=NOON - 100, until=NOON - 50, group_by=("team",)),
    Asked(since=NOON, until=NOON - 1),
    Asked(team="nobody", group_by=("team",)),
]


def test_a_report_is_the_same_before_and_after_days_are_added_up(url: str, journal: Path) -> None:
    records = some()

    async def main() -> None:
        async with opened(url, journal) as store:
            await fill(store, records)
            for asked in QUESTIONS:
                assert (await report(store, asked)).rows == expected(records, asked), asked

            assert await roll_up(store) == [*range(TODAY - 6, TODAY)]
            assert await roll_up(store) == []
            for asked in QUESTIONS:
                assert (await report(store, asked)).rows == expected(records, asked), asked

    asyncio.run(main())


def test_a_report_of_other_ranges_is_right_whatever_has_been_added_up(url: str, journal: Path) -> None:
    records = some()
    clock = Clock(NOON)
    edges = [0.0, NOON - 6 * DAY, NOON - 4.5 * DAY, NOON - 2.5 * DAY, NOON - 2.4 * DAY, NOON - 0.5 * DAY, NOON + DAY]

    async def main() -> None:
        async with opened(url, journal, now=clock) as store:
            await fill(store, records)
            for days_ago in (4, 2):  # with a day between that nobody has added up, as if its usage came later
                clock.now = NOON - days_ago * DAY
                await roll_up(store)
            for since, until in product(edges, edges):
                asked = Asked(since, until, group_by=("day",))
                assert (await report(store, asked)).rows == expected(records, asked), asked

    asyncio.run(main())


def test_a_day_is_added_up_an_hour_after_its_end(url: str, journal: Path) -> None:
    midnight = TODAY * DAY
    clock = Clock(midnight - 10)

    async def main() -> None:
        async with opened(url, journal, now=clock) as store:
            await fill(store, [record(midnight - 20)])
            clock.now = midnight + 3599
            assert await roll_up(store) == []
            clock.now = midnight + 3600
            assert await roll_up(store) == [TODAY - 1]

    asyncio.run(main())


def test_a_record_that_comes_after_its_day_was_added_up_is_in_the_sums_once(url: str, journal: Path) -> None:
    records = some(100)
    late = [*some(30, seed=6), *some(5, days=20, seed=7)]
    everything = [*records, *late]

    async def main() -> None:
        async with opened(url, journal) as store:
            await fill(store, records)
            await roll_up(store)
            for _ in range(2):
                await fill(store, late + late[:3])
            assert sorted(await ids(store)) == sorted(one.id for one in everything)
            for asked in (*QUESTIONS[:6], Asked(until=NOON - 5 * DAY)):
                assert (await report(store, asked)).rows == expected(everything, asked)
            await roll_up(store)
            for asked in QUESTIONS[:6]:
                assert (await report(store, asked)).rows == expected(everything, asked)

    asyncio.run(main())


def test_replicas_that_add_up_together_while_late_records_come_agree(url: str, journal: Path) -> None:
    records, late = some(300), some(60, seed=8)

    async def main() -> None:
        async with opened(url, journal) as one, opened(url, journal) as other:
            await fill(one, records)
            filling = asyncio.gather(*(fill(other, [each]) for each in late))
            days, more = await asyncio.gather(roll_up(one), roll_up(other))
            await filling
            assert sorted([*days, *more]) == [*range(TODAY - 6, TODAY)]
            for asked in QUESTIONS[:6]:
                assert (await report(one, asked)).rows == expected([*records, *late], asked)

    asyncio.run(main())


def test_old_requests_are_forgotten_and_their_sums_are_not(url: str, journal: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollup, "AT_ONCE", 7)
    records = some()
    recent = [one for one in records if one.time >= (TODAY - 2) * DAY]

    async def main() -> None:
        async with opened(url, journal) as store:
            await fill(store, records)
            assert await forget(store, Kept(requests_days=2)) == 0  # what is in no sums is not forgotten
            await roll_up(store)
            assert await forget(store, Kept(requests_days=2)) == len(records) - len(recent)
            assert sorted(await ids(store)) == sorted(one.id for one in recent)
            for asked in QUESTIONS[:6]:
                assert (await report(store, asked)).rows == expected(records, asked)

            await forget(store, Kept(requests_days=2, daily_days=4))
            kept = [one for one in records if one.time >= (TODAY - 4) * DAY]
            assert (await report(store, QUESTIONS[2])).rows == expected(kept, QUESTIONS[2])

    asyncio.run(main())


def test_text_of_any_kind_stays_text(url: str, journal: Path) -> None:
    async def main() -> None:
        async with opened(url, journal) as store:
            await fill(store, [record(team=text, key=text, user=text, model=text, tags={text: text}) for text in ODD])
            for text in ODD:
                for name in ("team", "key", "user", "model"):
                    found = await report(store, replace(Asked(group_by=(name,)), **{name: text}))
                    assert [row[name] for row in found.rows] == [text]
                    assert found.rows[0]["requests"] == 1
                assert (await report(store, Asked(account=text))).rows in ([], expected([], Asked()))
                assert await request(store, text) == []
            assert len(await ids(store)) == len(ODD)
            with pytest.raises(ValueError, match="not grouped by"):
                await report(store, Asked(group_by=("team; DROP TABLE usage",)))

    asyncio.run(main())


def test_a_report_ends_at_its_limit_and_says_so(url: str, journal: Path) -> None:
    async def main() -> None:
        async with opened(url, journal) as store:
            await fill(store, [record(user=f"u{number}", currency=currency) for number in range(9) for currency in ("CNY", "USD")])
            found = await report(store, Asked(group_by=("user",), limit=4))
            assert (len(found.rows), found.more) == (4, True)
            assert [*found.rows[3]["cost"]] == ["CNY", "USD"]
            assert not (await report(store, Asked(group_by=("user",), limit=9))).more

    asyncio.run(main())


def test_requests_are_read_page_by_page_and_none_is_skipped_at_equal_times(
    url: str, journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.store.usage.PAGE", 7)
    records = [
        record(NOON + number // 20, id=new_id(NOON), team=["red", "blue"][number % 2], request_id=f"r{number % 3}") for number in range(60)
    ]

    async def main() -> None:
        async with opened(url, journal) as store:
            await fill(store, records)
            every = [(one["time"], one["id"]) async for one in requests(store, Asked())]
            assert every == sorted((one.time, one.id) for one in records)
            red = [one["id"] async for one in requests(store, Asked(since=NOON + 1, until=NOON + 2, team="red"))]
            assert sorted(red) == sorted(one.id for one in records[20:40] if one.team == "red")
            assert len(await request(store, "r1")) == 20
            assert {one["team"] for one in await request(store, "r1", team="blue")} == {"blue"}

    asyncio.run(main())


def test_one_request_is_found_by_an_index(journal: Path, tmp_path: Path) -> None:
    async def main() -> list[str]:
        async with opened(f"sqlite:///{tmp_path}/banjia.db", journal) as store, store.reading() as connection:
            plan = await connection.exec_driver_sql("EXPLAIN QUERY PLAN SELECT * FROM usage WHERE request_id = 'r' ORDER BY time LIMIT 100")
            return [row[-1] for row in plan]

    assert "SEARCH usage USING INDEX usage_request (request_id=?)" in asyncio.run(main())


@pytest.mark.parametrize(
    ("nano", "text"),
    [(0, "0"), (1, "0.000000001"), (12_300_000, "0.0123"), (10**9, "1"), (10**18 + 5 * 10**8, "1000000000.5"), (-2_500_000_000, "-2.5")],
)
def test_amounts_are_written_without_loss(nano: int, text: str) -> None:
    assert amount(nano) == text


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("\r\n=1", '"\'\r\n=1"'),
        ('say "a, b"', '"say ""a, b"""'),
        ("gpt-4o", "gpt-4o"),
        (-5, "-5"),
        (1.5, "1.5"),
        (None, ""),
        (True, "True"),
    ],
)
def test_a_spreadsheet_executes_nothing(cell: Any, text: str) -> None:
    assert csv_line([cell, "x"]) == text + ",x\r\n"


def test_a_report_as_csv_has_a_column_for_each_currency() -> None:
    numbers = {"requests": 1, **dict.fromkeys(COUNTED, 0), "prompt_tokens": 2, "completion_tokens": 3}
    rows = [{"team": "=1+1", **numbers, "cost": {"CNY": "0.5"}}, {"team": "red", **numbers, "cost": {"CNY": "1", "USD": "2"}}]

    text = "".join(csv_of(Report(rows), ["team"]))

    assert [*csv.reader(io.StringIO(text))] == [
        ["team", "requests", *COUNTED, "cost_CNY", "cost_USD"],
        ["'=1+1", "1", "2", "0", "3", "0", "0", "0", "0", "0.5", ""],
        ["red", "1", "2", "0", "3", "0", "0", "0", "0", "1", "2"],
    ]
