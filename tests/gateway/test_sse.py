"""Streams cut into pieces anywhere are read as they would be in one piece."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers import sse
from providers.sse import EventReader, EventTooLong


def read(*pieces: bytes) -> list[bytes]:
    reader = EventReader()
    return [payload for piece in pieces for payload in reader.feed(piece)] + reader.end()


PAYLOADS = st.lists(
    st.text(st.characters(exclude_characters="\r\n", codec="utf-8"), min_size=1, max_size=12).map(lambda text: "x" + text), max_size=6
)


@given(
    PAYLOADS, st.sampled_from(["\n", "\r\n", "\r"]), st.booleans(), st.sampled_from(["", " "]), st.lists(st.integers(0, 400), max_size=8)
)
def test_a_stream_may_be_cut_into_pieces_anywhere(payloads: list[str], line_end: str, comments: bool, space: str, cuts: list[int]) -> None:
    lines = []
    for number, payload in enumerate(payloads):
        if comments:
            lines += [": ping", "", f"id: {number}", "event: message"]
        lines += [f"data:{space}{payload}", ""]
    data = "".join(line + line_end for line in lines).encode()
    marks = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})

    pieces = [data[start:end] for start, end in pairwise(marks)]

    assert read(*pieces) == [payload.encode() for payload in payloads]


@given(st.binary(max_size=80), st.integers(0, 80))
def test_no_bytes_make_the_reader_fail(data: bytes, cut: int) -> None:
    assert isinstance(read(data[:cut], data[cut:]), list)


STREAM = b': hi\r\n\r\nid: 1\r\nevent: x\r\ndata: {"a":\r\ndata: 1}\r\n\r\ndata:[DONE]\r\n\r\n'


@pytest.mark.parametrize("cut", range(len(STREAM)))
def test_an_event_of_several_lines_may_be_cut_anywhere(cut: int) -> None:
    assert read(STREAM[:cut], STREAM[cut:]) == [b'{"a":\n1}', b"[DONE]"]


def test_an_event_that_grows_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "LIMIT", 1000)

    with pytest.raises(EventTooLong):
        read(*[b"data: " + b"x" * 100] * 20)


def test_an_event_of_more_parts_than_can_be_decoded_in_time_is_given_up() -> None:
    with pytest.raises(EventTooLong):
        read(b"data: {}\n\n", b"data: [" + b"[]," * 60_000, b"[]," * 60_000 + b"1]\n\n")

    assert len(read(b"data: {}\n\n", b'data: "' + b"x" * 900_000, b'"\n\n')) == 2
