"""Days and months somewhere, what has been spent in them, and who is told."""

import asyncio
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from gateway.accounting.admission import Admission, Bounds, Holder
from gateway.accounting.budgets import Budget, Per, Period, Spent, Warned, period_of
from gateway.accounting.limits import Limits
from gateway.accounting.record import MOST_USER, user_of
from gateway.state.base import NEVER, Held, Refused
from gateway.state.memory import Memory
from tests.state.servers import Clock

CNY = 10**9


def at(text: str, zone: str = "Asia/Shanghai") -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


@pytest.mark.parametrize(
    ("per", "zone", "now", "period"),
    [
        ("total", "Asia/Shanghai", "2026-11-23T12:00", Period("total", 0, 0)),
        ("day", "Asia/Shanghai", "2026-11-23T00:00", Period("2026-11-23", at("2026-11-23T00:00"), at("2026-11-24T00:00"))),
        ("day", "Asia/Shanghai", "2026-11-23T23:59:59.999", Period("2026-11-23", at("2026-11-23T00:00"), at("2026-11-24T00:00"))),
        ("month", "Asia/Shanghai", "2026-12-31T23:59", Period("2026-12", at("2026-12-01T00:00"), at("2027-01-01T00:00"))),
        ("month", "Asia/Shanghai", "2028-02-29T08:00", Period("2028-02", at("2028-02-01T00:00"), at("2028-03-01T00:00"))),
    ],
)
def test_a_period_begins_at_midnight_of_its_zone(per: Per, zone: str, now: str, period: Period) -> None:
    assert period_of(per, zone, at(now)) == period


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-06-01", 24)])
def test_a_day_is_as_long_as_it_is_where_clocks_are_changed(day: str, hours: int) -> None:
    period = period_of("day", "Europe/Berlin", at(f"{day}T12:00", "Europe/Berlin"))

    assert (period.label, period.until - period.since) == (day, hours * 3600)


class Records:
    """What the records say has been spent, and what they were asked."""

    def __init__(self, spent: int = 0) -> None:
        self.spent = spent
        self.asked: list[Spent] = []
        self.failing = False

    async def __call__(self, spent: Spent) -> int:
        self.asked.append(spent)
        await asyncio.sleep(0)
        if self.failing:
            raise OSError("the database has gone")
        return self.spent


def bounds(*budgets: Budget, limits: Limits | None = None, each_user: Holder | None = None) -> Bounds:
    return Bounds([Holder("team red", limits or Limits(), budgets), Holder("key red/main", Limits())], each_user)


def test_what_has_been_spent_is_read_once_however_many_ask() -> None:
    async def test() -> None:
        clock, records = Clock(at("2026-11-23T12:00")), Records(spent=400)
        admission = Admission(Memory(now=clock), records, now=clock)
        red = bounds(Budget(1000, "tokens", "day"))

        got = await asyncio.gather(*[admission.admit(red, {"tokens": 100}) for _ in range(50)])

        assert sum(isinstance(one, Held) for one in got) == 6
        assert records.asked == [Spent("team red", "tokens", at("2026-11-23T00:00"), at("2026-11-24T00:00"))]

    asyncio.run(test())


def test_records_that_cannot_be_read_let_nobody_spend_and_are_asked_again() -> None:
    async def test() -> None:
        clock, records = Clock(), Records()
        admission = Admission(Memory(now=clock), records, now=clock)
        red = bounds(Budget(1000, "tokens", "total"))
        records.failing = True

        refused = await admission.admit(red, {"tokens": 100})
        records.failing = False

        assert isinstance(refused, Refused)
        assert refused.unreachable
        assert isinstance(await admission.admit(red, {"tokens": 100}), Held)

    asyncio.run(test())


