"""Baichuan's adapter against Baichuan's simulator, and against the facts of its documents."""

import asyncio
import itertools
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.baichuan.adapter import ADAPTER
from providers.baichuan.simulator import SIMULATOR
from providers.base import Fault, Json, Model, Target
from providers.simulation import Request
from tests.providers.roundtrip import Pair, fault, read, said

KEY = "sk-0123456789abcdef"
MODELS = (
    Model("Baichuan4-Turbo", context=32768, output=4096, tools=True, json="object", thinking="none"),
    Model("Baichuan3-Turbo", context=40, output=8192, tools=True, thinking="none"),
    Model("Baichuan2-Turbo", output=8192, tools=False, thinking="none"),
    Model("Baichuan-M3", output=32768, thinking="always"),
    Model("Baichuan-M2", output=32768, thinking="always"),
    Model("Baichuan-Text-Embedding", kind="embedding", context=512, dimensions=1024, batch=16),
)
WEATHER: Json = {"type": "function", "function": {"name": "get_weather", "strict": True, "parameters": {
    "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}  # fmt: skip
SCHEMA: Json = {
    "type": "json_schema",
    "json_schema": {"name": "person", "schema": {"type": "object", "properties": {"age": {"type": "integer"}}}},
}
PLAIN_STREAM = (
    'data: {"id":"chatcmpl-M6b1","object":"chat.completion.chunk","created":1795420800,"model":"Baichuan4-Turbo","choices":[{"index":0,'
    '"delta":{"role":"assistant","content":"长"},"finish_reason":null}]}\n\n'
    'data:{"id":"chatcmpl-M6b1","object":"chat.completion.chunk","created":1795420800,"model":"Baichuan4-Turbo","choices":[{"index":0,'
    '"delta":{"content":"江。"},"finish_reason":"stop"}],"usage":{"prompt_tokens":12,"completion_tokens":3,"total_tokens":15}}\n\n'
    "data: [DONE]\n\n"
).encode()


def pair(key: str = KEY) -> Pair:
    return Pair(ADAPTER, SIMULATOR, {"api_key": key}, *MODELS, accounts={})


def ask(text: str, **more: Any) -> Json:
    return {"messages": [{"role": "user", "content": text}], **more}


def chat(body: Json, model: str = "Baichuan4-Turbo", key: str = KEY) -> Json:
    return asyncio.run(pair(key).chat(body, model))


def sent(body: Json, model: str = "Baichuan4-Turbo") -> tuple[Json, dict[str, str]]:
    """What would be sent, and the fate of each field that is not passed as it is."""
    facts = next(known for known in MODELS if known.id == model)
    outgoing = ADAPTER.endpoints["chat"].request({"model": "gpt-4o", **body}, Target("https://vendor.test/v1", facts))
    return json.loads(outgoing.body), {change.field: change.fate for change in outgoing.changes}


def words_of(raw: bytes, *cuts: int) -> Json:
    stream = ADAPTER.endpoints["chat"].stream()
    edges = [0, *sorted(cuts), len(raw)]
    chunks = [chunk for at, to in itertools.pairwise(edges) for chunk in stream.feed(raw[at:to])]
    return said(chunks + stream.end())


@pytest.mark.parametrize("model", ["Baichuan4-Turbo", "Baichuan-M3", "Baichuan-M2"])
def test_plain_and_streamed_answers_say_the_same(model: str) -> None:
    async def go() -> None:
        plain = await pair().chat(ask("Say 你好 🙂 world"), model)
        told = said(await pair().stream(ask("Say 你好 🙂 world"), model, size=1))

        message = plain["choices"][0]["message"]
        assert message["content"] == told["content"] == "你好 🙂 world"
        assert message.get("reasoning_content", "") == told["reasoning_content"]
        assert plain["usage"] == told["usage"]
        assert told["finish_reason"] == "stop"

    asyncio.run(go())


@given(cuts=st.lists(st.integers(0, len(PLAIN_STREAM)), max_size=6))
@settings(max_examples=60, deadline=None)
def test_the_documents_stream_may_be_cut_anywhere(cuts: list[int]) -> None:
    told = words_of(PLAIN_STREAM, *cuts)

    assert (told["content"], told["finish_reason"]) == ("长江。", "stop")
    assert told["usage"] == {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15}


@pytest.mark.parametrize("model", ["Baichuan-M3", "Baichuan-M2"])
def test_thoughts_are_reasoning_content_whether_the_model_tags_them_or_not(model: str) -> None:
    message = chat(ask("Say hi"), model)["choices"][0]["message"]

    assert message["reasoning_content"] == "The question is: Say hi I shall answer it plainly."
    assert message["content"] == "hi"


def test_parallel_calls_and_their_results_go_round() -> None:
    async def go() -> None:
        two = pair()
        body = ask("Weather in Paris and Tokyo?", tools=[WEATHER])
        plain = await two.chat(body, "Baichuan4-Turbo")
        told = said(await two.stream(body, "Baichuan4-Turbo", size=3))
        calls = plain["choices"][0]["message"]["tool_calls"]
        results = [{"role": "tool", "tool_call_id": call["id"], "content": f"sunny {n}"} for n, call in enumerate(calls)]
        turn = {"role": "assistant", "content": None, "tool_calls": calls}
        last = await two.chat({"messages": [*body["messages"], turn, *results], "tools": [WEATHER]}, "Baichuan4-Turbo")

        assert [told["calls"][i]["arguments"] for i in (0, 1)] == ['{"city":"Paris"}', '{"city":"Tokyo"}']
        assert [call["function"]["arguments"] for call in calls] == ['{"city":"Paris"}', '{"city":"Tokyo"}']
        assert told["finish_reason"] == plain["choices"][0]["finish_reason"] == "tool_calls"
        assert last["choices"][0]["message"]["content"] == "The tools say: sunny 0; sunny 1."

    asyncio.run(go())


def test_systems_and_developers_become_one_system_message_in_front() -> None:
    turns = [{"role": "developer", "content": "A"}, {"role": "user", "content": "hi"}, {"role": "system", "content": "B"}]

    out, fates = sent({"messages": turns})

    assert out["messages"] == [{"role": "system", "content": "A\n\nB"}, {"role": "user", "content": "hi"}]
    assert fates == {"messages[].role:developer": "renamed", "messages[].role:system": "emulated"}
    chat({"messages": turns})


def test_an_image_is_refused_before_it_is_sent_so_that_another_model_may_have_it() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}

    raised = asyncio.run(fault(pair().chat({"messages": [{"role": "user", "content": [{"type": "text", "text": "see"}, image]}]})))

    assert (raised.kind, raised.param) == ("unsupported", "messages")


def test_a_file_is_named_as_baichuan_names_it() -> None:
    parts = [{"type": "text", "text": "sum up"}, {"type": "file", "file": {"file_id": "f-1"}}]
    body = {"messages": [{"role": "user", "content": parts}]}

    out, _ = sent(body, "Baichuan-M3")

    assert out["messages"][0]["content"][1] == {"type": "file", "file_id": ["f-1"]}
    assert chat(body, "Baichuan-M3")["choices"][0]["finish_reason"] == "stop"


@pytest.mark.parametrize(("form", "model", "says", "fate"), [
    ({"type": "json_object"}, "Baichuan4-Turbo", {"type": "json_object"}, None),
    (SCHEMA, "Baichuan4-Turbo", {"type": "json_object"}, "emulated"),
    ({"type": "json_object"}, "Baichuan3-Turbo", None, "emulated"),
    ({"type": "text"}, "Baichuan3-Turbo", None, None),
])  # fmt: skip
def test_json_is_as_strict_as_the_model_can_be(form: Json, model: str, says: Json | None, fate: str | None) -> None:
    out, fates = sent(ask("a JSON object", response_format=form), model)

    assert out.get("response_format") == says
    assert fates.get("response_format") == fate
    assert (out["messages"][0]["role"] == "system") == (fate is not None)


def test_every_openai_field_is_sent_as_baichuan_takes_it_or_reported() -> None:
    body = ask(
        "hi", temperature=2, top_p=1, n=2, seed=1, stop=["a"], logprobs=True, top_logprobs=2, logit_bias={"1": 1}, user="me", store=True,
        max_completion_tokens=10**6, presence_penalty=1, frequency_penalty=1, tools=[WEATHER], tool_choice="required",
        parallel_tool_calls=False, reasoning_effort="medium", metadata={"a": "b"}, service_tier="flex", prediction={}, modalities=["audio"],
        audio={}, web_search_options={}, prompt_cache_key="k", safety_identifier="s", verbosity="low", stream_options={}, top_k=30, new=1,
    )  # fmt: skip

    out, fates = sent(body)

    assert fates == {
        "temperature": "clamped", "top_p": "clamped", "n": "emulated", "seed": "dropped", "stop": "emulated", "logprobs": "dropped",
        "top_logprobs": "dropped", "logit_bias": "dropped", "user": "dropped", "store": "dropped", "max_completion_tokens": "clamped",
        "presence_penalty": "dropped", "frequency_penalty": "dropped", "tools[].function.strict": "dropped", "tool_choice": "emulated",
        "parallel_tool_calls": "emulated", "reasoning_effort": "dropped", "metadata": "dropped", "service_tier": "dropped",
        "prediction": "dropped", "modalities": "dropped", "audio": "dropped", "web_search_options": "emulated",
        "prompt_cache_key": "dropped", "safety_identifier": "dropped", "verbosity": "dropped", "top_k": "clamped", "new": "dropped",
    }  # fmt: skip
    assert (out["temperature"], out["top_p"], out["max_tokens"], out["top_k"]) == (1.0, 0.99, 4096, 20)
    assert [tool["type"] for tool in out["tools"]] == ["function", "web_search"]
    assert chat(body)["choices"][0]["finish_reason"] == "tool_calls"


def test_what_baichuan_means_by_metadata_goes_through_alone() -> None:
    out, fates = sent(ask("hi", metadata={"evidence_scope": "grounded"}))

    assert out["metadata"] == {"evidence_scope": "grounded"}
    assert fates == {}


def test_the_limit_of_tokens_ends_an_answer() -> None:
    assert chat(ask("Count to 50", max_tokens=3))["choices"][0]["finish_reason"] == "length"


def test_an_answer_that_was_blocked_says_so() -> None:
    assert chat(ask("Say [unsafe-output]"))["choices"][0]["finish_reason"] == "content_filter"


@pytest.mark.parametrize(("key", "kind", "status"), [
    ("sk-invalid-1", "auth", 401),
    ("sk-expired-1", "auth", 401),
    ("sk-arrears-1", "quota", 402),
    ("sk-quota-1", "quota", 403),
    ("sk-limited-1", "rate_limited", 429),
    ("not a key", "auth", 401),
])  # fmt: skip
def test_an_accounts_trouble_is_told_by_its_code(key: str, kind: str, status: int) -> None:
    raised = asyncio.run(fault(pair(key).chat(ask("hi"))))

    assert (raised.kind, raised.status) == (kind, status)


@pytest.mark.parametrize(("body", "model", "kind"), [
    (ask("hi"), "baichuan4-turbo", "no_model"),
    (ask("hi"), "Baichuan-Text-Embedding", "no_model"),
    (ask("[unsafe-input]"), "Baichuan4-Turbo", "refused"),
    (ask("word " * 60), "Baichuan3-Turbo", "too_long"),
    (ask("hi", tools=[WEATHER]), "Baichuan2-Turbo", "bad_request"),
])  # fmt: skip
def test_what_baichuan_refuses_is_a_fault_of_the_right_kind(body: Json, model: str, kind: str) -> None:
    assert asyncio.run(fault(pair().chat(body, model))).kind == kind


@pytest.mark.parametrize("raw", [
    PLAIN_STREAM[: PLAIN_STREAM.index(b"data:{")],
    b'data: {"choices":[{"index":0,"delta":{"content":"<think>half a tho"}}]}\n\n',
    b"",
])  # fmt: skip
def test_a_stream_without_its_end_is_broken(raw: bytes) -> None:
    with pytest.raises(Fault) as raised:
        words_of(raw)

    assert raised.value.kind == "broken"


@pytest.mark.parametrize(("error", "kind"), [
    ({"code": "server_error", "message": "x"}, "overloaded"),
    ({"code": "content_filter", "message": "x"}, "refused"),
    ({"code": None, "message": "内容存在敏感信息"}, "refused"),
    ({"code": "rate_limit_exceeded", "message": "x"}, "rate_limited"),
])  # fmt: skip
def test_an_error_inside_a_stream_or_under_200_is_a_fault(error: Json, kind: str) -> None:
    raw = json.dumps({"error": error}).encode()

    with pytest.raises(Fault) as streamed:
        words_of(b"data: " + raw + b"\n\n")
    with pytest.raises(Fault) as plain:
        ADAPTER.endpoints["chat"].response(raw)

    assert (streamed.value.kind, plain.value.kind) == (kind, kind)


def test_embeddings_come_in_order_and_1024_wide() -> None:
    answer = asyncio.run(pair().embed({"input": ["a", "b", "a"], "dimensions": 1024, "user": "me"}, "Baichuan-Text-Embedding"))

    first, second, third = (item["embedding"] for item in answer["data"])
    assert len(first) == 1024
    assert first == third != second
    assert answer["usage"] == {"prompt_tokens": 3, "total_tokens": 3}


@pytest.mark.parametrize(("body", "kind"), [
    ({"input": ["a"], "dimensions": 1536}, "unsupported"),
    ({"input": ["a"] * 17}, "bad_request"),
    ({"input": ["word " * 600]}, "too_long"),
])  # fmt: skip
def test_embeddings_beyond_the_limits_are_refused(body: Json, kind: str) -> None:
    assert asyncio.run(fault(pair().embed(body, "Baichuan-Text-Embedding"))).kind == kind


def test_the_bill_is_the_usage_that_was_told() -> None:
    two = pair()
    usage = [asyncio.run(two.chat(ask("hi")))["usage"], said(asyncio.run(two.stream(ask("ho"))))["usage"]]

    charge = two.bill["baichuan", KEY, "Baichuan4-Turbo"]
    assert charge.requests == 2
    assert charge.prompt_tokens == sum(told["prompt_tokens"] for told in usage)
    assert charge.completion_tokens == sum(told["completion_tokens"] for told in usage)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["role", "type", "function", "text"]), inner, max_size=3),
    max_leaves=6,
)
FIELDS = [
    "messages",
    "stream",
    "temperature",
    "tools",
    "tool_choice",
    "max_tokens",
    "response_format",
    "metadata",
    "top_k",
    "knowledge_base",
]


@given(field=st.sampled_from(FIELDS), value=VALUES)
@settings(max_examples=150, deadline=None)
def test_whatever_is_sent_the_simulator_answers_as_baichuan_does(field: str, value: Any) -> None:
    body = {"model": "Baichuan4-Turbo", **ask("hi"), field: value}
    headers = {"authorization": f"Bearer {KEY}"}

    async def go() -> tuple[int, bytes]:
        reply = await pair().simulator.handle(Request("POST", "/v1/chat/completions", {}, headers, json.dumps(body).encode()))
        assert reply.headers["x-bc-request-id"]
        return reply.status, await read(reply)

    status, raw = asyncio.run(go())

    assert status == 200 or json.loads(raw)["error"]["code"]
