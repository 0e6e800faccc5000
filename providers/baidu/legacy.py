"""The older API (wenxinworkshop): one path a model, one text an answer, functions for tools. Facts from qianfan 0.4.12.3, read 2026-11-23.

Requests become OpenAI-shaped first, by the field rules, and take the older shape in one step at the end.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

from msgspec import Struct

from providers.baidu import rerank
from providers.baidu.embeddings import BaiduEmbeddings
from providers.baidu.errors import LEGACY_ERRORS
from providers.baidu.rules import BLANK, merge_turns, penalty_score, short_stops
from providers.baidu.turns import turns
from providers.base import Adapter, Auth, Change, Credential, Exchange, Fault, Json, Outgoing, Stream, Target, encode
from providers.embeddings import BASICS as EMBEDDINGS_BASICS
from providers.faults import make_fault, said
from providers.fields import Fields, all_dropped, all_native, answers, apply, clamp, drop_unless, kept_here, most_tokens, native, rename
from providers.json_mode import json_mode
from providers.messages import flat_text, messages, no_blanks, no_null_content, only, parts, role, text_part
from providers.openai_like import UNKNOWN, kept, read_json, unended
from providers.sse import EventReader, EventTooLong
from providers.tools import choice, functions

HOST = "https://aip.baidubce.com"
OAUTH = "/oauth/2.0/token"
PREFIX = "/rpc/2.0/ai_custom/v1/wenxinworkshop"
DAY = 86400.0
FINISH = {"": "stop", "normal": "stop", "function_call": "tool_calls"}


def access_token(secrets: Mapping[str, str], now: float) -> Exchange:
    """An application's keys for a token of thirty days, which goes into the query string."""
    keys = {"grant_type": "client_credentials", "client_id": secrets["access_key_id"], "client_secret": secrets["access_key_secret"]}
    url = f"{secrets.get('auth_url', HOST).rstrip('/')}{OAUTH}?{urlencode(keys)}"
    answer = read_json((yield Outgoing(url)))
    token = answer.get("access_token")
    if not isinstance(token, str) or not token:
        told = said(answer)
        raise Fault("auth", told.message or "Baidu gave no access token", code=told.code or None)
    life = answer.get("expires_in") or 0
    return Credential(query=urlencode({"access_token": token}), renew=now + life - min(DAY, life / 2))


def address(kind: str, target: Target) -> str:
    return f"{target.base_url}{PREFIX}/{kind}/{quote(target.model.endpoint or target.model.id, safe='')}"


# ---- requests ----


def tool_choice(out: Json, field: str, value: Any, target: Target) -> tuple[Change, ...]:
    """Only naming a function is known here: having to call one of one is that too."""
    tools: list[Json] = out.get("tools", [])
    if value == "required" and len(tools) == 1:
        out[field] = {"type": "function", "function": {"name": tools[0]["function"]["name"]}}
        return (Change(field, "emulated", "named"),)
    return choice(named=True)(out, field, value, target)


CHAT_FIELDS: Fields = {
    "model": kept_here,  # it is in the path
    "messages": messages(
        role("developer", "system"),
        only("role", "content", "tool_calls", "tool_call_id"),
        flat_text,
        no_null_content,
        parts(text=text_part),
        flat_text,
        whole=(merge_turns, no_blanks(BLANK)),
    ),
    "stream": native,
    "stream_options": kept_here,
    "temperature": clamp(0.01, 1.0),
    "top_p": clamp(0.0, 1.0),
    "penalty_score": clamp(1.0, 2.0),
    "presence_penalty": penalty_score,
    "frequency_penalty": penalty_score,
    "max_tokens": most_tokens("max_output_tokens", low=2),
    "max_completion_tokens": most_tokens("max_output_tokens", low=2),
    "stop": short_stops,
    "user": rename("user_id"),
    "tools": functions("name", "description", "parameters", filled=True),
    "tool_choice": tool_choice,
    "parallel_tool_calls": drop_unless(False, "one call a turn"),
    "response_format": json_mode("none", up_to="object"),
    "n": answers(),
    "logprobs": drop_unless(False, "not offered"),
    "store": drop_unless(False, "not offered"),
    "service_tier": drop_unless("auto", "not offered"),
    "modalities": drop_unless(["text"], "only text is offered"),
    "reasoning_effort": drop_unless("none", "the models do not think"),
    "web_search_options": drop_unless({}, "the model searches when it sees fit"),
    **all_native(
        "user_id", "max_output_tokens", "min_output_tokens", "disable_search", "enable_citation", "enable_trace", "enable_system_memory",
        "system_memory_id",
    ),
    **all_dropped(
        "not offered", "seed", "top_logprobs", "logit_bias", "metadata", "prediction", "audio", "prompt_cache_key",
        "prompt_cache_retention", "prompt_cache_options", "safety_identifier", "verbosity", "moderation",
    ),
}  # fmt: skip


