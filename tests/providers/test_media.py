"""Images and audio at the vendors' side of the wire: streams cut at any byte, forms, sizes, and simulators as strict as their vendors."""

from base64 import b64encode
from typing import Any

import pytest
from msgspec.json import encode

from providers.alibaba.audio import Sounds as AlibabaSounds
from providers.base import Fault, Json, Model, Stream, Target
from providers.form_simulation import read_form
from providers.load import load
from providers.media import Transcript, form, size
from providers.media_simulation import heard, png, png_size, spoken
from providers.simulation import Request
from providers.zhipu.speech import Sounds as ZhipuSounds
from providers.zhipu.transcriptions import TRANSCRIPTIONS

TARGET = Target("https://vendor.test/v1", Model("m"))


def frame(event: Any) -> bytes:
    return b"data: " + encode(event) + b"\n\n"


def zhipu(*pieces: bytes) -> bytes:
    said = [{"choices": [{"index": 0, "delta": {"role": "assistant", "content": b64encode(one).decode()}}]} for one in pieces]
    return (
        b"".join(map(frame, said))
        + frame({"choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": "stop"}]})
        + b"data: [DONE]\n\n"
    )


def alibaba(*pieces: bytes) -> bytes:
    said = [{"output": {"finish_reason": "null", "audio": {"data": b64encode(one).decode()}}, "usage": {"characters": 5}} for one in pieces]
    return b"".join(map(frame, said)) + frame(
        {"output": {"finish_reason": "stop", "audio": {"data": "", "url": "u"}}, "usage": {"characters": 5}}
    )


def read(stream: Stream, raw: bytes, size: int) -> list[Json]:
    return [chunk for at in range(0, len(raw), size) for chunk in stream.feed(raw[at : at + size])] + stream.end()


@pytest.mark.parametrize("step", [1, 7, 10_000])
@pytest.mark.parametrize(
    ("made", "raw"), [(ZhipuSounds, zhipu(b"abc", b"def")), (AlibabaSounds, alibaba(b"abc", b"def"))], ids=["zhipu", "alibaba"]
)
def test_a_sound_is_the_same_however_it_is_cut(made: Any, raw: bytes, step: int) -> None:
    chunks = read(made(), raw, step)

    assert b"".join(choice["delta"].get("audio", b"") for chunk in chunks for choice in chunk["choices"]) == b"abcdef"
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"


@pytest.mark.parametrize(("made", "raw"), [(ZhipuSounds, zhipu(b"abc")), (AlibabaSounds, alibaba(b"abc"))], ids=["zhipu", "alibaba"])
def test_a_sound_without_its_end_is_broken(made: Any, raw: bytes) -> None:
    with pytest.raises(Fault, match="ended before"):
        read(made(), raw.partition(b"\n\n")[0] + b"\n\n", 50)


@pytest.mark.parametrize("made", [ZhipuSounds, AlibabaSounds])
@pytest.mark.parametrize(
    "event",
    [{"error": {"code": "1301", "message": "no"}, "code": "DataInspectionFailed", "message": "no"}, {"x": 1},
     {"choices": [{"delta": {"content": "not base64"}}], "output": {"audio": {"data": "not base64"}}}],
    ids=["refused", "odd", "no base64"],
)  # fmt: skip
def test_an_event_that_is_no_sound_is_a_fault(made: Any, event: Json) -> None:
    with pytest.raises(Fault):
        made().feed(frame(event))


@pytest.mark.parametrize("step", [1, 9, 10_000])
def test_a_transcript_is_the_same_however_it_is_cut(step: int) -> None:
    events = [{"type": "transcript.text.delta", "delta": "Hel"}, {"type": "transcript.text.delta", "delta": "lo"}]
    raw = b"".join(map(frame, [*events, {"type": "transcript.text.done", "text": "Hello", "usage": {"seconds": 1}}])) + b"data: [DONE]\n\n"

    chunks = read(Transcript(TRANSCRIPTIONS), raw, step)

    assert "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks) == "Hello"
    assert chunks[-1]["usage"] == {"seconds": 1}


def test_a_transcript_may_come_at_once_although_a_stream_was_asked_for() -> None:
    chunks = read(Transcript(TRANSCRIPTIONS), frame({"text": "Hello"}), 100)

    assert [chunk["choices"][0]["delta"]["content"] for chunk in chunks] == ["Hello"]


@pytest.mark.parametrize("raw", [frame({"type": "transcript.text.delta", "delta": "Hel"}), b"", frame({"error": {"code": "1302"}})])
def test_a_transcript_that_breaks_off_is_a_fault(raw: bytes) -> None:
    with pytest.raises(Fault):
        read(Transcript(TRANSCRIPTIONS), raw, 100)


def test_a_form_is_read_as_it_was_written() -> None:
    file = {"name": 'a "b"\r\n.wav', "type": "audio/wav", "data": b"\r\n--x\r\n"}

    kind, body = form({"model": "m", "stream": True, "temperature": 0.5, "hotwords": ["a", "b"], "svg": {"model": "x"}, "file": file})

    told = read_form(Request("POST", "/", {}, {"content-type": kind}, body))
    assert told is not None
    assert told[0] == {"model": "m", "stream": "true", "temperature": "0.5", "hotwords[]": "b", "svg[model]": "x"}
    assert told[1] == {"file": ("a _b___.wav", b"\r\n--x\r\n")}


@pytest.mark.parametrize(
    ("wanted", "sent"),
    [
        ("1024x1024", "1024*1024"),
        ("600x700", "600*700"),
        ("601x700", "1024*1024"),
        ("4000x2000", "1024*1024"),
        ("512x768", "512*768"),
        ("auto", None),
    ],
)
def test_a_size_is_the_nearest_that_the_vendor_makes(wanted: str, sent: str | None) -> None:
    out: Json = {}
    changes = size(("1024x1024", "512x768"), least=512, most=1024, step=4, by="*")(out, "size", wanted, TARGET)

    assert out.get("size") == sent
    assert bool(changes) == (wanted in ("601x700", "4000x2000"))


@pytest.mark.parametrize("wanted", ["large", "10", "x", "0x5", "-1x5", "1024X1024", "9999999x1"])
def test_what_is_no_size_is_refused(wanted: str) -> None:
    with pytest.raises(Fault, match="width and a height"):
        size(("1024x1024",))({}, "size", wanted, TARGET)


@pytest.mark.parametrize(("vendor", "surface"), [(vendor, name) for vendor, named in load().items() for name in named])
@pytest.mark.parametrize(
    "body", [b"", b"[]", b"null", b"{}", b'{"data": 5}', b'{"output": []}', b"<html>", b'{"text": 5}', b'{"error": "no"}']
)
def test_an_answer_of_no_known_form_is_never_taken_for_one(vendor: str, surface: str, body: bytes) -> None:
    for endpoint in ("images", "image_edits", "transcriptions"):
        translator = load()[vendor][surface].endpoints.get(endpoint)
        if translator is None:
            continue
        try:
            told = translator.response(body)
        except (Fault, AttributeError, IndexError, KeyError, TypeError, ValueError):
            continue
        assert body == b'{"data": 5}', told  # which the gateway looks at


def test_what_is_spoken_is_heard() -> None:
    said = heard(spoken("The bridge, 桥。", "wav", 2.0))

    assert said is not None
    assert (said.text, round(said.seconds, 2)) == ("The bridge, 桥。", 0.42)
    assert heard(b"words") is None
    assert png_size(png("a", 3, 5)) == (3, 5)
    assert png_size(b"words") is None
