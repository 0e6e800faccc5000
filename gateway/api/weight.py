"""Large bodies are weighed before they are decoded: a decoder cannot be stopped, and everybody else waits as long as it takes.

What takes time is not text but what is built: 20 MB of `[],` would be six million lists, in two seconds and half a gigabyte. And escapes:
a sign that is written as `\\u4e2d` takes ten times as long as the same in UTF-8.
"""

import asyncio
import re
from collections import deque
from collections.abc import Iterator
from gc import get_referents
from typing import Any

SMALL = 256 << 10
"""Bytes of a body that takes no time whatever is in it."""
SLICE = 1 << 16
"""Bytes that are looked at in one go."""
TURN = 1 << 18
"""Bytes whose signs are counted before others have their turn."""
PEEK, RARE = 1 << 10, 64
"""Bytes that tell how often a sign stands in a slice; and bytes among which a rare one stands once at most."""
MOST_NODES = 100_000
"""Objects, lists and fields of a body, whose decoding takes some 40 ms at most."""
MOST_ITEMS = 500_000
"""Values that stand one beside the other: numbers are cheaper than lists."""
MOST_ESCAPES = 2_000_000
"""Backslashes, whose decoding takes some 40 ms at most."""
LARGE = 4 << 20
"""Bytes of a body whose escapes are worth turning into UTF-8 first: ordinary ones take less time to decode than that."""
CLOSE = 32
"""Bytes for each escape. Base64 whose strokes are escaped has twice as many."""
DENSE, MOST_PAIRS = 100, 1000
"""Escapes of a slice that are many; and pairs of them, for one sign together, that are so many that they take less time as they are."""
KEPT = re.compile(rb"\\(?:U|u00(?:[01]|22|5[cC]))")
"""Escapes that JSON needs, and what is none of JSON's."""
UNFINISHED = re.compile(rb"(?:\\u[dD][89abAB][0-9a-fA-F]{2})?(?:\\(?:u[0-9a-fA-F]{0,3})?)?$")
"""The beginning of an escape, or of a pair of them, at the end of a slice."""
DEEPEST = 200
"""Levels of lists and objects in each other: what goes through a request by recursion never comes near Python's own limit."""


async def too_heavy(raw: bytes, most_items: int = MOST_ITEMS) -> bool:
    """Whether JSON has more nodes, items or escapes than are taken; others go on meanwhile. What is no JSON is counted too."""
    for over in _weighed(raw, most_items):
        if over:
            return True
        await asyncio.sleep(0)
    return False


def heavy(raw: bytes) -> bool:
    """The same, in a thread."""
    return any(_weighed(raw, MOST_ITEMS))


def _weighed(raw: bytes, most_items: int) -> Iterator[bool]:
    """Whether it is known by now that it is too much.

    The signs of a text are counted as if they were none's, which takes a tenth of the time; only as many slices are looked at closely as
    are needed to tell."""
    limits = ((b"{[:", MOST_NODES), (b",", most_items), (b"\\", MOST_ESCAPES))
    closely = _outside(raw)
    counted: deque[list[int]] = deque()
    """Of slices that have not been looked at closely."""
    found = [0] * len(limits)
    for start in range(0, len(raw), SLICE):
        left = len(raw) - start
        if all(found[kind] + left <= most for kind, (_, most) in enumerate(limits)):
            return
        piece = raw[start : start + SLICE]
        # what cannot be too many any more need not be counted
        here = [_signs(piece, signs) if found[kind] + left > most else 0 for kind, (signs, most) in enumerate(limits)]
        counted.append(here)
        found = [one + more for one, more in zip(found, here, strict=True)]
        while any(found[kind] > most for kind, (_, most) in enumerate(limits)):
            if not counted:
                yield True
                return
            found = [one + sure - more for one, sure, more in zip(found, next(closely), counted.popleft(), strict=True)]
            yield False
        if not start % TURN:
            yield False


