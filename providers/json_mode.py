"""`response_format`, as far as a vendor can be held to it: a schema, any JSON object, or only a sentence that asks for JSON."""

from typing import Any

from providers.base import Change, Json, Target, encode
from providers.fields import Rule
from providers.tools import instruct


def json_mode(most: str) -> Rule:
    """`most`: what the vendor's models can do where the catalog does not know it of the model: none, object or schema."""

    def rule(out: Json, field: str, value: Any, target: Target) -> tuple[Change, ...]:
        kind, able = value["type"], target.model.json or most
        if kind == "text":
            return ()
        if able == "schema" or (able == "object" and kind == "json_object"):
            out[field] = value
            return ()
        if able == "object":
            out[field] = {"type": "json_object"}
        instruct(out, _request_for(value))
        return (Change(field, "emulated", "json_object" if able == "object" else "prompt"),)

    return rule


def _request_for(form: Json) -> str:
    schema = (form.get("json_schema") or {}).get("schema")
    shape = f" It follows this JSON schema: {encode(schema).decode()}" if schema else ""
    return f"Answer with one JSON object and nothing else: no code fence, no words around it.{shape}"
