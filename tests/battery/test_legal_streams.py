"""Streams as the specification of server-sent events, HTTP and the field's habits allow them: each is a whole answer to the client.

Every case is read byte for byte, and by OpenAI's own SDK.
"""

import json

import pytest

from providers.base import Json
from tests.battery.conftest import Battery
from tests.battery.faulty import HOLD, RESET, Do, Drip, Step
from tests.battery.lines import CHUNKED, DONE, END, ROLE, STREAM, Line, body_of, chunk, piece, said, word
from tests.battery.talking import Told, whole

TEXT = "Hello, 世界 😀!"
WORDS = (word("Hel"), word("lo, 世"), word("界 😀"), word("!"))
PLAIN = b"".join((ROLE, *WORDS, END, DONE))
USAGE: Json = {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}


def data(body: Json) -> bytes:
    """An event, not escaped."""
    return b"data: " + json.dumps(body, ensure_ascii=False).encode() + b"\n\n"


RAW = b"".join(data(chunk({"content": text})) for text in ("Hel", "lo, 世", "界 😀", "!"))
"""The words with their UTF-8 as it is."""


def events(*, start: bytes = b"", before: bytes = b"", end: bytes = b"\n\n") -> bytes:
    """The answer's events with something around each."""
    return start + b"".join(before + event[:-2] + end for event in (ROLE, *WORDS, END, DONE))


def head(*lines: str, status: str = "HTTP/1.1 200 OK") -> bytes:
    return "\r\n".join((status, *lines)).encode() + b"\r\n\r\n"


def pieces(raw: bytes, size: int, line: bytes = b"%x\r\n") -> bytes:
    """A chunked body."""
    cuts = (raw[start : start + size] for start in range(0, len(raw), size))
    return b"".join(line % len(cut) + cut + b"\r\n" for cut in cuts) + b"0\r\n\r\n"


def lines_of(event: bytes) -> bytes:
    """An event's JSON over as many lines as it has commas outside of texts."""
    body = json.dumps(json.loads(event[6:]), indent=1).encode()
    return b"".join(b"data: " + line + b"\n" for line in body.split(b"\n")) + b"\n"


CALL_A = {"index": 0, "id": "call_a", "type": "function", "function": {"name": "f", "arguments": ""}}
CALL = (
    data(chunk({"role": "assistant", "content": None, "tool_calls": [CALL_A]})),
    *(data(chunk({"tool_calls": [{"index": 0, "function": {"arguments": part}}]})) for part in ('{"a"', ": 1", "}")),
    data(chunk({}, "tool_calls")),
    DONE,
)
THOUGHTS = (data(chunk({"role": "assistant", "reasoning_content": "hm"})), data(chunk({"reasoning_content": " yes"})))
EVENTS, JSON = "content-type: text/event-stream", "content-type: application/json"
ANSWER = body_of(said("Good"))

