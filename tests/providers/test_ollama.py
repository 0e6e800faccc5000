"""Ollama: fields that it would pass over are emulated, images are given to it whole, and its ids are not taken for unique."""

import asyncio
import json
from typing import Any

import pytest

from providers.base import Copies, Fault, Json, OneCall, Target
from providers.openai_compatible.adapter import OLLAMA
from providers.openai_compatible.simulator_ollama import Ollama as Simulator
from tests.providers.roundtrip import HOST, fault, said
from tests.providers.selfhosted import LLAMA, NOT_OFFERED, OTHER, QWEN, TOOL, ask, events, pair, sent, straight

CHAT = OLLAMA.endpoints["chat"]
PIXEL = "data:image/png;base64,iVBORw0KGgo="


def seen(url: str) -> Json:
    return {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url, "detail": "low"}}]}]}


def test_words_reasoning_and_calls_come_through_without_an_id() -> None:
    one = pair(OLLAMA, Simulator)

    plain = asyncio.run(one.chat(ask("Say hi", reasoning_effort="high"), "qwen"))
    chunks = asyncio.run(one.stream(ask("Say hi", reasoning_effort="high"), "qwen", size=3))
    calls = said(asyncio.run(one.stream(ask("Weather in Paris and Tokyo?", tools=[TOOL]))))

    message = plain["choices"][0]["message"]
    assert (message["content"], message["reasoning_content"]) == (said(chunks)["content"], said(chunks)["reasoning_content"])
    assert message["reasoning_content"]
    assert not any("id" in told for told in (plain, *chunks))
    assert [call["arguments"] for call in calls["calls"].values()] == ['{"city":"Paris"}', '{"city":"Tokyo"}']


def test_what_it_passes_over_is_done_here_or_told() -> None:
    body = ask(
        "hi",
        tools=[TOOL, OTHER],
        n=3,
        parallel_tool_calls=False,
        max_completion_tokens=9,
        logit_bias={"1": 1},
        **dict.fromkeys(NOT_OFFERED, "x"),
    )

    outgoing = CHAT.request({"model": "gpt-4o", **body}, Target(f"{HOST}/v1", LLAMA))

    out = json.loads(outgoing.body)
    works = {change.field: change.work for change in outgoing.changes if change.work}
    assert out.keys() == {"model", "messages", "tools", "max_tokens"}
    assert works == {"n": Copies(3), "parallel_tool_calls": OneCall()}
    assert {c.field for c in outgoing.changes if c.fate == "dropped"} == {*NOT_OFFERED, "logit_bias", "tools[].function.strict"}


@pytest.mark.parametrize(("choice", "tools"), [
    ("none", None),
    ("auto", ["get_weather", "get_time"]),
    ("required", ["get_weather", "get_time"]),
    ({"type": "function", "function": {"name": "get_time"}}, ["get_time"]),
])  # fmt: skip
def test_a_choice_is_never_sent_and_always_kept(choice: Any, tools: list[str] | None) -> None:
    out, fates = sent(OLLAMA, ask("hi", tools=[TOOL, OTHER], tool_choice=choice))

    assert "tool_choice" not in out
    assert [tool["function"]["name"] for tool in out.get("tools", [])] == (tools or [])
    assert ("by calling the function" in out["messages"][0]["content"]) == (choice not in ("none", "auto"))
    assert fates.get("tool_choice") == (None if choice == "auto" else "emulated")


@pytest.mark.parametrize("url", ["https://example.com/a.png", "data:image/gif;base64,AA=="])
def test_an_image_that_it_would_not_take_is_refused_by_name(url: str) -> None:
    with pytest.raises(Fault) as raised:
        sent(OLLAMA, seen(url), QWEN)

    assert (raised.value.kind, raised.value.param) == ("unsupported", "messages")


def test_an_image_that_it_takes() -> None:
    answer = asyncio.run(pair(OLLAMA, Simulator).chat(seen(PIXEL), "qwen"))

    assert "I see 1 image." in answer["choices"][0]["message"]["content"]


