"""Lines of a batch's file, in pieces of any size."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from gateway.batches.lines import Line, TooLong, lines_of

DATA = b'{"a": 1}\n\n  \r\n{"b": 2}\r\n{"c": 3}'


async def pieces(*given: bytes) -> AsyncIterator[bytes]:
    for one in given:
        yield one


def read(*given: bytes, most: int = 100, at: int = 0, number: int = 0) -> list[Line]:
    async def go() -> list[Line]:
        return [line async for line in lines_of(pieces(*given), most, at=at, number=number)]

    return asyncio.run(go())


@pytest.mark.parametrize("cut", range(len(DATA)))
def test_a_file_may_be_cut_anywhere(cut: int) -> None:
    found = read(DATA[:cut], DATA[cut:])

    assert [(line.number, line.row, line.raw.strip(), line.end) for line in found] == [
        (0, 1, b'{"a": 1}', 9),
        (1, 4, b'{"b": 2}', 24),
        (2, 5, b'{"c": 3}', 32),
    ]


def test_a_file_is_read_on_from_the_end_of_any_line() -> None:
    whole = read(DATA)

    for line in whole[:-1]:
        rest = read(DATA[line.end :], at=line.end, number=line.number + 1)
        assert [(one.number, one.raw, one.end) for one in rest] == [(one.number, one.raw, one.end) for one in whole[line.number + 1 :]]


@pytest.mark.parametrize("given", [[b"x" * 101 + b"\n"], [b"ok\n", b"x" * (2 << 20), b"x"]])
def test_a_line_longer_than_a_request_is_told_by_its_number(given: list[bytes]) -> None:
    with pytest.raises(TooLong) as caught:
        read(*given)

    assert caught.value.row == len(given) // 2 + 1
