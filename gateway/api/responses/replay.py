"""A kept response as the events that tell it: for who reads a stream again, or one that was made in the background.

A response has the same events with the same numbers however often it is told, so that a reader goes on where another stopped. Each text is
one delta, for its pieces are not kept.
"""

from collections.abc import Iterator

from gateway.api.grammar import one_line
from providers.base import Json, encode

ENDS = {"completed": "response.completed", "incomplete": "response.incomplete", "failed": "response.failed", "cancelled": "response.failed"}
"""By status. OpenAI has no event for what was cancelled: it is told as failed, with the status in the response."""
NOT_YET = ("completed_at", "incomplete_details", "error", "usage")
"""What is not known of a response when it begins."""


def events_of(response: Json) -> list[Json]:
    """All events of a response, or those that are certain of one that is under way. Their numbers are their places."""
    return [{"type": event.pop("type"), "sequence_number": number, **event} for number, event in enumerate(_events(response))]


def frame(event: Json) -> bytes:
    return one_line(b"event: " + event["type"].encode() + b"\ndata: " + encode(event) + b"\n\n")


def _events(response: Json) -> Iterator[Json]:
    status = response.get("status")
    background = bool(response.get("background"))
    blank = {**response, **{name: None for name in NOT_YET if name in response}, "output": []}
    begun = {**blank, "status": "in_progress"}
    yield {"type": "response.created", "response": {**blank, "status": "queued"} if background else begun}
    if background:
        yield {"type": "response.queued", "response": {**blank, "status": "queued"}}
    if status == "queued":
        return
    yield {"type": "response.in_progress", "response": begun}
    if status not in ENDS:
        return
    for index, item in enumerate(response["output"]):
        yield from _item(item, index)
    yield {"type": ENDS[status], "response": response}


def _item(item: Json, index: int) -> Iterator[Json]:
    place = {"item_id": item.get("id"), "output_index": index}
    yield {"type": "response.output_item.added", "output_index": index, "item": _begun(item)}
    kind = item["type"]
    if kind == "message":
        for number, part in enumerate(item["content"]):
            yield from _part(part, {**place, "content_index": number})
    elif kind == "function_call":
        yield from _text("response.function_call_arguments", "arguments", item["arguments"], place, {"name": item["name"]})
    elif kind == "custom_tool_call":
        yield from _text("response.custom_tool_call_input", "input", item["input"], place, {})
    elif kind == "reasoning":
        for number, part in enumerate(item.get("summary") or ()):
            where = {**place, "summary_index": number}
            yield {"type": "response.reasoning_summary_part.added", **where, "part": {**part, "text": ""}}
            yield from _text("response.reasoning_summary_text", "text", part["text"], where, {})
            yield {"type": "response.reasoning_summary_part.done", **where, "part": part}
        for number, part in enumerate(item.get("content") or ()):
            yield from _part(part, {**place, "content_index": number})
    yield {"type": "response.output_item.done", "output_index": index, "item": item}


def _begun(item: Json) -> Json:
    """An item before anything is in it."""
    empty: dict[str, Json] = {
        "message": {"content": []},
        "function_call": {"arguments": ""},
        "custom_tool_call": {"input": ""},
        "reasoning": {"summary": []},
    }
    begun = {**item, **empty.get(item["type"], {})}
    if item["type"] == "reasoning":
        begun.pop("content", None)
    return {**begun, "status": "in_progress"} if "status" in item else begun


def _part(part: Json, place: Json) -> Iterator[Json]:
    kind = part["type"]
    if kind == "output_text":
        logprobs = part.get("logprobs") or []
        yield {"type": "response.content_part.added", **place, "part": {**part, "text": "", "annotations": [], "logprobs": []}}
        if part["text"]:
            yield {"type": "response.output_text.delta", **place, "delta": part["text"], "logprobs": logprobs}
        for number, annotation in enumerate(part.get("annotations") or ()):
            yield {"type": "response.output_text.annotation.added", **place, "annotation_index": number, "annotation": annotation}
        yield {"type": "response.output_text.done", **place, "text": part["text"], "logprobs": logprobs}
    elif kind in ("refusal", "reasoning_text"):
        words = "refusal" if kind == "refusal" else "text"
        yield {"type": "response.content_part.added", **place, "part": {**part, words: ""}}
        yield from _text(f"response.{kind}", words, part[words], place, {})
    else:
        yield {"type": "response.content_part.added", **place, "part": part}
    yield {"type": "response.content_part.done", **place, "part": part}


def _text(event: str, words: str, said: str, place: Json, more: Json) -> Iterator[Json]:
    if said:
        yield {"type": f"{event}.delta", **place, "delta": said}
    yield {"type": f"{event}.done", **place, words: said, **more}