def test_another_day_is_another_budget_and_what_was_begun_before_belongs_to_its_own() -> None:
    async def test() -> None:
        clock, records = Clock(at("2026-11-23T23:59:59")), Records()
        state = Memory(now=clock)
        admission = Admission(state, records, now=clock)
        red = bounds(Budget(1000, "tokens", "day"))
        first = await admission.admit(red, {"tokens": 1000})
        refused = await admission.admit(red, {"tokens": 1})
        clock.now += 1

        second = await admission.admit(red, {"tokens": 1000})

        assert isinstance(first, Held)
        assert isinstance(second, Held)
        assert isinstance(refused, Refused)
        assert refused.wait == 1000
        admission.settle(first, {"tokens": 900})
        admission.settle(second, {"tokens": 10})
        assert [state.level(held.buckets[0]).used for held in (first, second)] == [900, 10]

    asyncio.run(test())


def test_a_clock_that_is_put_back_finds_the_day_as_it_was() -> None:
    async def test() -> None:
        clock = Clock(at("2026-11-24T00:10"))
        admission = Admission(Memory(now=clock), Records(), now=clock)
        red = bounds(Budget(1000, "tokens", "day"))
        await admission.admit(red, {"tokens": 1000})

        clock.now -= 3600
        yesterday = await admission.admit(red, {"tokens": 1000})
        clock.now += 3600
        today = await admission.admit(red, {"tokens": 1})

        assert isinstance(yesterday, Held)
        assert isinstance(today, Refused)

    asyncio.run(test())


def test_limits_and_budgets_of_team_key_and_user_are_taken_together_or_not_at_all() -> None:
    async def test() -> None:
        clock = Clock()
        state = Memory(now=clock)
        admission = Admission(state, Records(), now=clock)
        each = Holder("user red", Limits(rpm=2), (Budget(5 * CNY, "CNY", "month"),))
        red = bounds(Budget(8 * CNY, "CNY", "month"), limits=Limits(rpm=5), each_user=each)

        async def ask(user: str, cost: int = CNY) -> str:
            got = await admission.admit(red, {"CNY": cost}, user)
            return "" if isinstance(got, Held) else got.bucket.key if got else "unbounded"

        assert [await ask("alice"), await ask("alice"), await ask("alice")] == ["", "", "user red/alice rpm"]
        assert await ask("bob", 6 * CNY) == "user red/bob budget CNY 2027-01"
        assert [await ask("bob", 5 * CNY), await ask("carol", 2 * CNY)] == ["", "team red budget CNY 2027-01"]
        assert [await ask("carol", 0), await ask("", 0), await ask("", 0)] == ["", "", "team red rpm"]

    asyncio.run(test())


def test_long_names_of_users_are_shortened_and_still_told_apart() -> None:
    one, other = (user_of("a" * 5000 + last) for last in "bc")

    assert one != other
    assert len(one) == len(other) == MOST_USER
    assert user_of("a" * MOST_USER) == "a" * MOST_USER
    assert user_of(None) == user_of(7) == ""


def test_nothing_that_bounds_a_request_costs_nothing() -> None:
    async def test() -> None:
        assert await Admission(Memory(), Records()).admit(bounds(), {"tokens": 10}, "alice") is None

    asyncio.run(test())


def test_each_level_is_told_of_once() -> None:
    async def test() -> None:
        clock, heard = Clock(), list[Warned]()
        admission = Admission(Memory(now=clock), Records(), warn=heard.append, now=clock)
        red = bounds(Budget(1000, "tokens", "total"))

        for _ in range(10):
            held = await admission.admit(red, {"tokens": 100})
            assert isinstance(held, Held)
            admission.settle(held, {"tokens": 100})
        last = await admission.admit(red, {"tokens": 1})
        again = await admission.admit(red, {"tokens": 0})

        assert isinstance(last, Refused)
        assert (last.wait, last.spent) == (NEVER, True)
        assert isinstance(again, Held)
        assert [(warned.level, warned.spent) for warned in heard] == [(0.8, 800), (0.95, 1000)]

    asyncio.run(test())
