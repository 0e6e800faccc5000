"""A Valkey that is killed, stands still, or forgets all: serving goes on as the rules say, and nothing is counted twice."""

import asyncio
import resource
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
import uvloop

from gateway.state.base import Bucket, Held, Level, Refused, Unseeded, window
from gateway.state.link import FAILURES, TIMEOUT
from gateway.state.valkey import LEASE, Valkey
from tests.state.servers import Server, fresh_prefix, server

RPM = window("team red rpm", 90, "requests")
TPM = window("team red tpm", 3000, "tokens")
PLACES = Bucket("team red concurrent", 30, "concurrent")
BUDGET = Bucket("team red budget", 1000, "tokens", seeded=True)

Harm = Callable[[Server], None]


@asynccontextmanager
async def replicas(
    one: Server, number: int = 1, *, beat: float = 0.2, lease: float = LEASE, timeout: float = TIMEOUT
) -> AsyncIterator[list[Valkey]]:
    states = [Valkey(one.url, beat=beat, lease=lease, timeout=timeout) for _ in range(number)]
    for state in states:
        await state.open()
    try:
        yield states
    finally:
        for state in states:
            await state.close()


async def until(what: Callable[[], object], seconds: float = 5.0) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if what():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never was")


async def admitted(state: Valkey, number: int) -> int:
    return sum([isinstance(await state.reserve((RPM,), (1,)), Held) for _ in range(number)])


@pytest.mark.parametrize("harm", [Server.kill, Server.freeze])
def test_after_five_calls_that_waited_nobody_waits_and_each_process_has_its_share(own_valkey: Server, harm: Harm) -> None:
    async def test() -> None:
        async with replicas(own_valkey, 3, beat=0.3) as states:
            await until(lambda: [state.replicas for state in states] == [3, 3, 3])
            await states[0].seed(BUDGET, 0, 0)
            harm(own_valkey)

            for state in states:
                waited: list[float] = []
                got = 0
                for _ in range(60):
                    began = time.monotonic()
                    got += isinstance(await state.reserve((RPM,), (1,)), Held)
                    waited.append(time.monotonic() - began)
                assert all(one < 4 * TIMEOUT for one in waited[:FAILURES])
                assert sorted(waited[FAILURES:])[50] < TIMEOUT / 5  # but for those that the machine itself has kept waiting
                assert state.degraded
                assert got == 30
                assert await state.reserve((RPM, BUDGET), (1, 1)) == Refused(BUDGET, 1000, unreachable=True)

    asyncio.run(test())


def test_a_process_that_was_busy_itself_does_not_take_its_server_for_gone(own_valkey: Server) -> None:
    async def test() -> None:
        async with replicas(own_valkey, beat=60) as (state,):
            await state.seed(BUDGET, 0, 0)
            asked = [asyncio.create_task(state.reserve((BUDGET,), (1,))) for _ in range(200)]  # too many for one call
            for _ in range(6):
                time.sleep(1.2 * TIMEOUT)  # noqa: ASYNC251 - others have the loop, as under load
                await asyncio.sleep(0)

            assert [type(one) for one in await asyncio.gather(*asked)] == [Held] * 200
            assert not state.degraded

    uvloop.run(test())


def test_one_late_answer_is_of_those_alone_who_waited_for_it(own_valkey: Server) -> None:
    async def test() -> None:
        async with replicas(own_valkey, beat=60, timeout=0.3) as (state,):
            await state.seed(BUDGET, 0, 0)
            own_valkey.freeze()
            late = asyncio.create_task(state.reserve((BUDGET,), (1,)))
            await asyncio.sleep(0)
            others = [asyncio.create_task(state.reserve((BUDGET,), (1,))) for _ in range(10)]
            assert isinstance(await late, Refused)
            own_valkey.thaw()

            assert {type(one) for one in await asyncio.gather(*others)} <= {Held, Refused}
            assert not state.degraded
            assert isinstance(await state.reserve((BUDGET,), (1,)), Held)

    uvloop.run(test())


