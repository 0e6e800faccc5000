"""What the tests of self-hosted servers share."""

import json
from typing import Any

from providers.base import Adapter, Json, Model, Target
from providers.simulation import Request
from tests.providers.roundtrip import HOST, Pair, read

LLAMA = Model("llama", context=1000, tools=True, json="schema", thinking="none")
QWEN = Model("qwen", context=1000, input=("text", "image"), tools=True, json="schema", thinking="switch")
VECTORS = Model("vectors", kind="embedding", context=100, dimensions=8)
KEY = "sk-of-the-server"
TOOL: Json = {"type": "function", "function": {"name": "get_weather", "description": "the weather", "parameters": {
    "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}  # fmt: skip
OTHER: Json = {"type": "function", "function": {"name": "get_time", "strict": True}}
NOT_OFFERED = (
    "user", "store", "metadata", "service_tier", "prediction", "audio", "web_search_options", "prompt_cache_key", "prompt_cache_retention",
    "prompt_cache_options", "safety_identifier", "verbosity", "moderation", "a_field_of_2030",
)  # fmt: skip


def pair(adapter: Adapter, simulator: Any, key: str = KEY) -> Pair:
    return Pair(adapter, simulator, {"api_key": key}, LLAMA, QWEN, VECTORS, accounts={})


def ask(text: str, **more: Any) -> Json:
    return {"messages": [{"role": "user", "content": text}], **more}


def sent(adapter: Adapter, body: Json, model: Model = LLAMA, endpoint: str = "chat") -> tuple[Json, dict[str, str]]:
    """(the outgoing body, field → fate)."""
    outgoing = adapter.endpoints[endpoint].request({"model": "gpt-4o", **body}, Target(f"{HOST}/v1", model))
    return json.loads(outgoing.body), {change.field: change.fate for change in outgoing.changes}


async def straight(one: Pair, body: Json | None, path: str = "/v1/chat/completions", **headers: str) -> tuple[int, Any]:
    """(status, what the simulator answers) to a request that no adapter has seen."""
    head = headers or {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
    method, raw = ("GET", b"") if body is None else ("POST", json.dumps(body).encode())
    reply = await one.simulator.handle(Request(method, path, {}, head, raw))
    said = await read(reply)
    return reply.status, json.loads(said) if said.startswith(b"{") else said.decode()


def events(chunks: list[Json], *, done: bool = True) -> bytes:
    return b"".join(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks) + (b"data: [DONE]\n\n" if done else b"")
