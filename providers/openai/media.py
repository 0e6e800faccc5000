"""Images and audio at OpenAI and at Azure, which imports this. Whatever OpenAI takes goes through as it is, but for what the gateway itself
does: it writes subtitles out of the times of the words, and tells an image when it is whole.

Facts from openai-python 3.54.0, read 2026-11-23.
"""

from collections.abc import Callable, Mapping
from typing import Any

from providers.base import Change, Fault, Json, Outgoing, Stream, Target, encode
from providers.fields import Fields, Rule, all_native, apply, drop_unless, kept_here
from providers.media import CommonImages, CommonSpeech, CommonTranscriptions, form, told_whole

Address = Callable[[Target, str], str]
Judge = Callable[[int, Mapping[str, str], bytes], Fault]
PICTURES = ("gpt-image", "chatgpt-image")
"""Models that give nothing but data."""
TIMED = ("whisper",)
"""Models that tell when a word was spoken."""


def picture(out: Json, field: str, value: Any, target: Target) -> tuple[Change, ...]:
    """GPT Image does not know the field."""
    if not target.model.id.startswith(PICTURES):
        out[field] = value
        return ()
    return () if value == "b64_json" else (Change(field, "emulated", "data URL", "the gateway converts it"),)


def transcript(out: Json, field: str, value: Any, target: Target) -> tuple[Change, ...]:
    """JSON, out of which the gateway writes the other forms; with times where these are wanted."""
    if value in ("json", "text"):
        return ()
    if value == "diarized_json":
        out[field] = value
        return ()
    if not target.model.id.startswith(TIMED):
        raise Fault("unsupported", f"`{value}` needs the times of the words, which model {target.model.id} does not tell", param=field)
    out[field] = "verbose_json"
    return () if value == "verbose_json" else (Change(field, "emulated", "verbose_json", "the gateway writes it"),)


IMAGE_FIELDS: Fields = {
    "response_format": picture,
    "stream": told_whole,
    "partial_images": drop_unless(0, "an image is told when it is whole"),
    **all_native(
        "prompt", "n", "size", "quality", "style", "background", "moderation", "output_format", "output_compression", "complexity",
        "frame_count", "frame_duration_ms", "svg", "user", "safety_identifier",
    ),
}  # fmt: skip
EDIT_FIELDS: Fields = {**IMAGE_FIELDS, **all_native("image", "mask", "input_fidelity", "markup")}
SPEECH_FIELDS: Fields = {**all_native("input", "voice", "instructions", "response_format", "speed"), "stream_format": kept_here}
TRANSCRIPTION_FIELDS: Fields = {
    "response_format": transcript,
    **all_native(
        "file", "chunking_strategy", "include", "keywords", "known_speaker_names", "known_speaker_references", "language", "languages",
        "prompt", "temperature", "timestamp_granularities", "stream",
    ),
}  # fmt: skip


class Images(CommonImages, frozen=True, kw_only=True):
    url: Address
    judge: Judge
    formed: bool = False
    """The request is a form: an edit's."""

    def request(self, body: Json, target: Target) -> Outgoing:
        out, changes = apply(self.fields, self.others, body, target)
        where = self.url(target, self.path)
        if not self.formed:
            return Outgoing(where, encode(out), changes=changes)
        kind, sent = form(out)
        return Outgoing(where, sent, {"content-type": kind}, changes)

    def fault(self, status: int, headers: Mapping[str, str], body: bytes) -> Fault:
        return self.judge(status, headers, body)


class Speech(CommonSpeech, frozen=True, kw_only=True):
    url: Address
    judge: Judge

    def request(self, body: Json, target: Target) -> Outgoing:
        out, changes = apply(self.fields, self.others, body, target)
        return Outgoing(self.url(target, self.path), encode(out), changes=changes)

    def streams(self, body: Json) -> bool:
        return True

    def stream(self) -> Stream:
        return Bytes()

    def fault(self, status: int, headers: Mapping[str, str], body: bytes) -> Fault:
        return self.judge(status, headers, body)


class Bytes:
    """Chunks out of a body that is the sound itself. Where it is cut off, whoever reads it from the connection knows."""

    __slots__ = ("_begun",)
    unmarked = True
    """Nothing but the end of the body ends it."""

    def __init__(self) -> None:
        self._begun = False

    def feed(self, data: bytes) -> list[Json]:
        self._begun = self._begun or bool(data)
        return [{"choices": [{"index": 0, "delta": {"audio": data}, "finish_reason": None}]}]

    def end(self) -> list[Json]:
        if not self._begun:
            raise Fault("broken", "the provider's answer is empty")
        return [{"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}]


class Transcriptions(CommonTranscriptions, frozen=True, kw_only=True):
    url: Address
    judge: Judge

    def request(self, body: Json, target: Target) -> Outgoing:
        out, changes = apply(self.fields, self.others, body, target)
        kind, sent = form(out)
        return Outgoing(self.url(target, self.path), sent, {"content-type": kind}, changes)

    def fault(self, status: int, headers: Mapping[str, str], body: bytes) -> Fault:
        return self.judge(status, headers, body)


def media(url: Address, judge: Judge, model: Rule) -> Mapping[str, Images | Speech | Transcriptions]:
    """The endpoints, where they are addressed by `url` and told their model by `model`."""
    named: Fields = {"model": model}
    return {
        "images": Images(fields={**named, **IMAGE_FIELDS}, url=url, judge=judge),
        "image_edits": Images(path="/images/edits", fields={**named, **EDIT_FIELDS}, url=url, judge=judge, formed=True),
        "speech": Speech(fields={**named, **SPEECH_FIELDS}, url=url, judge=judge),
        "transcriptions": Transcriptions(fields={**named, **TRANSCRIPTION_FIELDS}, url=url, judge=judge),
    }
