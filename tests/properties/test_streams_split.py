"""Real streams of every vendor's simulator, in pieces of any size: the same chunks, the same events, and no beginning of one is whole."""

import json
from functools import cache
from itertools import pairwise

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gateway.api.chat_out import ChatStream
from providers.base import Fault, Json
from tests.properties.surfaces import BY_ID, Refused, Surface, ask, stream_of
from tests.providers.roundtrip import said

TOOLS = [{"type": "function", "function": {"name": name, "description": about, "parameters": {
    "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}
    for name, about in (("get_weather", "the weather of a city"), ("get_time", "the time in a city"))]  # fmt: skip
QUESTIONS = (
    "Say hi", "Say 你好，世界 🙂👨‍👩‍👧 naïve\u2028\x85 end", "Say data: [DONE]\n\ndata: {}\r\n\r\n<think>", "Weather in Paris and Tokyo?",
    "both, in 北京", "Say [unsafe-output]", "Count to 40", "Say \\u4f60 \"quoted\" </think>",
)  # fmt: skip
BODIES = st.fixed_dictionaries(
    {"messages": st.sampled_from(QUESTIONS).map(lambda text: [{"role": "user", "content": text}])},
    optional={
        "reasoning_effort": st.sampled_from(["none", "low", "high"]),
        "tools": st.sampled_from([TOOLS, TOOLS[:1]]),
        "max_completion_tokens": st.sampled_from([3, 200]),
        "n": st.just(2),
        "logprobs": st.just(True),
        "stream_options": st.just({"include_usage": True}),
    },
)


@cache
def recorded(name: str, number: int, body: str) -> bytes:
    """The stream's bytes; b"" where this model cannot be asked this. `body`: JSON, so that it can be remembered."""
    surface = BY_ID[name]
    try:
        return ask(surface, surface.models[number % len(surface.models)], {**json.loads(body), "stream": True}).raw
    except (Fault, Refused):
        return b""


def chunks_of(surface: Surface, pieces: list[bytes]) -> list[Json]:
    stream = stream_of(surface)
    return [chunk for piece in pieces for chunk in stream.feed(piece)] + stream.end()


def outcome(surface: Surface, pieces: list[bytes], answers: int = 1) -> tuple[list[Json], str]:
    """(chunks, "") or, of an answer that the vendor takes back or that is not whole, ([], the kind of fault)."""
    try:
        chunks = chunks_of(surface, pieces)
        events_of(surface, pieces, answers)
        return chunks, ""
    except Fault as fault:
        return [], fault.kind


def events_of(surface: Surface, pieces: list[bytes], answers: int = 1) -> bytes:
    stream = stream_of(surface)
    out = ChatStream(model="m", request_id="r", now=lambda: 1.0, include_usage=True, answers=answers)
    return b"".join([*(out.feed(stream.feed(piece)) for piece in pieces), out.feed(stream.end()), out.end()])


def pieces_of(raw: bytes, shares: list[float]) -> list[bytes]:
    edges = [0, *sorted(round(share * len(raw)) for share in shares), len(raw)]
    return [raw[at:to] for at, to in pairwise(edges)]


@given(name=st.sampled_from(list(BY_ID)), number=st.integers(0, 3), body=BODIES, shares=st.lists(st.floats(0, 1), min_size=1, max_size=12))
@settings(max_examples=500)
def test_a_stream_in_any_pieces_gives_the_same_chunks_and_events(name: str, number: int, body: Json, shares: list[float]) -> None:
    surface, raw = BY_ID[name], recorded(name, number, json.dumps(body))
    assume(raw)

    whole = outcome(surface, [raw])
    assert whole[1] != "broken"
    assert outcome(surface, pieces_of(raw, shares)) == whole
    assert whole[1] or events_of(surface, pieces_of(raw, shares)) == events_of(surface, [raw])


@pytest.mark.parametrize("name", BY_ID)
def test_a_stream_may_come_byte_by_byte_and_with_any_ends_of_lines(name: str) -> None:
    surface = BY_ID[name]
    raw = recorded(name, 0, json.dumps({"messages": [{"role": "user", "content": QUESTIONS[1]}]}))

    chunks = chunks_of(surface, [raw])

    assert chunks_of(surface, [raw[at : at + 1] for at in range(len(raw))]) == chunks
    for end in (b"\r\n", b"\r"):
        other = raw.replace(b"\n", end)
        assert chunks_of(surface, [other]) == chunks
        assert chunks_of(surface, [other[at : at + 1] for at in range(len(other))]) == chunks


@given(name=st.sampled_from(list(BY_ID)), number=st.integers(0, 3), body=BODIES, share=st.floats(0, 1, exclude_max=True))
@settings(max_examples=700)
def test_a_stream_that_is_cut_off_is_broken_or_has_said_all(name: str, number: int, body: Json, share: float) -> None:
    surface, raw = BY_ID[name], recorded(name, number, json.dumps(body))
    assume(raw)

    whole, taken_back = outcome(surface, [raw])
    answers = {choice["index"] for chunk in whole for choice in chunk.get("choices") or ()}
    beginning = raw[: int(share * len(raw))]
    told, kind = outcome(surface, [beginning], len(answers))

    assert kind in ("broken", taken_back)
    assert kind or {**said(told), "usage": None} == {**said(whole), "usage": None}
