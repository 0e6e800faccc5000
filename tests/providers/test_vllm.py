"""vLLM: what is sent to it, what its replies become, and what its simulator refuses."""

import asyncio
from typing import Any

import pytest

from providers.base import Fault, GoesOn, Json
from providers.openai_compatible.adapter import VLLM
from providers.openai_compatible.simulator_vllm import VLLM as Simulator
from tests.providers.roundtrip import fault, said
from tests.providers.selfhosted import KEY, LLAMA, NOT_OFFERED, OTHER, QWEN, TOOL, ask, events, pair, sent, straight

CHAT = VLLM.endpoints["chat"]


def test_words_reasoning_calls_and_usage_come_through() -> None:
    one = pair(VLLM, Simulator)

    plain = asyncio.run(one.chat(ask("Say hi", reasoning_effort="high"), "qwen"))
    stream = said(asyncio.run(one.stream(ask("Say hi", reasoning_effort="high"), "qwen", size=7)))
    calls = said(asyncio.run(one.stream(ask("Weather in Paris and Tokyo?", tools=[TOOL]))))

    message = plain["choices"][0]["message"]
    assert (message["content"], message["reasoning_content"]) == (stream["content"], stream["reasoning_content"])
    assert stream["reasoning_content"].startswith("The question is")
    assert stream["usage"]["total_tokens"] == plain["usage"]["total_tokens"]
    assert [call["arguments"] for call in calls["calls"].values()] == ['{"city":"Paris"}', '{"city":"Tokyo"}']
    assert [charge.requests for charge in one.bill.values()] == [2, 1]


def test_what_the_server_adds_is_taken_out() -> None:
    plain = asyncio.run(pair(VLLM, Simulator).chat(ask("Say hi")))

    assert plain.keys().isdisjoint({"prompt_logprobs", "prompt_token_ids", "kv_transfer_params"})
    assert plain["choices"][0].keys().isdisjoint({"stop_reason", "token_ids"})
    assert "reasoning" not in plain["choices"][0]["message"]


def test_what_was_asked_for_stays() -> None:
    told = CHAT.response(b'{"choices":[{"index":0,"message":{"content":"a"},"token_ids":[1],"stop_reason":2}],"prompt_logprobs":[null]}')

    assert (told["choices"][0]["token_ids"], told["prompt_logprobs"]) == ([1], [None])
    assert "stop_reason" not in told["choices"][0]


def test_its_own_fields_go_through_and_others_are_told() -> None:
    own = {"top_k": 5, "min_p": 0.1, "repetition_penalty": 1.1, "structured_outputs": {"regex": "a"}, "priority": 1, "n": 3, "seed": 1}

    out, fates = sent(VLLM, ask("hi", **own, **dict.fromkeys(NOT_OFFERED, "x")))

    assert {field: out[field] for field in own} == own
    assert fates == dict.fromkeys(NOT_OFFERED, "dropped")
    assert out.keys() == {"model", "messages", *own}


@pytest.mark.parametrize(("model", "effort", "kwargs", "told", "fate"), [
    (QWEN, "none", None, {"chat_template_kwargs": {"enable_thinking": False}}, "emulated"),
    (QWEN, "high", {"x": 1}, {"chat_template_kwargs": {"enable_thinking": True, "x": 1}}, "emulated"),
    (LLAMA, "high", None, {}, "dropped"),
    (LLAMA, "none", None, {}, None),
])  # fmt: skip
def test_an_effort_is_a_switch_where_the_template_has_one(model: Any, effort: str, kwargs: Any, told: Json, fate: str | None) -> None:
    more = {"chat_template_kwargs": kwargs} if kwargs else {}

    out, fates = sent(VLLM, ask("hi", **more, reasoning_effort=effort), model)

    assert {field: value for field, value in out.items() if field not in ("model", "messages")} == told
    assert fates.get("reasoning_effort") == fate


def test_the_reasoning_of_earlier_turns_goes_under_its_own_name() -> None:
    turn = {"role": "assistant", "content": "4", "reasoning_content": "2+2"}

    out, fates = sent(VLLM, {"messages": [turn, {"role": "developer", "content": "a"}]})

    assert out["messages"] == [{"role": "assistant", "content": "4", "reasoning": "2+2"}, {"role": "system", "content": "a"}]
    assert fates == {"messages[].reasoning_content": "renamed", "messages[].role:developer": "renamed"}


