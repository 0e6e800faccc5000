"""Escapes of large bodies become UTF-8 before they are decoded, and nothing else becomes of them."""

import asyncio
import json
import random

import pytest
from msgspec import DecodeError

from gateway.api import weight
from providers.base import decode

PARTS = (
    "中", "\\u4e2d", "\\\\u4e2d", "\\\\", '\\"', "\\n", "\\u0022", "\\u005C", "\\u0001",
    "\\ud83d\\ude00", "\\u00e9", "\\uFB01", "a", "u", "한",
)  # fmt: skip


def lightened(raw: bytes) -> bytes:
    return asyncio.run(weight.lightened(raw))


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a few signs are many, and slices end everywhere."""
    monkeypatch.setattr(weight, "LARGE", 1)
    monkeypatch.setattr(weight, "DENSE", 1)


@pytest.mark.parametrize("size", range(16, 80))
def test_what_it_says_stays_the_same_wherever_it_is_cut(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(weight, "SLICE", size)
    chosen = random.Random(size)
    raw = ('{"a":"' + "".join(chosen.choices(PARTS, k=600)) + '"}').encode()

    light = lightened(raw)

    assert decode(light) == decode(raw)


def test_text_in_escapes_is_as_long_as_in_utf8_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weight, "SLICE", 1000)
    text = {"a": "你好，世界😀" * 2000}

    assert lightened(json.dumps(text).encode().replace(b" ", b"")) == json.dumps(text, ensure_ascii=False).encode().replace(b" ", b"")


@pytest.mark.parametrize("odd", ["\\ud83d", "\\ude00", "\\u12", "\\U0001f600", "\\u00zz", "\\x"])
def test_what_is_no_json_stays_none(odd: str) -> None:
    raw = ('{"a":"' + "\\u4e2d" * 50 + odd + '"}').encode()

    with pytest.raises(DecodeError):
        decode(lightened(raw))


def test_more_escapes_than_are_taken_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weight, "MOST_ESCAPES", 1000)
    monkeypatch.setattr(weight, "LARGE", 4096)

    assert not asyncio.run(weight.too_heavy(b'"' + b"\\n" * 1000 + b'"'))
    assert asyncio.run(weight.too_heavy(b'"' + b"\\n" * 1001 + b'"'))
