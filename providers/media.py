"""Images and audio: OpenAI's requests for them, from which most vendors differ in a name or a limit.

What the translators of these endpoints give for an answer:

    images, image_edits   {"created"?, "data": [{"url" or "b64_json", "revised_prompt"?}], "usage"?}
    speech                {"audio": bytes, or "url": where they are, "usage"?}
    transcriptions        {"text", "language"?, "duration"?, "segments"?: [{"start", "end", "text"}], "words"?, "usage"?}

`usage` counts what the vendor bills: `images`, `seconds` or `characters`; tokens by OpenAI's names. A file in a request is
{"name", "type", "data": bytes}. A streamed answer is chunks of chat's form whose deltas have `audio`, bytes, or `content`, words.
"""

from base64 import b64decode, b64encode
from binascii import Error as NoBase64
from collections.abc import Iterable, Mapping
from hashlib import sha256
from types import MappingProxyType
from typing import Any, Protocol, runtime_checkable

from providers.base import Change, Fault, Json, Outgoing, Stream, Target, encode
from providers.fields import Fields, Rule, all_dropped, apply, drop, drop_unless, kept_here, native, served_model
from providers.openai_like import JsonEndpoint, Payloads, read_json

SQUARE = "1024x1024"
GIVEN = "the gateway converts it"


@runtime_checkable
class Streams(Protocol):
    """A translator whose vendor may give an answer as it is made."""

    def streams(self, body: Json) -> bool:
        """Whether it does for this request."""
        ...


# ---- rules for images ----


def size(listed: Iterable[str], *, least: int = 0, most: int = 0, step: int = 1, pixels: int = 0, by: str = "x") -> Rule:
    """A size in pixels: one of those listed, or any with edges from `least` to `most` in steps, of at most `pixels`. Another becomes the
    listed one of the nearest form. `by` stands between the two numbers at the vendor. `auto` is the vendor's own choice."""
    known = {edges: name for name in listed if (edges := _edges(name))}

    def rule(out: Json, field: str, value: Any, target: Target) -> tuple[Change, ...]:
        if value == "auto":
            return ()
        wanted = _edges(value)
        if wanted is None:
            raise Fault("bad_request", f"`{field}` is a width and a height, such as {SQUARE}", param=field)
        wide, high = wanted
        fits = least <= min(wanted) and max(wanted) <= most and wide * high <= (pixels or wide * high)
        if wanted in known or (fits and not wide % step and not high % step):
            out[field] = f"{wide}{by}{high}"
            return ()
        kept = min(known, key=lambda one: (abs(one[0] * high - one[1] * wide) / (one[1] * high), abs(one[0] * one[1] - wide * high)))
        out[field] = f"{kept[0]}{by}{kept[1]}"
        return (Change(field, "clamped", out[field]),)

    return rule


def _edges(text: str) -> tuple[int, int] | None:
    wide, _, high = text.partition("x")
    if not (wide.isdecimal() and high.isdecimal() and len(wide) < 6 and len(high) < 6 and int(wide) and int(high)):
        return None
    return int(wide), int(high)


def picture(gives: str) -> Rule:
    """`response_format` where the vendor knows one of the two: the gateway fetches what an address leads to, or writes data as one."""

    def rule(out: Json, field: str, value: Any, target: Target) -> tuple[Change, ...]:
        return () if value == gives else (Change(field, "emulated", "fetched" if gives == "url" else "data URL", GIVEN),)

    return rule


def told_whole(out: Json, field: str, value: Any, target: Target) -> tuple[Change, ...]:
    """`stream`, where the vendor gives nothing before all is there: the gateway tells it as a stream of one event."""
    return (Change(field, "emulated", "told when whole", "not offered"),) if value else ()


def bitmap(out: Json, field: str, value: Any, target: Target) -> tuple[Change, ...]:
    """`output_format` where there is no choice. What moves or scales is not what a bitmap could stand in for."""
    if value in ("gif", "svg"):
        raise Fault("unsupported", f"the provider makes no {value.upper()}", param=field)
    return () if value == "png" else (Change(field, "dropped", why="the provider chooses it"),)


