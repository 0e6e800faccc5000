"""A response's events, whatever the chunks of chat were: their order, their types, and that they come to what the plain response says."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.api.chat_out import complete
from gateway.api.responses.answer import Told, ended, output_of, skeleton
from gateway.api.responses.stream import ResponseStream
from gateway.api.responses.tools import Tools
from gateway.api.wire import Refusal
from providers.base import Fault, Json
from tests.gateway.api.responses.events import WHOLE, events_of, response_in, without_ids
from tests.gateway.api.test_chat_out import CHUNK, call, chunk

USAGE = {"prompt_tokens": 9, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 6}}
SPENT = {
    "input_tokens": 9,
    "input_tokens_details": {"cached_tokens": 6, "cache_write_tokens": 0},
    "output_tokens": 4,
    "output_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": 13,
}
PATCH = {"type": "custom", "name": "patch"}
SHOP: Json = {
    "type": "namespace",
    "name": "shop",
    "description": "A shop",
    "tools": [{"type": "function", "name": "buy", "parameters": {"type": "object"}}],
}


def made(**asked: Any) -> ResponseStream:
    body = {"model": "m", **asked}
    told = Told.of(body, Tools(asked.get("tools", ())))
    return ResponseStream(model="served", request_id="req_1", now=lambda: 7.5, response=skeleton(body, created=5), told=told)


def stream(*chunks: Json, **asked: Any) -> list[Any]:
    out = made(**asked)
    return events_of(b"".join(out.feed([one]) for one in chunks) + out.end())


def kinds(events: list[Any]) -> list[str]:
    return [event["type"].removeprefix("response.") for event in events]


def test_events_in_openais_order() -> None:
    events = stream(
        chunk({"role": "assistant", "content": ""}), chunk({"content": "Hel"}), chunk({"content": "lo"}), chunk({}, "stop", usage=USAGE)
    )

    assert kinds(events) == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    response = response_in(events)
    part = {"type": "output_text", "text": "Hello", "annotations": [], "logprobs": []}
    assert without_ids(response["output"]) == [{"type": "message", "role": "assistant", "status": "completed", "content": [part]}]
    assert (response["usage"], response["model"], response["completed_at"]) == (SPENT, "p", 7)


@pytest.mark.parametrize("summary", [True, False])
def test_thoughts_are_an_item_of_their_own(summary: bool) -> None:
    asked = {"reasoning": {"summary": "auto"}} if summary else {}

    events = stream(
        chunk({"reasoning_content": "H"}), chunk({"reasoning_content": "m"}), chunk({"content": "Hi"}), chunk({}, "stop"), **asked
    )

    thought, said = response_in(events)["output"]
    if summary:
        assert thought["summary"] == [{"type": "summary_text", "text": "Hm"}]
    else:
        assert thought["content"] == [{"type": "reasoning_text", "text": "Hm"}]
    assert ("response.reasoning_summary_text.delta" in {event["type"] for event in events}) == summary
    assert said["content"][0]["text"] == "Hi"


def test_calls_are_told_by_the_names_that_the_client_knows() -> None:
    chunks = [
        call(0, "", id="c0", name="shop__buy"),
        call(0, '{"a": 1}'),
        call(1, '{"inp', id="c1", name="patch"),
        call(1, 'ut": "*** 好"}'),
        chunk({}, "tool_calls"),
    ]

    events = stream(*chunks, tools=[SHOP, PATCH])

    buy, patch = without_ids(response_in(events)["output"])
    assert buy == {
        "type": "function_call", "status": "completed", "call_id": "c0", "name": "buy", "namespace": "shop", "arguments": '{"a": 1}'
    }  # fmt: skip
    assert patch == {"type": "custom_tool_call", "status": "completed", "call_id": "c1", "name": "patch", "input": "*** 好"}


def test_a_call_that_begins_before_the_one_ahead_is_whole_waits_for_it() -> None:
    out = made()
    before = b"".join(
        out.feed([one]) for one in (call(0, '{"a"', id="c0", name="f"), call(1, '{"b":', id="c1", name="g"), chunk({"content": "and"}))
    )
    after = out.feed([call(0, ": 1}")]) + out.feed([call(1, "2}")]) + out.feed([chunk({}, "tool_calls")]) + out.end()

    assert kinds(events_of(before)) == ["created", "in_progress", "output_item.added", "function_call_arguments.delta"]
    first, second, words = response_in(events_of(before + after))["output"]
    assert (first["arguments"], second["arguments"], words["content"][0]["text"]) == ('{"a": 1}', '{"b":2}', "and")


def test_a_call_without_arguments_has_an_empty_object() -> None:
    (item,) = response_in(stream(call(0, "", id="c0", name="f"), chunk({}, "tool_calls")))["output"]

    assert item["arguments"] == "{}"


@pytest.mark.parametrize(("reason", "why"), [("length", "max_output_tokens"), ("content_filter", "content_filter")])
def test_what_is_cut_off_is_incomplete(reason: str, why: str) -> None:
    response = response_in(stream(chunk({"content": "a"}), call(0, '{"a', id="c0", name="f"), chunk({}, reason)))

    assert (response["status"], response["incomplete_details"], response["completed_at"]) == ("incomplete", {"reason": why}, None)
    assert [item["status"] for item in response["output"]] == ["completed", "incomplete"]


def test_an_answer_of_nothing_is_an_empty_message() -> None:
    (item,) = response_in(stream(chunk({"role": "assistant"}), chunk({}, "stop")))["output"]

    assert item["content"] == [{"type": "output_text", "text": "", "annotations": [], "logprobs": []}]


def test_a_refusal_is_a_part_of_the_message() -> None:
    (item,) = response_in(stream(chunk({"content": "Well"}), chunk({"refusal": "No"}), chunk({}, "stop")))["output"]

    assert [part["type"] for part in item["content"]] == ["output_text", "refusal"]
    assert item["content"][1]["refusal"] == "No"


def test_logprobs_and_citations_are_in_the_text() -> None:
    token = {"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": []}
    cited = {"type": "url_citation", "url_citation": {"start_index": 0, "end_index": 1, "title": "T", "url": "https://example.com"}}
    first = {"choices": [{"index": 0, "delta": {"content": "a"}, "logprobs": {"content": [token]}}]}

    (item,) = response_in(stream(first, chunk({"annotations": [cited]}), chunk({}, "stop")))["output"]

    (part,) = item["content"]
    assert part["logprobs"] == [token]
    assert part["annotations"] == [{"type": "url_citation", "start_index": 0, "end_index": 1, "title": "T", "url": "https://example.com"}]


def test_an_answer_that_breaks_off_has_failed() -> None:
    out = made()
    data = out.feed([chunk({"content": "a"})]) + out.fails(Refusal(502, "it broke off", kind="api_error", code="upstream_broken"))

    last = events_of(data)[-1]

    assert last["type"] == "response.failed"
    assert (last["response"]["status"], last["response"]["output"]) == ("failed", [])
    assert last["response"]["error"] == {"code": "server_error", "message": "it broke off"}


def test_what_fails_before_there_is_a_response_is_an_error() -> None:
    (event,) = events_of(made().fails(Refusal(502, "no", code="upstream_broken")))

    assert event == {"type": "error", "sequence_number": 0, "code": "upstream_broken", "message": "no", "param": None}


# ---- any chunks ----

TEXT = st.text(max_size=5)
OBJECT = st.dictionaries(TEXT, st.integers() | TEXT | st.lists(TEXT, max_size=2), max_size=3).map(json.dumps)


@st.composite
def answers(draw: st.DrawFn) -> tuple[list[Json], Json, Json]:
    """(the chunks of an answer, the plain answer that says the same, what was asked)."""
    chunks: list[Json] = []
    message: Json = {}
    for key in ("reasoning_content", "content", "refusal"):
        pieces = draw(st.lists(TEXT, max_size=3))
        chunks += [chunk({key: text}) for text in pieces]
        message |= {key: "".join(pieces)} if any(pieces) else {}
    calls = draw(st.lists(st.tuples(OBJECT, st.sampled_from(["f", "patch", "shop__buy"])), max_size=3))
    left = {number: said for number, (said, _) in enumerate(calls)}
    chunks += [call(number, "", id=f"c{number}", name=calls[number][1]) for number in left]
    while left:
        number = draw(st.sampled_from(sorted(left)))
        length = draw(st.integers(1, len(left[number])))
        chunks.append(call(number, left[number][:length]))
        left[number] = left[number][length:]
        if not left[number]:
            del left[number]
    if calls:
        message["tool_calls"] = [
            {"id": f"c{number}", "function": {"name": name, "arguments": said}} for number, (said, name) in enumerate(calls)
        ]
    reason = draw(st.sampled_from(["stop", "length", "tool_calls"]))
    chunks.append(chunk({}, reason, usage=USAGE))
    answer = {"id": "c1", "model": "p", "choices": [{"message": message, "finish_reason": reason}], "usage": USAGE}
    asked = {
        "tools": [PATCH, SHOP],
        "reasoning": draw(st.sampled_from([{}, {"summary": "auto"}])),
        "include": draw(st.sampled_from([[], ["reasoning.encrypted_content"]])),
    }
    return chunks, answer, asked


@given(answers())
def test_the_events_come_to_the_plain_response(drawn: tuple[list[Json], Json, Json]) -> None:
    chunks, answer, asked = drawn
    whole = complete(answer, model="served", request_id="req_1", now=1)
    told = Told.of(asked, Tools(asked["tools"]))
    blank = skeleton({"model": "m", **asked}, created=5)
    reason = whole["choices"][0]["finish_reason"]
    plain = ended(blank, output_of(whole, told), reason=reason, usage=whole["usage"], now=7, more={"model": whole["model"]})

    response = response_in(stream(*chunks, **asked))

    assert without_ids(response.pop("output")) == without_ids(plain["output"])
    WHOLE.validate_json(json.dumps(plain), strict=True)
    del plain["output"], plain["id"], response["id"]
    assert response == plain


@given(st.lists(CHUNK, max_size=12))
def test_whatever_the_chunks_the_events_are_in_order(chunks: list[Json]) -> None:
    out = made()
    data = b""
    try:
        for one in [*chunks, chunk({}, "stop")]:
            data += out.feed([one])
        data += out.end()
    except Fault:
        data += out.fails(Refusal(502, "it broke off"))
        assert events_of(data)[-1]["type"] in ("response.failed", "error")
        return

    response_in(events_of(data))
