"""Zhipu's adapter against Zhipu's simulator, and against the facts of its documents."""

import asyncio
from typing import Any

import pytest

from providers.base import Json, Model
from providers.zhipu.adapter import ADAPTER, signed_token
from providers.zhipu.simulator import SIMULATOR
from tests.providers.roundtrip import NOW, Pair, fault, said

MODELS = (
    Model("glm-5.2", output=131072, thinking="effort", tools=True),
    Model("glm-5.3", output=131072, thinking="always", tools=True),
    Model("glm-4.5", output=98304, thinking="switch", tools=True),
    Model("glm-4-plus", output=4096, thinking="none", tools=True),
    Model("glm-5v-turbo", output=131072, input=("text", "image"), thinking="switch"),
    Model("embedding-3", kind="embedding", dimensions=2048, allowed_dimensions=(256, 512, 1024, 2048), batch=64),
)
WEATHER: Json = {"type": "function", "function": {"name": "get_weather", "strict": True, "parameters": {
    "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}  # fmt: skip


def pair(key: str = "id.secret", **more: Any) -> Pair:
    return Pair(ADAPTER, SIMULATOR, {"api_key": key}, *MODELS, accounts={"id": "secret"}, **more)


def ask(text: str, **more: Any) -> Json:
    return {"messages": [{"role": "user", "content": text}], **more}


def test_the_signed_token_is_the_one_of_the_document() -> None:
    secrets = {"api_key": "0123456789abcdef0123456789abcdef.ExampleSecret123"}

    with pytest.raises(StopIteration) as done:
        next(signed_token(secrets, 1795400102.0))

    assert done.value.value.headers["authorization"] == (
        "Bearer eyJhbGciOiJIUzI1NiIsInNpZ25fdHlwZSI6IlNJR04ifQ.eyJhcGlfa2V5IjoiMDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWYiLCJleHA"
        "iOjE3OTU0MDAzMTIwMDAsInRpbWVzdGFtcCI6MTc5NTQwMDEwMjAwMH0.6s-i0UWAITpqVztbGkC1lcALzXLh4bZ5CC4UQsOjSlQ"
    )


@pytest.mark.parametrize("auth", ["api_key", "signed_token"])
def test_plain_and_streamed_answers_say_the_same(auth: str) -> None:
    async def go() -> None:
        body = ask("Say 你好 🙂 world", reasoning_effort="none")

        plain = await pair(auth=auth).chat(body, "glm-5.2")
        chunks = await pair(auth=auth).stream(body, "glm-5.2", size=1)

        assert plain["choices"][0]["message"]["content"] == said(chunks)["content"] == "你好 🙂 world"
        assert plain["usage"] == said(chunks)["usage"]
        assert said(chunks)["finish_reason"] == "stop"

    asyncio.run(go())


def test_a_signed_token_expires_after_its_milliseconds() -> None:
    async def go() -> None:
        two = pair(auth="signed_token")
        await two.chat(ask("hi"), "glm-4-plus")
        held = await two.prove()
        two.now = NOW + 211

        reply = await two.send(two.sent[-1], held)

        assert reply.status == 401
        assert b"1003" in (reply.body if isinstance(reply.body, bytes) else b"")

    asyncio.run(go())


def test_thinking_comes_out_as_reasoning_content_and_reasoning_tokens() -> None:
    answer = asyncio.run(pair().chat(ask("hi"), "glm-5.3"))

    assert answer["choices"][0]["message"]["reasoning_content"]
    assert answer["usage"]["completion_tokens_details"]["reasoning_tokens"] > 0


@pytest.mark.parametrize("model", ["glm-5.2", "glm-4.5"])
def test_parallel_calls_in_a_stream_keep_their_index_though_glm_4_5_has_none(model: str) -> None:
    chunks = asyncio.run(pair().stream(ask("Weather in Paris and Tokyo?", tools=[WEATHER]), model, size=7))

    calls = said(chunks)["calls"]
    assert [calls[i]["arguments"] for i in (0, 1)] == ['{"city":"Paris"}', '{"city":"Tokyo"}']
    assert said(chunks)["finish_reason"] == "tool_calls"


@pytest.mark.parametrize(("key", "kind", "code"), [
    ("id.wrong", "auth", "1000"),
    ("expired.secret", "auth", "1003"),
    ("arrears.secret", "quota", "1113"),
    ("quota.secret", "quota", "1304"),
    ("limited.secret", "rate_limited", "1302"),
])  # fmt: skip
def test_an_accounts_trouble_is_told_by_its_code(key: str, kind: str, code: str) -> None:
    raised = asyncio.run(fault(pair(key).chat(ask("hi"), "glm-5.2")))

    assert (raised.kind, raised.code) == (kind, code)


@pytest.mark.parametrize(("body", "model", "kind"), [
    (ask("hi"), "glm-9", "no_model"),
    (ask("[unsafe-input]"), "glm-5.2", "refused"),
    (ask("hi", thinking={"type": "disabled"}), "glm-5.3", "bad_request"),
])  # fmt: skip
def test_what_zhipu_refuses_is_a_fault_of_the_right_kind(body: Json, model: str, kind: str) -> None:
    assert asyncio.run(fault(pair().chat(body, model))).kind == kind


def test_system_messages_alone_become_the_users_question() -> None:
    two = pair()

    answer = asyncio.run(two.chat({"messages": [{"role": "system", "content": "Say hi"}]}, "glm-5.2"))

    assert answer["choices"][0]["message"]["content"] == "hi"
    assert [(c.field, c.fate, c.note) for c in two.sent[0].changes] == [("messages[].role:system", "emulated", "user")]


def test_every_openai_field_is_sent_as_zhipu_takes_it_or_reported() -> None:
    two = pair()
    body = ask(
        "hi", temperature=2, top_p=0, n=2, seed=1, stop=["a", "b"], logprobs=True, logit_bias={"1": 1}, user="me", store=True,
        max_completion_tokens=10**6, presence_penalty=1, tools=[WEATHER], tool_choice="required", parallel_tool_calls=False,
        response_format={"type": "json_object"}, reasoning_effort="medium", something_new=1,
    )  # fmt: skip

    asyncio.run(two.chat(body, "glm-5.2"))

    told = {change.field: change.fate for change in two.sent[0].changes}
    assert told == {
        "temperature": "clamped", "top_p": "clamped", "n": "emulated", "stop": "emulated", "logprobs": "dropped", "logit_bias": "dropped",
        "user": "renamed", "store": "dropped", "max_completion_tokens": "clamped", "presence_penalty": "dropped",
        "tools[].function.strict": "dropped", "tool_choice": "emulated", "parallel_tool_calls": "emulated", "something_new": "dropped",
    }  # fmt: skip


def test_embeddings_come_in_order_with_the_width_asked_for() -> None:
    answer = asyncio.run(pair().embed({"input": ["a", "b", "a"], "dimensions": 256}, "embedding-3"))

    first, second, third = (item["embedding"] for item in answer["data"])
    assert len(first) == 256
    assert first == third != second


def test_a_width_that_the_model_lacks_is_refused_not_faked() -> None:
    raised = asyncio.run(fault(pair().embed({"input": ["a"], "dimensions": 1536}, "embedding-3")))

    assert raised.kind == "unsupported"
    assert raised.param == "dimensions"


def test_the_bill_is_the_usage_that_was_told() -> None:
    two = pair()
    usage = [asyncio.run(two.chat(ask("hi"), "glm-5.2"))["usage"], said(asyncio.run(two.stream(ask("ho"), "glm-5.2")))["usage"]]

    charge = two.bill["zhipu", "id", "glm-5.2"]
    assert charge.requests == 2
    assert charge.completion_tokens == sum(told["completion_tokens"] for told in usage)
    assert charge.prompt_tokens == sum(told["prompt_tokens"] for told in usage)
