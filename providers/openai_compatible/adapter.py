"""Servers that speak OpenAI's format: of unknown make, from which nothing is withheld, since such a server says itself what it does not
know; and vLLM, SGLang, Ollama and llama.cpp, each with the fate of every field. Which one an account has, its `surface` says: an address
does not tell.
"""

from providers.auth import optional_bearer
from providers.base import Adapter, Auth, Translator
from providers.fields import Fields, all_native, ask_for_usage, kept_here, native, served_model
from providers.openai_compatible import llama_cpp, ollama, sglang, vllm
from providers.openai_compatible.errors import ERRORS
from providers.openai_compatible.media import MEDIA
from providers.openai_compatible.rerank import ANY, LLAMA_CPP_RERANK, SGLANG_RERANK, VLLM_RERANK
from providers.openai_compatible.wire import CompatibleChat, CompatibleEmbeddings
from providers.openai_like import CHAT_BASICS

KEYS = {"api_key": Auth((), optional_bearer)}
"""No secret is needed; a key is shown if there is one."""

ALL: Fields = all_native(
    "temperature", "top_p", "presence_penalty", "frequency_penalty", "max_tokens", "max_completion_tokens", "stop", "n", "seed",
    "logit_bias", "logprobs", "top_logprobs", "reasoning_effort", "verbosity", "prediction", "tools", "tool_choice",
    "parallel_tool_calls", "response_format", "modalities", "audio", "web_search_options", "moderation", "user", "safety_identifier",
    "prompt_cache_key", "prompt_cache_retention", "prompt_cache_options", "service_tier", "store", "metadata",
)  # fmt: skip
"""What OpenAI has; any other field goes through as well."""

ADAPTER = Adapter(
    vendor="openai_compatible",
    surface="v1",
    base_url="",
    auth=KEYS,
    endpoints={
        "chat": CompatibleChat(
            fields={**CHAT_BASICS, **ALL, "stream": ask_for_usage},
            others=native,
            finish={"repetition": "stop"},
            failed={"abort": "broken", "error": "broken"},
            errors=ERRORS,
        ),
        "embeddings": CompatibleEmbeddings(
            fields={"model": served_model, "encoding_format": kept_here, **all_native("input", "dimensions", "user")},
            others=native,
            errors=ERRORS,
        ),
        "rerank": ANY,
        **MEDIA,
    },
)


def known(surface: str, chat: CompatibleChat, embeddings: CompatibleEmbeddings, **more: Translator) -> Adapter:
    """A server of known make, under `/v1` of its own address."""
    return Adapter("openai_compatible", surface, "/v1", {"chat": chat, "embeddings": embeddings, **more}, KEYS, deployers=True)


VLLM = known("vllm", vllm.CHAT, vllm.EMBEDDINGS, rerank=VLLM_RERANK)
SGLANG = known("sglang", sglang.CHAT, sglang.EMBEDDINGS, rerank=SGLANG_RERANK)
OLLAMA = known("ollama", ollama.CHAT, ollama.EMBEDDINGS)
LLAMA_CPP = known("llama_cpp", llama_cpp.CHAT, llama_cpp.EMBEDDINGS, rerank=LLAMA_CPP_RERANK)
SURFACES = (ADAPTER, VLLM, SGLANG, OLLAMA, LLAMA_CPP)
