"""Speech and transcriptions by OpenAI's own SDK over sockets, at every vendor that has them: whole, streamed, and in every form."""

from base64 import b64decode
from collections.abc import Callable
from typing import Any

import pytest
from msgspec.json import decode
from openai import BadRequestError, OpenAI

from gateway.emulation.audio import form_of
from providers.media_simulation import heard, samples
from tests.conftest import Served
from tests.gateway.api.media.conftest import WAV, config
from tests.gateway.provider import CHUNKED, RESET, Make, answer, piece

Gateway = Callable[..., Served]
SPEAKERS = ["glm-tts", "cosyvoice", "qwen-tts", "tts-o", "azure-tts", "any-voice"]
HEARERS = ["glm-asr", "qwen-asr", "whisper", "gpt-4o-transcribe-o", "azure-whisper", "any-ear"]
TEXT = "The bridge is red."


def events(raw: bytes) -> list[Any]:
    return [decode(line[6:]) for line in raw.split(b"\n") if line.startswith(b"data: {")]


@pytest.mark.parametrize("model", SPEAKERS)
def test_every_speaker_says_the_text(client: OpenAI, served: Served, model: str) -> None:
    told = client.audio.speech.create(model=model, input=TEXT, voice="alloy", response_format="wav")

    said = heard(told.content)
    assert said is not None
    assert said.text == TEXT
    assert told.response.headers["content-type"] == "audio/wav"
    assert served.record().usage == {"characters": len(TEXT)}


@pytest.mark.parametrize(
    ("model", "wanted", "given"),
    [("glm-tts", "mp3", "wav"), ("qwen-tts", "opus", "wav"), ("cosyvoice", "mp3", "mp3"), ("cosyvoice", "opus", "opus"),
     ("cosyvoice", "flac", "mp3"), ("tts-o", "mp3", "mp3"), ("tts-o", "aac", "aac"), ("tts-o", "flac", "flac")],
)  # fmt: skip
def test_the_content_type_says_what_the_sound_is(client: OpenAI, served: Served, model: str, wanted: Any, given: str) -> None:
    told = client.audio.speech.create(model=model, input=TEXT, voice="alloy", response_format=wanted)

    assert form_of(told.content) == given
    assert (
        told.response.headers["content-type"]
        == {"wav": "audio/wav", "mp3": "audio/mpeg", "opus": "audio/ogg", "aac": "audio/aac", "flac": "audio/flac"}[given]
    )
    assert ("response_format=clamped" in served.record().changes) == (wanted != given)


@pytest.mark.parametrize("model", SPEAKERS)
def test_bare_samples_come_as_they_are_made(client: OpenAI, model: str) -> None:
    with client.audio.speech.with_streaming_response.create(model=model, input=TEXT, voice="alloy", response_format="pcm") as told:
        sound = b"".join(told.iter_bytes())

    assert told.headers["content-type"] == "audio/pcm"
    assert sound == samples(TEXT)


@pytest.mark.parametrize("model", SPEAKERS)
@pytest.mark.parametrize("form", ["wav", "pcm"])
def test_events_have_the_sound_in_pieces_and_an_end(served: Served, model: str, form: str) -> None:
    body = {"model": model, "input": TEXT, "voice": "alloy", "response_format": form, "stream_format": "sse"}
    reply = served.client.post("/v1/audio/speech", json=body)

    assert reply.headers["content-type"].startswith("text/event-stream")
    *deltas, done = events(reply.content)
    assert {event["type"] for event in deltas} == {"speech.audio.delta"}
    assert (done["type"], set(done["usage"])) == ("speech.audio.done", {"input_tokens", "output_tokens", "total_tokens"})
    sound = b"".join(b64decode(event["audio"]) for event in deltas)
    assert sound == samples(TEXT) if form == "pcm" else heard(sound).text == TEXT  # type: ignore[union-attr]
    assert served.record().usage == {"characters": len(TEXT)}


def test_chinese_is_counted_as_its_vendor_bills_it(client: OpenAI, served: Served) -> None:
    client.audio.speech.create(model="cosyvoice", input="你好 hi", voice="alloy")
    client.audio.speech.create(model="glm-tts", input="你好 hi", voice="alloy")

    assert [served.record().usage for _ in "ab"] == [{"characters": 7}, {"characters": 5}]


@pytest.mark.parametrize(
    ("model", "voice", "changes"),
    [("glm-tts", "ash", "voice=renamed:chuichui"), ("glm-tts", "kazi", ""), ("qwen-tts", "Cherry", "input=renamed:text"),
     ("cosyvoice", {"id": "longanyang"}, "input=renamed:text,response_format=renamed:format"), ("tts-o", "ash", "")],
    ids=str,
)  # fmt: skip
def test_voices_are_openais_or_the_vendors_own(client: OpenAI, served: Served, model: str, voice: Any, changes: str) -> None:
    client.audio.speech.create(model=model, input=TEXT, voice=voice, response_format="wav")

    assert served.record().changes == changes


