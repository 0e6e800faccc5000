"""Baidu's v2 adapter against Baidu's simulator, and against the facts of its documents."""

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.baidu.adapter import V2
from providers.baidu.simulator import SIMULATOR
from providers.base import Fault, Json, Model, Target, decode, encode
from tests.providers.roundtrip import Pair, cut, fault, said

MODELS = (
    Model("ernie-4.5-turbo-latest", context=4000, output=12288, tools=True, json="object", thinking="none"),
    Model("ernie-5.1", context=131072, output=65536, tools=True, json="object", thinking="always"),
    Model("ernie-5.0-thinking-preview", output=65536, input=("text", "image", "video"), json="schema", thinking="switch"),
    Model("deepseek-v3.2", output=32768, tools=True, thinking="switch"),
    Model("deepseek-v4-pro", output=393216, thinking="effort"),
    Model("qianfan-8b", json="none", thinking="none"),
    Model("ernie-func-8k", surfaces=("legacy",), endpoint="ernie-func-8k"),
    Model("embedding-v1", kind="embedding", context=384, dimensions=384, batch=16),
)
ERNIE, DEEPSEEK = "ernie-4.5-turbo-latest", "deepseek-v3.2"
SECRETS = {"access_key_id": "ak", "access_key_secret": "sk"}
WEATHER: Json = {"type": "function", "function": {"name": "get_weather", "strict": True, "parameters": {
    "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}  # fmt: skip
IMAGE: Json = {"type": "image_url", "image_url": {"url": "https://example.cn/a.png", "detail": "low"}}


def pair(key: str = "bce-v3/ALTAK-demo/0123abcd", **more: Any) -> Pair:
    return Pair(V2, SIMULATOR, {"api_key": key}, *MODELS, accounts={"ak": "sk"}, **more)


def signing(**keys: str) -> Pair:
    return Pair(V2, SIMULATOR, SECRETS | keys, *MODELS, accounts={"ak": "sk"})


def ask(text: str, **more: Any) -> Json:
    return {"messages": [{"role": "user", "content": text}], **more}


def sent(two: Pair) -> Json:
    return decode(two.sent[-1].body)


def fates(two: Pair) -> dict[str, str]:
    return {change.field: change.fate for change in two.sent[-1].changes}


# ---- answers ----


@pytest.mark.parametrize("two", [pair, signing])
def test_plain_and_streamed_answers_say_the_same(two: Any) -> None:
    body = ask("Say 你好 🙂 world")

    plain = asyncio.run(two().chat(body, ERNIE))
    chunks = asyncio.run(two().stream(body, ERNIE, size=1))

    assert plain["choices"][0]["message"]["content"] == said(chunks)["content"] == "你好 🙂 world"
    assert plain["usage"] == said(chunks)["usage"]
    assert plain["choices"][0]["finish_reason"] == said(chunks)["finish_reason"] == "stop"


def test_a_limit_ends_the_answer_with_length() -> None:
    chunks = asyncio.run(pair().stream(ask("Count to 50", max_tokens=5), ERNIE))

    assert said(chunks)["finish_reason"] == "length"


def test_reasoning_comes_out_as_such_and_is_counted() -> None:
    plain = asyncio.run(pair().chat(ask("hi"), "ernie-5.1"))
    streamed = said(asyncio.run(pair().stream(ask("hi"), "ernie-5.1", size=3)))

    assert plain["choices"][0]["message"]["reasoning_content"] == streamed["reasoning_content"] != ""
    assert streamed["usage"]["completion_tokens_details"]["reasoning_tokens"] > 0


def test_cached_tokens_are_told() -> None:
    body = {"messages": [{"role": "system", "content": "You are careful. " * 10}, {"role": "user", "content": "hi"}]}

    assert asyncio.run(pair().chat(body, ERNIE))["usage"]["prompt_tokens_details"]["cached_tokens"] == 50


@pytest.mark.parametrize(("model", "effort", "told", "fate", "thinks"), [
    ("deepseek-v4-pro", "high", {"reasoning_effort": "high"}, None, True),
    ("deepseek-v4-pro", "xhigh", {"reasoning_effort": "max"}, "clamped", True),
    ("deepseek-v4-pro", "low", {}, "dropped", False),
    ("deepseek-v3.2", "low", {"thinking": {"type": "enabled"}}, "emulated", True),
    ("deepseek-v3.2", "none", {"thinking": {"type": "disabled"}}, "emulated", False),
    ("ernie-5.0-thinking-preview", "high", {"enable_thinking": True}, "emulated", True),
    ("ernie-5.0-thinking-preview", "minimal", {"enable_thinking": False}, "emulated", False),
    ("ernie-5.1", "none", {}, "dropped", True),
    (ERNIE, "high", {}, "dropped", False),
    (ERNIE, "none", {}, None, False),
])  # fmt: skip
def test_an_effort_is_said_as_the_model_can_be_told(model: str, effort: str, told: Json, fate: str | None, thinks: bool) -> None:
    two = pair()

    answer = asyncio.run(two.chat(ask("hi", reasoning_effort=effort), model))

    assert {key: value for key, value in sent(two).items() if "think" in key or "effort" in key} == told
    assert fates(two).get("reasoning_effort") == fate
    assert ("reasoning_content" in answer["choices"][0]["message"]) == thinks


def test_parallel_calls_keep_their_index_and_their_results_go_back() -> None:
    question = ask("Weather in Paris and Tokyo?", tools=[WEATHER])
    answer = asyncio.run(pair().chat(question, ERNIE))
    streamed = said(asyncio.run(pair().stream(question, ERNIE, size=7)))
    message = answer["choices"][0]["message"]
    calls = message["tool_calls"]
    results = [{"role": "tool", "tool_call_id": call["id"], "content": f"sun {n}"} for n, call in enumerate(calls)]

    last = asyncio.run(pair().chat({"messages": [*question["messages"], message | {"content": None}, *results]}, ERNIE))

    assert [call["function"]["arguments"] for call in calls] == ['{"city":"Paris"}', '{"city":"Tokyo"}']
    assert [streamed["calls"][n]["arguments"] for n in (0, 1)] == ['{"city":"Paris"}', '{"city":"Tokyo"}']
    assert answer["choices"][0]["finish_reason"] == streamed["finish_reason"] == "tool_calls"
    assert last["choices"][0]["message"]["content"] == "The tools say: sun 0; sun 1."


@pytest.mark.parametrize(("choice", "called"), [
    ("required", ["get_weather"]),
    ("none", None),
    ({"type": "function", "function": {"name": "get_time"}}, ["get_time"]),
    ({"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [{"type": "function", "function": {"name": "get_time"}}]}},
     ["get_time"]),
])  # fmt: skip
def test_a_tool_choice_is_kept(choice: Any, called: list[str] | None) -> None:
    time = {"type": "function", "function": {"name": "get_time", "parameters": {"type": "object", "properties": {}}}}
    body = ask("What is the weather in Rome?", tools=[WEATHER, time], tool_choice=choice)

    message = asyncio.run(pair().chat(body, ERNIE))["choices"][0]["message"]

    assert [call["function"]["name"] for call in message.get("tool_calls", [])] == (called or [])


# ---- requests ----


def test_ernie_gets_one_system_message_in_front_and_speakers_in_turns() -> None:
    two = pair()
    messages = [
        {"role": "developer", "content": [{"type": "text", "text": "Be "}, {"type": "text", "text": "brief."}]},
        {"role": "user", "content": "One"},
        {"role": "user", "content": "two", "name": "Ann"},
        {"role": "assistant", "content": " "},
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "three"},
    ]

    asyncio.run(two.chat({"messages": messages}, ERNIE))

    assert sent(two)["messages"] == [
        {"role": "system", "content": "Be brief.\n\nBe kind."},
        {"role": "user", "content": "One\n\ntwo", "name": "Ann"},
        {"role": "assistant", "content": "/"},
        {"role": "user", "content": "three"},
    ]
    assert fates(two) == {
        "messages[].role:developer": "renamed", "messages[].role:system": "emulated", "messages": "emulated",
        "messages[].content": "emulated",
    }  # fmt: skip


def test_other_makers_models_get_the_turns_as_they_are() -> None:
    two = pair()
    messages = [{"role": "user", "content": "One"}, {"role": "user", "content": "two"}]

    asyncio.run(two.chat({"messages": messages, "temperature": 1.5, "presence_penalty": -1}, DEEPSEEK))

    assert (sent(two)["messages"], sent(two)["temperature"], sent(two)["presence_penalty"]) == (messages, 1.5, -1)
    assert fates(two) == {}


def test_images_go_to_models_that_see_and_are_refused_by_the_rest() -> None:
    content = [{"type": "text", "text": "What is this?"}, IMAGE]
    two = pair()

    answer = asyncio.run(two.chat({"messages": [{"role": "user", "content": content}]}, "ernie-5.0-thinking-preview"))
    refused = asyncio.run(fault(pair().chat({"messages": [{"role": "user", "content": content}]}, ERNIE)))

    assert "I see 1 image" in answer["choices"][0]["message"]["content"]
    assert sent(two)["messages"][0]["content"][1] == {"type": "image_url", "image_url": {"url": "https://example.cn/a.png"}}
    assert refused.kind == "bad_request"


@pytest.mark.parametrize(("model", "kind", "form", "fate"), [
    (ERNIE, "json_object", "json_object", None),
    (ERNIE, "json_schema", "json_object", "emulated"),
    (DEEPSEEK, "json_object", "json_object", None),
    ("ernie-5.0-thinking-preview", "json_schema", "json_schema", None),
    ("qianfan-8b", "json_object", None, "emulated"),
    ("qianfan-8b", "text", None, None),
])  # fmt: skip
def test_json_is_asked_for_as_far_as_the_model_has_it(model: str, kind: str, form: str | None, fate: str | None) -> None:
    two = pair()
    schema = {"type": "object", "properties": {"colour": {"type": "string"}}}
    wanted = {"type": kind, "json_schema": {"name": "c", "schema": schema}} if kind == "json_schema" else {"type": kind}

    asyncio.run(two.chat(ask("A colour", response_format=wanted), model))

    assert sent(two).get("response_format", {}).get("type") == form
    assert fates(two).get("response_format") == fate
    assert ('"colour"' in sent(two)["messages"][0]["content"]) == (kind == "json_schema" and fate == "emulated")


def test_every_openai_field_is_sent_as_ernie_takes_it_or_reported() -> None:
    two = pair()
    body = ask(
        "hi", temperature=0, top_p=0.5, n=2, seed=1, stop=["a", "b" * 21], logprobs=True, top_logprobs=2, logit_bias={"1": 1}, user="me",
        store=True, metadata={"a": "b"}, service_tier="flex", prediction={}, modalities=["text", "audio"], audio={}, verbosity="low",
        prompt_cache_key="k", safety_identifier="s", web_search_options={}, max_tokens=10**6, max_completion_tokens=1,
        presence_penalty=1, frequency_penalty=-1, tools=[WEATHER], tool_choice="auto", parallel_tool_calls=False,
        reasoning_effort="medium", something_new=1, stream_options={"include_usage": True},
    )  # fmt: skip

    asyncio.run(two.stream(body, ERNIE))

    assert {key: value for key, value in sent(two).items() if key not in ("messages", "tools")} == {
        "model": ERNIE, "temperature": 0.01, "top_p": 0.5, "seed": 1, "stop": ["a"], "user": "me", "max_tokens": 12288,
        "web_search": {"enable": True, "enable_status": False}, "max_completion_tokens": 2, "penalty_score": 1.5, "tool_choice": "auto",
        "parallel_tool_calls": False, "stream": True, "stream_options": {"include_usage": True},
    }  # fmt: skip
    assert fates(two) == {
        "temperature": "clamped", "n": "emulated", "stop": "emulated", "logprobs": "dropped", "top_logprobs": "dropped",
        "logit_bias": "dropped", "store": "dropped", "metadata": "dropped", "service_tier": "dropped", "prediction": "dropped",
        "modalities": "dropped", "audio": "dropped", "verbosity": "dropped", "prompt_cache_key": "dropped",
        "safety_identifier": "dropped", "web_search_options": "emulated", "max_tokens": "clamped", "max_completion_tokens": "clamped",
        "presence_penalty": "emulated", "frequency_penalty": "dropped", "tools[].function.strict": "dropped",
        "reasoning_effort": "dropped", "something_new": "dropped",
    }  # fmt: skip


def test_what_is_baidus_own_goes_through_where_the_model_has_it() -> None:
    two = pair()
    own = {"penalty_score": 3.0, "enable_thinking": False, "web_search": {"enable": True}, "preemptible": True}

    asyncio.run(two.chat(ask("hi", **own), "ernie-5.0-thinking-preview"))
    asyncio.run(two.chat(ask("hi", penalty_score=1.5, thinking={"type": "enabled"}), DEEPSEEK))

    first, second = (decode(outgoing.body) for outgoing in two.sent)
    assert first.items() >= {**own, "penalty_score": 2.0}.items()
    assert second["thinking"] == {"type": "enabled"}
    assert fates(two) == {"penalty_score": "dropped"}


def test_the_limit_of_a_model_that_may_think_takes_its_reasoning_in() -> None:
    two = pair()

    asyncio.run(two.chat(ask("hi", max_tokens=40), "ernie-5.1"))

    assert sent(two)["max_completion_tokens"] == 40
    assert "max_tokens" not in sent(two)


# ---- refusals and broken answers ----


@pytest.mark.parametrize(("body", "model", "kind", "code"), [
    (ask("hi"), "ernie-9", "no_model", "invalid_model"),
    (ask("hi"), "ernie-func-8k", "no_model", "invalid_model"),
    (ask("word " * 5000), ERNIE, "too_long", "tokens_too_long"),
    (ask("[unsafe-input]"), ERNIE, "refused", "user_setting_unsafe"),
    ({"messages": [{"role": "system", "content": "[unsafe-input]"}, {"role": "user", "content": "hi"}]}, ERNIE, "refused", "system_unsafe"),
    (ask("hi", thinking={"type": "enabled"}), ERNIE, "bad_request", "invalid_argument"),
    ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "no address"}}]}]},
     "ernie-5.0-thinking-preview", "bad_request", "invalid_image_url"),
])  # fmt: skip
def test_what_baidu_refuses_is_a_fault_of_the_right_kind(body: Json, model: str, kind: str, code: str) -> None:
    raised = asyncio.run(fault(pair().chat(body, model)))

    assert (raised.kind, raised.code) == (kind, code)


