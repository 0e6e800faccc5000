"""What teams keep: objects with ids, in real databases."""

import asyncio
from pathlib import Path

import pytest

from gateway.objects import Object, Taken, changed
from gateway.store.objects import StoredObjects, forget
from providers.base import Json
from tests.store.stores import NOON, Clock, opened


def made(id: str, kind: str = "file", team: str = "red", **fields: object) -> Object:
    return Object(id, kind, team, {"name": id}, NOON, **fields)  # type: ignore[arg-type]


def test_an_object_is_found_by_its_team_alone(url: str, journal: Path) -> None:
    async def main() -> None:
        async with opened(url, journal) as store:
            objects = StoredObjects(store)
            await objects.create(made("a"), made("a", kind="batch"))
            found = await objects.get("file", "red", "a")
            assert found is not None
            assert (found.body, found.kind, found.revision) == ({"name": "a"}, "file", 0)
            for kind, team, id in (("file", "blue", "a"), ("response", "red", "a"), ("file", "red", "A"), ("file", "red", "a\0")):
                assert await objects.get(kind, team, id) is None
            assert not await objects.delete("file", "blue", "a")
            assert await objects.delete("file", "red", "a")
            assert await objects.get("file", "red", "a") is None
            assert await objects.get("batch", "red", "a") is not None

    asyncio.run(main())


def test_of_several_objects_all_are_made_or_none(url: str, journal: Path) -> None:
    async def main() -> None:
        async with opened(url, journal) as store:
            objects = StoredObjects(store)
            await objects.create(made("a"))
            with pytest.raises(Taken):
                await objects.create(made("b"), made("a"))
            assert await objects.get("file", "red", "b") is None

    asyncio.run(main())


def test_of_many_who_change_an_object_at_once_nobody_is_lost(url: str, tmp_path: Path) -> None:
    def more(body: Json) -> Json:
        return {"count": body.get("count", 0) + 1}

    async def main() -> None:
        async with opened(url, tmp_path / "a") as one, opened(url, tmp_path / "b") as two:
            await StoredObjects(one).create(made("a"))
            replicas = [StoredObjects(one), StoredObjects(two)]
            await asyncio.gather(*(changed(replicas[number % 2], "file", "red", "a", more) for number in range(10)))
            found = await replicas[0].get("file", "red", "a")
            assert found is not None
            assert (found.body, found.revision) == ({"count": 10}, 10)
            assert await changed(replicas[0], "file", "red", "gone", more) is None

    asyncio.run(main())


def test_a_list_is_read_page_by_page_in_both_directions(url: str, journal: Path) -> None:
    async def main() -> None:
        async with opened(url, journal) as store:
            objects = StoredObjects(store)
            await objects.create(*(made(f"f{number}", tag="odd" if number % 2 else "even") for number in range(7)))
            await objects.create(made("other", team="blue"), made("child", parent="f1"))

            async def ids(**asked: object) -> tuple[list[str], bool]:
                page = await objects.list("file", "red", **asked)  # type: ignore[arg-type]
                return [one.id for one in page.objects], page.more

            assert await ids(limit=3, parent="") == (["f6", "f5", "f4"], True)
            assert await ids(limit=4, after="f4", parent="") == (["f3", "f2", "f1", "f0"], False)
            assert await ids(before="f4", parent="") == (["f6", "f5"], False)
            assert await ids(newest_first=False, after="f4", parent="") == (["f5", "f6"], False)
            assert await ids(newest_first=False, before="f1", parent="") == (["f0"], False)
            assert await ids(tag="odd") == (["f5", "f3", "f1"], False)
            assert await ids(parent="f1") == (["child"], False)
            assert await ids(after="nobody") == ([], False)
            assert [one.team for one in (await objects.list("file", None)).objects].count("blue") == 1

    asyncio.run(main())


def test_what_ends_ends_with_all_that_goes_with_it(url: str, journal: Path) -> None:
    async def main() -> None:
        clock = Clock()
        async with opened(url, journal, now=clock) as store:
            objects = StoredObjects(store)
            await objects.create(made("short", until=NOON + 10), made("part", parent="short"), made("long"))
            clock.now += 9
            assert await objects.get("file", "red", "short") is not None
            assert await forget(store) == 0
            clock.now += 1
            assert await objects.get("file", "red", "short") is None
            assert [one.id for one in (await objects.list("file", "red")).objects] == ["long", "part"]
            assert await forget(store) == 1
            assert [one.id for one in (await objects.list("file", "red")).objects] == ["long"]
            old = await objects.get("file", "red", "long")
            assert old is not None
            assert await objects.delete("file", "red", "long")
            assert await objects.change(old, {}) is None

    asyncio.run(main())
