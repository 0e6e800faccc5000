"""How SenseNova's simulated surfaces read a request: what each field may be, and the refusal where it is not.

A refusal is a status, one of the vendor's codes and a message; each surface puts it into its own envelope.
"""

import binascii
import re
from base64 import b64decode
from collections.abc import Callable, Mapping
from typing import Any

from providers.base import Json, Model
from providers.simulation import UNSAFE_INPUT, UNSAFE_OUTPUT, Message, Request, World, count, read_body

Check = Callable[[Any], bool]

IMAGES = 6


class Refusal(Exception):
    """What SenseNova answers instead."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


def bad(message: str) -> Refusal:
    return Refusal(400, 3, message)


def no_path() -> Refusal:
    return Refusal(404, 5, "the requested path does not exist")


# ---- single values ----


def text(value: Any) -> bool:
    return isinstance(value, str)


def name(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", value) is not None


def address(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"https?://[^/\s]+(/\S*)?", value) is not None


def flag(value: Any) -> bool:
    return isinstance(value, bool)


def thing(value: Any) -> bool:
    return isinstance(value, dict)


def anything(value: Any) -> bool:
    """For what is checked where it is read."""
    return True


def texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def whole(low: int, high: int) -> Check:
    return lambda value: type(value) is int and low <= value <= high


def number(low: float, high: float) -> Check:
    return lambda value: type(value) in (int, float) and low <= value <= high


def above(low: float, high: float) -> Check:
    return lambda value: type(value) in (int, float) and low < value <= high


def inside(low: float, high: float) -> Check:
    return lambda value: type(value) in (int, float) and low < value < high


def decimals(most: int, check: Check) -> Check:
    return lambda value: check(value) and round(value, most) == value


def equals(wanted: Any) -> Check:
    return lambda value: bool(value == wanted)


def one_of(*wanted: str) -> Check:
    return lambda value: value in wanted


def exactly(**table: Check) -> Check:
    """An object with the keys of the table, each of them right."""
    return lambda value: isinstance(value, dict) and value.keys() == table.keys() and all(table[k](item) for k, item in value.items())


def some_of(**table: Check) -> Check:
    """An object with no keys but those of the table, each of them right."""
    return lambda value: isinstance(value, dict) and value.keys() <= table.keys() and all(table[k](item) for k, item in value.items())


# ---- the request ----


def read(request: Request) -> Json:
    body = read_body(request)
    if body is None:
        raise bad("the request body is not a JSON object")
    return {field: value for field, value in body.items() if value is not None}


def served(world: World, body: Json, surface: str, kind: str) -> Model:
    """The model asked for. Names are case-sensitive."""
    wanted = body.get("model")
    if not isinstance(wanted, str) or not wanted:
        raise bad("model is required")
    model = world.models.get(wanted)
    if model is None or model.kind != kind or (model.surfaces and surface not in model.surfaces):
        raise Refusal(404, 5, "model is not found")
    return model


def served_names(world: World, surface: str) -> list[str]:
    return [model.id for model in world.models.values() if not model.surfaces or surface in model.surfaces]


def check_fields(body: Json, table: Mapping[str, Check], *, unknown: str = "unknown field {}") -> None:
    for field, value in body.items():
        if field not in table:
            raise bad(unknown.format(field))
        if not table[field](value):
            raise bad(f"invalid value of {field}")


def check_safety(messages: tuple[Message, ...]) -> bool:
    """Whether the answer will be unsafe. Refuses a question that is."""
    said = "".join(message.text for message in messages)
    if UNSAFE_INPUT in said:
        raise Refusal(400, 18, "the input contains sensitive content")
    return UNSAFE_OUTPUT in said


def tokens(messages: tuple[Message, ...]) -> int:
    return sum(count(message.text) for message in messages)


# ---- messages ----

KEYS: Mapping[str, frozenset[str]] = {
    "system": frozenset({"role", "content"}),
    "user": frozenset({"role", "content"}),
    "assistant": frozenset({"role", "content", "tool_calls"}),
    "tool": frozenset({"role", "content", "tool_call_id"}),
}


def check_messages(value: Any, check_user: Callable[[Any], None]) -> list[Json]:
    """One system message and that first, a user's or a tool's word last, and a tool's word only for a call that was made."""
    if not isinstance(value, list) or not value:
        raise bad("messages is required")
    called: set[str] = set()
    for place, message in enumerate(value):
        role = message.get("role") if isinstance(message, dict) else None
        if not isinstance(role, str) or role not in KEYS:
            raise bad(f"messages[{place}]: invalid role")
        if unknown := message.keys() - KEYS[role]:
            raise bad(f"messages[{place}]: unknown field {min(unknown)}")
        if role == "system" and place:
            raise bad(f"messages[{place}]: a system message must be the first and the only one")
        if role == "user":
            check_user(message.get("content"))
        elif not isinstance(message.get("content"), str):
            raise bad(f"messages[{place}]: content must be a string")
        if role == "tool" and not (isinstance(message.get("tool_call_id"), str) and message["tool_call_id"] in called):
            raise bad(f"messages[{place}]: tool_call_id answers no tool call")
        if "tool_calls" in message:
            check_calls(message["tool_calls"])
            called |= {call["id"] for call in message["tool_calls"]}
    if value[-1]["role"] not in ("user", "tool"):
        raise bad("the last message must be of role user or tool")
    return value


