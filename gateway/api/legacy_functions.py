"""`functions` and `function_call`, OpenAI's way of calling tools until late 2023: said as tools on the way in, and back on the way out.

Programs of that time read `message.function_call` and the finish reason `function_call`, and answer with a message of role `function`.
"""

from itertools import repeat
from operator import contains, itemgetter
from typing import Any

from providers.base import Json

_role = itemgetter("role")


def used(body: Json) -> bool:
    """Whether it is said in the old way; the request has been checked."""
    turns = body["messages"]
    if "functions" in body or "function" in {*map(_role, turns)}:
        return True
    return any(map(contains, turns, repeat("function_call"))) and any(turn.get("function_call") for turn in turns)


def as_tools(body: Json) -> Json:
    """The request with tools in place of functions. One call at a time: the old form has no room for more."""
    said = {name: value for name, value in body.items() if name not in ("functions", "function_call")}
    said["messages"] = _messages(body["messages"])
    if functions := body.get("functions"):
        said["tools"] = [{"type": "function", "function": function} for function in functions]
        said["parallel_tool_calls"] = False
        if choice := body.get("function_call"):
            said["tool_choice"] = choice if isinstance(choice, str) else {"type": "function", "function": {"name": choice["name"]}}
    return said


def _messages(messages: list[Json]) -> list[Json]:
    """Calls get ids, which the old form does without: each result answers the call before it."""
    said: list[Json] = []
    call_id = ""
    for number, message in enumerate(messages):
        if call := message.get("function_call"):
            call_id = f"call_{number}"
            rest = {name: value for name, value in message.items() if name != "function_call"}
            said.append({**rest, "tool_calls": [{"id": call_id, "type": "function", "function": call}]})
        elif message.get("role") == "function":
            said.append({"role": "tool", "tool_call_id": call_id or f"call_{number}", "content": message.get("content") or ""})
        else:
            said.append(message)
    return said


def plain(answer: Json) -> Json:
    """The reply with a function call in place of the first tool call. Edits the reply, which is ours."""
    for choice in answer["choices"]:
        if calls := choice["message"].pop("tool_calls", None):
            choice["message"]["function_call"] = calls[0]["function"]
        choice["finish_reason"] = _reason(choice.get("finish_reason"))
    return answer


def chunks(given: list[Json]) -> list[Json]:
    """Chunks with fragments of a function call in place of those of the first tool call. Edits them, which are ours."""
    for chunk in given:
        for choice in chunk.get("choices") or ():
            delta = choice.get("delta") or {}
            calls = delta.pop("tool_calls", None) or ()
            if fragment := next((call.get("function") for call in calls if not call.get("index")), None):
                delta["function_call"] = {name: text for name, text in fragment.items() if text is not None}
            choice["finish_reason"] = _reason(choice.get("finish_reason"))
    return given


def _reason(reason: Any) -> Any:
    return "function_call" if reason == "tool_calls" else reason
