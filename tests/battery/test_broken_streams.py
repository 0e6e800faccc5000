"""Streams that break off: after the first word the client is told so, before it another hop answers unseen. Never is one shown as whole."""

import gzip
import json

import pytest
from openai import APIError

from providers.base import Json
from tests.battery.conftest import Battery
from tests.battery.faulty import HOLD, RESET, Flood, Step
from tests.battery.lines import CHUNKED, DONE, END, GOOD, PLAIN, ROLE, STREAM, Line, chunk, piece, word
from tests.battery.talking import cut, refused, whole

HELD = "300ms"
"""The idle timer: what is only silent is waited for this long."""
MEGABYTE = 1 << 20


def event(body: Json, name: str = "") -> bytes:
    return (f"event: {name}\n" if name else "").encode() + b"data: " + json.dumps(body).encode() + b"\n\n"


def declared(length: int) -> bytes:
    return b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: %d\r\n\r\n" % length


ERROR = {"message": "boom", "type": "server_error", "code": "server_error"}
CALL = {"index": 0, "id": "call_a", "type": "function", "function": {"name": "f", "arguments": '{"a'}}
PAGE = b"<html><head><title>502 Bad Gateway</title></head>\n<body>502</body></html>\n"
LAST = b"0\r\n\r\n"

BREAKS: dict[str, Step] = {
    # ---- it ends too soon ----
    "closed": (STREAM,),
    "ended-as-if-it-were-whole": (CHUNKED, LAST),
    "no-last-chunk": (CHUNKED,),
    "shorter-than-declared": (declared(100_000),),
    "reset": (CHUNKED, RESET),
    "half-an-event": (STREAM, word("more")[:-30]),
    "half-an-event-and-a-reset": (STREAM, word("more")[:-30], RESET),
    "half-a-character": (STREAM, b'data: {"choices":[{"index":0,"delta":{"content":"\xe4\xb8'),
    "usage-and-no-finish": (STREAM, event({"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}})),
    "in-the-middle-of-a-call": (STREAM, event(chunk({"tool_calls": [CALL]}))[:-20]),
    # ---- it says that it has failed ----
    "error": (STREAM, event({"error": ERROR})),
    "error-and-done": (STREAM, event({"error": ERROR}), DONE),
    "error-and-a-finish": (STREAM, event({"error": ERROR}), END, DONE),
    "error-beside-a-finish": (STREAM, event(chunk({}, "stop", error=ERROR)), DONE),
    "error-as-text": (STREAM, event({"error": "boom"}), DONE),
    "error-with-a-name": (STREAM, event({"message": "boom"}, "error"), DONE),
    "error-with-a-name-and-no-json": (STREAM, b"event: error\ndata: boom\n\n", DONE),
    "error-object": (STREAM, event({"object": "error", "message": "boom", "code": 500}), DONE),
    "error-code": (STREAM, event({"error_code": 336100, "error_msg": "boom"}), DONE),
    "error-code-beside-choices": (STREAM, event({"error_code": 336100, "error_msg": "boom", "choices": []}), DONE),
    "code-and-message": (STREAM, event({"code": "Throttling", "message": "boom"}), DONE),
    "detail": (STREAM, event({"detail": "boom"}), DONE),
    "error-without-data": (STREAM, json.dumps({"error": ERROR}).encode() + b"\n\n"),
    "type-error": (STREAM, event({"type": "error", "error": ERROR}, "error"), DONE),
    # ---- it is not what it should be ----
    "html-as-data": (STREAM, b"data: " + PAGE.replace(b"\n", b" ") + b"\n\n", END, DONE),
    "html": (STREAM, PAGE),
    "html-and-a-finish": (STREAM, PAGE + b"\n", END, DONE),
    "no-json-and-no-finish": (STREAM, b"data: {not json\n\n"),
    "no-json-and-done-without-a-finish": (STREAM, b"data: {not json\n\n", DONE),
    "no-utf8-and-no-finish": (STREAM, word("x").replace(b"x", b"\xff\xfe"), DONE),
    "gzip": (STREAM, gzip.compress(word("more") + END + DONE)),
    "nothing-but-zeros": (STREAM, b"\0" * 5000),
    "words-that-are-a-list": (STREAM, event(chunk({"content": ["more"]})), END, DONE),
    "a-delta-that-is-a-list": (STREAM, event(chunk([1])), END, DONE),
    "choices-that-are-null": (STREAM, b'data: {"choices":[null]}\n\n', END, DONE),
    "a-finish-that-is-a-number": (STREAM, event(chunk({}, 7)), DONE),
    # ---- HTTP that is none ----
    "no-size-of-a-chunk": (CHUNKED, b"zz\r\nmore\r\n"),
    "a-chunk-longer-than-its-size": (CHUNKED, b"3\r\n" + word("more") + b"\r\n" + LAST),
    "a-size-below-zero": (CHUNKED, b"-5\r\nhello\r\n"),
    "a-size-beyond-all-bounds": (CHUNKED, b"f" * 40 + b"\r\nhello\r\n"),
    "another-answer-within": (CHUNKED, b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"),
    # ---- it does not end ----
    "silence": (STREAM, HOLD),
    "silence-after-half-an-event": (STREAM, word("more")[:-30], HOLD),
    "comments-and-silence": (STREAM, b": ping\n\n" * 20, HOLD),
    "a-line-without-end": (STREAM, Flood(b"x" * (64 << 10))),
    "an-event-without-end": (STREAM, Flood(b"data: " + b"x" * (64 << 10) + b"\n")),
    "a-word-of-17-megabytes": (STREAM, word("x" * (17 * MEGABYTE)), END, DONE),
    "a-comment-without-end": (STREAM, Flood(b": " + b"x" * (64 << 10))),
}
"""By what follows the head and some words."""
SILENT = ("silence", "silence-after-half-an-event", "comments-and-silence")
ENDLESS = ("a-line-without-end", "an-event-without-end", "a-comment-without-end")


def after(head: bytes, *rest: bytes) -> tuple[bytes, ...]:
    """A head with events that follow it, framed as it says."""
    return (head, *(piece(one) if head is CHUNKED else one for one in rest))


def late(step: Step) -> Step:
    """The break after a word that the client has."""
    head, *rest = step
    assert isinstance(head, bytes)
    return (*after(head, ROLE, word("Hello")), HOLD, *rest)


def early(step: Step) -> Step:
    """The break before the first word."""
    head, *rest = step
    assert isinstance(head, bytes)
    return (*after(head, ROLE), *rest)


def timers(name: str, which: str) -> Json:
    """Short where the end is silence."""
    return {"timeouts": {which: HELD}} if name in SILENT else {}


ALONE = (*SILENT, "closed", "error", "html")
SHORT: Json = {"timeouts": {"idle": HELD}}
LINES = {
    **{f"late-{name}": Line(((late(step),), GOOD), {"retry": {"max": 2}}, timers(name, "idle")) for name, step in BREAKS.items()},
    **{f"early-{name}": Line(((early(step),), GOOD), {}, timers(name, "first_token")) for name, step in BREAKS.items()},
    **{f"alone-{name}": Line(((early(BREAKS[name]),),), {}, timers(name, "first_token")) for name in ALONE},
    "one-of-two": Line((((STREAM, ROLE, word("Hello"), HOLD, END, DONE),), GOOD)),
    "after-the-finish": Line((((CHUNKED, piece(word("Hello") + END), HOLD, b"what?\r\n"),),)),
    "framed-wrong": Line((((CHUNKED, piece(word("Hello")), HOLD, b"zz\r\nmore\r\n", HOLD),), GOOD)),
    "framed-wrong-and-plain": Line((((CHUNKED, piece(b"{"), HOLD, b"zz\r\nmore\r\n", HOLD),), PLAIN)),
    "for-the-sdk": Line((((STREAM, word("Hello"), HOLD),),), {}, SHORT),
}


@pytest.mark.parametrize("name", BREAKS)
def test_a_stream_that_breaks_after_its_first_word_ends_in_one_error_and_nobody_else_is_asked(battery: Battery, name: str) -> None:
    line = battery[f"late-{name}"]

    with line.call(stream=True, stream_options={"include_usage": True}) as call:
        call.until(b'"Hello"')
        line.hops[0].let_go()
        heard = call.heard()

    cut(heard, "Hello", "timeout" if name in SILENT else None)
    assert line.asked == (1, 0)
    if name in ENDLESS:
        assert line.hops[0].left.wait(20)
        assert line.hops[0].written < 40 * MEGABYTE


@pytest.mark.parametrize("name", BREAKS)
def test_a_stream_that_breaks_before_its_first_word_is_answered_by_the_next_hop_unseen(battery: Battery, name: str) -> None:
    line = battery[f"early-{name}"]

    heard = line.ask(stream=True)

    whole(heard, "Good")
    assert heard.served_by == "q"
    assert line.asked == (1, 1)


@pytest.mark.parametrize("name", ALONE)
def test_a_stream_that_breaks_before_its_first_word_has_a_status_of_its_own_where_nobody_else_answers(battery: Battery, name: str) -> None:
    heard = battery[f"alone-{name}"].ask(stream=True)

    refused(heard, *((504, "timeout") if name in SILENT else (503, "overloaded") if name == "error" else (502, "upstream_broken")))


def test_an_answer_of_which_one_choice_is_missing_is_broken(battery: Battery) -> None:
    line = battery["one-of-two"]

    with line.call(stream=True, n=2) as call:
        call.until(b'"Hello"')
        line.hops[0].let_go()
        heard = call.heard()

    assert b'"code":"upstream_broken"' in heard.body
    assert b"[DONE]" not in heard.body


def test_what_breaks_after_the_finish_leaves_the_answer_whole(battery: Battery) -> None:
    line = battery["after-the-finish"]

    with line.call(stream=True) as call:
        call.until(b'"finish_reason":"stop"')
        line.hops[0].let_go()

        whole(call.heard(), "Hello")


def test_wrong_framing_is_noticed_at_once_and_not_when_a_timer_rings(battery: Battery) -> None:
    streamed, plain = battery["framed-wrong"], battery["framed-wrong-and-plain"]

    with streamed.call(stream=True) as call:
        call.until(b'"Hello"')
        streamed.hops[0].let_go()
        cut(call.heard(), "Hello", "upstream_broken")
    with plain.call() as call:
        assert plain.hops[0].reached.wait(20)
        plain.hops[0].let_go()
        heard = call.heard()

    assert (heard.status, heard.served_by) == (200, "q")


def test_the_sdk_raises_where_a_stream_breaks_off(battery: Battery) -> None:
    stream = battery.sdk.chat.completions.create(model="for-the-sdk", messages=[{"role": "user", "content": "Hello"}], stream=True)

    with pytest.raises(APIError, match="silent"):
        list(stream)