@pytest.mark.parametrize(("speed", "told"), [(4.0, "speed=clamped:2"), (0.25, "speed=clamped:0.5"), (1.5, "")])
def test_a_speed_is_kept_within_what_the_vendor_can(client: OpenAI, served: Served, speed: float, told: str) -> None:
    client.audio.speech.create(model="glm-tts", input=TEXT, voice="kazi", response_format="wav", speed=speed)

    assert served.record().changes == told


@pytest.mark.parametrize(
    ("fields", "param"),
    [({"input": ""}, "input"), ({"input": None}, "input"), ({"input": "a" * 4097}, "input"), ({"voice": None}, "voice"),
     ({"voice": 5}, "voice"), ({"voice": {}}, "voice.id"), ({"response_format": "ogg"}, "response_format"), ({"speed": 5}, "speed"),
     ({"stream_format": "x"}, "stream_format"),     ({"input": "a" * 1025}, "input")],
    ids=lambda value: str(value)[:40],
)  # fmt: skip
def test_a_request_of_no_known_form_is_refused_by_name(served: Served, fields: dict[str, Any], param: str) -> None:
    reply = served.client.post("/v1/audio/speech", json={"model": "glm-tts", "input": TEXT, "voice": "alloy", **fields})

    assert (reply.status_code, reply.json()["error"]["param"]) == (400, param)


def test_what_may_not_be_said_is_told_in_openais_words(client: OpenAI) -> None:
    with pytest.raises(BadRequestError) as refused:
        client.audio.speech.create(model="cosyvoice", input="[unsafe-input]", voice="alloy")

    assert refused.value.code == "content_filter"


def test_a_sound_that_breaks_off_does_not_look_whole(gateway: Gateway, provider: Make) -> None:
    one = provider((CHUNKED.replace(b"text/event-stream", b"audio/pcm"), piece(b"\0" * 960), RESET))
    served = gateway({"providers": {"o": {**one.account(), "vendor": "openai"}}, "models": {"m": "o/tts-1"}})

    body = {"model": "m", "input": TEXT, "voice": "alloy", "response_format": "pcm"}
    bare = served.client.send(served.client.build_request("POST", "/v1/audio/speech", json=body), stream=True)
    with pytest.raises(Exception, match=r"incomplete|closed|peer"):
        bare.read()
    told = served.client.post("/v1/audio/speech", json={**body, "stream_format": "sse"})

    *_, last = events(told.content)
    assert last["error"]["code"] == "upstream_broken"
    assert b"speech.audio.done" not in told.content


@pytest.mark.parametrize("said", [b"", b'{"error": {"code": "x"}}', b"<html>"], ids=str)
def test_what_is_no_sound_is_a_failure_of_the_providers(gateway: Gateway, provider: Make, said: bytes) -> None:
    served = gateway({"providers": {"o": {**provider(answer(200, said)).account(), "vendor": "openai"}}, "models": {"m": "o/tts-1"}})

    reply = served.client.post("/v1/audio/speech", json={"model": "m", "input": TEXT, "voice": "alloy"})

    assert reply.status_code == 502


# ---- transcriptions ----


@pytest.mark.parametrize("model", HEARERS)
def test_every_hearer_hears_the_text(client: OpenAI, served: Served, model: str) -> None:
    told = client.audio.transcriptions.create(model=model, file=WAV, language="en", prompt="A talk about bridges.")

    assert told.text == TEXT
    assert told.usage is not None
    usage = served.record().usage
    assert (usage["seconds"] > 1) or model == "gpt-4o-transcribe-o"
    assert ("prompt_tokens" in usage) == (told.usage.type == "tokens") == (model == "gpt-4o-transcribe-o")


@pytest.mark.parametrize("model", HEARERS)
def test_words_alone_are_plain_text(client: OpenAI, model: str) -> None:
    assert client.audio.transcriptions.create(model=model, file=WAV, response_format="text") == f"{TEXT}\n"


@pytest.mark.parametrize("model", HEARERS)
def test_a_transcript_is_streamed(client: OpenAI, model: str) -> None:
    told = list(client.audio.transcriptions.create(model=model, file=WAV, stream=True))

    assert [event.type for event in told[:-1]] == ["transcript.text.delta"] * (len(told) - 1)
    assert "".join(getattr(event, "delta", "") for event in told) == TEXT
    assert (told[-1].type, getattr(told[-1], "text", "")) == ("transcript.text.done", TEXT)


