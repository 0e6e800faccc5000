"""What is limited, and what a client is told about it."""

import pytest

from gateway.accounting.limits import Limits, Told, amount, buckets_of, came_of, duration, headers_of, told
from gateway.state.base import NEVER, Bucket, Held, Refused
from gateway.state.memory import Memory

NOW = 1_800_000_000.0
RED = buckets_of("team red", Limits(rpm=60, tpm=1000, concurrent=2))
KEY = buckets_of("key red/main", Limits(rpm=5))


@pytest.mark.parametrize(
    ("ms", "said"),
    [
        (0, "0s"),
        (20, "20ms"),
        (999, "999ms"),
        (1000, "1s"),
        (1500, "1.5s"),
        (8640, "8.64s"),
        (59_999, "59.999s"),
        (60_000, "1m0s"),
        (62_000, "1m2s"),
        (60_100, "1m0.1s"),
        (360_000, "6m0s"),
        (3_600_000, "1h0m0s"),
        (86_399_000, "23h59m59s"),
    ],
)
def test_durations_are_written_as_openai_writes_them(ms: int, said: str) -> None:
    assert duration(ms) == said


@pytest.mark.parametrize(
    ("value", "unit", "said"),
    [
        (3000 * 10**9, "CNY", "3000 CNY"),
        (1_500_000_000, "USD", "1.5 USD"),
        (1, "CNY", "0.000000001 CNY"),
        (50_000_000, "tokens", "50000000 tokens"),
    ],
)
def test_amounts_are_written_out(value: int, unit: str, said: str) -> None:
    assert amount(value, unit) == said


def test_only_what_is_limited_is_counted() -> None:
    assert buckets_of("team red", Limits()) == []
    assert [(bucket.key, bucket.cap, bucket.unit) for bucket in RED] == [
        ("team red rpm", 60, "requests"),
        ("team red tpm", 1000, "tokens"),
        ("team red concurrent", 2, "concurrent"),
    ]


def test_the_headers_tell_the_limit_with_the_least_left() -> None:
    state = Memory(now=lambda: NOW)

    held = state.reserve_now((*RED, *KEY), (1, 400, 1, 1))

    assert isinstance(held, Held)
    assert headers_of(held) == [
        (b"x-ratelimit-limit-requests", b"5"),
        (b"x-ratelimit-remaining-requests", b"4"),
        (b"x-ratelimit-reset-requests", b"1m0.1s"),
        (b"x-ratelimit-limit-tokens", b"1000"),
        (b"x-ratelimit-remaining-tokens", b"600"),
        (b"x-ratelimit-reset-tokens", b"1m0.1s"),
    ]


def test_a_request_that_failed_stays_a_request_and_gives_its_tokens_and_its_place_back() -> None:
    state = Memory(now=lambda: NOW)
    held = state.reserve_now(RED, (1, 400, 1))
    assert isinstance(held, Held)

    state.settle(held, came_of(held.buckets, {}))

    assert [(level.used, level.held) for level in map(state.level, RED)] == [(1, 0), (0, 0), (0, 0)]


def refused(amounts: tuple[int, int, int], times: int) -> Told:
    state = Memory(now=lambda: NOW)
    for _ in range(times):
        state.reserve_now(RED, amounts)
    got = state.reserve_now(RED, amounts)
    assert isinstance(got, Refused)
    return told(got, NOW)


def test_who_is_refused_for_its_tokens_is_told_which_limit_and_exactly_when_to_come_back() -> None:
    assert refused((1, 400, 0), 2) == Told(
        429,
        "tokens",
        "rate_limit_exceeded",
        "Rate limit reached for the tokens a minute of team red (1000). Please try again in 1m0.1s.",
        [
            (b"retry-after", b"61"),
            (b"retry-after-ms", b"60100"),
            (b"x-ratelimit-limit-tokens", b"1000"),
            (b"x-ratelimit-remaining-tokens", b"200"),
            (b"x-ratelimit-reset-tokens", b"1m0.1s"),
        ],
    )


def test_what_is_too_large_for_the_limit_is_not_to_be_tried_again() -> None:
    found = refused((1, 1001, 1), 0)

    assert (found.status, found.code) == (429, "rate_limit_exceeded")
    assert (b"x-should-retry", b"false") in found.headers
    assert not any(name.startswith(b"retry-after") for name, _ in found.headers)


def test_requests_at_once_may_be_tried_again_shortly() -> None:
    found = refused((1, 1, 1), 2)

    assert found.message == "Rate limit reached for the requests at once of team red (2). Please try again in 1s."
    assert found.headers == [(b"retry-after", b"1"), (b"retry-after-ms", b"1000")]


@pytest.mark.parametrize(
    ("refusal", "status", "code", "headers"),
    [
        (
            {"wait": 90_000, "spent": True},
            429,
            "insufficient_quota",
            [(b"retry-after", b"90"), (b"retry-after-ms", b"90000"), (b"x-should-retry", b"false")],
        ),
        ({"wait": NEVER, "spent": True}, 429, "insufficient_quota", [(b"x-should-retry", b"false")]),
        ({"wait": 1000}, 429, "rate_limit_exceeded", [(b"retry-after", b"1"), (b"retry-after-ms", b"1000")]),
        ({"wait": 1000, "unreachable": True}, 503, "overloaded", [(b"retry-after", b"1"), (b"retry-after-ms", b"1000")]),
    ],
)
def test_a_budget_that_is_used_up_is_another_thing_than_one_that_is_held_or_not_known(
    refusal: dict[str, int], status: int, code: str, headers: list[tuple[bytes, bytes]]
) -> None:
    budget = Bucket("team red budget", 10**9, "CNY", "team red", seeded=True)

    found = told(Refused(budget, **refusal), NOW)  # type: ignore[arg-type]

    assert (found.status, found.code, found.headers) == (status, code, headers)
    assert "team red" in found.message
