"""What is known of a request goes with it: nothing waits for the garbage collector, which would make all that follow slower."""

import gc
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.accounting.books import Books
from gateway.api.booking import Booking
from gateway.api.wire import Exchange
from gateway.state.memory import Memory
from gateway.store.engine import Store
from gateway.store.ledger import StoreLedger
from tests.conftest import TEAM, Served
from tests.gateway.provider import END, STREAM, Make, said, word

ANSWERS = {"plain": said(), "stream": (STREAM, word("Hi"), END, b"data: [DONE]\n\n")}


@pytest.mark.parametrize("kind", ANSWERS)
def test_an_answer_that_is_over_leaves_nothing_behind(gateway: Callable[..., Served], provider: Make, tmp_path: Path, kind: str) -> None:
    store = Store(f"sqlite:///{tmp_path}/usage.db")
    config = {"providers": {"p": provider(ANSWERS[kind]).account()}, "models": {"m": {"serve": "p/x", "retry": {"max": 0}}}}
    served = gateway(config, {**TEAM, "limits": {"rpm": 1000}}, books=Books(Memory(), StoreLedger(store)), beside=(store,))
    gc.collect()
    gc.disable()
    try:
        for _ in range(20):
            served.chat(stream=kind == "stream")
            served.record()
        left = [one for one in gc.get_objects() if isinstance(one, Exchange | Booking)]
    finally:
        gc.enable()

    assert len(left) <= 4, "those of the last request, which its connection still knows, and no more"
