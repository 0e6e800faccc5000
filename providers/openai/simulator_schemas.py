"""The JSON schemas that OpenAI holds answers to with `strict`: a part of the standard, and everything in it said."""

from collections.abc import Callable
from typing import Any

from providers.base import Json

DEEPEST = 10
MOST_PROPERTIES = 5000
REFUSED = ("allOf", "not", "dependentRequired", "dependentSchemas", "if", "then", "else", "patternProperties")


def check_schema(schema: Json, whose: str, param: str, code: str | None, bad: Callable[[str, str, str | None], Exception]) -> None:
    """Raises what `bad` makes for a schema that strict mode does not take."""

    def refuse(at: tuple[Any, ...], why: str) -> Exception:
        return bad(f"Invalid schema for {whose}: In context={at}, {why}.", param, code)

    if schema.get("type") != "object":
        raise refuse((), "schema must be a JSON Schema of 'type: \"object\"'")
    if "anyOf" in schema:
        raise refuse((), "'anyOf' is not permitted at the root")
    seen = 0
    waiting: list[tuple[Any, tuple[Any, ...]]] = [(schema, ())]
    while waiting:
        part, at = waiting.pop()
        if not isinstance(part, dict):
            raise refuse(at, "a schema must be an object")
        if len([step for step in at if step in ("properties", "items")]) > DEEPEST:
            raise refuse(at, f"a schema of more than {DEEPEST} levels is not permitted")
        for word in REFUSED:
            if word in part:
                raise refuse(at, f"'{word}' is not permitted")
        if not part.keys() & {"type", "anyOf", "$ref", "enum", "const"}:
            raise refuse(at, "schema must have a 'type' key")
        if "object" in (part["type"] if isinstance(part.get("type"), list) else [part.get("type")]):
            properties = part.get("properties") or {}
            seen += len(properties)
            if part.get("additionalProperties") is not False:
                raise refuse(at, "'additionalProperties' is required to be supplied and to be false")
            if missing := [name for name in properties if name not in (part.get("required") or ())]:
                every = "'required' is required to be supplied and to be an array including every key in properties"
                raise refuse(at, f"{every}. Missing '{missing[0]}'")
            waiting += [(one, (*at, "properties", name)) for name, one in properties.items()]
        if "items" in part:
            waiting.append((part["items"], (*at, "items")))
        waiting += [(one, (*at, "anyOf", str(number))) for number, one in enumerate(part.get("anyOf") or ())]
        waiting += [(one, (*at, "$defs", name)) for name, one in (part.get("$defs") or {}).items()]
    if seen > MOST_PROPERTIES:
        raise refuse((), f"a schema of more than {MOST_PROPERTIES} properties is not permitted")
