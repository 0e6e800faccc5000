"""What a preset's vendor refuses in a request, field by field. Each check tells what is wrong, or "". See preset_simulator.py."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from providers.base import Json, Model
from providers.preset import Answers, Choice, Clamp, Efforts, Functions, JsonMode, MostTokens, OneOf, Only, Stops


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def is_stop(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, list) and all(isinstance(word, str) for word in value))


TYPES: Mapping[str, Callable[[Any], bool]] = {
    "stream": lambda value: isinstance(value, bool),
    "seed": is_count,
    "n": lambda value: is_count(value) and 1 <= value <= 128,
    "user": lambda value: isinstance(value, str),
    "stop": is_stop,
    "logprobs": lambda value: isinstance(value, bool),
    "top_logprobs": is_count,
    "top_k": is_count,
    "temperature": is_number,
    "top_p": is_number,
    "frequency_penalty": lambda value: is_number(value) and -2 <= value <= 2,
    "presence_penalty": lambda value: is_number(value) and -2 <= value <= 2,
    "parallel_tool_calls": lambda value: isinstance(value, bool),
    "tools": lambda value: not check_tools(value, Functions(("name", "description", "parameters", "strict"))),
    "tool_choice": lambda value: not check_choice(value, Choice(("auto", "none", "required"), named=True)),
    "response_format": lambda value: not check_form(value, "schema"),
}
"""Of fields that a preset calls native, those whose type is known."""


def check_field(field: str, value: Any, said: Any, model: Model) -> str:
    match said:
        case Clamp():
            return check_span(value, said)
        case MostTokens():
            most = model.output or said.high or value
            return "" if is_count(value) and said.low <= value <= most else "is not within the model's limits"
        case OneOf():
            return "" if value in said.one_of else "is not one of the values there are"
        case Stops():
            return "" if is_stop(value) and isinstance(value, list) and len(value) <= said.stops else "too many, or no list of strings"
        case Answers():
            return "" if is_count(value) and 1 <= value <= said.answers else "is more than the answers there are"
        case Functions():
            return check_tools(value, said)
        case Choice():
            return check_choice(value, said)
        case JsonMode():
            return check_form(value, model.json or said.json_mode)
        case Efforts():
            return check_effort(field, value, said, model)
    check = TYPES.get(field)
    return "" if check is None or check(value) else "has the wrong type or value"


def check_span(value: Any, said: Clamp) -> str:
    low, high = said.clamp
    within = is_number(value) and (low is None or value >= low) and (high is None or value <= high)
    return "" if within else f"is not within {list(said.clamp)}"


def check_effort(field: str, value: Any, said: Efforts, model: Model) -> str:
    if model.thinking == "none" and (field != said.switch or value == said.enabled):
        return "the model does not think"
    if field == said.switch:
        return "" if isinstance(value, type(said.enabled)) and not (model.thinking == "always" and value == said.disabled) else "wrong"
    return "" if value in said.efforts.values() else "is not one of the efforts there are"


def check_tools(tools: Any, said: Functions) -> str:
    if not isinstance(tools, list) or not tools or len(tools) > 128:
        return "is not a list of 1 to 128 tools"
    for tool in tools:
        kind = tool.get("type") if isinstance(tool, dict) else None
        if kind == "function":
            function = tool.get("function")
            if not isinstance(function, dict) or function.keys() - set(said.functions):
                return "a function has a key that is not known"
            name, parameters = function.get("name"), function.get("parameters", {})
            if not isinstance(name, str) or not re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", name) or not is_schema(parameters):
                return "a function is malformed"
            if not isinstance(function.get("description", ""), str) or (said.filled and function.keys() != set(said.functions)):
                return "a function is not whole"
        elif kind not in said.kinds:
            return "there is no such kind of tool"
    return ""


def is_schema(value: Any, depth: int = 0) -> bool:
    """Whether a value has the shape of a JSON schema, as far as anyone here looks at it."""
    if not isinstance(value, dict) or depth > 32:
        return False
    return all(SHAPES[key](part, depth + 1) for key, part in value.items() if key in SHAPES)


def _schemas(value: Any, depth: int) -> bool:
    return isinstance(value, list) and bool(value) and all(is_schema(part, depth) for part in value)


def _named(value: Any, depth: int) -> bool:
    return isinstance(value, dict) and all(is_schema(part, depth) for part in value.values())


def _words(value: Any, depth: int) -> bool:
    return isinstance(value, list) and all(isinstance(word, str) for word in value)


def _size(value: Any, depth: int) -> bool:
    return is_count(value) and 0 <= value <= 1000


SHAPES: Mapping[str, Callable[[Any, int], bool]] = {
    "type": lambda value, depth: isinstance(value, str) or _words(value, depth),
    "enum": lambda value, depth: isinstance(value, list) and bool(value),
    "required": _words,
    "properties": _named,
    "$defs": _named,
    "items": is_schema,
    "anyOf": _schemas,
    "oneOf": _schemas,
    "allOf": _schemas,
    "$ref": lambda value, depth: isinstance(value, str),
    "format": lambda value, depth: isinstance(value, str),
    "minItems": _size,
    "minLength": _size,
    "maxLength": _size,
    "minimum": lambda value, depth: is_number(value),
    "maximum": lambda value, depth: is_number(value),
}


def check_choice(choice: Any, said: Choice) -> str:
    if isinstance(choice, str):
        return "" if choice in said.choice else f"is not one of {', '.join(said.choice)}"
    function = choice.get("function") if isinstance(choice, dict) and choice.get("type") == "function" else None
    return "" if said.named and isinstance(function, dict) and isinstance(function.get("name"), str) else "cannot name a function"


def check_form(form: Any, able: str) -> str:
    kinds = {"none": ("text",), "object": ("text", "json_object")}.get(able, ("text", "json_object", "json_schema"))
    kind = form.get("type") if isinstance(form, dict) else None
    if kind not in kinds:
        return f"type is not one of {', '.join(kinds)}"
    if kind == "json_schema":
        told = form.get("json_schema")
        return "" if isinstance(told, dict) and is_schema(told.get("schema", {})) else "is not a JSON schema"
    return ""


# ---- messages ----


def check_messages(messages: Any, said: Only | None, model: Model, *, think: bool) -> str:
    if not isinstance(messages, list) or not messages:
        return "is not a list of messages"
    roles = {"system", "developer", "user", "assistant", "tool"} - (said.role.keys() if said else set())
    waiting: set[str] = set()
    for number, message in enumerate(messages):
        if not isinstance(message, dict) or not isinstance(message.get("role"), str) or message["role"] not in roles:
            return f"[{number}] has no role that is known"
        wrong = (
            (check_message(message, number, said, think=think) if said else "")
            or check_content(message, said, model)
            or check_calls(message)
        )
        if wrong:
            return f"[{number}] {wrong}"
        if message["role"] == "tool":
            if not isinstance(message.get("tool_call_id"), str) or message["tool_call_id"] not in waiting:
                return f"[{number}] answers no call"
            waiting = waiting - {message["tool_call_id"]}
            continue
        if waiting:
            return f"[{number}] comes before all calls are answered"
        waiting = {call["id"] for call in message.get("tool_calls") or ()}
    return "a call is unanswered" if waiting else ""


def check_message(message: Json, number: int, said: Only, *, think: bool) -> str:
    if message.keys() - set(said.only):
        return f"has keys that are not known: {', '.join(sorted(message.keys() - set(said.only)))}"
    if said.merge_systems and message["role"] == "system" and number:
        return "is a system message that is not the first"
    if said.filled_reasoning and think and message["role"] == "assistant" and not message.get("reasoning_content"):
        return "lacks its reasoning_content, which must be passed back"
    return ""


def check_content(message: Json, said: Only | None, model: Model) -> str:
    content = message.get("content")
    if isinstance(content, str):
        return ""
    if content is None:
        able = message["role"] == "assistant" and bool(message.get("tool_calls")) and not (said and said.no_null_content)
        return "" if able else "has no content"
    if not isinstance(content, list) or not content:
        return "has content that is neither text nor parts"
    for part in content:
        kind = part.get("type") if isinstance(part, dict) else None
        if not isinstance(kind, str) or (said and said.parts and kind not in said.parts) or not isinstance(part.get(kind), str | dict):
            return "has a part that is not known"
        if kind == "text" and not isinstance(part["text"], str):
            return "has text that is none"
        if kind == "image_url" and wrong_image(part["image_url"], said, model):
            return "has an image that cannot be read"
    return ""


def wrong_image(image: Any, said: Only | None, model: Model) -> bool:
    extra = {"url"} if said and said.parts.get("image_url") == "image_without_detail" else {"url", "detail"}
    return "image" not in model.input or not isinstance(image, dict) or bool(image.keys() - extra) or not isinstance(image.get("url"), str)


def check_calls(message: Json) -> str:
    calls = message.get("tool_calls") or []
    if not isinstance(calls, list):
        return "has tool_calls that are no list"
    for call in calls:
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict):
            return "has a malformed call"
        if not all(isinstance(value, str) for value in (call.get("id"), function.get("name"), function.get("arguments"))):
            return "has a malformed call"
    return ""
