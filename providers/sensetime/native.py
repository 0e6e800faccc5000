"""SenseNova's own API of June 2024: everything under `data`, words as plain strings, a stream without spaces.

Facts from the SenseCore help centre (ChatCompletion, ErrorCode) and sensenova 1.0.6, read 2026-11-23.
"""

from collections.abc import Mapping
from typing import Any

from providers.base import Change, Fault, Json, Target
from providers.embeddings import BASICS as EMBEDDINGS_BASICS
from providers.embeddings import reply
from providers.fields import Fields, all_dropped, all_native, answers, drop, drop_unless, most_tokens, stops
from providers.json_mode import json_mode
from providers.openai_like import CHAT_BASICS, OpenAIEmbeddings, read_json
from providers.sensetime.answers import FINISH, SenseNovaChat
from providers.sensetime.errors import ERRORS, fault_of
from providers.sensetime.rules import MESSAGES, thinking, within
from providers.tools import choice, functions, one_call

SEARCH = {"search_enable": True, "result_enable": True}


def web_search(out: Json, field: str, value: Any, target: Target) -> tuple[Change, ...]:
    """A plugin here, with nothing to choose."""
    out["plugins"] = {"web_search": SEARCH, **out.get("plugins", {})}
    return (Change(field, "emulated", "plugins.web_search"),)


def plugins(out: Json, field: str, value: Any, target: Target) -> tuple[Change, ...]:
    """What the client itself says of a plugin stands."""
    if not isinstance(value, dict):
        raise Fault("bad_request", "`plugins` has to be an object", param=field)
    out[field] = {**out.get(field, {}), **value}
    return ()


CHAT_FIELDS: Fields = {
    **CHAT_BASICS,
    "messages": MESSAGES,
    "max_tokens": most_tokens("max_new_tokens"),
    "max_completion_tokens": most_tokens("max_new_tokens"),
    "n": answers(4),
    "stop": stops(0),
    "temperature": within(0.01, 2.0),
    "top_p": within(0.000001, 0.999999),  # both ends are excluded
    "tools": functions("name", "description", "parameters", filled=True),
    "tool_choice": choice("auto", "none", named=True, as_object=True),
    "parallel_tool_calls": one_call,
    "response_format": json_mode("none"),
    "reasoning_effort": thinking,
    "web_search_options": web_search,
    "plugins": plugins,
    "frequency_penalty": drop_unless(0, "not offered"),
    "presence_penalty": drop_unless(0, "not offered"),
    "logprobs": drop_unless(False, "not offered"),
    "logit_bias": drop_unless({}, "not offered"),
    "store": drop_unless(False, "not offered"),
    "modalities": drop_unless(["text"], "only text is offered"),
    **all_native("user", "max_new_tokens", "repetition_penalty", "thinking", "know_ids", "knowledge_config"),
    **all_dropped(
        "not offered", "seed", "top_logprobs", "metadata", "service_tier", "prediction", "audio", "prompt_cache_key",
        "prompt_cache_retention", "prompt_cache_options", "safety_identifier", "verbosity", "moderation",
    ),
}  # fmt: skip


class NativeChat(SenseNovaChat, frozen=True):
    """POST /chat-completions"""

    path: str = "/chat-completions"

    def response(self, body: bytes) -> Json:
        told = self.told(read_json(body))
        choices = [self.choice(choice, "message") for choice in told.get("choices", ())]
        if not choices:
            raise self.fault(200, {}, body)
        answer: Json = {**told, "choices": choices}
        if told.get("usage"):
            answer["usage"] = usage(told["usage"])
        return answer

    def chunk(self, event: Json) -> Json | None:
        told = self.told(event)
        chunk: Json = {**told, "choices": [self.choice(choice, "delta") for choice in told.get("choices", ())]}
        if told.get("usage"):
            chunk["usage"] = usage(told["usage"])  # it grows with each event, and the last one counts
        return chunk

    def told(self, answer: Json) -> Json:
        """What is under `data`, without what is empty. Raises Fault for an answer that reports an error, in either of the two ways."""
        data, status = answer.get("data"), answer.get("status")
        if isinstance(status, dict) and status.get("code"):
            raise fault_of(self.errors, 200, {}, {"error": status})
        if answer.get("error") or not isinstance(data, dict):
            raise fault_of(self.errors, 200, {}, answer)
        return {key: value for key, value in data.items() if value}

    def choice(self, choice: Json, name: str) -> Json:
        """OpenAI's choice: role, reasoning and calls stand beside the words here, and belong to the message or delta `name`."""
        said: Json = {"role": choice.get("role") or "assistant", "content": choice.get(name) or ""}
        for key in ("reasoning_content", "tool_calls"):
            if choice.get(key):
                said[key] = choice[key]
        made = {"index": choice.get("index", 0), name: said, "finish_reason": choice.get("finish_reason") or None}
        self.settle(made, said)
        return made


def usage(told: Json) -> Json:
    """Tokens of a knowledge base are tokens of the prompt, where the total says that they were not counted there."""
    prompt, knowledge, completion = (told.get(f"{part}_tokens") or 0 for part in ("prompt", "knowledge", "completion"))
    total = told.get("total_tokens") or prompt + completion
    if prompt + knowledge + completion == total:
        prompt += knowledge
    counted = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": total}
    return {**{key: value for key, value in told.items() if key.endswith("_details")}, **counted}


class NativeEmbeddings(OpenAIEmbeddings, frozen=True):
    """POST /embeddings: vectors under `embeddings`, each with a status of its own."""

    def response(self, body: bytes) -> Json:
        answer = read_json(body)
        told = answer["data"] if isinstance(answer.get("data"), dict) else answer  # as all else here, though the SDK shows it bare
        vectors = sorted(told.get("embeddings") or (), key=lambda item: item.get("index", 0))
        if answer.get("error") or not vectors:
            raise self.fault(200, {}, body)
        if failed := next((item["status_code"] for item in vectors if item.get("status_code")), 0):
            raise fault_of(self.errors, 200, {}, {"error": {"code": failed}})
        tokens = (told.get("usage") or {}).get("total_tokens") or 0
        return reply([item["embedding"] for item in vectors], tokens)

    def fault(self, status: int, headers: Mapping[str, str], body: bytes) -> Fault:
        return fault_of(self.errors, status, headers, body)


CHAT = NativeChat(fields=CHAT_FIELDS, finish=FINISH, errors=ERRORS)
EMBEDDINGS = NativeEmbeddings(fields={**EMBEDDINGS_BASICS, "user": drop("not offered")}, errors=ERRORS)
