"""A plain answer out of a streamed one, for models that only stream."""

from providers.base import Json, Stream
from providers.sse import EventReader

STREAMED = (b"data:", b"id:", b"event:", b":")
"""How a body begins that is a stream of events."""


def refused(body: bytes) -> bytes:
    """What an error says. A refused stream is refused in a stream's form, under the error's own status."""
    if not body.startswith(STREAMED):
        return body
    reader = EventReader()
    return (reader.feed(body) + reader.end() or [b""])[0]


def gather(stream: Stream, body: bytes) -> Json:
    """OpenAI's reply, of a whole stream's bytes. Raises Fault as the stream does."""
    answer: Json = {}
    choices: dict[int, Json] = {}
    for chunk in stream.feed(body) + stream.end():
        answer |= {key: value for key, value in chunk.items() if key != "choices" and value is not None}
        for part in chunk.get("choices") or ():
            index = part.get("index", 0)
            blank = {"index": index, "message": {"role": "assistant", "content": ""}, "finish_reason": None, "logprobs": None}
            add(choices.setdefault(index, blank), part)
    return {**answer, "object": "chat.completion", "choices": [choices[index] for index in sorted(choices)]}


def add(choice: Json, part: Json) -> None:
    """Takes one chunk's part of a choice into it."""
    message, delta = choice["message"], part.get("delta") or {}
    for key in ("content", "reasoning_content"):
        if words := delta.get(key):
            message[key] = message.get(key, "") + words
    for call in delta.get("tool_calls") or ():
        add_call(message.setdefault("tool_calls", []), call)
    if part.get("logprobs"):
        seen = choice["logprobs"] or {"content": []}
        choice["logprobs"] = {"content": seen["content"] + (part["logprobs"].get("content") or [])}
    choice["finish_reason"] = part.get("finish_reason") or choice["finish_reason"]


def add_call(calls: list[Json], fragment: Json) -> None:
    function = fragment.get("function") or {}
    for call in calls:
        if call["index"] == fragment["index"]:
            call["function"]["arguments"] += function.get("arguments") or ""
            return
    whole = {"name": function.get("name") or "", "arguments": function.get("arguments") or ""}
    calls.append({"index": fragment["index"], "id": fragment.get("id"), "type": "function", "function": whole})
