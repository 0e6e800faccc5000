"""Objects that are written at once share transactions, and know nothing of each other."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.objects import Object, Taken
from gateway.store.engine import Store
from gateway.store.errors import StoreLost
from gateway.store.objects import StoredObjects
from gateway.store.tables import objects as table
from tests.store.stores import NOON, Clock


class Counted(Store):
    """Tells how many transactions have been begun."""

    begun = 0

    def writing(self, lock: int = 0) -> AbstractAsyncContextManager[AsyncConnection]:
        self.begun += 1
        return super().writing(lock)


def made(id: str, name: str = "") -> Object:
    return Object(id, "file", "red", {"name": name or id}, NOON)


@asynccontextmanager
async def opened(url: str, journal: Path) -> AsyncIterator[tuple[Counted, StoredObjects]]:
    store = Counted(url, journal, now=Clock())
    await store.open()
    try:
        yield store, StoredObjects(store)
    finally:
        await store.close()


async def outcomes(*works: Awaitable[Any]) -> list[Any]:
    return await asyncio.gather(*works, return_exceptions=True)


def test_who_writes_at_once_shares_transactions(url: str, journal: Path) -> None:
    async def main() -> None:
        async with opened(url, journal) as (store, objects):
            there = [one for [one] in await asyncio.gather(*(objects.create(made(f"f{number}")) for number in range(64)))]
            first = store.begun
            await asyncio.gather(*(objects.change(one, {"name": "new"}) for one in there))

            assert (first, store.begun - first) == (1, 1)
            assert await objects.count("file", "red") == 64
            found = [await objects.get("file", "red", f"f{number}") for number in (0, 63)]
            assert [one.body for one in found if one] == [{"name": "new"}] * 2

    asyncio.run(main())


def test_what_is_there_already_is_refused_to_who_made_it_again_alone(url: str, journal: Path) -> None:
    async def main() -> None:
        async with opened(url, journal) as (_, objects):
            [old] = await objects.create(made("old"))
            told = await outcomes(
                objects.create(made("a"), made("b")),
                objects.create(made("c"), made("old", "another")),
                objects.change(old, {"name": "changed"}),
                objects.create(made("d")),
                objects.create(made("e"), made("e")),
            )

            assert [type(one) for one in told] == [list, Taken, Object, list, Taken]
            assert (str(told[1]), str(told[4])) == ("old", "e")
            there = {id for id in ("a", "b", "c", "d", "e", "old") if await objects.get("file", "red", id)}
            assert there == {"a", "b", "d", "old"}
            assert (await objects.get("file", "red", "old") or old).body == {"name": "changed"}

    asyncio.run(main())


def test_of_two_who_make_the_same_at_once_one_has_made_it(url: str, journal: Path) -> None:
    async def main() -> None:
        async with opened(url, journal) as (_, objects):
            told = await outcomes(*(objects.create(made("a", str(number))) for number in range(3)))

            assert [type(one) for one in told] == [list, Taken, Taken]
            assert (await objects.get("file", "red", "a") or made("a")).body == {"name": "0"}

    asyncio.run(main())


def test_who_is_cancelled_takes_nobody_along(url: str, journal: Path) -> None:
    async def main() -> None:
        async with opened(url, journal) as (_, objects):
            works = [asyncio.ensure_future(objects.create(made(f"f{number}"))) for number in range(3)]
            await asyncio.sleep(0)
            works[0].cancel()
            told = await outcomes(*works)

            assert [type(one) for one in told] == [asyncio.CancelledError, list, list]
            assert await objects.get("file", "red", "f2") is not None

    asyncio.run(main())


def test_all_are_told_that_the_database_is_lost_and_the_next_are_written_again(url: str, journal: Path) -> None:
    async def main() -> None:
        async with opened(url, journal) as (store, objects):
            async with store.writing() as connection:
                await connection.run_sync(table.drop)
            told = await outcomes(*(objects.create(made(f"f{number}")) for number in range(3)))
            async with store.writing() as connection:
                await connection.run_sync(table.create)

            assert [type(one) for one in told] == [StoreLost] * 3
            await objects.create(made("f0"))

    asyncio.run(main())


def test_what_the_database_does_not_take_harms_none_beside_it(url: str, journal: Path) -> None:
    async def main() -> None:
        async with opened(url, journal) as (_, objects):
            odd = Object("odd", "file", None, {}, NOON)  # type: ignore[arg-type]  # a team has to be there
            told = await outcomes(objects.create(made("a")), objects.create(odd), objects.create(made("b")))

            assert [isinstance(one, list) for one in told] == [True, False, True]
            with pytest.raises(type(told[1])):
                await objects.create(odd)
            assert await objects.count("file", "red") == 2

    asyncio.run(main())