@pytest.mark.parametrize(("words", "content", "reason"), [
    ("[flag-1]", "ok [flag-1]", "stop"),
    ("[flag-2]", "ok [flag-2]", "content_filter"),
    ("[flag-3]", "", "content_filter"),
    ("[unsafe-output]", "", "content_filter"),
])  # fmt: skip
def test_a_flag_says_whether_an_answer_may_be_shown(words: str, content: str, reason: str) -> None:
    plain = asyncio.run(pair().chat(ask(f"Say ok {words}"), ERNIE))["choices"][0]
    streamed = said(asyncio.run(pair().stream(ask(f"Say ok {words}"), ERNIE)))

    assert (plain["message"]["content"], plain["finish_reason"]) == (content, reason)
    assert streamed["finish_reason"] == reason


def test_what_must_not_be_shown_is_not_in_reasoning_or_calls_either() -> None:
    message = {"role": "assistant", "content": "bad", "reasoning_content": "worse", "tool_calls": [{"id": "a"}]}

    answer = V2.endpoints["chat"].response(encode({"choices": [{"index": 0, "message": message, "finish_reason": "stop", "flag": 3}]}))

    assert answer["choices"][0]["message"] == {"role": "assistant", "content": ""}


def frame(**choice: Any) -> bytes:
    return b"data: " + encode({"id": "as-1", "choices": [{"index": 0, **choice}]}) + b"\n\n"