@pytest.mark.parametrize("still", [False, True])
def test_it_is_used_again_soon_after_its_return_and_what_was_held_is_counted_once(own_valkey: Server, still: bool) -> None:
    async def test() -> None:
        async with replicas(own_valkey, 2) as (one, two):
            await one.seed(BUDGET, 0, 0)
            before = await one.reserve((RPM, TPM, PLACES, BUDGET), (1, 500, 1, 400))
            kept = await two.reserve((PLACES,), (1,))
            assert isinstance(before, Held)
            assert isinstance(kept, Held)
            own_valkey.freeze() if still else own_valkey.kill()
            lost = [await one.reserve((RPM, PLACES), (1, 1)) for _ in range(FAILURES + 3)]
            one.settle(before, (1, 300, 0, 250))
            await until(lambda: one.degraded and two.degraded)

            if still:
                own_valkey.thaw()
                await until(lambda: not one.degraded and not two.degraded)
                await one.arrived()
                levels = await one.peek((RPM, TPM, PLACES, BUDGET))
                assert [level.used for level in levels] == [1, 300, 0, 250]
                assert [level.held for level in levels] == [0, 0, 1, 0]
                two.settle(kept, (0,))
                await two.arrived()
                assert (await one.peek((PLACES,)))[0].held == 0
            else:
                with server(own_valkey.port):
                    await until(lambda: not one.degraded and not two.degraded)
                    await two.arrived()
                    levels = await one.peek((RPM, TPM, PLACES))
                    assert [(level.used, level.held) for level in levels] == [(0, 0), (0, 0), (0, 1)]
                    assert await one.reserve((BUDGET,), (1,)) == Unseeded(BUDGET)
                    await one.seed(BUDGET, 250, int(time.time() * 1000))
                    assert [level.used for level in await two.peek((BUDGET,))] == [250]
                    await one.close()
                    await two.close()
            for held in lost:
                assert isinstance(held, Held)
                one.settle(held, (1, 0))

    asyncio.run(test())


def test_slow_calls_do_not_pile_up(own_valkey: Server) -> None:
    async def test() -> None:
        async with replicas(own_valkey, 1, beat=0.1) as (state,):
            await state.reserve((RPM,), (1,))
            own_valkey.freeze()
            tasks = len(asyncio.all_tasks())
            rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

            for _ in range(40):
                began = time.monotonic()
                await asyncio.gather(*[state.reserve((RPM, TPM, PLACES), (1, 10, 0)) for _ in range(500)])
                assert time.monotonic() - began < 5.0  # 0.1 s each, were they to wait for each other: 50 s

            assert len(asyncio.all_tasks()) <= tasks + 2
            assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - rss < 16 * 1024
            own_valkey.thaw()
            await until(lambda: not state.degraded)

    asyncio.run(test())


def test_emptied_it_counts_limits_from_zero_and_asks_for_budgets(own_valkey: Server) -> None:
    async def test() -> None:
        async with replicas(own_valkey, 1, beat=0.2, lease=1.0) as (state,):
            await state.seed(BUDGET, 100, 0)
            assert await admitted(state, 95) == 90
            held = await state.reserve((PLACES, BUDGET), (1, 300))
            assert isinstance(held, Held)

            own_valkey.empty()

            assert await admitted(state, 95) == 90
            assert await state.reserve((BUDGET,), (1,)) == Unseeded(BUDGET)
            await state.seed(BUDGET, 100, 0)
            for _ in range(100):  # what is under way is held again when its lease is renewed
                if [level.held for level in await state.peek((PLACES, BUDGET))] == [1, 300]:
                    break
                await asyncio.sleep(0.02)
            state.settle(held, (0, 200))
            await state.arrived()
            assert [(level.used, level.held) for level in await state.peek((PLACES, BUDGET))] == [(0, 0), (300, 0)]

    asyncio.run(test())


def test_who_leaves_while_asking_has_taken_nothing(own_valkey: Server) -> None:
    async def test() -> None:
        async with replicas(own_valkey, 1, beat=0.1, timeout=3.0) as (state,):
            await state.reserve((RPM,), (1,))
            own_valkey.freeze()
            leaving = asyncio.create_task(state.reserve((RPM, PLACES), (1, 1)))
            await asyncio.sleep(0.05)  # it has been sent, and there is no answer

            leaving.cancel()
            await asyncio.gather(leaving, return_exceptions=True)
            own_valkey.thaw()
            await state.arrived()

            assert [(level.used, level.held) for level in await state.peek((RPM, PLACES))] == [(1, 0), (0, 0)]

    asyncio.run(test())


def test_without_a_server_at_the_start_it_serves_alone() -> None:
    async def test() -> None:
        with server() as gone:
            url = gone.url
        state = Valkey(url, beat=0.05)
        await state.open()
        await until(lambda: state.degraded)

        assert await admitted(state, 100) == 90
        await state.close()

    asyncio.run(test())


def test_it_closes_in_the_middle_of_its_work_and_loses_nothing(valkey: Server) -> None:
    async def test() -> None:
        prefix = fresh_prefix()
        budget = Bucket("budget", 10**9, "tokens", seeded=True)
        for _ in range(20):
            state = Valkey(valkey.url, prefix=prefix, timeout=5.0)
            await state.open()
            await state.seed(budget, 0, 0)
            for held in await asyncio.gather(*[state.reserve((budget, PLACES), (10, 0)) for _ in range(300)]):
                assert isinstance(held, Held)
                state.settle(held, (7, 0))
            async with asyncio.timeout(5):
                await state.close()

        last = Valkey(valkey.url, prefix=prefix, timeout=5.0)
        await last.open()
        assert await last.peek((budget,)) == [Level(20 * 300 * 7)]
        await last.close()

    asyncio.run(test())
