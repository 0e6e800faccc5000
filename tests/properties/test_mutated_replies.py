"""Providers that say something wrong: whatever comes, a client gets an answer in OpenAI's form, whole or told to be broken."""

import asyncio
import json
from collections.abc import Iterator
from functools import cache
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct

from gateway.app import App
from providers.base import Fault, Json
from tests.conftest import KEY, snapshot_of
from tests.properties.asgi import Answer, Parrot, post
from tests.properties.mutate import damaged, dumped, mutated, unsettled
from tests.properties.oracle import check_answer, check_error, check_stream, check_vectors
from tests.properties.surfaces import ALL, Refused, Surface, ask, gateway_yaml, model_name, served, vector_model

TOOLS = [{"type": "function", "function": {"name": "get_weather", "description": "the weather", "parameters": {
    "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}]  # fmt: skip
BODIES: tuple[Json, ...] = (
    {"messages": [{"role": "user", "content": "Say 你好 🙂 world"}], "reasoning_effort": "high"},
    {"messages": [{"role": "user", "content": "Weather in Paris and Tokyo?"}], "tools": TOOLS},
    {"messages": [{"role": "user", "content": "Say hi"}], "n": 2, "logprobs": True, "top_logprobs": 1},
    {"messages": [{"role": "user", "content": "Say [unsafe-output]"}]},
    {
        "messages": [{"role": "user", "content": "x"}],
        "stop": ["🙂", "zz", "?"],
        "parallel_tool_calls": False,
        "tools": TOOLS,
        "tool_choice": "none",
    },
    {
        "messages": [{"role": "user", "content": "x"}],
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "a", "schema": {"type": "object", "properties": {"a": {"type": "string"}}}},
        },
    },
)
SEEDS = st.integers(0, 2**40)


class Recorded(Struct, frozen=True):
    """A good reply of a vendor's, and the request that it answers."""

    model: str
    body: Json
    raw: bytes


@cache
def recorded(*, stream: bool) -> tuple[Recorded, ...]:
    return tuple(reply for surface in ALL for body in BODIES for reply in _recorded(surface, body, stream=stream))


def _recorded(surface: Surface, body: Json, *, stream: bool) -> Iterator[Recorded]:
    asked = {**body, "stream": True} if stream else body
    for model in (surface.models[0], surface.models[-1]):
        try:
            raw = ask(surface, model, asked).raw
        except (Fault, Refused):
            continue  # a model without calls, or without logprobs
        yield Recorded(model_name(surface, served(surface)[0]), asked, raw)


class Gate(Struct):
    app: App
    parrot: Parrot
    runner: asyncio.Runner

    def ask(self, body: Json, pieces: list[bytes], kind: str, path: str = "/v1/chat/completions", status: int = 200) -> Answer:
        self.parrot.status, self.parrot.headers, self.parrot.pieces = status, {"content-type": kind}, pieces
        return self.runner.run(post(self.app, path, body, KEY))


@pytest.fixture(scope="module")
def gate() -> Iterator[Gate]:
    parrot = Parrot()
    with asyncio.Runner() as runner:
        yield Gate(App(snapshot_of(gateway_yaml("http://127.0.0.1:1")), upstream=parrot), parrot, runner)


def pieces_of(rng: Random, raw: bytes) -> list[bytes]:
    edges = sorted(rng.randrange(len(raw) + 1) for _ in range(rng.choice((0, 1, 3, 8))))
    return [raw[at:to] for at, to in zip([0, *edges], [*edges, len(raw)], strict=True)]


def wrong_reply(gate: Gate, rng: Random) -> None:
    reply = rng.choice(recorded(stream=False))
    in_bytes = rng.random() < 0.2 or reply.raw[:1] != b"{"
    wrong = damaged(rng, reply.raw) if in_bytes else dumped(rng, mutated(rng, json.loads(reply.raw)))
    if rng.random() < 0.02:
        wrong = rng.choice((b"", b"<html>", b"[]", b"null", b"\xff", b"0", b'"x"'))
    status = rng.choice((200,) * 20 + (429, 500, 302, 204))

    answer = gate.ask({**reply.body, "model": reply.model}, pieces_of(rng, wrong), "application/json", status=status)

    if answer.status == 200:
        check_answer(answer.body)
    else:
        check_error(answer.status, answer.headers, answer.body)


def wrong_stream(gate: Gate, rng: Random) -> None:
    reply = rng.choice(recorded(stream=True))
    wrong = damaged(rng, reply.raw) if rng.random() < 0.15 else unsettled(rng, reply.raw)
    body = {**reply.body, "model": reply.model}
    if rng.random() < 0.5:
        body["stream_options"] = {"include_usage": True}

    answer = gate.ask(body, pieces_of(rng, wrong), rng.choice(("text/event-stream",) * 20 + ("application/json", "text/html", "")))

    if answer.status == 200:
        check_stream(answer.body, body.get("n", 1))
    else:
        check_error(answer.status, answer.headers, answer.body)


VECTORS: Json = {"object": "list", "model": "v",
                 "data": [{"object": "embedding", "index": i, "embedding": [0.5, -0.25, 1]} for i in (0, 1)],
                 "usage": {"prompt_tokens": 2, "total_tokens": 2}}  # fmt: skip
NATIVE_VECTORS: Json = {"request_id": "r", "usage": {"total_tokens": 2}, "output": {
    "embeddings": [{"text_index": i, "embedding": [0.5, -0.25, 1]} for i in (0, 1)]}}  # fmt: skip
WITH_VECTORS = [surface for surface in ALL if vector_model(surface)]
SENSE_VECTORS: Json = {
    "embeddings": [{"index": i, "embedding": [0.5, -0.25, 1], "status_code": 0} for i in (0, 1)],
    "usage": {"total_tokens": 2},
}
WIRE: dict[str, Any] = {"alibaba-native": NATIVE_VECTORS, "sensetime-native": SENSE_VECTORS}


def wrong_vectors(gate: Gate, rng: Random) -> None:
    surface = rng.choice(WITH_VECTORS)
    raw = dumped(rng, mutated(rng, WIRE.get(surface.id, VECTORS)))
    body = {"model": f"{surface.id}:vectors", "input": ["a", "b"], "encoding_format": rng.choice(("float", "base64"))}

    answer = gate.ask(body, [raw], "application/json", "/v1/embeddings")

    if answer.status == 200:
        check_vectors(answer.body)
    else:
        check_error(answer.status, answer.headers, answer.body)


@given(SEEDS)
@settings(max_examples=2100)
def test_a_wrong_reply_is_a_whole_answer_or_an_error(gate: Gate, seed: int) -> None:
    wrong_reply(gate, Random(seed))


@given(SEEDS)
@settings(max_examples=2400)
def test_a_wrong_stream_ends_as_one_or_in_an_error(gate: Gate, seed: int) -> None:
    wrong_stream(gate, Random(seed))


@given(SEEDS)
@settings(max_examples=600)
def test_wrong_vectors_are_none(gate: Gate, seed: int) -> None:
    wrong_vectors(gate, Random(seed))
