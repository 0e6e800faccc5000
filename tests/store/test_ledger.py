"""What has been spent, as budgets ask for it: many at once, in few statements."""

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import event

from gateway.accounting.budgets import Spent
from gateway.accounting.limits import TOKENS
from gateway.store.errors import StoreLost
from gateway.store.ledger import StoreLedger
from tests.store.stores import DAY, NOON, opened, record

TODAY = NOON - NOON % DAY
KEYS = 40
ANN = {"user": "ann/x", "cost": 5, "currency": "CNY"}


def asked(scope: str, since: float = TODAY) -> Spent:
    return Spent(scope, TOKENS, since, TODAY + DAY)


def test_what_many_keys_ask_at_once_is_read_together_and_is_each_ones_own(url: str, journal: Path) -> None:
    async def main() -> None:
        async with opened(url, journal) as store:
            ledger = StoreLedger(store)
            for number in range(KEYS):
                for team, times in (("red", 1), ("blue", 2)):
                    for when, tokens in ((NOON, 10 * number), (NOON - 2 * DAY, 1)):
                        ledger.write(record(when, team=team, key=f"k{number}", prompt_tokens=tokens * times, **ANN))
            await ledger.write(record(NOON, team="red", key="k0", user="bob", completion_tokens=7))
            statements: list[str] = []
            event.listen(store.engine.sync_engine, "before_cursor_execute", lambda *args: statements.append(args[2]))

            keys = [asked(f"key {team}/k{number}") for number in range(KEYS) for team in ("red", "blue")]
            others = [
                asked("team red"),
                asked("team red", TODAY - 7 * DAY),
                asked("user red/ann/x"),
                asked("user red/bob"),
                asked("team green"),
            ]
            found = await asyncio.gather(*map(ledger.spent, [*keys, *others]))

            assert [one[TOKENS] for one in found[: 2 * KEYS]][2:] == [10 * number * times for number in range(1, KEYS) for times in (1, 2)]
            assert found[0] == {TOKENS: 7, "CNY": 5}
            assert [one[TOKENS] for one in found[2 * KEYS :]] == [7 + 10 * 780, 7 + 10 * 780 + KEYS, 10 * 780, 7, 0]
            assert found[-1] == {TOKENS: 0}
            assert len([one for one in statements if "SUM" in one.upper()]) < 10

    asyncio.run(main())


def test_one_who_leaves_while_it_reads_for_all_keeps_nobody_waiting(url: str, journal: Path) -> None:
    async def main() -> None:
        async with opened(url, journal) as store:
            ledger = StoreLedger(store)
            await ledger.write(record(NOON, team="red", key="b", prompt_tokens=3))
            first, *others = [asyncio.create_task(ledger.spent(asked(f"key red/{name}"))) for name in "abc"]
            await asyncio.sleep(0)  # the first has begun to read
            first.cancel()

            assert [one[TOKENS] for one in await asyncio.gather(*others)] == [3, 0]
            with pytest.raises(asyncio.CancelledError):
                await first

    asyncio.run(main())


def test_a_store_that_is_lost_is_told_to_everybody(tmp_path: Path, journal: Path) -> None:
    async def main() -> None:
        file = tmp_path / "banjia.db"
        async with opened(f"sqlite:///{file}", journal) as store:
            await store.engine.dispose()
            file.write_bytes(b"no database at all" * 100)
            ledger = StoreLedger(store)

            found = await asyncio.gather(*(ledger.spent(asked(f"team {name}")) for name in "abc"), return_exceptions=True)

            assert [type(one) for one in found] == [StoreLost] * 3

    asyncio.run(main())
