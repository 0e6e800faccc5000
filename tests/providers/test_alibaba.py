"""Alibaba's adapters against Alibaba's simulator. Both surfaces give the same guarantees."""

import asyncio
import json
from typing import Any

import pytest

from providers.alibaba.adapter import ADAPTER
from providers.alibaba.native import NATIVE
from providers.base import Adapter, Copies, HoldTo, Json, Target
from tests.providers.alibaba import JSON_MODE, MODELS, PICTURE, SCHEMA, TIME, WEATHER, ask, fates, on_both, pair, sent
from tests.providers.roundtrip import fault, said

# ---- answers ----


@on_both
@pytest.mark.parametrize("model", ["qwen-plus", "qwen3.7-plus", "qwq-plus"])
@pytest.mark.parametrize("size", [1, 7, 0])
def test_plain_and_streamed_answers_say_the_same(adapter: Adapter, model: str, size: int) -> None:
    async def go() -> None:
        plain = await pair(adapter).chat(ask("Say 你好 🙂 world"), model)
        told = said(await pair(adapter).stream(ask("Say 你好 🙂 world"), model, size=size))

        assert plain["choices"][0]["message"]["content"] == told["content"] == "你好 🙂 world"
        assert plain["choices"][0]["finish_reason"] == told["finish_reason"] == "stop"
        assert plain["usage"] == told["usage"]
        assert plain["usage"]["total_tokens"] == plain["usage"]["prompt_tokens"] + plain["usage"]["completion_tokens"]

    asyncio.run(go())


@on_both
def test_an_answer_at_its_limit_ends_with_length(adapter: Adapter) -> None:
    answer = asyncio.run(pair(adapter).chat(ask("Count to 50", max_completion_tokens=5), "qwen-plus"))

    assert answer["choices"][0]["message"]["content"] == "1 2 3 4 5"
    assert answer["choices"][0]["finish_reason"] == "length"


@on_both
def test_the_limit_is_for_what_is_said_and_not_for_what_is_thought(adapter: Adapter) -> None:
    body = ask("Count to 50", max_tokens=5, reasoning_effort="high")

    answer = asyncio.run(pair(adapter).chat(body, "qwen-plus"))

    assert answer["choices"][0]["message"]["content"] == "1 2 3 4 5"
    assert answer["usage"]["completion_tokens"] - answer["usage"]["completion_tokens_details"]["reasoning_tokens"] == 5


@on_both
@pytest.mark.parametrize("model", ["qwen-plus", "qwen3.7-plus", "qwen3.8-max", "qwen3-32b", "qwq-plus"])
def test_thinking_asked_for_comes_out_as_reasoning_even_of_models_that_only_stream_it(adapter: Adapter, model: str) -> None:
    body = ask("hi", reasoning_effort="high")

    plain = asyncio.run(pair(adapter).chat(body, model))
    told = said(asyncio.run(pair(adapter).stream(body, model, size=5)))

    message = plain["choices"][0]["message"]
    assert message["reasoning_content"] == told["reasoning_content"] == "The question is: hi I shall answer it plainly."
    assert message["content"] == told["content"]
    assert plain["usage"]["completion_tokens_details"]["reasoning_tokens"] > 0


@on_both
@pytest.mark.parametrize("model", ["qwen-plus", "qwen3.7-plus", "qwen3.8-max", "qwen3-32b"])
@pytest.mark.parametrize("body", [{}, {"reasoning_effort": "none"}, {"reasoning_effort": "minimal"}])
def test_models_with_a_switch_do_not_think_unless_asked_whatever_their_default(adapter: Adapter, model: str, body: Json) -> None:
    answer = asyncio.run(pair(adapter).chat(ask("hi", **body), model))

    assert not answer["choices"][0]["message"].get("reasoning_content")
    assert sent(adapter, ask("hi", **body), model)[0]["enable_thinking"] is False


@pytest.mark.parametrize(("effort", "kept"), [("low", "low"), ("medium", "medium"), ("high", "xhigh"), ("xhigh", "xhigh")])
def test_qwen_3_8_is_told_the_effort_in_its_own_words(effort: str, kept: str) -> None:
    out, _ = sent(ADAPTER, ask("hi", reasoning_effort=effort), "qwen3.8-max")

    assert (out["enable_thinking"], out["reasoning_effort"]) == (True, kept)


