"""Speech of CosyVoice and Qwen-TTS, and what Qwen-ASR hears. Paraformer and Fun-ASR take only addresses of public files, which nothing has
that a client uploads: they are not offered.

Facts from the vendor's API reference (CosyVoice HTTP, Qwen-TTS, Qwen-ASR) and dashscope 2.0.2, read 2026-11-23.
"""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from providers.alibaba.errors import fault_of
from providers.alibaba.gather import refused
from providers.base import JSON_BODY, Change, Fault, Json, Outgoing, Stream, Target, encode
from providers.fields import Fields, all_native, apply, native
from providers.media import SPEECH_BASICS, TRANSCRIPTION_BASICS, Whole, at_most, in_url, sound, sound_in, voice
from providers.openai_like import UNKNOWN, Payloads, read_json

MODE, OWN = "/compatible-mode/v1", "/api/v1"
SYNTHESIZER, MULTIMODAL = "/services/audio/tts/SpeechSynthesizer", "/services/aigc/multimodal-generation/generation"
SSE: Mapping[str, str] = {**JSON_BODY, "x-dashscope-sse": "enable"}
OF_QWEN = voice(
    {
        "alloy": "Cherry", "ash": "Ethan", "ballad": "Ryan", "coral": "Serena", "echo": "Kai", "fable": "Nofish", "onyx": "Ethan",
        "nova": "Jennifer", "sage": "Maia", "shimmer": "Chelsie", "verse": "Ryan", "marin": "Vivian", "cedar": "Kai",
    }
)  # fmt: skip
OF_COSY = voice(
    {
        **dict.fromkeys(("alloy", "coral", "nova", "sage", "shimmer", "marin"), "longanhuan"),
        **dict.fromkeys(("ash", "ballad", "echo", "fable", "onyx", "verse", "cedar"), "longanyang"),
    }
)
"""Those that every version of CosyVoice 3 is shown with."""
RATE = 24_000


def cosy(target: Target) -> bool:
    return target.model.endpoint == "SpeechSynthesizer"


def voices(out: Json, field: str, value: Any, target: Target) -> tuple[Change, ...]:
    return (OF_COSY if cosy(target) else OF_QWEN)(out, field, value, target)


def forms(out: Json, field: str, value: Any, target: Target) -> tuple[Change, ...]:
    """CosyVoice is told the form; Qwen gives wav, and pcm as a stream."""
    if cosy(target):
        return sound("mp3", "wav", "pcm", "opus", otherwise="mp3", to="format")(out, field, value, target)
    return sound("wav")({}, field, value, target)


def speed(out: Json, field: str, value: Any, target: Target) -> tuple[Change, ...]:
    if not cosy(target):
        return () if value == 1 else (Change(field, "dropped", why="not offered"),)
    out["rate"] = kept = min(max(value, 0.5), 2.0)
    return (Change(field, "renamed", "rate") if kept == value else Change(field, "clamped", f"{kept:g}"),)


def instructions(out: Json, field: str, value: Any, target: Target) -> tuple[Change, ...]:
    if not cosy(target):
        return (Change(field, "dropped", why="not offered"),)
    out["instruction"] = value
    return (Change(field, "renamed", "instruction"),)


def words(out: Json, field: str, value: Any, target: Target) -> tuple[Change, ...]:
    """Of Qwen-TTS at most 600 characters."""
    if not cosy(target):
        at_most(600)({}, field, value, target)
    out["text"] = value
    return (Change(field, "renamed", "text"),)


SPEECH_FIELDS: Fields = {
    **SPEECH_BASICS,
    "input": words,
    "voice": voices,
    "response_format": forms,
    "speed": speed,
    "instructions": instructions,
    **all_native("language_type", "volume", "pitch", "seed"),
}


