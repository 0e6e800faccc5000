"""The client leaves, or does not read: in every phase the provider is let go of, and nothing is tried after that.

What is tried later would be tried before the exchange's record is made: these gateways run in the tests' own process to see it.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from providers.base import Json
from tests.battery.faulty import HOLD, DeadEnd, Faulty, Flood, Script, Step
from tests.battery.lines import DONE, END, GOOD, PLAIN, ROLE, STREAM, failed, piece, said, word
from tests.battery.talking import Call
from tests.conftest import PATIENCE, Background, Served

Serve = Callable[..., Served]
Start = Callable[..., Faulty]
WITHIN = 1.0
"""Seconds in which a provider is let go of."""
ROUNDS = 3
"""A machine that is busy may be late once."""
GONE = 499
MEGABYTE = 1 << 20
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 90\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"

USAGE = b'data: {"id":"c1","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}\n\n'

PLAIN_PHASES: dict[str, Step] = {
    "waiting": (HOLD,),
    "within-the-head": (b"HTTP/1.1 200 OK\r\ncontent-type: appl", HOLD),
    "within-the-body": (HEAD + b'{"choices":[', HOLD),
    "within-an-error": (HEAD.replace(b"200 OK", b"500 No") + b'{"error":', HOLD),
}
EARLY_PHASES: dict[str, Step] = {
    "waiting": (HOLD,),
    "after-the-head": (STREAM, HOLD),
    "after-the-role": (STREAM, ROLE, HOLD),
    "among-comments": (STREAM, Flood(b": ping\n\n" * 100)),
}
LATE_PHASES: dict[str, Step] = {
    "silent": (STREAM, ROLE, word("Hello"), HOLD),
    "chunked": (CHUNKED, piece(word("Hello")), HOLD),
    "speaking": (STREAM, word("Hello"), Flood(word("more"))),
    "after-the-finish": (STREAM, word("Hello"), END, HOLD),
}


@pytest.fixture
def start(background: Background) -> Iterator[Start]:
    made: list[Faulty] = []

    def one(*script: Step) -> Faulty:
        made.append(Faulty(background.loop, script))
        background.run(made[-1].open())
        return made[-1]

    yield one
    for each in made:
        background.run(each.close())


def served(gateway: Serve, *hops: str, server: Json | None = None, failures: int = 100, **route: Any) -> Served:
    accounts = {
        name: {"vendor": "openai_compatible", "jurisdiction": "cn-mainland", "base_url": url, "api_key": "provider-key"}
        for name, url in zip("pq", hops, strict=False)
    }
    first, *others = (f"{name}/x" for name in accounts)
    models = {"m": {"serve": [first], "fallback": others, "retry": {"max": 2}, **route}}
    return gateway({"providers": accounts, "models": models, "server": server or {}, "defaults": {"breaker": {"failures": failures}}})


def at_best(measure: Callable[[], float]) -> float:
    """The least of a few rounds: how fast it can be."""
    least = measure()
    for _ in range(ROUNDS - 1):
        if least < WITHIN:
            break
        least = min(least, measure())
    return least


def leaves(gateway: Serve, start: Start, step: Step, words: bytes, **fields: Any) -> float:
    """Seconds until the provider is let go of by whom the client has left after `words`."""
    held, other = start(step), start(said("never"))
    gate = served(gateway, held.url, other.url)
    with Call(gate.url, "m", **fields) as call:
        assert held.reached.wait(PATIENCE)
        call.until(words)
        left = call.leave()

    assert held.left.wait(PATIENCE)
    took = time.monotonic() - left

    assert gate.record().status == GONE
    assert (len(held.requests), len(other.requests)) == (1, 0)
    return took


@pytest.mark.parametrize("phase", PLAIN_PHASES)
def test_a_client_that_leaves_while_a_plain_answer_is_waited_for_frees_the_provider(gateway: Serve, start: Start, phase: str) -> None:
    assert at_best(lambda: leaves(gateway, start, PLAIN_PHASES[phase], b"")) < WITHIN


@pytest.mark.parametrize("phase", EARLY_PHASES)
def test_a_client_that_leaves_before_the_first_word_frees_the_provider(gateway: Serve, start: Start, phase: str) -> None:
    assert at_best(lambda: leaves(gateway, start, EARLY_PHASES[phase], b"", stream=True)) < WITHIN


@pytest.mark.parametrize("phase", LATE_PHASES)
def test_a_client_that_leaves_in_mid_stream_frees_the_provider(gateway: Serve, start: Start, phase: str) -> None:
    assert at_best(lambda: leaves(gateway, start, LATE_PHASES[phase], b'"Hello"', stream=True)) < WITHIN


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_a_client_that_leaves_while_a_retry_is_waited_for_ends_it(gateway: Serve, start: Start, stream: bool) -> None:
    def measure() -> float:
        one = start(failed(503, "slow", "retry-after: 4"), said("never"))
        gate = served(gateway, one.url)
        with Call(gate.url, "m", stream=stream) as call:
            assert one.reached.wait(PATIENCE)
            left = call.leave()
        assert gate.record().status == GONE
        took = time.monotonic() - left
        assert len(one.requests) == 1
        return took

    assert at_best(measure) < WITHIN


def test_a_client_that_leaves_while_a_fallback_is_waited_for_frees_that(gateway: Serve, start: Start) -> None:
    def measure() -> float:
        first, second = start(failed(401)), start((HOLD,))
        gate = served(gateway, first.url, second.url)
        with Call(gate.url, "m") as call:
            assert second.reached.wait(PATIENCE)
            left = call.leave()
        assert second.left.wait(PATIENCE)
        took = time.monotonic() - left
        assert gate.record().status == GONE
        assert (len(first.requests), len(second.requests)) == (1, 1)
        return took

    assert at_best(measure) < WITHIN


def test_a_client_that_leaves_while_a_connection_is_made_ends_it(gateway: Serve, start: Start) -> None:
    def measure() -> float:
        dead, other = DeadEnd(), start(said("never"))
        try:
            gate = served(gateway, dead.url, other.url)
            with Call(gate.url, "m") as call:
                left = call.leave()
            assert gate.record().status == GONE
            took = time.monotonic() - left
        finally:
            dead.close()
        assert len(other.requests) == 0
        return took

    assert at_best(measure) < WITHIN


def test_what_was_said_until_the_client_left_is_counted(gateway: Serve, start: Start) -> None:
    held = start((STREAM, ROLE, word("Hello there"), HOLD))
    gate = served(gateway, held.url)
    with Call(gate.url, "m", stream=True) as call:
        call.until(b'"Hello there"')
        call.leave()

    usage = gate.record().usage

    assert usage["completion_tokens"] > 0
    assert usage["prompt_tokens"] > 0


def test_a_client_that_reads_nothing_stops_the_provider_and_is_left_in_time(gateway: Serve, start: Start) -> None:
    flooding = start((STREAM, word("Hello"), Flood(word("x" * 4000), 256 * MEGABYTE)))
    gate = served(gateway, flooding.url, server={"write_timeout": "1s"})

    with Call(gate.url, "m", stream=True):
        assert flooding.left.wait(PATIENCE)

        assert flooding.written < 40 * MEGABYTE
        assert gate.record().faults == []


def test_a_client_that_reads_late_gets_all_of_it(gateway: Serve, start: Start) -> None:
    long = start((STREAM, word("Hello"), *(word("x" * 60_000) for _ in range(200)), END, USAGE, DONE))
    gate = served(gateway, long.url, timeouts={"idle": "300ms"})

    with Call(gate.url, "m", stream=True) as call:
        call.until(b'"Hello"')
        time.sleep(0.8)  # longer than the provider may be silent: it is not, and the wait is the client's own
        heard = call.heard()

    assert heard.proper
    assert heard.body.count(b"x") >= 200 * 60_000
    assert heard.body.endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize("script", [PLAIN, GOOD], ids=["plain", "stream"])
def test_a_client_that_leaves_is_no_failure_of_the_provider(gateway: Serve, start: Start, script: Script) -> None:
    one, other = start(*[(HOLD,)] * 6, *script), start(*script)
    gate = served(gateway, one.url, other.url, failures=2)
    for number in range(6):
        with Call(gate.url, "m", stream=script is GOOD) as call:
            while len(one.requests) <= number:
                time.sleep(0.005)
            call.leave()
        assert gate.record().status == GONE

    with Call(gate.url, "m", stream=script is GOOD) as call:
        assert call.heard().served_by == "p"
