"""DashScope's own surface: input and parameters apart, words without types, and a stream whose comments carry the HTTP status.

Facts from the vendor's API reference, dashscope 2.0.2 and recorded replies, read 2026-11-23.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct

from providers.alibaba.audio import SPEECH, TRANSCRIPTIONS
from providers.alibaba.errors import fault_of
from providers.alibaba.gather import STREAMED, gather, refused
from providers.alibaba.images import EDITS, IMAGES
from providers.alibaba.rerank import NativeRerank
from providers.alibaba.rules import SHARED, prepare, streams_only
from providers.alibaba.tuning import AlibabaTuning
from providers.auth import API_KEY
from providers.base import JSON_BODY, Adapter, Fault, Json, Outgoing, Stream, Target, encode
from providers.embeddings import dimensions, reply
from providers.fields import Fields, apply, drop, kept_here, native, one_of, served_model
from providers.openai_like import UNKNOWN, kept, read_json, unended
from providers.sse import EventReader, EventTooLong

CHAT_FIELDS: Fields = {**SHARED, "stream": native}
EMBEDDINGS_FIELDS: Fields = {
    "model": served_model,
    "input": native,
    "encoding_format": kept_here,
    "dimensions": dimensions("dimension"),
    "text_type": native,
    "instruct": native,
    "output_type": one_of(("dense",), why="OpenAI's reply has no place for sparse vectors"),
    "user": drop("not offered"),
}
SSE_HEADERS: Mapping[str, str] = {**JSON_BODY, "accept": "text/event-stream", "x-dashscope-sse": "enable"}


class NativeChat(Struct, frozen=True):
    """Each model lives on one path: on text-generation content is a string, on multimodal-generation a list."""

    fields: Fields

    def request(self, body: Json, target: Target) -> Outgoing:
        out, changes = prepare(self.fields, body, target)
        segment = target.model.endpoint or "text-generation"
        url = f"{target.base_url}/services/aigc/{segment}/generation"
        headers = SSE_HEADERS if out.pop("stream", False) or streams_only(out, target) else JSON_BODY
        model, turns = out.pop("model"), out.pop("messages")
        content = string_content if segment == "text-generation" else list_content
        sent: Json = {
            "model": model,
            "input": {"messages": named_results([{**turn, "content": content(turn["content"], model)} for turn in turns])},
            # without incremental_output every event repeats the answer so far
            "parameters": {**out, "result_format": "message", "incremental_output": True},
        }
        return Outgoing(url, encode(sent), headers, changes)

    def response(self, body: bytes) -> Json:
        if body.startswith(STREAMED):
            return gather(self.stream(), body)
        answer = read_json(body)
        output = answer.get("output") or {}
        if answer.get("code") or not output.get("choices"):
            raise fault_of(200, {}, answer)
        choices = [spoken(choice, number) for number, choice in enumerate(output["choices"])]
        if not all(choice["finish_reason"] for choice in choices):
            raise unended()
        more = {"search_info": output["search_info"]} if output.get("search_info") else {}
        return {"id": answer.get("request_id"), "choices": choices, "usage": usage_of([answer.get("usage") or {}]), **more}

    def stream(self) -> Stream:
        return NativeChunks()

    def fault(self, status: int, headers: Mapping[str, str], body: bytes) -> Fault:
        return fault_of(status, headers, refused(body))


def string_content(content: Any, model: str) -> Any:
    """Content for text-generation: words, or a list of them where the client has marked some for the cache."""
    if isinstance(content, str):
        return content
    if other := next((part["type"] for part in content if part["type"] != "text"), None):
        raise Fault("unsupported", f"model {model} takes no {other} on this surface", param="messages")
    return list_content(content, model)


def list_content(content: Any, model: str) -> list[Json]:
    """Content for multimodal-generation, where a part is named by its key and not by a type."""
    return [{"text": content}] if isinstance(content, str) else [NATIVE_PART[part["type"]](part) for part in content]


def keyed(key: str, value: Callable[[Json], Any]) -> Callable[[Json], Json]:
    def part_as(part: Json) -> Json:
        return {key: value(part), **{name: hint for name, hint in part.items() if name not in ("type", part["type"])}}

    return part_as


NATIVE_PART: Mapping[str, Callable[[Json], Json]] = {
    "text": keyed("text", lambda part: part["text"]),
    "image_url": keyed("image", lambda part: part["image_url"]["url"]),
    "input_audio": keyed("audio", lambda part: part["input_audio"]["data"]),
    "video_url": keyed("video", lambda part: part["video_url"]["url"]),
    "video": keyed("video", lambda part: part["video"]),
}


def named_results(turns: list[Json]) -> list[Json]:
    """Results of tools with the tool's name beside the call's id: older models go by the name. Thoughts are never sent back here."""
    names = {call["id"]: call["function"]["name"] for turn in turns for call in turn.get("tool_calls") or ()}
    sent: list[Json] = []
    for turn in turns:
        if turn["role"] == "tool" and (name := names.get(turn["tool_call_id"])):
            turn = {**turn, "name": name}
        sent.append({key: value for key, value in turn.items() if key != "reasoning_content"})
    return sent


def spoken(choice: Json, number: int, key: str = "message") -> Json:
    """A native choice as OpenAI's, its words under `key`. An unfinished one has the finish_reason "null", in letters."""
    message = choice.get("message") or {}
    content = message.get("content")
    words = "".join(part.get("text") or "" for part in content) if isinstance(content, list) else content or ""
    reason = choice.get("finish_reason")
    for call in message.get("tool_calls") or ():
        if not call.get("id"):
            call.pop("id", None)
    return {
        "index": choice.get("index", number),
        key: {**message, "content": words},
        "finish_reason": None if reason in (None, "", "null") else reason,
        "logprobs": choice.get("logprobs"),
    }


