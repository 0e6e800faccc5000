"""Gifts are used up, the soonest to expire first, and never a token over."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.accounting.grants import Billed, Drawn, Drift, Grant, Grants, Paid, by_grant
from gateway.state.base import Refused, State
from gateway.state.memory import Memory
from gateway.state.valkey import Valkey
from tests.state.servers import Clock, Server, fresh_prefix

NOW = 1_800_000_000.0
DAY = 86_400.0
FIRST = Grant("first", "zhipu", 50_000_000, NOW + DAY, ("glm-*",))
SECOND = Grant("second", "zhipu", 50_000_000, NOW + 30 * DAY, ("glm-*",))
LAST = Grant("last", "zhipu", 150_000_000, NOW + 90 * DAY)


def grants_of(*grants: Grant, state: State | None = None, now: Callable[[], float] | None = None, used: int = 0) -> Grants:
    async def read(grant: str) -> int:
        return used

    made = Grants(state or Memory(now=now or Clock(NOW)), read, now=now or Clock(NOW))
    made.configure(grants)
    return made


async def draw(grants: Grants, prompt: int, completion: int, *, model: str = "glm-5", until: float = NOW) -> Drawn:
    drawn = await grants.draw("zhipu", model, prompt=prompt, completion=completion, until=until)
    assert isinstance(drawn, Drawn)
    return drawn


class Vendor:
    """Counts what each gift has paid for, as a vendor would who follows our ledger; and what came after a gift had expired."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.used = {grant.name: 0 for grant in (FIRST, SECOND, LAST)}
        self.late = 0
        self.order: list[str] = []

    def bill(self, grants: dict[str, Grant], paid: Paid) -> None:
        for name, tokens in paid.granted.items():
            self.used[name] += tokens
            self.late += tokens if self.clock() >= grants[name].expires else 0
            if name not in self.order:
                self.order.append(name)


async def streams(ledgers: list[Grants], vendor: Vendor, clock: Clock, *, number: int, each: int, ahead: float = 600) -> list[Paid]:
    """So many at a time, one after the other; each holds up to 300,000 tokens and uses some of them."""
    grants = {grant.name: grant for grant in (FIRST, SECOND, LAST)}
    done: list[Paid] = []

    async def one(seed: int) -> None:
        chance = Random(seed)
        ledger = ledgers[seed % len(ledgers)]
        for _ in range(each):
            prompt, completion = chance.randint(1, 100_000), chance.randint(1, 200_000)
            drawn = await ledger.draw("zhipu", "glm-5", prompt=prompt, completion=completion, until=clock() + ahead)
            for _ in range(chance.randint(0, 3)):
                await asyncio.sleep(0)
                clock.now += 0.5
            if isinstance(drawn, Drawn):
                paid = ledger.paid(drawn, prompt=prompt, completion=chance.randint(0, completion))
                vendor.bill(grants, paid)
                ledger.settle(drawn, paid)
                done.append(paid)

    await asyncio.gather(*[one(seed) for seed in range(number)])
    return done


@pytest.mark.parametrize("shared", [False, True])
def test_of_three_grants_under_200_streams_nothing_is_overspent_and_nothing_lost(valkey: Server, shared: bool) -> None:
    async def test() -> None:
        clock = Clock(NOW)
        vendor = Vendor(clock)
        async with AsyncExitStack() as stack:
            states: list[State] = [Memory(now=clock)]
            if shared:
                prefix = fresh_prefix()
                states = [Valkey(valkey.url, prefix=prefix, timeout=10, now=clock, server_time=False, lease=1e6) for _ in range(3)]
            for state in states:
                await state.open()
                stack.push_async_callback(state.close)
            ledgers = [grants_of(FIRST, SECOND, LAST, state=state, now=clock) for state in states]

            await streams(ledgers, vendor, clock, number=200, each=18)
            for state in states:
                if isinstance(state, Valkey):
                    await state.arrived()
            assert all(used <= grant.tokens for used, grant in zip(vendor.used.values(), (FIRST, SECOND, LAST), strict=True))
            assert sum(vendor.used.values()) > 200_000_000
            rest = await ledgers[0].draw("zhipu", "glm-5", prompt=250_000_000, completion=0, until=clock())
            if isinstance(rest, Drawn):  # what came back when nobody asked any more is there to the last token
                paid = ledgers[0].paid(rest, prompt=250_000_000, completion=0)
                vendor.bill({grant.name: grant for grant in rest.grants}, paid)
                ledgers[0].settle(rest, paid)
            for state in states:
                if isinstance(state, Valkey):
                    await state.arrived()
            standings = await ledgers[0].standings()

            assert vendor.used == {"first": 50_000_000, "second": 50_000_000, "last": 150_000_000}
            assert [(one.used, one.held, one.left) for one in standings] == [(50_000_000, 0, 0), (50_000_000, 0, 0), (150_000_000, 0, 0)]
            assert vendor.order == ["first", "second", "last"]
            assert vendor.late == 0

    asyncio.run(test())