def test_nothing_follows_a_flag_in_the_midst_of_a_stream() -> None:
    stream = V2.endpoints["chat"].stream()

    chunks = stream.feed(frame(delta={"content": "So far so good"}) + frame(delta={"content": "bad"}, flag=4))
    chunks += stream.feed(frame(delta={"content": "worse"}) + frame(delta={}, finish_reason="stop") + b"data: [DONE]\n\n")

    assert (said(chunks + stream.end())["content"], said(chunks)["finish_reason"]) == ("So far so good", "content_filter")


def test_words_about_the_search_are_not_the_answer() -> None:
    stream = V2.endpoints["chat"].stream()

    chunks = stream.feed(frame(delta={"content": "Searching", "delta_tag": "search_status"}) + frame(delta={"content": "Hi"}))

    assert said(chunks)["content"] == "Hi"


@pytest.mark.parametrize(("body", "kind"), [
    (b'{"error":{"code":"internal_error","message":"high load"},"id":"as-1"}', "overloaded"),
    (b'{"error":{"code":"tpm_rate_limit_exceeded","message":"slow down","type":"rate_limit_exceeded"}}', "rate_limited"),
    (b'{"id":"as-1"}', "broken"),
    (b"<html>", "broken"),
])  # fmt: skip
def test_an_error_under_http_200_is_a_fault_plain_and_streamed(body: bytes, kind: str) -> None:
    chat = V2.endpoints["chat"]
    with pytest.raises(Fault) as plain:
        chat.response(body)
    with pytest.raises(Fault) as streamed:
        chat.stream().feed(frame(delta={"content": "Hel"}) + b"data: " + body + b"\n\n")

    assert (plain.value.kind, streamed.value.kind) == (kind, kind)


