"""OpenAI's adapter against OpenAI's simulator: what is native goes through, what a generation lacks is renamed, emulated or dropped."""

import asyncio
from typing import Any

import pytest
from msgspec import json

from providers.base import Fault, Json, Model, StopAt, Target
from providers.openai.adapter import ADAPTER
from providers.openai.errors import asked_to_wait, fault_of
from providers.openai.rules import OLDER, QUIET, THINKING
from providers.openai.simulator import SIMULATOR
from tests.providers.openai import EVERYTHING, MODELS, PERSON, WEATHER, ask
from tests.providers.roundtrip import Pair, fault, said

KEY = "sk-0123456789abcdef"
TODAY = (
    "messages model audio frequency_penalty function_call functions logit_bias logprobs max_completion_tokens max_tokens metadata "
    "modalities moderation n parallel_tool_calls prediction presence_penalty prompt_cache_key prompt_cache_options prompt_cache_retention "
    "reasoning_effort response_format safety_identifier seed service_tier stop store stream stream_options temperature tool_choice tools "
    "top_logprobs top_p user verbosity web_search_options"
).split()


def pair(key: str = KEY) -> Pair:
    return Pair(ADAPTER, SIMULATOR, {"api_key": key}, *MODELS, accounts={})


def sent(two: Pair) -> Json:
    body: Json = json.decode(two.sent[-1].body)
    return body


def told(two: Pair) -> dict[str, str]:
    return {change.field: change.fate for change in two.sent[-1].changes}


@pytest.mark.parametrize("name", ["gpt-4o", "gpt-5.4", "o3"])
def test_plain_and_streamed_answers_say_the_same(name: str) -> None:
    async def go() -> None:
        body = ask("Say 你好 🙂 world")

        plain = await pair().chat(body, name)
        chunks = await pair().stream(body, name, size=1)

        assert plain["choices"][0]["message"]["content"] == said(chunks)["content"] == "你好 🙂 world"
        assert plain["usage"] == said(chunks)["usage"]
        assert said(chunks)["finish_reason"] == "stop"
        assert not any("obfuscation" in chunk for chunk in chunks)

    asyncio.run(go())


def test_reasoning_is_billed_and_not_shown() -> None:
    two = pair()

    answer = asyncio.run(two.chat(ask("Why?"), "o3"))

    assert answer["usage"]["completion_tokens_details"]["reasoning_tokens"] > 0
    assert two.bill["openai", KEY, "o3"].reasoning_tokens == answer["usage"]["completion_tokens_details"]["reasoning_tokens"]
    assert "reasoning_content" not in answer["choices"][0]["message"]


@pytest.mark.parametrize("table", [OLDER, QUIET, THINKING], ids=["older", "quiet", "thinking"])
def test_every_field_of_today_has_its_fate(table: dict[str, Any]) -> None:
    assert set(TODAY) - {"model"} == table.keys()


LOST = dict.fromkeys(("messages[].reasoning_content", "web_search_options", "prompt_cache_options", "a_field_of_2030"), "dropped")
REASONING = LOST | {"stop": "emulated", "max_tokens": "renamed", "max_completion_tokens": "clamped"} | dict.fromkeys(
    ("temperature", "top_p", "presence_penalty", "frequency_penalty", "logit_bias", "logprobs", "top_logprobs", "prediction"), "dropped"
)  # fmt: skip
FATES: dict[str, dict[str, str]] = {
    "gpt-4o": LOST | {"reasoning_effort": "dropped", "verbosity": "dropped", "max_completion_tokens": "clamped"},
    "gpt-5.4": REASONING,
    "o3": REASONING | {"verbosity": "dropped"},
}


@pytest.mark.parametrize("name", FATES)
def test_every_openai_field_is_taken_or_reported(name: str) -> None:
    two = pair()

    answer = asyncio.run(two.chat(EVERYTHING, name))

    assert told(two) == FATES[name]
    assert [choice["message"]["content"] for choice in answer["choices"]] == ['{"name": "Say"}'] * 2
    for field in ("seed", "user", "store", "metadata", "service_tier", "safety_identifier", "prompt_cache_key", "response_format", "n"):
        assert sent(two)[field] == EVERYTHING[field]
    assert sent(two)["max_completion_tokens"] == 100
    assert "max_tokens" not in sent(two)


