"""Servers that speak OpenAI's format natively. Nothing is withheld from them: what such a server does not know it says itself.

Facts from the sources of vLLM 0.33.0, SGLang 0.5.23, Ollama and llama.cpp, read 2026-11-23.
"""

import re
from collections.abc import Mapping

from providers.auth import optional_bearer
from providers.base import Adapter, Auth, Fault, Json, Stream
from providers.faults import Errors, Row, make_fault
from providers.fields import ask_for_usage, kept_here, native, served_model
from providers.openai_like import CHAT_BASICS, Chunks, OpenAIChat, OpenAIEmbeddings

ERRORS: Errors = {
    "invalid_api_key": Row("auth", "the key is wrong"),
    "authentication_error": Row("auth", "the key is wrong"),
    "permission_error": Row("auth", "no permission"),
    "model_not_found": Row("no_model", "model does not exist"),
    "insufficient_quota": Row("quota", "the quota is used up"),
    "billing_hard_limit_reached": Row("quota", "the limit of spending is reached"),
    "rate_limit_exceeded": Row("rate_limited", "too many requests"),
    "rate_limit_error": Row("rate_limited", "too many requests"),
    "context_length_exceeded": Row("too_long", "prompt too long"),
    "string_above_max_length": Row("too_long", "prompt too long"),
    "exceed_context_size_error": Row("too_long", "prompt too long"),  # llama.cpp
    "content_filter": Row("refused", "blocked by a filter"),
    "content_policy_violation": Row("refused", "blocked by a filter"),
    "unsupported_parameter": Row("unsupported", "the server does not take a field"),
    "unsupported_value": Row("unsupported", "the server does not take a value"),
    "not_supported_error": Row("unsupported", "the server does not offer this"),  # llama.cpp, as HTTP 501
    "unavailable_error": Row("overloaded", "the model is being loaded"),  # llama.cpp
    "server_error": Row("overloaded", "internal error"),
    "InternalServerError": Row("overloaded", "internal error"),  # vLLM, SGLang
    "ServiceUnavailableError": Row("overloaded", "no room for the request"),  # vLLM
}
"""OpenAI's own codes, and the error types of the servers named above."""

# vLLM, SGLang and Ollama have no code for a prompt that is too long: it is a 400 like any other but for these words.
TOO_LONG = re.compile(
    r"maximum context length|longer than the model's context length|exceeds? the (available )?context (size|length|window)", re.I
)


def fault_of(status: int, headers: Mapping[str, str], body: bytes | Json) -> Fault:
    """As `make_fault`, and by TOO_LONG where neither code nor status says more than that something was bad."""
    fault = make_fault(ERRORS, status, headers, body)
    if fault.kind in ("bad_request", "broken") and TOO_LONG.search(fault.message):
        fault.kind = "too_long"
    return fault


class Whole:
    """A stream in which only a finish reason ends an answer: these servers send `[DONE]` after a failure too."""

    __slots__ = ("_finished", "_open", "_stream")

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._open: set[int] = set()
        self._finished: set[int] = set()

    def feed(self, data: bytes) -> list[Json]:
        return self._seen(self._stream.feed(data))

    def end(self) -> list[Json]:
        last = self._seen(self._stream.end())
        if not self._finished or self._open - self._finished:
            raise Fault("broken", "the server's answer ended before it was complete")
        return last

    def _seen(self, chunks: list[Json]) -> list[Json]:
        for choice in (choice for chunk in chunks for choice in chunk.get("choices") or ()):
            (self._finished if choice.get("finish_reason") else self._open).add(choice.get("index") or 0)
        return chunks


class CompatibleChat(OpenAIChat, frozen=True):
    def stream(self) -> Stream:
        return Whole(Chunks(self))

    def fault(self, status: int, headers: Mapping[str, str], body: bytes) -> Fault:
        return fault_of(status, headers, body)

    def chunk(self, event: Json) -> Json | None:
        if event.get("error") or event.get("object") == "error":
            raise fault_of(200, {}, event)
        return super().chunk(event)

    def settle(self, choice: Json, said: Json) -> None:
        """Reasoning is `reasoning` at vLLM and Ollama, `reasoning_content` at the others; some send both, one of them null."""
        super().settle(choice, said)
        if "reasoning" in said:
            reasoning = said.pop("reasoning")
            if isinstance(reasoning, str) and not said.get("reasoning_content"):
                said["reasoning_content"] = reasoning


class CompatibleEmbeddings(OpenAIEmbeddings, frozen=True):
    def fault(self, status: int, headers: Mapping[str, str], body: bytes) -> Fault:
        return fault_of(status, headers, body)


ADAPTER = Adapter(
    vendor="openai_compatible",
    surface="v1",
    base_url="",
    auth={"api_key": Auth((), optional_bearer)},  # no secret is needed; a key is shown if there is one
    endpoints={
        "chat": CompatibleChat(
            fields={**CHAT_BASICS, "stream": ask_for_usage},
            others=native,
            finish={"repetition": "stop"},
            failed={"abort": "broken", "error": "broken"},
            errors=ERRORS,
        ),
        "embeddings": CompatibleEmbeddings(fields={"model": served_model, "encoding_format": kept_here}, others=native, errors=ERRORS),
    },
)
SURFACES = (ADAPTER,)
