"""Memory and Valkey keep the same rules: whatever is done to both, both say the same."""

import asyncio
from collections.abc import Iterable, Sequence
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.state.base import Bucket, Held, Refused, Unseeded, window
from gateway.state.memory import Memory
from gateway.state.valkey import Valkey
from tests.state.servers import Clock, Server, fresh_prefix

LEASE = 30.0
BUCKETS = (
    window("team:rpm", 5, "requests"),
    window("team:tpm", 1000, "tokens"),
    window("key:rpm", 3, "requests", period=6),
    Bucket("team:concurrent", 3, "concurrent"),
    Bucket("team:budget", 2000, "tokens", seeded=True, resets=1_800_000_090_000),
    Bucket("grant:a", 700, "tokens", seeded=True, keep=True),
    Bucket("grant:b", 900, "tokens", seeded=True, keep=True),
)
GRANTS = BUCKETS[5:]
SMALL = (0, 2, 3)
"""Those that count requests."""
AMOUNTS = st.sampled_from([0, 1, 2, 50, 200, 333, 700, 1100])
MOMENTS = [0.0, 0.05, 0.1, 1.3, 6.0, 6.1, 29.9, 30.0, 31.0, 59.9, 60.0, 60.1, 95.0, 3600.0, -0.3, -20.0, -61.0, -70.0, -3600.0]

ASKED = st.lists(st.tuples(st.integers(0, 6), AMOUNTS), min_size=1, max_size=6, unique_by=lambda one: one[0])
STEP = st.one_of(
    st.tuples(st.just("reserve"), ASKED),
    st.tuples(st.just("draw"), st.lists(AMOUNTS, min_size=1, max_size=2)),
    st.tuples(st.just("settle"), st.integers(0, 30), st.lists(AMOUNTS, min_size=6, max_size=6)),
    st.tuples(st.just("release"), st.integers(0, 30)),
    st.tuples(st.just("seed"), st.integers(4, 6), st.integers(0, 600), st.booleans()),
    st.tuples(st.just("pass"), st.sampled_from(MOMENTS)),
    st.tuples(st.just("renew")),
)


def at_random(chance: Random) -> Sequence[Any]:
    """A step as they come in service: mostly taking and settling, while time passes."""
    amounts = [0, 1, 2, 50, 200, 333, 700, 1100]
    match chance.choices(["reserve", "draw", "settle", "release", "seed", "pass", "renew"], [30, 10, 25, 3, 2, 20, 3])[0]:
        case "reserve":
            numbers = chance.sample(range(len(BUCKETS)), chance.randint(1, 4))
            return "reserve", [(number, chance.choice(amounts[:6])) for number in numbers]
        case "draw":
            return "draw", [chance.choice(amounts) for _ in range(chance.randint(1, 2))]
        case "settle":
            return "settle", chance.randrange(1000), [chance.choice(amounts[:5]) for _ in range(6)]
        case "release":
            return "release", chance.randrange(1000)
        case "seed":
            return "seed", chance.randint(4, 6), chance.choice([0, 300]), chance.random() < 0.7
        case "pass":
            return "pass", chance.choice([*MOMENTS, *[chance.random() * 10 for _ in range(20)]])
        case other:
            return (other,)


class Twins:
    def __init__(self, server: Server) -> None:
        self.clock = Clock()
        self.memory = Memory(now=self.clock, lease=LEASE)
        self.valkey = Valkey(server.url, prefix=fresh_prefix(), lease=LEASE, beat=3600, timeout=10, now=self.clock, server_time=False)
        self.held: list[tuple[Held, Held]] = []

    async def do(self, step: Sequence[Any]) -> None:
        match step:
            case ["reserve", asked]:
                buckets, amounts = (
                    [BUCKETS[number] for number, _ in asked],
                    [amount % 3 if number in (0, 2, 3) else amount for number, amount in asked],
                )
                self.took(self.memory.reserve_now(buckets, amounts), await self.valkey.reserve(buckets, amounts))
            case ["draw", needs]:
                chains = [(GRANTS, need) for need in needs]
                self.took(self.memory.draw_now(chains), await self.valkey.draw(chains))
            case ["settle", number, actual] if self.held:
                one, other = self.held[-1 - number % len(self.held)]
                self.memory.settle(one, actual[: len(one.buckets)])
                self.valkey.settle(other, actual[: len(one.buckets)])
                await self.valkey.arrived()
            case ["release", number] if self.held:
                one, other = self.held[number % len(self.held)]
                self.memory.release(one)
                self.valkey.release(other)
                await self.valkey.arrived()
            case ["seed", number, spent, force]:
                at = int(self.clock() * 1000) + 1
                await self.memory.seed(BUCKETS[number], spent, at, force=force)
                await self.valkey.seed(BUCKETS[number], spent, at, force=force)
                self.clock.now += 0.002
            case ["pass", seconds]:
                self.clock.now += seconds
            case ["renew"]:
                self.memory.renew()
                self.valkey.renew()
                await self.valkey.arrived()
        assert await self.memory.peek(BUCKETS) == await self.valkey.peek(BUCKETS)

    def took(self, one: Held | Refused | Unseeded, other: Held | Refused | Unseeded) -> None:
        if isinstance(one, Held) and isinstance(other, Held):
            told = [(list(held.amounts), list(held.slots), list(held.used), held.at, held.until) for held in (one, other)]
            assert told[0] == told[1]
            self.held.append((one, other))
        else:
            assert one == other


async def both(server: Server, steps: Iterable[Sequence[Any]]) -> None:
    twins = Twins(server)
    await twins.valkey.open()
    try:
        for number in (4, 5):
            await twins.do(("seed", number, 0, False))
        for step in steps:
            await twins.do(step)
    finally:
        await twins.valkey.close()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEP, min_size=10, max_size=50))
def test_memory_and_valkey_say_the_same_whatever_is_done(valkey: Server, steps: list[Sequence[Any]]) -> None:
    asyncio.run(both(valkey, steps))


@pytest.mark.parametrize("number", range(6))
def test_memory_and_valkey_say_the_same_after_much_has_been_done(valkey: Server, number: int) -> None:
    chance = Random(number)

    asyncio.run(both(valkey, (at_random(chance) for _ in range(600))))
