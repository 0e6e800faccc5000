"""360's v1 API: OpenAI's shape, in front of its own models and of other makers'. No page of the vendor could be read: facts are of LobeHub
chat 1.143.3, OpenCompass, Higress and two public repositories of 2026, read 2026-11-23; what makers take is theirs, see presets.yaml.
"""

from collections.abc import Mapping
from typing import Any

from providers.auth import API_KEY
from providers.base import Adapter, Auth, Change, Credential, Exchange, Fault, Json, Outgoing, Stream, Target, Whole, encode
from providers.embeddings import BASICS as EMBEDDINGS_BASICS
from providers.fields import (
    Fields,
    Rule,
    all_dropped,
    all_native,
    answers,
    apply,
    ask_for_usage,
    clamp,
    drop,
    drop_unless,
    kept_here,
    most_tokens,
    native,
    stops,
)
from providers.json_mode import json_mode
from providers.messages import flat_text, image_without_detail, messages, no_null_content, only, parts, role, text_part
from providers.openai_like import Chunks, OpenAIChat, OpenAIEmbeddings
from providers.qihoo360.errors import ERRORS, fault_of
from providers.tools import choice, functions, one_call

OWN = "360"
MAKERS: Mapping[str, str] = {"deepseek": "deepseek", "glm": "z-ai", "doubao": "volcengine"}
"""Whose a model is, by how its name begins: resellers are in the prefix, makers in what comes after it."""


def maker_of(model: str) -> str:
    """`360` for its own models; "" for a maker of whom nothing is known."""
    *prefix, name = model.lower().split("/")
    if not prefix and name.startswith(OWN):
        return OWN
    return next((maker for start, maker in MAKERS.items() if name.startswith(start)), "")


def by_maker(rules: Mapping[str, Rule | None], otherwise: Rule | None) -> Rule:
    """What becomes of a field depends on whose model it is: 360's own take less than those it passes on."""

    def rule(out: Json, field: str, value: Any, target: Target) -> tuple[Change, ...]:
        chosen = rules.get(maker_of(target.model.id), otherwise)
        if chosen is None:
            out[field] = value
            return ()
        return chosen(out, field, value, target)

    return rule


def model(out: Json, field: str, value: Any, target: Target) -> tuple[Change, ...]:
    """A model of z-ai that always thinks wants to hear that it shall."""
    out["model"] = target.model.id
    if target.model.thinking == "always" and maker_of(target.model.id) == "z-ai":
        out["thinking"] = {"type": "enabled"}
    return ()


def thinking(out: Json, field: str, value: Any, target: Target) -> tuple[Change, ...]:
    """`enabled` or `disabled`, and nothing else beside it; 360's own models have no switch."""
    if maker_of(target.model.id) == OWN:
        return (Change(field, "dropped", why="the model has no switch"),)
    asked = value.get("type") if isinstance(value, dict) else value
    kept = asked if asked in ("enabled", "disabled") and target.model.thinking != "always" else "enabled"
    out[field] = {"type": kept}
    return () if value == out[field] else (Change(field, "clamped", kept),)


def reasoning_effort(out: Json, field: str, value: Any, target: Target) -> tuple[Change, ...]:
    """A switch for other makers' models. Asking one that does not think not to is asking for nothing."""
    off = value in ("none", "minimal")
    if target.model.thinking == "none" and off:
        return ()
    if target.model.thinking == "always" or maker_of(target.model.id) == OWN:
        return (Change(field, "dropped", why="the model always thinks" if target.model.thinking == "always" else "not offered"),)
    out["thinking"] = {"type": "disabled" if off else "enabled"}
    return (Change(field, "emulated", "thinking"),)


SEARCH: Json = {"type": "web_search", "web_search": {"search_mode": "auto"}}
KEYS = ("name", "description", "parameters")
FUNCTIONS = by_maker({OWN: functions(*KEYS, kinds=("function", "web_search"))}, functions(*KEYS))


def tools(out: Json, field: str, value: Any, target: Target) -> tuple[Change, ...]:
    """Functions where the catalog does not say that the model has none; beside the search that `web_search_options` may have put there."""
    if target.model.tools is False:
        return (Change(field, "dropped", why="the model does not call functions"),)
    before = out.pop(field, [])
    changes = FUNCTIONS(out, field, value, target)
    if before:
        out[field] = [*out.get(field, []), *before]
    return changes


def search(out: Json, field: str, value: Any, target: Target) -> tuple[Change, ...]:
    if target.model.tools is False:
        return (Change(field, "dropped", why="the model has no tools"),)
    out["tools"] = [*out.get("tools", []), SEARCH]
    return (Change(field, "emulated", "tools[].web_search"),)


