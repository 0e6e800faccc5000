"""SenseNova's compatible mode: OpenAI's shapes around the models, messages and names of the native API.

The vendor documents little of it; the facts are what LobeHub chat 1.143.3 sends and LazyLLM of 2026-08 uses, read 2026-11-23.
"""

from typing import Any

from providers.base import Change, Json, Target
from providers.fields import Fields, all_dropped, all_native, answers, ask_for_usage, drop_unless, most_tokens, stops
from providers.json_mode import json_mode
from providers.openai_like import CHAT_BASICS
from providers.sensetime.answers import FINISH, SenseNovaChat
from providers.sensetime.errors import ERRORS
from providers.sensetime.rules import MESSAGES, thinking, within
from providers.tools import choice, functions, one_call


def above_zero(out: Json, field: str, value: Any, target: Target) -> tuple[Change, ...]:
    """0 is the same as leaving it out, and a reward for repeating is not offered."""
    if value > 0:
        out[field] = value
    return (Change(field, "dropped", why="only above 0"),) if value < 0 else ()


CHAT_FIELDS: Fields = {
    **CHAT_BASICS,
    "messages": MESSAGES,
    "stream": ask_for_usage,
    "max_tokens": most_tokens("max_new_tokens"),
    "max_completion_tokens": most_tokens("max_new_tokens"),
    "temperature": within(0.01, 2.0),
    "top_p": within(0.000001, 0.999999),  # both ends are excluded
    "frequency_penalty": above_zero,
    "presence_penalty": drop_unless(0, "not offered"),
    "tools": functions("name", "description", "parameters", filled=True),
    "tool_choice": choice("auto"),
    "parallel_tool_calls": one_call,
    "response_format": json_mode("none"),
    "reasoning_effort": thinking,
    "n": answers(),
    "stop": stops(0),
    "logprobs": drop_unless(False, "not offered"),
    "logit_bias": drop_unless({}, "not offered"),
    "store": drop_unless(False, "not offered"),
    "modalities": drop_unless(["text"], "only text is offered"),
    **all_native("max_new_tokens", "thinking"),
    **all_dropped(
        "not offered", "seed", "user", "top_logprobs", "metadata", "service_tier", "prediction", "audio", "web_search_options",
        "prompt_cache_key", "prompt_cache_retention", "prompt_cache_options", "safety_identifier", "verbosity", "moderation",
    ),
}  # fmt: skip

CHAT = SenseNovaChat(
    fields=CHAT_FIELDS,
    finish=FINISH,
    reasoning="reasoning",  # so in its v2; v1 says `reasoning_content`, as we do
    errors=ERRORS,
)
