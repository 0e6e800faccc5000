"""Every preset through the same conversation, against the simulator that is made of its own data."""

import asyncio
import itertools
import json
from functools import cache, partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.base import Adapter, Fault, Json, Model, Outgoing, Target
from providers.load import load, presets, simulator
from providers.preset_simulator import PresetSimulator
from providers.simulation import Bill, Request
from tests.providers.roundtrip import Pair, fault, read, said

PRESETS = presets()
ADAPTERS = load()
KEY = "sk-0123456789abcdef"
MODELS = (
    Model("a-model", context=400, output=100, tools=True, input=("text", "image"), thinking="switch"),
    Model("plain-model", output=100, tools=True, thinking="none"),
    Model("an-embedding", kind="embedding", context=64, dimensions=256, batch=16),
)
WEATHER: Json = {"type": "function", "function": {"name": "get_weather", "strict": True, "parameters": {
    "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}  # fmt: skip
IMAGE: Json = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo=", "detail": "high"}}
EVERYTHING: Json = {
    "messages": [
        {"role": "developer", "content": "Be brief.", "name": "boss"},
        {"role": "user", "content": [{"type": "text", "text": "Say "}, {"type": "text", "text": "hi in JSON"}]},
    ],
    "temperature": 2, "top_p": 0, "max_tokens": 10**9, "max_completion_tokens": 10**9, "n": 2, "stop": ["a", "b", "c", "d", "e"], "seed": 1,
    "tools": [WEATHER, {"type": "custom", "custom": {"name": "x"}}],
    "tool_choice": {"type": "allowed_tools", "allowed_tools": {
        "mode": "required", "tools": [{"type": "function", "function": {"name": "get_weather"}}]}},
    "parallel_tool_calls": False, "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}},
    "reasoning_effort": "xhigh", "logprobs": True, "top_logprobs": 2, "logit_bias": {"1": 1}, "presence_penalty": 2,
    "frequency_penalty": -2, "user": "me", "stream": True, "stream_options": {"include_usage": False},
    "store": True, "metadata": {"a": "b"}, "service_tier": "flex",
    "prediction": {"type": "content", "content": "x"}, "modalities": ["text", "audio"], "audio": {"voice": "x"}, "web_search_options": {},
    "prompt_cache_key": "k", "safety_identifier": "s", "verbosity": "low", "something_new": 1,
}  # fmt: skip
"""Every field of OpenAI's chat, at its most awkward."""

UNTOLD = {(name, kind): "bad_request" for name in ("siliconflow", "siliconflow_intl", "modelscope") for kind in ("refused", "too_long")} | {
    (name, kind): "bad_request" for name in ("minimax", "minimax_intl") for kind in ("too_long", "no_model")
} | {(name, "no_model"): "bad_request" for name in ("spark", "spark_x")}  # fmt: skip
"""Of which vendors no code is known for what."""

every = pytest.mark.parametrize("name", PRESETS)


def adapter(name: str) -> Adapter:
    return next(iter(ADAPTERS[name].values()))


def pair(name: str, key: str = KEY) -> Pair:
    return Pair(adapter(name), partial(PresetSimulator, PRESETS[name]), {"api_key": key}, *MODELS, accounts={})


def ask(text: str, **more: Any) -> Json:
    return {"messages": [{"role": "user", "content": text}], **more}


def test_the_registry_knows_every_preset_and_who_simulates_it() -> None:
    assert set(PRESETS) <= set(ADAPTERS)
    with pytest.raises(KeyError):
        simulator("nobody")
    for name in ("deepseek", "zhipu"):
        assert hasattr(simulator(name)(pair("deepseek").world), "handle")


@every
def test_plain_and_streamed_answers_say_the_same(name: str) -> None:
    async def go() -> None:
        body = ask("Say 你好 🙂 world", reasoning_effort="high")

        plain = await pair(name).chat(body)
        told = said(await pair(name).stream(body, size=1))

        message = plain["choices"][0]["message"]
        assert message["content"] == told["content"] == "你好 🙂 world"
        assert message.get("reasoning_content", "") == told["reasoning_content"] != ""
        assert plain["usage"] == told["usage"]
        assert told["usage"]["completion_tokens_details"]["reasoning_tokens"] > 0
        assert plain["choices"][0]["finish_reason"] == told["finish_reason"] == "stop"

    asyncio.run(go())


@every
def test_calls_and_their_results_go_round(name: str) -> None:
    async def go() -> None:
        two = pair(name)
        body = ask("Weather in Paris and Tokyo?", tools=[WEATHER])
        plain = await two.chat(body)
        told = said(await two.stream(body, size=5))
        turn = plain["choices"][0]["message"]
        results = [{"role": "tool", "tool_call_id": call["id"], "content": f"sunny {n}"} for n, call in enumerate(turn["tool_calls"])]
        asked = [*body["messages"], {"content": None, **turn}, *results]
        forgetful = [*body["messages"], {"role": "assistant", "content": None, "tool_calls": turn["tool_calls"]}, *results]

        assert [told["calls"][i]["arguments"] for i in (0, 1)] == ['{"city":"Paris"}', '{"city":"Tokyo"}']
        assert [call["function"]["arguments"] for call in turn["tool_calls"]] == ['{"city":"Paris"}', '{"city":"Tokyo"}']
        assert plain["choices"][0]["finish_reason"] == told["finish_reason"] == "tool_calls"
        for history in (asked, forgetful):
            last = await two.chat({"messages": history, "tools": [WEATHER]})
            assert last["choices"][0]["message"]["content"] == "The tools say: sunny 0; sunny 1."

    asyncio.run(go())


@every
def test_one_call_alone_is_a_list_of_one(name: str) -> None:
    answer = asyncio.run(pair(name).chat(ask("Weather in Paris?", tools=[WEATHER])))

    assert [call["function"]["name"] for call in answer["choices"][0]["message"]["tool_calls"]] == ["get_weather"]


@every
@pytest.mark.parametrize("model", ["a-model", "plain-model"])
def test_every_openai_field_is_taken_as_it_is_sent_or_reported(name: str, model: str) -> None:
    two = pair(name)

    asyncio.run(two.stream(EVERYTHING, model))

    out = json.loads(two.sent[0].body)
    fates = {change.field for change in two.sent[0].changes}
    told = {field.partition("[")[0] for field in fates} | {"model", "stream", "stream_options"}
    assert [field for field, value in EVERYTHING.items() if field not in told and out.get(field) != value] == []
    assert fates > {"messages[].role:developer", "tools[].custom", "tool_choice", "store", "something_new"}


@every
@pytest.mark.parametrize("more", [
    {"something_new": 1}, {"store": True}, {"max_tokens": 10**9, "max_completion_tokens": 10**9}, {"temperature": 7},
    {"messages": [{"role": "developer", "content": "hi"}]}, {"messages": [{"role": "user", "content": "hi", "mood": "good"}]},
    {"response_format": {"type": "nonsense"}}, {"tool_choice": "sometimes"}, {"messages": []},
], ids=lambda more: "+".join(more))  # fmt: skip
def test_what_the_adapter_would_have_changed_the_simulator_refuses(name: str, more: Json) -> None:
    async def go() -> bool:
        two = pair(name)
        outgoing = two.adapter.endpoints["chat"].request({"model": "gpt-4o", **ask("hi")}, target(name))
        body = json.dumps({**json.loads(outgoing.body), **more}).encode()
        reply = await two.send(Outgoing(outgoing.url, body), await two.prove())
        raw = await read(reply)
        with pytest.raises(Fault) as raised:
            if reply.status != 200:
                raise two.adapter.endpoints["chat"].fault(reply.status, reply.headers, raw)
            two.adapter.endpoints["chat"].response(raw)
        return raised.value.kind == "bad_request"

    assert asyncio.run(go())


@every
def test_an_image_reaches_a_model_that_sees_or_is_reported(name: str) -> None:
    two = pair(name)
    body = {"messages": [{"role": "user", "content": [{"type": "text", "text": "what?"}, IMAGE]}]}

    answer = asyncio.run(two.chat(body))

    seen = "I see 1 image" in answer["choices"][0]["message"]["content"]
    assert seen != ("messages[].content[].image_url" in {change.field for change in two.sent[0].changes})


@every
def test_any_effort_is_understood(name: str) -> None:
    async def go() -> list[str]:
        two = pair(name)
        efforts = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
        return [
            (await two.chat(ask("Say hi", reasoning_effort=effort), model))["choices"][0]["message"]["content"]
            for effort in efforts
            for model in ("a-model", "plain-model")
        ]

    assert asyncio.run(go()) == ["hi"] * 14


@every
@pytest.mark.parametrize(("word", "kind"), [
    ("invalid", "auth"), ("expired", "auth"), ("arrears", "quota"), ("quota", "quota"), ("limited", "rate_limited"),
])  # fmt: skip
def test_an_accounts_trouble_is_told(name: str, word: str, kind: str) -> None:
    assert asyncio.run(fault(pair(name, f"sk-{word}-1").chat(ask("hi")))).kind == kind
    assert asyncio.run(fault(pair(name, f"sk-{word}-1").stream(ask("hi")))).kind == kind


@every
@pytest.mark.parametrize(("body", "model", "kind"), [
    (ask("hi"), "another-model", "no_model"),
    (ask("[unsafe-input]"), "a-model", "refused"),
    (ask("word " * 401), "a-model", "too_long"),
])  # fmt: skip
def test_a_refusal_keeps_its_kind_where_the_vendor_tells_it(name: str, body: Json, model: str, kind: str) -> None:
    raised = asyncio.run(fault(pair(name).chat(body, model)))

    assert raised.kind == UNTOLD.get((name, kind), kind)


@every
def test_a_blocked_or_cut_answer_says_so(name: str) -> None:
    blocked = asyncio.run(pair(name).chat(ask("Say [unsafe-output]"), "plain-model"))
    cut = asyncio.run(pair(name).chat(ask("Count to 50", max_completion_tokens=3), "plain-model"))

    assert blocked["choices"][0]["finish_reason"] == "content_filter"
    assert cut["choices"][0]["finish_reason"] == "length"


@every
def test_a_stream_that_stops_early_is_broken(name: str) -> None:
    raw = streamed(name)
    early = raw[: raw.rindex(b"data: {", 0, raw.rindex(b'"delta":{}'))]

    with pytest.raises(Fault) as raised:
        chunks_of(name, early)

    assert raised.value.kind == "broken"


@cache
def streamed(name: str) -> bytes:
    """A whole streamed answer as the vendor sends it."""

    async def go() -> bytes:
        two = pair(name)
        outgoing = two.adapter.endpoints["chat"].request({"model": "gpt-4o", **ask("Say hi"), "stream": True}, target(name))
        return await read(await two.send(outgoing, await two.prove()))

    return asyncio.run(go())


def target(name: str) -> Target:
    return Target(adapter(name).base_url, MODELS[0])


def chunks_of(name: str, raw: bytes, *cuts: int) -> list[Json]:
    stream = adapter(name).endpoints["chat"].stream()
    edges = [0, *sorted(cuts), len(raw)]
    chunks = [chunk for at, to in itertools.pairwise(edges) for chunk in stream.feed(raw[at:to])]
    return chunks + stream.end()


@given(name=st.sampled_from(list(PRESETS)), shares=st.lists(st.floats(0, 1), max_size=6))
@settings(max_examples=100, deadline=None)
def test_a_stream_may_be_cut_anywhere(name: str, shares: list[float]) -> None:
    raw = streamed(name)

    assert said(chunks_of(name, raw, *(round(share * len(raw)) for share in shares))) == said(chunks_of(name, raw))


@pytest.mark.parametrize("name", [name for name, preset in PRESETS.items() if preset.embeddings])
def test_embeddings_come_in_order_and_in_the_width_there_is(name: str) -> None:
    answer = asyncio.run(pair(name).embed({"input": ["a", "b", "a"], "dimensions": 256, "user": "me"}, "an-embedding"))
    raised = asyncio.run(fault(pair(name).embed({"input": ["a"], "dimensions": 1536}, "an-embedding")))

    first, second, third = (item["embedding"] for item in answer["data"])
    assert len(first) == 256
    assert first == third != second
    assert raised.kind == "unsupported"


@every
def test_the_bill_is_the_usage_that_was_told(name: str) -> None:
    two = pair(name)
    usage = [asyncio.run(two.chat(ask("hi")))["usage"], said(asyncio.run(two.stream(ask("ho"))))["usage"]]

    bill: Bill = two.bill
    charge = bill[name, KEY, "a-model"]
    assert charge.requests == 2
    assert charge.prompt_tokens == sum(told["prompt_tokens"] for told in usage)
    assert charge.completion_tokens == sum(told["completion_tokens"] for told in usage)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(0, 1) | st.sampled_from(["", "user", "text", "function", "auto"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["role", "type", "function", "content", "text", "name", "parameters", "items"]), inner, max_size=4
        )
    ),
    max_leaves=8,
)


@given(name=st.sampled_from(list(PRESETS)), field=st.sampled_from([*EVERYTHING, "model", "thinking", "top_k"]), value=VALUES)
@settings(max_examples=300, deadline=None)
def test_whatever_is_sent_the_simulator_answers(name: str, field: str, value: Any) -> None:
    two = pair(name)
    path = PRESETS[name].base_url.split("/", 3)[3]
    body = json.dumps({"model": "plain-model", **ask("hi"), field: value}).encode()

    async def go() -> tuple[int, bytes]:
        reply = await two.simulator.handle(Request("POST", f"/{path}/chat/completions", {}, {"authorization": f"Bearer {KEY}"}, body))
        return reply.status, await read(reply)

    status, raw = asyncio.run(go())

    assert status == 200 or isinstance(json.loads(raw), dict)
