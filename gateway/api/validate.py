"""Requests checked as OpenAI checks them: 400 naming the field. By table, and once, so that no adapter asks again.

A known field of the wrong type, or out of OpenAI's range, is refused. A null is the same as leaving the field out. A field OpenAI does not
know is a vendor's, and goes on to the adapters.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from gateway.api.wire import Refusal
from providers.base import Json

Check = Callable[[Any, str], None]
"""(value, the field's path) → Refusal raised or nothing."""

NAMES = {str: "a string", bool: "a boolean", int: "an integer", float: "a number", list: "an array", dict: "an object", type(None): "null"}


def invalid(path: str, message: str, code: str) -> Refusal:
    return Refusal(400, message, param=path, code=code)


def wrong_type(path: str, expected: str, value: Any) -> Refusal:
    return invalid(
        path, f"Invalid type for '{path}': expected {expected}, but got {NAMES.get(type(value), 'something else')}.", "invalid_type"
    )


def missing(path: str) -> Refusal:
    return invalid(path, f"Missing required parameter: '{path}'.", "missing_required_parameter")


def empty(path: str, what: str) -> Refusal:
    return invalid(path, f"Invalid '{path}': {what} must not be empty.", "empty_array" if what == "the array" else "empty_string")


# ---- checks of single values ----


def string(value: Any, path: str) -> None:
    if not isinstance(value, str):
        raise wrong_type(path, "a string", value)


def boolean(value: Any, path: str) -> None:
    if not isinstance(value, bool):
        raise wrong_type(path, "a boolean", value)


def obj(value: Any, path: str) -> None:
    if not isinstance(value, dict):
        raise wrong_type(path, "an object", value)


def number(low: float, high: float) -> Check:
    def check(value: Any, path: str) -> None:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise wrong_type(path, "a number", value)
        _within(value, low, high, path, "decimal")

    return check


def integer(low: int | None = None, high: int | None = None) -> Check:
    def check(value: Any, path: str) -> None:
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise wrong_type(path, "an integer", value)
        _within(value, low, high, path, "integer")

    return check


def _within(value: float, low: float | None, high: float | None, path: str, what: str) -> None:
    if low is not None and value < low:
        message = f"Invalid '{path}': {what} below minimum value. Expected a value >= {low}, but got {shown(value)} instead."
        raise invalid(path, message, f"{what}_below_min_value")
    if high is not None and value > high:
        message = f"Invalid '{path}': {what} above maximum value. Expected a value <= {high}, but got {shown(value)} instead."
        raise invalid(path, message, f"{what}_above_max_value")


def shown(value: float) -> str:
    """A number as a message tells it; JSON has some with thousands of digits."""
    text = str(value)
    return text if len(text) <= 40 else f"{text[:20]}… ({len(text)} digits)"


def one_of(*allowed: str) -> Check:
    def check(value: Any, path: str) -> None:
        string(value, path)
        if value not in allowed:
            known = ", ".join(f"'{word}'" for word in allowed)
            raise invalid(path, f"Invalid value: '{value[:100]}'. Supported values for '{path}' are: {known}.", "invalid_value")

    return check


def array(of: Check, *, least: int = 0, most: int = 0) -> Check:
    usual = {dict} if of is obj else {str} if of is string else None

    def check(value: Any, path: str) -> None:
        if not isinstance(value, list):
            raise wrong_type(path, "an array", value)
        if len(value) < least:
            raise empty(path, "the array")
        if most and len(value) > most:
            message = f"Invalid '{path}': array too long. Expected at most {most} entries, but got {len(value)} instead."
            raise invalid(path, message, "array_above_max_length")
        if usual is not None and {*map(type, value)} == usual:  # a conversation may have thousands of messages
            return
        for index, item in enumerate(value):
            of(item, f"{path}[{index}]")

    return check


def fields(table: Mapping[str, Check], *, required: tuple[str, ...] = ()) -> Check:
    """An object whose known fields are right; others are let through."""

    def check(value: Any, path: str) -> None:
        obj(value, path)
        for name in required:
            if value.get(name) is None:
                raise missing(f"{path}.{name}")
        for name, item in value.items():
            if item is not None and name in table:
                table[name](item, f"{path}.{name}")

    return check


def stop(value: Any, path: str) -> None:
    if not isinstance(value, str):
        array(string, most=4)(value, path)


def either(*checks: Check) -> Check:
    """A string where the first check is of strings, or else what the second wants."""

    def check(value: Any, path: str) -> None:
        checks[0 if isinstance(value, str) else 1](value, path)

    return check


# ---- chat ----


def tool_name(value: Any, path: str) -> None:
    string(value, path)
    if not TOOL_NAME.fullmatch(value):
        raise invalid(path, f"Invalid '{path}': a name has 1 to 64 letters, digits, underscores and dashes.", "invalid_value")


TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
function = fields({"name": tool_name, "description": string, "parameters": obj, "strict": boolean}, required=("name",))


def tool(value: Any, path: str) -> None:
    obj(value, path)
    if not isinstance(value.get("type"), str):
        raise missing(f"{path}.type")
    if value["type"] == "function":
        fields({"function": function}, required=("function",))(value, path)


def tool_named(value: Any, path: str) -> None:
    """A tool of `allowed_tools`: its name is enough."""
    fields({"type": string, "function": fields({"name": string}, required=("name",))}, required=("type",))(value, path)
    if value["type"] == "function" and value.get("function") is None:
        raise missing(f"{path}.function")


def tool_choice(value: Any, path: str) -> None:
    if isinstance(value, str):
        return one_of("none", "auto", "required")(value, path)
    fields({"type": string}, required=("type",))(value, path)
    kind = value["type"]
    if kind in ("function", "custom"):
        fields({kind: fields({"name": string}, required=("name",))}, required=(kind,))(value, path)
    elif kind == "allowed_tools":
        allowed = fields({"mode": one_of("auto", "required"), "tools": array(tool_named, least=1)}, required=("mode", "tools"))
        fields({kind: allowed}, required=(kind,))(value, path)
    else:
        raise invalid(
            f"{path}.type", f"Invalid value: '{kind[:100]}'. Supported values are: 'function', 'custom', 'allowed_tools'.", "invalid_value"
        )
    return None


def response_format(value: Any, path: str) -> None:
    fields({"type": one_of("text", "json_object", "json_schema")}, required=("type",))(value, path)
    if value["type"] == "json_schema":
        named = fields({"name": string, "schema": obj, "strict": boolean, "description": string}, required=("name",))
        fields({"json_schema": named}, required=("json_schema",))(value, path)


LONGEST_NAME = 256
LONGEST_IDENTIFIER = 64
MOST_TOKENS = 2**31 - 1
"""No model has as many of anything: what is larger could not be added up, and vendors could not read it."""


def model_name(value: Any, path: str) -> None:
    """Names are remembered and told again: so they are of a sane length."""
    string(value, path)
    if len(value) > LONGEST_NAME:
        raise invalid(path, f"Invalid '{path}': a name has at most {LONGEST_NAME} characters.", "string_above_max_length")


def identifier(value: Any, path: str) -> None:
    """Of an end user, as long as OpenAI takes it: it is told again."""
    string(value, path)
    if len(value) > LONGEST_IDENTIFIER:
        raise invalid(path, f"Invalid '{path}': it has at most {LONGEST_IDENTIFIER} characters.", "string_above_max_length")


CHAT: Mapping[str, Check] = {
    "model": model_name,
    "messages": array(obj, least=1),
    "temperature": number(0, 2),
    "top_p": number(0, 1),
    "n": integer(1, 128),
    "stream": boolean,
    "stream_options": fields({"include_usage": boolean, "include_obfuscation": boolean}),
    "stop": stop,
    "max_tokens": integer(1, MOST_TOKENS),
    "max_completion_tokens": integer(1, MOST_TOKENS),
    "presence_penalty": number(-2, 2),
    "frequency_penalty": number(-2, 2),
    "logit_bias": obj,
    "logprobs": boolean,
    "top_logprobs": integer(0, 20),
    "user": string,
    "seed": integer(-(2**63), 2**63 - 1),
    "tools": array(tool, most=128),
    "tool_choice": tool_choice,
    "parallel_tool_calls": boolean,
    "functions": array(function, least=1, most=128),
    "function_call": either(one_of("none", "auto"), fields({"name": string}, required=("name",))),
    "response_format": response_format,
    "store": boolean,
    "metadata": obj,
    "modalities": array(string),
    "audio": obj,
    "prediction": obj,
    "reasoning_effort": one_of("none", "minimal", "low", "medium", "high", "xhigh", "max"),
    "service_tier": one_of("auto", "default", "flex", "scale", "priority", "fast", "ultrafast"),
    "verbosity": string,
    "web_search_options": obj,
    "prompt_cache_key": string,
    "safety_identifier": identifier,
}

ROLES = ("system", "developer", "user", "assistant", "tool", "function")
role = one_of(*ROLES)
PART: Mapping[str, Check] = {
    "text": fields({"text": string}, required=("text",)),
    "image_url": fields({"image_url": fields({"url": string, "detail": string}, required=("url",))}, required=("image_url",)),
    "input_audio": fields({"input_audio": fields({"data": string, "format": string}, required=("data",))}, required=("input_audio",)),
    "file": fields({"file": obj}, required=("file",)),
    "refusal": fields({"refusal": string}, required=("refusal",)),
}
call = fields({"id": string, "function": fields({"name": string, "arguments": string}, required=("name", "arguments"))}, required=("id",))


def chat(body: Json) -> Json:
    """The request without nulls. Raises Refusal(400)."""
    body = known(body, CHAT, required=("model", "messages"))
    pending: set[str] = set()
    for index, message in enumerate(body["messages"]):
        said, content = message.get("role"), message.get("content")
        if content.__class__ is str and len(message) == _PLAIN and said.__class__ is str and said in _SPEAKERS and not pending:
            continue
        pending = _message(message, f"messages[{index}]", pending)
    if pending:
        raise _unanswered(f"messages[{len(body['messages']) - 1}]", pending)
    if body.get("stream_options") and not body.get("stream"):
        raise invalid("stream_options", "The 'stream_options' parameter is only allowed when 'stream' is enabled.", "invalid_value")
    return body


_PLAIN = len(("role", "content"))
_SPEAKERS = {"system", "developer", "user", "assistant"}


def _message(message: Json, path: str, pending: set[str]) -> set[str]:
    """Checks one message; gives the ids of calls that are still to be answered after it."""
    said = message.get("role")
    if said is None:
        raise missing(f"{path}.role")
    role(said, f"{path}.role")
    content = message.get("content")
    if content is None:
        if said != "assistant":
            raise missing(f"{path}.content")
    elif not isinstance(content, str):
        array(_part, least=1)(content, f"{path}.content")
    if said == "tool":
        call_id = message.get("tool_call_id")
        if call_id is None:
            raise missing(f"{path}.tool_call_id")
        string(call_id, f"{path}.tool_call_id")
        if call_id not in pending:
            text = "Messages with role 'tool' must answer a call in 'tool_calls' of the assistant's message before them."
            raise invalid(f"{path}.role", f"Invalid parameter: {text}", "invalid_value")
        pending.discard(call_id)
        return pending
    if pending:
        raise _unanswered(path, pending)
    if called := message.get("function_call"):
        fields({"name": string, "arguments": string}, required=("name", "arguments"))(called, f"{path}.function_call")
    if calls := message.get("tool_calls"):
        array(call)(calls, f"{path}.tool_calls")
        return {item["id"] for item in calls}
    return set()


def _part(part: Any, path: str) -> None:
    obj(part, path)
    kind = part.get("type")
    if kind is None:
        raise missing(f"{path}.type")
    string(kind, f"{path}.type")
    if kind in PART:
        PART[kind](part, path)


def _unanswered(path: str, pending: set[str]) -> Refusal:
    calls = ", ".join(sorted(pending))[:500]
    text = f"An assistant message with 'tool_calls' must be followed by a tool message for each of them; unanswered: {calls}."
    return invalid(path, text, "invalid_value")


# ---- embeddings ----

EMBEDDINGS: Mapping[str, Check] = {
    "model": model_name,
    "encoding_format": one_of("float", "base64"),
    "dimensions": integer(1, MOST_TOKENS),
    "user": string,
}
MOST_INPUTS = 2048


def embeddings(body: Json) -> Json:
    """The request without nulls; `input` is still in whichever of its four forms it came. Raises Refusal(400)."""
    body = known(body, EMBEDDINGS, required=("model", "input"))
    given = body["input"]
    if isinstance(given, str):
        if not given:
            raise empty("input", "the string")
        return body
    if not isinstance(given, list):
        raise wrong_type("input", "a string or an array", given)
    if not given:
        raise empty("input", "the array")
    first = type(given[0])
    if first is int:
        token_list(given, "input")
        return body
    if len(given) > MOST_INPUTS:
        raise invalid("input", f"Invalid 'input': at most {MOST_INPUTS} inputs are taken, but got {len(given)}.", "array_above_max_length")
    array(_text if first is str else token_list)(given, "input")
    return body


def token_list(value: Any, path: str) -> None:
    """A list of tokens, of which there may be hundreds of thousands."""
    if value.__class__ is list and value and {*map(type, value)} == {int} and min(value) >= 0:
        return
    array(token, least=1)(value, path)  # says which one is wrong


def token(value: Any, path: str) -> None:
    if value.__class__ is not int:
        raise wrong_type(path, "an integer", value)
    _within(value, 0, None, path, "integer")


def _text(value: Any, path: str) -> None:
    string(value, path)
    if not value:
        raise empty(path, "the string")


INTEGERS = frozenset({"n", "max_tokens", "max_completion_tokens", "top_logprobs", "seed", "dimensions"})
"""Fields in which 5.0 is meant as 5: JSON does not tell them apart, but some vendors do."""


def known(body: Json, table: Mapping[str, Check], *, required: tuple[str, ...]) -> Json:
    """The body without nulls, its known fields checked."""
    for name in required:
        if body.get(name) is None:
            raise missing(name)
    odd = False
    for name, value in body.items():
        if value is None:
            odd = True
        elif (check := table.get(name)) is not None:
            check(value, name)
            odd = odd or (value.__class__ is float and name in INTEGERS)
    if not odd:
        return body
    return {name: int(value) if name in INTEGERS else value for name, value in body.items() if value is not None}
