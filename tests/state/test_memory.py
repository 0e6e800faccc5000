"""The rules of the counters, each on its own; tests/state/test_twins.py shows that Valkey keeps them too."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.state.base import NEVER, SHORTLY, Bucket, Held, Refused, Unseeded, window
from gateway.state.memory import FEW, Memory
from tests.state.servers import Clock

RPM = window("team red rpm", 100, "requests")
TPM = window("team red tpm", 1000, "tokens")
PLACES = Bucket("team red concurrent", 2, "concurrent")
BUDGET = Bucket("team red budget", 1000, "tokens", seeded=True, resets=1_800_000_060_000)
START = 1_800_000_000_000


class Ms(Clock):
    """By milliseconds, in the middle of each, so that none is lost in a float."""

    def __init__(self, ms: int = START) -> None:
        self.ms = ms

    def __call__(self) -> float:
        return (self.ms + 0.5) / 1000


def took(got: Held | Refused | Unseeded) -> Held:
    assert isinstance(got, Held)
    return got


def refused(got: Held | Refused | Unseeded) -> Refused:
    assert isinstance(got, Refused)
    return got


def test_all_buckets_are_taken_or_none() -> None:
    state = Memory(now=Ms())
    full = Bucket("full", 0, "concurrent")

    got = state.reserve_now((RPM, TPM, full), (1, 500, 1))

    assert refused(got).bucket is full
    assert [state.level(bucket).used for bucket in (RPM, TPM)] == [0, 0]


@given(
    steps=st.lists(st.tuples(st.integers(0, 20_000), st.integers(1, 400)), min_size=1, max_size=80),
    start=st.integers(START, START + 60_000),
)
def test_no_minute_ever_has_more_than_the_limit(steps: list[tuple[int, int]], start: int) -> None:
    clock = Ms(start)
    state = Memory(now=clock)
    admitted: list[tuple[int, int]] = []

    for passed, tokens in steps:
        clock.ms += passed
        if isinstance(state.reserve_now((TPM,), (tokens,)), Held):
            admitted.append((clock.ms, tokens))

    assert admitted
    for end, _ in admitted:
        assert sum(tokens for at, tokens in admitted if end - 60_000 < at <= end) <= 1000


@given(steps=st.lists(st.tuples(st.integers(0, 9_000), st.integers(1, 400)), min_size=5, max_size=60), more=st.integers(1, 1000))
def test_who_comes_back_when_told_is_let_in_and_a_millisecond_before_is_not(steps: list[tuple[int, int]], more: int) -> None:
    clock = Ms()
    state = Memory(now=clock)
    for passed, tokens in steps:
        clock.ms += passed
        state.reserve_now((TPM,), (tokens,))

    got = state.reserve_now((TPM,), (more,))

    if isinstance(got, Refused):
        assert 0 < got.wait <= 60_100
        clock.ms += got.wait - 1
        assert isinstance(state.reserve_now((TPM,), (more,)), Refused)
        clock.ms += 1
        assert isinstance(state.reserve_now((TPM,), (more,)), Held)


def test_the_edge_of_a_minute_is_exact_to_a_tenth_of_a_second() -> None:
    clock = Ms()
    state = Memory(now=clock)
    admitted = [isinstance(state.reserve_now((RPM,), (1,)), Held) for _ in range(150)]

    clock.ms += 60_099
    before = state.reserve_now((RPM,), (1,))
    clock.ms += 1
    after = [isinstance(state.reserve_now((RPM,), (1,)), Held) for _ in range(150)]

    assert sum(admitted) == sum(after) == 100
    assert refused(before).wait == 1


def test_of_several_that_refuse_the_one_that_takes_the_longest_is_told() -> None:
    clock = Ms()
    state = Memory(now=clock)
    key = window("key rpm", 1, "requests")
    state.reserve_now((key,), (1,))
    clock.ms += 30_000
    state.reserve_now((TPM,), (1000,))

    got = refused(state.reserve_now((key, TPM), (1, 1)))

    assert (got.bucket, got.wait, got.used, got.empty_at) == (TPM, 60_100, 1000, clock.ms + 60_100)


def test_what_is_larger_than_the_limit_never_comes_in() -> None:
    assert refused(Memory(now=Ms()).reserve_now((TPM,), (1001,))).wait == NEVER


def test_less_than_was_reserved_is_given_back_and_more_is_counted() -> None:
    state = Memory(now=Ms())

    state.settle(took(state.reserve_now((TPM,), (800,))), (100,))
    less = state.level(TPM).used
    state.settle(took(state.reserve_now((TPM,), (100,))), (1500,))

    assert less == 100
    assert state.level(TPM).used == 1600


def test_what_is_settled_twice_is_settled_once() -> None:
    state = Memory(now=Ms())
    state.seed_now(BUDGET, 0, START)
    held = took(state.reserve_now((PLACES, BUDGET), (1, 500)))

    for _ in range(3):
        state.settle(held, (0, 300))
    state.release(held)

    assert (state.level(PLACES).held, state.level(BUDGET).used, state.level(BUDGET).held) == (0, 300, 0)


def test_places_are_free_again_when_settled() -> None:
    state = Memory(now=Ms())
    first = took(state.reserve_now((PLACES,), (1,)))
    state.reserve_now((PLACES,), (1,))

    third = refused(state.reserve_now((PLACES,), (1,)))
    state.settle(first, (0,))

    assert (third.wait, third.spent) == (SHORTLY, False)
    assert isinstance(state.reserve_now((PLACES,), (1,)), Held)


def test_a_budget_that_nobody_has_read_is_not_spent() -> None:
    state = Memory(now=Ms())

    assert state.reserve_now((RPM, BUDGET), (1, 1)) == Unseeded(BUDGET)
    assert state.level(RPM).used == 0


def test_a_budget_tells_what_is_held_for_a_while_from_what_is_used_up() -> None:
    clock = Ms()
    state = Memory(now=clock)
    state.seed_now(BUDGET, 400, START)
    held = took(state.reserve_now((BUDGET,), (500,)))

    waits = refused(state.reserve_now((BUDGET,), (200,)))
    state.settle(held, (500,))
    gone = refused(state.reserve_now((BUDGET,), (200,)))

    assert (waits.wait, waits.spent) == (SHORTLY, False)
    assert (gone.wait, gone.spent) == (60_000, True)


def test_what_was_settled_before_the_records_were_read_is_not_counted_again() -> None:
    clock = Ms()
    state = Memory(now=clock)
    state.seed_now(BUDGET, 0, START)
    early, late = took(state.reserve_now((BUDGET,), (100,))), took(state.reserve_now((BUDGET,), (100,)))

    state.seed_now(BUDGET, 70, START + 1000, force=True)  # the records have the early one
    clock.ms += 999
    state.settle(early, (70,))
    clock.ms += 1
    state.settle(late, (30,))

    assert state.level(BUDGET).used == 100


def test_a_lease_that_runs_out_gives_places_back_and_keeps_grants_in_doubt() -> None:
    clock = Ms()
    state = Memory(now=clock, lease=30)
    grant = Bucket("grant a", 1000, "tokens", seeded=True, keep=True)
    state.seed_now(grant, 0, START)
    held = took(state.reserve_now((PLACES, grant), (2, 600)))

    clock.ms += 30_000
    again = refused(state.reserve_now((PLACES, grant), (2, 600)))
    doubt = state.level(grant)
    state.settle(held, (0, 250))  # it was alive after all

    assert (again.bucket, again.spent) == (grant, True)
    assert (doubt.held, doubt.doubt, state.level(PLACES).held) == (0, 600, 0)
    assert (state.level(grant).used, state.level(grant).doubt) == (250, 0)


@given(needs=st.lists(st.integers(0, 400), min_size=1, max_size=20))
def test_drawing_empties_one_hold_before_the_next_and_never_takes_more_than_there_is(needs: list[int]) -> None:
    state = Memory(now=Ms())
    holds = [Bucket(f"grant {name}", cap, "tokens", seeded=True) for name, cap in (("a", 100), ("b", 250), ("c", 500))]
    for hold in holds:
        state.seed_now(hold, 0, START)

    for need in needs:
        took(state.draw_now([(holds, need)]))

    total, levels = min(sum(needs), 850), [state.level(hold).held for hold in holds]
    assert levels == [min(total, 100), min(max(total - 100, 0), 250), min(max(total - 350, 0), 500)]


@pytest.mark.parametrize(("jump", "then"), [(3600, 100), (86_400, 100), (-3600, 0), (-1, 0)])
def test_windows_follow_the_wall_clock_and_a_clock_put_back_lets_nobody_in_twice(jump: int, then: int) -> None:
    clock = Ms()
    state = Memory(now=clock)
    for _ in range(100):
        state.reserve_now((RPM,), (1,))

    clock.ms += jump * 1000
    at_once = sum(isinstance(state.reserve_now((RPM,), (1,)), Held) for _ in range(100))
    clock.ms += 61_100
    later = sum(isinstance(state.reserve_now((RPM,), (1,)), Held) for _ in range(100))

    assert (at_once, later) == (then, 100)


def test_counters_of_users_who_have_gone_are_forgotten_and_the_others_are_not() -> None:
    clock = Ms()
    state = Memory(now=clock)
    users = [window(f"user red/{number} rpm", 5, "requests") for number in range(FEW + 10)]
    for user in users:
        state.reserve_now((user, PLACES), (1, 0))
        clock.ms += 100

    assert len(state._entries) < FEW
    assert [state.level(user).used for user in users[-600:]] == [1] * 600
