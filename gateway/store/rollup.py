"""Days that are over are added up once, so that a report of a year does not read every request of it, and requests can be forgotten.

A day is added up when it has been over for an hour. A record of it that comes later still, out of a journal, is added to the sums when it
is inserted. Both run on any replica at any time, and on several at once.
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from sqlalchemy import delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from gateway.accounting.record import UsageRecord
from gateway.store.connect import ROLLUP_LOCK, writing
from gateway.store.rows import COLUMNS, row
from gateway.store.sums import COUNTS, DAY, DIMENSIONS, END_OF_TIME, adding, inserting, raw_sums
from gateway.store.tables import counters, usage, usage_daily, usage_rolled
from providers.base import decode

if TYPE_CHECKING:
    from gateway.store.engine import Store

GRACE = 3600.0
"""Seconds after its end at which a day is added up."""
LATE = GRACE / 2
"""Seconds after which a record may be of a day that has been added up. Half the time is for clocks that differ."""
AT_ONCE = 2000
"""Rows that are deleted in one transaction, so that others who write need not wait long."""


class Kept(Struct, frozen=True):
    """How long usage is kept."""

    requests_days: int = 90
    daily_days: int = 1100


async def roll_up(store: "Store") -> list[int]:
    """Adds up the days that are over; which ones it did. Raises StoreError."""
    until = int((store.now() - GRACE) // DAY)
    async with store.reading() as connection:
        known = set((await connection.execute(select(usage_rolled.c.day))).scalars())
    done = []
    day = await _next(store, 0)
    while day < until:
        if day not in known and await _roll_up(store, day):
            done.append(day)
        day = day + 1 if day + 1 in known else await _next(store, day + 1)
    return done


async def _next(store: "Store", day: int) -> int:
    """The first day with usage, from that one on; the last of all if there is none."""
    async with store.reading() as connection:
        first = (await connection.execute(select(func.min(usage.c.time)).where(usage.c.time >= day * DAY))).scalar()
    return int((END_OF_TIME if first is None else first) // DAY)


async def _roll_up(store: "Store", day: int) -> bool:
    """Reads without keeping anybody from writing, then writes if no record has come meanwhile."""
    dimensions = [usage.c[name] for name in DIMENSIONS]
    of_day = usage.c.time >= day * DAY, usage.c.time < (day + 1) * DAY
    rows = func.count().label("rows")
    while True:
        async with store.reading() as connection:
            found = (await connection.execute(select(*dimensions, *raw_sums(), rows).where(*of_day).group_by(*dimensions))).mappings().all()
        async with store.writing(ROLLUP_LOCK) as connection:
            if (await connection.execute(select(usage_rolled.c.day).where(usage_rolled.c.day == day))).first():
                return False
            counted = (await connection.execute(select(rows).select_from(usage).where(*of_day))).scalar_one()
            if counted == sum(one["rows"] for one in found):
                if found:
                    sums = [{**{name: one[name] for name in one if name != "rows"}, "day": day} for one in found]
                    await connection.execute(insert(usage_daily), sums)
                await connection.execute(insert(usage_rolled).values(day=day))
                return True


async def insert_late(engine: AsyncEngine, records: Sequence[UsageRecord]) -> None:
    """Inserts records that may be of days that have been added up. Raises StoreError."""
    dialect = engine.dialect.name
    async with writing(engine, ROLLUP_LOCK) as connection:
        statement = inserting(dialect, usage).on_conflict_do_nothing(index_elements=["id"]).returning(usage.c.id)
        rows = [dict(zip(COLUMNS, row(record), strict=True)) for record in records]
        new = set((await connection.execute(statement, rows)).scalars())
        days = {int(record.time // DAY) for record in records}
        rolled = set((await connection.execute(select(usage_rolled.c.day).where(usage_rolled.c.day.in_(days)))).scalars())
        sums: dict[tuple[Any, ...], dict[str, Any]] = {}
        for record in records:
            day = int(record.time // DAY)
            if day in rolled and record.id in new:
                new.discard(record.id)  # two of the same id in one batch are one
                dimensions = {"day": day, **{name: getattr(record, name) for name in DIMENSIONS}}
                total = sums.setdefault((*dimensions.values(),), dimensions | dict.fromkeys(("requests", *COUNTS), 0))
                total["requests"] += record.kind != "attempt"
                for name in COUNTS:
                    total[name] += getattr(record, name)
        if sums:
            await connection.execute(adding(dialect, usage_daily, ("requests", *COUNTS)), [*sums.values()])


async def keep_granted(connection: AsyncConnection, rows: Iterable[str]) -> None:
    """What grants have paid for outlives the requests: a grant may last longer than they are kept."""
    told = [{"name": granted_by(grant), "window": "total", "amount": tokens} for grant, tokens in sorted(added(rows).items())]
    if told:
        await connection.execute(adding(connection.dialect.name, counters, ("amount",)), told)


def granted_by(grant: str) -> str:
    """The counter of a grant."""
    return f"grant {grant}"


def added(rows: Iterable[str]) -> dict[str, int]:
    """Tokens by grant, of the column `granted` of several requests."""
    total: dict[str, int] = {}
    for one in rows:
        if one:
            for grant, tokens in decode(one.encode()).items():
                total[grant] = total.get(grant, 0) + tokens
    return total


async def granted(store: "Store", grant: str) -> int:
    """Tokens that a grant has paid for. Raises StoreError."""
    async with store.reading() as connection:
        rows = (await connection.execute(select(usage.c.granted).where(usage.c.granted.not_in(["", "{}"])))).scalars()
        kept = select(counters.c.amount).where(counters.c.name == granted_by(grant), counters.c.window == "total")
        return added(rows).get(grant, 0) + ((await connection.execute(kept)).scalar() or 0)


async def forget(store: "Store", kept: Kept) -> int:
    """Deletes requests that are old enough and in the sums of their day, and sums that are old enough; how many requests. Raises
    StoreError."""
    today = int(store.now() // DAY)
    async with store.writing(ROLLUP_LOCK) as connection:
        await connection.execute(delete(usage_daily).where(usage_daily.c.day < today - kept.daily_days))
    async with store.reading() as connection:
        old = usage_rolled.c.day < today - kept.requests_days
        days = (await connection.execute(select(usage_rolled.c.day).where(old).order_by(usage_rolled.c.day))).scalars().all()
        first = (await connection.execute(select(func.min(usage.c.time)))).scalar()
    deleted = 0
    for day in days:
        if first is None or day < first // DAY:
            continue
        some = select(usage.c.id).where(usage.c.time >= day * DAY, usage.c.time < (day + 1) * DAY).limit(AT_ONCE)
        while True:
            async with store.writing() as connection:
                gone = (await connection.execute(delete(usage).where(usage.c.id.in_(some)).returning(usage.c.granted))).scalars().all()
                await keep_granted(connection, gone)
            deleted += len(gone)
            if len(gone) < AT_ONCE:
                break
    return deleted