BODIES: dict[str, Do] = {
    # ---- lines ----
    "lf": PLAIN,
    "crlf": PLAIN.replace(b"\n", b"\r\n"),
    "cr": PLAIN.replace(b"\n", b"\r"),
    "mixed-line-ends": ROLE.replace(b"\n", b"\r\n") + WORDS[0].replace(b"\n", b"\r") + b"".join(WORDS[1:]) + END[:-2] + b"\r\n\n" + DONE,
    "comments-between-events": events(before=b": ping\n\n"),
    "comments-within-events": events(before=b": ping\n"),
    "empty-comments": events(start=b":\n\n:\n\n", before=b":\n"),
    "no-space-after-data": PLAIN.replace(b"data: ", b"data:"),
    "several-spaces-after-data": PLAIN.replace(b"data: ", b"data:   "),
    "json-over-several-data-lines": b"".join(map(lines_of, (ROLE, *WORDS, END))) + DONE,
    "byte-order-mark": b"\xef\xbb\xbf" + b"".join((*WORDS, END, DONE)),
    "byte-order-mark-in-bytes": Drip(b"\xef\xbb\xbf" + b"".join((*WORDS, END, DONE))),
    "ids": events(before=b"id: 17\n"),
    "retry-fields": events(start=b"retry: 3000\n\n", before=b"retry: 10\n"),
    "event-names": events(before=b"event: completion.chunk\n"),
    "unknown-fields": events(before=b"mood: good\nx\n"),
    "fields-after-data": events(end=b"\nid: 4\nevent: message\n\n"),
    "an-empty-data-line-first": events(before=b"data\n"),
    "empty-data-events": events(before=b"data:\n\ndata: \n\n"),
    "blank-lines-first-and-between": events(start=b"\n\n\n", end=b"\n\n\n\n\n"),
    "no-blank-line-at-the-end": PLAIN[:-1],
    "no-line-end-at-the-end": PLAIN[:-2],
    # ---- pieces ----
    "a-byte-a-write": Drip(PLAIN),
    "utf8-split-everywhere": Drip(ROLE + RAW + END + DONE),
    "utf8-as-it-is": ROLE + RAW + END + DONE,
    "pieces-of-seven": Drip(PLAIN, 7),
    "a-megabyte-of-a-comment": b":" + b" " * (1 << 20) + b"\n\n" + PLAIN,
    # ---- the grammar's freedoms ----
    "comments-before-the-first-word": b": waiting\n\n" * 50 + PLAIN,
    "no-role": b"".join((*WORDS, END, DONE)),
    "role-in-every-chunk": PLAIN.replace(b'"delta": {"content"', b'"delta": {"role": "assistant", "content"'),
    "role-and-null-content": data(chunk({"role": "assistant", "content": None})) + b"".join((*WORDS, END, DONE)),
    "a-first-chunk-without-choices": data({"id": "", "choices": [], "prompt_filter_results": [{"prompt_index": 0}]}) + PLAIN,
    "a-first-chunk-without-anything": data({"id": "c1", "object": "chat.completion.chunk"}) + PLAIN,
    "pings-with-a-name": b'event: ping\ndata: {"type": "ping"}\n\n' + events(before=b'event: ping\ndata: {"type": "ping"}\n\n'),
    "empty-words-between": events(before=word("")),
    "null-deltas": PLAIN.replace(END, data({"id": "c1", "choices": [{"index": 0, "delta": None, "finish_reason": "stop"}]})),
    "no-delta-at-the-end": PLAIN.replace(END, data({"id": "c1", "choices": [{"index": 0, "finish_reason": "stop"}]})),
    "no-index": PLAIN.replace(b'"index": 0, ', b"").replace(b'"index":0,', b""),
    "no-ids": PLAIN.replace(b'"id": "c1", ', b"").replace(b'"id":"c1",', b""),
    "another-id-in-every-chunk": b"".join(event.replace(b"c1", b"c%d" % n) for n, event in enumerate((ROLE, *WORDS, END))) + DONE,
    "keys-of-its-own": PLAIN.replace(b'"id": "c1"', b'"id": "c1", "provider": "p", "x_cost": {"a": 1}, "error": null'),
    "empty-finish-reasons": PLAIN.replace(b'"finish_reason": null', b'"finish_reason": ""'),
    "last-words-with-the-finish": b"".join((ROLE, *WORDS[:-1], data(chunk({"content": "!"}, "stop")), DONE)),
    "the-finish-twice": PLAIN.replace(DONE, END + DONE),
    "done-absent": PLAIN.removesuffix(DONE),
    "done-doubled": PLAIN + DONE,
    "done-with-white-space": PLAIN.replace(DONE, b"data:  [DONE] \n\n"),
    "done-without-a-finish": b"".join((ROLE, *WORDS, DONE)),
    "an-unparsable-event-and-still-a-finish": b"".join((ROLE, *WORDS[:2], b"data: {not json\n\n", *WORDS[2:], END, DONE)),
    "words-with-line-separators": PLAIN,
    "one-word-of-a-megabyte": ROLE + word("x" * (1 << 20)) + data(chunk({}, "stop", usage=USAGE)) + DONE,
    "an-error-after-the-end": PLAIN.replace(DONE, data({"error": {"message": "late"}}) + DONE),
}
"""Under the plainest of heads; the connection's end is the body's."""

