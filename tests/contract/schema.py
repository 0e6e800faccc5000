"""What OpenAI's OpenAPI document says of replies, stream events and requests, from openai_schema.json, which distil.py writes."""

import json
from functools import cache
from typing import Any, NamedTuple

import jsonschema_rs

from tests.contract.distil import OUT

Json = Any
MOST = 5
"""Faults that are told of one value."""


NULL = {"type": "null"}


class Loose(NamedTuple):
    """What the document leaves out: fields of these schemas, or of what is in them, that may have another value as well."""

    schemas: tuple[str, ...]
    fields: tuple[str, ...]
    reason: str
    form: Json = NULL


BATCH = ("errors", "output_file_id", "error_file_id", "in_progress_at", "expires_at", "finalizing_at", "completed_at", "failed_at",
         "expired_at", "cancelling_at", "cancelled_at", "model")  # fmt: skip
LISTS = ("ListBatchesResponse", "ListFilesResponse", "ConversationItemList", "ResponseItemList")
LOOSE = (
    Loose(("CreateCompletionResponse",), ("finish_reason",), "null in every piece of a stream but the last, as in OpenAI's SDK of 0.28"),
    Loose(("CreateCompletionResponse",), ("usage",), "null in every piece but the last where `include_usage` is asked for, as in chat"),
    Loose(("Response",), ("usage",), "null until the response is over, in OpenAI's own examples of response.created"),
    Loose(("TextResponseFormatJsonSchema",), ("description",), "null where none was given, in OpenAI's own examples of structured output"),
    Loose(("Batch",), BATCH, "null until it comes to that, in OpenAI's own examples"),
    Loose(("OpenAIFile",), ("expires_at", "status_details"), "null for a file that stays and is well, as OpenAI's API answers"),
    Loose(("OpenAIFile",), ("purpose",), "the request takes it, and the file is told as it was made", {"const": "evals"}),
    Loose(("Embedding",), ("embedding",), "base64 where `encoding_format` asks for it", {"type": "string"}),
    Loose(("ImagesResponse",), ("size",), "the request takes other sizes than these three", {"pattern": "^[0-9]+x[0-9]+$"}),
    Loose(("FineTuningJobEvent",), ("data",), "null for what is told in words alone, in OpenAI's own examples"),
    Loose(LISTS, ("first_id", "last_id"), "null in a list of nothing: there is no id to tell"),
)


@cache
def schema() -> Json:
    """The distilled document, loosened."""
    told = json.loads(OUT.read_text())
    for row in LOOSE:
        for name in row.schemas:
            for field in row.fields:
                if not _loosen(told["$defs"][name], field, row.form):
                    raise KeyError(f"{name} has no {field}")
    return told


def _loosen(at: Json, field: str, form: Json) -> bool:
    """Whether the field was there."""
    if isinstance(at, list):
        return sum(_loosen(part, field, form) for part in at) > 0  # all of them, not only the first
    if not isinstance(at, dict):
        return False
    found = field in at.get("properties", {})
    if found:
        at["properties"][field] = {"anyOf": [at["properties"][field], form]}
    return found + sum(_loosen(part, field, form) for name, part in at.items() if name != field) > 0


@cache
def _validator(route: str, part: str) -> jsonschema_rs.Validator:
    return jsonschema_rs.validator_for({**schema()["routes"][route][part], "$defs": schema()["$defs"]})


def faults(route: str, value: Json, part: str = "reply") -> list[str]:
    """What is wrong with a reply of `route`, such as "POST /responses", or with one of its `events`."""
    return [told for error in list(_validator(route, part).iter_errors(value))[:MOST] for told in _told(error)]


def misshapen(route: str, status: int, media: str, text: str) -> list[str]:
    """What is wrong with a whole answer; each thing once, however many events of a stream have it."""
    if status >= 400:
        return faults("errors", json.loads(text))
    told = schema()["routes"][route]
    if media.startswith("text/event-stream"):
        # completions' pieces are of the reply's form, and a kept response is told again in the words of its first telling
        part = "events" if "events" in told or route.startswith("GET") else "reply"
        like = "POST /responses" if route.startswith("GET") else route
        events = [json.loads(line[6:]) for line in text.split("\n") if line.startswith("data: {")]
        wrong = {fault for event in events for fault in faults(*(("errors", event) if set(event) == {"error"} else (like, event, part)))}
        return sorted(wrong) if events or route.startswith("GET") else ["a stream without an event"]
    return faults(route, json.loads(text)) if "reply" in told and media.startswith("application/json") else []


def _told(error: Any) -> list[str]:
    where = "/".join(map(str, error.instance_path))
    context = getattr(error.kind, "context", None)
    if not context:
        return [f"{where}: {error.message[:300]}"]
    branches = [[inner for one in branch for inner in _told(one)] for branch in context]
    best = min(branches, key=lambda branch: (any("/type:" in line or line.startswith("type:") for line in branch), len(branch)))
    return [f"{where} (the nearest of {len(branches)} forms): {line}" for line in best[:2]]
