"""What the fields of OpenAI's requests may hold, as its OpenAPI document 2.3.0 and its error messages say: checks of single values."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from providers.base import Json
from providers.openai.simulator_schemas import check_schema

NAMES = {str: "a string", bool: "a boolean", int: "an integer", float: "a decimal", list: "an array", dict: "an object", type(None): "null"}
MOST_TOOLS = 128


class Refusal(Exception):
    """HTTP status, and what the error says."""

    def __init__(
        self, status: int, message: str, *, code: str | None = None, param: str | None = None, kind: str = "invalid_request_error"
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.param = param
        self.kind = kind


def bad(message: str, param: str | None = None, code: str | None = None) -> Refusal:
    return Refusal(400, message, param=param, code=code)


Check = Callable[[Any, str], None]


def wrong_type(path: str, expected: str, value: Any) -> Refusal:
    got = NAMES.get(type(value), "an unsupported type")
    return bad(f"Invalid type for '{path}': expected {expected}, but got {got} instead.", path, "invalid_type")


def of(kind: type, expected: str) -> Check:
    def check(value: Any, path: str) -> None:
        if not isinstance(value, kind):
            raise wrong_type(path, expected, value)

    return check


text, boolean, obj = of(str, "a string"), of(bool, "a boolean"), of(dict, "an object")


def number(low: float, high: float, *, whole: bool = False) -> Check:
    kind, word = (int, "integer") if whole else (int | float, "decimal")

    def check(value: Any, path: str) -> None:
        if isinstance(value, bool) or not isinstance(value, kind):
            raise wrong_type(path, "an integer" if whole else "a decimal", value)
        if value < low:
            raise bad(
                f"Invalid '{path}': {word} below minimum value. Expected a value >= {low}, but got {value} instead.",
                path,
                f"{word}_below_min_value",
            )
        if value > high:
            raise bad(
                f"Invalid '{path}': {word} above maximum value. Expected a value <= {high}, but got {value} instead.",
                path,
                f"{word}_above_max_value",
            )

    return check


def one_of(*words: str) -> Check:
    def check(value: Any, path: str) -> None:
        text(value, path)
        if value not in words:
            known = ", ".join(f"'{word}'" for word in words)
            raise bad(f"Invalid value: '{value}'. Supported values are: {known}.", path, "invalid_value")

    return check


def short(most: int) -> Check:
    def check(value: Any, path: str) -> None:
        text(value, path)
        if len(value) > most:
            message = (
                f"Invalid '{path}': string too long. Expected a string with maximum length {most}, but got one of {len(value)} instead."
            )
            raise bad(message, path, "string_above_max_length")

    return check


def array(item: Check, *, most: int = 0, least: int = 1) -> Check:
    def check(value: Any, path: str) -> None:
        if not isinstance(value, list):
            raise wrong_type(path, "an array", value)
        if len(value) < least:
            raise bad(
                f"Invalid '{path}': empty array. Expected an array with minimum length {least}, but got an empty array instead.",
                path,
                "empty_array",
            )
        if most and len(value) > most:
            message = (
                f"Invalid '{path}': array too long. Expected an array with maximum length {most}, but got one of {len(value)} instead."
            )
            raise bad(message, path, "array_above_max_length")
        for index, one in enumerate(value):
            item(one, f"{path}[{index}]")

    return check


def keys(table: Mapping[str, Check], *required: str) -> Check:
    """An object with those keys and no others; null is the same as leaving a key out."""

    def check(value: Any, path: str) -> None:
        obj(value, path)
        for key in required:
            if value.get(key) is None:
                raise bad(f"Missing required parameter: '{path}.{key}'.", f"{path}.{key}", "missing_required_parameter")
        for key, one in value.items():
            if key not in table:
                raise bad(f"Unknown parameter: '{path}.{key}'.", f"{path}.{key}", "unknown_parameter")
            if one is not None:
                table[key](one, f"{path}.{key}")

    return check


def stop(value: Any, path: str) -> None:
    if not isinstance(value, str):
        array(text, most=4)(value, path)


def biases(value: Any, path: str) -> None:
    obj(value, path)
    for token, bias in value.items():
        if not token.isdigit():
            raise bad(f"Invalid key in '{path}': {token}. You should only be submitting non-negative integers.", path, "invalid_value")
        number(-100, 100)(bias, f"{path}.{token}")


def metadata(value: Any, path: str) -> None:
    obj(value, path)
    if len(value) > 16:
        raise bad(
            f"Invalid '{path}': too many properties. Expected an object with at most 16 properties.", path, "object_above_max_properties"
        )
    for key, one in value.items():
        short(64)(key, path)
        short(512)(one, f"{path}.{key}")


def function_name(value: Any, path: str) -> None:
    short(64)(value, path)
    if not re.fullmatch(r"[a-zA-Z0-9_-]+", value):
        raise bad(
            f"Invalid '{path}': string does not match pattern. Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'.",
            path,
            "invalid_value",
        )


FUNCTION = keys({"name": function_name, "description": text, "parameters": obj, "strict": boolean}, "name")
CUSTOM = keys({"name": function_name, "description": text, "format": obj}, "name")
NAMED = keys({"name": text}, "name")
ALLOWED = keys({"mode": one_of("auto", "required"), "tools": array(obj)}, "mode", "tools")


def tool(value: Any, path: str) -> None:
    obj(value, path)
    one_of("function", "custom")(value.get("type"), f"{path}.type")
    keys({"type": text, value["type"]: FUNCTION if value["type"] == "function" else CUSTOM}, value["type"])(value, path)
    function = value.get("function") or {}
    if function.get("strict"):
        check_schema(
            function.get("parameters") or {},
            f"function '{function['name']}'",
            f"{path}.function.parameters",
            "invalid_function_parameters",
            bad,
        )
    elif function.get("parameters", {}).get("type", "object") != "object":
        message = f"Invalid schema for function '{function['name']}': schema must be a JSON Schema of 'type: \"object\"'."
        raise bad(message, f"{path}.function.parameters", "invalid_function_parameters")


def tool_choice(value: Any, path: str) -> None:
    if isinstance(value, str):
        return one_of("none", "auto", "required")(value, path)
    obj(value, path)
    one_of("function", "custom", "allowed_tools")(value.get("type"), f"{path}.type")
    keys({"type": text, value["type"]: ALLOWED if value["type"] == "allowed_tools" else NAMED}, value["type"])(value, path)
    return None


def response_format(value: Any, path: str) -> None:
    obj(value, path)
    one_of("text", "json_object", "json_schema")(value.get("type"), f"{path}.type")
    named = keys({"name": function_name, "description": text, "schema": obj, "strict": boolean}, "name")
    keys(
        {"type": text, **({"json_schema": named} if value["type"] == "json_schema" else {})},
        *(["json_schema"] if value["type"] == "json_schema" else ()),
    )(value, path)
    asked = value.get("json_schema") or {}
    if asked.get("strict"):
        check_schema(asked.get("schema") or {}, f"response_format '{asked['name']}'", path, None, bad)


VALUES: Mapping[str, Check] = {
    "audio": keys({"voice": lambda value, path: None, "format": one_of("wav", "aac", "mp3", "flac", "opus", "pcm16")}, "voice", "format"),
    "frequency_penalty": number(-2, 2), "presence_penalty": number(-2, 2), "temperature": number(0, 2), "top_p": number(0, 1),
    "functions": array(FUNCTION, most=MOST_TOOLS), "logit_bias": biases, "logprobs": boolean, "top_logprobs": number(0, 20, whole=True),
    "max_completion_tokens": number(1, 1 << 31, whole=True), "max_tokens": number(1, 1 << 31, whole=True), "metadata": metadata,
    "modalities": array(one_of("text", "audio")), "n": number(1, 128, whole=True), "parallel_tool_calls": boolean,
    "prediction": keys({"type": one_of("content"), "content": lambda value, path: None}, "type", "content"), "prompt_cache_key": text,
    "prompt_cache_retention": one_of("in_memory", "24h"), "prompt_cache_options": obj, "moderation": obj,
    "reasoning_effort": one_of("none", "minimal", "low", "medium", "high", "xhigh", "max"), "response_format": response_format,
    "safety_identifier": short(128), "seed": number(-(1 << 63), (1 << 63) - 1, whole=True),
    "service_tier": one_of("auto", "default", "flex", "scale", "priority", "fast"), "stop": stop, "store": boolean, "stream": boolean,
    "stream_options": keys({"include_usage": boolean, "include_obfuscation": boolean}), "tool_choice": tool_choice,
    "tools": array(tool, most=MOST_TOOLS), "user": text, "verbosity": one_of("low", "medium", "high"), "web_search_options": obj,
    "dimensions": number(1, 1 << 31, whole=True), "encoding_format": one_of("float", "base64"),
}  # fmt: skip


def check_values(body: Json) -> Json:
    """The body without nulls, each known field of the right form."""
    given = {field: value for field, value in body.items() if value is not None}
    for field, value in given.items():
        if field in VALUES:
            VALUES[field](value, field)
    return given