def test_max_tokens_stays_what_it_is_for_models_that_know_it() -> None:
    two = pair()

    asyncio.run(two.chat(ask("hi", max_tokens=10**9), "gpt-4o"))

    assert sent(two)["max_tokens"] == 16_384
    assert told(two) == {"max_tokens": "clamped"}


@pytest.mark.parametrize(("name", "asked", "given"), [
    ("o3", "none", "low"), ("o3", "xhigh", "high"), ("o3", "medium", "medium"), ("gpt-5", "none", "minimal"), ("gpt-5", "max", "high"),
    ("gpt-5.1", "none", "none"), ("gpt-5.1", "minimal", "low"), ("gpt-5.4", "xhigh", "xhigh"), ("gpt-5.4", "max", "xhigh"),
    ("gpt-6-astra", "none", "low"),
])  # fmt: skip
def test_an_effort_is_the_nearest_that_the_model_takes(name: str, asked: str, given: str) -> None:
    two = pair()

    asyncio.run(two.chat(ask("hi", reasoning_effort=asked), name))

    assert sent(two)["reasoning_effort"] == given
    assert told(two) == ({} if asked == given else {"reasoning_effort": "clamped"})


def test_no_effort_is_no_loss_for_a_model_that_does_not_reason() -> None:
    two = pair()

    asyncio.run(two.chat(ask("hi", reasoning_effort="none"), "gpt-4o"))

    assert (told(two), "reasoning_effort" in sent(two)) == ({}, False)


@pytest.mark.parametrize(("name", "effort", "kept"), [
    ("gpt-5.1", None, True), ("gpt-5.1", "none", True), ("gpt-5.1", "high", False), ("gpt-5", None, False), ("gpt-5.6-sol", None, False),
    ("gpt-5.6-sol", "none", True), ("o3", None, False), ("gpt-4o", None, True),
])  # fmt: skip
def test_sampling_is_told_only_to_a_model_that_does_not_reason_now(name: str, effort: str | None, kept: bool) -> None:
    two = pair()

    asyncio.run(two.chat(ask("hi", temperature=0.2, **({"reasoning_effort": effort} if effort else {})), name))

    assert ("temperature" in sent(two)) == kept
    assert ("temperature" in told(two)) != kept


def test_a_default_that_is_left_out_is_not_reported() -> None:
    two = pair()

    asyncio.run(two.chat(ask("hi", temperature=1, top_p=1, presence_penalty=0, logprobs=False, modalities=["text"]), "o3"))

    assert two.sent[0].changes == ()


def test_functions_are_called_without_reasoning_where_the_api_wants_it_so() -> None:
    async def go() -> None:
        two = pair()
        body = ask("Weather in Paris and Tokyo?", tools=[WEATHER])

        plain = await two.chat(body, "gpt-5.4")
        assert (sent(two)["reasoning_effort"], told(two)) == ("none", {})
        await two.chat({**body, "reasoning_effort": "high"}, "gpt-5.4")
        assert (sent(two)["reasoning_effort"], told(two)) == ("none", {"reasoning_effort": "clamped"})
        stream = said(await two.stream(body, "gpt-5.4", size=7))
        await two.chat({**body, "reasoning_effort": "high"}, "o3")
        assert (sent(two)["reasoning_effort"], told(two)) == ("high", {})

        calls = plain["choices"][0]["message"]["tool_calls"]
        assert [call["function"]["arguments"] for call in calls] == ['{"city":"Paris"}', '{"city":"Tokyo"}']
        assert [stream["calls"][number]["arguments"] for number in (0, 1)] == ['{"city":"Paris"}', '{"city":"Tokyo"}']

    asyncio.run(go())


