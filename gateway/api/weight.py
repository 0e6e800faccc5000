"""Large bodies are weighed before they are decoded: a decoder cannot be stopped, and everybody else waits as long as it takes.

What takes time is not text but what is built: 20 MB of `[],` would be six million lists, in two seconds and half a gigabyte.
"""

import asyncio
from typing import Any

SMALL = 256 << 10
"""Bytes of a body that takes no time whatever is in it."""
SLICE = 1 << 16
"""Bytes that are looked at in one go."""
MOST_NODES = 100_000
"""Objects, lists and fields of a body, whose decoding takes some 40 ms at most."""
MOST_ITEMS = 500_000
"""Values that stand one beside the other: numbers are cheaper than lists."""
DEEPEST = 200
"""Levels of lists and objects in each other: what goes through a request by recursion never comes near Python's own limit."""


async def too_heavy(raw: bytes) -> bool:
    """Whether JSON has more nodes or items than are taken; others go on meanwhile. What is no JSON is counted too."""
    nodes = items = quoted = 0
    open_escape = b""
    for start in range(0, len(raw), SLICE):
        piece = open_escape + raw[start : start + SLICE]
        odd = (len(piece) - len(piece.rstrip(b"\\"))) % 2
        piece, open_escape = (piece[:-1], b"\\") if odd else (piece, b"")
        if b"\\" in piece:
            piece = piece.replace(b"\\\\", b"").replace(b'\\"', b"")
        parts = piece.split(b'"')
        outside = b" ".join(parts[quoted::2])
        quoted ^= (len(parts) - 1) % 2
        nodes += outside.count(b"{") + outside.count(b"[") + outside.count(b":")
        items += outside.count(b",")
        if nodes > MOST_NODES or items > MOST_ITEMS:
            return True
        await asyncio.sleep(0)
    return False


def deeper(value: Any, most: int) -> bool:
    """Whether lists and objects stand in each other more than `most` levels deep."""
    level = [value]
    for _ in range(most):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if type(outer) is dict else outer)
            if type(inner) is dict or type(inner) is list
        ]
        if not level:
            return False
    return True
