"""What 360 refuses in a chat request: by whose model it is, since what it passes on has the limits of its maker."""

import re
from collections.abc import Mapping
from typing import Any

from providers.base import Json, Model
from providers.simulation import Ask, json_reply, understand, understand_tools

SHARED = frozenset(
    "model messages stream temperature top_p top_k repetition_penalty max_tokens user tools tool_choice".split()
)  # fmt: skip
MORE: Mapping[str, frozenset[str]] = {
    "360": frozenset({"num_beams"}),
    "deepseek": frozenset("stop thinking response_format stream_options frequency_penalty presence_penalty logprobs top_logprobs".split()),
    "glm": frozenset("stop thinking response_format seed".split()),
    "doubao": frozenset("stop thinking stream_options frequency_penalty presence_penalty logprobs top_logprobs".split()),
    "": frozenset({"thinking"}),
}
"""By maker, what it takes beside that."""
STOPS = {"deepseek": 16, "glm": 1, "doubao": 4}
CHOICES = {"deepseek": ("auto", "none"), "doubao": ("auto", "none")}
HOTTEST = {"360": 1.0, "glm": 1.0}
OWN_MOST = 4096

ROLES: Mapping[str, frozenset[str]] = {
    "system": frozenset({"role", "content"}),
    "user": frozenset({"role", "content"}),
    "assistant": frozenset({"role", "content", "tool_calls", "reasoning_content"}),
    "tool": frozenset({"role", "content", "tool_call_id"}),
}
"""Which keys a message may have."""


class Refusal(Exception):
    """What 360 answers instead: HTTP status, code as a string of digits, message."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.reply = json_reply(status, {"error": {"code": code, "message": message, "type": ""}})


def bad(message: str, code: str = "1001") -> Refusal:
    return Refusal(400, code, message)


def maker(name: str) -> str:
    if re.match(r"360[^/]*$", name, re.I):
        return "360"
    found = re.search(r"(?:^|/)(deepseek|glm|doubao)[^/]*$", name, re.I)
    return found[1].lower() if found else ""


def check_chat(body: Json, model: Model) -> Ask:
    """The request as 360, or whoever it is passed on to, reads it. Raises Refusal."""
    whose = maker(model.id)
    for field in body.keys() - SHARED - MORE[whose]:
        raise bad(f"unknown parameter: {field}")
    check_numbers(body, model, whose)
    for field, kind in (("stream", bool), ("user", str), ("logprobs", bool), ("stream_options", dict)):
        if not isinstance(body.get(field, kind()), kind):
            raise bad(f"{field} has the wrong type")
    if "stream_options" in body and (not body.get("stream") or not isinstance(body["stream_options"].get("include_usage"), bool)):
        raise bad("stream_options.include_usage must be a boolean of a stream")
    check_messages(body.get("messages"), model, whose)
    tools = check_tools(body.get("tools", []), model, whose)
    if tools and body.get("stream") and whose == "360":
        raise bad("stream is not supported with tools")
    if body.get("tool_choice", "auto") not in CHOICES.get(whose, ("auto",)):
        raise bad("tool_choice is not supported")
    form = body.get("response_format", {"type": "text"})
    if not isinstance(form, dict) or form.keys() != {"type"} or form["type"] not in ("text", "json_object"):
        raise bad("response_format.type must be text or json_object")
    return Ask(
        understand(body["messages"]),
        understand_tools(tools),
        choice=body.get("tool_choice", "auto"),
        schema={} if form["type"] == "json_object" else None,
        stop=check_stop(body.get("stop", []), whose),
        most=body.get("max_tokens"),
        think=thinks(body, model),
        temperature=body.get("temperature"),
    )


def check_numbers(body: Json, model: Model, whose: str) -> None:
    most = model.output or (OWN_MOST if whose == "360" else 1 << 31)
    for field, low, high in (("max_tokens", 1, most), ("top_k", 0, 1 << 31), ("num_beams", 1, 1 << 31), ("top_logprobs", 0, 20)):
        value = body.get(field, low)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise bad(f"{field} must be an integer within [{low}, {high}]")
    if not isinstance(body.get("seed", 0), int):
        raise bad("seed must be an integer")
    floats = (
        ("temperature", 0.0, HOTTEST.get(whose, 2.0)),
        ("top_p", 0.0, 1.0),
        ("repetition_penalty", 0.0, 2.0),
        ("frequency_penalty", -2.0, 2.0),
        ("presence_penalty", -2.0, 2.0),
    )
    for field, lowest, highest in floats:
        number = body.get(field, highest)
        if isinstance(number, bool) or not isinstance(number, int | float) or not lowest <= number <= highest:
            raise bad(f"{field} must be a number within [{lowest}, {highest}]")
    if body.get("top_p") == 0 or (whose == "360" and body.get("temperature") == 0):
        raise bad("top_p and temperature must be above 0")


def check_stop(stop: Any, whose: str) -> tuple[str, ...]:
    if not isinstance(stop, list) or len(stop) > STOPS.get(whose, 0) or not all(isinstance(text, str) and text for text in stop):
        raise bad(f"stop must be a list of at most {STOPS.get(whose, 0)} strings")
    return tuple(stop)


def thinks(body: Json, model: Model) -> bool:
    """A model that always thinks wants to be told so if it is z-ai's; the others that can think do so unless told not to."""
    switch = body.get("thinking")
    if switch is not None and not isinstance(switch, dict):
        raise bad("thinking must be an object")
    if switch is not None and (switch.keys() != {"type"} or switch["type"] not in ("enabled", "disabled")):
        raise bad("thinking.type must be enabled or disabled", "1210")
    if maker(model.id) == "glm" and model.thinking == "always" and (switch or {}).get("type") != "enabled":
        raise bad("this model always thinks: thinking.type must be enabled", "1210")
    if model.thinking == "always":
        return True
    return switch is not None and switch["type"] == "enabled" and model.thinking != "none"