@on_both
def test_reasoning_goes_back_only_with_preserve_thinking(adapter: Adapter) -> None:
    turns = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b", "reasoning_content": "c"},
        {"role": "user", "content": "d"},
    ]

    out, changes = sent(adapter, {"messages": turns}, "qwen3.7-plus")
    kept, _ = sent(ADAPTER, {"messages": turns, "preserve_thinking": True}, "qwen3.7-plus")

    assert all("reasoning_content" not in turn for turn in out["messages"])
    assert fates(changes)["messages[].reasoning_content"] == "dropped"
    assert kept["messages"][1]["reasoning_content"] == "c"


@on_both
def test_several_answers_are_numbered_and_all_paid_for(adapter: Adapter) -> None:
    async def go() -> None:
        two = pair(adapter)
        chunks = await two.stream(ask("hi", n=3), "qwen3-next-80b-a3b-instruct", size=9)
        plain = await two.chat(ask("hi", n=3), "qwen3-next-80b-a3b-instruct")

        finished = [choice["index"] for chunk in chunks for choice in chunk["choices"] if choice["finish_reason"]]
        assert finished == [choice["index"] for choice in plain["choices"]] == [0, 1, 2]
        assert said(chunks)["usage"] == plain["usage"]

    asyncio.run(go())


@pytest.mark.parametrize(
    ("model", "more"), [("qwen-plus", {}), ("qwen3.7-plus", {"tools": [WEATHER]}), ("qwen3.7-plus", {"reasoning_effort": "low"})]
)
def test_several_answers_are_left_to_the_gateway_where_one_is_all_there_is(model: str, more: Json) -> None:
    out, changes = sent(ADAPTER, ask("hi", n=2, **more), model)

    assert "n" not in out
    assert [change.work for change in changes if change.field == "n"] == [Copies(2)]


@on_both
def test_log_probabilities_come_with_the_words(adapter: Adapter) -> None:
    body = ask("Say a b", logprobs=True, top_logprobs=20)

    answer = asyncio.run(pair(adapter).chat(body, "qwen-plus"))
    chunks = asyncio.run(pair(adapter).stream(body, "qwen-plus"))

    assert [token["token"] for token in answer["choices"][0]["logprobs"]["content"]] == ["a", " b"]
    streamed = [choice["logprobs"] for chunk in chunks for choice in chunk["choices"] if choice["logprobs"]]
    assert [token["token"] for part in streamed for token in part["content"]] == ["a", " b"]


# ---- messages ----


@on_both
def test_a_developer_message_is_a_system_message(adapter: Adapter) -> None:
    body = {"messages": [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": [{"type": "text", "text": "Say hi"}]}]}

    answer = asyncio.run(pair(adapter).chat(body, "qwen-plus"))
    out, _ = sent(adapter, body, "qwen-plus")

    assert answer["choices"][0]["message"]["content"] == "hi"
    assert out["messages"] == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Say hi"}]


@on_both
def test_images_are_seen_by_models_that_see_and_refused_by_others(adapter: Adapter) -> None:
    body = {"messages": [{"role": "user", "content": [{"type": "text", "text": "What is it?"}, PICTURE]}]}

    answer = asyncio.run(pair(adapter).chat(body, "qwen3.7-plus"))
    raised = asyncio.run(fault(pair(adapter).chat(body, "qwen-plus")))
    out, _ = sent(adapter, body, "qwen3.7-plus")

    assert "detail" not in json.dumps(out)
    assert "I see 1 image" in answer["choices"][0]["message"]["content"]
    assert raised.kind == ("unsupported" if adapter is NATIVE else "bad_request")  # natively there is no way to say it


def test_the_native_multimodal_path_has_parts_named_by_key() -> None:
    sound = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}}
    marked = {"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}
    body = {"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": [marked, PICTURE, sound]}]}

    out, _ = sent(NATIVE, body, "qwen3.7-plus")

    assert out["messages"] == [
        {"role": "system", "content": [{"text": "Be brief."}]},
        {"role": "user", "content": [
            {"text": "x", "cache_control": {"type": "ephemeral"}},
            {"image": "data:image/png;base64,iVBORw0KGgo="},
            {"audio": "data:audio/mp3;base64,AAAA"},
        ]},
    ]  # fmt: skip
    assert asyncio.run(pair(NATIVE).chat(body, "qwen3.7-plus"))["choices"][0]["finish_reason"] == "stop"