IMAGE_BASICS: Fields = MappingProxyType(
    {
        "model": served_model,
        "prompt": native,
        "response_format": picture("url"),
        "stream": told_whole,
        "partial_images": drop_unless(0, "not offered"),
        "background": drop_unless("auto", "not offered"),
        "moderation": drop_unless("auto", "not offered"),
        "quality": drop_unless("auto", "not offered"),
        "output_format": bitmap,
        **all_dropped(
            "not offered", "style", "output_compression", "complexity", "frame_count", "frame_duration_ms", "svg", "user",
            "safety_identifier",
        ),
    }
)  # fmt: skip
"""Of vendors that answer with the addresses of images, and have nothing of what GPT Image has beside prompt, size and number."""
EDIT_BASICS: Fields = MappingProxyType(
    {**IMAGE_BASICS, **all_dropped("not offered", "mask", "input_fidelity", "markup")} | {"image": native}
)


def in_url(file: Json) -> str:
    """A file as a data URL."""
    return f"data:{file['type'] or 'application/octet-stream'};base64,{b64encode(file['data']).decode()}"


# ---- rules for audio ----


def voice(names: Mapping[str, str]) -> Rule:
    """OpenAI's voices by the vendor's that stand in for them; any other name is the vendor's own already."""

    def rule(out: Json, field: str, value: Any, target: Target) -> tuple[Change, ...]:
        given = value["id"] if isinstance(value, dict) else value
        out[field] = names.get(given, given)
        return (Change(field, "renamed", out[field]),) if given in names else ()

    return rule


def sound(*known: str, otherwise: str = "wav", to: str = "response_format") -> Rule:
    """`response_format` of speech: what is not known becomes `otherwise`, and says so in its content type. Bare samples the gateway cuts
    out of a wav. `to`: the vendor's name for the field."""

    def rule(out: Json, field: str, value: Any, target: Target) -> tuple[Change, ...]:
        out[to] = value if value in known else otherwise
        if value in known:
            return () if to == field else (Change(field, "renamed", to),)
        if (value, otherwise) == ("pcm", "wav"):
            return (Change(field, "emulated", "cut out of wav"),)
        return (Change(field, "clamped", otherwise),)

    return rule


def at_most(characters: int) -> Rule:
    """A text that is refused where it is longer: half of it would be worse than none."""

    def rule(out: Json, field: str, value: Any, target: Target) -> tuple[Change, ...]:
        if len(value) > characters:
            raise Fault("unsupported", f"`{field}` has {len(value)} characters, and the provider takes {characters} at once", param=field)
        out[field] = value
        return ()

    return rule


def without_times(out: Json, field: str, value: Any, target: Target) -> tuple[Change, ...]:
    """`response_format` of a transcription whose vendor does not say when a word was spoken. Text and JSON the gateway writes itself."""
    if value in ("json", "text"):
        return ()
    if value == "diarized_json":
        raise Fault("unsupported", "the provider does not tell speakers apart", param=field)
    raise Fault("unsupported", f"`{value}` needs the times of the words, which the provider does not tell", param=field)


SPEECH_BASICS: Fields = MappingProxyType(
    {"model": served_model, "input": native, "instructions": drop("not offered"), "stream_format": kept_here}
)
TRANSCRIPTION_BASICS: Fields = MappingProxyType(
    {
        "model": served_model,
        "file": native,
        "response_format": without_times,
        "timestamp_granularities": drop("the provider tells no times"),
        "temperature": drop_unless(0, "not offered"),
        "stream": told_whole,
        **all_dropped(
            "not offered", "chunking_strategy", "include", "keywords", "known_speaker_names", "known_speaker_references", "language",
            "languages", "prompt",
        ),
    }
)  # fmt: skip

# ---- translators ----


class Whole:
    """What endpoints have in common whose answers come in one piece."""

    def stream(self) -> Stream:
        raise Fault("bad_request", "this endpoint does not stream", param="stream")


class CommonImages(JsonEndpoint, Whole, frozen=True):
    """Images in OpenAI's form with some differences."""

    path: str = "/images/generations"
    fields: Fields = IMAGE_BASICS

    def response(self, body: bytes) -> Json:
        answer = read_json(body)
        if answer.get("error") or not answer.get("data"):
            raise self.fault(200, {}, body)
        return answer