def shaped(out: Json) -> tuple[Json, tuple[Change, ...]]:
    """An OpenAI-shaped body in the older shape."""
    system, said, changes = turns(out["messages"])
    body = {**out, "messages": said}
    if system:
        body["system"] = system
    if tools := body.pop("tools", None):
        body["functions"] = [tool["function"] for tool in tools]
        changes += (Change("tools", "renamed", "functions"),)
    if form := body.pop("response_format", None):
        body["response_format"] = form["type"]
    return body, changes


# ---- replies ----


class LegacyChat(Struct, frozen=True):
    """A chat endpoint of the older API."""

    fields: Fields

    def request(self, body: Json, target: Target) -> Outgoing:
        out, changes = apply(self.fields, UNKNOWN, body, target)
        legacy, more = shaped(out)
        return Outgoing(address("chat", target), encode(legacy), changes=changes + more)

    def response(self, body: bytes) -> Json:
        answer = read_json(body)
        if "result" not in answer:
            raise self.fault(200, {}, body)
        calls = calls_of(answer)
        message: Json = {"role": "assistant", "content": answer["result"] or (None if calls else "")}
        if thoughts := (answer.get("function_call") or {}).get("thoughts"):
            message["reasoning_content"] = thoughts
        if calls:
            message["tool_calls"] = calls
        choice = {"index": 0, "message": message, "finish_reason": finish(answer, called=bool(calls), unsafe=is_unsafe(answer))}
        return {**head(answer), "object": "chat.completion", "choices": [choice]}

    def stream(self) -> Stream:
        return LegacyStream()

    def fault(self, status: int, headers: Mapping[str, str], body: bytes) -> Fault:
        return make_fault(LEGACY_ERRORS, status, headers, body)


class LegacyStream:
    """OpenAI chunks out of the older stream, whose last event says so and which has no [DONE]. Usage is a running total in every event."""

    __slots__ = ("_called", "_ended", "_reader", "_unsafe")

    def __init__(self) -> None:
        self._reader = EventReader()
        self._called = False
        self._unsafe = False
        self._ended = False

    def feed(self, data: bytes) -> list[Json]:
        try:
            return kept(self._reader.feed(data), self._chunk, self._is_whole)
        except EventTooLong as exc:
            raise Fault("broken", f"the provider sent {exc}") from exc

    def end(self) -> list[Json]:
        last = kept(self._reader.end(), self._chunk, self._is_whole)
        if not self._ended:
            raise unended()
        return last

    def _is_whole(self) -> bool:
        return self._ended

    def _chunk(self, event: Json) -> Json:
        if "result" not in event:
            raise make_fault(LEGACY_ERRORS, 200, {}, event)
        delta: Json = {"content": event["result"]}
        if not self._called and (calls := calls_of(event)):
            self._called = True
            delta["tool_calls"] = [{**call, "index": 0} for call in calls]
            if thoughts := event["function_call"].get("thoughts"):
                delta["reasoning_content"] = thoughts
        self._unsafe = self._unsafe or is_unsafe(event)
        reason = finish(event, called=self._called, unsafe=self._unsafe) if event.get("is_end") else None
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        self._ended = self._ended or bool(event.get("is_end"))
        return {**head(event), "object": "chat.completion.chunk", "choices": [choice]}


def head(answer: Json) -> Json:
    return {key: answer[key] for key in ("id", "created", "usage") if answer.get(key)}


def calls_of(answer: Json) -> list[Json]:
    """The reply's call, if it has one. It comes without an id: the reply's own is as good, since there is only one."""
    call = answer.get("function_call")
    if not call:
        return []
    call_id = "call_" + str(answer.get("id", "")).removeprefix("as-")
    return [{"id": call_id, "type": "function", "function": {"name": call.get("name") or "", "arguments": call.get("arguments") or "{}"}}]


def is_unsafe(answer: Json) -> bool:
    return bool(answer.get("need_clear_history")) or answer.get("is_safe") == 0


def finish(answer: Json, *, called: bool, unsafe: bool) -> str:
    if unsafe:
        return "content_filter"
    if called:
        return "tool_calls"
    reason = answer.get("finish_reason") or ""
    return "length" if answer.get("is_truncated") else FINISH.get(reason, reason)


class LegacyEmbeddings(BaiduEmbeddings, frozen=True):
    """As v2's, at a path of the model's own."""

    def request(self, body: Json, target: Target) -> Outgoing:
        out, changes = apply(self.fields, self.others, body, target)
        return Outgoing(address("embeddings", target), encode(out), changes=changes)


LEGACY = Adapter(
    vendor="baidu",
    surface="legacy",
    base_url=HOST,
    auth={"access_token": Auth(("access_key_id", "access_key_secret"), access_token)},
    endpoints={
        "chat": LegacyChat(CHAT_FIELDS),
        "embeddings": LegacyEmbeddings(
            fields={**EMBEDDINGS_BASICS, "model": kept_here, "user": rename("user_id"), "user_id": native}, errors=LEGACY_ERRORS
        ),
        "rerank": rerank.legacy(PREFIX),
    },
)
