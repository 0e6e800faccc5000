"""SGLang. Facts from the source of SGLang 0.5.23 (srt/entrypoints), read 2026-11-23."""

from providers.base import Json
from providers.fields import Fields, all_dropped, all_native, ask_for_usage, clamp, drop_unless, kept_here, served_model
from providers.json_mode import json_mode
from providers.messages import as_is, flat_text, messages, no_null_content, only, parts, role, text_part
from providers.openai_compatible.errors import PHRASES, SGLANG
from providers.openai_compatible.wire import CompatibleEmbeddings, KnownChat, reasoning_as, room, switched_effort, template_kwargs, width
from providers.openai_like import CHAT_BASICS
from providers.tools import choice, functions

FIELDS: Fields = {
    **CHAT_BASICS,
    "stream": ask_for_usage,
    "messages": messages(
        role("developer", "system"),  # few templates know another
        reasoning_as("reasoning_content"),
        only("role", "content", "name", "tool_calls", "tool_call_id", "reasoning_content"),
        flat_text,
        no_null_content,
        parts(text=text_part, image_url=as_is, video_url=as_is, audio_url=as_is),
    ),
    "top_p": clamp(0.001, 1.0),  # 0 is refused
    "max_tokens": room,
    "max_completion_tokens": room,
    "tools": functions("name", "description", "parameters", "strict"),
    "tool_choice": choice("auto", "none", "required", named=True),
    "response_format": json_mode("schema"),
    "reasoning_effort": switched_effort,
    "chat_template_kwargs": template_kwargs,
    "modalities": drop_unless(["text"], "it answers in words"),
    **all_native(
        "temperature", "n", "stop", "seed", "presence_penalty", "frequency_penalty", "logit_bias", "logprobs", "top_logprobs",
        "parallel_tool_calls",
        # its own
        "top_k", "min_p", "min_tokens", "regex", "ebnf", "repetition_penalty", "stop_token_ids", "stop_regex", "no_stop_trim", "ignore_eos",
        "skip_special_tokens", "continue_final_message", "lora_path", "session_params", "separate_reasoning", "stream_reasoning",
        "thinking", "return_hidden_states", "custom_logit_processor",
    ),
    **all_dropped(
        "not offered", "user", "store", "metadata", "service_tier", "prediction", "audio", "web_search_options", "prompt_cache_key",
        "prompt_cache_retention", "prompt_cache_options", "safety_identifier", "verbosity", "moderation",
    ),
}  # fmt: skip


class SGLangChat(KnownChat, frozen=True):
    """What no table says: tokens of the reasoning stand beside the others, not in the details."""

    def bare(self, told: Json) -> Json:
        usage = told.get("usage")
        if usage and "reasoning_tokens" in usage:
            reasoning = usage.pop("reasoning_tokens") or 0
            usage["completion_tokens_details"] = {"reasoning_tokens": reasoning, **(usage.get("completion_tokens_details") or {})}
        return super().bare(told)


CHAT = SGLangChat(
    fields=FIELDS,
    mark={},
    beside={"continue_final_message": True},
    failed={"abort": "broken"},
    errors=SGLANG,
    phrases=PHRASES["sglang"],
    always=frozenset({"matched_stop", "metadata"}),
    asked=frozenset({"sglext", "hidden_states"}),
)
EMBEDDINGS = CompatibleEmbeddings(
    fields={
        "model": served_model,
        "encoding_format": kept_here,
        "dimensions": width,
        **all_native("input"),
        **all_dropped("not offered", "user"),
    },
    errors=SGLANG,
    phrases=PHRASES["sglang"],
)