def usage_of(told: list[Json]) -> Json:
    """OpenAI's usage, of what each choice used: the prompt is the same for all."""
    prompt = max((usage.get("input_tokens") or 0 for usage in told), default=0)
    completion = sum(usage.get("output_tokens") or 0 for usage in told)
    cached = [(usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0 for usage in told]
    after = [usage.get("output_tokens_details") or usage.get("completion_tokens_details") or {} for usage in told]
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": max(cached, default=0)},
        "completion_tokens_details": {"reasoning_tokens": sum(details.get("reasoning_tokens") or 0 for details in after)},
    }


STATUS = re.compile(rb"\n(?::HTTP_STATUS/|status: ?)(\d{3})")
"""Where an event says the HTTP status it would have had: a comment in recorded replies, a field in the vendor's SDK."""
STATUS_SIZE = 24
"""Bytes kept from one piece to the next, so that a status cut in two is found."""


class NativeChunks:
    """OpenAI chunks out of native events; notices an answer that stops before each of its choices has ended. There is no done marker."""

    __slots__ = ("_finished", "_reader", "_status", "_tail", "_used")

    def __init__(self) -> None:
        self._reader = EventReader()
        self._finished: dict[int, bool] = {}
        self._used: dict[int, Json] = {}
        self._status = 200
        self._tail = b"\n"

    def feed(self, data: bytes) -> list[Json]:
        seen = self._tail + data
        if found := STATUS.findall(seen):
            self._status = int(found[-1])
        self._tail = seen[-STATUS_SIZE:]
        try:
            return kept(self._reader.feed(data), self._chunk, self._is_whole)
        except EventTooLong as exc:
            raise Fault("broken", f"the provider sent {exc}") from exc

    def end(self) -> list[Json]:
        last = kept(self._reader.end(), self._chunk, self._is_whole)
        if not self._is_whole():
            raise unended()
        return last

    def _is_whole(self) -> bool:
        return bool(self._finished) and all(self._finished.values())

    def _chunk(self, event: Json) -> Json:
        output = event.get("output")
        if event.get("code") or not isinstance(output, dict):
            raise fault_of(self._status, {}, event)  # of an unknown code the status decides
        choices = [spoken(choice, number, "delta") for number, choice in enumerate(output.get("choices") or ())]
        chunk: Json = {"id": event.get("request_id"), "object": "chat.completion.chunk", "choices": choices}
        if usage := event.get("usage"):
            self._used[choices[0]["index"] if choices else 0] = usage
            chunk["usage"] = usage_of(list(self._used.values()))
        if output.get("search_info"):
            chunk["search_info"] = output["search_info"]
        for choice in choices:
            self._finished[choice["index"]] = self._finished.get(choice["index"], False) or choice["finish_reason"] is not None
        return chunk


class NativeEmbeddings(Struct, frozen=True):
    fields: Fields

    def request(self, body: Json, target: Target) -> Outgoing:
        out, changes = apply(self.fields, UNKNOWN, body, target)
        sent = {"model": out.pop("model"), "input": {"texts": out.pop("input")}, "parameters": out}
        return Outgoing(f"{target.base_url}/services/embeddings/text-embedding/text-embedding", encode(sent), changes=changes)

    def response(self, body: bytes) -> Json:
        answer = read_json(body)
        vectors = (answer.get("output") or {}).get("embeddings")
        if answer.get("code") or not vectors:
            raise fault_of(200, {}, answer)
        in_order = sorted(vectors, key=lambda vector: vector["text_index"])
        told = reply([vector["embedding"] for vector in in_order], (answer.get("usage") or {}).get("total_tokens", 0))
        return {"id": answer.get("request_id"), **told}

    def stream(self) -> Stream:
        raise Fault("bad_request", "embeddings are not streamed", param="stream")

    def fault(self, status: int, headers: Mapping[str, str], body: bytes) -> Fault:
        return fault_of(status, headers, body)


NATIVE = Adapter(
    vendor="alibaba",
    surface="native",
    base_url="https://dashscope.aliyuncs.com/api/v1",
    auth={"api_key": API_KEY},
    endpoints={
        "chat": NativeChat(CHAT_FIELDS),
        "embeddings": NativeEmbeddings(EMBEDDINGS_FIELDS),
        "rerank": NativeRerank(),
        "images": IMAGES,
        "image_edits": EDITS,
        "speech": SPEECH,
        "transcriptions": TRANSCRIPTIONS,
    },
    tuning=AlibabaTuning(),
)
