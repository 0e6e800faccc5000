"""`hedge`: the next hop is asked as well where the first lets the client wait."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.conftest import Served
from tests.gateway.provider import HOLD, STREAM, Make, Provider, failed, said, streamed, word

Serve = Callable[..., Served]


def served(gateway: Serve, *providers: Provider, hedge: str | None = "100ms", **account: Any) -> Served:
    accounts = {name: one.account(**account) for name, one in zip("pqr", providers, strict=False)}
    route = {"serve": ["p/x"], "fallback": [f"{name}/x" for name in accounts if name != "p"], "retry": {"max": 0}, "hedge": hedge}
    return gateway({"providers": accounts, "models": {"m": route}})


def words(text: str) -> str:
    told = [json.loads(line[6:]) for line in text.split("\n\n") if line and line != "data: [DONE]"]
    return "".join(choice["delta"].get("content") or "" for event in told for choice in event["choices"])


@pytest.mark.parametrize("stream", [False, True])
def test_the_second_serves_where_the_first_keeps_silent_and_is_given_up(gateway: Serve, provider: Make, stream: bool) -> None:
    slow, fast = provider((HOLD,)), provider(streamed("fast") if stream else said("fast"))
    gate = served(gateway, slow, fast)

    reply = gate.chat(stream=stream)

    assert (words(reply.text) if stream else reply.json()["choices"][0]["message"]["content"]) == "fast"
    assert reply.headers["x-banjia-provider"] == "q"
    assert slow.left.wait(20)
    assert gate.record().faults == ["p/x: given up"]


def test_a_first_that_answers_in_time_is_asked_alone(gateway: Serve, provider: Make) -> None:
    one, two = provider(said("one")), provider(said("two"))

    assert served(gateway, one, two, hedge="10s").chat().headers["x-banjia-provider"] == "p"
    assert not two.requests


def test_a_first_that_fails_goes_on_to_the_next_as_always(gateway: Serve, provider: Make) -> None:
    one, two = provider(failed(500)), provider(said("two"))

    reply = served(gateway, one, two, hedge="10s").chat()

    assert (reply.headers["x-banjia-provider"], reply.headers["x-banjia-attempts"]) == ("q", "2")


def test_where_both_of_two_fail_the_third_is_asked(gateway: Serve, provider: Make) -> None:
    slow, bad, good = provider((HOLD, *failed(500))), provider(failed(503)), provider(said("three"))
    gate = served(gateway, slow, bad, good)

    slow.let_go()

    assert gate.chat().headers["x-banjia-provider"] == "r"


def test_the_last_hop_is_waited_for(gateway: Serve, provider: Make) -> None:
    only = provider((STREAM, HOLD, word("at last"), *streamed("!")[1:]))
    gate = served(gateway, only)

    only.let_go()

    assert words(gate.chat(stream=True).text) == "at last!"


def test_a_call_that_runs_out_of_time_ends_both(gateway: Serve, provider: Make) -> None:
    one, two = provider((HOLD,)), provider((HOLD,))

    reply = served(gateway, one, two, timeouts={"total": "500ms", "first_token": "400ms"}).chat()

    assert reply.status_code == 504
    assert one.left.wait(20)
    assert two.left.wait(20)


def test_a_client_that_leaves_ends_both(gateway: Serve, provider: Make) -> None:
    one, two = provider((HOLD,)), provider((HOLD,))
    gate = served(gateway, one, two)

    with pytest.raises(Exception, match="timed out"):
        gate.client.post("/v1/chat/completions", json={"model": "m", "messages": [{"role": "user", "content": "Hi"}]}, timeout=0.5)

    assert one.left.wait(20)
    assert two.left.wait(20)
