"""360's adapter against 360's simulator, and against what is known of the vendor."""

import asyncio
import itertools
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.base import Fault, Json, Model, OneCall, Outgoing, StopAt, Target, Whole
from providers.qihoo360.adapter import ADAPTER, maker_of
from providers.qihoo360.simulator import SIMULATOR
from providers.simulation import Request
from tests.providers.roundtrip import Pair, fault, read, said

KEY = "fk0123456789abcdef"
OWN, DEEPSEEK, GLM, DOUBAO, OTHER = "360gpt2-pro", "deepseek/deepseek-v4-pro", "z-ai/glm-5.3", "volcengine/doubao-seed-2-0-pro", "x/new-1"
MODELS = (
    Model(OWN, context=400, output=4096, tools=True, thinking="none"),
    Model("360gpt-turbo", output=4096, tools=False, thinking="none"),
    Model("360zhinao3-o1.5", output=4096, tools=True, thinking="always"),
    Model("360zhinao-pro-32k-thinking-vision", output=4096, tools=False, input=("text", "image"), thinking="always"),
    Model("360gpt-pro-trans", tools=False, thinking="none"),
    Model(DEEPSEEK, output=393216, tools=True),
    Model(GLM, output=131072, tools=True, thinking="always"),
    Model(DOUBAO, input=("text", "image"), tools=True),
    Model(OTHER),
    Model("embedding-bert-512-v1", kind="embedding", context=512, dimensions=768, batch=16),
)
CHAT_MODELS = [model.id for model in MODELS if model.kind == "chat"]
WEATHER: Json = {"type": "function", "function": {"name": "get_weather", "strict": True, "parameters": {
    "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}  # fmt: skip
IMAGE: Json = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo=", "detail": "high"}}
SCHEMA: Json = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}}
OPENAI_FIELDS = (
    "messages model audio frequency_penalty logit_bias logprobs max_completion_tokens max_tokens metadata modalities moderation n "
    "parallel_tool_calls prediction presence_penalty prompt_cache_key prompt_cache_options prompt_cache_retention reasoning_effort "
    "response_format safety_identifier seed service_tier stop store stream stream_options temperature tool_choice tools top_logprobs top_p "
    "user verbosity web_search_options"
).split()
STREAM = (
    'data: {"id":"chatcmpl-360-7f1e","object":"chat.completion.chunk","created":1795420800,"model":"360gpt2-pro","choices":[{"index":0,'
    '"delta":{"role":"assistant","content":"你"},"finish_reason":null}]}\n\n'
    'data: {"id":"chatcmpl-360-7f1e","object":"chat.completion.chunk","created":1795420800,"model":"360gpt2-pro","choices":[{"index":0,'
    '"delta":{"content":"好！"},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":3,"total_tokens":8}}\n\n'
    "data: [DONE]\n\n"
).encode()


def pair(key: str = KEY, auth: str = "api_key") -> Pair:
    return Pair(ADAPTER, SIMULATOR, {"api_key": key}, *MODELS, accounts={}, auth=auth)


def ask(text: str, **more: Any) -> Json:
    return {"messages": [{"role": "user", "content": text}], **more}


def outgoing(body: Json, model: str = OWN) -> Outgoing:
    facts = next(known for known in MODELS if known.id == model)
    return ADAPTER.endpoints["chat"].request({"model": "gpt-4o", **body}, Target("https://vendor.test/v1", facts))


def sent(body: Json, model: str = OWN) -> tuple[Json, dict[str, str]]:
    """What would be sent, and the fate of each field that is not passed as it is."""
    made = outgoing(body, model)
    return json.loads(made.body), {change.field: change.fate for change in made.changes}


def refused(body: Json) -> Json:
    """What the simulator answers to a body that no adapter has seen."""
    request = Request("POST", "/v1/chat/completions", {}, {"authorization": f"Bearer {KEY}"}, json.dumps(body).encode())

    async def go() -> Json:
        reply = await pair().simulator.handle(request)
        error: Json = json.loads(await read(reply))["error"]
        return {"status": reply.status, **error}

    return asyncio.run(go())


@pytest.mark.parametrize("model", CHAT_MODELS)
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


@given(st.lists(st.integers(0, len(STREAM)), max_size=4))
@settings(max_examples=40)
def test_a_stream_may_be_cut_anywhere(cuts: list[int]) -> None:
    stream = ADAPTER.endpoints["chat"].stream()
    edges = [0, *sorted(cuts), len(STREAM)]

    told = said([chunk for at, to in itertools.pairwise(edges) for chunk in stream.feed(STREAM[at:to])] + stream.end())

    assert told["content"] == "你好！"
    assert told["usage"] == {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}


@pytest.mark.parametrize("model", [OWN, DEEPSEEK, GLM, DOUBAO, "360zhinao3-o1.5"])
def test_calls_and_their_results_go_round(model: str) -> None:
    async def go() -> None:
        two = pair()
        body = ask("Weather in Paris and Tokyo?", tools=[WEATHER], user="u")
        turn = (await two.chat(body, model))["choices"][0]["message"]
        results = [{"role": "tool", "tool_call_id": call["id"], "content": f"sunny {n}"} for n, call in enumerate(turn["tool_calls"])]
        last = await two.chat({"messages": [*body["messages"], {"content": None, **turn}, *results], "tools": [WEATHER]}, model)

        assert [call["function"]["arguments"] for call in turn["tool_calls"]] == ['{"city":"Paris"}', '{"city":"Tokyo"}']
        assert last["choices"][0]["message"]["content"] == "The tools say: sunny 0; sunny 1."

    asyncio.run(go())


def test_every_field_of_openais_is_in_the_table() -> None:
    assert set(OPENAI_FIELDS) <= ADAPTER.endpoints["chat"].fields.keys()  # type: ignore[attr-defined]  # it is an OpenAIChat


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", CHAT_MODELS)
def test_whatever_a_client_sends_the_vendor_takes(model: str, stream: bool) -> None:
    body = {
        "messages": [{"role": "developer", "content": "Be brief.", "name": "boss"}, {"role": "user", "content": [
            {"type": "text", "text": "Say "}, {"type": "text", "text": "hi in JSON"}]},
            {"role": "assistant", "content": "hi", "reasoning_content": "They want hi.", "refusal": None},
            {"role": "user", "content": "Again"}],
        "temperature": 0, "top_p": 0, "max_tokens": 10**9, "max_completion_tokens": 10**9, "n": 2, "stop": ["a", "b", "c", "d"], "seed": 1,
        "tool_choice": "required", "parallel_tool_calls": False, "response_format": SCHEMA, "reasoning_effort": "xhigh",
        "logprobs": True, "top_logprobs": 2, "logit_bias": {"1": 1}, "presence_penalty": 2, "frequency_penalty": -2, "user": "me",
        "store": True, "metadata": {"a": "b"}, "service_tier": "flex", "prediction": {"type": "content", "content": "x"},
        "modalities": ["text", "audio"], "audio": {"voice": "x"}, "web_search_options": {}, "prompt_cache_key": "k",
        "prompt_cache_options": {"a": 1}, "prompt_cache_retention": "24h", "safety_identifier": "s", "verbosity": "low", "moderation": {},
        "thinking": {"type": "adaptive"}, "something_new": 1, "tools": [WEATHER, {"type": "custom", "custom": {"name": "x"}}],
    }  # fmt: skip
    if stream and maker_of(model) == "360":
        body = {name: value for name, value in body.items() if name not in ("tools", "tool_choice", "web_search_options")}

    two = pair()
    answer = asyncio.run(two.stream(body, model) if stream else two.chat(body, model))

    assert answer
    names = {change.field.partition("[")[0] for change in two.sent[0].changes}
    assert {"store", "metadata", "service_tier", "something_new", "logit_bias", "n"} <= names


def test_own_models_and_those_of_others_have_their_own_limits() -> None:
    body = ask("hi", temperature=1.7, max_completion_tokens=100_000, frequency_penalty=1, seed=7, stop="x")

    own, own_changes = sent(body)
    deepseek, deepseek_changes = sent(body, DEEPSEEK)
    glm, _ = sent(body, GLM)

    assert own == {"model": OWN, "messages": body["messages"], "temperature": 1.0, "max_tokens": 4096}
    assert own_changes["temperature"] == own_changes["max_completion_tokens"] == "clamped"
    assert own_changes["frequency_penalty"] == own_changes["seed"] == "dropped"
    assert own_changes["stop"] == "emulated"
    assert (deepseek["temperature"], deepseek["max_tokens"], deepseek["frequency_penalty"], deepseek["stop"]) == (1.7, 100_000, 1, ["x"])
    assert deepseek_changes == {"max_completion_tokens": "renamed", "seed": "dropped"}
    assert (glm["seed"], glm["temperature"], glm["thinking"]) == (7, 1.0, {"type": "enabled"})
    assert sent(ask("hi", max_tokens=9999), "360gpt-pro-trans")[0]["max_tokens"] == 4096
    assert sent(ask("hi", temperature=0))[0]["temperature"] == 0.01


def test_what_is_left_to_the_gateway_is_said() -> None:
    changes = outgoing(ask("hi", stop=["x", "y"], tools=[WEATHER], parallel_tool_calls=False, stream=True)).changes

    assert [change.work for change in changes if change.work] == [StopAt(("x", "y")), OneCall(), Whole()]
    assert not [c for c in outgoing(ask("hi", tools=[WEATHER], stream=True), DEEPSEEK).changes if c.work]
    assert not [c for c in outgoing(ask("hi", tools=[WEATHER], tool_choice="none", stream=True)).changes if c.work]


def test_tools_go_only_to_models_that_have_them() -> None:
    body, changes = sent(ask("hi", tools=[WEATHER], tool_choice="required"), "360gpt-turbo")
    searching, _ = sent(ask("hi", tools=[WEATHER], web_search_options={}))

    assert "tools" not in body
    assert changes == {"tools": "dropped", "tool_choice": "dropped"}
    assert [tool["type"] for tool in searching["tools"]] == ["function", "web_search"]


@pytest.mark.parametrize(("model", "given", "thinking", "fate"), [
    (GLM, {"thinking": {"type": "disabled"}}, {"type": "enabled"}, "clamped"),
    (GLM, {"reasoning_effort": "none"}, {"type": "enabled"}, "dropped"),
    (GLM, {}, {"type": "enabled"}, None),
    (DEEPSEEK, {"thinking": {"type": "disabled"}}, {"type": "disabled"}, None),
    (DEEPSEEK, {"thinking": {"type": "adaptive"}}, {"type": "enabled"}, "clamped"),
    (DEEPSEEK, {"thinking": "disabled"}, {"type": "disabled"}, "clamped"),
    (DEEPSEEK, {"reasoning_effort": "none"}, {"type": "disabled"}, "emulated"),
    (DEEPSEEK, {"reasoning_effort": "high"}, {"type": "enabled"}, "emulated"),
    (OWN, {"thinking": {"type": "enabled"}}, None, "dropped"),
    (OWN, {"reasoning_effort": "minimal"}, None, None),
    ("360zhinao3-o1.5", {"reasoning_effort": "high"}, None, "dropped"),
])  # fmt: skip
def test_thinking_is_switched_where_there_is_a_switch(model: str, given: Json, thinking: Json | None, fate: str | None) -> None:
    body, changes = sent(ask("hi", **given), model)

    assert body.get("thinking") == thinking
    assert next(iter(changes.values()), None) == fate


def test_images_go_to_models_that_see() -> None:
    body = {"messages": [{"role": "user", "content": [{"type": "text", "text": "What is it?"}, IMAGE]}]}

    for model in ("360zhinao-pro-32k-thinking-vision", DOUBAO):
        assert asyncio.run(pair().chat(body, model))["choices"][0]["message"]["content"]


@pytest.mark.parametrize(("id_", "maker"), [
    ("360gpt2-pro", "360"), ("360GPT_S2_V9", "360"), ("360zhinao-turbo", "360"), ("360/deepseek-r1", "deepseek"),
    ("paratera/deepseek-v3.2", "deepseek"), ("deepseek-v3.2", "deepseek"), ("z-ai/glm-5.3", "z-ai"),
    ("volcengine/doubao-seed-2-0-pro", "volcengine"), ("openai/gpt-5.5", ""), ("a/b/c", ""), ("x/360gpt", ""),
])  # fmt: skip
def test_a_models_maker_is_told_by_its_name(id_: str, maker: str) -> None:
    assert maker_of(id_) == maker


# ---- errors ----


@pytest.mark.parametrize(("status", "error", "kind"), [
    (200, {"code": "1005", "message": "tpm", "type": ""}, "rate_limited"),
    (429, {"code": "1005", "message": "tpm", "type": ""}, "rate_limited"),
    (429, {"code": "77", "message": "qps"}, "rate_limited"),
    (400, {"code": "1001", "message": "type", "type": ""}, "bad_request"),
    (400, {"code": "1210", "message": "thinking", "type": ""}, "bad_request"),
    (400, {"code": "9", "message": "内容包含敏感信息"}, "refused"),
    (200, {"code": "9", "message": "prompt too long"}, "too_long"),
    (200, {"code": 9, "message": "余额不足"}, "quota"),
    (401, {"code": "1002", "message": "key"}, "auth"),
    (402, {"code": "1", "message": "balance"}, "quota"),
    (404, {"code": "1", "message": "no"}, "no_model"),
    (400, {"code": "1", "message": "The model `x` does not exist"}, "no_model"),
    (503, {"code": "1", "message": "busy"}, "overloaded"),
])  # fmt: skip
def test_an_error_has_its_kind(status: int, error: Json, kind: str) -> None:
    chat = ADAPTER.endpoints["chat"]
    raw = json.dumps({"error": error}).encode()

    assert chat.fault(status, {}, raw).kind == ADAPTER.endpoints["embeddings"].fault(status, {}, raw).kind == kind
    if status == 200:
        with pytest.raises(Fault) as plain:
            chat.response(raw)
        with pytest.raises(Fault) as streamed:
            chat.stream().feed(b"data: " + raw + b"\n\n")
        assert plain.value.kind == streamed.value.kind == kind


def test_a_limit_of_tokens_is_waited_for_a_second_unless_the_reply_says_otherwise() -> None:
    raw = b'{"error":{"code":"1005","message":"tpm"}}'

    assert ADAPTER.endpoints["chat"].fault(429, {}, raw).retry_after == 1.0
    assert ADAPTER.endpoints["chat"].fault(429, {"retry-after": "7"}, raw).retry_after == 7.0


@pytest.mark.parametrize(("word", "kind"), [
    ("invalid", "auth"), ("expired", "auth"), ("arrears", "quota"), ("quota", "quota"), ("limited", "rate_limited"),
])  # fmt: skip
def test_trouble_with_the_account_has_its_kind(word: str, kind: str) -> None:
    raised = asyncio.run(fault(pair(f"fk-{word}").chat(ask("hi"))))

    assert raised.kind == kind


@pytest.mark.parametrize(("body", "model", "kind"), [
    (ask("[unsafe-input]"), OWN, "refused"),
    (ask("word " * 500), OWN, "too_long"),
    (ask("hi"), "gpt-gone", "no_model"),
])  # fmt: skip
def test_what_the_vendor_refuses_has_its_kind(body: Json, model: str, kind: str) -> None:
    assert asyncio.run(fault(pair().chat(body, model))).kind == kind


def test_an_answer_that_is_blocked_says_so() -> None:
    answer = asyncio.run(pair().chat(ask("[unsafe-output]")))
    told = said(asyncio.run(pair().stream(ask("[unsafe-output]"))))

    assert answer["choices"][0]["finish_reason"] == told["finish_reason"] == "content_filter"


# ---- keys, embeddings, the bill ----


@pytest.mark.parametrize(("auth", "header"), [("api_key", f"Bearer {KEY}"), ("bare_key", KEY)])
def test_the_key_goes_with_bearer_or_without(auth: str, header: str) -> None:
    two = pair(auth=auth)

    asyncio.run(two.chat(ask("hi")))

    assert two.credential is not None
    assert two.credential.headers == {"authorization": header}


def test_a_key_of_another_form_is_refused() -> None:
    assert asyncio.run(fault(pair("sk-0123456789").chat(ask("hi")))).code == "1002"


def test_embeddings_have_the_models_width_and_a_bill() -> None:
    two = pair()

    answer = asyncio.run(two.embed({"input": ["a", "b"], "user": "u", "encoding_format": "base64"}, "embedding-bert-512-v1"))
    too_many = asyncio.run(fault(pair().embed({"input": ["a"] * 17}, "embedding-bert-512-v1")))

    assert [len(row["embedding"]) for row in answer["data"]] == [768, 768]
    assert two.bill["qihoo360", KEY, "embedding-bert-512-v1"].prompt_tokens == 2
    assert too_many.kind == "bad_request"


def test_answers_are_billed() -> None:
    two = pair()

    answer = asyncio.run(two.chat(ask("Say hi"), DEEPSEEK))
    asyncio.run(two.stream(ask("Say hi"), DEEPSEEK))

    charge = two.bill["qihoo360", KEY, DEEPSEEK]
    assert charge.requests == 2
    assert charge.completion_tokens == 2 * answer["usage"]["completion_tokens"]


@pytest.mark.parametrize(("body", "code"), [
    (ask("hi", model=OWN, temperature="1"), "1001"),
    (ask("hi", model=OWN, temperature=1.5), "1001"),
    (ask("hi", model=OWN, temperature=0), "1001"),
    (ask("hi", model=OWN, max_tokens=4097), "1001"),
    (ask("hi", model=OWN, max_tokens=True), "1001"),
    (ask("hi", model=OWN, stream="yes"), "1001"),
    (ask("hi", model=OWN, stop=["x"]), "1001"),
    (ask("hi", model=OWN, seed=1), "1001"),
    (ask("hi", model=OWN, thinking={"type": "enabled"}), "1001"),
    (ask("hi", model=OWN, max_completion_tokens=5), "1001"),
    (ask("hi", model=OWN, stream=True, tools=[{"type": "function", "function": {"name": "f"}}]), "1001"),
    (ask("hi", model="360gpt-turbo", tools=[{"type": "function", "function": {"name": "f"}}]), "1001"),
    (ask("hi", model=OWN, tools=[WEATHER]), "1001"),
    (ask("hi", model=GLM, thinking={"type": "adaptive"}), "1210"),
    (ask("hi", model=GLM, thinking="enabled"), "1001"),
    (ask("hi", model=GLM), "1210"),
    ({"model": OWN, "messages": []}, "1001"),
    ({"model": OWN, "messages": [{"role": "developer", "content": "x"}]}, "1001"),
    ({"model": OWN, "messages": [{"role": "user", "content": None}]}, "1001"),
    ({"model": OWN, "messages": [{"role": "user", "content": [IMAGE]}]}, "1001"),
    ({"model": OWN, "messages": [{"role": "tool", "tool_call_id": "x", "content": "y"}]}, "1001"),
    ({"model": 7, "messages": [{"role": "user", "content": "x"}]}, "1001"),
])  # fmt: skip
def test_the_simulator_refuses_what_the_vendor_would(body: Json, code: str) -> None:
    error = refused(body)

    assert (error["status"], error["code"]) == (400, code)
    assert error.keys() == {"status", "code", "message", "type"}
