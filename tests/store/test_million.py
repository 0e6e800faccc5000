"""A million requests: what `banjia usage` asks for is there at once, and what is kept of them stays small."""

import asyncio
import time
from collections.abc import Awaitable
from pathlib import Path
from typing import TypeVar

from sqlalchemy import func, select, text

from gateway.store.engine import Store
from gateway.store.rollup import Kept, forget, roll_up
from gateway.store.tables import usage, usage_daily
from gateway.store.usage import Asked, report
from tests.store.stores import DAY, NOON, opened

T = TypeVar("T")
DAYS = 40
WITHIN = 2.0
"""Seconds that a report may take."""
NUMBERS = {
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n LIMIT 1000000)",
    "postgresql": "WITH n(i) AS (SELECT generate_series(0, 999999))",
}
REST = """
INSERT INTO usage (id, time, team, key, "user", account, model, served_model, kind, currency, prompt_tokens, cached_tokens,
    completion_tokens, reasoning_tokens, cost, estimated, started, endpoint, jurisdiction, status, attempts, price_as_of, first_token_ms,
    total_ms, overhead_ms, finish, request_id, changes, decision, granted, tags)
{numbers}
SELECT 'id' || i, :first + i * CAST(:step AS DOUBLE PRECISION), 'team' || (i % 10), 'key' || (i % 30), '', 'zhipu',
    'gpt-' || (i % 7), 'glm-5.2', 'ok', 'CNY', 100, 0, 50, 0, 1000000, false, :first, 'chat', 'cn-mainland', 200, 1, '2026-11-01',
    1, 2, 1, 'stop', 'req_' || i, '', :decision, '', ''
FROM n
"""


async def fill(store: Store) -> None:
    """Requests of ten teams over the last days, made by the database itself."""
    statement = text(REST.format(numbers=NUMBERS[store.location.dialect]))
    async with store.writing() as connection:
        values = {"first": NOON - DAYS * DAY, "step": (DAYS * DAY - 60) / 1_000_000, "decision": '{"config":"c","hops":["a/b"]}' * 4}
        await connection.execute(statement, values)


async def timed(work: Awaitable[T]) -> tuple[T, float]:
    began = time.perf_counter()
    return await work, time.perf_counter() - began


def test_a_report_of_a_million_requests_takes_two_seconds_at_most(url: str, journal: Path) -> None:
    async def main() -> None:
        async with opened(url, journal) as store:
            await fill(store)
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
