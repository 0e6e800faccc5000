"""What SenseNova's adapters make of its answers: plain, streamed and cut anywhere."""

import asyncio
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from providers.base import Fault, Json, decode, encode
from providers.sensetime.adapter import COMPATIBLE, NATIVE
from tests.providers.roundtrip import said
from tests.providers.sensetime import ADAPTERS, FLASH, ON_EACH, TEXT, V6, WEATHER, ask, pair


@pytest.mark.parametrize(("surface", "model"), ON_EACH)
def test_plain_and_streamed_answers_say_the_same_cut_at_every_byte(surface: str, model: str) -> None:
    async def go() -> None:
        body = ask("Say 你好 🙂 world")

        plain = await pair(surface).chat(body, model)
        chunks = await pair(surface).stream(body, model, size=1)

        assert plain["choices"][0]["message"]["content"] == said(chunks)["content"] == "你好 🙂 world"
        assert "tool_calls" not in plain["choices"][0]["message"]
        assert plain["choices"][0]["finish_reason"] == said(chunks)["finish_reason"] == "stop"
        assert plain["usage"] == said(chunks)["usage"]
        assert plain["usage"]["total_tokens"] == plain["usage"]["prompt_tokens"] + plain["usage"]["completion_tokens"] > 0

    asyncio.run(go())


@pytest.mark.parametrize(("surface", "model"), ON_EACH)
def test_parallel_calls_keep_their_index_their_ids_and_their_arguments(surface: str, model: str) -> None:
    async def go() -> None:
        body = ask("Weather in Paris and Tokyo?", tools=[WEATHER])

        plain = await pair(surface).chat(body, model)
        told = said(await pair(surface).stream(body, model, size=7))

        assert [call["function"] for call in plain["choices"][0]["message"]["tool_calls"]] == [
            {"name": "get_weather", "arguments": '{"city":"Paris"}'},
            {"name": "get_weather", "arguments": '{"city":"Tokyo"}'},
        ]
        assert [(told["calls"][i]["name"], told["calls"][i]["arguments"]) for i in (0, 1)] == [
            ("get_weather", '{"city":"Paris"}'),
            ("get_weather", '{"city":"Tokyo"}'),
        ]
        assert [told["calls"][i]["id"] for i in (0, 1)] == [call["id"] for call in plain["choices"][0]["message"]["tool_calls"]]
        assert plain["choices"][0]["finish_reason"] == told["finish_reason"] == "tool_calls"

    asyncio.run(go())


@pytest.mark.parametrize(("surface", "model"), ON_EACH)
def test_a_tools_result_goes_back_and_is_used(surface: str, model: str) -> None:
    async def go() -> Json:
        two = pair(surface)
        body = ask("Weather in Paris?", tools=[WEATHER])
        message = (await two.chat(body, model))["choices"][0]["message"]
        call = {**message["tool_calls"][0], "type": "function"}
        call.pop("index", None)
        turn = {"role": "assistant", "content": None, "tool_calls": [call]}
        result = {"role": "tool", "tool_call_id": call["id"], "content": [{"type": "text", "text": "21 degrees"}]}
        return await two.chat({**body, "messages": [*body["messages"], turn, result]}, model)

    assert "21 degrees" in asyncio.run(go())["choices"][0]["message"]["content"]


@pytest.mark.parametrize(("surface", "model"), [("native", V6), ("compatible", V6), ("token_plan", FLASH), ("token_plan", "glm-5.2")])
def test_thinking_comes_out_as_reasoning_content_and_can_be_turned_off(surface: str, model: str) -> None:
    async def go() -> None:
        plain = await pair(surface).chat(ask("Say hi", reasoning_effort="high"), model)
        told = said(await pair(surface).stream(ask("Say hi", reasoning_effort="high"), model, size=5))
        off = await pair(surface).chat(ask("Say hi", reasoning_effort="none"), model)

        message = plain["choices"][0]["message"]
        assert message["reasoning_content"] == told["reasoning_content"] == "The question is: Say hi I shall answer it plainly."
        assert message["content"] == told["content"] == "hi"
        assert "reasoning" not in message
        assert "reasoning_content" not in off["choices"][0]["message"]

    asyncio.run(go())


def test_the_second_version_of_the_compatible_mode_names_reasoning_differently_and_is_understood() -> None:
    two = pair("compatible")
    two.adapter = replace(COMPATIBLE, base_url="https://vendor.test/compatible-mode/v2")

    told = said(asyncio.run(two.stream(ask("Say hi", reasoning_effort="low"), V6)))

    assert told["reasoning_content"].startswith("The question is")


@pytest.mark.parametrize(("surface", "model"), [("native", TEXT), ("compatible", V6), ("token_plan", FLASH)])
def test_an_answer_that_was_cut_at_its_length_says_so(surface: str, model: str) -> None:
    body = ask("Count to 100", max_completion_tokens=5, reasoning_effort="none")

    assert asyncio.run(pair(surface).chat(body, model))["choices"][0]["finish_reason"] == "length"
    assert said(asyncio.run(pair(surface).stream(body, model)))["finish_reason"] == "length"


