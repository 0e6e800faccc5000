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
from providers.base import Fault
from tests.conftest import TEAM, Served
from tests.gateway.provider import CHUNKED, DONE, END, HOLD, RESET, ROLE, STREAM, Make, failed, piece, said, word

ANSWERS = {
    "plain": said(),
    "stream": (STREAM, word("Hi"), END, DONE),
    "refused": failed(400),
    "failed": failed(500),
    "broken off": (RESET,),
    "late": (HOLD,),
    "a stream broken off": (CHUNKED, piece(ROLE), piece(word("Hi")), RESET),
    "a stream that stands still": (CHUNKED, piece(ROLE), piece(word("Hi")), HOLD),
    "a stream that fails": (CHUNKED, piece(ROLE), piece(b'data: {"error": {"message": "no"}}\n\n'), b"0\r\n\r\n"),
}


@pytest.mark.parametrize("kind", ANSWERS)
def test_an_answer_that_is_over_leaves_nothing_behind(gateway: Callable[..., Served], provider: Make, tmp_path: Path, kind: str) -> None:
    store = Store(f"sqlite:///{tmp_path}/usage.db")
    more = {"retry": {"max": 0}, "timeouts": {"first_token": "400ms", "idle": "400ms"}}
    config = {
        "providers": {"p": provider(ANSWERS[kind]).account()},
        "models": {"m": {"serve": "p/x", **more}},
        "defaults": {"breaker": {"failures": 1000}},
    }
    served = gateway(config, {**TEAM, "limits": {"rpm": 1000}}, books=Books(Memory(), StoreLedger(store)), beside=(store,))
    gc.collect()
    gc.disable()
    try:
        for _ in range(5 if HOLD in ANSWERS[kind] else 20):
            served.chat(stream="stream" in kind)
            served.record()
        left = [one for one in gc.get_objects() if isinstance(one, Exchange | Booking | Fault)]
    finally:
        gc.enable()

    assert len(left) <= 4, "those of the last request, which its connection still knows, and no more"
