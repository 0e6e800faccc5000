"""What clients get: the grammar of OpenAI's streams, whatever the provider's chunks were."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.api.chat_out import ChatStream, complete, usage_of
from gateway.api.grammar import answer_id
from providers.base import Json


def stream(*groups: list[Json], usage: bool = False, functions: bool = False) -> list[Any]:
    """The events for groups of chunks, and the end."""
    out = ChatStream(model="served", request_id="req_1", now=lambda: 1_800_000_000.5, include_usage=usage, functions=functions)
    data = b"".join(map(out.feed, groups)) + out.end()
    assert data.endswith(b"data: [DONE]\n\n")
    events = data.decode().split("\n\n")
    assert events.pop() == ""
    assert all(event.startswith("data: ") and "\n" not in event for event in events)
    return [json.loads(event[6:]) for event in events[:-1]]


def chunk(delta: Json, finish: str | None = None, index: int = 0, **more: Any) -> Json:
    return {"id": "c1", "created": 5, "model": "p", "choices": [{"index": index, "delta": delta, "finish_reason": finish}], **more}


def call(number: int, arguments: str, **first: Any) -> Json:
    """A chunk with a piece of a call. `first`: what its first piece has besides: id, type, name."""
    name = first.pop("name", None)
    function = {"arguments": arguments} | ({"name": name} if name else {})
    return chunk({"tool_calls": [{"index": number, **first, "function": function}]})


def test_a_stream_in_openais_form() -> None:
    events = stream([chunk({"role": "assistant", "content": "Hel"})], [chunk({"content": "lo"})], [chunk({}, "stop")])

    head = {"id": "chatcmpl-c1", "object": "chat.completion.chunk", "created": 5, "model": "p"}
    assert events == [
        {**head, "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]}
        for delta, finish in (
            ({"role": "assistant", "content": ""}, None),
            ({"content": "Hel"}, None),
            ({"content": "lo"}, None),
            ({}, "stop"),
        )
    ]


def test_usage_is_null_on_every_chunk_and_then_comes_on_its_own() -> None:
    events = stream([chunk({"content": "Hi"})], [chunk({}, "stop", usage={"prompt_tokens": 3, "completion_tokens": 1})], usage=True)

    assert [event["usage"] for event in events[:-1]] == [None, None, None]
    assert events[-1]["choices"] == []
    assert events[-1]["usage"] == {
        "prompt_tokens": 3,
        "completion_tokens": 1,
        "total_tokens": 4,
        "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0},
    }


def test_usage_that_was_not_asked_for_is_not_told() -> None:
    events = stream([chunk({"content": "Hi"}, usage={"prompt_tokens": 3})], [chunk({}, "stop")])

    assert all("usage" not in event for event in events)


def test_the_first_fragment_of_a_call_has_its_name_and_the_later_ones_arguments_alone() -> None:
    first = {"tool_calls": [{"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x"'}}]}
    second = {"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f", "arguments": ":1}"}}]}

    events = stream([chunk(first)], [chunk(second)], [chunk({}, "tool_calls")])

    assert [event["choices"][0]["delta"] for event in events] == [
        {"role": "assistant", "content": ""},
        {"tool_calls": [{"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"x"'}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": ":1}"}}]},
        {},
    ]


def test_words_and_the_reason_to_finish_in_one_chunk_are_told_one_after_the_other() -> None:
    events = stream([chunk({"content": "Hi"}, "stop")])

    assert [(event["choices"][0]["delta"], event["choices"][0]["finish_reason"]) for event in events] == [
        ({"role": "assistant", "content": ""}, None),
        ({"content": "Hi"}, None),
        ({}, "stop"),
    ]


def test_a_reason_to_finish_is_told_once_however_often_the_provider_repeats_it() -> None:
    events = stream([chunk({"content": "Hi"}, "stop")], [chunk({}, "stop")], [chunk({"content": ""}, "stop", usage={"prompt_tokens": 1})])

    assert [event["choices"][0]["finish_reason"] for event in events] == [None, None, "stop"]


def test_reasoning_goes_along_under_the_name_that_clients_know() -> None:
    events = stream([chunk({"reasoning_content": "Hm"})], [chunk({"content": "Hi"})], [chunk({}, "stop")])

    assert [event["choices"][0]["delta"] for event in events][1:3] == [{"reasoning_content": "Hm"}, {"content": "Hi"}]


def test_what_a_provider_adds_of_its_own_is_passed_on() -> None:
    events = stream([chunk({"content": "Hi", "mood": "good"}, web_search=[{"url": "x"}])], [chunk({}, "stop")])

    assert events[1]["web_search"] == [{"url": "x"}]
    assert events[1]["choices"][0]["delta"] == {"content": "Hi", "mood": "good"}


def test_logprobs_are_passed_on_with_both_their_lists() -> None:
    with_logprobs = chunk({"content": "Hi"})
    with_logprobs["choices"][0]["logprobs"] = {"content": [{"token": "Hi"}]}

    events = stream([with_logprobs], [chunk({}, "stop")])

    assert events[1]["choices"][0]["logprobs"] == {"content": [{"token": "Hi"}], "refusal": None}


def test_a_chunk_without_id_time_or_model_gets_the_gateways() -> None:
    events = stream([{"choices": [{"delta": {"content": "Hi"}}]}], [{"choices": [{"delta": {}, "finish_reason": "stop"}]}])

    assert {(event["id"], event["created"], event["model"]) for event in events} == {("chatcmpl-req_1", 1_800_000_000, "served")}


TEXT = st.text(max_size=4)
CALL = st.fixed_dictionaries(
    {"index": st.integers(0, 2)},
    optional={
        "id": st.none() | st.sampled_from(["", "a", "b"]),
        "type": st.just("function"),
        "function": st.fixed_dictionaries(
            {}, optional={"name": st.none() | st.just("f"), "arguments": st.none() | TEXT | st.just({"a": 1})}
        ),
    },
)
DELTA = st.fixed_dictionaries(
    {},
    optional={
        "role": st.just("assistant"),
        "content": st.none() | TEXT,
        "reasoning_content": st.none() | TEXT,
        "refusal": st.none() | TEXT,
        "tool_calls": st.none() | st.lists(CALL, max_size=2),
        "mood": st.none() | TEXT,
    },
)
CHOICE: st.SearchStrategy[Json] = st.fixed_dictionaries(
    {"delta": DELTA | st.none()},
    optional={
        "index": st.integers(0, 2),
        "finish_reason": st.sampled_from([None, "", "stop", "length", "tool_calls"]),
        "logprobs": st.none() | st.just({"content": []}),
    },
)
CHUNK = st.fixed_dictionaries(
    {"choices": st.lists(CHOICE, max_size=2)},
    optional={
        "id": TEXT,
        "created": st.integers(0, 9),
        "model": TEXT,
        "usage": st.none() | st.just({"prompt_tokens": 1, "completion_tokens": 2}),
        "system_fingerprint": st.none() | TEXT,
        "web_search": st.none() | st.just([1]),
    },
)


@given(st.lists(st.lists(CHUNK, max_size=3), max_size=6), st.booleans(), st.booleans())
def test_whatever_the_chunks_the_events_obey_openais_grammar(groups: list[list[Json]], usage: bool, functions: bool) -> None:
    words = "".join(c["delta"].get("content") or "" for g in groups for k in g for c in k["choices"] if c["delta"])

    events = stream(*groups, usage=usage, functions=functions)

    grammar(events, usage=usage, functions=functions)
    assert "".join(c["delta"].get("content") or "" for e in events for c in e["choices"]) == words


def grammar(events: list[Json], *, usage: bool, functions: bool) -> None:
    assert len({(event["id"], event["object"], event["created"], event["model"]) for event in events}) <= 1
    begun: set[int] = set()
    finished: set[int] = set()
    calls: set[tuple[int, int]] = set()
    for number, event in enumerate(events):
        assert event["id"].startswith("chatcmpl-")
        assert ("usage" in event) is usage
        if not event["choices"]:
            assert number == len(events) - 1
            assert event["usage"]["total_tokens"] == 3
            continue
        (choice,) = event["choices"]
        assert {"index", "delta", "logprobs", "finish_reason"} <= choice.keys()
        index, delta = choice["index"], choice["delta"]
        if index not in begun:
            begun.add(index)
            assert delta == {"role": "assistant", "content": ""}
            continue
        assert "role" not in delta
        if choice["finish_reason"] is not None:
            assert delta == {}
            assert index not in finished
            finished.add(index)
        for call in delta.get("tool_calls") or ():
            assert not functions
            first = (index, call["index"]) not in calls
            calls.add((index, call["index"]))
            assert ({"id", "type", "function"} <= call.keys()) is first
            assert isinstance(call["function"]["arguments"], str)
            assert not first or (call["id"] and call["function"]["arguments"] == "")


# ---- whole answers ----


def test_a_whole_answer_has_every_key_that_clients_read() -> None:
    answer = complete({"choices": [{"message": {"content": "Hi"}, "finish_reason": "stop"}]}, model="served", request_id="req_1", now=9)

    assert answer == {
        "id": "chatcmpl-req_1",
        "object": "chat.completion",
        "created": 9,
        "model": "served",
        "choices": [
            {"index": 0, "logprobs": None, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hi", "refusal": None}}
        ],
    }


def test_a_call_of_a_whole_answer_has_an_id_and_its_arguments_as_text() -> None:
    calls = [{"index": 0, "function": {"name": "f", "arguments": {"a": 1}}}, {"id": "b", "function": {"name": "g"}}]

    answer = complete({"choices": [{"message": {"content": "", "tool_calls": calls}}]}, model="m", request_id="r", now=9)

    assert answer["choices"][0]["message"]["tool_calls"] == [
        {"id": "call_0", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}},
        {"id": "b", "type": "function", "function": {"name": "g", "arguments": "{}"}},
    ]
    assert answer["choices"][0]["message"]["content"] is None


@pytest.mark.parametrize(
    ("given_", "made"), [("c1", "chatcmpl-c1"), ("chatcmpl-1", "chatcmpl-1"), (None, "chatcmpl-r"), ("", "chatcmpl-r"), (7, "chatcmpl-r")]
)
def test_an_id_has_openais_form(given_: Any, made: str) -> None:
    assert answer_id(given_, "r") == made


def test_usage_keeps_what_the_provider_says_and_adds_what_clients_read() -> None:
    said = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 9, "prompt_tokens_details": {"cached_tokens": 4}, "own": 1}

    assert usage_of(said) == {**said, "completion_tokens_details": {"reasoning_tokens": 0}}


CUSTOM = {"id": "call_1", "type": "custom", "custom": {"name": "shell", "input": "ls -l"}}


def test_a_call_of_a_custom_tool_stays_one() -> None:
    message = {"role": "assistant", "content": None, "tool_calls": [CUSTOM]}
    whole = complete({"choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}]}, model="m", request_id="r", now=1)

    assert whole["choices"][0]["message"]["tool_calls"] == [CUSTOM]


def test_a_streamed_call_of_a_custom_tool_stays_one() -> None:
    pieces = [{"index": 0, **CUSTOM, "custom": {"name": "shell", "input": "ls"}}, {"index": 0, "custom": {"input": " -l"}}]
    out = ChatStream(model="m", request_id="r", now=lambda: 1.0, include_usage=False, functions=False, answers=1)

    told = b"".join(out.feed([{"choices": [{"index": 0, "delta": {"tool_calls": [piece]}}]}]) for piece in pieces)

    deltas = [json.loads(line[6:])["choices"][0]["delta"] for line in told.decode().split("\n\n") if line]
    calls = [call for delta in deltas for call in delta.get("tool_calls", ())]
    assert (calls[0]["id"], calls[0]["type"], calls[0]["custom"]["name"]) == ("call_1", "custom", "shell")
    assert "".join(call["custom"].get("input", "") for call in calls) == "ls -l"
