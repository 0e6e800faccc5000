"""What simulators make of images and sounds: small ones that depend on what was asked for alone.

A spoken text is written into the sound beside the samples, so that a simulator which listens hears what was said.
"""

import struct
import zlib
from hashlib import sha256
from io import BytesIO
from math import sin
from typing import Any
from wave import Error as NoWave
from wave import open as open_wave

from msgspec import Struct

from providers.simulation import Reply, Request

RATE = 24_000
"""Samples a second, of 16 bits, one channel."""
LETTER = 0.06
"""Seconds that a sign is spoken for."""
TONE = 400
MP3 = b"ID3\x04\x00\x00\x00\x00\x00\x00"
OPUS = b"OggS\x00\x02"
SAID = b"TEXT"
"""The chunk of a WAV file that has the words; others pass over what they do not know."""


def png(about: str, wide: int, high: int) -> bytes:
    """An image of one colour, which depends on what it is of."""
    colour = sha256(about.encode()).digest()[:3]
    row = b"\x00" + colour * wide
    head = struct.pack(">IIBBBBB", wide, high, 8, 2, 0, 0, 0)
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(row * high)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts
    )


def png_size(data: bytes) -> tuple[int, int] | None:
    """None for what is no PNG."""
    if not data.startswith(b"\x89PNG\r\n\x1a\n") or data[12:16] != b"IHDR":
        return None
    wide, high = struct.unpack(">II", data[16:24])
    return int(wide), int(high)


def samples(text: str, speed: float = 1.0) -> bytes:
    """A tone that lasts as long as the text is spoken."""
    count = max(1, int(len(text) * LETTER / speed * RATE))
    wave = [int(8000 * sin(at * TONE * 6.2832 / RATE)) for at in range(RATE // TONE)]
    return (struct.pack(f"<{len(wave)}h", *wave) * (count // len(wave) + 1))[: 2 * count]


def spoken(text: str, form: str, speed: float = 1.0) -> bytes:
    """The text as sound: wav, pcm, or what begins as mp3 or opus does."""
    pcm = samples(text, speed)
    if form == "pcm":
        return pcm
    if form != "wav":
        return {"mp3": MP3, "opus": OPUS, "flac": b"fLaC", "aac": b"\xff\xf1"}[form] + SAID + text.encode()
    file = BytesIO()
    with open_wave(file, "wb") as wave:
        wave.setnchannels(1)
        wave.setsampwidth(2)
        wave.setframerate(RATE)
        wave.writeframes(pcm)
    words = text.encode()
    body = file.getvalue() + SAID + struct.pack("<I", len(words)) + words + b"\x00" * (len(words) % 2)
    return body[:4] + struct.pack("<I", len(body) - 8) + body[8:]


class Heard(Struct, frozen=True):
    text: str
    seconds: float


def heard(data: bytes) -> Heard | None:
    """What is said in a sound; None for what is none."""
    if data.startswith(MP3):
        text = data.removeprefix(MP3).removeprefix(SAID).decode(errors="replace")
        return Heard(text, len(text) * LETTER)
    try:
        with open_wave(BytesIO(data)) as wave:
            seconds = wave.getnframes() / wave.getframerate()
    except (NoWave, EOFError, ZeroDivisionError):
        return None
    at = data.rfind(SAID)
    if at < 0:
        return Heard(f"A tone of {seconds:.1f} seconds.", seconds)
    (length,) = struct.unpack("<I", data[at + 4 : at + 8])
    return Heard(data[at + 8 : at + 8 + length].decode(errors="replace"), seconds)


class Shelf:
    """Files that a vendor's answers lead to. Whoever has the address may have them; a credential sent there is refused, for it would have
    gone to a stranger."""

    def __init__(self) -> None:
        self._files: dict[str, tuple[str, bytes]] = {}

    def put(self, request: Request, data: bytes, kind: str) -> str:
        """The address of the file, under that of who asked."""
        name = f"/shelf/{sha256(data).hexdigest()[:24]}"
        self._files[name] = (kind, data)
        return f"http://{request.headers.get('host', 'vendor.test')}{request.host}{name}"

    def get(self, request: Request) -> Reply | None:
        """None for what is not asked of a shelf."""
        if not request.path.startswith("/shelf/"):
            return None
        if "authorization" in request.headers:
            return Reply(400, b"a signed address takes no Authorization", {"content-type": "text/plain"})
        if request.path not in self._files or request.method != "GET":
            return Reply(404, b"no such file", {"content-type": "text/plain"})
        kind, data = self._files[request.path]
        return Reply(200, data, {"content-type": kind})


def edges(size: Any, by: str) -> tuple[int, int] | None:
    """Width and height of a size as the vendor spells it."""
    wide, mark, high = size.partition(by) if isinstance(size, str) else ("", "", "")
    return (int(wide), int(high)) if mark and wide.isdecimal() and high.isdecimal() else None


def characters(text: str) -> int:
    """As Model Studio counts what it speaks: a sign of Chinese is two."""
    return sum(2 if "\u3400" <= sign <= "\u9fff" or "\uf900" <= sign <= "\ufaff" else 1 for sign in text)
