"""Answers that are none: every status, in every kind of body, and 200 with something else than an answer. What is tried again, who is
asked next, and what the client is told.
"""

import gzip
import json
import time
from email.utils import formatdate

import pytest

from tests.battery.conftest import Battery
from tests.battery.faulty import RESET, Do, Flood, Script, Step
from tests.battery.lines import GOOD, PLAIN, STREAM, Line, answer, failed, said
from tests.battery.talking import refused, whole

AGAIN = {
    408: (504, "timeout"), 409: (503, "overloaded"), 429: (429, "rate_limit_exceeded"), 500: (503, "overloaded"), 502: (503, "overloaded"),
    503: (503, "overloaded"), 504: (504, "timeout"), 507: (503, "overloaded"), 520: (503, "overloaded"), 521: (503, "overloaded"),
    522: (503, "overloaded"), 524: (503, "overloaded"), 529: (503, "overloaded"), 530: (503, "overloaded"), 599: (503, "overloaded"),
    204: (502, "upstream_broken"), 206: (502, "upstream_broken"),
}  # fmt: skip
"""What may pass: by the provider's status, what the client is told when it does not."""
NEXT = {
    300: (502, "upstream_broken"), 301: (502, "upstream_broken"), 302: (502, "upstream_broken"), 303: (502, "upstream_broken"),
    304: (502, "upstream_broken"), 307: (502, "upstream_broken"), 308: (502, "upstream_broken"), 401: (502, "upstream_auth"),
    402: (429, "insufficient_quota"), 403: (502, "upstream_auth"), 404: (404, "model_not_found"),
}  # fmt: skip
"""What does not pass here, and may be otherwise elsewhere."""
MISTAKES = (400, 406, 411, 412, 413, 414, 415, 416, 417, 418, 422, 424, 431)
"""The caller's own."""
ODD = (101, 405, 407, 410, 421, 423, 425, 426, 428, 501, 505, 511, 600, 799, 999)
"""Of these it is only asked that they are told as errors."""
STATUSES = {**AGAIN, **NEXT}


def refusing(status: int, *headers: str) -> Step:
    return answer(status, b"", *headers) if status in (204, 304) else failed(status, "no", *headers)


def body(status: int, raw: bytes, *headers: str) -> Step:
    return (
        "\r\n".join((f"HTTP/1.1 {status} Because", f"content-length: {len(raw)}", "connection: close", *headers)).encode() + b"\r\n\r\n",
        raw,
    )


PAGE = b"<!DOCTYPE html><html><head><title>Bad Gateway</title></head><body>nginx at 127.0.0.1</body></html>"
ERROR = {"error": {"message": "no", "type": "t", "param": None, "code": None}}
KINDS: dict[str, bytes] = {
    "json": json.dumps(ERROR).encode(),
    "html": PAGE,
    "nothing": b"",
    "text": b"upstream connect error or disconnect/reset before headers",
    "a-list": b"[]",
    "a-list-of-errors": json.dumps([ERROR]).encode(),
    "a-text": b'"no"',
    "a-number": b"17",
    "null": b"null",
    "deep": b'{"error":' + b"[" * 50_000 + b"]" * 50_000 + b"}",
    "half": json.dumps(ERROR).encode()[:-9],
    "huge-json": json.dumps({"error": {"message": "x" * (3 << 20)}}).encode(),
    "huge-html": PAGE * 30_000,
    "no-utf8": b'{"error":{"message":"\xff\xfe"}}',
    "zeros": b"\0" * 300,
    "an-error-that-is-a-text": b'{"error":"no"}',
    "an-error-that-is-a-list": b'{"error":["no"]}',
    "an-error-that-is-null": b'{"error":null}',
    "a-message-that-is-an-object": b'{"error":{"message":{"a":[1]},"code":{},"type":[],"param":7}}',
    "a-message-that-is-null": b'{"error":{"message":null,"code":0}}',
    "gzip": gzip.compress(json.dumps(ERROR).encode()),
    "control-characters": b'{"error":{"message":"a\\u0000b\\u001b[31m\\r\\nx-evil: 1"}}',
}
TELLING = {400: (400, "invalid_request"), 401: (502, "upstream_auth"), 429: (429, "rate_limit_exceeded"), 500: (503, "overloaded")}