@on_both
def test_a_file_part_is_dropped_and_said_to_be(adapter: Adapter) -> None:
    body = {"messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}, {"type": "file", "file": {"file_id": "f"}}]}]}

    _, changes = sent(adapter, body, "qwen3.7-plus")

    assert fates(changes)["messages[].content[].file"] == "dropped"


# ---- tools ----


@on_both
@pytest.mark.parametrize("model", ["qwen-plus", "qwen3.7-plus"])
def test_parallel_calls_keep_their_index_and_go_back_as_results(adapter: Adapter, model: str) -> None:
    async def go() -> None:
        body = ask("Weather in Paris and Tokyo?", tools=[WEATHER])

        plain = await pair(adapter).chat(body, model)
        told = said(await pair(adapter).stream(body, model, size=1))

        message = plain["choices"][0]["message"]
        assert [call["function"]["arguments"] for call in message["tool_calls"]] == ['{"city":"Paris"}', '{"city":"Tokyo"}']
        assert [told["calls"][i]["arguments"] for i in (0, 1)] == ['{"city":"Paris"}', '{"city":"Tokyo"}']
        assert [told["calls"][i]["id"] for i in (0, 1)] == [call["id"] for call in message["tool_calls"]]
        assert plain["choices"][0]["finish_reason"] == told["finish_reason"] == "tool_calls"

        results = [{"role": "tool", "tool_call_id": call["id"], "content": "22 C"} for call in message["tool_calls"]]
        turn = {"role": "assistant", "content": None, "tool_calls": message["tool_calls"]}
        after = await pair(adapter).chat({**body, "messages": [*body["messages"], turn, *results]}, model)
        assert after["choices"][0]["message"]["content"] == "The tools say: 22 C; 22 C."

    asyncio.run(go())


@on_both
@pytest.mark.parametrize(("said_by_client", "calls"), [({}, 2), ({"parallel_tool_calls": False}, 1)])
def test_calls_are_parallel_unless_the_client_says_no(adapter: Adapter, said_by_client: Json, calls: int) -> None:
    answer = asyncio.run(pair(adapter).chat(ask("Weather in Paris and Tokyo?", tools=[WEATHER], **said_by_client), "qwen-plus"))

    assert len(answer["choices"][0]["message"]["tool_calls"]) == calls


def test_later_fragments_of_a_call_have_no_id() -> None:
    chunks = asyncio.run(pair().stream(ask("Weather in Paris?", tools=[WEATHER]), "qwen-plus"))

    ids = [call.get("id") for chunk in chunks for choice in chunk["choices"] for call in choice["delta"].get("tool_calls", ())]
    assert len(ids) == 3
    assert ids[0]
    assert ids[1:] == [None, None]


def test_a_native_result_has_the_tools_name_beside_the_id() -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}
    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": None, "tool_calls": [call]}]

    out, _ = sent(NATIVE, {"messages": [*turns, {"role": "tool", "tool_call_id": "call_1", "content": "b"}]}, "qwen-plus")

    assert out["messages"][2] == {"role": "tool", "tool_call_id": "call_1", "content": "b", "name": "get_weather"}


NAMED: Json = {"type": "function", "function": {"name": "get_time"}}
ALLOWED: Json = {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [NAMED]}}


@on_both
@pytest.mark.parametrize(("choice", "thinking", "sent_choice", "offered"), [
    ("auto", False, "auto", 2),
    ("none", True, "none", 2),
    ("required", False, "auto", 2),
    (NAMED, False, NAMED, 2),
    (NAMED, True, "auto", 1),
    (ALLOWED, False, "auto", 1),
])  # fmt: skip
def test_a_choice_of_tool_is_sent_as_far_as_it_is_taken(
    adapter: Adapter, choice: Any, thinking: bool, sent_choice: Any, offered: int
) -> None:
    body = ask("hi", tools=[WEATHER, TIME], tool_choice=choice, enable_thinking=thinking)

    out, _ = sent(adapter, body, "qwen3.7-plus")
    answer = asyncio.run(pair(adapter).chat(body, "qwen3.7-plus"))

    assert (out["tool_choice"], len(out["tools"])) == (sent_choice, offered)
    if choice in (NAMED, ALLOWED):
        assert answer["choices"][0]["message"]["tool_calls"][0]["function"]["name"] == "get_time"


# ---- JSON ----


