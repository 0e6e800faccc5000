"""What the simulators' brain says to an OpenAI request: read from the request itself, past every adapter and every wire format."""

from collections.abc import Sequence
from typing import Any

from gateway.brain.scripted import script
from providers.simulation import Answer, Ask, Call, End, Message, Text, Thought, Tool
from tests.journeys.accounts import Account

Json = dict[str, Any]


def ask_of(account: Account, body: Json) -> Ask:
    """The request as somebody would understand it who reads OpenAI's documents, and knows what the account's vendor can be told."""
    tools = tuple(
        Tool(tool["function"]["name"], tool["function"].get("description") or "", tool["function"].get("parameters") or {})
        for tool in body.get("tools", ())
    )
    choice = body.get("tool_choice", "auto")
    named = choice["function"]["name"] if isinstance(choice, dict) else ""
    if named and not account.chooses:  # then it is the only one that is offered
        tools = tuple(tool for tool in tools if tool.name == named)
    stop = body.get("stop", [])
    return Ask(
        tuple(map(_message, body["messages"])),
        () if choice == "none" else tools,
        choice=named or choice,
        parallel=account.parallel and bool(body.get("parallel_tool_calls", True)),
        schema=_schema(body.get("response_format", {"type": "text"})),
        stop=(stop,) if isinstance(stop, str) else tuple(stop),
        most=body.get("max_completion_tokens", body.get("max_tokens")),
        think=body.get("reasoning_effort", "none") != "none",
    )


def _message(message: Json) -> Message:
    content = message.get("content") or ""
    parts = content if isinstance(content, list) else [{"type": "text", "text": content}]
    calls = tuple(Call(call["id"], call["function"]["name"], call["function"]["arguments"]) for call in message.get("tool_calls") or ())
    return Message(
        "system" if message["role"] == "developer" else message["role"],
        "".join(part.get("text", "") for part in parts),
        sum(part["type"] == "image_url" for part in parts),
        calls,
        message.get("tool_call_id", ""),
    )


def _schema(form: Json) -> Json | None:
    if form["type"] == "text":
        return None
    schema: Json = form["json_schema"]["schema"] if form["type"] == "json_schema" else {}
    return schema


def says(account: Account, body: Json) -> Answer:
    """The whole answer."""
    pieces = list(script(ask_of(account, body)))
    (end,) = (piece for piece in pieces if isinstance(piece, End))
    return Answer(
        "".join(piece.text for piece in pieces if isinstance(piece, Thought)),
        "".join(piece.text for piece in pieces if isinstance(piece, Text)),
        tuple(piece for piece in pieces if isinstance(piece, Call)),
        end,
    )


def calls_of(calls: Sequence[Any]) -> list[tuple[str, str]]:
    """(name, arguments) of the SDK's, or the brain's, tool calls."""
    return [(call.name, call.arguments) if isinstance(call, Call) else (call.function.name, call.function.arguments) for call in calls]


def user(text: str) -> list[Any]:
    return [{"role": "user", "content": text}]


def function(name: str, description: str, **properties: Any) -> Any:
    parameters = {"type": "object", "properties": properties, "required": list(properties)}
    return {"type": "function", "function": {"name": name, "description": description, "parameters": parameters}}


WEATHER = function("get_weather", "The weather of a city today", city={"type": "string"})
TIME = function("get_time", "What time it is in a place", place={"type": "string"})
TOOLS = [WEATHER, TIME]
