"""Clients that send something wrong to the surfaces over chat: each answers in its own form, and never fails itself. Over sockets."""

import json
from collections.abc import Callable
from random import Random
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types import Completion

from providers.base import Json
from tests.conftest import Served
from tests.gateway.api.messages.events import events_of, message_in
from tests.properties.mutate import damaged, dumped, mutated
from tests.properties.oracle import check_error
from tests.properties.surfaces import ALL, gateway_yaml, model_name, served

SEEDS = st.integers(0, 2**40)
IMAGE: Json = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}}
TOOL: Json = {
    "name": "get_weather",
    "description": "the weather",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
}
MESSAGES: tuple[Json, ...] = (
    {"system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}], "temperature": 0.5, "top_p": 0.9,
     "top_k": 4, "messages": [{"role": "user", "content": "Say 你好 🙂"}], "stop_sequences": ["z"], "metadata": {"user_id": "u-1"},
     "max_tokens": 50},
    {"messages": [{"role": "user", "content": [{"type": "text", "text": "what?"}, IMAGE, {
        "type": "document", "title": "t", "source": {"type": "text", "media_type": "text/plain", "data": "d"}}]}], "max_tokens": 64,
     "thinking": {"type": "enabled", "budget_tokens": 1024}, "output_config": {"effort": "low"}},
    {"messages": [{"role": "user", "content": "Weather?"},
                  {"role": "assistant", "content": [{"type": "thinking", "thinking": "Hm", "signature": "s"},
                                                    {"type": "text", "text": "So"},
                                                    {"type": "tool_use", "id": "t0", "name": "get_weather", "input": {"city": "Paris"}}]},
                  {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t0", "is_error": False, "content": [
                      {"type": "text", "text": "sunny"}, IMAGE]}]}],
     "tools": [TOOL, {"type": "web_search_20250305", "name": "web_search"}], "tool_choice": {"type": "auto"}, "max_tokens": 99},
    {"messages": [{"role": "user", "content": "JSON"}, {"role": "assistant", "content": "{"}], "max_tokens": 99, "tools": [TOOL],
     "tool_choice": {"type": "tool", "name": "get_weather", "disable_parallel_tool_use": True},
     "output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}}},
)  # fmt: skip
COMPLETIONS: tuple[Json, ...] = (
    {"prompt": "Say 你好 🙂", "max_tokens": 20, "temperature": 0.5, "stop": ["z"], "seed": 7, "user": "u", "best_of": 1, "suffix": "!"},
    {"prompt": ["a", "b"], "n": 2, "echo": True, "logit_bias": {"50256": -100}, "presence_penalty": 0.5},
    {"prompt": [[9906], [1], [2, 3]], "logprobs": 2, "max_tokens": 5},
    {"prompt": [9906, 11, 1917]},
)


@pytest.fixture
def gate(gateway: Callable[..., Served], simulators: str) -> httpx.Client:
    return gateway(gateway_yaml(simulators)).client


def asked(gate: httpx.Client, rng: Random, path: str, bodies: tuple[Json, ...]) -> httpx.Response:
    surface = rng.choice(ALL)
    body = {**rng.choice(bodies), "model": model_name(surface, rng.choice(served(surface))), "stream": rng.random() < 0.4}
    raw = damaged(rng, json.dumps(body).encode()) if rng.random() < 0.1 else dumped(rng, mutated(rng, body))
    return gate.post(path, content=raw, headers={"content-type": "application/json"})


def check_envelope(reply: httpx.Response) -> None:
    """An error as Anthropic tells it, and never the gateway's own failure."""
    assert reply.status_code >= 400
    assert reply.status_code != 500, reply.content
    told = reply.json()
    assert (told["type"], told["request_id"]) == ("error", reply.headers["request-id"])
    assert told["error"].keys() <= {"type", "message", "details"}
    assert told["error"]["message"]


def wrong_messages(gate: httpx.Client, rng: Random) -> None:
    reply = asked(gate, rng, "/v1/messages", MESSAGES)

    if reply.status_code != 200:
        check_envelope(reply)
        return
    if reply.headers["content-type"] == "application/json":
        message: Any = reply.json()
    else:
        events = events_of(reply.content)
        if events[-1]["type"] == "error":
            return
        message = message_in(events)
    assert message["stop_reason"] in ("end_turn", "max_tokens", "tool_use", "stop_sequence", "refusal")
    assert all(block["type"] in ("text", "thinking", "tool_use") for block in message["content"])
    assert message["usage"]["output_tokens"] >= 0


def wrong_counts(gate: httpx.Client, rng: Random) -> None:
    reply = asked(gate, rng, "/v1/messages/count_tokens", MESSAGES)

    if reply.status_code != 200:
        check_envelope(reply)
    else:
        assert reply.json()["input_tokens"] > 0


def wrong_completions(gate: httpx.Client, rng: Random) -> None:
    reply = asked(gate, rng, "/v1/completions", COMPLETIONS)

    if reply.status_code != 200:
        check_error(reply.status_code, reply.headers, reply.content)
    elif reply.headers["content-type"] == "application/json":
        Completion.model_validate(reply.json())
    else:
        *frames, last, end = reply.text.split("\n\n")
        assert end == ""
        assert last == "data: [DONE]" or '"error"' in last
        for frame in frames:
            assert json.loads(frame.removeprefix("data: "))["object"] == "text_completion"


@pytest.mark.parametrize(("wrong", "examples"), [(wrong_messages, 700), (wrong_counts, 300), (wrong_completions, 500)])
def test_what_is_wrong_is_answered_or_refused(gate: httpx.Client, wrong: Callable[[httpx.Client, Random], None], examples: int) -> None:
    @given(SEEDS)
    @settings(max_examples=examples)
    def check(seed: int) -> None:
        wrong(gate, Random(seed))

    check()
