"""The writer: what it says is kept is in the database in the end, once and in order, whatever the database and the disk do."""

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from gateway.accounting.record import UsageRecord
from gateway.store.engine import Store
from gateway.store.errors import StoreLost
from gateway.store.journal import Journal
from gateway.store.usage import Asked, requests
from gateway.store.writer import Writer
from tests.store.stores import Clock, ids, opened, record, records, until, written


def test_what_comes_together_is_written_together_and_in_order(url: str, journal: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    transactions: list[int] = []

    async def main() -> None:
        async with opened(url, journal) as store:
            insert = store.insert

            async def counted(some: Sequence[UsageRecord]) -> None:
                transactions.append(len(some))
                await insert(some)

            monkeypatch.setattr(store, "insert", counted)

            assert set(await asyncio.gather(*map(store.writer.write, records(300)))) == {"database"}

            assert await written(store) == [*range(300)]
            assert (store.degraded, store.writer.pending, store.writer.lost) == ("", 0, 0)

    asyncio.run(main())
    assert sum(transactions) == 300
    assert len(transactions) <= 2


def test_a_record_comes_out_as_it_went_in(url: str, journal: Path) -> None:
    one = UsageRecord(
        "id", 1_800_000_000.123456, "red", "main", "李", "zhipu", "gpt-4o", "glm-5.2", "failed_over", "CNY", 1, 2, 3, 4, 2**62, True, 0.5,
        "chat", "cn-mainland", 200, 2, "2026-11-02", 1.5, 2.5, 0.25, "stop", "req_1", "a=b", '{"x":1}', {"g": 7}, {"a": "b"},
    )  # fmt: skip

    async def main() -> list[dict[str, object]]:
        async with opened(url, journal) as store:
            await store.writer.write(one)
            return [found async for found in requests(store, Asked())]

    (found,) = asyncio.run(main())
    assert found == {
        **{name: getattr(one, name) for name in one.__struct_fields__},
        "granted": '{"g":7}',
        "tags": '{"a":"b"}',
    }


def test_a_record_that_comes_again_is_one(url: str, journal: Path) -> None:
    same = [record(id="a", prompt_tokens=1), record(id="b", prompt_tokens=2), record(id="a", prompt_tokens=3)]

    async def main() -> None:
        async with opened(url, journal) as store:
            for _ in range(2):
                assert [await kept for kept in [store.writer.write(one) for one in same]] == ["database"] * 3
            assert await written(store) == [1, 2]

    asyncio.run(main())


def test_who_no_longer_waits_harms_nobody_and_is_written_all_the_same(url: str, journal: Path) -> None:
    async def wait(store: Store, one: UsageRecord) -> str:
        return await store.writer.write(one)

    async def main() -> None:
        async with opened(url, journal) as store:
            tasks = [asyncio.create_task(wait(store, one)) for one in records(20)]
            await asyncio.sleep(0)
            for task in tasks[::2]:
                task.cancel()
            for task in tasks[::2]:
                with suppress(asyncio.CancelledError):
                    await task
            assert [await task for task in tasks[1::2]] == ["database"] * 10
            await store.writer.write(record(prompt_tokens=20))
            assert await written(store) == [*range(21)]

    asyncio.run(main())


def test_a_record_that_no_database_takes_is_mended_and_the_others_are_not_held_up(url: str, journal: Path) -> None:
    some = [
        record(id="a", user="x"),
        record(id="b", user="nul \0", cost=2**70),
        record(id="c", user="half a pair \ud800", total_ms=float("nan")),
        record(id="d", prompt_tokens="many"),
        record(id="e"),
    ]

    async def main() -> None:
        async with opened(url, journal) as store:
            assert set(await asyncio.gather(*map(store.writer.write, some))) == {"database"}
            assert store.degraded == ""
            found = await ids(store)
            if store.location.dialect == "postgresql":  # SQLite takes any value in any column
                assert (found, store.writer.lost) == (["a", "b", "c", "e"], 1)
            else:
                assert (found, store.writer.lost) == (["a", "b", "c", "d", "e"], 0)

    asyncio.run(main())


def test_what_is_left_in_the_journal_is_written_by_the_next_start(url: str, journal: Path) -> None:
    async def main() -> None:
        store = Store(url, journal, now=Clock())
        await store.open()
        store.writer.degraded = "for the test"
        kept = [store.writer.write(one) for one in records(30)]
        assert {await one for one in kept} == {"journal"}
        await store.close()
        assert len(os.listdir(journal)) == 1

        async with opened(url, journal) as store:
            await until(lambda: not store.degraded)
            assert await store.writer.write(record(prompt_tokens=30)) == "database"
            assert await written(store) == [*range(31)]

    asyncio.run(main())
    assert [*journal.iterdir()] == []


class Scripted:
    """A database that does what the test says."""

    def __init__(self) -> None:
        self.does: Callable[[], None] | float = 0.0
        """Raises, or takes so many seconds."""
        self.taken: list[int] = []
        self.forgotten = 0

    async def prepare(self) -> None:
        await self._do()

    async def insert(self, some: Sequence[UsageRecord]) -> None:
        await self._do()
        self.taken += [one.prompt_tokens for one in some]

    async def _do(self) -> None:
        if callable(self.does):
            self.does()
        else:
            await asyncio.sleep(self.does)

    def forget(self) -> None:
        self.forgotten += 1


def gone() -> None:
    raise StoreLost("gone")


async def made(database: Scripted, journal: Path, most: int = 100_000, patience: float = 5.0) -> Writer:
    writer = Writer(database, Journal(journal), most=most, patience=patience, spacing=0)
    await writer.open()
    return writer


def test_when_as_many_wait_as_may_the_oldest_are_kept_and_the_new_ones_counted_as_lost(
    journal: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        database = Scripted()
        database.does = gone
        writer = await made(database, journal, most=10)

        first = [await kept for kept in [writer.write(one) for one in records(7)]]
        rest = [await kept for kept in [writer.write(one) for one in records(13)[7:]]]

        assert first == ["journal"] * 7
        assert rest == ["journal"] * 3 + ["lost"] * 3
        assert (writer.pending, writer.lost, writer.degraded) == (10, 3, "gone")
        with pytest.raises(StoreLost, match="gone"):
            await writer.write_required(record())

        database.does = 0.0
        await until(lambda: not writer.degraded)
        assert database.taken == [*range(10)]
        await writer.close()

    asyncio.run(main())
    assert "as many as may" in caplog.text


def test_when_the_disk_fails_too_records_wait_in_memory_and_go_to_the_disk_when_it_works_again(tmp_path: Path) -> None:
    folder = tmp_path / "in the way"
    folder.write_text("")

    async def main() -> None:
        database = Scripted()
        database.does = gone
        writer = await made(database, folder)
        assert {await kept for kept in [writer.write(one) for one in records(5)]} == {"memory"}
        assert writer.pending == 5

        folder.unlink()
        assert await writer.write(records(6)[5]) == "memory"  # the disk is not tried each time
        writer._disk_at = 0.0
        assert {await kept for kept in [writer.write(one) for one in records(9)[6:]]} == {"journal"}
        assert writer.pending == 9

        database.does = 0.0
        await until(lambda: not writer.degraded)
        assert database.taken == [*range(9)]
        await writer.close()

    asyncio.run(main())


def test_what_waits_in_memory_is_written_when_the_database_is_back_and_the_disk_is_not(tmp_path: Path) -> None:
    folder = tmp_path / "in the way"
    folder.write_text("")

    async def main() -> None:
        database = Scripted()
        database.does = gone
        writer = await made(database, folder)
        assert {await kept for kept in [writer.write(one) for one in records(1200)]} == {"memory"}

        database.does = 0.0
        await until(lambda: not writer.degraded)
        assert database.taken == [*range(1200)]
        assert writer.lost == 0
        await writer.close()

    asyncio.run(main())


def test_a_slow_database_is_waited_for_once_and_returned_to_when_it_is_quick(journal: Path) -> None:
    async def main() -> None:
        database = Scripted()
        database.does = 1.2
        writer = await made(database, journal, patience=0.5)
        loop = asyncio.get_running_loop()

        began = loop.time()
        assert await writer.write(record(prompt_tokens=0)) in ("journal", "memory")
        waited = loop.time() - began
        for number in range(1, 6):
            assert await writer.write(record(prompt_tokens=number)) in ("journal", "memory")
        rest = loop.time() - began - waited

        assert 0.5 <= waited < 2
        assert rest < 5 * 0.5
        assert database.forgotten == 1
        assert "no answer for 0.5 s" in writer.degraded
        await until(lambda: writer.pending == 0)
        assert writer.degraded  # it has taken them, but is still slow
        database.does = 0.0
        await until(lambda: not writer.degraded)
        assert database.taken == [*range(6)]
        assert await writer.write(record(prompt_tokens=6)) == "database"
        await writer.close()

    asyncio.run(main())


def test_an_error_that_nobody_foresaw_costs_no_record(journal: Path, caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> None:
        raise KeyError("a mistake")

    async def main() -> None:
        database = Scripted()
        database.does = broken
        writer = await made(database, journal)
        assert await writer.write(record(prompt_tokens=1)) == "journal"
        await until(lambda: caplog.text.count("could not be written") > 1)
        database.does = 0.0
        await until(lambda: not writer.degraded)
        assert database.taken == [1]
        await writer.close()
        assert await writer.write(record()) == "lost"

    asyncio.run(main())


@pytest.mark.parametrize("busy", [True, False])
def test_only_a_busy_loop_has_records_wait_for_company(journal: Path, monkeypatch: pytest.MonkeyPatch, busy: bool) -> None:
    monkeypatch.setattr("gateway.store.writer.thread_time", time.monotonic if busy else lambda: 0.0)

    async def seconds(spacing: float) -> float:
        writer = Writer(Scripted(), Journal(journal), spacing=spacing)
        await writer.open()
        began = time.monotonic()
        for _ in range(3):
            await asyncio.gather(*[writer.write(one) for one in records(8)])
        took = time.monotonic() - began
        await writer.close()
        return took

    if busy:
        assert asyncio.run(seconds(0.1)) >= 2 * 0.1
    else:
        assert asyncio.run(seconds(5.0)) < 5.0
