"""Which hops are being rested, by a clock that the test turns."""

from collections.abc import Callable

import pytest

from gateway.routing.health import Health
from gateway.settings import Breaker
from providers.base import Kind
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
    health = Health(now=clock)
    for _ in range(3):
        assert health.lets("h")
        health.ill("h", "overloaded", BREAKER)
    return health


def test_a_hop_that_fails_too_often_in_a_row_is_rested_and_others_are_not() -> None:
    health = resting(Clock())

    assert not health.lets("h")
    assert health.lets("other")


def test_a_success_between_failures_begins_the_count_anew() -> None:
    health = Health(now=Clock())

    for _ in range(5):
        health.ill("h", "broken", BREAKER)
        health.ill("h", "timeout", BREAKER)
        health.well("h")

    assert health.lets("h")


@pytest.mark.parametrize("kind", ["bad_request", "unsupported", "too_long", "refused", "no_model", "auth", "quota", "rate_limited"])
def test_what_is_not_the_providers_failing_rests_nobody(kind: Kind) -> None:
    health = Health(now=Clock())

    for _ in range(10):
        health.ill("h", kind, BREAKER)

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


def test_a_try_that_fails_begins_the_rest_anew() -> None:
    clock = Clock()
    health = resting(clock)
    clock.now += 30
    health.lets("h")

    health.ill("h", "timeout", BREAKER)
    clock.now += 29

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
        health.ill("h", "bad_request", BREAKER)

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
