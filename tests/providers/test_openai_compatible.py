"""The adapter for any OpenAI-compatible server, against bytes as vLLM, SGLang, Ollama and llama.cpp send them."""

import itertools
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.base import Credential, Fault, Json, Model, Target
from providers.openai_compatible.adapter import ADAPTER
from tests.providers.roundtrip import said

CHAT, EMBEDDINGS = ADAPTER.endpoints["chat"], ADAPTER.endpoints["embeddings"]
LLAMA = Target("http://127.0.0.1:8000/v1", Model("llama-3.3-70b-instruct"))


def event(chunk: Json) -> bytes:
    return b"data: " + json.dumps({"id": "chatcmpl-9e", "object": "chat.completion.chunk", "model": "llama", **chunk}).encode() + b"\n\n"


def delta(finish: str | None = None, **said: Any) -> bytes:
    return event({"choices": [{"index": 0, "delta": said, "finish_reason": finish}]})


BEFORE_THE_FINISH = b"".join((
    delta(role="assistant", content=""),
    delta(reasoning="2+2"),
    delta(content="Four 🙂"),
    delta(tool_calls=[{"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": ""}}]),
    delta(tool_calls=[{"index": 1, "id": "call_2", "type": "function", "function": {"name": "g", "arguments": "{}"}}]),
    delta(tool_calls=[{"index": 0, "function": {"arguments": '{"a":1}'}}]),
))  # fmt: skip
VLLM = (
    BEFORE_THE_FINISH
    + delta("tool_calls")
    + event({"choices": [], "usage": {"prompt_tokens": 14, "total_tokens": 17, "completion_tokens": 3}})
    + b"data: [DONE]\n\n"
)


def request(body: Json, endpoint: str = "chat") -> tuple[Json, dict[str, str]]:
    outgoing = ADAPTER.endpoints[endpoint].request({"model": "gpt-4o", **body}, LLAMA)
    assert outgoing.url == f"http://127.0.0.1:8000/v1{'/chat/completions' if endpoint == 'chat' else '/embeddings'}"
    return json.loads(outgoing.body), {change.field: change.fate for change in outgoing.changes}


def stream(raw: bytes, *cuts: int) -> list[Json]:
    reader = CHAT.stream()
    edges = [0, *sorted(cuts), len(raw)]
    chunks = [chunk for at, to in itertools.pairwise(edges) for chunk in reader.feed(raw[at:to])]
    return chunks + reader.end()


def broken_by(raw: bytes) -> Fault:
    with pytest.raises(Fault) as raised:
        stream(raw)
    return raised.value


def test_every_field_goes_through_as_it_came() -> None:
    body: Json = {
        "messages": [{"role": "developer", "content": "A"}, {"role": "user", "name": "me", "content": [{"type": "text", "text": "hi"}]}],
        "temperature": 2, "top_p": 0, "n": 3, "seed": 1, "stop": ["a"], "logprobs": True, "top_logprobs": 5, "logit_bias": {"1": 1},
        "max_completion_tokens": 9, "max_tokens": 8, "user": "me", "presence_penalty": 1, "frequency_penalty": 1, "store": True,
        "tools": [{"type": "function", "function": {"name": "f", "strict": True}}], "tool_choice": "required",
        "parallel_tool_calls": False, "response_format": {"type": "json_schema", "json_schema": {"name": "a"}}, "reasoning_effort": "high",
        "metadata": {"a": "b"}, "service_tier": "flex", "prediction": {}, "modalities": ["text"], "audio": {}, "web_search_options": {},
        "prompt_cache_key": "k", "safety_identifier": "s", "verbosity": "low",
        "chat_template_kwargs": {"enable_thinking": False}, "min_p": 0.1,
    }  # fmt: skip

    out, fates = request(body)

    assert out == {**body, "model": "llama-3.3-70b-instruct"}
    assert fates == {}


@pytest.mark.parametrize("options", [{}, {"stream_options": {"include_usage": False}}, {"stream_options": {"include_usage": True}}])
def test_usage_of_a_stream_is_always_asked_for(options: Json) -> None:
    out, fates = request({"messages": [], "stream": True, **options})

    assert out["stream_options"] == {"include_usage": True}
    assert fates == {}


def test_usage_is_not_asked_for_where_nothing_streams() -> None:
    out, _ = request({"messages": [], "stream": False})

    assert "stream_options" not in out


def test_the_width_of_vectors_is_the_servers_affair_and_base64_the_gateways() -> None:
    out, fates = request({"input": ["a"], "dimensions": 7, "user": "me", "encoding_format": "base64"}, "embeddings")

    assert out == {"model": "llama-3.3-70b-instruct", "input": ["a"], "dimensions": 7, "user": "me"}
    assert fates == {}


@pytest.mark.parametrize(("secrets", "headers"), [
    ({}, {}), ({"api_key": ""}, {}), ({"api_key": "sk-1"}, {"authorization": "Bearer sk-1"}),
])  # fmt: skip
def test_an_account_needs_no_key_but_shows_the_one_it_has(secrets: dict[str, str], headers: dict[str, str]) -> None:
    way = ADAPTER.auth["api_key"]

    with pytest.raises(StopIteration) as done:
        next(way.exchange(secrets, 0.0))

    credential: Credential = done.value.value
    assert way.secrets == ()
    assert credential.headers == headers


