"""Baichuan's v1 API: OpenAI's shape with its own limits. Facts from the vendor's pages as mirrors have them, LobeHub chat 1.143.3,
langchain-community 0.4.2 and OpenCompass, read 2026-11-23. The signed API of 2023 (`/v1/chat`) is not spoken.
"""

from collections.abc import Mapping
from typing import Any

from providers.auth import API_KEY
from providers.baichuan.errors import ERRORS, fault_of
from providers.base import Adapter, Change, Fault, Json, Stream, Target
from providers.embeddings import BASICS as EMBEDDINGS_BASICS
from providers.fields import Fields, all_dropped, all_native, answers, clamp, drop, drop_unless, most_tokens, stops
from providers.json_mode import json_mode
from providers.messages import flat_text, merge_systems, messages, no_blanks, no_null_content, only, parts, role, text_part, user_speaks
from providers.openai_like import CHAT_BASICS, Chunks, OpenAIChat, OpenAIEmbeddings
from providers.think_tags import Untagged, untag
from providers.tools import choice, functions, one_call

SEARCH: Json = {"type": "web_search", "web_search": {"enable": True, "search_mode": "performance_first"}}

FUNCTIONS = functions("name", "description", "parameters", filled=True, kinds=("function", "web_search", "retrieval"))


def tools(out: Json, field: str, value: Any, target: Target) -> tuple[Change, ...]:
    """Beside the search that `web_search_options` may have put there already."""
    before = out.pop(field, [])
    changes = FUNCTIONS(out, field, value, target)
    if before:
        out[field] = [*out.get(field, []), *before]
    return changes


def search(out: Json, field: str, value: Any, target: Target) -> tuple[Change, ...]:
    out["tools"] = [*out.get("tools", []), SEARCH]
    return (Change(field, "emulated", "tools[].web_search"),)


def unseen(part: Json) -> Json | None:
    """Refused before it is sent, so that a model that sees may have it."""
    raise Fault("unsupported", "no model of Baichuan's reads images", param="messages")


def file_part(part: Json) -> Json | None:
    """A file that was uploaded to Baichuan; one that comes with the request cannot be said."""
    named = part.get("file_id") or (part.get("file") or {}).get("file_id")
    if not named:
        return None
    return {"type": "file", "file_id": named if isinstance(named, list) else [named]}


def reasoning_effort(out: Json, field: str, value: Any, target: Target) -> tuple[Change, ...]:
    """There is no switch: the medical models think, the others do not. Asking these not to is asking for nothing."""
    if target.model.thinking == "none" and value in ("none", "minimal"):
        return ()
    why = "the model always thinks" if target.model.thinking == "always" else "the model does not think"
    return (Change(field, "dropped", why=why),)


def metadata(out: Json, field: str, value: Any, target: Target) -> tuple[Change, ...]:
    """Baichuan means something else by it: on what grounds M3-Plus answers. A client's own labels stay here."""
    if "evidence_scope" in value:
        out[field] = {"evidence_scope": value["evidence_scope"]}
    return () if value.keys() == {"evidence_scope"} else (Change(field, "dropped", why="not offered"),)


CHAT_FIELDS: Fields = {
    **CHAT_BASICS,
    "messages": messages(
        role("developer", "system"),
        only("role", "content", "tool_calls", "tool_call_id"),
        flat_text,
        no_null_content,
        parts(text=text_part, image_url=unseen, file=file_part),
        whole=(merge_systems, user_speaks, no_blanks(".")),
    ),
    "temperature": clamp(0.0, 1.0),
    "top_p": clamp(0.0, 0.99),
    "top_k": clamp(0, 20),
    "max_tokens": most_tokens("max_tokens"),
    "max_completion_tokens": most_tokens("max_tokens"),
    "tools": tools,
    "tool_choice": choice("auto", "none"),
    "parallel_tool_calls": one_call,
    "response_format": json_mode("none"),
    "reasoning_effort": reasoning_effort,
    "web_search_options": search,
    "metadata": metadata,
    "n": answers(),
    "stop": stops(0),
    "frequency_penalty": drop_unless(0, "not offered"),
    "presence_penalty": drop_unless(0, "not offered"),
    "logprobs": drop_unless(False, "not offered"),
    "logit_bias": drop_unless({}, "not offered"),
    "store": drop_unless(False, "not offered"),
    "modalities": drop_unless(["text"], "only text is offered"),
    **all_native("with_search_enhance", "knowledge_base"),
    **all_dropped(
        "not offered", "seed", "user", "top_logprobs", "service_tier", "prediction", "audio", "prompt_cache_key",
        "prompt_cache_retention", "prompt_cache_options", "safety_identifier", "verbosity", "moderation",
    ),
}  # fmt: skip


class BaichuanChat(OpenAIChat, frozen=True):
    """What no table says: M2 leaves its thoughts in the text, the later ones do not."""

    def response(self, body: bytes) -> Json:
        answer = super().response(body)
        for said in answer["choices"]:
            untag(said.get("message") or {})
        return answer

    def stream(self) -> Stream:
        return Untagged(Chunks(self))

    def chunk(self, event: Json) -> Json | None:
        if event.get("error"):
            raise fault_of(200, {}, event)
        return super().chunk(event)

    def fault(self, status: int, headers: Mapping[str, str], body: bytes) -> Fault:
        return fault_of(status, headers, body)


class BaichuanEmbeddings(OpenAIEmbeddings, frozen=True):
    def fault(self, status: int, headers: Mapping[str, str], body: bytes) -> Fault:
        return fault_of(status, headers, body)


ADAPTER = Adapter(
    vendor="baichuan",
    surface="v1",
    base_url="https://api.baichuan-ai.com/v1",
    auth={"api_key": API_KEY},
    endpoints={
        "chat": BaichuanChat(fields=CHAT_FIELDS, errors=ERRORS),
        "embeddings": BaichuanEmbeddings(fields={**EMBEDDINGS_BASICS, "user": drop("not offered")}, errors=ERRORS),
    },
)
SURFACES = (ADAPTER,)
