"""SGLang: flat errors, reasoning under OpenAI-like names, and a model that nobody checks."""

import asyncio

import pytest

from providers.base import Fault, Json
from providers.openai_compatible.adapter import SGLANG
from providers.openai_compatible.simulator_sglang import SGLang as Simulator
from tests.providers.roundtrip import fault, said
from tests.providers.selfhosted import KEY, NOT_OFFERED, TOOL, ask, events, pair, sent, straight

CHAT = SGLANG.endpoints["chat"]


def test_words_reasoning_and_its_tokens_come_through() -> None:
    one = pair(SGLANG, Simulator)

    plain = asyncio.run(one.chat(ask("Say hi", reasoning_effort="high"), "qwen"))
    stream = said(asyncio.run(one.stream(ask("Say hi", reasoning_effort="high"), "qwen", size=5)))

    (charge,) = one.bill.values()
    message = plain["choices"][0]["message"]
    assert (message["content"], message["reasoning_content"]) == (stream["content"], stream["reasoning_content"])
    assert stream["reasoning_content"].startswith("The question is")
    for usage in (plain["usage"], stream["usage"]):
        assert usage["completion_tokens_details"] == {"reasoning_tokens": charge.reasoning_tokens // 2}
        assert "reasoning_tokens" not in usage


def test_what_the_server_adds_is_taken_out() -> None:
    plain = asyncio.run(pair(SGLANG, Simulator).chat(ask("Say hi")))

    assert "metadata" not in plain
    assert "matched_stop" not in plain["choices"][0]


def test_its_own_fields_go_through_and_others_are_told() -> None:
    own = {"top_k": 5, "regex": "a+", "ebnf": "root ::= a", "stop_token_ids": [1], "separate_reasoning": True, "parallel_tool_calls": False}

    out, fates = sent(SGLANG, ask("hi", **own, top_p=0, **dict.fromkeys(NOT_OFFERED, "x")))

    assert {field: out[field] for field in own} == own
    assert out["top_p"] > 0
    assert fates == {**dict.fromkeys(NOT_OFFERED, "dropped"), "top_p": "clamped"}


def test_the_reasoning_of_earlier_turns_goes_under_its_own_name() -> None:
    turn = {"role": "assistant", "content": "4", "reasoning": "2+2"}

    out, _ = sent(SGLANG, {"messages": [turn, {"role": "user", "content": "a"}]})

    assert out["messages"][0] == {"role": "assistant", "content": "4", "reasoning_content": "2+2"}


@pytest.mark.parametrize(("status", "body", "kind"), [
    (400, b'{"object":"error","message":"bad","type":"Bad Request","param":null,"code":400}', "bad_request"),
    (400, b'{"object":"error","message":"The input (9 tokens) is longer than the model\'s context length (8 tokens).","type":"BadRequestError","code":400}', "too_long"),  # noqa: E501
    (400, b'{"object":"error","message":"Requested token count exceeds the model\'s maximum context length of 8","code":400}', "too_long"),
    (401, b'{"error":"Unauthorized"}', "auth"),
    (503, b'{"object":"error","message":"not ready","type":"503","code":503}', "overloaded"),
])  # fmt: skip
def test_flat_errors_are_understood(status: int, body: bytes, kind: str) -> None:
    told = CHAT.fault(status, {}, body)

    assert told.kind == kind
    assert "{" not in told.message


def test_a_failure_in_a_stream_has_its_kind() -> None:
    reader = CHAT.stream()
    frames: list[Json] = [{"error": {"object": "error", "message": "boom", "type": "InternalServerError", "param": None, "code": 500}}]

    with pytest.raises(Fault) as raised:
        reader.feed(events(frames))

    assert raised.value.kind == "overloaded"


def test_whatever_is_loaded_answers_to_any_name() -> None:
    one = pair(SGLANG, Simulator)

    answer = asyncio.run(one.chat(ask("Say hi"), "no-such-model"))

    assert answer["model"] == "no-such-model"
    assert [model for _, _, model in one.bill] == ["llama"]


@pytest.mark.parametrize(("fields", "kind"), [
    ({"messages": []}, "BadRequestError"),
    ({"messages": "hi"}, "Bad Request"),
    ({"top_p": 0}, "BadRequestError"),
    ({"tool_choice": {"type": "function", "function": {"name": "x"}}, "tools": [TOOL]}, "BadRequestError"),
    ({"max_tokens": 2000}, "BadRequestError"),
])  # fmt: skip
def test_the_simulators_errors_are_flat(fields: Json, kind: str) -> None:
    status, told = asyncio.run(straight(pair(SGLANG, Simulator), {"model": "llama", **ask("hi"), **fields}))

    assert (status, told["object"], told["type"], told["code"]) == (400, "error", kind, 400)
    assert told.keys() == {"object", "message", "type", "param", "code"}


def test_the_simulator_takes_json_alone_and_wants_its_key() -> None:
    one = pair(SGLANG, Simulator)
    body = {"model": "llama", **ask("hi")}

    assert (asyncio.run(straight(one, body, authorization=f"Bearer {KEY}")))[0] == 400
    assert asyncio.run(straight(one, body, authorization="Bearer no")) == (401, {"error": "Unauthorized"})
    assert (asyncio.run(straight(one, None, "/v1/models/gone")))[1]["error"]["code"] == "model_not_found"


def test_a_prompt_that_is_too_long() -> None:
    assert (asyncio.run(fault(pair(SGLANG, Simulator).chat(ask("字" * 1001))))).kind == "too_long"
