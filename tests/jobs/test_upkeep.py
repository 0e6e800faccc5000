"""What is done by itself, on real databases and by the engine."""

import asyncio
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from gateway.accounting.books import Books
from gateway.accounting.grants import Drawn, Grant
from gateway.jobs.base import Run
from gateway.jobs.engine import Jobs
from gateway.jobs.upkeep import upkeep
from gateway.state.memory import Memory
from gateway.store.engine import Store
from gateway.store.replies import KEPT, KeptReplies
from gateway.store.tables import usage, usage_daily
from tests.jobs.test_engine import over
from tests.store.stores import DAY, NOON, Clock, opened, record

GIFT = Grant("gift", "zhipu", 1_000_000, NOON + 30 * DAY)


async def billed() -> Mapping[str, int]:
    return {"gift": 700}


async def run(store: Store, books: Books, *names: str) -> list[Run]:
    jobs = Jobs(store, upkeep(store, books, keep=7 * DAY, billed=billed), later=0, every=0.1)
    await jobs.open()
    try:
        await jobs.ready()
        found = []
        for name in names:
            await jobs.start(name, id=f"by hand: {name}")
            found.append(await over(jobs, f"by hand: {name}"))
        return found
    finally:
        await jobs.close()


async def count(store: Store, table: Any) -> int:
    async with store.reading() as connection:
        return (await connection.execute(select(func.count()).select_from(table))).scalar_one()


def test_days_are_added_up_old_requests_forgotten_and_answers_that_are_out_of_date_too(url: str, journal: Path) -> None:
    clock = Clock(NOON)

    async def main() -> tuple[list[Run], int, int]:
        async with opened(url, journal, now=clock) as store:
            for ago in (0, 1, 6, 9):
                clock.now = NOON - ago * DAY
                assert await store.writer.write(record(clock.now, prompt_tokens=1)) == "database"
            clock.now = NOON
            replies = KeptReplies(store)
            await replies.claim("old", "digest", "owner")
            await replies.keep("old", "owner", 200, b"{}")
            clock.now = NOON + 1
            await replies.claim("new", "digest", "owner")
            await replies.keep("new", "owner", 200, b"{}")
            clock.now = NOON + KEPT + 0.5

            done = await run(store, Books(Memory()), "usage", "replies")
            return done, await count(store, usage), await count(store, usage_daily)

    done, requests, days = asyncio.run(main())

    today = int((NOON + KEPT) // DAY)
    assert [one.state for one in done] == ["done", "done"]
    assert done[0].result == {"days": [today - 10, today - 7, today - 2, today - 1], "forgotten": 1}
    assert done[1].result == 1
    assert (requests, days) == (3, 4)


def test_grants_are_looked_at_and_compared_with_the_bill(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> list[Run]:
        async with opened(f"sqlite:///{tmp_path}/banjia.db", tmp_path / "pending") as store:
            books = Books(Memory(now=Clock()), now=Clock())
            await books.open()
            books.grants.configure([GIFT])
            drawn = await books.grants.draw("zhipu", "glm-5", prompt=400, completion=200, until=NOON + 60)
            assert isinstance(drawn, Drawn)
            books.grants.settle(drawn, books.grants.paid(drawn, prompt=400, completion=100))
            try:
                return await run(store, books, "grants", "bills")
            finally:
                await books.close()

    with caplog.at_level(logging.WARNING):
        looked, compared = asyncio.run(main())

    assert looked.result == {"gift": 500}
    assert compared.result == {"gift": 200}
    assert "grant gift: the vendor has counted 700 tokens, we have 500" in caplog.text