@given(cuts=st.lists(st.integers(0, len(VLLM)), max_size=8))
@settings(max_examples=60, deadline=None)
def test_a_stream_may_be_cut_anywhere(cuts: list[int]) -> None:
    told = said(stream(VLLM, *cuts))

    assert told == {
        "content": "Four 🙂", "reasoning_content": "2+2", "finish_reason": "tool_calls",
        "calls": {0: {"id": "call_1", "name": "f", "arguments": '{"a":1}'}, 1: {"id": "call_2", "name": "g", "arguments": "{}"}},
        "usage": {"prompt_tokens": 14, "total_tokens": 17, "completion_tokens": 3},
    }  # fmt: skip


@pytest.mark.parametrize(("message", "reasoning"), [
    ({"content": "4", "reasoning": "2+2"}, "2+2"),
    ({"content": "4", "reasoning": None}, None),
    ({"content": "4", "reasoning": None, "reasoning_content": "2+2"}, "2+2"),
    ({"content": "4", "reasoning_content": "2+2"}, "2+2"),
])  # fmt: skip
def test_reasoning_is_understood_under_either_name(message: Json, reasoning: str | None) -> None:
    body = {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}

    answer = CHAT.response(json.dumps(body).encode())

    assert answer["choices"][0]["message"].get("reasoning_content") == reasoning
    assert "reasoning" not in answer["choices"][0]["message"]


def test_a_finish_reason_of_the_engine_is_said_in_openais_words() -> None:
    body = {"choices": [{"index": 0, "message": {"content": "a a a"}, "finish_reason": "repetition"}]}

    assert CHAT.response(json.dumps(body).encode())["choices"][0]["finish_reason"] == "stop"


@pytest.mark.parametrize("raw", [
    BEFORE_THE_FINISH,
    b'data: {"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"abort"}]}\n\ndata: [DONE]\n\n',
    b'data: {"choices":[{"index":0,"delta":{"content":""}}]}\n\n',
], ids=["cut", "aborted", "ollama's failure"])  # fmt: skip
def test_an_answer_without_its_finish_is_broken(raw: bytes) -> None:
    assert broken_by(raw).kind == "broken"


@pytest.mark.parametrize(("failure", "kind"), [
    ({"error": {"message": "boom", "type": "InternalServerError", "param": None, "code": 500}}, "overloaded"),
    ({"object": "error", "message": "The input (9 tokens) is longer than the model's context length (8 tokens).", "code": 400}, "too_long"),
    ({"error": {"code": 503, "message": "Loading model", "type": "unavailable_error"}}, "overloaded"),
])  # fmt: skip
def test_a_failure_inside_a_stream_keeps_its_kind(failure: Json, kind: str) -> None:
    assert broken_by(b"data: " + json.dumps(failure).encode() + b"\n\ndata: [DONE]\n\n").kind == kind


@pytest.mark.parametrize(("status", "body", "kind"), [
    (401, {"error": "Unauthorized"}, "auth"),
    (401, {"error": {"message": "Incorrect API key provided", "code": "invalid_api_key"}}, "auth"),
    (404, {"error": {"message": "The model `x` does not exist.", "type": "NotFoundError", "param": "model", "code": 404}}, "no_model"),
    (404, {"error": {"message": 'model "x" not found, try pulling it first', "type": "not_found_error", "code": None}}, "no_model"),
    (400, {"error": {"message": "This model's maximum context length is 8 tokens. However, …", "type": "BadRequestError"}}, "too_long"),
    (400, {"object": "error", "message": "Requested token count exceeds the model's maximum context length of 8", "code": 400}, "too_long"),
    (400, {"error": {"code": 400, "message": "…", "type": "exceed_context_size_error", "n_ctx": 8}}, "too_long"),
    (400, {"error": {"message": "…", "code": "context_length_exceeded"}}, "too_long"),
    (400, {"error": {"message": "…", "code": "content_filter"}}, "refused"),
    (400, {"error": {"message": "…", "code": "content_policy_violation"}}, "refused"),
    (400, {"object": "error", "message": "bad", "type": "Bad Request", "param": None, "code": 400}, "bad_request"),
    (422, {"error": {"message": "bad", "type": "UnprocessableEntityError"}}, "bad_request"),
    (429, {"error": {"message": "…", "type": "insufficient_quota", "code": "insufficient_quota"}}, "quota"),
    (429, {"error": {"message": "…", "code": "rate_limit_exceeded"}}, "rate_limited"),
    (501, {"error": {"code": 501, "message": "…", "type": "not_supported_error"}}, "unsupported"),
    (503, {"error": {"message": "server busy, please try again.", "type": "api_error"}}, "overloaded"),
    (500, "not JSON", "overloaded"),
])  # fmt: skip
def test_errors_are_told_by_code_or_type_and_else_by_status(status: int, body: Any, kind: str) -> None:
    assert CHAT.fault(status, {}, json.dumps(body).encode()).kind == kind


def test_an_error_says_how_long_to_wait() -> None:
    assert EMBEDDINGS.fault(429, {"retry-after": "3"}, b"{}").retry_after == 3.0