@pytest.mark.parametrize("ahead", [0.0, 20.0])
def test_nothing_is_used_of_a_grant_that_has_expired_even_by_what_was_begun_before(ahead: float) -> None:
    async def test() -> None:
        clock = Clock(NOW + DAY - 100)
        vendor = Vendor(clock)
        ledger = grants_of(FIRST, SECOND, LAST, now=clock)

        paid = await streams([ledger], vendor, clock, number=200, each=4, ahead=ahead)

        assert clock() > FIRST.expires
        assert vendor.late == 0
        assert 0 < vendor.used["first"] < 50_000_000
        assert vendor.used["second"] > 0
        assert ahead or any(one.prompt for one in paid)  # those that outlived it were paid for otherwise
        standing = (await ledger.standings())[0]
        assert (standing.used, standing.held) == (vendor.used["first"], 0)

    asyncio.run(test())


def test_a_stream_that_outlives_its_grant_is_paid_for_otherwise() -> None:
    async def test() -> None:
        clock = Clock(NOW + DAY - 10)
        ledger = grants_of(FIRST, now=clock)
        drawn = await draw(ledger, 100, 100, until=NOW + DAY - 1)

        clock.now = NOW + DAY
        paid = ledger.paid(drawn, prompt=100, completion=50)
        ledger.settle(drawn, paid)

        assert paid == Paid({}, 100, 50, (0,))
        assert [(one.used, one.held) for one in await ledger.standings()] == [(0, 0)]

    asyncio.run(test())


def test_a_grant_that_expires_before_the_attempt_must_end_is_left_alone() -> None:
    async def test() -> None:
        ledger = grants_of(FIRST, SECOND)

        assert (await draw(ledger, 1, 1, until=NOW + DAY)).grants == (SECOND,)
        assert (await draw(ledger, 1, 1, until=NOW + DAY - 1)).grants == (FIRST, SECOND)
        assert await ledger.draw("zhipu", "glm-5", prompt=1, completion=1, until=NOW + 40 * DAY) is None

    asyncio.run(test())


@pytest.mark.parametrize(("account", "model", "pays"), [("zhipu", "glm-5", True), ("zhipu", "cogview", False), ("other", "glm-5", False)])
def test_a_grant_pays_for_its_account_and_its_models_alone(account: str, model: str, pays: bool) -> None:
    async def test() -> None:
        ledger = grants_of(FIRST)

        drawn = await ledger.draw(account, model, prompt=1, completion=1, until=NOW)

        assert isinstance(drawn, Drawn) is pays
        assert ledger.soonest(account, model) == (FIRST.expires if pays else None)

    asyncio.run(test())


def test_kinds_of_tokens_are_paid_for_by_those_that_may_and_the_rest_is_told() -> None:
    async def test() -> None:
        prompts = Grant("prompts", "zhipu", 1000, NOW + DAY, kinds="prompt")
        answers = Grant("answers", "zhipu", 300, NOW + DAY, kinds="completion")
        both = Grant("both", "zhipu", 500, NOW + 2 * DAY)
        ledger = grants_of(prompts, answers, both)

        drawn = await draw(ledger, 1200, 700)
        paid = ledger.paid(drawn, prompt=1100, completion=650)
        ledger.settle(drawn, paid)

        assert not drawn.covered  # 1000 + 200 for the prompt, 300 + 300 for the answer
        assert paid.granted == {"prompts": 1000, "answers": 300, "both": 100 + 300}
        assert (paid.prompt, paid.completion) == (0, 50)

    asyncio.run(test())


