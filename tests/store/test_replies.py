"""Claims and answers for `Idempotency-Key`, in real databases."""

import asyncio
from pathlib import Path

from sqlalchemy import func, select

from gateway.accounting.replies import Reply
from gateway.store.engine import Store
from gateway.store.replies import KEPT, KeptReplies, forget
from gateway.store.tables import replies
from tests.store.stores import Clock, opened

DEAD_AFTER = 20.0


async def count(store: Store) -> int:
    async with store.reading() as connection:
        return (await connection.execute(select(func.count()).select_from(replies))).scalar_one()


def test_of_many_that_claim_at_once_on_two_replicas_one_gets_it(url: str, tmp_path: Path) -> None:
    async def main() -> list[Reply | None]:
        async with opened(url, tmp_path / "a") as one, opened(url, tmp_path / "b") as two:
            claims = [KeptReplies(store).claim("id", "digest", f"owner{number}") for number in range(5) for store in (one, two)]
            return await asyncio.gather(*claims)

    got = asyncio.run(main())

    assert sorted(map(repr, got)) == sorted(map(repr, [None, *[Reply("digest", 0, b"")] * 9]))


def test_an_answer_is_kept_for_a_day_and_then_forgotten(url: str, journal: Path) -> None:
    async def main() -> None:
        clock = Clock()
        async with opened(url, journal, now=clock) as store:
            kept = KeptReplies(store)
            assert await kept.claim("id", "digest", "one") is None
            await kept.keep("id", "one", 200, b'{"a": \xff}')
            assert await kept.claim("id", "other", "two") == Reply("digest", 200, b'{"a": \xff}')
            clock.now += KEPT - 1
            assert await forget(store) == 0
            assert await kept.claim("id", "digest", "two") == Reply("digest", 200, b'{"a": \xff}')
            clock.now += 1
            assert await forget(store) == 1
            assert await count(store) == 0
            assert await kept.claim("id", "digest", "two") is None

    asyncio.run(main())


def test_a_claim_that_nobody_renews_runs_out_and_its_late_owner_changes_nothing(url: str, journal: Path) -> None:
    async def main() -> None:
        clock = Clock()
        async with opened(url, journal, now=clock) as store:
            kept = KeptReplies(store)
            assert await kept.claim("id", "digest", "dead") is None
            clock.now += DEAD_AFTER - 1
            await kept.renew("id", "dead")
            clock.now += DEAD_AFTER - 1
            assert await kept.claim("id", "digest", "heir") == Reply("digest", 0, b"")
            clock.now += 1
            assert await kept.claim("id", "digest", "heir") is None
            await kept.keep("id", "dead", 200, b"late")
            await kept.release("id", "dead")
            assert await kept.claim("id", "digest", "third") == Reply("digest", 0, b"")
            await kept.keep("id", "heir", 200, b"right")
            await kept.release("id", "heir")
            assert await kept.claim("id", "digest", "third") == Reply("digest", 200, b"right")

    asyncio.run(main())


def test_a_claim_that_came_to_nothing_is_free_at_once(url: str, journal: Path) -> None:
    async def main() -> None:
        async with opened(url, journal) as store:
            kept = KeptReplies(store)
            assert await kept.claim("id", "digest", "one") is None
            await kept.release("id", "one")
            assert await count(store) == 0
            assert await kept.claim("id", "other", "two") is None

    asyncio.run(main())


def test_more_answers_than_fit_one_transaction_are_forgotten(url: str, journal: Path) -> None:
    async def main() -> int:
        clock = Clock()
        async with opened(url, journal, now=clock) as store:
            kept = KeptReplies(store)
            for number in range(450):
                await kept.claim(f"{number}", "digest", "one")
            clock.now += DEAD_AFTER
            return await forget(store)

    assert asyncio.run(main()) == 450
