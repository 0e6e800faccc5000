"""Sounds and what is said in them: what form they have, how long they last, and transcripts with times as subtitles."""

import struct
from collections.abc import Iterable

from providers.base import Fault, Json

TYPES = {"wav": "audio/wav", "mp3": "audio/mpeg", "opus": "audio/ogg", "flac": "audio/flac", "aac": "audio/aac", "pcm": "audio/pcm"}
RATES = {
    3: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    2: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
"""Kilobits a second of MPEG layer III, by the number that a frame's head has; for version 1, and for 2 and 2.5."""


def form_of(data: bytes) -> str:
    """wav, mp3, opus, flac or aac by how it begins; pcm, which begins anyhow, for all else."""
    if data.startswith(b"RIFF") and data[8:12] == b"WAVE":
        return "wav"
    if data.startswith(b"ID3"):
        return "mp3"
    if data.startswith(b"OggS"):
        return "opus"
    if data.startswith(b"fLaC"):
        return "flac"
    if len(data) > 1 and data[0] == 0xFF and data[1] & 0xE0 == 0xE0:
        return "aac" if data[1] & 0x06 == 0 else "mp3"
    return "pcm"


def seconds_of(data: bytes) -> float | None:
    """How long a sound lasts: exactly for WAV, by its first frame for MP3. None where that would take a decoder."""
    form = form_of(data)
    if form == "wav":
        return _wav(data)
    return _mp3(data) if form == "mp3" else None


def _wav(data: bytes) -> float | None:
    at, rate = 12, 0
    while at + 8 <= len(data):
        name, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        if name == b"fmt " and at + 20 <= len(data):
            (rate,) = struct.unpack("<I", data[at + 16 : at + 20])
        if name == b"data":
            return min(size, len(data) - at - 8) / rate if rate else None
        at += 8 + size + size % 2
    return None


def samples_of(wav: bytes) -> bytes | None:
    """The samples of a WAV as OpenAI means `pcm`: 24,000 a second, 16 bits, one channel. None for any other."""
    at, fits = 12, False
    while at + 8 <= len(wav):
        name, size = wav[at : at + 4], int.from_bytes(wav[at + 4 : at + 8], "little")
        if name == b"fmt " and size >= 16 and at + 24 <= len(wav):
            kind, channels, rate, _, _, bits = struct.unpack("<HHIIHH", wav[at + 8 : at + 24])
            fits = (kind, channels, rate, bits) == (1, 1, 24_000, 16)
        if name == b"data":
            return wav[at + 8 : at + 8 + size] if fits else None
        at += 8 + size + size % 2
    return None


def _mp3(data: bytes) -> float | None:
    at = 0
    if data.startswith(b"ID3") and len(data) > 10:
        at = 10 + sum((data[6 + place] & 0x7F) << (21 - 7 * place) for place in range(4))
    while at + 4 <= len(data) and not (data[at] == 0xFF and data[at + 1] & 0xE6 == 0xE2):
        at += 1
        if at > 1 << 16:
            return None
    if at + 4 > len(data):
        return None
    version, number = data[at + 1] >> 3 & 3, data[at + 2] >> 4
    rates = RATES[3 if version == 3 else 2]
    return (len(data) - at) / (rates[number] * 125) if 0 < number < len(rates) else None


# ---- transcripts ----


def subtitles(segments: Iterable[Json], form: str) -> str:
    """Segments of {"start", "end", "text"}, in seconds, as srt or vtt. Raises Fault where they have no times."""
    blocks: list[str] = []
    for number, segment in enumerate(segments, 1):
        times = segment.get("start"), segment.get("end")
        if not all(isinstance(time, int | float) and not isinstance(time, bool) and time >= 0 for time in times):
            raise Fault("broken", "the provider's transcript has times of no known form")
        start, end = (_time(float(time), "," if form == "srt" else ".") for time in times if time is not None)
        text = " ".join(str(segment.get("text") or "").split()).replace("-->", "→")
        blocks.append((f"{number}\n" if form == "srt" else "") + f"{start} --> {end}\n{text}\n")
    return ("WEBVTT\n\n" if form == "vtt" else "") + "\n".join(blocks)


def _time(seconds: float, mark: str) -> str:
    whole = round(seconds * 1000)
    return f"{whole // 3_600_000:02}:{whole // 60_000 % 60:02}:{whole // 1000 % 60:02}{mark}{whole % 1000:03}"
