"""The same for what providers answer: how long a plain reply keeps the event loop to itself, whatever is in it."""

from collections.abc import Iterator

import pytest
import uvloop

from tests.battery_front.test_blocks import CHAT, HELLO, LONGEST, MB, TRIES, body, served, slowness
from tests.battery_front.vendor import Vendor


def saying(text: bytes, more: bytes = b"") -> bytes:
    choice = b'{"index":0,"message":{"role":"assistant","content":"%s"},"finish_reason":"stop"}' % text
    return b'{"id":"c1","choices":[%s],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}%s}' % (choice, more)


def beside(values: bytes) -> bytes:
    return saying(b"Hello", b',"x":[%s]' % values)


REPLIES: dict[str, tuple[int, bytes]] = {
    "8-mb-of-chinese": (200, saying("你".encode() * 2_700_000)),
    "9-mb-of-chinese": (502, saying("你".encode() * 3 * MB)),
    "8-mb-of-line-ends": (200, saying(b"\\n" * 1_990_000 + b"a" * 4 * MB)),
    "30-mb-of-line-ends": (502, saying(b"\\n" * 15 * MB)),
    "8-mb-of-escapes": (200, saying(b"\\u4e2d" * 1_300_000)),
    "33-mb-of-ascii": (200, saying(b"a" * 33 * MB)),
    "33-mb-of-blanks": (200, saying(b"Hello", b" " * 33 * MB)),
    "33-mb-of-images": (200, beside(b",".join([b'"%s"' % (b"a" * 3 * MB)] * 11))),
    "34-mb-of-images": (502, beside(b'"%s"' % (b"a" * 34 * MB))),
    "30-mb-of-digits": (502, beside(b"1" * 30 * MB)),
    "95000-lists": (200, beside(b"[]," * 95_000 + b"[]")),
    "a-million-lists": (502, beside(b"[]," * MB + b"[]")),
    "a-million-numbers": (200, beside(b"0.12345678," * MB + b"1")),
    "two-million-numbers": (502, beside(b"0.12345678," * 2 * MB + b"1")),
}
"""What becomes of it, and the reply."""


@pytest.fixture
def plain(vendor: Vendor) -> Iterator[None]:
    before = vendor.plain
    yield
    vendor.plain = before


@pytest.mark.parametrize("name", REPLIES)
@pytest.mark.usefixtures("plain")
def test_no_reply_keeps_the_loop_to_itself(vendor: Vendor, name: str) -> None:
    expected, vendor.plain = REPLIES[name]
    longest = 1.0

    for _ in range(TRIES):
        status, turn = uvloop.run(served(vendor, CHAT, body(HELLO)))
        assert status == expected
        longest = min(longest, turn / slowness())
        if longest < LONGEST:
            break

    assert longest < LONGEST