@on_both
def test_json_mode_says_json_where_no_message_does(adapter: Adapter) -> None:
    answer = asyncio.run(pair(adapter).chat(ask("hi", response_format=JSON_MODE), "qwen-plus"))
    _, changes = sent(adapter, ask("hi", response_format=JSON_MODE), "qwen-plus")
    _, unchanged = sent(adapter, ask("hi, as JSON", response_format=JSON_MODE), "qwen-plus")

    assert isinstance(json.loads(answer["choices"][0]["message"]["content"]), dict)
    assert fates(changes) == {"response_format": "emulated"}
    assert fates(unchanged) == {}


@on_both
def test_a_schema_is_native_where_the_model_has_it_and_told_in_words_where_not(adapter: Adapter) -> None:
    body = ask("I am 42", response_format=SCHEMA)

    answer = asyncio.run(pair(adapter).chat(body, "qwen3.7-plus"))
    native, unchanged = sent(adapter, body, "qwen3.7-plus")
    emulated, changes = sent(adapter, body, "qwen-plus")

    assert answer["choices"][0]["message"]["content"] == '{"age": 42}'
    assert (native["response_format"], unchanged) == (SCHEMA, ())
    assert emulated["response_format"] == {"type": "json_object"}
    assert '"required":["age"]' in emulated["messages"][0]["content"]
    assert fates(changes) == {"response_format": "emulated"}


@on_both
def test_a_model_that_always_thinks_is_asked_for_json_in_words_alone(adapter: Adapter) -> None:
    out, changes = sent(adapter, ask("hi", response_format=JSON_MODE), "qwq-plus")

    assert "response_format" not in out
    assert "one JSON object" in json.dumps(out["messages"][0])
    assert [(change.field, change.fate, change.note) for change in changes] == [("response_format", "emulated", "prompt")]
    assert changes[0].work == HoldTo(b'{"type":"object"}')


@on_both
def test_json_comes_before_thinking_since_they_exclude_each_other(adapter: Adapter) -> None:
    body = ask("json please", response_format=JSON_MODE, reasoning_effort="high")

    answer = asyncio.run(pair(adapter).chat(body, "qwen3.8-max"))
    _, changes = sent(adapter, body, "qwen3.8-max")

    assert isinstance(json.loads(answer["choices"][0]["message"]["content"]), dict)
    assert fates(changes) == {"reasoning_effort": "dropped"}


# ---- every field ----


@on_both
def test_every_openai_field_is_sent_as_alibaba_takes_it_or_reported(adapter: Adapter) -> None:
    two = pair(adapter)
    body = ask(
        "hi", temperature=2, top_p=0, n=2, seed=2**40, stop=["a", "b"], logprobs=True, top_logprobs=20, logit_bias={"1": 1}, user="me",
        store=True, metadata={"a": "b"}, service_tier="auto", prediction={"type": "content", "content": "x"}, modalities=["text", "audio"],
        audio={"voice": "a"}, web_search_options={}, prompt_cache_key="k", safety_identifier="s", verbosity="low", presence_penalty=1,
        frequency_penalty=1, max_completion_tokens=10**6, tools=[WEATHER, TIME], tool_choice="required", parallel_tool_calls=False,
        response_format={"type": "text"}, reasoning_effort="medium", stream_options={"include_usage": False}, something_new=1,
    )  # fmt: skip

    asyncio.run(two.chat(body, "qwen-plus"))

    assert fates(two.sent[0].changes) == {
        "temperature": "clamped", "top_p": "clamped", "n": "emulated", "seed": "clamped", "top_logprobs": "clamped",
        "logit_bias": "dropped", "user": "dropped", "store": "dropped", "metadata": "dropped", "service_tier": "dropped",
        "prediction": "dropped", "modalities": "dropped", "audio": "dropped", "web_search_options": "emulated",
        "prompt_cache_key": "dropped", "safety_identifier": "dropped", "verbosity": "dropped", "frequency_penalty": "dropped",
        "max_completion_tokens": "clamped",
        "tools[].function.strict": "dropped", "tool_choice": "emulated", "reasoning_effort": "emulated", "something_new": "dropped",
    }  # fmt: skip


@on_both
def test_the_vendors_own_fields_go_through(adapter: Adapter) -> None:
    own = {"top_k": 20, "repetition_penalty": 1.1, "enable_search": True, "search_options": {"forced_search": True}, "thinking_budget": 3}

    answer = asyncio.run(pair(adapter).chat(ask("hi", enable_thinking=True, **own), "qwen-plus"))
    out, changes = sent(adapter, ask("hi", enable_thinking=True, **own), "qwen-plus")

    assert {**out, **own} == out
    assert changes == ()
    assert answer["usage"]["completion_tokens_details"]["reasoning_tokens"] == 3


