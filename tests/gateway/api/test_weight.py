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


def outside(raw: bytes) -> tuple[int, int]:
    """Nodes and items of a text that is JSON, sign by sign."""
    nodes = items = 0
    quoted = escaped = False
    for sign in raw.decode():
        if quoted:
            quoted, escaped = escaped or sign != '"', not escaped and sign == "\\"
        else:
            quoted = sign == '"'
            nodes += sign in "{[:"
            items += sign == ","
    return nodes, items


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 1 << 16])
def test_what_stands_in_texts_makes_no_request_heavy_wherever_it_is_cut(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(weight, "SLICE", size)
    chosen = random.Random(size)
    texts = ("{[:,", '"', "\\", '\\"', '{"a": [1, 2]}', "word " * 30)
    for _ in range(30):
        value = [{"".join(chosen.choices(texts, k=3)): ["".join(chosen.choices(texts, k=4)), chosen.random()]} for _ in range(9)]
        raw = json.dumps(value).encode()
        nodes, items = outside(raw)

        monkeypatch.setattr(weight, "MOST_NODES", nodes)
        assert not asyncio.run(weight.too_heavy(raw, items))
        assert asyncio.run(weight.too_heavy(raw, items - 1))
        monkeypatch.setattr(weight, "MOST_NODES", nodes - 1)
        assert asyncio.run(weight.too_heavy(raw, items))


@pytest.mark.parametrize("sign", "{[:,")
def test_signs_are_counted_whether_they_are_rare_or_many(sign: str) -> None:
    rare, many = b"x" * 5000 + sign.encode() * 3, sign.encode() * 5000

    assert [weight.occurring(raw, ord(sign)) for raw in (b"", rare, many)] == [0, 3, 5000]


@pytest.mark.parametrize("beside", [[], ["x"] * (1 << 16)], ids=["small", "large"])
@pytest.mark.parametrize("inner", [1, {}, []])
def test_what_is_nested_too_deeply_is_found_at_the_first_level_that_is_too_many(beside: list[str], inner: object) -> None:
    value = inner
    for level in range(9):
        value = [value, *beside] if level == 4 else {"a": value} if level % 2 else [value]
    raw = json.dumps(value).encode()

    assert weight.deeper(raw, value, 8)
    assert weight.deeper(raw, value, 9) is (inner != 1)
    assert not weight.deeper(raw, value, 10)
