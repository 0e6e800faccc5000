"""Sounds by their bytes: form, length, samples; and transcripts as subtitles."""

import struct

import pytest

from gateway.emulation.audio import form_of, samples_of, seconds_of, subtitles
from providers.base import Fault
from providers.media_simulation import samples, spoken

FRAME = b"\xff\xfb\x90\x64" + bytes(413)
"""One frame of MPEG 1 layer III with 128 kbit/s at 44,100 Hz."""


def wav(rate: int = 24_000, channels: int = 1, bits: int = 16, data: bytes = bytes(4800), *between: bytes) -> bytes:
    head = struct.pack("<HHIIHH", 1, channels, rate, rate * channels * bits // 8, channels * bits // 8, bits)
    body = b"WAVEfmt " + struct.pack("<I", 16) + head + b"".join(between) + b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


@pytest.mark.parametrize(
    ("data", "form"),
    [
        (wav(), "wav"), (b"ID3\x04", "mp3"), (FRAME, "mp3"), (b"\xff\xf1\x50\x80", "aac"), (b"\xff\xf9", "aac"), (b"OggS", "opus"),
        (b"fLaC", "flac"), (b"\0\1\0\2", "pcm"), (b"", "pcm"), (b"\xff", "pcm"), (b"RIFF1234AVI ", "pcm"),
    ],
)  # fmt: skip
def test_a_sound_is_known_by_how_it_begins(data: bytes, form: str) -> None:
    assert form_of(data) == form


@pytest.mark.parametrize(
    ("data", "seconds"),
    [
        (wav(), 0.1), (wav(8000, 2, 16, bytes(32_000)), 1.0), (wav(24_000, 1, 16, bytes(4800), b"LIST\x05\0\0\0abcde\0"), 0.1),
        (wav()[:-2400], 0.05), (wav()[:30], None), (wav(0), None), (FRAME * 1000, 26.0625),
        (b"ID3\x04\0\0\0\0\0\x0a" + bytes(10) + FRAME * 2, 0.0521),
        (b"ID3\x04\0\0\0\0\0\x0a" + bytes(100), None), (b"OggS", None), (b"\xff\xfb\x00\x64", None),
    ],
)  # fmt: skip
def test_how_long_it_lasts_is_read_where_that_needs_no_decoder(data: bytes, seconds: float | None) -> None:
    assert seconds_of(data) == (None if seconds is None else pytest.approx(seconds, abs=1e-4))


def test_samples_are_cut_out_of_what_openai_means_by_them() -> None:
    assert samples_of(spoken("Hello", "wav")) == samples("Hello")
    assert samples_of(wav(16_000)) is None
    assert samples_of(wav(channels=2)) is None
    assert samples_of(wav()[:20]) is None


def test_segments_become_subtitles() -> None:
    told = [{"start": 0, "end": 1.5, "text": " Hello\nthere "}, {"start": 3599.9996, "end": 3661.25, "text": "a --> b"}]

    assert subtitles(told, "srt") == ("1\n00:00:00,000 --> 00:00:01,500\nHello there\n\n2\n01:00:00,000 --> 01:01:01,250\na → b\n")
    assert subtitles(told, "vtt").startswith("WEBVTT\n\n00:00:00.000 --> 00:00:01.500\nHello there\n")
    assert subtitles([], "vtt") == "WEBVTT\n\n"


@pytest.mark.parametrize(
    "segment", [{}, {"start": 0}, {"start": "0", "end": 1}, {"start": -1, "end": 1}, {"start": True, "end": 1}], ids=str
)
def test_times_of_no_known_form_are_a_failure(segment: dict[str, object]) -> None:
    with pytest.raises(Fault, match="times"):
        subtitles([segment], "srt")
