"""The clocks over a call: first word, idle, total, and the client's own patience. Upper bounds are wide: they tell a clock from none."""

import pytest

from tests.battery.conftest import Battery
from tests.battery.faulty import HOLD, Flood, Step
from tests.battery.lines import DONE, END, GOOD, PLAIN, ROLE, STREAM, Line, failed, said, word
from tests.battery.talking import cut, refused, whole

SLOW = 15.0
"""Seconds that nothing here may take, on a machine with much else to do."""
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
WAITING: dict[str, Step] = {
    "silence": (HOLD,),
    "half-a-head": (b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n", HOLD),
    "a-head": (STREAM, HOLD),
    "a-role": (STREAM, ROLE, HOLD),
    "comments": (STREAM, b": ping\n\n" * 50, HOLD),
    "pings": (STREAM, b'data: {"type":"ping"}\n\n' * 50, HOLD),
    "empty-words": (STREAM, word("") * 50, HOLD),
    "no-choices": (STREAM, b'data: {"id":"c1","choices":[]}\n\n' * 50, HOLD),
    "half-an-event": (STREAM, word("Hello")[:-20], HOLD),
    "informational-answers": (b"HTTP/1.1 102 Processing\r\n\r\n" * 50, HOLD),
}
"""Streams that have not begun, whatever has come of them."""
ALL_SLOW: dict[str, Step] = {
    "silence": (HOLD,),
    "a-head": (HEAD + b"content-length: 90\r\n\r\n", HOLD),
    "half-a-body": (HEAD + b"content-length: 90\r\n\r\n" + b'{"choices":[', HOLD),
    "white-space": (HEAD + b"\r\n" + b" " * 500, HOLD),
}
FIRST = {"timeouts": {"first_token": "300ms", "idle": "30s", "total": "60s"}}
DEAD = ((HOLD,),)

LINES = {
    **{f"first-{name}": Line(((step,), GOOD), {}, FIRST) for name, step in WAITING.items()},
    **{f"plain-{name}": Line(((step,), PLAIN), {}, FIRST) for name, step in ALL_SLOW.items()},
    "total": Line((DEAD, DEAD, DEAD, DEAD), {"timeouts": {"first_token": "400ms", "total": "1s"}}),
    "total-of-retries": Line(((failed(503, "slow", "retry-after: 1"),),), {"retry": {"max": 5}, "timeouts": {"total": "1500ms"}}),
    "total-in-a-stream": Line((((STREAM, word("Hello"), HOLD),),), {"timeouts": {"idle": "30s", "total": "600ms"}}),
    "total-of-a-stream-that-never-ends": Line((((STREAM, word("a"), Flood(word("a"))),),), {"timeouts": {"total": "600ms"}}),
    "idle-is-each-wait": Line((((STREAM, *map(word, "abc"), HOLD, word("d"), HOLD, END, DONE),),), {"timeouts": {"idle": "20s"}}),
    "comments-are-not-progress": Line((((STREAM, word("a"), Flood(b": ping\n\n" * 500)),),), {"timeouts": {"idle": "400ms"}}),
    "impatient": Line((((HOLD,),), PLAIN), {"retry": {"max": 2}}),
    "patient": Line(((said("Good"),),)),
}  # fmt: skip


@pytest.mark.parametrize("name", WAITING)
def test_a_stream_without_a_first_word_in_time_is_left_for_another_hop(battery: Battery, name: str) -> None:
    line = battery[f"first-{name}"]

    heard = line.ask(stream=True)

    whole(heard, "Good")
    assert heard.served_by == "q"
    assert 0.25 < heard.seconds < SLOW
    assert line.hops[0].left.wait(20)


@pytest.mark.parametrize("name", ALL_SLOW)
def test_a_plain_answer_that_is_not_there_in_time_is_left_for_another_hop(battery: Battery, name: str) -> None:
    line = battery[f"plain-{name}"]

    heard = line.ask()

    assert (heard.status, heard.served_by) == (200, "q")
    assert 0.25 < heard.seconds < SLOW
    assert line.hops[0].left.wait(20)


def test_one_deadline_is_over_all_attempts_and_not_each(battery: Battery) -> None:
    line = battery["total"]

    heard = line.ask(stream=True)

    refused(heard, 504, "timeout")
    assert 0.9 < heard.seconds < SLOW
    assert line.asked[3] == 0


def test_retries_end_with_the_deadline(battery: Battery) -> None:
    line = battery["total-of-retries"]

    heard = line.ask()

    assert heard.status in (503, 504)
    refused(heard, heard.status)
    assert heard.seconds < SLOW
    assert line.asked == (2,)


def test_a_stream_ends_with_the_deadline_in_an_error(battery: Battery) -> None:
    heard = battery["total-in-a-stream"].ask(stream=True)

    error = cut(heard, "Hello", "timeout")
    assert "total" in error["message"]
    assert 0.5 < heard.seconds < SLOW


def test_a_stream_that_never_ends_ends_with_the_deadline(battery: Battery) -> None:
    line = battery["total-of-a-stream-that-never-ends"]

    heard = line.ask(stream=True)

    assert b"[DONE]" not in heard.body
    assert heard.seconds < SLOW
    assert line.hops[0].left.wait(20)


def test_comments_without_end_are_no_progress(battery: Battery) -> None:
    line = battery["comments-are-not-progress"]

    heard = line.ask(stream=True)

    cut(heard, "a", "timeout")
    assert 0.3 < heard.seconds < SLOW
    assert line.hops[0].left.wait(20)


def test_a_word_begins_the_idle_wait_anew(battery: Battery) -> None:
    line = battery["idle-is-each-wait"]

    with line.call(stream=True) as call:
        call.until(b'"c"')
        line.hops[0].let_go()
        call.until(b'"d"')
        line.hops[0].let_go()

        whole(call.heard(), "abcd")


@pytest.mark.parametrize("header", ["x-stainless-read-timeout", "x-stainless-timeout"])
def test_a_client_is_answered_before_its_own_patience_ends(battery: Battery, header: str) -> None:
    line = battery["impatient"]
    before = line.asked

    heard = line.ask(headers={header: "0.4"})

    refused(heard, 504, "timeout")
    assert 0.3 < heard.seconds < SLOW
    assert line.asked == (before[0] + 1, before[1])


@pytest.mark.parametrize("patience", ["soon", "-1", "0", "nan", "", "1e999"])
def test_a_patience_that_is_no_time_is_none(battery: Battery, patience: str) -> None:
    assert battery["patient"].ask(headers={"x-stainless-read-timeout": patience}).status == 200
