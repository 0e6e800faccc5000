"""`stream.on_cut: continue`: an answer that breaks off is gone on with by a hop that can, or ends in an error."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from gateway.brain.scripted import script
from providers.simulation import Ask, Message, Text
from tests.conftest import Served
from tests.gateway.provider import DONE, HOLD, RESET, STREAM, Make, Provider, failed, word

Serve = Callable[..., Served]
Json = dict[str, Any]
END = b'data: {"id":"c2","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11}}\n\n'  # noqa: E501


def served(gateway: Serve, first: Provider, second: Provider, *, vendor: str = "alibaba", on_cut: str = "continue") -> Served:
    accounts = {
        "p": {**first.account(), "timeouts": {"idle": "300ms"}},
        "q": {**second.account(), "vendor": vendor, "base_url": second.url},
    }
    route = {"serve": ["p/x"], "fallback": ["q/qwen3.7-plus"], "retry": {"max": 0}, "stream": {"on_cut": on_cut}}
    return gateway({"providers": accounts, "models": {"m": route}})


def events(text: str) -> list[Any]:
    return [line[6:] if line == "data: [DONE]" else json.loads(line[6:]) for line in text.split("\n\n") if line]


def said(told: list[Any]) -> str:
    return "".join(choice["delta"].get("content") or "" for event in told[:-1] for choice in event.get("choices", ()))


@pytest.mark.parametrize("cut", [(), (RESET,), (HOLD,)], ids=["ends", "reset", "silent"])
def test_the_rest_comes_from_a_hop_that_goes_on(gateway: Serve, provider: Make, cut: tuple[Any, ...]) -> None:
    first, second = provider((STREAM, word("Hello "), word("wor"), *cut)), provider((STREAM, word("ld"), word("!"), END, DONE))
    gate = served(gateway, first, second)

    told = events(gate.chat(stream=True, max_tokens=100, stream_options={"include_usage": True}).text)

    assert said(told) == "Hello world!"
    assert told[-1] == "[DONE]"
    assert len({event["id"] for event in told[:-1]}) == 1
    (finish,) = (event for event in told[:-1] if event["choices"] and event["choices"][0]["finish_reason"])
    assert finish["banjia"] == {"continued_by": ["q/qwen3.7-plus"]}
    asked = second.requests[0].json
    assert asked["messages"][-1] == {"role": "assistant", "content": "Hello wor", "partial": True}
    assert asked["max_tokens"] < 100
    usage = told[-2]["usage"]
    assert usage["estimated"]
    assert usage["completion_tokens"] == 3 + 2
    record = gate.record()
    assert record.served == "q/qwen3.7-plus"
    assert record.faults


def test_no_sign_is_lost_or_doubled_at_the_join(gateway: Serve, provider: Make, simulators: str) -> None:
    text = "".join(piece.text for piece in script(Ask((Message("user", "Count to 40"),))) if isinstance(piece, Text))
    first = provider((STREAM, word(text[:33])))
    for vendor, path, model in (
        ("alibaba", "/alibaba/compatible-mode/v1", "qwen3.7-plus"),
        ("moonshot", "/moonshot/v1", "kimi-k3"),
        ("deepseek", "/deepseek/v1", "deepseek-v4-flash"),
        ("openai_compatible/vllm", "/openai_compatible/vllm/v1", "meta-llama/Llama-3.3-70B-Instruct"),
        ("openai_compatible/sglang", "/openai_compatible/sglang/v1", "meta-llama/Llama-3.3-70B-Instruct"),
    ):
        key = "sk-simulated-0123456789abcdef0123456789abcdef"
        vendor, _, surface = vendor.partition("/")
        other = {"vendor": vendor, "surface": surface or None, "jurisdiction": "cn-mainland", "base_url": simulators + path, "api_key": key}
        route = {"serve": ["p/x"], "fallback": [f"q/{model}"], "retry": {"max": 0}, "stream": {"on_cut": "continue"}}
        gate = gateway({"providers": {"p": first.account(), "q": other}, "models": {"m": route}})

        told = events(gate.chat(text="Count to 40", stream=True).text)

        assert told[-1] == "[DONE]", (vendor, told[-1])
        assert said(told) == text


CALL = {"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": '{"a'}}
CALLING = b"data: " + json.dumps({"id": "c1", "choices": [{"index": 0, "delta": {"tool_calls": [CALL]}}]}).encode() + b"\n\n"
THINKING = b'data: {"id":"c1","choices":[{"index":0,"delta":{"reasoning_content":"hm"}}]}\n\n'
REFUSING = b'data: {"error":{"message":"no","code":"content_filter"}}\n\n'


@pytest.mark.parametrize(
    ("pieces", "fields"),
    [
        ((word("half"), CALLING), {}),
        ((THINKING,), {}),
        ((word("half"), REFUSING), {}),
        ((word('{"a"'),), {"response_format": {"type": "json_object"}}),
        ((word("half"),), {"logprobs": True}),
        ((word("ha lf of it"),), {"max_tokens": 2}),
    ],
    ids=["in a call", "thoughts alone", "refused", "JSON", "logprobs", "no tokens left"],
)
def test_what_cannot_be_gone_on_with_ends_in_an_error(gateway: Serve, provider: Make, pieces: tuple[bytes, ...], fields: Json) -> None:
    first, second = provider((STREAM, *pieces)), provider((STREAM, word("rest"), END, DONE))

    reply = served(gateway, first, second).chat(stream=True, **fields)

    last = reply.json() if reply.status_code >= 400 else events(reply.text)[-1]  # what comes at once with the words is known in time
    assert last["error"]["code"]
    assert not second.requests


def test_by_default_an_answer_that_breaks_off_ends_in_an_error(gateway: Serve, provider: Make) -> None:
    first, second = provider((STREAM, word("half"))), provider((STREAM, word("rest"), END, DONE))

    assert events(served(gateway, first, second, on_cut="error").chat(stream=True).text)[-1]["error"]["code"] == "upstream_broken"
    assert not second.requests


def test_without_a_hop_that_can_it_ends_in_an_error(gateway: Serve, provider: Make) -> None:
    first, second = provider((STREAM, word("half"))), provider((STREAM, word("rest"), END, DONE))

    assert (
        events(served(gateway, first, second, vendor="openai_compatible").chat(stream=True).text)[-1]["error"]["code"] == "upstream_broken"
    )


def test_a_hop_that_fails_to_go_on_leaves_the_error_of_the_first(gateway: Serve, provider: Make) -> None:
    first, second = provider((STREAM, word("half"))), provider(failed(500))

    assert events(served(gateway, first, second).chat(stream=True).text)[-1]["error"]["code"] == "upstream_broken"


def test_an_answer_may_break_off_twice(gateway: Serve, provider: Make) -> None:
    first = provider((STREAM, word("one ")))
    second = provider((STREAM, word("two ")), (STREAM, word("three"), END, DONE))

    told = events(served(gateway, first, second).chat(stream=True).text)

    assert said(told) == "one two three"
    assert second.requests[1].json["messages"][-1]["content"] == "one two "
