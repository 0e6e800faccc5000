"""llama.cpp's server: OpenAI's usual values said aloud, its rules for messages, and its errors. The server itself is run by
tests/journeys/test_real_llama.py."""

import asyncio
import json

import pytest

from providers.base import Copies, Fault, Json, Target
from providers.openai_compatible.adapter import LLAMA_CPP
from providers.openai_compatible.simulator_llama_cpp import LlamaCpp as Simulator
from tests.providers.roundtrip import HOST, fault, said
from tests.providers.selfhosted import LLAMA, NOT_OFFERED, OTHER, TOOL, ask, events, pair, sent, straight

CHAT = LLAMA_CPP.endpoints["chat"]


def test_words_reasoning_and_calls_come_through_without_times() -> None:
    one = pair(LLAMA_CPP, Simulator)

    plain = asyncio.run(one.chat(ask("Say hi", reasoning_effort="high"), "qwen"))
    chunks = asyncio.run(one.stream(ask("Say hi", reasoning_effort="high"), "qwen", size=3))
    calls = said(asyncio.run(one.stream(ask("Weather in Paris and Tokyo?", tools=[TOOL]))))

    message = plain["choices"][0]["message"]
    assert (message["content"], message["reasoning_content"]) == (said(chunks)["content"], said(chunks)["reasoning_content"])
    assert message["reasoning_content"]
    assert not any("timings" in told for told in (plain, *chunks))
    assert [call["arguments"] for call in calls["calls"].values()] == ['{"city":"Paris"}', '{"city":"Tokyo"}']


def test_a_comment_that_keeps_the_line_open_is_passed_over() -> None:
    reader = CHAT.stream()

    chunks = reader.feed(b":\n\n" + events([{"choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": "stop"}]}]))

    assert len(chunks + reader.end()) == 1


@pytest.mark.parametrize(("given", "told"), [
    ({}, {"temperature": 1, "top_p": 1}),
    ({"temperature": 0}, {"temperature": 0, "top_p": 1}),
    ({"top_p": 0.5}, {"temperature": 1, "top_p": 0.5}),
])  # fmt: skip
def test_what_a_client_leaves_out_means_what_it_means_at_openai(given: Json, told: Json) -> None:
    out, fates = sent(LLAMA_CPP, ask("hi", **given))

    assert {field: out[field] for field in ("temperature", "top_p")} == told
    assert fates == {}


def test_its_own_fields_go_through_and_others_are_told() -> None:
    own = {
        "top_k": 5,
        "grammar": 'root ::= "a"',
        "cache_prompt": True,
        "repeat_penalty": 1.1,
        "max_completion_tokens": 5,
        "logit_bias": {"1": 1},
    }

    outgoing = CHAT.request({"model": "gpt-4o", **ask("hi", n=2, **own, **dict.fromkeys(NOT_OFFERED, "x"))}, Target(f"{HOST}/v1", LLAMA))

    out = json.loads(outgoing.body)
    assert {field: out[field] for field in own} == own
    assert {change.field for change in outgoing.changes if change.fate == "dropped"} == set(NOT_OFFERED)
    assert [change.work for change in outgoing.changes if change.work] == [Copies(2)]
    assert "n" not in out


def test_a_choice_by_name_becomes_the_only_one() -> None:
    out, fates = sent(LLAMA_CPP, ask("hi", tools=[TOOL, OTHER], tool_choice={"type": "function", "function": {"name": "get_time"}}))

    assert ([tool["function"]["name"] for tool in out["tools"]], out["tool_choice"]) == (["get_time"], "required")
    assert fates["tool_choice"] == "emulated"


@pytest.mark.parametrize(("stream", "tools", "kept"), [(True, [TOOL], False), (False, [TOOL], True), (True, None, True)])
def test_probabilities_are_not_asked_for_where_they_are_refused(stream: bool, tools: list[Json] | None, kept: bool) -> None:
    out, fates = sent(LLAMA_CPP, ask("hi", stream=stream, logprobs=True, top_logprobs=2, **({"tools": tools} if tools else {})))

    assert ("logprobs" in out, "top_logprobs" in out) == (kept, kept)
    assert fates == ({} if kept else {"logprobs": "dropped", "top_logprobs": "dropped"})


def test_turns_of_the_assistants_at_the_end_are_not_gone_on_with() -> None:
    turns = [{"role": "user", "content": "hi"}, *({"role": "assistant", "content": text} for text in "ab")]
    one = pair(LLAMA_CPP, Simulator)

    status, told = asyncio.run(straight(one, {"messages": turns}))
    answer = asyncio.run(one.chat({"messages": turns}))

    assert (status, told["error"]["message"]) == (400, "Cannot have 2 or more assistant messages at the end of the list.")
    assert answer["choices"][0]["message"]["content"].startswith("You asked")


@pytest.mark.parametrize(("status", "error", "kind"), [
    (400, {"type": "exceed_context_size_error", "n_ctx": 8}, "too_long"),
    (401, {"type": "authentication_error"}, "auth"),
    (500, {"type": "server_error", "message": "image input is not supported - hint: …"}, "unsupported"),
    (500, {"type": "server_error", "message": "Failed to parse tools: …"}, "bad_request"),
    (500, {"type": "server_error", "message": "boom"}, "overloaded"),
    (501, {"type": "not_supported_error"}, "unsupported"),
    (503, {"type": "unavailable_error", "message": "Loading model"}, "overloaded"),
])  # fmt: skip
def test_an_error_has_its_kind(status: int, error: Json, kind: str) -> None:
    assert CHAT.fault(status, {}, json.dumps({"error": {"code": status, "message": "", **error}}).encode()).kind == kind


def test_a_failure_in_a_stream_has_its_kind() -> None:
    reader = CHAT.stream()

    with pytest.raises(Fault) as raised:
        reader.feed(events([{"error": {"code": 500, "message": "boom", "type": "server_error"}}], done=False))

    assert raised.value.kind == "overloaded"


def test_the_simulator_refuses_more_answers_than_it_has_slots() -> None:
    one = pair(LLAMA_CPP, Simulator)

    assert (asyncio.run(straight(one, {**ask("hi"), "n": 3})))[0] == 400
    assert len((asyncio.run(straight(one, {**ask("hi"), "n": 2})))[1]["choices"]) == 2
    assert (asyncio.run(straight(one, {**ask("字" * 1001)})))[1]["error"]["type"] == "exceed_context_size_error"
    assert (asyncio.run(straight(one, None, "/v1/models", **{"x-api-key": "sk-1234"})))[0] == 200


def test_a_width_that_it_would_pass_over_is_refused() -> None:
    told = asyncio.run(fault(pair(LLAMA_CPP, Simulator).embed({"input": ["a"], "dimensions": 4}, "vectors")))

    assert (told.kind, told.param) == ("unsupported", "dimensions")
