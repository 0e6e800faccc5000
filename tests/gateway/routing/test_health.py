"""Which hops are being rested, by a clock that the test turns."""

from collections.abc import Callable

import pytest

from gateway.routing.health import Health
from gateway.settings import Breaker
from providers.base import Fault, Kind
from tests.conftest import Served
from tests.gateway.provider import Make, failed, route, said

BREAKER = Breaker(failures=3, cooldown="30s")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def resting(clock: Clock) -> Health:
    """Of a hop `h` that has just failed too often."""
    health = Health(now=clock, draw=lambda: 0.5)
    for _ in range(3):
        assert health.lets("h")
        health.ill("h", Fault("overloaded", ""), BREAKER)
    return health


def test_a_hop_that_fails_too_often_in_a_row_is_rested_and_others_are_not() -> None:
    health = resting(Clock())

    assert not health.lets("h")
    assert health.lets("other")


def test_a_success_between_failures_begins_the_count_anew() -> None:
    health = Health(now=Clock(), draw=lambda: 0.5)

    for _ in range(5):
        health.ill("h", Fault("broken", ""), BREAKER)
        health.ill("h", Fault("timeout", ""), BREAKER)
        health.well("h")

    assert health.lets("h")


@pytest.mark.parametrize("kind", ["bad_request", "unsupported", "too_long", "refused", "no_model", "auth", "quota", "rate_limited"])
def test_what_is_not_the_providers_failing_rests_nobody(kind: Kind) -> None:
    health = Health(now=Clock(), draw=lambda: 0.5)

    for _ in range(10):
        health.ill("h", Fault(kind, ""), BREAKER)

    assert health.lets("h")


def test_after_its_rest_one_at_a_time_may_try() -> None:
    clock = Clock()
    health = resting(clock)

    clock.now += 30

    assert [health.lets("h") for _ in range(3)] == [True, False, False]


def test_a_try_that_succeeds_ends_the_rest() -> None:
    clock = Clock()
    health = resting(clock)
    clock.now += 30
    health.lets("h")

    health.well("h")

    assert [health.lets("h"), health.lets("h")] == [True, True]


def test_a_try_that_fails_begins_a_longer_rest() -> None:
    clock = Clock()
    health = resting(clock)
    clock.now += 30
    health.lets("h")

    health.ill("h", Fault("timeout", ""), BREAKER)
    clock.now += 59

    assert not health.lets("h")
    clock.now += 1
    assert health.lets("h")


@pytest.mark.parametrize("end", ["left", "bad_request"])
def test_a_try_that_told_nothing_leaves_room_for_the_next(end: str) -> None:
    clock = Clock()
    health = resting(clock)
    clock.now += 30
    health.lets("h")

    if end == "left":
        health.left("h")
    else:
        health.ill("h", Fault("bad_request", ""), BREAKER)

    assert health.lets("h")


def test_a_hop_that_is_rested_is_not_asked_and_its_fallback_answers(gateway: Callable[..., Served], provider: Make) -> None:
    bad, good = provider(failed(500)), provider(said("Good"))
    config = {"providers": {"p": bad.account(), "q": good.account()}, "models": route("p/x", "q/y")}
    served = gateway({**config, "defaults": {"breaker": {"failures": 3, "cooldown": "300s"}}})

    answers = [served.chat().headers["x-banjia-provider"] for _ in range(6)]

    assert answers == ["q"] * 6
    assert len(bad.requests) == 3


def test_where_every_hop_is_rested_the_first_is_asked_all_the_same(gateway: Callable[..., Served], provider: Make) -> None:
    one = provider(failed(500), said("Back"))
    served = gateway(
        {"providers": {"p": one.account()}, "models": route("p/x"), "defaults": {"breaker": {"failures": 1, "cooldown": "300s"}}}
    )

    statuses = [served.chat().status_code for _ in range(3)]

    assert statuses == [503, 200, 200]


def test_no_rest_is_longer_than_five_minutes() -> None:
    clock = Clock()
    health = resting(clock)
    for _ in range(30):
        clock.now += 300
        assert health.lets("h")
        health.ill("h", Fault("timeout", ""), BREAKER)

    clock.now += 300

    assert health.lets("h")


def test_rests_are_spread_by_a_fifth() -> None:
    clock = Clock()
    health = Health(now=clock, draw=lambda: 0.0)
    for _ in range(3):
        health.ill("h", Fault("timeout", ""), BREAKER)

    clock.now += 23.9
    assert not health.lets("h")
    clock.now += 0.2
    assert health.lets("h")


def test_a_hop_is_rested_when_half_of_twenty_answers_fail_though_never_in_a_row() -> None:
    health = Health(now=Clock(), draw=lambda: 0.5)

    for _ in range(9):
        health.ill("h", Fault("broken", ""), BREAKER)
        health.well("h")
    assert health.lets("h")
    health.well("h")
    health.ill("h", Fault("broken", ""), BREAKER)

    assert not health.lets("h")


def test_failures_of_long_ago_do_not_count() -> None:
    clock = Clock()
    health = Health(now=clock, draw=lambda: 0.5)

    for _ in range(30):
        health.ill("h", Fault("broken", ""), BREAKER)
        health.well("h")
        clock.now += 4

    assert health.lets("h")


def test_a_rate_limit_rests_for_exactly_what_the_provider_says_and_needs_no_probe() -> None:
    clock = Clock()
    health = Health(now=clock, draw=lambda: 0.0)

    health.ill("h", Fault("rate_limited", "", retry_after=7), BREAKER)

    clock.now += 6.9
    assert not health.lets("h")
    clock.now += 0.1
    assert [health.lets("h"), health.lets("h")] == [True, True]


def test_retries_are_a_fifth_of_the_requests_and_three_in_any_case() -> None:
    clock = Clock()
    health = Health(now=clock)

    assert [health.spend_retry("a") for _ in range(4)] == [True, True, True, False]
    for _ in range(30):
        health.asked("a")
    assert [health.spend_retry("a") for _ in range(4)] == [True, True, True, False]
    assert health.spend_retry("b")
    clock.now += 31
    assert health.spend_retry("a")
