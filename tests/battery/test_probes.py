"""A hop that has rested is tried by one request at a time. The rest is short here."""

import time
from concurrent.futures import ThreadPoolExecutor

from tests.battery.conftest import Battery, Ready
from tests.battery.faulty import HOLD
from tests.battery.lines import PLAIN, Line, body_of, failed, said

REST = 0.4
CONFIG = {"defaults": {"breaker": {"failures": 2, "cooldown": "400ms"}}}
ANSWER = body_of(said("Good"))
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(ANSWER)
TWICE = (failed(500), failed(500))

LINES = {
    "heals": Line(((*TWICE, (HOLD, HEAD + ANSWER), said("Good")), PLAIN)),
    "stays-ill": Line(((*TWICE, failed(500), failed(500), said("Good")), PLAIN)),
    "abandoned": Line(((*TWICE, (HOLD,), said("Good")), PLAIN)),
}


def until_asked(line: Ready, count: int) -> None:
    """Calls until the first hop has been asked so often."""
    end = time.monotonic() + 20
    while line.asked[0] < count:
        assert time.monotonic() < end
        line.ask()
        time.sleep(0.01)


def test_one_request_at_a_time_tries_a_hop_that_has_rested_and_its_success_ends_the_rest(battery: Battery) -> None:
    line = battery["heals"]
    until_asked(line, 2)
    with ThreadPoolExecutor(1) as other:
        probing = other.submit(until_asked, line, 3)  # it holds the one that gets through

        assert line.hops[0].reached.wait(20)
        end = time.monotonic() + 20
        while line.asked[0] < 3 and time.monotonic() < end:
            time.sleep(0.005)
        meanwhile = [line.ask().served_by for _ in range(20)]
        line.hops[0].let_go()
        probing.result(20)

    assert meanwhile == ["q"] * 20
    assert [line.ask().served_by for _ in range(5)] == ["p"] * 5


def test_a_probe_that_fails_makes_the_next_rest_longer(battery: Battery) -> None:
    line = battery["stays-ill"]

    until_asked(line, 5)

    _, second, third, fourth, fifth = (asked.at for asked in line.hops[0].requests[:5])
    assert third - second > REST * 0.75
    assert fourth - third > REST * 2 * 0.75
    assert fifth - fourth > REST * 3 * 0.75


def test_a_probe_whose_client_leaves_says_nothing_and_another_comes(battery: Battery) -> None:
    line = battery["abandoned"]
    until_asked(line, 2)
    end = time.monotonic() + 20
    while line.asked[0] < 3 and time.monotonic() < end:
        with line.call() as call:
            time.sleep(0.03)
            call.leave()

    assert line.hops[0].left.wait(20)
    until_asked(line, 4)
    assert line.ask().served_by == "p"
