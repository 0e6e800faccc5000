"""SenseNova's token plan: OpenAI's shapes behind a list of what is let in; one field that is not on it, and the request is refused.

Facts from platform.sensenova.cn, the API.md of SenseNova 6.7 and an audit of the list of 2026-09-22, read 2026-11-23.
"""

from typing import Any

from providers.base import Change, Fault, Json, Target
from providers.fields import Fields, Rule, all_dropped, all_native, ask_for_usage, drop_unless, most_tokens
from providers.json_mode import json_mode
from providers.messages import (
    data_url,
    flat_text,
    image_without_detail,
    merge_systems,
    messages,
    no_null_content,
    only,
    parts,
    role,
    text_part,
    user_speaks,
)
from providers.openai_like import CHAT_BASICS
from providers.sensetime.answers import FINISH, SenseNovaChat
from providers.sensetime.errors import TOKEN_PLAN_ERRORS
from providers.sensetime.rules import refusal_part
from providers.tools import choice, functions

KIMI = "kimi-k3"
"""Hosted here with limits of its own: one temperature, one top_p, images in the request alone, and the newer name for its length."""


def most(out: Json, field: str, value: Any, target: Target) -> tuple[Change, ...]:
    return most_tokens("max_completion_tokens" if target.model.id == KIMI else "max_tokens")(out, field, value, target)


def fixed_for_kimi(only: float) -> Rule:
    """Passes a number, except to the model that has `only` one: it is not told what it does anyhow."""

    def rule(out: Json, field: str, value: Any, target: Target) -> tuple[Change, ...]:
        if target.model.id != KIMI:
            out[field] = value
            return ()
        return () if value == only else (Change(field, "clamped", f"{only:g}", "the model has no other"),)

    return rule


def images_for_kimi(message: Json, target: Target) -> tuple[Json, tuple[Change, ...]]:
    content = message["content"]
    if target.model.id == KIMI and isinstance(content, list):
        for part in content:
            if part["type"] == "image_url" and not data_url(part["image_url"]["url"]):
                raise Fault(
                    "unsupported", f"model {KIMI} takes no address of an image, only the image itself as a data URL", param="messages"
                )
    return message, ()


CHAT_FIELDS: Fields = {
    **CHAT_BASICS,
    "messages": messages(
        role("developer", "system"),
        only("role", "content", "tool_calls", "tool_call_id"),
        no_null_content,
        parts(text=text_part, refusal=refusal_part, image_url=image_without_detail),
        flat_text,
        images_for_kimi,
        whole=(merge_systems, user_speaks),
    ),
    "stream": ask_for_usage,
    "max_tokens": most,
    "max_completion_tokens": most,
    "temperature": fixed_for_kimi(1),
    "top_p": fixed_for_kimi(0.95),
    "tools": functions("name", "description", "parameters"),
    "tool_choice": choice("auto", "none", "required", named=True),
    "response_format": json_mode("none"),
    "logprobs": drop_unless(False, "not offered"),
    "logit_bias": drop_unless({}, "not offered"),
    "store": drop_unless(False, "not offered"),
    "modalities": drop_unless(["text"], "only text is offered"),
    **all_native(
        "n", "stop", "seed", "frequency_penalty", "presence_penalty", "parallel_tool_calls", "reasoning_effort", "top_k", "min_p",
        "repetition_penalty",
    ),
    **all_dropped(
        "not offered", "user", "top_logprobs", "metadata", "service_tier", "prediction", "audio", "web_search_options",
        "prompt_cache_key", "prompt_cache_retention", "prompt_cache_options", "safety_identifier", "verbosity", "moderation",
    ),
}  # fmt: skip

CHAT = SenseNovaChat(fields=CHAT_FIELDS, finish=FINISH, reasoning="reasoning", errors=TOKEN_PLAN_ERRORS)
"""`reasoning` is what SenseNova's own models say; the others here say `reasoning_content`."""
