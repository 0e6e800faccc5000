"""Faults that once were, each with what it did."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from gateway.api.booking import Booking
from gateway.api.grammar import one_line
from gateway.api.validate import chat, embeddings
from gateway.api.wire import Refusal
from gateway.routing.health import Health
from gateway.settings import Breaker
from providers.base import Fault
from providers.faults import read_error, retry_after
from providers.openai_compatible.adapter import ADAPTER as ANY
from providers.zhipu.adapter import ADAPTER
from tests.conftest import Served
from tests.gateway.provider import Make, answer, route, said


@pytest.mark.parametrize("check", [chat, embeddings])
def test_a_models_name_of_a_megabyte_is_refused_before_anything_remembers_it(check: Any) -> None:
    body = {"model": "x" * 1_000_000, "messages": [{"role": "user", "content": "x"}], "input": "x"}

    with pytest.raises(Refusal) as refused:
        check(body)

    assert refused.value.status == 400
    assert len(str(refused.value)) < 1000


@pytest.mark.parametrize("adapter", [ADAPTER, ANY])
def test_a_stream_of_nothing_but_done_is_no_answer(adapter: Any) -> None:
    stream = adapter.endpoints["chat"].stream()
    stream.feed(b"data: [DONE]\n\n")

    with pytest.raises(Fault) as raised:
        stream.end()

    assert raised.value.kind == "broken"


def test_a_hop_that_was_probed_and_given_up_may_be_probed_again() -> None:
    now = [0.0]
    health = Health(now=lambda: now[0])
    breaker = Breaker.model_validate({"failures": 1, "cooldown": "1s"})
    health.ill("a/m", Fault("overloaded", ""), breaker)
    now[0] = 2.0
    assert health.lets("a/m")
    assert not health.lets("a/m")

    health.left("a/m")

    assert health.lets("a/m")


def test_a_sentence_in_place_of_a_code_is_not_taken_for_one() -> None:
    assert read_error(b'{"error": "your key sk-1234567890 is not known"}').code == ""
    assert read_error(b'{"error": "invalid_client"}').code == "invalid_client"


def test_a_wait_beyond_all_measure_is_a_day() -> None:
    assert retry_after({"retry-after": "1e308"}) == 86_400.0


def test_signs_that_some_clients_take_for_the_end_of_a_line_are_escaped() -> None:
    assert one_line('data: "a\u2028b\u2029c\x85d é"\n\n'.encode()) == 'data: "a\\u2028b\\u2029c\\u0085d é"\n\n'.encode()


def test_a_plain_reply_without_a_message_is_no_answer() -> None:
    with pytest.raises(Fault) as raised:
        ADAPTER.endpoints["chat"].response(b'{"choices":[{"index":0}]}')

    assert raised.value.kind == "broken"


@pytest.mark.parametrize("surface", ["chat", "embeddings"])
def test_a_slow_store_is_not_the_providers_silence(
    gateway: Callable[..., Served], provider: Make, monkeypatch: pytest.MonkeyPatch, surface: str
) -> None:
    """The client was sent a 500 that was no JSON: the deadline of the provider's first token rang while the record was written down."""
    settle = Booking.settle

    async def slowly(self: Booking) -> None:
        await asyncio.sleep(0.5)
        await settle(self)

    monkeypatch.setattr(Booking, "settle", slowly)
    one = provider(said() if surface == "chat" else answer(200, b'{"data":[{"index":0,"embedding":[0.5]}],"usage":{"prompt_tokens":1}}'))
    served = gateway({"providers": {"p": one.account()}, "models": route("p/x", timeouts={"first_token": "200ms", "total": "400ms"})})
    path, body = (
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": "x"}]})
        if surface == "chat"
        else ("/v1/embeddings", {"input": "x"})
    )

    reply = served.client.post(path, json={"model": "m", **body})

    assert reply.status_code == 200
    assert reply.json()["usage"]["prompt_tokens"]
