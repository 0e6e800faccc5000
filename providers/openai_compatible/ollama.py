"""Ollama. Facts from its source and documents of 2026-08-21 (openai/openai.go, middleware/openai.go, server/routes.go), read 2026-11-23."""

from typing import Any

from providers.base import Change, Fault, Json, Target
from providers.fields import Fields, all_dropped, all_native, answers, ask_for_usage, drop_unless, kept_here, rename, served_model
from providers.json_mode import json_mode
from providers.messages import data_url, flat_text, image_without_detail, messages, no_null_content, only, parts, role, text_part
from providers.openai_compatible.errors import OLLAMA, PHRASES
from providers.openai_compatible.wire import CompatibleEmbeddings, KnownChat, reasoning_as, width
from providers.openai_like import CHAT_BASICS
from providers.tools import choice, functions, one_call

IMAGES = ("image/jpeg", "image/jpg", "image/png", "image/webp")


def image(part: Json) -> Json:
    """It fetches nothing, and knows four kinds of pictures."""
    told = data_url(part["image_url"]["url"])
    if told is None:
        raise Fault("unsupported", "Ollama takes images as data: URLs alone, not by their address", param="messages")
    if told[0] not in IMAGES:
        raise Fault(
            "unsupported", f"Ollama takes images of the types {', '.join(IMAGES)}, not {told[0] or 'one without a name'}", param="messages"
        )
    return image_without_detail(part)


def filled_arguments(message: Json, target: Target) -> tuple[Json, tuple[Change, ...]]:
    """Arguments have to be JSON; those of a call without any are often the empty text."""
    calls = message.get("tool_calls") or ()
    if all(call["function"].get("arguments") for call in calls):
        return message, ()
    filled = [{**call, "function": {**call["function"], "arguments": call["function"].get("arguments") or "{}"}} for call in calls]
    return {**message, "tool_calls": filled}, ()


def effort(out: Json, field: str, value: Any, target: Target) -> tuple[Change, ...]:
    """Refused for a model that does not think, unless it says `none`."""
    if target.model.thinking == "none":
        return (Change(field, "dropped", why="the model does not think"),) if value != "none" else ()
    out[field] = value
    return ()


FIELDS: Fields = {
    **CHAT_BASICS,
    "stream": ask_for_usage,
    "messages": messages(
        role("developer", "system"),  # a template passes over roles that it does not know
        reasoning_as("reasoning"),
        only("role", "content", "name", "tool_calls", "tool_call_id", "reasoning"),
        filled_arguments,
        flat_text,  # each part would become a message
        no_null_content,
        parts(text=text_part, image_url=image),
    ),
    "max_completion_tokens": rename("max_tokens"),
    "n": answers(),
    "tools": functions("name", "description", "parameters"),
    "tool_choice": choice(),
    "parallel_tool_calls": one_call,
    "response_format": json_mode("schema"),
    "reasoning_effort": effort,
    "modalities": drop_unless(["text"], "it answers in words"),
    **all_native(
        "temperature", "top_p", "max_tokens", "stop", "seed", "presence_penalty", "frequency_penalty", "logprobs", "top_logprobs",
        # its own
        "reasoning",
    ),
    **all_dropped(
        "not offered", "logit_bias", "user", "store", "metadata", "service_tier", "prediction", "audio", "web_search_options",
        "prompt_cache_key", "prompt_cache_retention", "prompt_cache_options", "safety_identifier", "verbosity", "moderation",
    ),
}  # fmt: skip

CHAT = KnownChat(
    fields=FIELDS,
    failed={"load": "overloaded", "unload": "overloaded"},  # the model came or went, and nothing was said
    errors=OLLAMA,
    phrases=PHRASES["ollama"],
    always=frozenset({"id"}),  # one of 999, so that two answers may share it
)
EMBEDDINGS = CompatibleEmbeddings(
    fields={
        "model": served_model,
        "encoding_format": kept_here,
        "dimensions": width,
        **all_native("input"),
        **all_dropped("not offered", "user"),
    },
    errors=OLLAMA,
    phrases=PHRASES["ollama"],
)