def test_a_limit_that_the_context_cannot_hold_is_none() -> None:
    out, fates = sent(VLLM, ask("hi", max_tokens=1000, max_completion_tokens=999))

    assert ("max_tokens" in out, out["max_completion_tokens"]) == (False, 999)
    assert fates == {"max_tokens": "clamped"}


def test_a_choice_by_name_is_its_own() -> None:
    named = {"type": "function", "function": {"name": "get_time"}}

    answer = asyncio.run(pair(VLLM, Simulator).chat(ask("Weather in Oslo?", tools=[TOOL, OTHER], tool_choice=named)))

    assert answer["choices"][0]["message"]["tool_calls"][0]["function"]["name"] == "get_time"


@pytest.mark.parametrize(("body", "model", "kind"), [
    (ask("hi"), "gone", "no_model"),
    (ask("字" * 1001), "llama", "too_long"),
    ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "http://x/a.png"}}]}]}, "llama", "unsupported"),
])  # fmt: skip
def test_a_refusal_keeps_its_kind(body: Json, model: str, kind: str) -> None:
    assert (asyncio.run(fault(pair(VLLM, Simulator).chat(body, model)))).kind == kind


def test_an_answer_is_gone_on_with_and_never_begun_anew_beside_that() -> None:
    assert isinstance(CHAT, GoesOn)
    rest = asyncio.run(pair(VLLM, Simulator).chat(CHAT.continuation(ask("Count to 20"), "1, 2, 3,") or {}))
    both = {**ask("Count to 20"), "continue_final_message": True}

    assert not rest["choices"][0]["message"]["content"].startswith("1, 2")
    with pytest.raises(Fault, match="Cannot set both"):
        asyncio.run(pair(VLLM, Simulator).chat(both))


def test_a_key_that_it_was_not_started_with() -> None:
    told = asyncio.run(fault(pair(VLLM, Simulator, "wrong").chat(ask("hi"))))

    assert (told.kind, told.status) == ("auth", 401)


@pytest.mark.parametrize("frames", [
    [{"choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": "abort"}]}],
    [{"choices": [{"index": 0, "delta": {"content": "a"}}]}],
    [{"error": {"message": "boom", "type": "InternalServerError", "code": 500}}],
])  # fmt: skip
def test_a_failure_in_a_stream_is_none_of_an_answer(frames: list[Json]) -> None:
    reader = CHAT.stream()

    with pytest.raises(Fault) as raised:
        reader.feed(events(frames))
        reader.end()

    assert raised.value.kind in ("broken", "overloaded")


@pytest.mark.parametrize(("fields", "status", "kind"), [
    ({"temperature": -1}, 400, "BadRequestError"),
    ({"top_p": 0}, 400, "BadRequestError"),
    ({"messages": "hi"}, 400, "Bad Request"),
    ({"reasoning_effort": "odd"}, 400, "Bad Request"),
    ({"tool_choice": "required"}, 400, "BadRequestError"),
    ({"stream_options": {}}, 400, "BadRequestError"),
    ({"model": "gone"}, 404, "NotFoundError"),
    ({"max_tokens": 1000}, 400, "BadRequestError"),
])  # fmt: skip
def test_the_simulator_refuses_in_the_servers_words(fields: Json, status: int, kind: str) -> None:
    got, told = asyncio.run(straight(pair(VLLM, Simulator), {"model": "llama", **ask("hi"), **fields}))

    assert (got, told["error"]["type"], told["error"]["code"]) == (status, kind, status)


def test_the_simulator_passes_over_what_it_does_not_know() -> None:
    status, _ = asyncio.run(straight(pair(VLLM, Simulator), {"model": "llama", **ask("hi"), "user": "u", "a_field_of_2030": 1}))

    assert status == 200


@pytest.mark.parametrize("head", [{"authorization": "Bearer no"}, {"authorization": f"Basic {KEY}"}, {"x-api-key": KEY}])
def test_the_simulator_wants_its_key(head: dict[str, str]) -> None:
    assert asyncio.run(straight(pair(VLLM, Simulator), None, "/v1/models", **head)) == (401, {"error": "Unauthorized"})
    assert asyncio.run(straight(pair(VLLM, Simulator), None, "/health", **head)) == (200, "")


def test_vectors() -> None:
    one = pair(VLLM, Simulator)

    told = asyncio.run(one.embed({"input": ["a", "b"]}, "vectors"))
    refused = asyncio.run(fault(one.embed({"input": ["a"], "dimensions": 4}, "vectors")))

    assert [len(item["embedding"]) for item in told["data"]] == [8, 8]
    assert (refused.kind, refused.param) == ("unsupported", "dimensions")
