"""A hop that fails again and again is passed over, and what that spares. The breaker is as it is by default: five in a row, 30 s."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.battery.conftest import Battery, Ready
from tests.battery.faulty import HOLD, RESET, Script, Step
from tests.battery.lines import AWAY, GOOD, PLAIN, STREAM, Line, answer, failed, said, word
from tests.battery.talking import refused

FAILURES: dict[str, Step] = {
    "500": failed(500),
    "reset": (RESET,),
    "html": answer(200, b"<html>"),
    "silence": (HOLD,),
    "nothing": answer(200, b""),
}
NO_FAILURES = {400: 400, 413: 400, 422: 400}
"""Of the caller."""
OF_THE_ACCOUNT = (401, 402, 403, 404)
SHORT = {"timeouts": {"first_token": "150ms"}}
ROUNDS = 4
BY_TURNS: Script = (failed(500), said("Good")) * 40

LINES = {
    **{f"five-{name}": Line(((step,), PLAIN), {}, SHORT if name == "silence" else {}) for name, step in FAILURES.items()},
    **{f"mistake-{status}": Line(((*[failed(status)] * 12, said("Good")),)) for status in NO_FAILURES},
    **{f"account-{status}": Line(((*[failed(status)] * 12, said("Good")), PLAIN)) for status in OF_THE_ACCOUNT},
    **{f"dead-{number}": Line((AWAY, PLAIN), {"retry": {"max": 2}}) for number in range(ROUNDS)},
    **{f"dead-stream-{number}": Line((AWAY, GOOD), {"retry": {"max": 2}}) for number in range(ROUNDS)},
    "by-turns": Line((BY_TURNS, PLAIN)),
    "four-and-one": Line(((*[failed(500)] * 4, said("Good")) * 2, PLAIN)),
    "all-rest": Line(((*[failed(500)] * 8, said("Good")), (failed(500),))),
    "limited": Line(((failed(429, "slow", "retry-after: 1"), said("Good")), PLAIN)),
    "limited-long": Line(((failed(429, "slow", "retry-after: 60"),), PLAIN), {"retry": {"max": 2}}),
    "breaks-off": Line((((STREAM, word("half"), HOLD),), GOOD)),
    "no-retry-while-it-rests": Line(((failed(500),),), {"retry": {"max": 2}}),
    "models": Line(((failed(500),), PLAIN)),
}  # fmt: skip


def served_by(line: Ready, calls: int) -> str:
    return "".join(line.ask().served_by for _ in range(calls))


@pytest.mark.parametrize("name", FAILURES)
def test_five_failures_in_a_row_rest_a_hop(battery: Battery, name: str) -> None:
    line = battery[f"five-{name}"]

    assert served_by(line, 12) == "q" * 12

    assert line.asked == (5, 12)


def test_four_failures_and_a_success_do_not(battery: Battery) -> None:
    line = battery["four-and-one"]

    assert served_by(line, 10) == "qqqqp" * 2


def test_half_of_twenty_answers_that_fail_rest_a_hop(battery: Battery) -> None:
    line = battery["by-turns"]

    answers = served_by(line, 40)

    assert 20 <= line.asked[0] <= 22
    assert answers.endswith("q" * 18)


@pytest.mark.parametrize("status", NO_FAILURES)
def test_the_callers_mistakes_do_not_count(battery: Battery, status: int) -> None:
    line = battery[f"mistake-{status}"]

    for _ in range(12):
        refused(line.ask(), NO_FAILURES[status])

    assert line.ask().status == 200
    assert line.asked == (13,)


@pytest.mark.parametrize("status", OF_THE_ACCOUNT)
def test_what_the_account_is_refused_does_not_count(battery: Battery, status: int) -> None:
    line = battery[f"account-{status}"]

    assert served_by(line, 13) == "q" * 12 + "p"


def test_a_429_rests_a_hop_for_exactly_as_long_as_it_says(battery: Battery) -> None:
    line = battery["limited"]
    assert line.ask().served_by == "q"
    said_at = line.hops[0].requests[0].at

    while line.ask().served_by == "q" and time.monotonic() < said_at + 20:
        time.sleep(0.01)

    first, second = line.hops[0].requests
    assert 0.95 < second.at - first.at < 10


def test_a_hop_that_says_when_to_come_back_is_not_asked_before(battery: Battery) -> None:
    line = battery["limited-long"]

    assert served_by(line, 10) == "q" * 10

    assert line.asked == (1, 10)


def test_where_all_hops_rest_the_first_is_asked_all_the_same(battery: Battery) -> None:
    line = battery["all-rest"]

    statuses = [line.ask().status for _ in range(9)]

    assert statuses == [503] * 8 + [200]
    assert line.asked[0] == 9


def test_a_stream_that_breaks_off_counts(battery: Battery) -> None:
    line = battery["breaks-off"]
    asked = 0
    for _ in range(24):
        with line.call(stream=True) as call:
            call.until(b"\r\n\r\n")
            if line.asked[0] > asked:
                asked += 1
                call.until(b'"half"')
                line.hops[0].let_go()
            call.heard()

    assert line.ask(stream=True).served_by == "q"
    assert asked < 24


def test_nothing_is_tried_again_while_a_hop_rests(battery: Battery) -> None:
    line = battery["no-retry-while-it-rests"]
    for _ in range(4):
        line.ask()
    before = line.asked[0]

    heard = line.ask()

    refused(heard, 503)
    assert (heard.attempts, line.asked[0]) == (1, before + 1)


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_thirty_calls_to_a_dead_primary_cost_twenty_attempts_and_less_than_a_third_of_a_second(battery: Battery, stream: bool) -> None:
    """The machine may be busy with something else: what is asked is that it can be as fast."""
    added: list[float] = []
    for number in range(ROUNDS):
        line = battery[f"dead-{'stream-' if stream else ''}{number}"]
        heard = [line.ask(stream=stream) for _ in range(30)]
        assert [one.served_by for one in heard] == ["q"] * 30
        assert sum(one.attempts - 1 for one in heard) <= 20
        healthy = sorted(one.seconds for one in heard[10:])[10]
        added.append(sum(one.seconds - healthy for one in heard))

    assert min(added) < 0.3


def test_a_crowd_that_comes_at_once_finds_the_same_breaker(battery: Battery) -> None:
    line = battery["models"]

    with ThreadPoolExecutor(8) as crowd:
        answers = list(crowd.map(lambda _: line.ask().served_by, range(60)))

    assert answers == ["q"] * 60
    assert line.asked[0] <= 5 + 8