@pytest.mark.parametrize(("surface", "model"), [("native", TEXT), ("token_plan", FLASH)])
def test_several_answers_keep_apart_and_their_question_is_billed_once(surface: str, model: str) -> None:
    async def go() -> None:
        two = pair(surface)
        body = ask("What is new?", n=3, reasoning_effort="none")

        plain = await two.chat(body, model)
        chunks = await two.stream(body, model, size=11)

        words = ["", "", ""]
        for chunk in chunks:
            for choice in chunk["choices"]:
                words[choice["index"]] += choice["delta"].get("content") or ""
        assert words == [choice["message"]["content"] for choice in plain["choices"]]
        assert "(answer 3)" in words[2]
        assert plain["usage"] == said(chunks)["usage"]
        one = await pair(surface).chat({**body, "n": 1}, model)
        assert plain["usage"]["prompt_tokens"] == one["usage"]["prompt_tokens"]
        assert plain["usage"]["completion_tokens"] > 2 * one["usage"]["completion_tokens"]

    asyncio.run(go())


def test_a_web_search_is_a_plugin_and_its_results_come_along() -> None:
    two = pair()

    answer = asyncio.run(two.chat(ask("hi", web_search_options={"search_context_size": "low"}), TEXT))

    assert answer["plugins"]["web_search"]["results"][0]["url"] == "https://example.cn/"
    assert two.sent[0].changes[0].field == "web_search_options"


def test_knowledge_is_counted_as_prompt_where_the_total_says_it_is_not_in_it() -> None:
    two = pair()
    plugins = {"associated_knowledge": {"content": "The answer is 42.", "mode": "concatenate"}}

    bare = asyncio.run(two.chat(ask("hi"), TEXT))["usage"]
    usage = asyncio.run(two.chat(ask("hi", plugins=plugins), TEXT))["usage"]

    assert usage["prompt_tokens"] - bare["prompt_tokens"] == 6  # The answe r is 42 .
    assert "knowledge_tokens" not in usage


def test_details_of_usage_are_kept_wherever_the_vendor_tells_them() -> None:
    details = {"prompt_tokens_details": {"cached_tokens": 4}, "completion_tokens_details": {"reasoning_tokens": 2}}
    usage = {"prompt_tokens": 9, "knowledge_tokens": 3, "completion_tokens": 4, "total_tokens": 13, **details}
    body = {"data": {"id": "1", "choices": [{"index": 0, "message": "hi", "finish_reason": "stop"}], "usage": usage}}

    told = NATIVE.endpoints["chat"].response(encode(body))["usage"]

    assert told == {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13, **details}


def test_the_token_plan_tells_what_was_cached() -> None:
    body = {"messages": [{"role": "system", "content": "Be brief. " * 20}, {"role": "user", "content": "Say hi"}]}

    usage = asyncio.run(pair("token_plan").chat(body, FLASH))["usage"]

    assert usage["prompt_tokens_details"]["cached_tokens"] == 80


@pytest.mark.parametrize(("reason", "meant"), [("sensitive", "content_filter"), ("context", "length"), ("tool_calls", "tool_calls")])
@pytest.mark.parametrize("surface", list(ADAPTERS))
def test_finish_reasons_are_said_in_openais_words(surface: str, reason: str, meant: str) -> None:
    choice = {"index": 0, "message": "hi" if surface == "native" else {"content": "hi"}, "finish_reason": reason}
    body = {"data": {"choices": [choice]}} if surface == "native" else {"choices": [choice]}

    assert ADAPTERS[surface].endpoints["chat"].response(encode(body))["choices"][0]["finish_reason"] == meant


# ---- streams as they come over the wire ----

FRAMES = (
    'data:{"status":{"code":0,"message":"OK"},"data":{"id":"3b1c","choices":[{"index":0,"role":"assistant","delta":"你好",'
    '"finish_reason":""}],"usage":{"prompt_tokens":9,"knowledge_tokens":0,"completion_tokens":1,"total_tokens":10}}}\n\n'
    'data:{"status":{"code":0,"message":"ok"},"data":{"id":"3b1c","choices":[{"index":0,"role":"assistant","delta":"",'
    '"reasoning_content":"Hm","finish_reason":""}]}}\n\n'
    'data:{"status":{"code":0,"message":"ok"},"data":{"id":"3b1c","choices":[{"index":0,"role":"assistant","delta":"",'
    '"tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{}"}},'
    '{"id":"b","type":"function","function":{"name":"g","arguments":"{}"}}],"finish_reason":"tool_calls"}],'
    '"usage":{"prompt_tokens":9,"knowledge_tokens":0,"completion_tokens":4,"total_tokens":13}}}\n\n'
    "data:[DONE]\n\n"
).encode()


def chunks_of(*pieces: bytes, surface: str = "native") -> list[Json]:
    stream = ADAPTERS[surface].endpoints["chat"].stream()
    return [chunk for piece in pieces for chunk in stream.feed(piece)] + stream.end()