STEPS: dict[str, Step] = {
    # ---- HTTP ----
    "head-and-body-in-one-write": (STREAM + PLAIN,),
    "head-byte-by-byte": (Drip(STREAM), PLAIN),
    "http-1.0": (head(EVENTS, status="HTTP/1.0 200 OK"), PLAIN),
    "no-reason-phrase": (head(EVENTS, status="HTTP/1.1 200"), PLAIN),
    "content-length": (head(EVENTS, f"content-length: {len(PLAIN)}"), PLAIN),
    "chunks-of-three": (CHUNKED, pieces(PLAIN, 3)),
    "chunks-across-characters": (CHUNKED, pieces(ROLE + RAW + END + DONE, 5)),
    "chunk-extensions": (CHUNKED, pieces(PLAIN, 40, b'%x;mood="good";more\r\n')),
    "chunk-sizes-with-zeros-and-capitals": (CHUNKED, pieces(PLAIN, 171, b"000%X\r\n")),
    "trailers": (CHUNKED, pieces(PLAIN, 100)[:-2] + b"x-checksum: 17\r\n\r\n"),
    "chunked-and-a-byte-a-write": (CHUNKED, Drip(pieces(PLAIN, 50))),
    "early-hints-first": (b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n" + STREAM, PLAIN),
    "continue-first": (b"HTTP/1.1 100 Continue\r\n\r\n" + STREAM, PLAIN),
    "no-content-type": (head("connection: close"), PLAIN),
    "content-type-in-capitals": (head("Content-Type: Text/Event-Stream; Charset=UTF-8"), PLAIN),
    "content-type-text": (head("content-type: text/plain"), PLAIN),
    "content-type-of-bytes": (head("content-type: application/octet-stream"), PLAIN),
    "content-type-of-json": (head("content-type: application/json"), PLAIN),
    "created-in-place-of-ok": (head(EVENTS, status="HTTP/1.1 201 Created"), PLAIN),
    # ---- how it ends ----
    "a-finish-and-silence": (STREAM, PLAIN.removesuffix(DONE), HOLD),
    "done-and-silence": (STREAM, PLAIN, HOLD),
    "a-finish-and-a-reset": (CHUNKED, piece(PLAIN.removesuffix(DONE)), RESET),
    "a-finish-and-no-last-chunk": (CHUNKED, piece(PLAIN.removesuffix(DONE))),
}
ODDITIES: dict[str, Step] = {**{name: (STREAM, body) for name, body in BODIES.items()}, **STEPS}
OTHERS: dict[str, Step] = {
    "usage-with-the-last-words": (STREAM, ROLE, *WORDS[:-1], data(chunk({"content": "!"}, "stop", usage=USAGE)), DONE),
    "usage-with-the-finish": (STREAM, ROLE, *WORDS, data(chunk({}, "stop", usage=USAGE)), DONE),
    "usage-on-its-own": (STREAM, ROLE, *WORDS, END, data({"id": "c1", "choices": [], "usage": USAGE}), DONE),
    "usage-without-choices": (STREAM, ROLE, *WORDS, END, data({"id": "c1", "usage": USAGE}), DONE),
    "usage-that-grows": (
        STREAM,
        ROLE,
        *(event.replace(b'"id"', b'"usage": {"prompt_tokens": 7, "completion_tokens": 1}, "id"') for event in WORDS),
        data(chunk({}, "stop", usage=USAGE)),
        DONE,
    ),
    "usage-null": (
        STREAM,
        *(event.replace(b'"id"', b'"usage": null, "id"') for event in WORDS),
        data(chunk({}, "stop", usage=USAGE)),
        DONE,
    ),
    "cut-at-the-limit": (STREAM, PLAIN.replace(b'"stop"', b'"length"')),
    "stopped-for-its-content": (STREAM, PLAIN.replace(b'"stop"', b'"content_filter"')),
    "a-tool-call": (STREAM, *CALL),
    "a-tool-call-a-byte-a-write": (STREAM, Drip(b"".join(CALL))),
    "thoughts-and-words": (STREAM, *THOUGHTS, *WORDS, END, DONE),
    "the-first-word-comes-at-once": (STREAM, (ROLE + WORDS[0]).replace(b"\n", b"\r"), HOLD, b"".join((*WORDS[1:], END, DONE))),
    "plain-with-a-byte-order-mark": (head("connection: close"), b"\xef\xbb\xbf" + ANSWER),
    "plain-in-bytes": (Drip(head(JSON) + ANSWER),),
    "plain-chunked": (head(JSON, "transfer-encoding: chunked"), pieces(ANSWER, 9)),
    "plain-created": (head(JSON, status="HTTP/1.1 201 Created"), ANSWER),
    "plain-as-text": (head("content-type: text/plain"), ANSWER),
    "at-once-as-json": (head(JSON), json.dumps(json.loads(ANSWER), indent=2).encode()),
    "at-once-as-text": (head("content-type: text/plain"), ANSWER),
    "at-once-as-an-event": (STREAM, b"data: " + ANSWER + b"\n\n", DONE),
}
SHORT = {"timeouts": {"idle": "300ms"}}
LINES = {name: Line(((step,),), {}, SHORT if name.endswith("finish-and-silence") else {}) for name, step in {**ODDITIES, **OTHERS}.items()}


@pytest.mark.parametrize("oddity", ODDITIES)
def test_a_legal_oddity_is_a_whole_answer(battery: Battery, oddity: str) -> None:
    line = battery[oddity]
    text = "x" * (1 << 20) if oddity == "one-word-of-a-megabyte" else TEXT

    whole(line.ask(stream=True), text)
    by_sdk = list(battery.sdk.chat.completions.create(model=oddity, messages=[{"role": "user", "content": "Hello"}], stream=True))

    assert "".join(chunk.choices[0].delta.content or "" for chunk in by_sdk) == text
    assert by_sdk[-1].choices[0].finish_reason == "stop"
    assert line.asked == (2,)


def with_usage(battery: Battery, name: str, finish: str = "stop") -> Told:
    return whole(battery[name].ask(stream=True, stream_options={"include_usage": True}), TEXT, finish)


@pytest.mark.parametrize("usage", [name for name in OTHERS if name.startswith("usage")])
def test_usage_is_told_once_wherever_the_provider_puts_it(battery: Battery, usage: str) -> None:
    told = with_usage(battery, usage)

    assert told.usage is not None
    assert {name: told.usage[name] for name in USAGE} == USAGE


@pytest.mark.parametrize(("name", "finish"), [("cut-at-the-limit", "length"), ("stopped-for-its-content", "content_filter")])
def test_a_reason_to_finish_is_the_providers(battery: Battery, name: str, finish: str) -> None:
    whole(battery[name].ask(stream=True), TEXT, finish)


@pytest.mark.parametrize("name", ["a-tool-call", "a-tool-call-a-byte-a-write"])
def test_a_call_comes_whole(battery: Battery, name: str) -> None:
    told = whole(battery[name].ask(stream=True), "", "tool_calls")

    calls = [call for chunk in told.chunks for choice in chunk["choices"] for call in choice["delta"].get("tool_calls") or ()]
    assert (calls[0]["id"], calls[0]["function"]["name"]) == ("call_a", "f")
    assert json.loads("".join(call["function"]["arguments"] for call in calls)) == {"a": 1}


@pytest.mark.parametrize("name", [name for name in OTHERS if name.startswith("at-once")])
def test_an_answer_that_comes_at_once_is_told_as_a_stream(battery: Battery, name: str) -> None:
    whole(battery[name].ask(stream=True), "Good")


def test_thoughts_come_before_the_words(battery: Battery) -> None:
    told = whole(battery["thoughts-and-words"].ask(stream=True), TEXT)

    assert "".join(chunk["choices"][0]["delta"].get("reasoning_content") or "" for chunk in told.chunks) == "hm yes"


def test_an_event_is_handed_on_when_it_is_whole_and_not_with_the_next(battery: Battery) -> None:
    """Its lines end in CR, so that only a blank one tells; and then nothing more comes."""
    line = battery["the-first-word-comes-at-once"]

    with line.call(stream=True) as call:
        call.until(b'"Hel"')
        line.hops[0].let_go()

        whole(call.heard(), TEXT)


@pytest.mark.parametrize("name", [name for name in OTHERS if name.startswith("plain")])
def test_a_legal_oddity_of_a_plain_answer_is_a_whole_answer(battery: Battery, name: str) -> None:
    heard = battery[name].ask()

    assert heard.status == 200
    assert heard.proper
    assert heard.json["choices"][0]["message"]["content"] == "Good"
