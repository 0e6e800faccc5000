"""POST /v1/audio/speech and /v1/audio/transcriptions, whole and streamed. What form a sound has is seen by its bytes, so that the content
type is true whatever a provider has made of the one that was asked for."""

import asyncio
from base64 import b64encode
from collections.abc import Mapping
from math import ceil
from typing import Any

from gateway.api.forms import is_count, odd
from gateway.api.idempotency import HEADER, once
from gateway.api.media import Call, call, fetched, fields_of
from gateway.api.multipart import form
from gateway.api.serving import Routes, Serving, received
from gateway.api.validate import Check, array, boolean, either, empty, known, model_name, number, obj, one_of, string
from gateway.api.validate import fields as fields_are
from gateway.api.wire import EVENTS, Exchange, Left, Refusal, event, refusal_of
from gateway.emulation.audio import TYPES, form_of, samples_of, seconds_of, subtitles
from gateway.routing.asking import Asking
from gateway.routing.begun import Begun
from gateway.snapshot import Hop, Key, Snapshot
from providers.base import Fault, Json, encode
from providers.media import Streams

LONGEST_SPEECH = 4096
LARGEST_SOUND = 25 << 20
"""Bytes of a sound that is transcribed: OpenAI's own bound."""
DONE = b"data: [DONE]\n\n"

SPEECH: Mapping[str, Check] = {
    "model": model_name,
    "input": string,
    "voice": either(string, fields_are({"id": string}, required=("id",))),
    "instructions": string,
    "response_format": one_of("mp3", "opus", "aac", "flac", "wav", "pcm"),
    "speed": number(0.25, 4),
    "stream_format": one_of("sse", "audio"),
}
TRANSCRIPTIONS: Mapping[str, Check] = {
    "model": model_name,
    "file": obj,
    "chunking_strategy": either(one_of("auto"), obj),
    "include": array(one_of("logprobs")),
    "keywords": array(string),
    "known_speaker_names": array(string, most=4),
    "known_speaker_references": array(string, most=4),
    "language": string,
    "languages": array(string),
    "prompt": string,
    "response_format": one_of("json", "text", "srt", "verbose_json", "vtt", "diarized_json"),
    "temperature": number(0, 1),
    "timestamp_granularities": array(one_of("word", "segment")),
    "stream": boolean,
}
KINDS: Mapping[str, type] = {
    "temperature": float, "stream": bool, "include": list, "keywords": list, "known_speaker_names": list, "known_speaker_references": list,
    "languages": list, "timestamp_granularities": list,
}  # fmt: skip


async def speech(exchange: Exchange, serving: Serving, deployment: str = "") -> None:
    key, snapshot = received("speech", exchange, serving)
    body = await exchange.json(snapshot.max_body)
    body = known({**body, "model": deployment} if deployment else body, SPEECH, required=("model", "input", "voice"))
    if not body["input"]:
        raise empty("input", "the string")
    if len(body["input"]) > LONGEST_SPEECH:
        message = f"Invalid 'input': at most {LONGEST_SPEECH} characters are taken, but got {len(body['input'])}."
        raise Refusal(400, message, param="input", code="string_above_max_length")
    exchange.model = body["model"]
    body = {"response_format": "mp3", **body}  # which is what a client that leaves it out expects

    async def work() -> None:
        await _speech(exchange, serving, key, snapshot, body)

    if HEADER in exchange.headers and body.get("stream_format") != "sse":
        await once(exchange, serving, body, work)
    else:
        await work()


async def _speech(exchange: Exchange, serving: Serving, key: Key, snapshot: Snapshot, body: Json) -> None:
    events = body.get("stream_format") == "sse"

    async def ask(asking: Asking, hop: Hop) -> Begun | Json:
        if (events or (body["response_format"] == "pcm" and exchange.keep is None)) and isinstance(hop.translator, Streams):
            told = {**body, "stream_format": "sse"}
            if hop.translator.streams(told):
                return await asking.stream(hop, told)
        return await asking.answer(hop, {name: value for name, value in body.items() if name != "stream_format"})

    async with call(exchange, serving, key, snapshot, "speech", body) as asked:
        answer = await asked.attempts.either(asked.plan, body, ask)
        exchange.usage = {"characters": len(body["input"])}
        if not isinstance(answer, dict):
            return await _spoken(exchange, asked, answer, events=events)
        exchange.usage = used(answer, exchange.usage)
        asked.deadline.stage("total", asked.deadline.left())
        sound = answer.get("audio") or await fetched(serving.upstream, exchange, answer.get("url"))
        if not isinstance(sound, bytes) or sound.lstrip()[:1] == b"<":
            raise odd("sound")
        if body["response_format"] == "pcm" and form_of(sound) == "wav":
            sound = samples_of(sound) or sound
        if not events:
            return await exchange.answer(200, sound, kind=(b"content-type", TYPES[form_of(sound)].encode()))
        exchange.stream = True
        await exchange.begin()
        return await exchange.end(delta(sound) + spoken(exchange.usage))


