"""What servers of OpenAI's format say when they refuse or fail: a table for a server of unknown make, and one for each that is known.

Most of them have no codes but types of errors; what only their words tell stands in PHRASES.
"""

import re
from collections.abc import Mapping, Sequence

from providers.base import Fault, Json, Kind
from providers.faults import Errors, Row, Source, Sources, make_fault

SOURCES: Sources = {
    "openai": Source("openai-python 3.54.0 and OpenAI's error guide", "2026-11-23"),
    "vllm": Source("vLLM 0.33.0: entrypoints/openai, entrypoints/serve", "2026-11-23"),
    "sglang": Source("SGLang 0.5.23: srt/entrypoints, srt/utils/auth.py", "2026-11-23"),
    "ollama": Source("Ollama of 2026-08-21: openai/openai.go, middleware/openai.go, server/routes.go, docs/api/errors.mdx", "2026-11-23"),
    "llama.cpp": Source("llama.cpp server of llama-cpp-python 0.3.36, and replies of the one in xllamacpp 2026.10.11549", "2026-11-23"),
}

VLLM: Errors = {
    "BadRequestError": Row("bad_request", "bad value", 400, "vllm"),
    "Bad Request": Row("bad_request", "the request does not fit the schema", 400, "vllm"),
    "Unauthorized": Row("auth", "the key is wrong", 401, "vllm"),
    "NotFoundError": Row("no_model", "model does not exist", 404, "vllm"),
    "UnprocessableEntityError": Row("bad_request", "the request cannot be processed", 422, "vllm"),
    "InternalServerError": Row("overloaded", "internal error", 500, "vllm"),
    "NotImplementedError": Row("unsupported", "the model does not offer this", 501, "vllm"),
    "ServiceUnavailableError": Row("overloaded", "no room for the request", 503, "vllm"),
}

SGLANG: Errors = {
    "BadRequestError": Row("bad_request", "bad value", 400, "sglang"),
    "Bad Request": Row("bad_request", "the request does not fit the schema", 400, "sglang"),
    "Unauthorized": Row("auth", "the key is wrong", 401, "sglang"),
    "model_not_found": Row("no_model", "model does not exist", 404, "sglang"),
    "InternalServerError": Row("overloaded", "internal error", 500, "sglang"),
    "ServiceUnavailableError": Row("overloaded", "not ready", 503, "sglang"),
}

OLLAMA: Errors = {
    "invalid_request_error": Row("bad_request", "bad request", 400, "ollama"),
    "not_found_error": Row("no_model", "the model has not been pulled", 404, "ollama"),
    "401:api_error": Row("auth", "not signed in", 401, "ollama"),
    "403:api_error": Row("auth", "no permission", 403, "ollama"),
    "429:api_error": Row("rate_limited", "too many requests", 429, "ollama"),
    "api_error": Row("overloaded", "the runner failed, or the queue is full", 500, "ollama"),
}

LLAMA_CPP: Errors = {
    "invalid_request_error": Row("bad_request", "bad request", 400, "llama.cpp"),
    "exceed_context_size_error": Row("too_long", "prompt too long", 400, "llama.cpp"),
    "authentication_error": Row("auth", "the key is wrong", 401, "llama.cpp"),
    "permission_error": Row("auth", "no permission", 403, "llama.cpp"),
    "not_found_error": Row("no_model", "no such model or path", 404, "llama.cpp"),
    "server_error": Row("overloaded", "internal error", 500, "llama.cpp"),
    "not_supported_error": Row("unsupported", "the server does not offer this", 501, "llama.cpp"),
    "unavailable_error": Row("overloaded", "the model is being loaded", 503, "llama.cpp"),
}

ERRORS: Errors = {
    "invalid_api_key": Row("auth", "the key is wrong", 401, "openai"),
    "authentication_error": Row("auth", "the key is wrong", 401, "openai"),
    "permission_error": Row("auth", "no permission", 403, "openai"),
    "model_not_found": Row("no_model", "model does not exist", 404, "openai"),
    "insufficient_quota": Row("quota", "the quota is used up", 429, "openai"),
    "billing_hard_limit_reached": Row("quota", "the limit of spending is reached", 429, "openai"),
    "rate_limit_exceeded": Row("rate_limited", "too many requests", 429, "openai"),
    "rate_limit_error": Row("rate_limited", "too many requests", 429, "openai"),
    "context_length_exceeded": Row("too_long", "prompt too long", 400, "openai"),
    "string_above_max_length": Row("too_long", "prompt too long", 400, "openai"),
    "exceed_context_size_error": LLAMA_CPP["exceed_context_size_error"],
    "content_filter": Row("refused", "blocked by a filter", 400, "openai"),
    "content_policy_violation": Row("refused", "blocked by a filter", 400, "openai"),
    "unsupported_parameter": Row("unsupported", "the server does not take a field", 400, "openai"),
    "unsupported_value": Row("unsupported", "the server does not take a value", 400, "openai"),
    "not_supported_error": LLAMA_CPP["not_supported_error"],
    "unavailable_error": LLAMA_CPP["unavailable_error"],
    "server_error": Row("overloaded", "internal error", 500, "openai"),
    "InternalServerError": VLLM["InternalServerError"],
    "ServiceUnavailableError": VLLM["ServiceUnavailableError"],
}
"""Of a server of unknown make: OpenAI's own codes, and the error types of the known ones that are unmistakable."""
TABLES: Mapping[str, Errors] = {"v1": ERRORS, "vllm": VLLM, "sglang": SGLANG, "ollama": OLLAMA, "llama_cpp": LLAMA_CPP}
"""By surface."""

Phrases = Sequence[tuple[re.Pattern[str], Kind]]
"""(words, what they mean) where neither code nor type says more than that something was bad."""


def phrase(words: str, kind: Kind) -> tuple[re.Pattern[str], Kind]:
    return re.compile(words, re.I), kind


TOO_LONG = phrase(
    r"maximum context length|longer than the model's context length|exceeds? the (available )?context (size|length|window)", "too_long"
)
PHRASES: Mapping[str, Phrases] = {
    "v1": (TOO_LONG,),
    "vllm": (
        TOO_LONG,
        phrase(
            r"is not a multimodal model|does not support (chat|embeddings|tool|the chat|the embeddings)|--enable-auto-tool-choice",
            "unsupported",
        ),
    ),
    "sglang": (TOO_LONG, phrase(r"is not an embedding model|does not appear to be an embedding model", "unsupported")),
    "ollama": (
        TOO_LONG,
        phrase(r"the input length exceeds", "too_long"),  # of embeddings
        phrase(r"does not support \w+|this model only supports", "unsupported"),
        phrase(r"not found, try pulling it first", "no_model"),
    ),
    "llama_cpp": (
        TOO_LONG,
        phrase(r"input is not supported|unsupported content\[\]|is too large to process", "unsupported"),  # the first comes as HTTP 500
        phrase(r"^Failed to parse (messages|tools)", "bad_request"),  # as HTTP 500 too, though it fails the same each time
    ),
}
VAGUE = ("bad_request", "broken", "overloaded")


def fault_of(errors: Errors, phrases: Phrases, status: int, headers: Mapping[str, str], body: bytes | Json) -> Fault:
    """As `make_fault`, and by phrases where that says little."""
    fault = make_fault(errors, status, headers, body)
    if fault.kind in VAGUE:
        fault.kind = next((kind for words, kind in phrases if words.search(fault.message)), fault.kind)
    return fault
