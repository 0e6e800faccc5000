"""Kept items and events as the types of OpenAI's SDK have them, checked as strictly as pydantic does."""

from typing import Any

import pytest
from openai.types.conversations import ConversationItem
from openai.types.responses import ResponseItem, ResponseStreamEvent
from pydantic import TypeAdapter

from gateway.api.responses.replay import events_of
from gateway.api.responses.shown import PREFIXES, check, listed
from providers.base import Json

EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
UNIONS: list[TypeAdapter[Any]] = [TypeAdapter(ResponseItem), TypeAdapter(ConversationItem)]
CITED = {"type": "url_citation", "start_index": 0, "end_index": 2, "title": "A page", "url": "https://example.com"}
SAID: list[Json] = [
    {"id": "rs_1", "type": "reasoning", "summary": [{"type": "summary_text", "text": "A thought"}], "content": []},
    {"id": "rs_2", "type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "Another"}], "status": "completed"},
    {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [
        {"type": "output_text", "text": "Hi", "annotations": [CITED], "logprobs": []},
        {"type": "refusal", "refusal": "No more"},
    ]},
    {"id": "fc_1", "type": "function_call", "call_id": "c1", "name": "weigh", "arguments": "{}", "status": "completed"},
    {"id": "ctc_1", "type": "custom_tool_call", "call_id": "c2", "name": "draw", "input": "a box", "status": "completed"},
    {"id": "ws_1", "type": "web_search_call", "status": "completed", "action": {"type": "search", "query": "boxes"}},
]  # fmt: skip
GIVEN: list[Json] = [
    {"role": "user", "content": "Hello"},
    {
        "role": "user",
        "content": [{"type": "input_text", "text": "Look"}, {"type": "input_image", "image_url": "data:image/png;base64,AA=="}],
    },
    {"role": "developer", "content": "Be brief."},
    {"role": "assistant", "content": "Hi"},
    {"type": "function_call", "call_id": "c1", "name": "weigh", "arguments": "{}"},
    {"type": "function_call_output", "call_id": "c1", "output": "12"},
    {"type": "custom_tool_call", "call_id": "c2", "name": "draw", "input": "a box"},
    {"type": "custom_tool_call_output", "call_id": "c2", "output": [{"type": "input_text", "text": "done"}]},
    {"type": "reasoning", "summary": [{"type": "summary_text", "text": "A thought"}], "encrypted_content": None},
    {"type": "compaction", "encrypted_content": "bj1.SGk="},
    {"type": "web_search_call", "action": {"type": "search", "query": "boxes"}},
]


def response(status: str, **more: Any) -> Json:
    done: Json = {"output": SAID, "completed_at": 2} if status == "completed" else {"output": []}
    named = {"id": "resp_1", "object": "response", "created_at": 1, "model": "m", "status": status}
    return {**named, "parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "metadata": {}, **done, **more}


@pytest.mark.parametrize("background", [False, True])
def test_every_event_of_a_replay_is_one_of_openais(background: bool) -> None:
    events = events_of(response("completed", background=background))

    for event in events:
        EVENT.validate_python(event)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    added = [event["item"]["id"] for event in events if event["type"] == "response.output_item.added"]
    done = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    assert added == [item["id"] for item in done]
    assert done == SAID
    assert events[-1] == {
        "type": "response.completed",
        "sequence_number": len(events) - 1,
        "response": response("completed", background=background),
    }
    deltas = [event["delta"] for event in events if event["type"].endswith(".delta")]
    assert deltas == ["A thought", "Another", "Hi", "No more", "{}", "a box"]


def test_events_of_one_that_is_under_way_are_the_first_of_those_it_will_have() -> None:
    whole = [event["type"] for event in events_of(response("completed", background=True))]

    seen = [[event["type"] for event in events_of(response(status, background=True))] for status in ("queued", "in_progress")]

    assert seen == [whole[:2], whole[:3]]
    for status, end in (("failed", "response.failed"), ("cancelled", "response.failed"), ("incomplete", "response.incomplete")):
        assert [event["type"] for event in events_of(response(status, background=True))] == [*whole[:3], end]


@pytest.mark.parametrize("item", GIVEN, ids=lambda item: f"{item.get('type', 'message')}-{item.get('role', '')}")
def test_items_are_kept_as_openai_lists_them(item: Json) -> None:
    check(item, "input[0]")

    [kept] = listed([item])

    for union in UNIONS:
        union.validate_python(kept)
    assert kept["id"].startswith(PREFIXES[kept["type"]])
    assert listed([kept]) == [kept]
    assert listed([kept], fresh=True)[0]["id"] != kept["id"]