def check_messages(messages: Any, model: Model, whose: str) -> None:
    if not isinstance(messages, list) or not messages:
        raise bad("messages must be a list that is not empty")
    waiting: set[str] = set()
    for number, message in enumerate(messages):
        role = message.get("role") if isinstance(message, dict) else None
        if not isinstance(role, str) or role not in ROLES or message.keys() - ROLES[role]:
            raise bad(f"messages[{number}]: unknown role or key")
        if "reasoning_content" in message and whose in ("360", ""):
            raise bad(f"messages[{number}].reasoning_content is not taken")
        check_content(message.get("content"), number, model)
        if role == "tool":
            if message.get("tool_call_id") not in waiting:
                raise bad(f"messages[{number}].tool_call_id answers no call")
            waiting = waiting - {message["tool_call_id"]}
            continue
        if waiting:
            raise bad(f"messages[{number}]: a call is unanswered")
        waiting = check_calls(message.get("tool_calls", []), number)


def check_content(content: Any, number: int, model: Model) -> None:
    if isinstance(content, str):
        return
    if not isinstance(content, list) or not content:
        raise bad(f"messages[{number}].content must be text or a list of parts")
    for part in content:
        kind = part.get("type") if isinstance(part, dict) else None
        if kind == "text" and isinstance(part.get("text"), str):
            continue
        image = part.get("image_url") if kind == "image_url" and "image" in model.input else None
        if not isinstance(image, dict) or image.keys() != {"url"} or not isinstance(image["url"], str):
            raise bad(f"messages[{number}].content: the model does not take such a part")


def check_calls(calls: Any, number: int) -> set[str]:
    """The ids of the calls in a message. Raises Refusal."""
    if not isinstance(calls, list):
        raise bad(f"messages[{number}].tool_calls must be a list")
    for call in calls:
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict) or not all(
            isinstance(value, str) for value in (call.get("id"), function.get("name"), function.get("arguments"))
        ):
            raise bad(f"messages[{number}].tool_calls is malformed")
    return {call["id"] for call in calls}


def check_tools(tools: Any, model: Model, whose: str) -> list[Json]:
    if not isinstance(tools, list):
        raise bad("tools must be a list")
    if tools and model.tools is False:
        raise bad("tools: this model has none")
    for tool in tools:
        kind = tool.get("type") if isinstance(tool, dict) else None
        if kind == "web_search" and whose == "360" and isinstance(tool.get("web_search"), dict):
            continue
        function = tool.get("function") if kind == "function" else None
        if not isinstance(function, dict) or function.keys() - {"name", "description", "parameters"}:
            raise bad("tools: unknown kind of tool, or key of a function")
        if not isinstance(function.get("name"), str) or not re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", function["name"]):
            raise bad("tools.function.name is malformed")
        if not isinstance(function.get("description", ""), str) or not isinstance(function.get("parameters", {}), dict):
            raise bad("tools.function: description must be text, parameters a JSON schema")
    return tools