def test_the_documents_stream_becomes_chunks() -> None:
    first, second, third = chunks_of(FRAMES)

    assert first["choices"] == [{"index": 0, "delta": {"role": "assistant", "content": "你好"}, "finish_reason": None}]
    assert second["choices"][0]["delta"] == {"role": "assistant", "content": "", "reasoning_content": "Hm"}
    assert [(call["index"], call["id"]) for call in third["choices"][0]["delta"]["tool_calls"]] == [(0, "a"), (1, "b")]
    assert third["choices"][0]["finish_reason"] == "tool_calls"
    assert third["usage"] == {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, len(FRAMES)), max_size=6))
def test_a_stream_may_be_cut_anywhere(places: list[int]) -> None:
    cuts = [0, *sorted(places), len(FRAMES)]

    assert chunks_of(*(FRAMES[a:b] for a, b in pairwise(cuts))) == chunks_of(FRAMES)


@pytest.mark.parametrize(("surface", "model"), [("native", V6), ("compatible", V6), ("token_plan", FLASH)])
def test_a_stream_that_stops_before_its_end_is_broken(surface: str, model: str) -> None:
    raw = asyncio.run(pair(surface)._post("chat", ask("Say one two three", stream=True), model))
    stream = ADAPTERS[surface].endpoints["chat"].stream()
    stream.feed(raw[: raw.index(b"two")])

    with pytest.raises(Fault) as raised:
        stream.end()

    assert raised.value.kind == "broken"


@pytest.mark.parametrize(("surface", "model"), [("native", TEXT), ("token_plan", FLASH)])
def test_two_answers_of_which_one_has_ended_are_broken_too(surface: str, model: str) -> None:
    raw = asyncio.run(pair(surface)._post("chat", ask("Say one two three", n=2, stream=True), model))
    stream = ADAPTERS[surface].endpoints["chat"].stream()
    stream.feed(raw[: raw.rindex(b"two")])

    with pytest.raises(Fault) as raised:
        stream.end()

    assert raised.value.kind == "broken"


@pytest.mark.parametrize(("surface", "frame", "kind"), [
    ("native", b'data:{"status":{"code":18,"message":"no"}}\n\n', "refused"),
    ("native", b'data:{"error":{"code":8,"message":"rate limit exceeded"}}\n\n', "rate_limited"),
    ("native", b'data:{"status":{"code":0,"message":"ok"}}\n\n', "broken"),
    ("native", b"data:[1]\n\n", "broken"),
    ("compatible", b'data: {"error":{"code":13,"message":"internal","details":[]}}\n\n', "overloaded"),
    ("token_plan", b'data: {"error":{"message":"risk control","type":"x","code":"7"}}\n\n', "refused"),
])  # fmt: skip
def test_an_error_inside_a_stream_is_a_fault_of_its_kind(surface: str, frame: bytes, kind: str) -> None:
    with pytest.raises(Fault) as raised:
        chunks_of(frame, surface=surface)

    assert raised.value.kind == kind


@pytest.mark.parametrize(("body", "kind"), [
    ({"error": {"code": 18, "message": "no"}}, "refused"),
    ({"status": {"code": 17, "message": "no"}}, "too_long"),
    ({"data": {"choices": []}}, "broken"),
    ({}, "broken"),
])  # fmt: skip
def test_an_error_under_status_200_is_no_answer(body: Json, kind: str) -> None:
    with pytest.raises(Fault) as raised:
        NATIVE.endpoints["chat"].response(encode(body))

    assert raised.value.kind == kind


def test_the_native_stream_has_no_space_and_its_usage_grows() -> None:
    raw = asyncio.run(pair()._post("chat", ask("Say one two", stream=True), TEXT))

    *events, last = raw.removesuffix(b"\n\n").split(b"\n\n")
    told = [decode(event.removeprefix(b"data:")) for event in events]
    assert last == b"data:[DONE]"
    assert all(event.startswith(b'data:{"status":{"code":0,"message":"ok"},"data":{"id":"') for event in events)
    assert [event["data"]["choices"][0]["delta"] for event in told] == ["one", " two", ""]
    assert [event["data"]["choices"][0]["finish_reason"] for event in told] == ["", "", "stop"]
    assert [event["data"]["usage"]["completion_tokens"] for event in told] == [1, 2, 2]


def test_the_token_plans_stream_ends_with_usage_beside_no_choices() -> None:
    raw = asyncio.run(pair("token_plan")._post("chat", ask("Say one", stream=True, reasoning_effort="none"), FLASH))

    first, finish, usage, done = (event.removeprefix(b"data: ") for event in raw.removesuffix(b"\n\n").split(b"\n\n"))
    assert decode(first)["choices"] == [{"index": 0, "delta": {"role": "assistant", "content": "one"}, "finish_reason": ""}]
    assert decode(finish)["choices"] == [{"index": 0, "delta": {}, "finish_reason": "stop"}]
    assert decode(usage)["choices"] == []
    assert decode(usage)["usage"]["completion_tokens"] == 1
    assert done == b"[DONE]"
