"""Keys: shown once, stored as digests, and found by every replica."""

import asyncio
import hashlib
import re
from pathlib import Path

import pytest

from gateway.store import keys
from gateway.store.engine import Store
from gateway.store.keys import NameTaken, StoredKey
from tests.store.stores import NOON, Clock, opened


async def found(store: Store) -> dict[str, StoredKey]:
    """Keys by digest."""
    return (await keys.by_digest(store))[1]


def test_a_key_is_shown_once_and_only_its_digest_is_stored(url: str, journal: Path, tmp_path: Path) -> None:
    async def main() -> str:
        async with opened(url, journal) as store:
            made, secret = await keys.create(store, "red", "main", "hk")

            assert re.fullmatch(r"sk-[A-Za-z0-9_-]{43}", secret)
            assert made == StoredKey(made.id, "red", "main", "hk", NOON)
            assert await keys.all_of(store) == [made]
            assert await found(store) == {hashlib.sha256(secret.encode()).hexdigest(): made}
            assert keys.digest_of(secret) in await found(store)
            return secret

    secret = asyncio.run(main())
    for file in tmp_path.glob("banjia.db*"):
        assert secret.encode() not in file.read_bytes()
        assert secret[3:20].encode() not in file.read_bytes()


def test_a_revoked_key_no_longer_holds_and_its_name_is_free(url: str, journal: Path) -> None:
    clock = Clock()

    async def main() -> None:
        async with opened(url, journal, now=clock) as store:
            made, _ = await keys.create(store, "red", "main")
            with pytest.raises(NameTaken, match="team `red` has a key `main`: revoke it first"):
                await keys.create(store, "red", "main")
            await keys.create(store, "blue", "main")

            clock.now += 5
            revoked = await keys.revoke(store, made.id)
            assert revoked is not None
            assert revoked.revoked == NOON + 5
            assert revoked.holds(NOON + 4)
            assert not revoked.holds(NOON + 5)
            clock.now += 5
            assert await keys.revoke(store, made.id) == revoked  # not again
            assert [one.team for one in (await found(store)).values()] == ["blue"]
            await keys.create(store, "red", "main")

    asyncio.run(main())


def test_a_rotated_key_holds_for_a_while_longer(url: str, journal: Path) -> None:
    clock = Clock()

    async def main() -> None:
        async with opened(url, journal, now=clock) as store:
            made, old_secret = await keys.create(store, "red", "main", "hk")
            rotated = await keys.rotate(store, made.id, grace=60)
            assert rotated is not None
            successor, secret = rotated

            old, new = await keys.all_of(store, "red")
            if old.id != made.id:
                old, new = new, old
            assert (old.rotated, old.revoked, old.successor) == (NOON, NOON + 60, successor.id)
            assert new == successor
            assert (new.team, new.name, new.jurisdiction) == ("red", "main", "hk")
            assert set(await found(store)) == {keys.digest_of(old_secret), keys.digest_of(secret)}
            clock.now += 60
            assert set(await found(store)) == {keys.digest_of(secret)}
            assert await keys.rotate(store, made.id) is None  # it holds no longer

            again = await keys.rotate(store, successor.id)
            assert again is not None
            assert set(await found(store)) == {keys.digest_of(again[1])}

    asyncio.run(main())


def test_a_key_of_another_team_is_as_one_that_is_not(url: str, journal: Path) -> None:
    async def main() -> None:
        async with opened(url, journal) as store:
            made, _ = await keys.create(store, "red", "main")

            assert await keys.revoke(store, made.id, team="blue") is None
            assert await keys.rotate(store, made.id, team="blue") is None
            assert await keys.revoke(store, "key_none") is None
            assert await keys.all_of(store, "blue") == []
            assert await keys.all_of(store, "' OR 1=1 --") == []

            assert await keys.all_of(store, "red") == [made]
            assert await keys.revoke(store, made.id, team="red") is not None

    asyncio.run(main())


def test_each_change_is_seen_by_others_in_the_revision(url: str, journal: Path) -> None:
    async def main() -> None:
        async with opened(url, journal) as one, opened(url, journal) as other:
            seen = [await keys.revision(other)]
            made, _ = await keys.create(one, "red", "main")
            seen.append(await keys.revision(other))
            rotated = await keys.rotate(one, made.id)
            assert rotated is not None
            seen.append(await keys.revision(other))
            await keys.revoke(one, rotated[0].id)
            seen.append(await keys.revision(other))

            assert seen == [0, 1, 2, 3]
            assert (await keys.by_digest(other))[0] == 3

    asyncio.run(main())


def test_of_many_who_ask_for_the_same_name_at_once_one_gets_it(url: str, journal: Path) -> None:
    async def main() -> None:
        async with opened(url, journal) as one, opened(url, journal) as other:
            tries = [keys.create(store, "red", "main") for store in (one, other) * 4]
            done = await asyncio.gather(*tries, return_exceptions=True)
            assert sum(isinstance(result, tuple) for result in done) == 1
            assert sum(isinstance(result, NameTaken) for result in done) == 7

    asyncio.run(main())


@pytest.mark.parametrize("name", ["", "x" * 129, "a\nb", "nul\0"])
def test_a_name_is_printable(name: str, tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(f"sqlite:///{tmp_path}/banjia.db", tmp_path / "pending") as store:
            with pytest.raises(ValueError, match="printable"):
                await keys.create(store, "red", name)

    asyncio.run(main())
