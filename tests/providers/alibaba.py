"""What Alibaba's tests share: models of each generation, a pair to talk through, and what would be sent."""

import json
from typing import Any

import pytest

from providers.alibaba.adapter import ADAPTER, SURFACES
from providers.alibaba.simulator import SIMULATOR
from providers.base import Adapter, Change, Json, Model, Target
from tests.providers.roundtrip import Pair

TEXT, MEDIA = "text-generation", "multimodal-generation"
MODELS = (
    Model("qwen-plus", context=1000, output=32768, tools=True, json="object", thinking="switch", endpoint=TEXT),
    Model("qwen-max", output=8192, tools=True, thinking="none", endpoint=TEXT),
    Model("qwen3.7-plus", output=65536, input=("text", "image", "audio"), tools=True, json="schema", thinking="switch", endpoint=MEDIA),
    Model("qwen3.8-max", output=131072, input=("text", "image"), tools=True, json="schema", thinking="effort", endpoint=MEDIA),
    Model("qwen3-32b", output=8192, tools=True, thinking="switch", endpoint=TEXT),
    Model("qwen3-next-80b-a3b-instruct", output=32768, tools=True, thinking="none", endpoint=TEXT),
    Model("qwq-plus", output=8192, tools=True, thinking="always", endpoint=TEXT),
    Model("text-embedding-v4", kind="embedding", context=8192, dimensions=1024, batch=10,
          allowed_dimensions=(64, 128, 256, 512, 768, 1024, 1536, 2048)),
)  # fmt: skip
WEATHER: Json = {"type": "function", "function": {"name": "get_weather", "strict": True, "parameters": {
    "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}  # fmt: skip
TIME: Json = {"type": "function", "function": {"name": "get_time", "parameters": {"type": "object", "properties": {}}}}
JSON_MODE: Json = {"type": "json_object"}
SCHEMA: Json = {"type": "json_schema", "json_schema": {"name": "person", "schema": {
    "type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"]}}}  # fmt: skip
PICTURE: Json = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo=", "detail": "high"}}

on_both = pytest.mark.parametrize("adapter", SURFACES, ids=lambda adapter: str(adapter.surface))


def pair(adapter: Adapter = ADAPTER, key: str = "sk-me") -> Pair:
    return Pair(adapter, SIMULATOR, {"api_key": key}, *MODELS, accounts={})


def ask(text: str, **more: Any) -> Json:
    return {"messages": [{"role": "user", "content": text}], **more}


def sent(adapter: Adapter, body: Json, model: str) -> tuple[Json, tuple[Change, ...]]:
    """What would be sent: the native surface's parameters beside its messages."""
    facts = next(known for known in MODELS if known.id == model)
    outgoing = adapter.endpoints["chat"].request({"model": "gpt-4o", **body}, Target("https://vendor.test", facts))
    out = json.loads(outgoing.body)
    return ({**out["parameters"], **out["input"]} if "parameters" in out else out), outgoing.changes


def fates(changes: tuple[Change, ...]) -> dict[str, str]:
    return {change.field: change.fate for change in changes}