def choices(value: object) -> bytes:
    return json.dumps({"id": "c1", "object": "chat.completion", "choices": value}).encode()


UNUSABLE: dict[str, bytes] = {
    "html": PAGE,
    "nothing": b"",
    "white-space": b" \r\n ",
    "text": b"OK",
    "a-list": b"[]",
    "a-text": b'"hi"',
    "null": b"null",
    "an-empty-object": b"{}",
    "half": choices([{"index": 0, "message": {"role": "assistant", "content": "Hi"}}])[:-5],
    "error": json.dumps({"error": {"message": "boom", "type": "server_error"}}).encode(),
    "error-as-text": b'{"error":"boom"}',
    "error-code": b'{"error_code":336100,"error_msg":"boom"}',
    "code-and-message": b'{"code":"Throttling.X","message":"boom"}',
    "detail": b'{"detail":"boom"}',
    "no-choices": choices([]),
    "choices-that-are-null": choices(None),
    "choices-of-null": choices([None]),
    "choices-that-are-an-object": choices({}),
    "no-message": choices([{"index": 0, "finish_reason": "stop"}]),
    "a-message-that-is-a-list": choices([{"index": 0, "message": ["hi"], "finish_reason": "stop"}]),
    "words-that-are-a-number": choices([{"index": 0, "message": {"content": 5}, "finish_reason": "stop"}]),
    "no-utf8": choices([{"index": 0, "message": {"content": "hi"}, "finish_reason": "stop"}]).replace(b"hi", b"\xff"),
    "zeros": b"\0" * 300,
    "an-error-beside-choices": choices([{"index": 0, "message": {"content": "hi"}}])[:-1] + b',"error":{"message":"boom"}}',
}
JSON = "content-type: application/json"
BROKEN: dict[str, Step] = {
    "gzip-unasked": body(200, gzip.compress(choices([])), JSON, "content-encoding: gzip"),
    "shorter-than-declared": (b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n{",),
    "no-last-chunk": (b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n1\r\n{\r\n",),
    "reset-in-the-body": (b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n{", RESET),
    "declared-at-65-megabytes": (b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n{" % (65 << 20),),
    "without-end": (b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n{", Flood(b" " * (1 << 20), 256 << 20)),
}
FAULTY = {**{name: body(200, raw, JSON) for name, raw in UNUSABLE.items()}, **BROKEN}
STREAMED = {
    **{name: body(200, raw, "content-type: text/event-stream") for name, raw in UNUSABLE.items() if name != "no-message"},
    **{
        f"{name}-as-json": body(200, raw, JSON)
        for name, raw in UNUSABLE.items()
        if name in ("html", "nothing", "error", "half", "no-choices")
    },
    "html-as-html": body(200, PAGE, "content-type: text/html"),
    "gzip-unasked": body(200, gzip.compress(b"data: [DONE]\n\n"), "content-encoding: gzip"),
    "done-and-nothing-else": (STREAM, b"data: [DONE]\n\n"),
}


def lately(wait: float) -> Do:
    """A refusal with a time of day and no `date` of its own."""

    def made() -> bytes:
        (raw,) = failed(429, "slow", f"retry-after: {formatdate(time.time() + wait, usegmt=True)}")
        assert isinstance(raw, bytes)
        return raw

    return made


def dated(wait: int) -> Script:
    return (
        failed(429, "slow", "date: Mon, 23 Nov 2026 10:00:00 GMT", f"retry-after: Mon, 23 Nov 2026 10:{wait // 60:02}:{wait % 60:02} GMT"),
    )


ELSEWHERE = "location: http://127.0.0.1:9/"
SECRETS = "Bearer provider-key at http://127.0.0.1:80/x sk-abcdefghijklmnop1234\nTraceback (most recent call last): x"
ONCE_MORE = {"retry": {"max": 1}}
WAITS: dict[str, tuple[Step, float]] = {
    "seconds": (failed(429, "slow", "retry-after: 1"), 1.0),
    "milliseconds": (failed(429, "slow", "retry-after-ms: 700"), 0.7),
    "milliseconds-before-seconds": (failed(429, "slow", "retry-after: 9", "retry-after-ms: 650"), 0.65),
    "a-date": (dated(1)[0], 1.0),
    "of-a-503": (failed(503, "slow", "retry-after: 1"), 1.0),
}
HANDED_ON: dict[str, tuple[Step, int]] = {
    "beyond-the-cap": (failed(429, "slow", "retry-after: 40"), 40),
    "beyond-the-deadline": (failed(429, "slow", "retry-after: 20"), 20),
    "a-date-far-off": (dated(1800)[0], 1800),
    "a-date-far-off-without-a-clock": ((lately(3600),), 3600),
    "milliseconds-beyond-the-cap": (failed(429, "slow", "retry-after-ms: 40500"), 41),
    "of-a-503": (failed(503, "slow", "retry-after: 60"), 60),
}
NO_WAIT = ("soon", "-5", "", "nan", "1e999", "Mon, 99 Nov")

LINES = {
    **{f"alone-{status}": Line(((refusing(status, ELSEWHERE),),), ONCE_MORE) for status in (*STATUSES, *MISTAKES, *ODD)},
    **{f"pair-{status}": Line(((refusing(status),), GOOD), ONCE_MORE) for status in (*STATUSES, *MISTAKES)},
    **{f"{status}-{kind}": Line(((body(status, raw),),)) for status in TELLING for kind, raw in KINDS.items() if kind != "gzip"},
    **{f"{status}-gzip": Line(((body(status, KINDS["gzip"], "content-encoding: gzip"),),)) for status in TELLING},
    **{f"unusable-{name}": Line(((step,), PLAIN), ONCE_MORE) for name, step in FAULTY.items()},
    **{f"unusable-alone-{name}": Line(((step,),)) for name, step in FAULTY.items()},
    **{f"streamed-{name}": Line(((step,), GOOD), ONCE_MORE) for name, step in STREAMED.items()},
    **{f"wait-{name}": Line(((step, said("Good")),), ONCE_MORE) for name, (step, _) in WAITS.items()},
    **{
        f"handed-on-{name}": Line(((step,),), {**ONCE_MORE, "timeouts": {"total": "10s" if "deadline" in name else "600s"}})
        for name, (step, _) in HANDED_ON.items()
    },
    **{f"no-wait-{at}": Line(((failed(503, "slow", f"retry-after: {wait}"), said("Good")),), ONCE_MORE) for at, wait in enumerate(NO_WAIT)},
    "three-times": Line(((failed(500),),), {"retry": {}}),
    "out-of-money": Line(((failed(429, "pay", code="insufficient_quota"),),), {"retry": {}}),
    "named": Line(((failed(404, "no such model"),), PLAIN)),
    "with-a-param": Line(((answer(400, {"error": {"message": "too hot", "param": "temperature", "code": "invalid_value"}}),),)),
    "with-secrets": Line(((failed(500, SECRETS),),)),
}  # fmt: skip


@pytest.mark.parametrize("status", AGAIN)
def test_a_status_that_may_pass_is_tried_again_and_then_elsewhere(battery: Battery, status: int) -> None:
    alone, pair = battery[f"alone-{status}"], battery[f"pair-{status}"]

    told, served = alone.ask(), pair.ask(stream=True)

    refused(told, *AGAIN[status])
    assert told.headers["x-should-retry"] == "false"  # two attempts have been made of one
    assert alone.asked == (2,)
    whole(served, "Good")
    assert (served.served_by, served.attempts, pair.asked) == ("q", 3, (2, 1))


@pytest.mark.parametrize("status", NEXT)
def test_a_status_that_does_not_pass_is_tried_elsewhere_at_once(battery: Battery, status: int) -> None:
    alone, pair = battery[f"alone-{status}"], battery[f"pair-{status}"]

    told, served = alone.ask(), pair.ask(stream=True)

    refused(told, *NEXT[status])
    assert alone.asked == (1,)
    whole(served, "Good")
    assert (served.served_by, served.attempts, pair.asked) == ("q", 2, (1, 1))


@pytest.mark.parametrize("status", MISTAKES)
def test_the_callers_mistake_is_told_at_once_and_tried_nowhere_else(battery: Battery, status: int) -> None:
    alone, pair = battery[f"alone-{status}"], battery[f"pair-{status}"]

    refused(alone.ask(), 400, "invalid_request")
    refused(pair.ask(stream=True), 400, "invalid_request")

    assert (alone.asked, pair.asked) == ((1,), (1, 0))


@pytest.mark.parametrize("status", ODD)
def test_an_odd_status_is_told_as_an_error(battery: Battery, status: int) -> None:
    heard = battery[f"alone-{status}"].ask()

    assert 400 <= heard.status < 600
    refused(heard, heard.status)


@pytest.mark.parametrize("kind", KINDS)
def test_whatever_its_body_a_status_is_told_for_what_it_is(battery: Battery, kind: str) -> None:
    for status, expected in TELLING.items():
        refused(battery[f"{status}-{kind}"].ask(), *expected)
        refused(battery[f"{status}-{kind}"].ask(stream=True), *expected)


@pytest.mark.parametrize("name", FAULTY)
def test_a_200_that_is_no_answer_is_tried_again_and_then_elsewhere(battery: Battery, name: str) -> None:
    pair = battery[f"unusable-{name}"]

    heard = pair.ask()

    assert heard.status == 200
    assert heard.json["choices"][0]["message"]["content"] == "Good"
    assert (heard.served_by, pair.asked) == ("q", (2, 1))
    told = battery[f"unusable-alone-{name}"].ask()
    refused(told, told.status)
    assert told.status in (502, 503)


@pytest.mark.parametrize("name", STREAMED)
def test_a_200_that_is_no_stream_is_tried_again_and_then_elsewhere(battery: Battery, name: str) -> None:
    line = battery[f"streamed-{name}"]

    heard = line.ask(stream=True)

    whole(heard, "Good")
    assert (heard.served_by, line.asked) == ("q", (2, 1))


@pytest.mark.parametrize("name", WAITS)
def test_a_wish_to_wait_is_honoured(battery: Battery, name: str) -> None:
    line = battery[f"wait-{name}"]

    heard = line.ask()

    assert heard.status == 200
    first, second = line.hops[0].requests
    assert second.at - first.at > WAITS[name][1] - 0.05
    assert second.at - first.at < WAITS[name][1] + 5


@pytest.mark.parametrize("name", HANDED_ON)
def test_a_wish_beyond_the_cap_or_the_deadline_is_handed_on_at_once(battery: Battery, name: str) -> None:
    line = battery[f"handed-on-{name}"]

    heard = line.ask()

    assert heard.status in (429, 503)
    assert heard.seconds < 5
    assert abs(int(heard.headers["retry-after"]) - HANDED_ON[name][1]) <= 2
    assert line.asked == (1,)


@pytest.mark.parametrize("at", range(len(NO_WAIT)), ids=NO_WAIT)
def test_a_wish_that_is_no_time_is_none(battery: Battery, at: int) -> None:
    heard = battery[f"no-wait-{at}"].ask()

    assert heard.status == 200
    assert heard.seconds < 5


def test_a_hop_is_tried_three_times_and_no_more(battery: Battery) -> None:
    line = battery["three-times"]

    heard = line.ask()

    refused(heard, 503, "overloaded")
    assert line.asked == (3,)
    assert heard.headers["x-should-retry"] == "false"


def test_retries_wait_a_little_and_longer_each_time(battery: Battery) -> None:
    line = battery["three-times"]
    line.ask()

    one, two, three = (asked.at for asked in line.hops[0].requests[:3])

    assert two - one > 0.02
    assert three - two > 0.045


def test_an_account_without_money_is_not_tried_again(battery: Battery) -> None:
    line = battery["out-of-money"]

    heard = line.ask()

    refused(heard, 429, "insufficient_quota")
    assert line.asked == (1,)
    assert heard.headers["x-should-retry"] == "false"


def test_the_answer_names_who_served_it(battery: Battery) -> None:
    heard = battery["named"].ask()

    assert heard.headers["x-banjia-provider"] == "named-q"
    assert heard.headers["x-banjia-model"] == "x"
    assert heard.attempts == 2


def test_the_callers_mistake_keeps_its_param(battery: Battery) -> None:
    error = refused(battery["with-a-param"].ask(), 400)

    assert error["param"] == "temperature"
    assert "too hot" in error["message"]


def test_a_message_is_told_without_secrets_addresses_and_traces(battery: Battery) -> None:
    error = refused(battery["with-secrets"].ask(), 503)

    assert "sk-" not in error["message"]
    assert "***" in error["message"]