def test_messages_are_as_it_wants_them() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": ""}}
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    body = {"messages": [{"role": "developer", "content": parts}, {"role": "assistant", "tool_calls": [call], "reasoning_content": "r"}]}

    out, _ = sent(OLLAMA, body)

    first, second = out["messages"]
    assert first == {"role": "system", "content": "ab"}
    assert (second["content"], second["reasoning"]) == ("", "r")
    assert second["tool_calls"][0]["function"]["arguments"] == "{}"


def test_its_failure_in_a_stream_is_broken() -> None:
    reader = CHAT.stream()
    reader.feed(events([{"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}]}], done=False))

    with pytest.raises(Fault) as raised:
        reader.end()

    assert raised.value.kind == "broken"


def test_an_end_without_its_mark_is_an_end() -> None:
    reader = CHAT.stream()

    chunks = reader.feed(events([{"id": "chatcmpl-1", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}], done=False))

    assert chunks + reader.end() == [{"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}]


@pytest.mark.parametrize("reason", ["load", "unload"])
def test_a_model_that_comes_or_goes_has_said_nothing(reason: str) -> None:
    body = {"choices": [{"index": 0, "message": {"content": ""}, "finish_reason": reason}]}

    with pytest.raises(Fault) as raised:
        CHAT.response(json.dumps(body).encode())

    assert raised.value.kind == "overloaded"


@pytest.mark.parametrize(("status", "message", "kind"), [
    (404, 'model "x" not found, try pulling it first', "no_model"),
    (400, '"x" does not support tools', "unsupported"),
    (400, "invalid tool call arguments", "bad_request"),
    (503, "server busy, please try again.  maximum pending requests exceeded", "overloaded"),
    (401, "unauthorized", "auth"),
    (500, "llama runner process has terminated", "overloaded"),
])  # fmt: skip
def test_an_error_has_its_kind(status: int, message: str, kind: str) -> None:
    name = {400: "invalid_request_error", 404: "not_found_error"}.get(status, "api_error")
    body = {"error": {"message": message, "type": name, "param": None, "code": None}}

    assert CHAT.fault(status, {}, json.dumps(body).encode()).kind == kind


@pytest.mark.parametrize(("fields", "status", "message"), [
    ({"messages": []}, 400, "[] is too short - 'messages'"),
    ({"reasoning_effort": "high"}, 400, '"llama" does not support thinking'),
    ({"model": "gone"}, 404, 'model "gone" not found, try pulling it first'),
    ({"model": "qwen", **seen("https://example.com/a.png")}, 400, "invalid image input"),
])  # fmt: skip
def test_the_simulator_refuses_in_the_servers_words(fields: Json, status: int, message: str) -> None:
    kind = "not_found_error" if status == 404 else "invalid_request_error"

    told = asyncio.run(straight(pair(OLLAMA, Simulator), {"model": "llama", **ask("hi"), **fields}))

    assert told == (status, {"error": {"message": message, "type": kind, "param": None, "code": None}})


def test_the_simulator_passes_over_what_the_server_passes_over() -> None:
    body = {"model": "llama", **ask("Count to 9"), "n": 2, "max_completion_tokens": 1, "logit_bias": {"1": 1}, "user": "u"}

    status, told = asyncio.run(straight(pair(OLLAMA, Simulator), body))

    assert (status, [choice["finish_reason"] for choice in told["choices"]]) == (200, ["stop"])


def test_the_simulator_asks_for_no_key_and_cuts_in_silence() -> None:
    one = pair(OLLAMA, Simulator)

    assert (asyncio.run(straight(one, None, "/", authorization="")))[1] == "Ollama is running"
    assert (asyncio.run(straight(one, {"model": "llama", **ask("字" * 1001)}, authorization="Bearer no")))[0] == 200
    assert (asyncio.run(fault(one.embed({"input": ["字" * 101]}, "vectors")))).kind == "too_long"
