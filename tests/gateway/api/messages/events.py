"""Reads a stream of Anthropic's, and holds it to its order."""

import json
from typing import Any

from providers.base import Json

DELTAS = {"text_delta": ("text", "text"), "thinking_delta": ("thinking", "thinking"), "input_json_delta": ("tool_use", "partial_json")}


def events_of(data: bytes) -> list[Any]:
    events = []
    for frame in data.decode().split("\n\n")[:-1]:
        name, payload = frame.split("\n")
        event = json.loads(payload.removeprefix("data: "))
        assert name == f"event: {event['type']}"
        events.append(event)
    return events


def message_in(events: list[Any]) -> Json:
    """The message that the events come to, as an SDK would put it together. Fails where they are out of order."""
    start, ping, *middle, delta, stop = events
    assert [event["type"] for event in (start, ping, delta, stop)] == ["message_start", "ping", "message_delta", "message_stop"]
    message: Json = start["message"]
    assert (message["content"], message["stop_reason"]) == ([], None)
    open_block: Json | None = None
    for event in middle:
        index = event["index"]
        match event["type"]:
            case "content_block_start":
                assert open_block is None
                assert index == len(message["content"])
                open_block = {**event["content_block"], "pieces": []}
                message["content"].append(open_block)
            case "content_block_delta":
                assert open_block is message["content"][index]
                assert open_block is not None
                if event["delta"]["type"] == "signature_delta":
                    open_block["signature"] = event["delta"]["signature"]
                    continue
                kind, key = DELTAS[event["delta"]["type"]]
                assert open_block["type"] == kind
                assert "signature" not in open_block or open_block["signature"] == ""
                open_block["pieces"].append(event["delta"][key])
            case other:
                assert other == "content_block_stop"
                assert open_block is message["content"][index]
                open_block = None
    assert open_block is None
    for block in message["content"]:
        told = "".join(block.pop("pieces"))
        if block["type"] == "tool_use":
            assert block["input"] == {}
            block["told"] = told
        else:
            assert block[block["type"]] == ""
            block[block["type"]] = told
    return {**message, **delta["delta"], "usage": delta["usage"]}