class CommonSpeech(JsonEndpoint, Whole, frozen=True):
    """Speech whose answer is the audio itself."""

    path: str = "/audio/speech"
    fields: Fields = SPEECH_BASICS

    def response(self, body: bytes) -> Json:
        if not body or body.lstrip()[:1] == b"{":
            raise self.fault(200, {}, body)
        return {"audio": body}


class CommonTranscriptions(JsonEndpoint, frozen=True):
    """Transcriptions asked for by a form with a file, as OpenAI has them."""

    path: str = "/audio/transcriptions"
    fields: Fields = TRANSCRIPTION_BASICS

    def request(self, body: Json, target: Target) -> Outgoing:
        out, changes = apply(self.fields, self.others, body, target)
        kind, sent = form(out)
        return Outgoing(target.base_url + self.path, sent, {"content-type": kind}, changes)

    def response(self, body: bytes) -> Json:
        answer = read_json(body)
        if answer.get("error") or not isinstance(answer.get("text"), str):
            raise self.fault(200, {}, body)
        return answer

    def streams(self, body: Json) -> bool:
        return self.fields.get("stream", told_whole) is None

    def stream(self) -> Stream:
        return Transcript(self)


class Transcript(Payloads):
    """Chunks out of OpenAI's events of a transcription: `transcript.text.delta`, and one `.done` that ends it."""

    __slots__ = ("_of",)

    def __init__(self, of: CommonTranscriptions) -> None:
        super().__init__()
        self._of = of

    def chunks(self, payload: bytes) -> list[Json]:
        if payload.strip() == b"[DONE]":
            return []
        event = read_json(payload)
        if event.get("error"):
            raise self._of.fault(200, {}, payload)
        match event.get("type"):
            case "transcript.text.delta":
                return [{"choices": [{"index": 0, "delta": {"content": event["delta"]}, "finish_reason": None}]}]
            case "transcript.text.done":
                self.over = True
                return [{"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": event.get("usage")}]
            case None if isinstance(event.get("text"), str):  # all at once
                self.over = True
                return [{"choices": [{"index": 0, "delta": {"content": event["text"]}, "finish_reason": "stop"}]}]
        return []


def sound_in(content: Any) -> bytes:
    """Sound that stands in an event as base64. Raises Fault("broken")."""
    try:
        return b64decode(content, validate=True)
    except NoBase64 as exc:
        raise Fault("broken", "the provider's audio is not base64") from exc


def form(fields: Json) -> tuple[str, bytes]:
    """(content type, body) of a multipart form: files as such, a list as several parts `name[]`, an object as parts `name[key]`."""
    parts = [part for name, value in fields.items() for part in _parts(name, value)]
    mark = sha256(b"".join(data for _, data in parts)).hexdigest()  # which they do not hold
    body = b"".join(b"--%s\r\n%s\r\n\r\n%s\r\n" % (mark.encode(), head.encode(), data) for head, data in parts)
    return f"multipart/form-data; boundary={mark}", body + b"--%s--\r\n" % mark.encode()


def _parts(name: str, value: Any) -> list[tuple[str, bytes]]:
    """(head, data) of each part that a value makes."""
    if isinstance(value, list):
        return [part for one in value for part in _parts(f"{name}[]", one)]
    if not isinstance(value, dict):
        return [(_head(name), _said(value))]
    if isinstance(value.get("data"), bytes):
        return [(_head(name, value), value["data"])]
    return [part for key, one in value.items() for part in _parts(f"{name}[{key}]", one)]


def _head(name: str, file: Json | None = None) -> str:
    head = f'Content-Disposition: form-data; name="{name}"'
    if file is None:
        return head
    kept = "".join(sign if sign.isprintable() and sign not in '"\\' else "_" for sign in file["name"]) or "file"
    kind = file["type"] if file["type"].isascii() and file["type"].isprintable() else ""
    return f'{head}; filename="{kept}"\r\nContent-Type: {kind or "application/octet-stream"}'


def _said(value: Any) -> bytes:
    if isinstance(value, bool):
        return b"true" if value else b"false"
    return value.encode() if isinstance(value, str) else encode(value)
