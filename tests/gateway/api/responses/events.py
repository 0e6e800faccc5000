"""Reads a response's events as a strict client does: by OpenAI's types, in their order, and added up."""

import json
from typing import Any

from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from providers.base import Json

EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
WHOLE: TypeAdapter[Any] = TypeAdapter(Response)
ENDS = ("response.completed", "response.incomplete", "response.failed")
KEYS = {"message": "content", "function_call": "arguments", "custom_tool_call": "input", "reasoning": "summary"}


def events_of(data: bytes) -> list[Any]:
    """The events, each checked against the SDK's type of its name. Numbers are what they are in JSON: nothing is converted."""
    found = []
    for frame in data.decode().split("\n\n")[:-1]:
        name, line = frame.split("\n")
        event = json.loads(line.removeprefix("data: "))
        assert name == f"event: {event['type']}"
        EVENT.validate_json(line.removeprefix("data: "), strict=True)
        found.append(event)
    assert [event["sequence_number"] for event in found] == list(range(len(found)))
    return found


def response_in(events: list[Any]) -> Json:
    """The response at the end of a stream, once each event is known to stand where it may, and all deltas have come to what is there."""
    first, second, *others, last = events
    assert (first["type"], second["type"]) == ("response.created", "response.in_progress")
    assert (first["response"]["output"], first["response"]["status"]) == ([], "in_progress")
    assert last["type"] in ENDS
    done: list[Json] = []
    while others:
        done.append(_item(others, len(done)))
    response: Json = last["response"]
    assert response["output"] == done
    assert last["type"] == f"response.{response['status']}"
    assert response["id"] == first["response"]["id"]
    return response


def _item(events: list[Any], at: int) -> Json:
    """Takes the events of one item; gives it."""
    added = events.pop(0)
    assert (added["type"], added["output_index"]) == ("response.output_item.added", at)
    item: Json = added["item"]
    assert not item[KEYS[item["type"]]]
    parts: dict[str, list[Json]] = {"content": [], "summary": []}
    said = ""
    while (event := events.pop(0))["type"] != "response.output_item.done":
        assert (event["item_id"], event["output_index"]) == (item["id"], at)
        match event["type"].removeprefix("response."):
            case "content_part.added":
                parts["content"].append(_part(event, events, parts["content"], "content_index"))
            case "reasoning_summary_part.added":
                parts["summary"].append(_part(event, events, parts["summary"], "summary_index"))
            case "function_call_arguments.delta" | "custom_tool_call_input.delta":
                said += event["delta"]
            case "function_call_arguments.done":
                assert (event["arguments"], event["name"]) == (said, item["name"])
            case kind:
                assert (kind, event["input"]) == ("custom_tool_call_input.done", said)
    whole: Json = event["item"]
    assert (event["output_index"], whole["id"], whole["type"]) == (at, item["id"], item["type"])
    if whole["type"] in ("function_call", "custom_tool_call"):
        assert whole[KEYS[whole["type"]]] == said
    else:
        assert (whole.get("content", []), whole.get("summary", [])) == (parts["content"], parts["summary"])
    return whole


def _part(added: Json, events: list[Any], before: list[Json], place: str) -> Json:
    """Takes the events of one part; gives it."""
    assert added[place] == len(before)
    part = added["part"]
    key = "refusal" if part["type"] == "refusal" else "text"
    name = {"summary_text": "reasoning_summary_text", "reasoning_text": "reasoning_text"}.get(part["type"], part["type"])
    said = ""
    logprobs: list[Json] = []
    cited: list[Json] = []
    while (event := events.pop(0))["type"] != f"response.{name}.done":
        assert event[place] == added[place]
        if event["type"] == "response.output_text.annotation.added":
            assert event["annotation_index"] == len(cited)
            cited.append(event["annotation"])
        else:
            assert event["type"] == f"response.{name}.delta"
            said += event["delta"]
            logprobs += event.get("logprobs", [])
    assert event[key] == said
    end = events.pop(0)
    assert end["type"] == ("response.reasoning_summary_part.done" if part["type"] == "summary_text" else "response.content_part.done")
    whole: Json = end["part"]
    assert (end[place], whole[key]) == (added[place], said)
    assert (whole.get("logprobs", []), whole.get("annotations", [])) == (logprobs, cited)
    return whole


def without_ids(output: list[Json]) -> list[Json]:
    return [{key: value for key, value in item.items() if key != "id"} for item in output]