PENALTY = by_maker({"deepseek": clamp(-2.0, 2.0), "volcengine": clamp(-2.0, 2.0)}, drop_unless(0, "not offered"))
MESSAGES = (role("developer", "system"), flat_text, no_null_content, parts(text=text_part, image_url=image_without_detail))
TURN = ("role", "content", "tool_calls", "tool_call_id")
REASONED = messages(only(*TURN, "reasoning_content"), *MESSAGES)

CHAT_FIELDS: Fields = {
    "model": model,
    "messages": by_maker({"deepseek": REASONED, "z-ai": REASONED, "volcengine": REASONED}, messages(only(*TURN), *MESSAGES)),
    "stream": by_maker({"deepseek": ask_for_usage, "volcengine": ask_for_usage}, native),
    "stream_options": kept_here,
    "temperature": by_maker({OWN: clamp(0.01, 1.0), "z-ai": clamp(0.0, 1.0)}, clamp(0.0, 2.0)),
    "top_p": clamp(0.01, 1.0),
    "max_tokens": by_maker({OWN: most_tokens("max_tokens", high=4096)}, most_tokens("max_tokens")),
    "max_completion_tokens": by_maker({OWN: most_tokens("max_tokens", high=4096)}, most_tokens("max_tokens")),
    "n": answers(),
    "stop": by_maker({"deepseek": stops(16), "volcengine": stops(4), "z-ai": stops(1)}, stops(0)),
    "tools": tools,
    "tool_choice": by_maker({"deepseek": choice("auto", "none"), "volcengine": choice("auto", "none")}, choice("auto")),
    "parallel_tool_calls": one_call,
    "response_format": by_maker({"deepseek": json_mode("object"), "z-ai": json_mode("object")}, json_mode("none")),
    "thinking": thinking,
    "reasoning_effort": reasoning_effort,
    "web_search_options": by_maker({OWN: search}, drop("not offered")),
    "frequency_penalty": PENALTY,
    "presence_penalty": PENALTY,
    "seed": by_maker({"z-ai": native}, drop("not offered")),
    "logprobs": by_maker({"deepseek": native, "volcengine": native}, drop_unless(False, "not offered")),
    "top_logprobs": by_maker({"deepseek": native, "volcengine": native}, drop("not offered")),
    "logit_bias": drop_unless({}, "not offered"),
    "store": drop_unless(False, "not offered"),
    "modalities": drop_unless(["text"], "only text is offered"),
    "verbosity": drop_unless("medium", "not offered"),
    "num_beams": by_maker({OWN: native}, drop("not offered")),
    **all_native("user", "top_k", "repetition_penalty"),
    **all_dropped(
        "not offered", "audio", "metadata", "moderation", "prediction", "prompt_cache_key", "prompt_cache_options",
        "prompt_cache_retention", "safety_identifier", "service_tier",
    ),
}  # fmt: skip


class QihooChat(OpenAIChat, frozen=True):
    """What no table says: 360's own models do not stream where there are tools."""

    def request(self, body: Json, target: Target) -> Outgoing:
        out, changes = apply(self.fields, self.others, body, target)
        if out.get("stream") and out.get("tools") and maker_of(target.model.id) == OWN:
            changes += (Change("stream", "emulated", "told when whole", "the model does not stream where there are tools", Whole()),)
        return Outgoing(target.base_url + self.path, encode(out), changes=changes)

    def stream(self) -> Stream:
        return Chunks(self)

    def chunk(self, event: Json) -> Json | None:
        if event.get("error"):
            raise fault_of(200, {}, event)
        return super().chunk(event)

    def fault(self, status: int, headers: Mapping[str, str], body: bytes) -> Fault:
        return fault_of(status, headers, body)


class QihooEmbeddings(OpenAIEmbeddings, frozen=True):
    def fault(self, status: int, headers: Mapping[str, str], body: bytes) -> Fault:
        return fault_of(status, headers, body)


def bare_key(secrets: Mapping[str, str], now: float) -> Exchange:
    """The key without `Bearer`, as one of the adaptors sends it."""
    return Credential({"authorization": secrets["api_key"]})
    yield


ADAPTER = Adapter(
    vendor="qihoo360",
    surface="v1",
    base_url="https://api.360.cn/v1",
    auth={"api_key": API_KEY, "bare_key": Auth(("api_key",), bare_key)},
    endpoints={
        "chat": QihooChat(fields=CHAT_FIELDS, errors=ERRORS),
        "embeddings": QihooEmbeddings(fields={**EMBEDDINGS_BASICS, "user": drop("not offered")}, errors=ERRORS),
    },
)
SURFACES = (ADAPTER,)
