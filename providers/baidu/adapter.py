"""Qianfan's v2 API: OpenAI's shape with its own limits. Facts from cloud.baidu.com doc/qianfan-api and qianfan 0.4.12.3, read 2026-11-23.

The older API, which shares nothing with it but the vendor, is in legacy.py.
"""

from typing import Any

from providers.auth import API_KEY
from providers.baidu.embeddings import BaiduEmbeddings
from providers.baidu.errors import ERRORS
from providers.baidu.iam import iam_token
from providers.baidu.images import EDITS, IMAGES
from providers.baidu.legacy import LEGACY
from providers.baidu.rerank import RERANK
from providers.baidu.rules import BLANK, ernie_or, merge_turns, penalty_score, short_stops
from providers.baidu.tuning import BaiduTuning
from providers.base import Adapter, Auth, Change, Json, Stream, Target
from providers.batching import Batches
from providers.embeddings import BASICS as EMBEDDINGS_BASICS
from providers.fields import (
    THINKING_BUDGETS,
    Fields,
    all_dropped,
    all_native,
    answers,
    ask_for_usage,
    clamp,
    drop,
    drop_unless,
    kept_here,
    most_tokens,
    native,
)
from providers.json_mode import json_mode
from providers.messages import (
    as_is,
    flat_text,
    image_without_detail,
    merge_systems,
    messages,
    no_blanks,
    no_null_content,
    only,
    parts,
    role,
    text_part,
)
from providers.openai_like import CHAT_BASICS, Chunks, OpenAIChat
from providers.tools import choice, functions

ENABLE_THINKING = ("ernie", "qwen")
"""Of the models whose thinking is a switch, those whose switch is `enable_thinking`; the others' is `thinking`."""
EFFORTS = {"high": "high", "xhigh": "max", "max": "max"}
"""Qianfan knows only two; what is less than them it cannot be told."""


def reasoning_effort(out: Json, field: str, value: Any, target: Target) -> tuple[Change, ...]:
    """An effort where the model has one, else a switch where it has that."""
    model = target.model
    if model.thinking == "effort" and value in EFFORTS:
        out[field] = kept = EFFORTS[value]
        return () if kept == value else (Change(field, "clamped", kept),)
    if model.thinking == "switch":
        on = value not in ("none", "minimal")
        if model.id.startswith(ENABLE_THINKING):
            out["enable_thinking"] = on
            if value in THINKING_BUDGETS:
                out.setdefault("thinking_budget", THINKING_BUDGETS[value])
                return (Change(field, "emulated", "thinking_budget"),)
            return (Change(field, "emulated", "enable_thinking"),)
        out["thinking"] = {"type": "enabled" if on else "disabled"}
        return (Change(field, "emulated", "thinking"),)
    if model.thinking == "none" and value in ("none", "minimal"):
        return ()
    why = {"effort": "only high and max are offered", "always": "the model always thinks", "none": "the model does not think"}
    return (Change(field, "dropped", why=why.get(model.thinking, "not known of the model")),)


def max_tokens(out: Json, field: str, value: Any, target: Target) -> tuple[Change, ...]:
    """OpenAI's older limit. Qianfan's own `max_tokens` leaves the reasoning out, so for a model that may think it is the newer one."""
    thinks = target.model.thinking not in ("", "none")
    return most_tokens("max_completion_tokens" if thinks else "max_tokens", low=2)(out, field, value, target)


def web_search(out: Json, field: str, value: Any, target: Target) -> tuple[Change, ...]:
    """Without the search's status, which would come as words of the answer."""
    out["web_search"] = {"enable": True, "enable_status": False}
    return (Change(field, "emulated", "web_search"),)


