"""Clients that send something wrong: the gateway answers all of it in OpenAI's form, and never fails itself. Over sockets."""

import json
from collections.abc import Callable
from random import Random
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.base import Json
from tests.conftest import Served
from tests.properties.mutate import damaged, dumped, mutated
from tests.properties.oracle import check_answer, check_error, check_stream, check_vectors
from tests.properties.surfaces import ALL, gateway_yaml, model_name, served, vector_model

Serve = Callable[..., Served]
SEEDS = st.integers(0, 2**40)
PICTURE: Json = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo=", "detail": "low"}}
FUNCTION: Json = {"name": "get_weather", "description": "the weather", "strict": False, "parameters": {
    "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}  # fmt: skip
CALLS: list[Json] = [
    {"id": f"c{n}", "type": "function", "function": {"name": "get_weather", "arguments": '{"city":"Paris"}'}} for n in (0, 1)
]
CALLED: Json = {"name": "get_weather", "arguments": "{}"}
BODIES: tuple[Json, ...] = (
    {"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Say 你好 🙂", "name": "me"}], "temperature": 0.5,
     "top_p": 0.9, "max_tokens": 50, "stop": ["z"], "seed": 7, "user": "u-1", "presence_penalty": 0.5, "frequency_penalty": 0.5,
     "logit_bias": {"50256": -100}, "n": 1, "stream_options": None, "metadata": {"a": "b"}, "store": False, "service_tier": "auto"},
    {"messages": [{"role": "user", "content": [{"type": "text", "text": "what is it?"}, PICTURE]}], "max_completion_tokens": 64,
     "reasoning_effort": "low", "response_format": {"type": "json_object"}, "verbosity": "low", "modalities": ["text"]},
    {"messages": [{"role": "developer", "content": [{"type": "text", "text": "Be kind."}]}, {"role": "user", "content": "Weather?"},
                  {"role": "assistant", "content": None, "tool_calls": CALLS},
                  {"role": "tool", "tool_call_id": "c0", "content": "sunny"},
                  {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": "rainy"}]}],
     "tools": [{"type": "function", "function": FUNCTION}], "tool_choice": "auto", "parallel_tool_calls": True},
    {"messages": [{"role": "user", "content": "Trip in JSON"}], "n": 2, "logprobs": True, "top_logprobs": 1,
     "tool_choice": {"type": "function", "function": {"name": "get_weather"}}, "tools": [{"type": "function", "function": FUNCTION}],
     "response_format": {"type": "json_schema", "json_schema": {"name": "trip", "strict": True, "schema": {
         "type": "object", "properties": {"days": {"type": "integer"}}}}}},
    {"messages": [{"role": "user", "content": "Weather?"}, {"role": "assistant", "function_call": CALLED},
                  {"role": "function", "name": "get_weather", "content": "sunny"}],
     "functions": [FUNCTION], "function_call": {"name": "get_weather"}},
)  # fmt: skip
TYPES = ("application/json",) * 12 + (
    "text/plain",
    "application/x-www-form-urlencoded",
    "",
    "application/json; charset=utf-16",
    "multipart/form-data",
)


@pytest.fixture
def gate(gateway: Serve, simulators: str) -> httpx.Client:
    """A client of a gateway with all vendors."""
    return gateway(gateway_yaml(simulators)).client


def asked(rng: Random, body: Json) -> bytes:
    if rng.random() < 0.15:
        return damaged(rng, json.dumps(body).encode())
    return dumped(rng, mutated(rng, body))


def wrong_chat(gate: httpx.Client, rng: Random) -> None:
    surface = rng.choice(ALL)
    body = {**rng.choice(BODIES), "model": model_name(surface, rng.choice(served(surface)))}
    if rng.random() < 0.4:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    raw = asked(rng, body)

    reply = gate.post("/v1/chat/completions", content=raw, headers={"content-type": rng.choice(TYPES)})

    assert reply.headers["x-request-id"]
    if reply.status_code != 200:
        check_error(reply.status_code, reply.headers, reply.content)
    elif reply.headers["content-type"] == "application/json":
        check_answer(reply.content)
    else:
        check_stream(reply.content, answers=2)


def wrong_embeddings(gate: httpx.Client, rng: Random) -> None:
    surface = rng.choice(WITH_VECTORS)
    given_: Any = rng.choice(("hi", ["a", "b"], [1, 2, 3], [[1], [2]]))
    body = {
        "model": f"{surface.id}:vectors",
        "input": given_,
        "encoding_format": rng.choice(("float", "base64")),
        "dimensions": 256,
        "user": "me",
    }

    reply = gate.post("/v1/embeddings", content=asked(rng, body), headers={"content-type": rng.choice(TYPES)})

    if reply.status_code == 200:
        check_vectors(reply.content)
    else:
        check_error(reply.status_code, reply.headers, reply.content)


WITH_VECTORS = [surface for surface in ALL if vector_model(surface)]


def test_a_wrong_chat_is_answered_or_refused(gate: httpx.Client) -> None:
    @given(SEEDS)
    @settings(max_examples=4400)
    def check(seed: int) -> None:
        wrong_chat(gate, Random(seed))

    check()


def test_wrong_inputs_are_answered_or_refused(gate: httpx.Client) -> None:
    @given(SEEDS)
    @settings(max_examples=600)
    def check(seed: int) -> None:
        wrong_embeddings(gate, Random(seed))

    check()
