"""llama.cpp's own server. Facts from its source (vendored in llama-cpp-python 0.3.36), its README, and the server of xllamacpp
2026.10.11549 itself, which the tests run; read 2026-11-23."""

from typing import Any

from msgspec.structs import replace

from providers.base import Change, Json, Outgoing, Target
from providers.embeddings import BASICS as EMBEDDINGS_BASICS
from providers.fields import Fields, all_dropped, all_native, answers, ask_for_usage, drop_unless
from providers.json_mode import json_mode
from providers.messages import as_is, flat_text, image_without_detail, messages, no_null_content, only, parts, role, text_part
from providers.openai_compatible.errors import LLAMA_CPP, PHRASES
from providers.openai_compatible.wire import CompatibleEmbeddings, KnownChat, reasoning_as, switched_effort, template_kwargs
from providers.openai_like import CHAT_BASICS
from providers.tools import choice, functions

USUAL = {"temperature": 1, "top_p": 1}
"""What OpenAI does where a client says nothing; this server would take 0.8 and 0.95."""
PROBABILITIES = ("logprobs", "top_logprobs")


def not_begun(out: Json, field: str, value: Any, target: Target) -> tuple[Change, ...]:
    """A last turn of the assistant's would be gone on with, and said again in the answer; two of them are refused. OpenAI begins anew."""
    sent = out[field]
    if sent[-1]["role"] != "assistant" or sent[-1].get("tool_calls"):
        return ()
    out[field] = [*sent, {"role": "user", "content": ""}]
    return (Change("messages[].role:assistant", "emulated", "a turn of the user's", "the server would go on with the last turn"),)


FIELDS: Fields = {
    **CHAT_BASICS,
    "stream": ask_for_usage,
    "messages": messages(
        role("developer", "system"),  # few templates know another
        reasoning_as("reasoning_content"),
        only("role", "content", "name", "tool_calls", "tool_call_id", "reasoning_content"),
        flat_text,
        no_null_content,
        parts(text=text_part, image_url=image_without_detail, input_audio=as_is),
        whole=(not_begun,),
    ),
    # It has no more than its slots, and tells the usage of one of them.
    "n": answers(),
    "tools": functions("name", "description", "parameters"),
    "tool_choice": choice("auto", "none", "required"),
    "response_format": json_mode("schema"),
    "reasoning_effort": switched_effort,
    "chat_template_kwargs": template_kwargs,
    "modalities": drop_unless(["text"], "it answers in words"),
    **all_native(
        "temperature", "top_p", "max_tokens", "max_completion_tokens", "stop", "seed", "presence_penalty", "frequency_penalty",
        "logit_bias", "logprobs", "top_logprobs", "parallel_tool_calls",
        # its own
        "top_k", "min_p", "typical_p", "repeat_penalty", "repeat_last_n", "mirostat", "mirostat_tau", "mirostat_eta", "grammar",
        "json_schema", "cache_prompt", "n_predict", "id_slot", "reasoning_format", "reasoning_budget_tokens", "thinking_budget_tokens",
        "t_max_predict_ms", "dynatemp_range", "dynatemp_exponent", "dry_multiplier", "dry_base", "dry_allowed_length", "xtc_probability",
        "xtc_threshold", "samplers", "ignore_eos",
    ),
    **all_dropped(
        "not offered", "user", "store", "metadata", "service_tier", "prediction", "audio", "web_search_options", "prompt_cache_key",
        "prompt_cache_retention", "prompt_cache_options", "safety_identifier", "verbosity", "moderation",
    ),
}  # fmt: skip


class LlamaCppChat(KnownChat, frozen=True):
    """What no table says: a field that is left out has a meaning, and probabilities are refused in a stream with tools."""

    def request(self, body: Json, target: Target) -> Outgoing:
        lost: tuple[Change, ...] = ()
        if body.get("stream") and body.get("tools") and body.get("logprobs"):
            lost = tuple(Change(field, "dropped", why="not with tools in a stream") for field in PROBABILITIES if field in body)
            body = {field: value for field, value in body.items() if field not in PROBABILITIES}
        sent = super().request({**USUAL, **body}, target)
        return replace(sent, changes=(*sent.changes, *lost)) if lost else sent


CHAT = LlamaCppChat(
    fields=FIELDS,
    errors=LLAMA_CPP,
    phrases=PHRASES["llama_cpp"],
    always=frozenset({"timings"}),
)
EMBEDDINGS = CompatibleEmbeddings(
    # It passes over `dimensions`: BASICS refuses any width but the model's own.
    fields={**EMBEDDINGS_BASICS, **all_dropped("not offered", "user")},
    errors=LLAMA_CPP,
    phrases=PHRASES["llama_cpp"],
)