async def _spoken(exchange: Exchange, asked: Call, begun: Begun, *, events: bool) -> None:
    """A sound on its way, handed on as it comes."""
    exchange.stream = True
    try:
        await exchange.begin(EVENTS if events else [(b"content-type", TYPES["pcm"].encode())])
        chunks: list[Json] | None = begun.first
        while chunks is not None:
            sounds, usage = sounds_of(chunks)
            exchange.usage = used({"usage": usage}, exchange.usage or {})
            if sounds:
                await exchange.write(delta(sounds) if events else sounds)
            chunks = await begun.more()
        sounds, usage = sounds_of(begun.rest())
        exchange.usage = used({"usage": usage}, exchange.usage or {})
        await exchange.end((delta(sounds) if sounds else b"") + spoken(exchange.usage) if events else sounds)
    except (Fault, asyncio.CancelledError) as exc:
        await _broke_off(exchange, asked, exc, events=events)
    finally:
        begun.close()


async def _broke_off(exchange: Exchange, asked: Call, exc: BaseException, *, events: bool) -> None:
    """A stream that has begun ends without its end. Of bare sound nothing but the connection can tell that."""
    fault = exc if isinstance(exc, Fault) else None if exchange.left else asked.deadline.expired()
    if fault is None:
        if exchange.left:
            raise Left from None
        raise exc
    asked.attempts.broke(fault)
    refusal = refusal_of(fault, exchange.trail)
    exchange.refused = str(refusal)
    if not events:
        raise Left from None
    await exchange.end(exchange.fails(refusal))


def sounds_of(chunks: list[Json]) -> tuple[bytes, Any]:
    """(the sound in some chunks, the usage they tell)."""
    usage = None
    held: list[bytes] = []
    for chunk in chunks:
        usage = chunk.get("usage") or usage
        held += [(choice.get("delta") or {}).get("audio") or b"" for choice in chunk.get("choices") or ()]
    return b"".join(held), usage


def delta(sound: bytes) -> bytes:
    return event({"type": "speech.audio.delta", "audio": b64encode(sound).decode()})


def spoken(usage: Json | None) -> bytes:
    tokens = {
        name: (usage or {}).get(own) or 0 for name, own in (("input_tokens", "prompt_tokens"), ("output_tokens", "completion_tokens"))
    }
    return event({"type": "speech.audio.done", "usage": {**tokens, "total_tokens": sum(tokens.values())}})


def used(answer: Json, counted: Json) -> Json:
    """What goes in the books: what the provider tells, else what was counted here."""
    told = answer.get("usage")
    if not isinstance(told, dict):
        return counted
    usage = dict(counted)
    for unit in ("characters", "seconds"):
        count = told.get(unit)
        if isinstance(count, int | float) and not isinstance(count, bool) and 0 <= count < 2**53:
            usage[unit] = count if unit == "seconds" else ceil(count)
            usage.pop("estimated", None)
    tokens = {"prompt_tokens": told.get("input_tokens"), "completion_tokens": told.get("output_tokens")}
    return usage | {name: count for name, count in tokens.items() if is_count(count)}


# ---- transcriptions ----


async def transcriptions(exchange: Exchange, serving: Serving, deployment: str = "") -> None:
    key, snapshot = received("transcriptions", exchange, serving)
    with await form(exchange, LARGEST_SOUND + (1 << 20)) as sent:
        if "file" in sent.files:
            sent.file()
        body = await fields_of(sent, KINDS)
    body = known({**body, "model": deployment} if deployment else body, TRANSCRIPTIONS, required=("model", "file"))
    if not body["file"].get("data"):
        raise Refusal(400, "Invalid 'file': it is empty.", param="file", code="invalid_value")
    if len(body["file"]["data"]) > LARGEST_SOUND:
        raise Refusal(413, f"Maximum content size limit ({LARGEST_SOUND}) exceeded.", param="file", code="request_too_large")
    if body.get("stream") and body.get("response_format", "json") not in ("json", "text"):
        raise Refusal(400, "Only 'json' and 'text' are streamed.", param="response_format", code="invalid_value")
    if "timestamp_granularities" in body and body.get("response_format") != "verbose_json":
        message = "'timestamp_granularities' needs the response_format 'verbose_json'."
        raise Refusal(400, message, param="timestamp_granularities", code="invalid_value")
    body["file"] = named(body["file"])
    exchange.size = len(body.get("prompt", "").encode())  # what may become tokens by what is known here
    exchange.model = body["model"]

    async def work() -> None:
        await _transcriptions(exchange, serving, key, snapshot, body)

    if HEADER in exchange.headers and not body.get("stream"):
        await once(exchange, serving, body, work)
    else:
        await work()


