"""Chunks that are read by what they have in common with the one before say what a parser finds in them, or are left to the parser."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.base import decode
from providers.likeness import MOST_MISSES, Likeness
from providers.openai_like import Chunks, OpenAIChat
from providers.sse import EventReader

TEXTS = st.text(st.characters(codec="utf-8"), max_size=12) | st.sampled_from(
    ["word ", '"', "\\", "你好", "\u2028", "<|x|>", "\x7f", "a\tb", "}],"]
)
VALUES = st.none() | st.booleans() | TEXTS


@st.composite
def events(draw: st.DrawFn) -> dict[str, Any]:
    delta: dict[str, Any] = draw(
        st.fixed_dictionaries({}, optional={"role": st.just("assistant"), "content": VALUES, "reasoning_content": VALUES})
    )
    choice: dict[str, Any] = {"index": draw(st.sampled_from([0, 0, 0, 1])), "delta": delta}
    choice |= draw(st.fixed_dictionaries({}, optional={"finish_reason": st.sampled_from([None, None, ""]), "content": TEXTS}))
    head: dict[str, Any] = draw(st.sampled_from([{"id": "1"}, {"id": "1", "created": 5}, {"content": "x"}, {"id": "content"}]))
    return {**head, "choices": [choice]}


def said(chunks: list[dict[str, Any]]) -> list[tuple[int, Any, Any]]:
    deltas = [(choice.get("index") or 0, choice["delta"]) for chunk in chunks for choice in chunk["choices"]]
    return [(index, delta.get("content") or None, delta.get("reasoning_content") or None) for index, delta in deltas]


@given(given=st.lists(events(), min_size=1, max_size=12), ascii=st.booleans(), compact=st.booleans())
def test_a_stream_says_what_its_events_say_one_by_one(given: list[dict[str, Any]], ascii: bool, compact: bool) -> None:
    payloads = [json.dumps(one, ensure_ascii=ascii, separators=(",", ":") if compact else None).encode() for one in given]
    stream = Chunks(OpenAIChat())

    told = [chunk for payload in payloads for chunk in stream.feed(b"data: " + payload + b"\n\n")]

    assert said(told) == said([decode(payload) for payload in payloads])


@given(first=TEXTS, words=st.binary(max_size=12) | TEXTS.map(str.encode))
def test_what_is_read_by_likeness_is_what_a_parser_reads(first: str, words: bytes) -> None:
    before, after = b'{"id":"1","choices":[{"index":0,"delta":{"content":"', b'"},"finish_reason":null}]}'
    example = before + first.encode() + after
    like = Likeness()
    try:
        like.learn(example, decode(example))
    except ValueError:
        return

    found = like.read(before + words + after)

    if found is not None:
        assert said([found]) == said([decode(before + words + after)])


def test_most_chunks_of_a_usual_stream_need_no_parser() -> None:
    payloads = [
        b'{"id":"1","choices":[{"index":0,"delta":{"content":"%s"}}]}' % word for word in (b"One", b" two", "三".encode(), b"\\n", b" five")
    ]
    like = Likeness()

    read = []
    for payload in payloads:
        found = like.read(payload)
        read.append(found is not None)
        if found is None:
            like.learn(payload, decode(payload))

    assert read == [False, True, True, False, True]


def test_of_a_stream_that_pads_its_chunks_not_every_one_is_looked_at() -> None:
    like = Likeness()
    for number in range(3 * MOST_MISSES):
        payload = b'{"choices":[{"index":0,"delta":{"content":"a"}}],"id":"%d"}' % number
        assert like.read(payload) is None
        like.learn(payload, decode(payload))

    assert like.read(b'{"choices":[{"index":0,"delta":{"content":"b"}}],"id":"%d"}' % (MOST_MISSES - 1)) is not None


@pytest.mark.parametrize("rest", [b"", b"data: x\n\n"])
def test_a_piece_of_one_event_is_read_as_any_other(rest: bytes) -> None:
    reader = EventReader()
    assert reader.feed(b"data: a\n\n") == [b"a"]
    assert reader.feed(b"data: b\n\n" + rest) == [b"b", *[b"x"] * bool(rest)]
    assert reader.feed(b"data: c\r\n\r\n") == [b"c"]
    assert reader.feed(b"data: d") == []
    assert reader.feed(b"data: e\n\n") == [b"ddata: e"]
    assert reader.feed(b"data: \n\n") == []
