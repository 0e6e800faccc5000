"""The audit log: an unbroken chain whoever writes it, and one changed byte is found."""

import asyncio
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import delete, update

from gateway.store import audit, counters
from gateway.store.audit import FIRST, Verified
from gateway.store.engine import Store
from gateway.store.tables import audit as table
from tests.store.stores import NOON, Clock, opened


async def some(store: Store, count: int = 5) -> None:
    for number in range(count):
        await audit.append(store, "admin", "keys.create", f"key_{number}", {"team": "red", "number": number})


def test_entries_of_several_replicas_at_once_are_one_chain(url: str, journal: Path) -> None:
    async def main() -> None:
        async with opened(url, journal, now=Clock()) as one, opened(url, journal, now=Clock()) as other:
            await asyncio.gather(*(some(store, 10) for store in (one, other, one, other)))

            found = await audit.entries(one)
            assert [entry.number for entry in found] == [*range(1, 41)]
            assert len({entry.hash for entry in found}) == 40
            assert await audit.verify(other) == Verified(40, found[-1].hash)
            assert await audit.entries(one, after=38) == found[38:]

    asyncio.run(main())


def test_an_empty_log_is_whole(url: str, journal: Path) -> None:
    async def main() -> None:
        async with opened(url, journal) as store:
            assert await audit.verify(store) == Verified(0, FIRST)
            assert await audit.verify(store, head=FIRST) == Verified(0, FIRST)

    asyncio.run(main())


CHANGES = [
    {"time": 1_800_014_400.000001},
    {"actor": "Admin"},
    {"action": "keys.creatf"},
    {"target": "key_9"},
    {"detail": '{"team":"red","number":7}'},
    {"hash": "0" * 64},
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: next(iter(change)))
@pytest.mark.parametrize("number", [1, 3, 5])
def test_a_changed_entry_is_found(url: str, journal: Path, number: int, change: dict[str, object]) -> None:
    async def main() -> None:
        async with opened(url, journal) as store:
            await some(store)
            async with store.writing() as connection:
                await connection.execute(update(table).where(table.c.number == number).values(**change))

            found = await audit.verify(store)
            assert (found.entries, found.broken, found.why) == (number - 1, number, "it is not what was written")

    asyncio.run(main())


def test_every_changed_byte_of_an_entry_in_the_file_is_found(tmp_path: Path, journal: Path) -> None:
    """Each byte in turn of the text and the time of an entry, as the file of SQLite holds them."""
    path = tmp_path / "banjia.db"

    async def main() -> None:
        async with opened(f"sqlite:///{path}", journal, now=Clock(NOON + 0.123)) as store:
            await some(store, 3)
            with sqlite3.connect(path) as direct:
                direct.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            direct.close()
            data = path.read_bytes()
            entry = b"adminkeys.createkey_1" + b'{"team":"red","number":1}'
            start = data.index(entry) - 8  # the time stands before it
            assert data.count(entry) == 1
            length = len(entry) + 8 + 64
        for place in range(start, start + length):
            bit = 0x80 if place % 2 else 0x01  # the former makes of text what is none
            path.write_bytes(data[:place] + bytes([data[place] ^ bit]) + data[place + 1 :])
            async with opened(f"sqlite:///{path}", journal) as store:
                assert (await audit.verify(store)).broken == 2, place - start

    asyncio.run(main())


def test_a_missing_entry_is_found_and_with_an_earlier_head_a_missing_end(url: str, journal: Path) -> None:
    async def main() -> None:
        async with opened(url, journal) as store:
            await some(store)
            whole = await audit.verify(store)
            await some(store, 1)
            assert (await audit.verify(store, head=whole.head)).broken == 0

            async with store.writing() as connection:
                await connection.execute(delete(table).where(table.c.number >= 5))
            assert (await audit.verify(store)).broken == 0
            cut = await audit.verify(store, head=whole.head)
            assert (cut.broken, cut.why) == (5, "the log ends before the entry that it had at an earlier time")

            async with store.writing() as connection:
                await connection.execute(delete(table).where(table.c.number == 2))
            assert (await audit.verify(store)).why == "it is missing"

    asyncio.run(main())


def test_what_is_written_is_what_was_said(url: str, journal: Path) -> None:
    async def main() -> None:
        async with opened(url, journal) as store:
            entry = await audit.append(store, "李 \0 \ud800", "'; --", "%_\\", {"a": "\0"})
            assert await audit.entries(store) == [entry]
            assert (entry.actor, entry.action, entry.target, entry.detail) == ("李 \ufffd ?", "'; --", "%_\\", '{"a":"\\u0000"}')
            assert (await audit.verify(store)).broken == 0

    asyncio.run(main())


def test_counters_of_several_replicas_add_up(url: str, journal: Path) -> None:
    async def main() -> None:
        async with opened(url, journal) as one, opened(url, journal) as other:
            spent = [("budget:red", "2026-11"), ("budget:blue", "2026-11")]
            await asyncio.gather(
                *(counters.add(store, {spent[number % 2]: 2, spent[1 - number % 2]: 3}) for number in range(10) for store in (one, other))
            )
            await counters.add(one, {("grant:a", ""): -(2**62)})
            await counters.add(one, {})

            assert await counters.amounts(other, [*spent, ("none", "")]) == {spent[0]: 50, spent[1]: 50}
            assert await counters.amounts(other, [("grant:a", "")]) == {("grant:a", ""): -(2**62)}
            await counters.drop(one, *spent[0])
            assert await counters.amounts(other, spent) == {spent[1]: 50}

    asyncio.run(main())
