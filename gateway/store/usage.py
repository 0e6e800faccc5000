"""What was used: added up for reports, or request by request."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from math import ceil
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from sqlalchemy import ColumnElement, Select, and_, false, or_, select, tuple_, union_all
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.store.sums import COUNTS, DAY, END_OF_TIME, day_of, raw_sums, sums
from gateway.store.tables import usage, usage_daily, usage_rolled

if TYPE_CHECKING:
    from gateway.store.engine import Store

FILTERS = ("team", "key", "user", "account", "model", "served_model")
GROUPS = (*FILTERS, "day")
PAGE = 1000
"""Rows that are read at a time."""
AT_ONCE = 500
"""Rows that are looked at before others have their turn."""


class Asked(Struct, frozen=True):
    """Which usage. Times in unix seconds: `since` included, `until` not."""

    since: float = 0.0
    until: float = END_OF_TIME
    team: str | None = None
    key: str | None = None
    user: str | None = None
    account: str | None = None
    model: str | None = None
    served_model: str | None = None
    models: tuple[str, ...] = ()
    """Asked for by one of these names."""
    teams: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    """Of one of these."""
    group_by: tuple[str, ...] = ()
    """Of GROUPS, in the order that rows are sorted by. Days are UTC's."""
    limit: int = 10_000
    """Most rows of a report."""


class Report(Struct, frozen=True):
    rows: list[dict[str, Any]]
    """{group: value, …, "requests", "prompt_tokens", "cached_tokens", "completion_tokens", "reasoning_tokens", "cost": {"CNY":
    "0.0123"}}"""
    more: bool = False
    """There were more rows than were asked for."""


async def report(store: "Store", asked: Asked) -> Report:
    """Usage added up; days that are over come from their sums. Raises StoreError, and ValueError for a group that is none."""
    if unknown := [name for name in asked.group_by if name not in GROUPS]:
        raise ValueError(f"usage is not grouped by {', '.join(unknown)}, but by {', '.join(GROUPS)}")
    rows: dict[tuple[Any, ...], dict[str, Any]] = {}
    async with store.reading() as connection:
        found = (await connection.stream(await _statement(connection, asked))).mappings()
        async for some in found.partitions(AT_ONCE):
            for one in some:
                group = tuple(one[name] for name in asked.group_by)
                if group not in rows:
                    if len(rows) == asked.limit:
                        return Report([*rows.values()], more=True)
                    named = {name: iso(value) if name == "day" else value for name, value in zip(asked.group_by, group, strict=True)}
                    rows[group] = named | dict.fromkeys(("requests", *COUNTS[:-1]), 0) | {"cost": {}}
                row = rows[group]
                for name in ("requests", *COUNTS[:-1]):
                    row[name] += one[name]
                if one["currency"]:
                    row["cost"][one["currency"]] = amount(one["cost"])
            await asyncio.sleep(0)
    return Report([*rows.values()])