def test_a_reserve_is_never_spent() -> None:
    async def test() -> None:
        ledger = grants_of(Grant("kept", "zhipu", 1001, NOW + DAY, reserve=0.1))

        drawn = await draw(ledger, 2000, 0)

        assert list(drawn.held.amounts) == [900]
        assert await ledger.draw("zhipu", "glm-5", prompt=1, completion=0, until=NOW) is None

    asyncio.run(test())


def test_no_grant_pays_for_more_than_was_held_of_it() -> None:
    async def test() -> None:
        ledger = grants_of(FIRST)
        drawn = await draw(ledger, 100, 100)

        assert ledger.paid(drawn, prompt=5000, completion=10) == Paid({"first": 200}, 4800, 10, (200,))

    asyncio.run(test())


def test_what_a_dead_process_held_is_in_doubt_until_the_bill_comes() -> None:
    async def test() -> None:
        clock = Clock(NOW)
        ledger = grants_of(FIRST, state=Memory(now=clock, lease=30), now=clock)
        lost = await draw(ledger, 20_000_000, 0)
        settled = await draw(ledger, 30_000_000, 0)
        ledger.settle(settled, ledger.paid(settled, prompt=10_000_000, completion=0))
        assert lost.covered

        clock.now += 31
        rest = await draw(ledger, 50_000_000, 0)
        drift = await ledger.reconcile({"first": 12_000_000}, adopt=True)
        ledger.release(rest)
        standing = (await ledger.standings())[0]

        assert list(rest.held.amounts) == [20_000_000]
        assert drift == [Drift("first", 12_000_000, 10_000_000, 20_000_000)]
        assert drift[0].tokens == 2_000_000
        assert (standing.used, standing.held, standing.doubt, standing.left) == (12_000_000, 0, 0, 38_000_000)

    asyncio.run(test())


def test_what_the_records_say_is_used_is_not_given_again() -> None:
    async def test() -> None:
        ledger = grants_of(FIRST, used=49_999_000)

        assert list((await draw(ledger, 5000, 0)).held.amounts) == [1000]
        assert ledger.soonest("zhipu", "glm-5") is None

    asyncio.run(test())


def test_records_that_cannot_be_read_give_nothing() -> None:
    async def test() -> None:
        async def read(grant: str) -> int:
            raise OSError("the database has gone")

        ledger = Grants(Memory(now=Clock(NOW)), read, now=Clock(NOW))
        ledger.configure([FIRST])

        drawn = await ledger.draw("zhipu", "glm-5", prompt=1, completion=1, until=NOW)

        assert isinstance(drawn, Refused)
        assert drawn.unreachable
        assert [one.known for one in await ledger.standings()] == [False]

    asyncio.run(test())


def test_a_reload_keeps_what_has_been_used_and_takes_what_has_changed() -> None:
    async def test() -> None:
        ledger = grants_of(FIRST)
        drawn = await draw(ledger, 1000, 0)
        ledger.settle(drawn, ledger.paid(drawn, prompt=1000, completion=0))

        ledger.configure([Grant("first", "zhipu", 1500, NOW + 5 * DAY)])

        assert list((await draw(ledger, 1000, 0, until=NOW + 2 * DAY)).held.amounts) == [500]

    asyncio.run(test())


@given(
    lines=st.lists(
        st.tuples(st.sampled_from(["glm-5", "cogview"]), st.integers(0, 90_000_000), st.integers(0, 90_000_000)), min_size=1, max_size=8
    )
)
def test_a_bill_by_model_comes_to_a_bill_by_grant_without_losing_a_token(lines: list[tuple[str, int, int]]) -> None:
    bill = [Billed("zhipu", *line) for line in lines]

    paid, beyond = by_grant([LAST, FIRST, SECOND], bill)

    assert sum(paid.values()) + beyond == sum(line.prompt + line.completion for line in bill)
    assert all(0 <= paid[grant.name] <= grant.tokens for grant in (FIRST, SECOND, LAST))
    of_glm = sum(line.prompt + line.completion for line in bill if line.model == "glm-5")
    assert paid["first"] == min(of_glm, 50_000_000)
