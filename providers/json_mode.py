"""`response_format`, as far as a vendor can be held to it: a schema, any JSON object, or only a sentence that asks for JSON."""

from typing import Any

from providers.base import Change, HoldTo, Json, Target, encode
from providers.fields import Rule
from providers.tools import instruct


def json_mode(most: str, *, up_to: str = "schema") -> Rule:
    """`most`: what the vendor's models can do where the catalog does not know it of the model: none, object or schema.

    `up_to`: what the surface can say at all.
    """

    def rule(out: Json, field: str, value: Any, target: Target) -> tuple[Change, ...]:
        kind, able = value["type"], min(target.model.json or most, up_to, key=LEVELS.index)
        if kind == "text":
            return ()
        if able == "schema" or (able == "object" and kind == "json_object"):
            out[field] = value
            return ()
        if able == "object":
            out[field] = {"type": "json_object"}
        instruct(out, in_words(value))
        return (Change(field, "emulated", "json_object" if able == "object" else "prompt", "held to the schema here", hold_to(value)),)

    return rule


LEVELS = ("none", "object", "schema")


def in_words(form: Json) -> str:
    """What a model is told where nothing else can hold it to `response_format`."""
    schema = schema_of(form)
    shape = f" It must be valid against this JSON schema: {encode(schema).decode()}" if schema else ""
    return f"Answer with one JSON object and nothing else: no code fence, no words around it.{shape}"


def hold_to(form: Json) -> HoldTo:
    """The gateway's part: what is not of the form is not passed on."""
    return HoldTo(encode(schema_of(form) or ANY_OBJECT))


def schema_of(form: Json) -> Json | None:
    """The schema that a `response_format` asks for, if it does."""
    return (form.get("json_schema") or {}).get("schema")


ANY_OBJECT: Json = {"type": "object"}