class Speech(Struct, Whole, frozen=True):
    fields: Fields

    def request(self, body: Json, target: Target) -> Outgoing:
        out, changes = apply(self.fields, UNKNOWN, body, target)
        sent = {"model": out.pop("model"), "input": {**out, **({"sample_rate": RATE} if cosy(target) else {})}}
        headers = SSE if body.get("stream_format") == "sse" and self.streams(body) else JSON_BODY
        return Outgoing(target.base_url.replace(MODE, OWN) + (SYNTHESIZER if cosy(target) else MULTIMODAL), encode(sent), headers, changes)

    def response(self, body: bytes) -> Json:
        answer = read_json(body)
        audio = (answer.get("output") or {}).get("audio") or {}
        if answer.get("code") or not audio.get("url"):
            raise fault_of(200, {}, answer)
        return {"url": audio["url"], "usage": usage_of(answer)}

    def streams(self, body: Json) -> bool:
        return bool(body.get("response_format") == "pcm")

    def stream(self) -> Stream:
        return Sounds()

    def fault(self, status: int, headers: Mapping[str, str], body: bytes) -> Fault:
        return fault_of(status, headers, refused(body))


def usage_of(answer: Json) -> Json:
    """Characters; of older models tokens."""
    told = answer.get("usage") or {}
    return {name: told[name] for name in ("characters", "input_tokens", "output_tokens") if name in told}


class Sounds(Payloads):
    """Chunks out of the events of a spoken answer. The last has a reason to finish, and an address that nobody needs."""

    __slots__ = ()

    def chunks(self, payload: bytes) -> list[Json]:
        event = read_json(payload)
        output = event.get("output")
        if event.get("code") or not isinstance(output, dict):
            raise fault_of(200, {}, event)
        self.over = output.get("finish_reason") == "stop"
        content = (output.get("audio") or {}).get("data")
        delta: Json = {"audio": sound_in(content)} if content else {}
        choice = {"index": 0, "delta": delta, "finish_reason": "stop" if self.over else None}
        return [{"choices": [choice], "usage": usage_of(event)}]


# ---- what is heard ----


def language(out: Json, field: str, value: Any, target: Target) -> tuple[Change, ...]:
    out["asr_options"] = {**out.get("asr_options", {}), "language": value}
    return (Change(field, "renamed", "asr_options.language"),)


TRANSCRIPTION_FIELDS: Fields = {**TRANSCRIPTION_BASICS, "prompt": native, "language": language, "asr_options": native}


class Transcriptions(Struct, Whole, frozen=True):
    """The file goes along as a data URL; a prompt is the system's word, which the vendor calls context."""

    fields: Fields

    def request(self, body: Json, target: Target) -> Outgoing:
        out, changes = apply(self.fields, UNKNOWN, body, target)
        model, file, prompt = out.pop("model"), out.pop("file"), out.pop("prompt", "")
        turns = [{"role": "system", "content": [{"text": prompt}]}] if prompt else []
        turns.append({"role": "user", "content": [{"audio": in_url(file)}]})
        sent: Json = {"model": model, "input": {"messages": turns}, "parameters": out}
        return Outgoing(target.base_url.replace(MODE, OWN) + MULTIMODAL, encode(sent), changes=changes)

    def response(self, body: bytes) -> Json:
        answer = read_json(body)
        choices = (answer.get("output") or {}).get("choices")
        if answer.get("code") or not choices:
            raise fault_of(200, {}, answer)
        message = choices[0]["message"]
        told: Json = {"text": "".join(part.get("text") or "" for part in message.get("content") or ())}
        for note in message.get("annotations") or ():
            if note.get("language"):
                told["language"] = note["language"]
        seconds = (answer.get("usage") or {}).get("seconds")
        return {**told, "usage": {"seconds": seconds}} if seconds is not None else told

    def fault(self, status: int, headers: Mapping[str, str], body: bytes) -> Fault:
        return fault_of(status, headers, body)


SPEECH = Speech(SPEECH_FIELDS)
TRANSCRIPTIONS = Transcriptions(TRANSCRIPTION_FIELDS)