def _outside(raw: bytes) -> Iterator[tuple[int, int, int]]:
    """Nodes, items and escapes of each slice."""
    quoted = 0
    open_escape = b""
    for start in range(0, len(raw), SLICE):
        piece = open_escape + raw[start : start + SLICE]
        odd = (len(piece) - len(piece.rstrip(b"\\"))) % 2
        piece, open_escape = (piece[:-1], b"\\") if odd else (piece, b"")
        escapes = 0
        if b"\\" in piece:
            escapes = piece.count(b"\\")
            piece = piece.replace(b"\\\\", b"").replace(b'\\"', b"")
        parts = piece.split(b'"')
        outside = b" ".join(parts[quoted::2])
        quoted ^= (len(parts) - 1) % 2
        yield _signs(outside, b"{[:"), _signs(outside, b","), escapes


def _signs(raw: bytes, signs: bytes) -> int:
    return sum(occurring(raw, sign) for sign in signs)


def occurring(raw: bytes, sign: int) -> int:
    """How often a sign stands in it. `count` looks at each byte by itself, `replace` takes a tenth of that where the sign is rare."""
    if raw.count(sign, 0, PEEK) > PEEK // RARE:
        return raw.count(sign)
    return len(raw) - len(raw.replace(b"%c" % sign, b""))


async def wordy(raw: bytes, most: int) -> bool:
    """Whether more than `most` bytes of it are text that takes three to ten times as long to decode as data does: signs beyond ASCII, or
    escapes that stand close together."""
    found = 0
    for start in range(0, len(raw), SLICE):
        piece = raw[start : start + SLICE]
        if not piece.isascii() or (b"\\" in piece and piece.count(b"\\") > len(piece) // CLOSE):
            found += len(piece)
            if found > most:
                return True
        if not start % TURN:
            await asyncio.sleep(0)
    return False


async def lightened(raw: bytes) -> bytes:
    """The same JSON with most of its `\\u` escapes in UTF-8, if it is large and has many; others go on meanwhile."""
    if len(raw) < LARGE or b"\\" not in raw:
        return raw
    pieces = []
    start = 0
    try:
        while start < len(raw):
            end = _between(raw, start, min(start + SLICE, len(raw)))
            pieces.append(_in_utf8(raw[start:end]))
            start = end
            await asyncio.sleep(0)
    except UnicodeError:  # no decoder will take that
        return raw
    return b"".join(pieces)


def _between(raw: bytes, start: int, end: int) -> int:
    """Where a slice may end without cutting a sign in two: at `end`, or a little before."""
    if end == len(raw):
        return end
    if unfinished := UNFINISHED.search(raw, end - 12, end):
        end = unfinished.start()
    piece = raw[start:end]
    return end - (len(piece) - len(piece.rstrip(b"\\"))) % 2


def _in_utf8(piece: bytes) -> bytes:
    """What is not easily said so stays as it is. Raises UnicodeError for half a pair."""
    many = piece.count(b"\\u") > DENSE and piece.count(b"\\ud8") + piece.count(b"\\uD8") < MOST_PAIRS
    if not many or not piece.isascii() or KEPT.search(piece):
        return piece
    return piece.decode("raw_unicode_escape").encode("utf-16-le", "surrogatepass").decode("utf-16-le").encode()


def deeper(raw: bytes, value: Any, most: int) -> bool:
    """Whether lists and objects stand in each other more than `most` levels deep; `raw` is the JSON of `value`."""
    if len(raw) <= SLICE and 2 * len(raw) - len(raw.replace(b"{", b"")) - len(raw.replace(b"[", b"")) <= most:
        return False
    level = [value]
    for _ in range(most):
        level = get_referents(*level)  # what is in the lists and objects, in one call; texts and numbers have nothing in them
        if not level:
            return False
    return any(type(inner) is dict or type(inner) is list for inner in level)