def test_calls_and_their_results_go_round_though_they_come_from_elsewhere() -> None:
    call = {"id": "c1", "index": 0, "function": {"name": "get_weather", "arguments": '{"city":"Oslo"}', "parsed": None}}
    messages = [
        {"role": "user", "content": "And Oslo?", "audio": None},
        {"role": "assistant", "content": None, "tool_calls": [call], "reasoning_content": "Oslo, then.", "refusal": None},
        {"role": "tool", "tool_call_id": "c1", "content": "rain", "name": "get_weather"},
    ]
    two = pair()

    answer = asyncio.run(two.chat({"messages": messages, "tools": [WEATHER]}, "gpt-4o"))

    assert answer["choices"][0]["message"]["content"] == "The tools say: rain."
    assert told(two) == {"messages[].reasoning_content": "dropped", "messages[].name": "dropped"}


def test_one_call_at_a_time_is_native_but_for_the_o_series() -> None:
    two = pair()
    body = ask("Weather in Paris and Tokyo?", tools=[WEATHER], parallel_tool_calls=False)

    answer = asyncio.run(two.chat(body, "gpt-4o"))
    assert (len(answer["choices"][0]["message"]["tool_calls"]), told(two)) == (1, {})
    asyncio.run(two.chat(body, "o3"))
    assert ("parallel_tool_calls" in sent(two), told(two)) == (False, {"parallel_tool_calls": "emulated"})


def test_what_wants_tools_is_left_out_without_them() -> None:
    two = pair()

    asyncio.run(two.chat(ask("hi", tools=[], tool_choice="none", parallel_tool_calls=True), "gpt-4o"))

    assert sent(two).keys() == {"messages", "model"}
    assert two.sent[0].changes == ()


def test_stop_is_the_gateways_work_for_a_model_without_it() -> None:
    two = pair()

    asyncio.run(two.chat(ask("hi", stop="x"), "gpt-5"))

    assert [change.work for change in two.sent[0].changes] == [StopAt(("x",))]


def test_an_older_model_is_held_to_a_schema_by_words() -> None:
    two = pair()
    form = {"type": "json_schema", "json_schema": {"name": "person", "schema": PERSON}}

    asyncio.run(two.chat(ask("Who?", response_format=form), "gpt-3.5-turbo"))

    assert sent(two)["response_format"] == {"type": "json_object"}
    assert told(two) == {"response_format": "emulated"}


def test_usage_is_asked_for_and_padding_as_the_client_wants_it() -> None:
    two = pair()

    asyncio.run(two.stream(ask("hi", stream_options={"include_usage": False, "include_obfuscation": False}), "gpt-4o"))

    assert sent(two)["stream_options"] == {"include_usage": True, "include_obfuscation": False}


@pytest.mark.parametrize(("name", "older"), [
    ("gpt-4o-2030", True), ("ft:gpt-4o-mini:acme::1", True), ("o9-mini", False), ("gpt-7", False), ("ft:gpt-6-sol:acme::1", False),
    ("gpt-10-x", False), ("gpt-5-chat-latest", True), ("gpt-35-turbo", True), ("DeepSeek-V3", True),
])  # fmt: skip
def test_a_model_that_the_catalog_does_not_know_is_judged_by_its_name(name: str, older: bool) -> None:
    outgoing = ADAPTER.endpoints["chat"].request({"model": "m", **ask("hi", temperature=0.5)}, Target("https://x/v1", Model(name)))

    assert ("temperature" in json.decode(outgoing.body)) == older


# ---- embeddings ----


def test_embeddings_have_the_width_that_is_asked_for() -> None:
    async def go() -> None:
        answer = await pair().embed(
            {"input": ["a", "b", "a"], "dimensions": 300, "encoding_format": "base64", "user": "u"}, "text-embedding-3-small"
        )
        first, second, third = (item["embedding"] for item in answer["data"])
        assert len(first) == 300
        assert first == third != second
        raised = await fault(pair().embed({"input": ["a"], "dimensions": 300}, "text-embedding-ada-002"))
        assert (raised.kind, raised.param) == ("bad_request", "dimensions")

    asyncio.run(go())


