"""A body as it comes in: in whatever pieces, it is one."""

import asyncio
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest

from gateway.api.wire import Exchange, Left, Refusal
from gateway.deadline import Ticker

SCOPE = {"type": "http", "method": "POST", "path": "/v1/chat/completions", "headers": [], "query_string": b""}


async def nothing(message: Any) -> None:
    pass


async def read(pieces: Iterator[bytes], count: int, most: int = 1 << 20, *, leaves: bool = False) -> tuple[bytes, int]:
    """The body in so many pieces; and the most memory that reading them took."""
    number = 0

    async def receive() -> dict[str, Any]:
        nonlocal number
        number += 1
        if leaves and number == count:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": next(pieces), "more_body": number < count}

    exchange = Exchange(SCOPE, receive, nothing, Ticker(asyncio.get_running_loop()), 10.0)
    tracemalloc.start()
    try:
        return await exchange.read(most), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("count", [1, 2, 999, 1000, 1001, 5003])
def test_a_body_in_any_number_of_pieces_is_whole(count: int) -> None:
    body, _ = asyncio.run(read((b"%d," % number for number in range(count)), count))

    assert body == b"".join(b"%d," % number for number in range(count))


def test_small_pieces_take_no_more_memory_than_the_body_they_make() -> None:
    body, memory = asyncio.run(read((b"ab" for _ in range(100_000)), 100_000))

    assert len(body) == 200_000
    assert memory < 3 * len(body)


def test_a_body_that_grows_too_large_is_refused_where_it_does() -> None:
    pieces = (b"x" * 100 for _ in range(1000))

    with pytest.raises(Refusal) as refused:
        asyncio.run(read(pieces, 1000, most=500))

    assert refused.value.status == 413
    assert len(list(pieces)) == 1000 - 6


def test_one_that_breaks_off_is_nobodys() -> None:
    with pytest.raises(Left):
        asyncio.run(read((b"x" for _ in range(9)), 5, leaves=True))
