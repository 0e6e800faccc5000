"""`limits` of an account: what it is not sent, and who is asked instead."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.routing.limits import MINUTE, Window
from tests.conftest import PATIENCE, Served
from tests.gateway.provider import HOLD, Make, Provider, failed, route, said, streamed

Serve = Callable[..., Served]


def served(gateway: Serve, one: Provider, two: Provider | None = None, **limits: Any) -> Served:
    accounts = {"p": one.account(limits=limits)} | ({"q": two.account()} if two else {})
    return gateway({"providers": accounts, "models": route(*[f"{name}/x" for name in accounts])})


@pytest.mark.parametrize("stream", [False, True])
def test_above_its_requests_a_minute_the_next_hop_is_asked(gateway: Serve, provider: Make, stream: bool) -> None:
    answer = streamed("Hi") if stream else said("Hi")
    one, two = provider(answer), provider(answer)
    gate = served(gateway, one, two, rpm=3)

    hops = [gate.chat(stream=stream).headers["x-banjia-provider"] for _ in range(5)]

    assert hops == ["p", "p", "p", "q", "q"]


def test_where_nobody_else_may_serve_the_client_is_told_when_to_come_back(gateway: Serve, provider: Make) -> None:
    one = provider(said("Hi"))
    gate = served(gateway, one, rpm=1)
    gate.chat()

    reply = gate.chat()

    assert (reply.status_code, reply.json()["error"]["code"]) == (429, "rate_limit_exceeded")
    assert 0 < int(reply.headers["retry-after"]) <= 120
    assert len(one.requests) == 1


def test_tokens_are_reckoned_before_and_counted_after(gateway: Serve, provider: Make) -> None:
    one, two = provider(said("Hi")), provider(said("Hi"))  # each is said to use 5 tokens
    gate = served(gateway, one, two, tpm=1000)

    few = [gate.chat(max_tokens=100).headers["x-banjia-provider"] for _ in range(20)]
    large = gate.chat(max_tokens=950).headers["x-banjia-provider"]

    assert few == ["p"] * 20
    assert large == "q"


def test_requests_at_once_are_bounded_and_the_place_is_free_again(gateway: Serve, provider: Make) -> None:
    one, two = provider((HOLD, *streamed("Hi")), streamed("Hi")), provider(streamed("Hi"))
    gate = served(gateway, one, two, concurrent=1)

    with ThreadPoolExecutor(1) as beside:
        first = beside.submit(gate.chat, stream=True)
        assert one.reached.wait(PATIENCE)
        assert gate.chat(stream=True).headers["x-banjia-provider"] == "q"
        one.let_go()
        assert first.result(PATIENCE).headers["x-banjia-provider"] == "p"
    assert gate.record()
    assert gate.record()

    assert gate.chat(stream=True).headers["x-banjia-provider"] == "p"


def test_a_failed_attempt_frees_its_place(gateway: Serve, provider: Make) -> None:
    one = provider(failed(500), said("Hi"))
    gate = served(gateway, one, concurrent=1)

    assert [gate.chat().status_code for _ in range(2)] == [503, 200]


@given(st.lists(st.floats(0, 20), min_size=1, max_size=200), st.integers(1, 10))
def test_no_two_minutes_that_follow_each_other_let_more_through_than_they_may(pauses: list[float], most: int) -> None:
    window = Window(0.0)
    now, sent = 0.0, []
    for pause in pauses:
        now += pause
        if window.wait(1, most, now) == 0:
            window.now += 1
            sent.append(now)

    for start in range(int(now / MINUTE) + 1):
        assert sum(start * MINUTE <= moment < (start + 1) * MINUTE for moment in sent) <= most


@given(st.lists(st.floats(0, 20), min_size=1, max_size=60), st.integers(1, 10))
def test_who_waits_as_told_is_let_through(pauses: list[float], most: int) -> None:
    window = Window(0.0)
    now = 0.0
    for pause in pauses:
        now += pause
        wait = window.wait(1, most, now)
        now += wait + 1e-6
        assert window.wait(1, most, now) == 0
        window.now += 1
