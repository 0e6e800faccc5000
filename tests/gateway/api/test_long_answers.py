"""Answers of which not every word is kept, over sockets."""

from collections.abc import Callable

import pytest

from tests.conftest import Served
from tests.gateway.provider import DONE, END, STREAM, Make, route, word

WORDS = 800
"""In one event: four thousand characters."""


@pytest.mark.parametrize("events", [10, 60])
def test_a_long_answer_whose_usage_nobody_tells_is_counted_to_a_part_in_fifty(
    gateway: Callable[..., Served], provider: Make, events: int
) -> None:
    """Ten events are kept and counted whole, sixty are counted by samples."""
    one = provider((STREAM, *[word("word " * WORDS)] * events, END, DONE))
    served = gateway({"providers": {"p": one.account()}, "models": route("p/x")})

    reply = served.chat(stream=True)

    usage = served.record().usage
    assert reply.text.count("word ") == WORDS * events
    assert usage["estimated"]
    assert abs(usage["completion_tokens"] / (WORDS * events) - 1) < 0.02
