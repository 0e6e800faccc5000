"""Anthropic's events, whatever the chunks of chat were: their order, and that they come to what the plain message says."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.api.chat_out import complete
from gateway.api.messages.answer import SIGNATURE, input_of, message_of
from gateway.api.messages.errors import body_for
from gateway.api.messages.stream import MessageStream
from gateway.api.wire import Refusal
from providers.base import Fault, Json
from tests.gateway.api.messages.events import events_of, message_in
from tests.gateway.api.test_chat_out import CHUNK, call, chunk

USAGE = {"prompt_tokens": 9, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 6}}


def made(**names: str) -> MessageStream:
    return MessageStream(model="served", request_id="req_1", now=lambda: 1.0, names=names, whose=body_for("req_1"))


def stream(*chunks: Json, **names: str) -> list[Any]:
    out = made(**names)
    return events_of(b"".join(out.feed([one]) for one in chunks) + out.end())


def test_events_in_anthropics_order() -> None:
    events = stream(
        chunk({"role": "assistant", "content": ""}), chunk({"content": "Hel"}), chunk({"content": "lo"}), chunk({}, "stop", usage=USAGE)
    )

    nothing = {"input_tokens": 0, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 0}
    message = {"id": "msg_c1", "type": "message", "role": "assistant", "model": "p", "content": []}
    assert events == [
        {"type": "message_start", "message": {**message, "stop_reason": None, "stop_sequence": None, "usage": nothing}},
        {"type": "ping"},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hel"}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "lo"}},
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {"input_tokens": 3, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 6, "output_tokens": 4},
        },
        {"type": "message_stop"},
    ]


def test_thoughts_are_signed_where_they_end() -> None:
    events = stream(chunk({"reasoning_content": "Hm"}), chunk({"content": "Hi"}), chunk({}, "stop"))

    kinds = [(event["type"], event.get("index"), event.get("delta")) for event in events[2:6]]
    assert kinds == [
        ("content_block_start", 0, None),
        ("content_block_delta", 0, {"type": "thinking_delta", "thinking": "Hm"}),
        ("content_block_delta", 0, {"type": "signature_delta", "signature": SIGNATURE}),
        ("content_block_stop", 0, None),
    ]


def test_a_call_that_begins_before_the_one_ahead_is_whole_waits_for_it() -> None:
    out = made()
    before = b"".join(
        out.feed([one]) for one in (call(0, '{"a"', id="c0", name="f"), call(1, '{"b":', id="c1", name="g"), chunk({"content": "and"}))
    )
    after = out.feed([call(0, ": 1}")]) + out.feed([call(1, "2}")]) + out.feed([chunk({}, "tool_calls")]) + out.end()

    assert [event.get("index") for event in events_of(before)] == [None, None, 0, 0]
    content = message_in(events_of(before + after))["content"]
    assert [block.get("told", block.get("text")) for block in content] == ['{"a": 1}', '{"b":2}', "and"]


def test_a_call_that_is_whole_ends_where_the_next_begins() -> None:
    events = stream(call(0, "{}", id="c0", name="f"), call(1, "", id="c1", name="g"), call(1, '{"b":2}'), chunk({}, "stop"))

    assert [event["type"] for event in events[2:8]] == [
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
    ]
    assert events[8]["delta"]["stop_reason"] == "tool_use"


def test_arguments_that_go_on_after_their_end_break_the_answer() -> None:
    out = made()
    for one in (call(0, "{}", id="c0", name="f"), call(1, "{}", id="c1", name="g")):
        out.feed([one])

    out.feed([call(0, "\n")])
    with pytest.raises(Fault, match="a call of no known form"):
        out.feed([call(0, "{}")])


def test_a_tool_has_the_clients_own_name() -> None:
    events = stream(call(0, "{}", id="c0", name="short"), chunk({}, "tool_calls"), short="long")

    assert events[2]["content_block"] == {"type": "tool_use", "input": {}, "id": "c0", "name": "long"}


def test_a_refusal_is_text_and_the_reason() -> None:
    message = message_in(stream(chunk({"refusal": "I will not"}), chunk({}, "stop")))

    assert (message["content"][0]["text"], message["stop_reason"]) == ("I will not", "refusal")


def test_the_stop_sequence_is_named() -> None:
    last = {"choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": "stop", "stop_reason": "END"}]}

    message = message_in(stream(last))

    assert (message["stop_reason"], message["stop_sequence"]) == ("stop_sequence", "END")


def test_other_choices_are_not_told() -> None:
    message = message_in(stream(chunk({"content": "a"}), chunk({"content": "b"}, index=1), chunk({}, "stop", index=1), chunk({}, "length")))

    assert ([block["text"] for block in message["content"]], message["stop_reason"]) == (["a"], "max_tokens")


def test_an_answer_that_breaks_off_ends_in_an_error() -> None:
    out = made()
    out.feed([chunk({"content": "a"})])

    (event,) = events_of(out.fails(Refusal(502, "it broke off", kind="api_error", code="upstream_broken")))

    assert event == {"type": "error", "error": {"type": "api_error", "message": "it broke off"}, "request_id": "req_1"}


# ---- any chunks ----

TEXT = st.text(max_size=5)
OBJECT = st.dictionaries(TEXT, st.integers() | TEXT | st.lists(TEXT, max_size=2), max_size=3).map(json.dumps)
WORDS = st.tuples(st.sampled_from(["content", "reasoning_content"]), TEXT)

REFUSAL = st.tuples(st.just("refusal"), TEXT)


@st.composite
def conversations(draw: st.DrawFn) -> tuple[list[Json], Json]:
    """(the chunks of an answer, the plain message that says the same)."""
    calls = draw(st.lists(OBJECT, max_size=3))
    pieces: list[tuple[str, str]] = draw(st.lists(WORDS, max_size=6)) + draw(st.lists(REFUSAL, max_size=2))
    left = dict(enumerate(calls))
    begun: list[int] = []
    chunks: list[Json] = []
    told: dict[str, str] = {"content": "", "reasoning_content": "", "refusal": ""}
    while pieces or left:
        if pieces and (not left or draw(st.booleans())):
            key, text = pieces.pop(0)
            told[key] += text
            chunks.append(chunk({key: text}))
            continue
        number = draw(st.sampled_from(sorted(left)))
        length = draw(st.integers(0, len(left[number])))
        said, rest = left[number][:length], left[number][length:]
        first = {} if number in begun else {"id": f"c{number}", "name": f"f{number}"}
        begun += [] if number in begun else [number]
        chunks.append(call(number, said, **first))
        left[number] = rest
        if not rest:
            del left[number]
    reason = draw(st.sampled_from(["stop", "length", "tool_calls"]))
    chunks.append(chunk({}, reason, usage=USAGE))
    message: Json = {key: text for key, text in told.items() if text}
    if begun:
        message["tool_calls"] = [{"id": f"c{number}", "function": {"name": f"f{number}", "arguments": calls[number]}} for number in begun]
    answer = {"id": "c1", "model": "p", "choices": [{"message": message, "finish_reason": reason}], "usage": USAGE}
    return chunks, message_of(complete(answer, model="served", request_id="req_1", now=1), {})


@given(conversations())
def test_the_events_come_to_the_plain_message(given_: tuple[list[Json], Json]) -> None:
    chunks, plain = given_

    message = message_in(stream(*chunks))

    assert {key: message[key] for key in message if key != "content"} == {key: plain[key] for key in plain if key != "content"}
    for kind in ("text", "thinking"):
        assert said(message, kind) == said(plain, kind)
    calls = [(block["id"], block["name"], input_of(block["told"])) for block in message["content"] if block["type"] == "tool_use"]
    assert calls == [(block["id"], block["name"], block["input"]) for block in plain["content"] if block["type"] == "tool_use"]


def said(message: Json, kind: str) -> str:
    return "".join(block[kind] for block in message["content"] if block["type"] == kind)


@given(st.lists(CHUNK, max_size=12))
def test_whatever_the_chunks_the_events_are_in_order(chunks: list[Json]) -> None:
    out = made()
    data = b""
    try:
        for one in [*chunks, chunk({}, "stop")]:
            data += out.feed([one])
        data += out.end()
    except Fault:
        assert b"message_delta" not in data
        return

    message_in(events_of(data))