call = exactly(id=text, type=equals("function"), function=exactly(name=name, arguments=text))


def check_calls(value: Any) -> None:
    if not isinstance(value, list) or not value or not all(map(call, value)):
        raise bad("invalid tool_calls")


def base64_text(value: Any) -> bool:
    try:
        return isinstance(value, str) and len(b64decode(value, validate=True)) > 0
    except (binascii.Error, ValueError):
        return False


PARTS: Mapping[str, tuple[str, Check]] = {
    "text": ("text", text),
    "image_url": ("image", address),
    "image_base64": ("image", base64_text),
    "video_url": ("video", address),
    "video_base64": ("video", base64_text),
}
"""The input a model must take for it, and what its value may be. Files cannot be uploaded here, so no id of one is right."""


def check_own_content(model: Model) -> Callable[[Any], None]:
    """Models that see want a list of parts in SenseNova's form, the others a string."""

    def check(content: Any) -> None:
        if "image" not in model.input:
            if not isinstance(content, str):
                raise bad("content must be a string")
            return
        if not isinstance(content, list) or not content:
            raise bad("content must be a list of parts")
        for part in content:
            kind = part.get("type") if isinstance(part, dict) else None
            if not isinstance(kind, str) or kind not in PARTS or PARTS[kind][0] not in model.input:
                raise bad("invalid type of content")
            if part.keys() != {"type", kind} or not PARTS[kind][1](part[kind]):
                raise bad(f"invalid {kind}")

    return check


def check_media(messages: list[Json]) -> None:
    kinds = [part["type"].partition("_")[0] for m in messages if isinstance(m["content"], list) for part in m["content"]]
    if kinds.count("image") > IMAGES or kinds.count("video") > 1 or {"image", "video"} <= set(kinds):
        raise bad(f"at most {IMAGES} images or one video")


# ---- tools ----

SCHEMA: Mapping[str, Check] = {
    "type": lambda value: text(value) or texts(value),
    "properties": lambda value: thing(value) and all(map(schema, value.values())),
    "required": texts,
    "items": lambda value: schema(value),
    "enum": lambda value: isinstance(value, list) and bool(value),
    "anyOf": lambda value: schemas(value),
    "oneOf": lambda value: schemas(value),
    "allOf": lambda value: schemas(value),
    "$ref": text,
    "$defs": lambda value: thing(value) and all(map(schema, value.values())),
    "description": text,
    "minimum": number(-1e15, 1e15),
    "maximum": number(-1e15, 1e15),
    "minItems": whole(0, 1000),
    "minLength": whole(0, 10_000),
    "maxLength": whole(0, 1 << 31),
    "format": text,
}
"""The words of JSON schema that have to make sense; others are let through."""


def schema(value: Any) -> bool:
    return isinstance(value, dict) and all(SCHEMA.get(word, anything)(given) for word, given in value.items())


def schemas(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(map(schema, value))


tool = exactly(type=equals("function"), function=some_of(name=name, description=text, parameters=schema))


def tools(value: Any) -> bool:
    return isinstance(value, list) and 0 < len(value) <= 128 and all(tool(item) and "name" in item["function"] for item in value)


def check_tools(body: Json, model: Model) -> None:
    """Only models said to call tools take any."""
    if body.get("tools") and not model.tools:
        raise bad(f"tools are not supported by {model.id}")


naming = exactly(type=equals("function"), function=exactly(name=name))


def named(value: Any, body: Json) -> str | None:
    """The function that `tool_choice` names, if it is one of those offered."""
    if not naming(value):
        return None
    wanted: str = value["function"]["name"]
    return wanted if any(item["function"]["name"] == wanted for item in body.get("tools", ())) else None
