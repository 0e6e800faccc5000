"""vLLM. Facts from the source of vLLM 0.33.0 (entrypoints/openai, docs), read 2026-11-23."""

from providers.fields import Fields, all_dropped, all_native, ask_for_usage, clamp, drop_unless, kept_here, served_model
from providers.json_mode import json_mode
from providers.messages import as_is, flat_text, messages, no_null_content, only, parts, role, text_part
from providers.openai_compatible.errors import PHRASES, VLLM
from providers.openai_compatible.wire import CompatibleEmbeddings, KnownChat, reasoning_as, room, switched_effort, template_kwargs, width
from providers.openai_like import CHAT_BASICS
from providers.tools import choice, functions

FIELDS: Fields = {
    **CHAT_BASICS,
    "stream": ask_for_usage,
    "messages": messages(
        role("developer", "system"),  # few templates know another
        reasoning_as("reasoning"),
        only("role", "content", "name", "tool_calls", "tool_call_id", "reasoning"),
        flat_text,
        no_null_content,
        parts(text=text_part, image_url=as_is, input_audio=as_is, video_url=as_is, audio_url=as_is),
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
        "top_k", "min_p", "repetition_penalty", "length_penalty", "stop_token_ids", "include_stop_str_in_output", "ignore_eos",
        "min_tokens", "skip_special_tokens", "spaces_between_special_tokens", "prompt_logprobs", "add_generation_prompt",
        "continue_final_message", "chat_template", "mm_processor_kwargs", "structured_outputs", "priority", "thinking_token_budget",
        "include_reasoning", "return_token_ids", "cache_salt", "kv_transfer_params",
    ),
    **all_dropped(
        "not offered", "user", "store", "metadata", "service_tier", "prediction", "audio", "web_search_options", "prompt_cache_key",
        "prompt_cache_retention", "prompt_cache_options", "safety_identifier", "verbosity", "moderation",
    ),
}  # fmt: skip

CHAT = KnownChat(
    fields=FIELDS,
    mark={},
    beside={"continue_final_message": True, "add_generation_prompt": False},
    finish={"repetition": "stop"},
    failed={"abort": "broken", "error": "broken"},
    errors=VLLM,
    phrases=PHRASES["vllm"],
    always=frozenset({"stop_reason"}),
    asked=frozenset({"token_ids", "prompt_token_ids", "prompt_logprobs", "kv_transfer_params", "routed_experts"}),
)
EMBEDDINGS = CompatibleEmbeddings(
    fields={
        "model": served_model,
        "encoding_format": kept_here,
        "dimensions": width,
        **all_native("input", "truncate_prompt_tokens", "add_special_tokens", "priority"),
        **all_dropped("not offered", "user"),
    },
    errors=VLLM,
    phrases=PHRASES["vllm"],
)
