"""Where a request goes after a fault, over sockets: each rule by its name."""

import socket
from collections.abc import Callable
from threading import Event
from time import perf_counter
from typing import Any

import pytest

from gateway.api.wire import Exchange
from gateway.routing import begun
from providers.base import encode
from tests.conftest import KEY, PATIENCE, Served
from tests.gateway.provider import DONE, END, HOLD, STREAM, Make, Provider, failed, refusing, route, said, streamed, word

Serve = Callable[..., Served]


def served(gateway: Serve, *providers: Provider, defaults: Any = None, retry: int = 0) -> Served:
    accounts = {name: one.account() for name, one in zip("pqr", providers, strict=False)}
    hops = [f"{name}/x" for name in accounts]
    return gateway({"providers": accounts, "models": route(*hops, retry={"max": retry}), "defaults": defaults or {}})


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 504, 529])
def test_what_may_pass_is_tried_again(gateway: Serve, provider: Make, status: int) -> None:
    one = provider(failed(status), said("Good"))

    assert served(gateway, one, retry=1).chat().status_code == 200
    assert len(one.requests) == 2


@pytest.mark.parametrize("status", [301, 302, 307, 308, 401, 402, 403, 404])
def test_what_will_not_pass_goes_to_the_next_hop_at_once(gateway: Serve, provider: Make, status: int) -> None:
    one, two = provider(failed(status, "no", "location: http://127.0.0.1:9/")), provider(said("Good"))

    assert served(gateway, one, two, retry=2).chat().status_code == 200
    assert len(one.requests) == 1


@pytest.mark.parametrize("status", [400, 413, 422])
def test_the_callers_own_mistake_goes_nowhere(gateway: Serve, provider: Make, status: int) -> None:
    one, two = provider(failed(status, "your mistake")), provider(said("Good"))

    reply = served(gateway, one, two, retry=2).chat()

    assert reply.status_code == 400
    assert "your mistake" in reply.json()["error"]["message"]
    assert (len(one.requests), len(two.requests)) == (1, 0)


def test_a_prompt_that_is_too_long_goes_only_to_a_model_that_reads_more(gateway: Serve, provider: Make) -> None:
    long = {"error": {"code": "1261", "message": "prompt too long"}}
    small, same, large = provider(failed(400, code="1261")), provider(said("same")), provider(said("large"))
    accounts = {name: {**one.account(), "vendor": "zhipu"} for name, one in zip("pqr", (small, same, large), strict=True)}
    config = {"providers": accounts, "models": route("p/glm-4.6", "q/glm-4.6", "r/glm-5.2")}

    told = gateway(config).chat().json()

    assert told["choices"][0]["message"]["content"] == "large", long
    assert len(same.requests) == 0


def test_a_prompt_that_is_too_long_for_all_is_told(gateway: Serve, provider: Make) -> None:
    one, two = provider(failed(400, code="context_length_exceeded")), provider(said("Good"))

    reply = served(gateway, one, two).chat()

    assert (reply.status_code, reply.json()["error"]["code"]) == (400, "context_length_exceeded")
    assert len(two.requests) == 0


def test_a_long_retry_after_is_not_waited_for_where_another_hop_may_serve(gateway: Serve, provider: Make) -> None:
    one, two = provider(failed(429, "slow", "retry-after: 20")), provider(said("Good"))
    gate = served(gateway, one, two, retry=2)

    answers = [gate.chat().headers["x-banjia-provider"] for _ in range(3)]

    assert answers == ["q"] * 3
    assert len(one.requests) == 1  # it is left alone for as long as it said


def test_thirty_calls_to_a_dead_primary_cost_few_attempts(gateway: Serve, provider: Make) -> None:
    good = provider(said("Good"))
    dead = {**good.account(), "base_url": refusing()}
    gate = gateway({"providers": {"p": dead, "q": good.account()}, "models": route("p/x", "q/x", retry={"max": 2})})

    replies = [gate.chat() for _ in range(30)]

    assert [reply.status_code for reply in replies] == [200] * 30
    at_the_dead = sum(int(reply.headers["x-banjia-attempts"]) - 1 for reply in replies)
    assert at_the_dead <= 20
    pauses = sum(gate.record().overhead_ms for _ in replies)
    assert pauses < 1000


def test_retries_stop_where_they_would_be_a_load_of_their_own(gateway: Serve, provider: Make) -> None:
    one = provider(failed(500))
    gate = served(gateway, one, retry=2, defaults={"breaker": {"failures": 1000}})

    for _ in range(10):
        gate.chat()

    assert len(one.requests) == 10 + 3


def test_streams_that_break_off_again_and_again_rest_their_hop(gateway: Serve, provider: Make) -> None:
    one, two = provider((STREAM, word("half"))), provider(streamed("whole"))
    gate = served(gateway, one, two)

    hops = [gate.chat(stream=True).headers["x-banjia-provider"] for _ in range(12)]

    assert hops[:10] == ["p"] * 10
    assert hops[-1] == "q"


@pytest.mark.parametrize("together", [False, True])
def test_a_finish_that_nothing_follows_is_the_end_long_before_a_silence_is(
    gateway: Serve, provider: Make, monkeypatch: pytest.MonkeyPatch, *, together: bool
) -> None:
    monkeypatch.setattr(begun, "LAST_WORDS", 0.1)
    steps = (word("Hi") + END,) if together else (word("Hi"), END)
    silent = served(gateway, provider((STREAM, *steps, HOLD)))

    began = perf_counter()
    text = silent.chat(stream=True).text

    assert text.endswith("data: [DONE]\n\n")
    assert perf_counter() - began < 30  # half of what an idle provider is waited for


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_that_is_drained_is_read_to_its_end_though_its_client_has_left(
    gateway: Serve, provider: Make, monkeypatch: pytest.MonkeyPatch, *, stream: bool
) -> None:
    noticed, wait = Event(), Exchange._wait_until_it_leaves

    async def waited(self: Exchange) -> None:
        await wait(self)
        noticed.set()

    monkeypatch.setattr(Exchange, "_wait_until_it_leaves", waited)
    usage = {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}
    told = b"data: " + encode({"choices": [], "usage": usage}) + b"\n\n" + DONE
    one = provider((STREAM, word("Hi"), HOLD, word(" you"), END, told) if stream else (HOLD, *said("Hi you", usage=usage)))
    drained = gateway({"providers": {"p": one.account()}, "models": route("p/x", on_disconnect="drain")})
    body = encode({"model": "m", "stream": stream, "messages": [{"role": "user", "content": "Hello"}]})
    head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer %b\r\ncontent-length: %d\r\n\r\n"

    with socket.create_connection(("127.0.0.1", drained.client.base_url.port or 0)) as client:
        client.sendall(head % (KEY.encode(), len(body)) + body)
        assert one.reached.wait(PATIENCE)
    assert noticed.wait(PATIENCE)
    one.let_go()

    record = drained.record()
    assert (record.status, record.faults, record.usage["total_tokens"]) == (499, [], 12)
