"""An answer of chat as a message of Anthropic's."""

from collections.abc import Mapping
from typing import Any

from msgspec import DecodeError, ValidationError

from providers.base import Json, decode

REASONS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "function_call": "tool_use", "content_filter": "refusal"}
"""Anthropic's stop reasons, by chat's; others are passed on."""
SIGNATURE = "dW5zaWduZWQ="
"""Of thoughts, which are not signed here: clients send it back with them, and nobody reads it."""
UNREAD = "INVALID_JSON"
"""The key under which a call's arguments stand that are no JSON object, as Anthropic would have it."""


def message_of(answer: Json, names: Mapping[str, str]) -> Json:
    """The message for a complete chat completion with usage. `names`: the client's own of tools, where chat was told others."""
    choice = answer["choices"][0]
    said = choice["message"]
    content: list[Json] = []
    if thought := said.get("reasoning_content"):
        content.append({"type": "thinking", "thinking": thought, "signature": SIGNATURE})
    if text := (said.get("content") or "") + (said.get("refusal") or ""):
        content.append({"type": "text", "text": text})
    calls = said.get("tool_calls") or ()
    content += [call_of(call, names) for call in calls]
    reason, stop = ended(choice["finish_reason"], choice.get("stop_reason"), called=bool(calls), refused=bool(said.get("refusal")))
    return {
        **head_of(answer["id"], answer["model"]),
        "content": content,
        "stop_reason": reason,
        "stop_sequence": stop,
        "usage": usage_of(answer["usage"]),
    }


def head_of(id: str, model: str) -> Json:
    return {"id": f"msg_{id.removeprefix('chatcmpl-')}", "type": "message", "role": "assistant", "model": model}


def call_of(call: Json, names: Mapping[str, str]) -> Json:
    called = call.get("function") or call["custom"]
    told = input_of(called.get("arguments", called.get("input")))
    return {"type": "tool_use", "id": call["id"], "name": names.get(called["name"], called["name"]), "input": told}


def input_of(arguments: str) -> Json:
    if not arguments.strip():
        return {}
    try:
        return decode(arguments)
    except (DecodeError, ValidationError, RecursionError):
        return {UNREAD: arguments}


def ended(reason: str, stop: Any, *, called: bool, refused: bool) -> tuple[str, str | None]:
    """(stop_reason, stop_sequence). `stop`: the text that has ended the answer, where it is known; vLLM has numbers there too."""
    if refused:
        return "refusal", None
    if reason == "stop":
        if isinstance(stop, str) and stop:
            return "stop_sequence", stop
        if called:  # some vendors do not tell the two apart
            return "tool_use", None
    return REASONS.get(reason, reason), None


def usage_of(usage: Json | None) -> Json:
    """Anthropic counts what came from a cache beside the rest of the prompt, not with it."""
    told = usage or {}
    prompt, cached = told.get("prompt_tokens") or 0, (told.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
    counted: Json = {
        "input_tokens": max(prompt - cached, 0),
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": cached,
        "output_tokens": told.get("completion_tokens") or 0,
    }
    if thought := (told.get("completion_tokens_details") or {}).get("reasoning_tokens"):
        counted["output_tokens_details"] = {"thinking_tokens": thought}
    return counted
