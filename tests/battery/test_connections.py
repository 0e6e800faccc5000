"""Providers that cannot be talked to: refused, reset, closed, silent, and what is not HTTP. What is tried again and who is asked next."""

import pytest

from tests.battery.conftest import Battery
from tests.battery.faulty import HOLD, KEEP, RESET, Drip, Flood, Step
from tests.battery.lines import AWAY, CHUNKED, DEAD_END, GOOD, PLAIN, ROLE, STREAM, Line, answer, body_of, piece, said
from tests.battery.talking import refused, whole

MEGABYTE = 1 << 20
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
ANSWER = body_of(said("Good"))
LENGTH = b"content-length: %d\r\n" % len(ANSWER)


def plain(head: bytes, rest: bytes = ANSWER) -> Step:
    return (head + b"\r\n" + rest,)


FAILS: dict[str, Step] = {
    "closed-after-the-request": (),
    "reset-after-the-request": (RESET,),
    "closed-within-the-head": (HEAD,),
    "reset-within-the-head": (HEAD, RESET),
    "closed-after-the-head": (HEAD + LENGTH + b"\r\n",),
    "reset-after-the-head": (HEAD + LENGTH + b"\r\n", RESET),
    "not-http": (b"220 mail.example.net ESMTP\r\n",),
    "tls": (b"\x15\x03\x01\x00\x02\x02\x0a",),
    "zeros": (b"\0" * 4000,),
    "http-9": (b"HTTP/9.9 200 OK\r\n\r\n{}",),
    "a-status-that-is-a-word": (b"HTTP/1.1 fine\r\n\r\n{}",),
    "a-status-of-two-digits": (b"HTTP/1.1 20 OK\r\n\r\n{}",),
    "a-header-without-a-colon": (b"HTTP/1.1 200 OK\r\nmood good\r\n\r\n{}",),
    "a-length-below-zero": (HEAD + b"content-length: -5\r\n\r\n{}",),
    "a-length-that-is-a-word": (HEAD + b"content-length: long\r\n\r\n{}",),
    "two-lengths": (HEAD + b"content-length: 2\r\ncontent-length: 3\r\n\r\n{}a",),
    "a-head-of-a-megabyte": (HEAD + b"x-a: " + b"a" * MEGABYTE + b"\r\n\r\n" + ANSWER,),
    "a-head-of-many-lines": (HEAD + b"".join(b"x-%d: a\r\n" % n for n in range(20_000)) + b"\r\n" + ANSWER,),
    "a-head-without-end": (HEAD, Flood(b"x-a: " + b"a" * 1000 + b"\r\n")),
    "a-line-without-end": (b"HTTP/1.1 200 " + b"O" * 100, Flood(b"K" * (64 << 10))),
}
GREETINGS: dict[str, Step] = {
    "closed-when-it-connects": (),
    "reset-when-it-connects": (RESET,),
    "a-greeting-of-its-own": (b"SSH-2.0-OpenSSH_9.6\r\n",),
}
WELL: dict[str, Step] = {
    "no-length-but-the-end": plain(HEAD),
    "byte-by-byte": (Drip(HEAD + LENGTH + b"\r\n" + ANSWER),),
    "odd-headers": plain(HEAD + LENGTH + b"X-Odd: \xe4\xf6\xfc\r\nset-cookie: a=b\r\nx-empty:\r\n"),
    "more-than-its-length": plain(HEAD + LENGTH, ANSWER + b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"),
    "a-close-that-says-so": plain(HEAD + LENGTH + b"connection: close\r\n"),
}
"""Odd, and whole all the same."""
SHORT = {"timeouts": {"first_token": "400ms", "connect": "300ms"}}
EVIL = body_of(said("Evil"))
KEPT: Step = (HEAD + LENGTH + b"\r\n" + ANSWER, KEEP)

LINES = {
    "away": Line((AWAY, GOOD), {"retry": {"max": 1}}),
    "away-alone": Line((AWAY,), {"retry": {"max": 1}}),
    "dead-end": Line((DEAD_END, PLAIN), {}, SHORT),
    "dead-end-alone": Line((DEAD_END,), {}, SHORT),
    "black-hole-plain": Line((((HOLD,),), PLAIN), {"retry": {"max": 2}}, SHORT),
    "black-hole-stream": Line((((HOLD,),), GOOD), {"retry": {"max": 2}}, SHORT),
    "black-hole-alone": Line((((HOLD,),),), {"retry": {"max": 2}}, SHORT),
    **{name: Line(((step,), PLAIN), {"retry": {"max": 1}}) for name, step in FAILS.items()},
    **{f"{name}-alone": Line(((step,),)) for name, step in FAILS.items()},
    **{name: Line((PLAIN, GOOD), {"retry": {"max": 1}}, greeting=step) for name, step in GREETINGS.items()},
    **{name: Line(((step,),)) for name, step in WELL.items()},
    "kept-and-closed": Line((((HEAD + LENGTH + b"\r\n" + ANSWER,),),), {"retry": {"max": 1}}),
    "kept-and-reset": Line(((KEPT, (RESET,), said("Good")),), {"retry": {"max": 1}}),
    "smuggled": Line(((
        (HEAD + LENGTH + b"\r\n" + ANSWER + HEAD + b"content-length: %d\r\n\r\n" % len(EVIL) + EVIL, KEEP),
        said("Good"),
    ),)),
    "half-read": Line((((STREAM, ROLE, HOLD),), GOOD), {}, SHORT),
    "kept": Line(((KEPT,),)),
    "kept-streams": Line((((CHUNKED, *(piece(one) for one in GOOD[0][1:] if isinstance(one, bytes)), b"0\r\n\r\n", KEEP),),)),
    "a-teapot-that-closes": Line((((b"HTTP/1.1 429 Slow\r\nretry-after: 50\r\ncontent-length: 90\r\n\r\n{", RESET),),)),
    "wide": Line((AWAY, (answer(503, b""),), ((RESET,),), ((HOLD,),), PLAIN), {"retry": {"max": 0}, "timeouts": {"first_token": "1s"}}),
}  # fmt: skip


def test_an_address_where_nobody_listens_is_tried_again_and_then_another(battery: Battery) -> None:
    alone, pair = battery["away-alone"].ask(), battery["away"].ask(stream=True)

    refused(alone, 502, "upstream_unreachable")
    assert (alone.attempts, alone.headers["x-should-retry"]) == (2, "false")
    whole(pair, "Good")
    assert (pair.served_by, pair.attempts) == ("q", 3)


def test_a_connection_that_is_not_made_in_time_is_a_502_or_another_hops(battery: Battery) -> None:
    alone, pair = battery["dead-end-alone"].ask(), battery["dead-end"].ask()

    refused(alone, 502, "upstream_unreachable")
    assert 0.25 < alone.seconds < 10
    assert (pair.status, pair.served_by) == (200, "q")


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_a_provider_that_never_answers_is_left_for_another_and_not_tried_again(battery: Battery, stream: bool) -> None:
    line = battery["black-hole-stream" if stream else "black-hole-plain"]

    heard = line.ask(stream=stream)

    assert (heard.status, heard.served_by) == (200, "q")
    assert line.asked == (1, 1)
    assert line.hops[0].left.wait(20)


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_a_provider_that_never_answers_is_a_504(battery: Battery, stream: bool) -> None:
    heard = battery["black-hole-alone"].ask(stream=stream)

    refused(heard, 504, "timeout")
    assert 0.35 < heard.seconds < 10
    assert heard.attempts == 1
    assert heard.headers["x-should-retry"] == "false"


@pytest.mark.parametrize("name", FAILS)
def test_a_connection_that_fails_before_an_answer_is_tried_again_and_then_another(battery: Battery, name: str) -> None:
    line = battery[name]

    heard = line.ask()

    assert heard.status == 200
    assert heard.json["choices"][0]["message"]["content"] == "Good"
    assert (heard.served_by, line.asked) == ("q", (2, 1))


@pytest.mark.parametrize("name", FAILS)
def test_a_connection_that_fails_before_an_answer_is_a_502(battery: Battery, name: str) -> None:
    line = battery[f"{name}-alone"]

    heard = line.ask(stream=True)

    refused(heard, 502)
    assert line.hops[0].written < 40 * MEGABYTE


@pytest.mark.parametrize("name", GREETINGS)
def test_a_connection_that_fails_before_the_request_is_read_is_tried_again_and_then_another(battery: Battery, name: str) -> None:
    line = battery[name]

    heard = line.ask(stream=True)

    whole(heard, "Good")
    assert heard.served_by == "q"
    assert line.hops[0].connections == 2


@pytest.mark.parametrize("name", WELL)
def test_an_answer_in_an_odd_frame_is_an_answer(battery: Battery, name: str) -> None:
    heard = battery[name].ask()

    assert heard.status == 200
    assert heard.json["choices"][0]["message"]["content"] == "Good"
    assert "set-cookie" not in heard.headers


@pytest.mark.parametrize("name", ["kept-and-closed", "kept-and-reset"])
def test_a_kept_connection_that_has_gone_costs_no_answer(battery: Battery, name: str) -> None:
    line = battery[name]

    heard = [line.ask() for _ in range(3)]

    assert [one.status for one in heard] == [200, 200, 200]


def test_what_follows_an_answer_is_never_the_answer_to_another_request(battery: Battery) -> None:
    line = battery["smuggled"]

    heard = [line.ask() for _ in range(3)]

    assert [one.json["choices"][0]["message"]["content"] for one in heard] == ["Good"] * 3


@pytest.mark.parametrize(("name", "stream"), [("kept", False), ("kept-streams", True)])
def test_a_connection_is_kept_for_the_next_request(battery: Battery, name: str, stream: bool) -> None:
    line = battery[name]

    assert [line.ask(stream=stream).status for _ in range(5)] == [200] * 5

    assert line.hops[0].connections == 1


def test_a_connection_with_half_an_answer_is_not_kept(battery: Battery) -> None:
    line = battery["half-read"]

    whole(line.ask(stream=True), "Good")

    assert line.hops[0].left.wait(20)


def test_a_refusal_that_breaks_off_is_judged_by_its_status(battery: Battery) -> None:
    heard = battery["a-teapot-that-closes"].ask()

    refused(heard, 429, "rate_limit_exceeded")
    assert heard.headers["retry-after"] == "50"


def test_hops_are_asked_in_their_order_until_one_answers(battery: Battery) -> None:
    line = battery["wide"]

    heard = line.ask()

    assert (heard.status, heard.served_by, heard.attempts) == (200, "t", 5)
    assert line.asked == (1, 1, 1, 1)