# ---- errors ----


@pytest.mark.parametrize(("word", "kind", "code"), [
    ("invalid", "auth", "invalid_api_key"), ("expired", "auth", "account_deactivated"), ("arrears", "quota", "billing_not_active"),
    ("quota", "quota", "insufficient_quota"), ("limited", "rate_limited", "rate_limit_exceeded"),
])  # fmt: skip
def test_an_accounts_trouble_is_told_by_its_code(word: str, kind: str, code: str) -> None:
    raised = asyncio.run(fault(pair(f"sk-{word}-0123456789").chat(ask("hi"), "gpt-4o")))

    assert (raised.kind, raised.code, raised.stale) == (kind, code, False)


@pytest.mark.parametrize(("body", "name", "kind"), [
    (ask("hi"), "gpt-99", "no_model"),
    (ask("[unsafe-input]"), "gpt-4o", "refused"),
    (ask("字 " * 16_400), "gpt-3.5-turbo", "too_long"),
    (ask("hi"), "text-embedding-3-small", "no_model"),
    (ask("hi", logit_bias={"1": 101}), "gpt-4o", "bad_request"),
])  # fmt: skip
def test_what_openai_refuses_is_a_fault_of_the_right_kind(body: Json, name: str, kind: str) -> None:
    assert asyncio.run(fault(pair().chat(body, name))).kind == kind


def error(status: int, **said: Any) -> Fault:
    return fault_of(status, {}, json.encode({"error": said}))


@pytest.mark.parametrize(("status", "said", "kind"), [
    (403, {"code": "unsupported_country_region_territory", "message": "x"}, "auth"),
    (403, {"code": "model_not_found", "message": "x"}, "no_model"),
    (400, {"code": "string_above_max_length", "param": "messages[0].content", "message": "x"}, "too_long"),
    (400, {"code": "string_above_max_length", "param": "metadata.a", "message": "x"}, "bad_request"),
    (400, {"code": None, "message": "Unrecognized request argument supplied: x"}, "bad_request"),
    (400, {"code": "unsupported_value", "param": "temperature", "message": "x"}, "unsupported"),
    (429, {"type": "insufficient_quota", "code": None, "message": "x"}, "quota"),
    (500, {"type": "server_error", "code": None, "message": "x"}, "overloaded"),
    (503, {"code": "slow_down", "message": "x"}, "rate_limited"),
    (502, {}, "overloaded"),
])  # fmt: skip
def test_a_code_is_a_kind(status: int, said: Json, kind: str) -> None:
    assert error(status, **said).kind == kind


@pytest.mark.parametrize(("words", "seconds"), [
    ("Please try again in 20s. Visit", 20.0), ("try again in 1.5s", 1.5), ("try again in 120ms.", 0.12), ("try again in 6m0s", 360.0),
    ("try again in 1h2m3s", 3723.0), ("Please retry after 37 seconds.", 37.0), ("retry after 500 milliseconds", 0.5),
    ("retry after 1 second.", 1.0), ("Please try again in a moment", None), ("try again later", None),
])  # fmt: skip
def test_a_wait_that_only_the_words_tell(words: str, seconds: float | None) -> None:
    assert asked_to_wait(words) == seconds
    assert error(429, code="rate_limit_exceeded", message=words).retry_after == seconds


def test_a_header_goes_before_the_words() -> None:
    body = json.encode({"error": {"code": "rate_limit_exceeded", "message": "try again in 20s"}})

    assert fault_of(429, {"retry-after-ms": "1500"}, body).retry_after == 1.5


def test_an_error_in_a_stream_is_a_fault() -> None:
    stream = ADAPTER.endpoints["chat"].stream()

    with pytest.raises(Fault) as raised:
        stream.feed(b'data: {"error":{"message":"The server had an error","type":"server_error","param":null,"code":null}}\n\n')

    assert raised.value.kind == "overloaded"
