"""A million requests: what `banjia usage` asks for is there at once, and what is kept of them stays small."""

import asyncio
import time
from collections.abc import Awaitable
from pathlib import Path
from typing import TypeVar

from sqlalchemy import func, select

from gateway.store.rollup import Kept, forget, roll_up
from gateway.store.tables import usage, usage_daily
from gateway.store.usage import Asked, report
from tests.store.million import DAYS, fill
from tests.store.stores import NOON, opened

T = TypeVar("T")
WITHIN = 2.0
"""Seconds that a report may take."""


async def timed(work: Awaitable[T]) -> tuple[T, float]:
    began = time.perf_counter()
    return await work, time.perf_counter() - began


def test_a_report_of_a_million_requests_takes_two_seconds_at_most(url: str, journal: Path) -> None:
    async def main() -> None:
        async with opened(url, journal) as store:
            await fill(store, NOON)
            await roll_up(store)

            found, seconds = await timed(report(store, Asked(group_by=("team", "day"))))

            assert seconds < WITHIN
            assert sum(row["requests"] for row in found.rows) == 1_000_000
            assert len(found.rows) == 10 * (DAYS + 1)
            assert {row["cost"]["CNY"] for row in found.rows if row["day"] == "2027-01-10"} <= {"2.5", "2.501"}

            forgotten = await forget(store, Kept(requests_days=30, daily_days=1100))
            async with store.reading() as connection:
                kept = (await connection.execute(select(func.count()).select_from(usage))).scalar_one()
                sums = (await connection.execute(select(func.count()).select_from(usage_daily))).scalar_one()
            again, _ = await timed(report(store, Asked(group_by=("team", "day"))))
            assert forgotten + kept == 1_000_000
            assert forgotten > 200_000
            assert sums < 10 * 30 * 7 * (DAYS + 1)
            assert again == found

    asyncio.run(main())