@on_both
def test_a_request_is_not_edited(adapter: Adapter) -> None:
    body = {"model": "m", **ask("hi", tools=[WEATHER], tool_choice="required", response_format=JSON_MODE, reasoning_effort="high", n=2)}
    before = json.dumps(body)

    for model in MODELS[:7]:
        adapter.endpoints["chat"].request(body, Target("https://vendor.test", model))

    assert json.dumps(body) == before


def test_usage_is_asked_for_in_a_compatible_stream_and_increments_in_a_native_one() -> None:
    compatible, _ = sent(ADAPTER, ask("hi", stream=True), "qwen-plus")
    facts = MODELS[0]
    native = NATIVE.endpoints["chat"].request({"model": "m", **ask("hi", stream=True)}, Target("https://vendor.test/api/v1", facts))

    assert compatible["stream_options"] == {"include_usage": True}
    assert native.url == "https://vendor.test/api/v1/services/aigc/text-generation/generation"
    assert native.headers["x-dashscope-sse"] == "enable"
    assert json.loads(native.body)["parameters"] == {"enable_thinking": False, "result_format": "message", "incremental_output": True}


# ---- embeddings, bill ----


@on_both
def test_embeddings_come_in_order_with_the_width_asked_for(adapter: Adapter) -> None:
    two = pair(adapter)

    answer = asyncio.run(two.embed({"input": ["a", "b", "a"], "dimensions": 1536, "encoding_format": "base64"}, "text-embedding-v4"))

    first, second, third = (item["embedding"] for item in answer["data"])
    assert len(first) == 1536
    assert first == third != second
    assert [item["index"] for item in answer["data"]] == [0, 1, 2]
    assert answer["usage"] == {"prompt_tokens": 3, "total_tokens": 3}
    assert two.bill["alibaba", "sk-me", "text-embedding-v4"].prompt_tokens == 3


@on_both
@pytest.mark.parametrize(("body", "kind"), [
    ({"input": ["a"] * 11}, "bad_request"),
    ({"input": [""]}, "bad_request"),
    ({"input": ["word " * 8193]}, "too_long"),
    ({"input": ["a"], "dimensions": 1000}, "unsupported"),
])  # fmt: skip
def test_embeddings_beyond_the_models_limits_are_refused(adapter: Adapter, body: Json, kind: str) -> None:
    assert asyncio.run(fault(pair(adapter).embed(body, "text-embedding-v4"))).kind == kind


@on_both
def test_the_bill_is_the_usage_that_was_told(adapter: Adapter) -> None:
    async def go() -> None:
        two = pair(adapter)
        system = {"role": "system", "content": "word " * 20}
        body = {"messages": [system, {"role": "user", "content": "hi"}], "reasoning_effort": "high"}
        usage = [(await two.chat(body, "qwen-plus"))["usage"], said(await two.stream(body, "qwen-plus"))["usage"]]

        charge = two.bill["alibaba", "sk-me", "qwen-plus"]
        assert charge.requests == 2
        assert charge.prompt_tokens == sum(told["prompt_tokens"] for told in usage)
        assert charge.completion_tokens == sum(told["completion_tokens"] for told in usage)
        assert charge.cached_tokens == sum(told["prompt_tokens_details"]["cached_tokens"] for told in usage) == 40
        assert charge.reasoning_tokens == sum(told["completion_tokens_details"]["reasoning_tokens"] for told in usage) > 0

    asyncio.run(go())


@on_both
@pytest.mark.parametrize(("effort", "budget"), [("low", 2048), ("medium", 8192), ("high", None), ("none", None)])
def test_an_effort_is_a_budget_where_there_are_no_degrees(adapter: Adapter, effort: str, budget: int | None) -> None:
    out, changes = sent(adapter, ask("hi", reasoning_effort=effort), "qwen3.7-plus")

    assert out["enable_thinking"] == (effort != "none")
    assert out.get("thinking_budget") == budget
    assert [change.note for change in changes] == ["thinking_budget" if budget else "enable_thinking"]


@on_both
def test_the_newer_limit_holds_for_the_reasoning_too(adapter: Adapter) -> None:
    out, _ = sent(adapter, ask("hi", reasoning_effort="high", max_completion_tokens=500), "qwen3.7-plus")

    assert (out["thinking_budget"], out["max_tokens"]) == (500, 500)