@pytest.mark.parametrize("model", ["whisper", "azure-whisper", "any-ear"])
def test_times_become_subtitles(served: Served, model: str) -> None:
    def ask(form: str) -> Any:
        return served.client.post("/v1/audio/transcriptions", files={"file": WAV}, data={"model": model, "response_format": form})

    srt, vtt, whole = ask("srt"), ask("vtt"), ask("verbose_json").json()
    half = whole["segments"][0]["end"]
    assert (
        srt.text
        == f"1\n00:00:00,000 --> 00:00:00,{half * 1000:03.0f}\nThe bridg\n\n2\n00:00:00,{half * 1000:03.0f} --> 00:00:01,080\ne is red.\n"
    )
    assert vtt.text.startswith("WEBVTT\n\n00:00:00.000 --> 00:00:00.")
    assert (srt.headers["content-type"], vtt.headers["content-type"]) == ("application/x-subrip; charset=utf-8", "text/vtt; charset=utf-8")
    assert (whole["task"], whole["text"], whole["duration"]) == ("transcribe", TEXT, 1.08)


@pytest.mark.parametrize("form", ["srt", "vtt", "verbose_json", "diarized_json"])
@pytest.mark.parametrize("model", ["glm-asr", "qwen-asr"])
def test_times_that_nobody_tells_are_not_made_up(client: OpenAI, model: str, form: Any) -> None:
    with pytest.raises(BadRequestError) as refused:
        client.audio.transcriptions.create(model=model, file=WAV, response_format=form)

    assert (refused.value.param, refused.value.code) == ("response_format", "unsupported_parameter")


@pytest.mark.parametrize(
    ("fields", "param"),
    [({"response_format": "xml"}, "response_format"), ({"temperature": "2"}, "temperature"), ({"temperature": "warm"}, "temperature"),
     ({"stream": "perhaps"}, "stream"), ({"stream": "true", "response_format": "srt"}, "response_format"),
     ({"timestamp_granularities[]": "word"}, "timestamp_granularities")],
    ids=str,
)  # fmt: skip
def test_a_form_of_no_known_form_is_refused_by_name(served: Served, fields: dict[str, str], param: str) -> None:
    reply = served.client.post("/v1/audio/transcriptions", files={"file": WAV}, data={"model": "whisper", **fields})

    assert (reply.status_code, reply.json()["error"]["param"]) == (400, param)


@pytest.mark.parametrize("sent", [{"files": {"file": ("a.wav", b"")}}, {"files": {"sound": WAV}}, {"json": {"model": "whisper"}}], ids=str)
def test_without_a_file_there_is_nothing_to_hear(served: Served, sent: dict[str, Any]) -> None:
    form: dict[str, Any] = {"data": {"model": "whisper"}} if "files" in sent else {}

    assert served.client.post("/v1/audio/transcriptions", **sent, **form).status_code in (400, 415)


@pytest.mark.parametrize("model", HEARERS)
def test_a_sound_without_a_name_and_a_type_is_heard_too(client: OpenAI, model: str) -> None:
    assert client.audio.transcriptions.create(model=model, file=WAV[1]).text == TEXT


def test_translations_are_nobodys(served: Served) -> None:
    reply = served.client.post("/v1/audio/translations", files={"file": WAV}, data={"model": "whisper"})

    assert (reply.status_code, reply.json()["error"]["code"]) == (404, "retired_endpoint")
    assert "/v1/audio/transcriptions" in reply.json()["error"]["message"]


@pytest.mark.parametrize(
    ("name", "served_by"),
    [("whisper-1", "glm-asr-2512"), ("gpt-4o-transcribe", "glm-asr-2512"), ("gpt-4o-mini-transcribe", "glm-asr-2512")],
)
def test_openais_hearers_are_stood_in_for(gateway: Gateway, simulators: str, name: str, served_by: str) -> None:
    served = gateway({"providers": {"z": config(simulators)["providers"]["z"]}})

    reply = served.client.post("/v1/audio/transcriptions", files={"file": WAV}, data={"model": name})

    assert (reply.json()["text"], reply.headers["x-banjia-model"]) == (TEXT, served_by)
    spoken = served.client.post("/v1/audio/speech", json={"model": "tts-1", "input": TEXT, "voice": "nova", "response_format": "wav"})
    assert spoken.headers["x-banjia-model"] == "glm-tts"


def test_azures_clients_name_the_deployment_in_the_path(served: Served) -> None:
    said = served.client.post("/openai/deployments/glm-tts/audio/speech?api-version=x", json={"input": TEXT, "voice": "alloy"})
    told = served.client.post("/openai/deployments/glm-asr/audio/transcriptions?api-version=x", files={"file": WAV})

    assert (said.status_code, told.json()["text"]) == (200, TEXT)
