"""Distils OpenAI's OpenAPI document into openai_schema.json beside this file: `python -m tests.contract.distil PATH/openapi.json`.

Kept are the shapes of the routes that the gateway serves: {"source", "routes": {"POST /chat/completions": {"body": {media type: schema},
"query": {name: schema}, "reply": schema, "events": schema}}, "$defs"}. Words, examples and whatever no route leads to are left out.
`oneOf` becomes `anyOf`: the document's alternatives often overlap, and which of them a value is meant to be is not what is asked here.
"""

import json
import sys
from pathlib import Path
from typing import Any

OUT = Path(__file__).with_name("openai_schema.json")
BEGINNINGS = (
    "audio/speech",
    "audio/transcriptions",
    "audio/translations",
    "batches",
    "chat/completions",
    "completions",
    "conversations",
    "embeddings",
    "files",
    "fine_tuning/jobs",
    "images",
    "models",
    "moderations",
    "responses",
    "uploads",
)
NOT_SERVED = ("/chat/completions/{completion_id}", "?beta=true")
"""Parts of paths: chat completions are not kept, and the beta has the same bodies."""
NOT_SERVED_AT_ALL = {"GET /chat/completions"}
METHODS = ("get", "post", "delete")
WORDS = {"description", "title", "example", "examples", "externalDocs"}
NOT_ASKED = {"default", "deprecated", "discriminator", "nullable", "readOnly", "writeOnly", "$recursiveAnchor"}
COMPONENT = "#/components/schemas/"
ERROR = "ErrorResponse"


def distil(document: Any) -> Any:
    """The whole of openai_schema.json."""
    routes = {
        f"{method.upper()} {path}": route(operation, document)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if method in METHODS and path[1:].startswith(BEGINNINGS) and not any(part in path for part in NOT_SERVED)
    }
    for left in NOT_SERVED_AT_ALL:
        del routes[left]
    routes["errors"] = {"reply": {"$ref": f"#/$defs/{ERROR}"}}
    wanted, defs = refs(routes), {}
    while wanted:
        name = wanted.pop()
        defs[name] = plain(document["components"]["schemas"][name], name)
        wanted |= refs(defs[name]) - defs.keys()
    source = f"github.com/openai/openai-openapi openapi.json, version {document['info']['version']}"
    return {"source": source, "routes": dict(sorted(routes.items())), "$defs": dict(sorted(defs.items()))}


def route(operation: Any, document: Any) -> Any:
    """What one operation takes and gives, as far as it is JSON or a form."""
    told: dict[str, Any] = {}
    body = operation.get("requestBody", {}).get("content", {})
    if body:
        told["body"] = {media: plain(content["schema"]) for media, content in body.items()}
    query = {one["name"]: plain(one.get("schema", {})) for one in operation.get("parameters", ()) if one["in"] == "query"}
    if query:
        told["query"] = query
    content = operation["responses"]["200"].get("content", {})
    for media, name in (("application/json", "reply"), ("text/event-stream", "events")):
        if "schema" in content.get(media, {}):
            told[name] = plain(content[media]["schema"])
    return told


def plain(schema: Any, within: str = "") -> Any:
    """A schema as JSON Schema 2020-12 has it, without its words. `within`: the component that it is a part of."""
    if isinstance(schema, list):
        return [plain(part, within) for part in schema]
    if not isinstance(schema, dict):
        return schema
    kept: dict[str, Any] = {}
    for name, value in schema.items():
        if name in ("properties", "patternProperties"):
            kept[name] = {key: plain(part, within) for key, part in value.items()}
        elif name in ("enum", "const", "required"):
            kept[name] = value
        elif name == "$ref":
            kept[name] = "#/$defs/" + value.removeprefix(COMPONENT)
        elif name == "oneOf":
            kept["anyOf"] = plain(value, within)
        elif name in ("exclusiveMinimum", "exclusiveMaximum") and value is True:
            kept[name] = schema[name.replace("exclusiveM", "m")]
        elif name == "$recursiveRef":
            kept["$ref"] = "#/$defs/" + within
        elif name == "format" and value != "binary":
            continue
        elif name not in WORDS | NOT_ASKED and not name.startswith("x-"):
            kept[name] = plain(value, within)
    return {"anyOf": [kept, {"type": "null"}]} if schema.get("nullable") else kept


def refs(schema: Any) -> set[str]:
    """The definitions that a schema names."""
    if isinstance(schema, list):
        return set().union(*map(refs, schema))
    if not isinstance(schema, dict):
        return set()
    here = {schema["$ref"].removeprefix("#/$defs/")} if isinstance(schema.get("$ref"), str) else set()
    return here.union(*map(refs, schema.values()))


def main() -> None:
    made = distil(json.loads(Path(sys.argv[1]).read_bytes()))
    OUT.write_text(json.dumps(made, ensure_ascii=False, separators=(",", ":"), sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