def named(file: Json) -> Json:
    """A sound with the type that it has, and a name that says so: vendors go by it."""
    form = form_of(file["data"])
    if form == "pcm":  # or one that only a decoder knows
        return file
    name = file["name"]
    return {**file, "type": TYPES[form], "name": name if "." in name else f"{name or 'sound'}.{'ogg' if form == 'opus' else form}"}


async def _transcriptions(exchange: Exchange, serving: Serving, key: Key, snapshot: Snapshot, body: Json) -> None:
    async def ask(asking: Asking, hop: Hop) -> Begun | Json:
        if body.get("stream") and isinstance(hop.translator, Streams) and hop.translator.streams(body):
            return await asking.stream(hop, body)
        return await asking.answer(hop, body)

    lasts = await asyncio.to_thread(seconds_of, body["file"]["data"])
    counted: Json = {"seconds": round(lasts, 3)} if lasts is not None else {"seconds": 0, "estimated": True}
    async with call(exchange, serving, key, snapshot, "transcriptions", body) as asked:
        answer = await asked.attempts.either(asked.plan, body, ask)
        exchange.usage = counted
        if not isinstance(answer, dict):
            return await _heard(exchange, asked, answer)
        exchange.usage = used(answer, counted)
        if not isinstance(answer.get("text"), str):
            raise odd("a transcript")
        if body.get("stream"):
            exchange.stream = True
            await exchange.begin()
            words = event({"type": "transcript.text.delta", "delta": answer["text"]}) if answer["text"] else b""
            return await exchange.end(words + heard(answer["text"], exchange.usage))
        raw, kind = told(answer, body.get("response_format", "json"), exchange.usage)
        return await exchange.answer(200, raw, kind=(b"content-type", kind))


async def _heard(exchange: Exchange, asked: Call, begun: Begun) -> None:
    """A transcript on its way, handed on as it comes."""
    exchange.stream = True
    words: list[str] = []
    try:
        await exchange.begin()
        chunks: list[Json] | None = begun.first
        while chunks is not None:
            if events := _words(chunks, words, exchange):
                await exchange.write(events)
            chunks = await begun.more()
        events = _words(begun.rest(), words, exchange)
        await exchange.end(events + heard("".join(words), exchange.usage or {}))
    except (Fault, asyncio.CancelledError) as exc:
        await _broke_off(exchange, asked, exc, events=True)
    finally:
        begun.close()


def _words(chunks: list[Json], words: list[str], exchange: Exchange) -> bytes:
    events: list[bytes] = []
    for chunk in chunks:
        exchange.usage = used(chunk, exchange.usage or {})
        for choice in chunk.get("choices") or ():
            if text := (choice.get("delta") or {}).get("content"):
                words.append(text)
                events.append(event({"type": "transcript.text.delta", "delta": text}))
    return b"".join(events)


def heard(text: str, usage: Json) -> bytes:
    return event({"type": "transcript.text.done", "text": text, **({"usage": tokens} if (tokens := tokens_of(usage)) else {})}) + DONE


def tokens_of(usage: Json) -> Json:
    """Tokens as OpenAI's audio tells them; {} where the provider counts none."""
    prompt, completion = usage.get("prompt_tokens"), usage.get("completion_tokens") or 0
    if prompt is None:
        return {}
    return {"type": "tokens", "input_tokens": prompt, "output_tokens": completion, "total_tokens": prompt + completion}


def told(answer: Json, wanted: str, usage: Json) -> tuple[bytes, bytes]:
    """(a transcript in the form that the client wants, its content type). Raises Fault where it lacks what that form tells."""
    match wanted:
        case "text":
            return answer["text"].encode() + b"\n", b"text/plain; charset=utf-8"
        case "srt" | "vtt":
            kind = b"application/x-subrip" if wanted == "srt" else b"text/vtt"
            return subtitles(times(answer), wanted).encode(), kind + b"; charset=utf-8"
        case "verbose_json":
            whole = {"task": "transcribe", "language": "", "duration": usage.get("seconds") or 0, "segments": times(answer), **answer}
            return encode({**whole, "usage": {"type": "duration", "seconds": ceil(usage.get("seconds") or 0)}}), b"application/json"
        case "diarized_json":
            return encode(answer), b"application/json"
    billed = tokens_of(usage) or {"type": "duration", "seconds": ceil(usage.get("seconds") or 0)}
    kept = {name: answer[name] for name in ("logprobs", "languages") if answer.get(name) is not None}
    return encode({"text": answer["text"], **kept, "usage": billed}), b"application/json"


def times(answer: Json) -> list[Json]:
    segments = answer.get("segments")
    if not isinstance(segments, list):
        raise odd("a transcript without times")
    return segments


ROUTES: Routes = {
    "/v1/audio/speech": {"POST": speech},
    "/v1/audio/transcriptions": {"POST": transcriptions},
}