def test_a_stream_that_stops_before_its_end_is_broken() -> None:
    stream = V2.endpoints["chat"].stream()
    stream.feed(frame(delta={"content": "Hel"}))

    with pytest.raises(Fault, match="before it was complete") as raised:
        stream.end()

    assert raised.value.kind == "broken"


@pytest.mark.parametrize(("status", "body", "kind"), [
    (403, b'{"code":"AccessDenied","message":"Access denied."}', "auth"),
    (403, b'{"error":{"code":"model_offline","message":"gone","type":"access_denied"}}', "no_model"),
    (429, b'{"error":{"code":"cluster_tpm_rate_limit_exceeded","message":"busy"}}', "overloaded"),
    (429, b'{"error":{"code":"preemptible_something_new","message":"busy"}}', "rate_limited"),
    (400, b'{"error":{"code":"image_url_unsafe","message":"no","type":"unsafe_request"}}', "refused"),
])  # fmt: skip
def test_a_code_decides_over_its_status(status: int, body: bytes, kind: str) -> None:
    assert V2.endpoints["chat"].fault(status, {}, body).kind == kind


STREAM = (
    frame(delta={"role": "assistant", "content": "你好"})
    + frame(delta={"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f", "arguments": "{}"}}]})
    + frame(delta={"content": ""}, finish_reason="tool_calls", flag=0)
    + b'data: {"id":"as-1","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}\n\ndata: [DONE]\n\n'
)


