"""OpenAI's simulator, judged by OpenAI's own SDK, and by what OpenAI's documents say is refused."""

import asyncio
from array import array
from base64 import b64decode
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from msgspec import json
from openai import OpenAI

from gateway.brain.scripted import Scripted
from providers.base import Json
from providers.openai.simulator import SIMULATOR
from providers.simulation import Request, World, vector
from tests.providers.openai import MODELS, WEATHER, ask
from tests.providers.roundtrip import NOW, read

KEY = "sk-0123456789abcdef"


@pytest.fixture
def client(simulators: str) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{simulators}/openai/v1", api_key=KEY, max_retries=0) as made:
        yield made


def test_the_sdk_reads_answers_and_streams(client: OpenAI) -> None:
    body: Any = {"model": "gpt-5.4", "messages": [{"role": "user", "content": "Say hello"}]}

    answer = client.chat.completions.create(**body)
    chunks = list(client.chat.completions.create(**body, stream=True, stream_options={"include_usage": True}))

    assert (answer.choices[0].message.content, answer.model) == ("hello", "gpt-5.4-2026-03-05")
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks[:-1]) == "hello"
    assert chunks[-1].choices == []
    assert chunks[-1].usage == answer.usage
    assert (chunks[0].choices[0].delta.role, chunks[0].usage) == ("assistant", None)
    assert all(getattr(chunk, "obfuscation", None) for chunk in chunks)


def test_the_sdk_reads_calls(client: OpenAI) -> None:
    with client.chat.completions.stream(
        model="gpt-5.4",
        messages=[{"role": "user", "content": "Weather in Paris and Tokyo?"}],
        tools=[WEATHER],  # type: ignore[list-item]
        reasoning_effort="none",
        stream_options={"include_obfuscation": False},
    ) as stream:
        final = stream.get_final_completion()

    calls: list[Any] = list(final.choices[0].message.tool_calls or [])
    assert [call.function.parsed_arguments for call in calls] == [{"city": "Paris"}, {"city": "Tokyo"}]


def test_embeddings_are_base64_if_that_is_asked_for(client: OpenAI) -> None:
    by_default = client.embeddings.create(model="text-embedding-3-small", input="搬家", dimensions=7)
    raw: Any = (
        client.embeddings.create(model="text-embedding-3-small", input="搬家", dimensions=7, encoding_format="base64").data[0].embedding
    )

    assert list(array("f", by_default.data[0].embedding)) == list(array("f", b64decode(raw))) == list(array("f", vector("搬家", 7)))


def test_models(client: OpenAI) -> None:
    assert "gpt-5.4" in {model.id for model in client.models.list()}
    assert client.models.retrieve("gpt-5.4").object == "model"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("gpt-99")


@pytest.mark.parametrize(("key", "kind", "code"), [
    ("sk-invalid-01234567", openai.AuthenticationError, "invalid_api_key"),
    ("pk-01234567", openai.AuthenticationError, "invalid_api_key"),
    ("sk-quota-01234567", openai.RateLimitError, "insufficient_quota"),
    ("sk-limited-01234567", openai.RateLimitError, "rate_limit_exceeded"),
])  # fmt: skip
def test_the_sdk_raises_the_class_of_an_accounts_trouble(simulators: str, key: str, kind: type[openai.APIStatusError], code: str) -> None:
    with OpenAI(base_url=f"{simulators}/openai/v1", api_key=key, max_retries=0) as client, pytest.raises(kind) as raised:
        client.models.list()

    assert raised.value.code == code
    assert key not in str(raised.value)


# ---- what is refused ----


def refused(body: Json, model: str = "gpt-4o") -> tuple[str | None, str | None]:
    """(param, code) of the 400 that a body gets."""

    async def go() -> Json:
        simulator = SIMULATOR(World(Scripted(), {}, {one.id: one for one in MODELS}, lambda: NOW, {}))
        headers = {"authorization": f"Bearer {KEY}"}
        reply = await simulator.handle(Request("POST", "/v1/chat/completions", {}, headers, json.encode({"model": model, **body})))
        assert reply.status == 400, await read(reply)
        error: Json = json.decode(await read(reply))["error"]
        assert error.keys() == {"message", "type", "param", "code"}
        return error

    error = asyncio.run(go())
    return error["param"], error["code"]


SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def form(schema: Json) -> Json:
    return {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": schema, "strict": True}}}


REFUSED: dict[str, tuple[Json, str | None, str | None]] = {
    "unknown": (ask("hi", foo=1), "foo", "unknown_parameter"),
    "no-messages": ({}, "messages", "missing_required_parameter"),
    "empty-messages": ({"messages": []}, "messages", "empty_array"),
    "type": (ask("hi", temperature="hot"), "temperature", "invalid_type"),
    "range": (ask("hi", temperature=2.5), "temperature", "decimal_above_max_value"),
    "whole": (ask("hi", n=1.5), "n", "invalid_type"),
    "too-many": (ask("hi", n=129), "n", "integer_above_max_value"),
    "stops": (ask("hi", stop=list("abcde")), "stop", "array_above_max_length"),
    "tools": (ask("hi", tools=[WEATHER] * 129), "tools", "array_above_max_length"),
    "no-tools": (ask("hi", tools=[]), "tools", "empty_array"),
    "tool-name": (ask("hi", tools=[{"type": "function", "function": {"name": "a b"}}]), "tools[0].function.name", "invalid_value"),
    "tool-key": (ask("hi", tools=[{"type": "function", "function": {"name": "a", "x": 1}}]), "tools[0].function.x", "unknown_parameter"),
    "choice": (ask("hi", tool_choice="auto"), "tool_choice", None),
    "parallel": (ask("hi", parallel_tool_calls=True), "parallel_tool_calls", None),
    "stream-options": (ask("hi", stream_options={"include_usage": True}), "stream_options", None),
    "two-limits": (ask("hi", max_tokens=1, max_completion_tokens=1), "max_tokens", "invalid_parameter_combination"),
    "huge-limit": (ask("hi", max_tokens=16_385), "max_tokens", "invalid_value"),
    "top-logprobs": (ask("hi", top_logprobs=1), "top_logprobs", None),
    "open-object": (ask("hi", **form(SCHEMA)), "response_format", None),
    "not-required": (ask("hi", **form({**SCHEMA, "additionalProperties": False})), "response_format", None),
    "not-an-object": (ask("hi", **form({"type": "array", "items": {"type": "string"}})), "response_format", None),
    "word-json": (ask("hi", response_format={"type": "json_object"}), "messages", None),
    "role": ({"messages": [{"role": "robot", "content": "a"}]}, "messages[0].role", "invalid_value"),
    "message-key": ({"messages": [{"role": "user", "content": "a", "x": 1}]}, None, None),
    "null-content": ({"messages": [{"role": "user", "content": None}]}, "messages[0].content", None),
    "unanswered": ({"messages": [{"role": "assistant", "tool_calls": [CALL]}]}, "messages.[0].role", None),
    "nobody-asked": ({"messages": [{"role": "tool", "tool_call_id": "c1", "content": "a"}]}, "messages.[0].role", None),
    "part": ({"messages": [{"role": "user", "content": [{"type": "video_url"}]}]}, "messages[0].content[0].type", "invalid_value"),
    "effort": (ask("hi", reasoning_effort="low"), None, None),
    "metadata": (ask("hi", metadata={"a": 1}), "metadata.a", "invalid_type"),
}
OF_REASONING: dict[str, tuple[Json, str, str | None]] = {
    "max-tokens": (ask("hi", max_tokens=5), "max_tokens", "unsupported_parameter"),
    "temperature": (ask("hi", temperature=0), "temperature", "unsupported_value"),
    "stop": (ask("hi", stop="a"), "stop", "unsupported_parameter"),
    "logprobs": (ask("hi", logprobs=True), "logprobs", "unsupported_parameter"),
    "penalty": (ask("hi", presence_penalty=1), "presence_penalty", "unsupported_parameter"),
    "none": (ask("hi", reasoning_effort="none"), "reasoning_effort", "unsupported_value"),
}


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED)
def test_it_is_refused_with_openais_code(case: tuple[Json, str | None, str | None]) -> None:
    body, param, code = case

    assert refused(body) == (param, code)


@pytest.mark.parametrize("case", OF_REASONING.values(), ids=OF_REASONING)
def test_a_model_that_reasons_refuses_it(case: tuple[Json, str, str | None]) -> None:
    body, param, code = case

    assert refused(body, "o3") == refused(body, "gpt-5") == (param, code)


def test_functions_are_refused_to_a_model_that_reasons_from_5_4_on() -> None:
    body = ask("hi", tools=[WEATHER], reasoning_effort="low")

    assert refused(body, "gpt-5.4") == ("reasoning_effort", None)
