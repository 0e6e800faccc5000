"""Chat's answer as a Response: all the keys that clients rely on, and the items of its output."""

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from gateway.api.objects import new
from gateway.api.responses.compact import usage_told
from gateway.api.responses.items import sealed
from gateway.api.responses.request import ENCRYPTED
from gateway.api.responses.store import conversation_of
from gateway.api.responses.tools import Tools, input_of
from providers.base import Json

INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}
"""By chat's finish reason: why a response is not complete."""


class Told(Struct, frozen=True):
    """What of the request says how its answer is told."""

    tools: Tools
    summary: bool = False
    """Thoughts are told as a summary, which clients show to their users, and not as they are."""
    encrypted: bool = False

    @classmethod
    def of(cls, body: Json, tools: Tools) -> "Told":
        reasoning = body.get("reasoning", {})
        return cls(tools, bool(reasoning.get("summary") or reasoning.get("generate_summary")), ENCRYPTED in body.get("include", ()))


def skeleton(body: Json, *, created: int) -> Json:
    """A response before anything is in it. `user` is left out where there is none: OpenAI's schema knows no null there."""
    reasoning, text = body.get("reasoning", {}), body.get("text", {})
    response: Json = {
        "id": new("resp_"),
        "object": "response",
        "created_at": created,
        "status": "in_progress",
        "background": False,
        "completed_at": None,
        "conversation": {"id": id} if (id := conversation_of(body)) else None,
        "error": None,
        "frequency_penalty": body.get("frequency_penalty", 0.0),
        "incomplete_details": None,
        "instructions": body.get("instructions"),
        "max_output_tokens": body.get("max_output_tokens"),
        "max_tool_calls": body.get("max_tool_calls"),
        "metadata": body.get("metadata", {}),
        "model": body["model"],
        "output": [],
        "parallel_tool_calls": body.get("parallel_tool_calls", True),
        "presence_penalty": body.get("presence_penalty", 0.0),
        "previous_response_id": body.get("previous_response_id"),
        "prompt_cache_key": body.get("prompt_cache_key"),
        "reasoning": {"effort": reasoning.get("effort"), "summary": reasoning.get("summary") or reasoning.get("generate_summary")},
        "safety_identifier": body.get("safety_identifier"),
        "service_tier": body.get("service_tier", "default"),
        "store": body.get("store", True),
        "temperature": body.get("temperature", 1.0),
        "text": {"format": form_of(text.get("format")), "verbosity": text.get("verbosity", "medium")},
        "tool_choice": body.get("tool_choice", "auto"),
        "tools": [tool_of(tool) for tool in body.get("tools", ())],
        "top_logprobs": body.get("top_logprobs", 0),
        "top_p": body.get("top_p", 1.0),
        "truncation": body.get("truncation", "disabled"),
        "usage": None,
    }
    return response | ({"user": body["user"]} if "user" in body else {})


def form_of(given: Json | None) -> Json:
    if given is None or given["type"] != "json_schema":
        return given or {"type": "text"}
    return {"type": "json_schema", "description": None, "name": given["name"], "schema": given["schema"], "strict": given.get("strict")}


def tool_of(given: Json) -> Json:
    """A tool with the keys that a client may have left out."""
    if given.get("type") == "function":
        blank = {"type": "function", "name": None, "description": None, "parameters": None, "strict": False}
        return blank | {key: value for key, value in given.items() if value is not None}
    return given


def ended(response: Json, output: Sequence[Json], *, reason: str, usage: Json | None, now: int, more: Json) -> Json:
    """The response at its end. `reason`: chat's; `more`: `model` and `service_tier`, as the provider says them."""
    why = INCOMPLETE.get(reason)
    return {
        **response,
        **more,
        "status": "incomplete" if why else "completed",
        "completed_at": None if why else now,
        "incomplete_details": {"reason": why} if why else None,
        "output": list(output),
        "usage": usage_told(usage or {}),
    }


def output_of(answer: Json, told: Told) -> list[Json]:
    """The items of a plain answer: thoughts, words, calls."""
    choice = answer["choices"][0]
    message = choice["message"]
    items: list[Json] = []
    if thought := message.get("reasoning_content"):
        items.append(reasoning(new("rs_"), thought, told))
    logprobs = logprobs_of((choice.get("logprobs") or {}).get("content"))
    parts: list[Json] = []
    calls = message.get("tool_calls") or []
    said, refused = message.get("content"), message.get("refusal")
    if said or not (items or calls or refused):
        parts.append(text_part(said or "", annotations_of(message.get("annotations")), logprobs))
    if refused:
        parts.append({"type": "refusal", "refusal": refused})
    if parts:
        items.append(message_item(new("msg_"), parts))
    items += [_call(call, told) for call in calls]
    if choice["finish_reason"] in INCOMPLETE:
        items[-1:] = [cut_off(items[-1])]
    return items


def _call(call: Json, told: Told) -> Json:
    kind = call["type"]
    begun = call_item(call["id"], kind, call[kind]["name"], told)
    return called(begun, call[kind]["input" if kind == "custom" else "arguments"], kind)


# ---- items, which a stream has too ----


def reasoning(id: str, thought: str, told: Told) -> Json:
    item: Json = {"id": id, "type": "reasoning", "summary": []}
    if told.summary:
        item["summary"] = [{"type": "summary_text", "text": thought}]
    else:
        item["content"] = [{"type": "reasoning_text", "text": thought}]
    return {**item, "encrypted_content": sealed(thought)} if told.encrypted else item


def text_part(text: str, annotations: list[Json] | None = None, logprobs: list[Json] | None = None) -> Json:
    return {"type": "output_text", "text": text, "annotations": annotations or [], "logprobs": logprobs or []}


def message_item(id: str, parts: list[Json], status: str = "completed") -> Json:
    return {"id": id, "type": "message", "role": "assistant", "status": status, "content": parts}


def call_item(call_id: str, kind: str, name: str, told: Told) -> Json:
    """A call that has just begun, by the name that the client knows. `kind`: of chat's call, function or custom."""
    tool = told.tools.called(name, kind)
    where = {"namespace": tool.namespace} if tool.namespace else {}
    one, words = ("custom_tool_call", "input") if tool.custom else ("function_call", "arguments")
    id = new("ctc_" if tool.custom else "fc_")
    return {"id": id, "type": one, "status": "in_progress", "call_id": call_id, "name": tool.name, **where, words: ""}


def called(item: Json, said: str, kind: str) -> Json:
    """A call that is whole."""
    if item["type"] == "custom_tool_call":
        return {**item, "status": "completed", "input": input_of(said) if kind == "function" else said}
    return {**item, "status": "completed", "arguments": said or "{}"}


def cut_off(item: Json) -> Json:
    return {**item, "status": "incomplete"} if "status" in item else item


def logprobs_of(tokens: Any) -> list[Json]:
    """Chat's, with all that the Responses API has in them."""
    return [{"token": "", "logprob": 0.0, "bytes": [], "top_logprobs": [], **_known(token)} for token in tokens or ()]


def _known(token: Json) -> Json:
    return {name: value for name, value in token.items() if value is not None}


def annotations_of(given: Any) -> list[Json]:
    """Chat's citations of the web, which have their facts one level deeper."""
    return [cited(one["url_citation"]) for one in given or () if isinstance(one, dict) and isinstance(one.get("url_citation"), dict)]


def cited(facts: Json) -> Json:
    return {"type": "url_citation", "start_index": 0, "end_index": 0, "title": "", "url": "", **_known(facts)}
