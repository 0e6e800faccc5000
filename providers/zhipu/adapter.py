"""Zhipu's v4 API: OpenAI's shape with its own limits. Facts from docs.bigmodel.cn and zai-sdk 0.2.3, read 2026-11-23."""

from collections.abc import Mapping
from typing import Any

from providers.auth import API_KEY, jwt_hs256
from providers.base import Adapter, Auth, Change, Credential, Exchange, Fault, Json, Target
from providers.batching import Batches
from providers.embeddings import BASICS as EMBEDDINGS_BASICS
from providers.fields import Fields, all_dropped, all_native, answers, clamp, drop_unless, most_tokens, stops
from providers.json_mode import json_mode
from providers.messages import as_is, flat_text, image_without_detail, messages, no_null_content, only, parts, role, text_part, user_speaks
from providers.openai_like import CHAT_BASICS, OpenAIChat, OpenAIEmbeddings
from providers.rerank import CommonRerank
from providers.tools import choice, functions, one_call
from providers.zhipu.errors import ERRORS
from providers.zhipu.images import images
from providers.zhipu.moderation import ZhipuModeration
from providers.zhipu.rerank import FIELDS as RERANK_FIELDS
from providers.zhipu.speech import SPEECH
from providers.zhipu.transcriptions import TRANSCRIPTIONS
from providers.zhipu.tuning import ZhipuTuning

TOKEN_LIFE = 210.0
"""Seconds that a signed token is good for; the SDK's own figure."""


def signed_token(secrets: Mapping[str, str], now: float) -> Exchange:
    """The older form of the key: a token signed with its second half, in which times are milliseconds."""
    key_id, dot, secret = secrets["api_key"].partition(".")
    if not dot:
        raise Fault("auth", "a Zhipu key has the form id.secret")
    claims = {"api_key": key_id, "exp": round((now + TOKEN_LIFE) * 1000), "timestamp": round(now * 1000)}
    token = jwt_hs256(claims, secret, {"alg": "HS256", "sign_type": "SIGN"})
    return Credential({"authorization": f"Bearer {token}"}, renew=now + TOKEN_LIFE - 30)
    yield


def reasoning_effort(out: Json, field: str, value: Any, target: Target) -> tuple[Change, ...]:
    """GLM-5.2 and later take an effort, those before it a switch, and the rest do not think."""
    thinking = target.model.thinking
    if thinking == "effort":
        out[field] = value
        return ()
    if thinking == "always":  # low, high and max alone, and it cannot be turned off
        kept = {"low": "low", "high": "high", "max": "max", "xhigh": "max", "medium": "high"}.get(value, "low")
        out[field] = kept
        return () if kept == value else (Change(field, "clamped", kept),)
    if thinking == "switch":
        on = value not in ("none", "minimal")
        out["thinking"] = {"type": "enabled" if on else "disabled"}
        return (Change(field, "emulated", "thinking"),)
    return (Change(field, "dropped", why="the model does not think"),)


def user_id(out: Json, field: str, value: Any, target: Target) -> tuple[Change, ...]:
    """Zhipu's ids are of 6 to 128 characters: a short one is filled up, a long one is cut."""
    out["user_id"] = value[:128].ljust(6, "_")
    return (Change(field, "renamed", "user_id"),)


SEARCH: Json = {"type": "web_search", "web_search": {"enable": True, "search_engine": "search_pro", "search_result": True}}


def web_search(out: Json, field: str, value: Any, target: Target) -> tuple[Change, ...]:
    out["tools"] = [*out.get("tools", ()), SEARCH]
    return (Change(field, "emulated", "tools[].web_search"),)


CHAT_FIELDS: Fields = {
    **CHAT_BASICS,
    "messages": messages(
        role("developer", "system"),
        only("role", "content", "tool_calls", "tool_call_id", "reasoning_content"),
        flat_text,
        no_null_content,
        parts(
            text=text_part, image_url=image_without_detail, video_url=as_is, file_url=as_is, input_audio=as_is
        ),
        whole=(user_speaks,),
    ),
    "temperature": clamp(0.0, 1.0),
    "top_p": clamp(0.01, 1.0),
    "max_tokens": most_tokens("max_tokens"),
    "max_completion_tokens": most_tokens("max_tokens"),
    "stop": stops(1),
    "tools": functions("name", "description", "parameters", filled=True, kinds=("function", "web_search", "retrieval", "mcp")),
    "tool_choice": choice("auto"),
    "parallel_tool_calls": one_call,
    "response_format": json_mode("object"),
    "reasoning_effort": reasoning_effort,
    "user": user_id,
    "n": answers(),
    **all_native(
        "seed", "thinking", "do_sample", "tool_stream", "request_id", "user_id", "sensitive_word_check", "meta", "watermark_enabled"
    ),
    "web_search_options": web_search,
    "frequency_penalty": drop_unless(0, "not offered"),
    "presence_penalty": drop_unless(0, "not offered"),
    "logprobs": drop_unless(False, "not offered"),
    "logit_bias": drop_unless({}, "not offered"),
    "store": drop_unless(False, "not offered"),
    "modalities": drop_unless(["text"], "only text is offered"),
    **all_dropped(
        "not offered", "top_logprobs", "metadata", "service_tier", "prediction", "audio", "prompt_cache_key", "prompt_cache_retention",
        "prompt_cache_options", "safety_identifier", "verbosity", "moderation",
    ),
}  # fmt: skip


class ZhipuChat(OpenAIChat, frozen=True):
    """What no table says: the box marks that GLM-4.5V leaves in its text."""

    def settle(self, choice: Json, said: Json) -> None:
        super().settle(choice, said)
        content = said.get("content")
        if content and "<|" in content:
            said["content"] = content.replace("<|begin_of_box|>", "").replace("<|end_of_box|>", "")


ADAPTER = Adapter(
    vendor="zhipu",
    surface="v4",
    base_url="https://open.bigmodel.cn/api/paas/v4",
    auth={"api_key": API_KEY, "signed_token": Auth(("api_key",), signed_token)},
    endpoints={
        "chat": ZhipuChat(
            fields=CHAT_FIELDS,
            finish={"sensitive": "content_filter", "model_context_window_exceeded": "length"},
            failed={"network_error": "overloaded"},
            errors=ERRORS,
        ),
        "embeddings": OpenAIEmbeddings(fields={**EMBEDDINGS_BASICS, **all_native("user")}, errors=ERRORS),
        "rerank": CommonRerank(fields={**RERANK_FIELDS, "user": user_id}, errors=ERRORS),
        "moderations": ZhipuModeration(errors=ERRORS),
        "images": images(user_id),
        "speech": SPEECH,
        "transcriptions": TRANSCRIPTIONS,
    },
    tuning=ZhipuTuning(),
    batching=Batches("/v4/chat/completions", 50, fields={"auto_delete_input_file": True}),
)
SURFACES = (ADAPTER,)