@settings(database=None)
@given(st.integers(1, len(STREAM)))
def test_a_stream_may_be_cut_into_pieces_of_any_size(size: int) -> None:
    whole, pieces = V2.endpoints["chat"].stream(), V2.endpoints["chat"].stream()

    assert [chunk for piece in cut(STREAM, size) for chunk in pieces.feed(piece)] == whole.feed(STREAM)


# ---- embeddings and the bill ----


def test_embeddings_come_in_order_as_openais_list() -> None:
    answer = asyncio.run(pair().embed({"input": ["a", "b", "a"], "dimensions": 384}, "embedding-v1"))

    first, second, third = (item["embedding"] for item in answer["data"])
    assert (answer["object"], answer["usage"], len(first)) == ("list", {"prompt_tokens": 3, "total_tokens": 3}, 384)
    assert first == third != second


def test_embeddings_are_put_in_order() -> None:
    data = [{"index": n, "embedding": [n / 10]} for n in (1, 0, 2)]

    answer = V2.endpoints["embeddings"].response(encode({"object": "embedding_list", "data": data, "usage": {"prompt_tokens": 2}}))

    assert [(item["index"], item["embedding"]) for item in answer["data"]] == [(0, [0.0]), (1, [0.1]), (2, [0.2])]


@pytest.mark.parametrize(("body", "kind"), [
    ({"input": ["a"], "dimensions": 1024}, "unsupported"),
    ({"input": ["a"] * 17}, "bad_request"),
    ({"input": [""]}, "bad_request"),
    ({"input": ["a" * 1001]}, "too_long"),
    ({"input": ["你" * 400]}, "too_long"),
])  # fmt: skip
def test_what_cannot_be_embedded_is_refused(body: Json, kind: str) -> None:
    assert asyncio.run(fault(pair().embed(body, "embedding-v1"))).kind == kind


def test_the_bill_is_the_usage_that_was_told() -> None:
    two = pair()
    usage = [asyncio.run(two.chat(ask("hi"), "ernie-5.1"))["usage"], said(asyncio.run(two.stream(ask("ho"), "ernie-5.1")))["usage"]]

    charge = two.bill["baidu", "ALTAK-demo", "ernie-5.1"]
    assert charge.requests == 2
    assert charge.completion_tokens == sum(told["completion_tokens"] for told in usage)
    assert charge.prompt_tokens == sum(told["prompt_tokens"] for told in usage)
    assert charge.reasoning_tokens == sum(told["completion_tokens_details"]["reasoning_tokens"] for told in usage) > 0


def test_the_request_is_not_edited() -> None:
    body = ask("hi", model="gpt-4o", tools=[WEATHER], temperature=2, response_format={"type": "json_schema", "json_schema": {"name": "x"}})
    before = encode(body)

    V2.endpoints["chat"].request(body, Target("https://vendor.test", MODELS[0]))

    assert encode(body) == before
