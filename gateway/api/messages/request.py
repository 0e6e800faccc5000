"""A request of Anthropic's as one of chat. What chat has no words for is left out, and reported."""

from collections.abc import Mapping

from msgspec import Struct

from gateway.api.messages.turns import Turns
from gateway.api.validate import (
    MOST_TOKENS,
    Check,
    array,
    boolean,
    either,
    fields,
    integer,
    invalid,
    known,
    model_name,
    number,
    obj,
    one_of,
    string,
)
from gateway.api.wire import Refusal
from providers.base import Change, Json, StopAt
from providers.fields import THINKING_BUDGETS

EFFORTS = ("low", "medium", "high", "xhigh", "max")
text_block = fields({"type": one_of("text"), "text": string}, required=("type", "text"))
json_format = fields({"type": one_of("json_schema"), "schema": obj}, required=("type", "schema"))
COUNTED: Mapping[str, Check] = {
    "model": model_name,
    "messages": array(obj, least=1),
    "system": either(string, array(text_block)),
    "tools": array(fields({"type": string, "name": string, "description": string, "input_schema": obj, "strict": boolean})),
    "tool_choice": fields(
        {"type": one_of("auto", "any", "tool", "none"), "name": string, "disable_parallel_tool_use": boolean}, required=("type",)
    ),
    "thinking": fields({"type": string, "budget_tokens": integer(1)}, required=("type",)),
    "output_config": fields({"effort": one_of(*EFFORTS), "format": json_format}),
    "output_format": json_format,
}
"""What POST /v1/messages/count_tokens takes."""
TAKEN: Mapping[str, Check] = {
    **COUNTED,
    "max_tokens": integer(1, MOST_TOKENS),
    "stop_sequences": array(string),
    "stream": boolean,
    "temperature": number(0, 1),
    "top_p": number(0, 1),
    "top_k": integer(0, MOST_TOKENS),
    "metadata": fields({"user_id": string}),
}
"""… and POST /v1/messages."""
AS_THEY_ARE = ("temperature", "top_p", "top_k", "max_tokens")
TOOL = frozenset({"type", "name", "description", "input_schema", "strict"})


class Asked(Struct, frozen=True):
    """What is asked, in chat's words."""

    body: Json
    changes: tuple[Change, ...] = ()
    """What became of Anthropic's fields on the way."""
    names: Mapping[str, str] = {}
    """The client's own names of tools, by those that chat is told in their place."""


def asked_of(body: Json, *, count: bool = False, strict: bool = False) -> Asked:
    """`count`: it is only to be counted. `strict`: nothing may be emulated. Raises Refusal(400)."""
    body = known(body, COUNTED if count else TAKEN, required=("model", "messages") if count else ("model", "max_tokens", "messages"))
    if "thread" in body:
        raise threaded()
    if count:
        body = {name: value for name, value in body.items() if name in COUNTED}
    turns = Turns()
    turns.system(body.get("system"))
    for index, message in enumerate(body["messages"]):
        turns.add(message, f"messages[{index}]")
    turns.end(f"messages[{len(body['messages']) - 1}]")
    for name in body:
        if name not in TAKEN:
            turns.lose_key("", name, body[name])
    said: Json = {"model": body["model"], "messages": turns.said} | {name: body[name] for name in AS_THEY_ARE if name in body}
    _tools(body, said, turns)
    _thinking(body, said)
    if body.get("stream"):
        said["stream"] = True
    if user := body.get("metadata", {}).get("user_id"):
        said["user"] = user
    if shape := body.get("output_config", {}).get("format") or body.get("output_format"):
        said["response_format"] = {"type": "json_schema", "json_schema": {"name": "answer", "schema": shape["schema"], "strict": True}}
    own: tuple[Change, ...] = ()
    if stops := [stop for stop in body.get("stop_sequences", ()) if stop]:
        if strict:
            said["stop"] = stops
        else:  # vendors do not say which of them has ended an answer, and Anthropic's clients want to know
            own = (
                Change("stop_sequences", "emulated", "cut here", "the message has to say which of them", StopAt(tuple(stops), told=True)),
            )
    return Asked(said, own + tuple(turns.changes), turns.names)


def threaded() -> Refusal:
    """To leave the field out would be to lose what was said before. The SDKs know the code, and send all of it then."""
    refusal = invalid("thread", "Conversations are not kept here: send all of the messages, without 'thread'.", "unsupported_parameter")
    refusal.body["error"]["details"] = {"error_code": "thread_unsupported_request", "unsupported": ["thread"]}
    return refusal


def _tools(body: Json, said: Json, turns: Turns) -> None:
    tools: list[Json] = []
    for index, tool in enumerate(body.get("tools") or ()):
        path = f"tools[{index}]"
        if (kind := tool.get("type")) not in (None, "custom"):
            turns.lose(f"tools[].{kind}", "a tool of Anthropic's own")
            continue
        fields({}, required=("name", "input_schema"))(tool, path)
        for key in tool:
            if key not in TOOL:
                turns.lose_key("tools[].", key, tool[key])
        function = {"name": turns.name_of(tool["name"]), "parameters": tool["input_schema"]}
        tools.append({"type": "function", "function": function | {key: tool[key] for key in ("description", "strict") if tool.get(key)}})
    if not tools:
        return
    said["tools"] = tools
    if choice := body.get("tool_choice"):
        _choice(choice, said, turns)


def _choice(choice: Json, said: Json, turns: Turns) -> None:
    if choice["type"] == "tool":
        fields({}, required=("name",))(choice, "tool_choice")
        name = turns.name_of(choice["name"])
        if all(tool["function"]["name"] != name for tool in said["tools"]):
            raise invalid("tool_choice.name", f"Invalid 'tool_choice.name': there is no tool '{name}' in 'tools'.", "invalid_value")
        said["tool_choice"] = {"type": "function", "function": {"name": name}}
    else:
        said["tool_choice"] = "required" if choice["type"] == "any" else choice["type"]
    if choice.get("disable_parallel_tool_use"):
        said["parallel_tool_calls"] = False


def _thinking(body: Json, said: Json) -> None:
    """`reasoning_effort`, where the request says anything of it."""
    thinking, effort = body.get("thinking") or {}, body.get("output_config", {}).get("effort")
    kind, budget = thinking.get("type"), thinking.get("budget_tokens")
    if kind == "disabled":
        said["reasoning_effort"] = "none"
    elif effort:
        said["reasoning_effort"] = effort
    elif kind:
        said["reasoning_effort"] = next((effort for effort, most in THINKING_BUDGETS.items() if budget and budget <= most), "high")