CHAT_FIELDS: Fields = {
    **CHAT_BASICS,
    "messages": messages(
        role("developer", "system"),
        only("role", "content", "name", "tool_calls", "tool_call_id"),
        flat_text,
        no_null_content,
        parts(text=text_part, image_url=image_without_detail, video_url=as_is),
        whole=(merge_systems, ernie_or(merge_turns, kept_here), no_blanks(BLANK)),
    ),
    "stream": ask_for_usage,
    "temperature": ernie_or(clamp(0.01, 1.0), clamp(0.0, 2.0)),
    "top_p": clamp(0.0, 1.0),
    "penalty_score": ernie_or(clamp(1.0, 2.0), drop("ERNIE only")),
    "presence_penalty": ernie_or(penalty_score, clamp(-2.0, 2.0)),
    "frequency_penalty": ernie_or(penalty_score, clamp(-2.0, 2.0)),
    "max_tokens": max_tokens,
    "max_completion_tokens": most_tokens("max_completion_tokens", low=2),
    "stop": short_stops,
    "tools": functions("name", "description", "parameters"),
    "tool_choice": choice("auto", "none", "required", named=True),
    "parallel_tool_calls": native,
    "response_format": json_mode("object"),
    "reasoning_effort": reasoning_effort,
    "web_search_options": web_search,
    "n": answers(),
    "logprobs": drop_unless(False, "not offered"),
    "store": drop_unless(False, "not offered"),
    "service_tier": drop_unless("auto", "not offered"),
    "modalities": drop_unless(["text"], "only text is offered"),
    **all_native(
        "seed", "user", "repetition_penalty", "thinking", "enable_thinking", "thinking_budget", "web_search", "preemptible",
    ),
    **all_dropped(
        "not offered", "top_logprobs", "logit_bias", "metadata", "prediction", "audio", "prompt_cache_key", "prompt_cache_retention",
        "prompt_cache_options", "safety_identifier", "verbosity", "moderation",
    ),
}  # fmt: skip


class QianfanChat(OpenAIChat, frozen=True):
    """What no table says: each choice has a flag for how safe it is."""

    def settle(self, choice: Json, said: Json) -> None:
        super().settle(choice, said)
        flag = choice.get("flag") or 0
        if flag >= 2 or choice.get("need_clear_history"):  # 2: may still be shown; need_clear_history: an older word for it
            choice["finish_reason"] = "content_filter"
        elif choice.get("is_end") and not choice.get("finish_reason"):  # an older form of the last chunk
            choice["finish_reason"] = "stop"
        if flag >= 3:  # not to be shown, or to be taken back
            said.pop("reasoning_content", None)
            said.pop("tool_calls", None)
        if flag >= 3 or "search_status" in (said.get("delta_tag"), choice.get("delta_tag")):
            said["content"] = ""

    def stream(self) -> Stream:
        return Moderated(Chunks(self))


class Moderated:
    """A stream that says nothing more of an answer once that has been stopped as unsafe: the vendor may still send its end."""

    __slots__ = ("_chunks", "_stopped")

    def __init__(self, chunks: Stream) -> None:
        self._chunks = chunks
        self._stopped: set[int] = set()

    def feed(self, data: bytes) -> list[Json]:
        return [self._kept(chunk) for chunk in self._chunks.feed(data)]

    def end(self) -> list[Json]:
        return [self._kept(chunk) for chunk in self._chunks.end()]

    def _kept(self, chunk: Json) -> Json:
        choices = chunk.get("choices") or ()
        if self._stopped:
            chunk = {**chunk, "choices": [choice for choice in choices if choice.get("index", 0) not in self._stopped]}
        self._stopped.update(choice.get("index", 0) for choice in choices if choice.get("finish_reason") == "content_filter")
        return chunk


V2 = Adapter(
    vendor="baidu",
    surface="v2",
    base_url="https://qianfan.baidubce.com/v2",
    auth={"api_key": API_KEY, "iam_token": Auth(("access_key_id", "access_key_secret"), iam_token)},
    endpoints={
        "chat": QianfanChat(fields=CHAT_FIELDS, finish={"normal": "stop", "function_call": "tool_calls"}, errors=ERRORS),
        "embeddings": BaiduEmbeddings(fields={**EMBEDDINGS_BASICS, "user": native}, errors=ERRORS),
        "rerank": RERANK,
        "images": IMAGES,
        "image_edits": EDITS,
    },
    tuning=BaiduTuning(),
    batching=Batches("/v2/chat/completions", 40, windows=(24, 24)),
)
SURFACES = (V2, LEGACY)