async def _statement(connection: AsyncConnection, asked: Asked) -> Select[Any]:
    """Sums of sums: of the days that have been added up and lie wholly in the time asked for, and of the requests of the rest of it."""
    first, last = ceil(asked.since / DAY), int(asked.until // DAY)
    rolled = select(usage_rolled.c.day).where(usage_rolled.c.day >= first, usage_rolled.c.day < last).order_by(usage_rolled.c.day)
    runs = _runs((await connection.execute(rolled)).scalars().all())
    edges = [asked.since, *(edge * DAY for run in runs for edge in run), asked.until]
    gaps = [*zip(edges[::2], edges[1::2], strict=True)]

    def grouped(table: Any, day: ColumnElement[Any], summed: list[ColumnElement[int]], ranges: ColumnElement[bool]) -> Select[Any]:
        names = [day.label("day") if name == "day" else table.c[name].label(name) for name in (*asked.group_by, "currency")]
        wanted = [table.c[name] == value for name in FILTERS if (value := getattr(asked, name)) is not None]
        several = (("model", asked.models), ("team", asked.teams), ("key", asked.keys), ("user", asked.users))
        wanted += [table.c[name].in_(values) for name, values in several if values]
        return select(*names, *summed).where(ranges, *wanted).group_by(*names)

    days = or_(false(), *(and_(usage_daily.c.day >= low, usage_daily.c.day < high) for low, high in runs))
    times = or_(false(), *(and_(usage.c.time >= low, usage.c.time < high) for low, high in gaps if low < high))
    parts = union_all(
        grouped(usage_daily, usage_daily.c.day, sums(usage_daily), days),
        grouped(usage, day_of(connection.dialect.name), raw_sums(), times),
    ).subquery()
    names = [parts.c[name] for name in (*asked.group_by, "currency")]
    return select(*names, *sums(parts)).group_by(*names).order_by(*names)


def _runs(days: Sequence[int]) -> list[tuple[int, int]]:
    """Days that follow each other as (first, after the last)."""
    if not days:
        return []
    breaks = [(one + 1, other) for one, other in pairwise(days) if other != one + 1]
    edges = [days[0], *(edge for pair in breaks for edge in pair), days[-1] + 1]
    return [*zip(edges[::2], edges[1::2], strict=True)]


async def requests(store: "Store", asked: Asked) -> AsyncIterator[dict[str, Any]]:
    """The rows of the table `usage`, the oldest first, read page by page. Raises StoreError."""
    wanted = [usage.c[name] == value for name in FILTERS if (value := getattr(asked, name)) is not None]
    after = asked.since, ""
    while True:
        page = select(usage).where(usage.c.time >= after[0], usage.c.time < asked.until, tuple_(usage.c.time, usage.c.id) > after, *wanted)
        async with store.reading() as connection:
            found = (await connection.execute(page.order_by(usage.c.time, usage.c.id).limit(PAGE))).mappings().all()
        for one in found:
            yield dict(one)
        if len(found) < PAGE:
            return
        after = found[-1]["time"], found[-1]["id"]


async def request(store: "Store", request_id: str, team: str | None = None) -> list[dict[str, Any]]:
    """What was written of a request, of that team if one is told: several rows if its client used the id again."""
    wanted = [usage.c.request_id == request_id] + ([usage.c.team == team] if team is not None else [])
    async with store.reading() as connection:
        found = await connection.execute(select(usage).where(*wanted).order_by(usage.c.time).limit(100))
        return [dict(one) for one in found.mappings()]


def iso(day: int) -> str:
    return datetime.fromtimestamp(day * DAY, UTC).date().isoformat()


def amount(nano: int) -> str:
    """12_300_000: `0.0123`."""
    whole, rest = divmod(abs(nano), 10**9)
    text = f"{whole}.{rest:09}".rstrip("0").rstrip(".")
    return "-" + text if nano < 0 else text


FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
"""What makes a spreadsheet take a cell for a formula."""


def csv_line(values: Iterable[Any]) -> str:
    """A line of CSV, with its end. Text that a spreadsheet would execute gets an apostrophe in front."""
    return ",".join(map(_cell, values)) + "\r\n"


def _cell(value: Any) -> str:
    if not isinstance(value, str):
        return "" if value is None else str(value)
    text = "'" + value if value.startswith(FORMULA) else value
    return '"' + text.replace('"', '""') + '"' if any(mark in text for mark in ',"\r\n') else text


def csv_of(report: Report, group_by: Sequence[str]) -> Iterator[str]:
    """A report as lines of CSV, with a column of cost for each currency."""
    names = (*group_by, "requests", *COUNTS[:-1])
    currencies = sorted({currency for row in report.rows for currency in row["cost"]})
    yield csv_line((*names, *(f"cost_{currency}" for currency in currencies)))
    for row in report.rows:
        yield csv_line((*(row[name] for name in names), *(row["cost"].get(currency) for currency in currencies)))
