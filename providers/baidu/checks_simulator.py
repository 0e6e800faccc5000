"""What both of Baidu's simulated surfaces ask of a value that may be anything."""

import re
from typing import Any, TypeGuard

from providers.base import Json

UNIONS = ("anyOf", "oneOf", "allOf")
DEEPEST = 32


def is_number(value: Any, low: float, high: float, *, whole: bool = False) -> bool:
    kinds = (int,) if whole else (int, float)
    return isinstance(value, kinds) and not isinstance(value, bool) and low <= value <= high


def is_words(value: Any) -> bool:
    """A text that says something."""
    return isinstance(value, str) and bool(value.strip())


def are_stops(value: Any) -> bool:
    return isinstance(value, list) and len(value) <= 4 and all(isinstance(stop, str) and 0 < len(stop) <= 20 for stop in value)


def is_function(value: Any, *, required: frozenset[str]) -> bool:
    """A function's declaration."""
    if not isinstance(value, dict) or not required <= value.keys() <= {"name", "description", "parameters", "responses", "examples"}:
        return False
    named = isinstance(value.get("name"), str) and re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", value["name"])
    return bool(named) and isinstance(value.get("description", ""), str) and is_schema(value.get("parameters", {}))


def is_call(value: Any) -> bool:
    """A function's name and its arguments, as a turn of the assistant has them."""
    return isinstance(value, dict) and all(isinstance(value.get(key), str) for key in ("name", "arguments"))


def is_schema(value: Any, depth: int = 0) -> bool:
    """Whether a value has the form of a JSON schema, as far as anybody reads it here."""
    if not isinstance(value, dict) or depth > DEEPEST:
        return False
    properties, kind = value.get("properties", {}), value.get("type", "")
    unions = [value[union] for union in UNIONS if union in value]
    if not isinstance(properties, dict) or not all(isinstance(union, list) and union for union in unions):
        return False
    inner = [*properties.values(), *(part for union in unions for part in union), *([value["items"]] if "items" in value else [])]
    return (
        all(isinstance(word, str) for word in (kind if isinstance(kind, list) else [kind]))
        and all(isinstance(value.get(key, ""), str) for key in ("$ref", "format", "description"))
        and all(isinstance(value.get(key, 0), int | float) for key in ("minItems", "minLength", "maxLength", "minimum", "maximum"))
        and is_list(value.get("enum", [""]), least=1)
        and is_list(value.get("required", []), of=str)
        and all(is_schema(part, depth + 1) for part in inner)
    )


def is_list(value: Any, *, of: type = object, least: int = 0) -> TypeGuard[list[Any]]:
    return isinstance(value, list) and len(value) >= least and all(isinstance(item, of) for item in value)


def functions_named(functions: list[Json]) -> set[str]:
    return {function["name"] for function in functions}
