"""A brain behind an OpenAI-compatible server: any URL, or a small real model started here."""

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx

from gateway.brain.local import start
from gateway.brain.scripted import price_of_prompt
from providers.base import Json
from providers.simulation import Ask, Call, End, Piece, Text, Thought, count

PATIENCE = httpx.Timeout(300.0, connect=10.0)
LONGEST = 512
"""Tokens of an answer of the small model, where nobody says how many: it is one to ramble."""
REASONS = ("stop", "length", "tool_calls")


class OpenAIServer:
    """Asks the server at `base_url` (ending in /v1), and passes its words on as they are made."""

    def __init__(self, base_url: str, *, model: str = "", key: str = "none", defaults: Json | None = None) -> None:
        self._url = base_url.rstrip("/")
        self._model = model
        self._key = key
        self._defaults = defaults or {}
        """Fields for questions that leave them out."""
        self._client = httpx.AsyncClient(timeout=PATIENCE, trust_env=False)

    async def answer(self, ask: Ask) -> AsyncIterator[Piece]:
        """Raises httpx.HTTPError if the server does not answer as one of its kind."""
        body = await self._body(ask)
        headers = {"authorization": f"Bearer {self._key}"}
        told = _Told()
        async with self._client.stream("POST", f"{self._url}/chat/completions", json=body, headers=headers) as reply:
            if reply.is_error:
                await reply.aread()
                reply.raise_for_status()
            async for line in reply.aiter_lines():
                if line.startswith("data:") and "[DONE]" not in line:
                    for piece in told.pieces(json.loads(line[5:])):
                        yield piece
        for piece in told.end(ask):
            yield piece

    async def _body(self, ask: Ask) -> Json:
        if not self._model:
            reply = await self._client.get(f"{self._url}/models", headers={"authorization": f"Bearer {self._key}"})
            reply.raise_for_status()
            self._model = reply.json()["data"][0]["id"]
        streamed = {"stream": True, "stream_options": {"include_usage": True}}
        return {"model": self._model, **streamed, **self._defaults, **request_of(ask)}


def request_of(ask: Ask) -> Json:
    body: Json = {"messages": [message_of(message) for message in ask.messages]}
    if ask.tools and ask.choice != "none":
        body["tools"] = [
            {"type": "function", "function": {"name": t.name, "description": t.description, "parameters": t.parameters}} for t in ask.tools
        ]
        body["tool_choice"] = ask.choice if ask.choice in ("auto", "required") else {"type": "function", "function": {"name": ask.choice}}
    if ask.schema is not None:
        body["response_format"] = (
            {"type": "json_schema", "json_schema": {"name": "answer", "schema": ask.schema}} if ask.schema else {"type": "json_object"}
        )
    if ask.stop:
        body["stop"] = list(ask.stop)
    if ask.most is not None:
        body["max_tokens"] = ask.most
    if ask.temperature is not None:
        body["temperature"] = ask.temperature
    return body


def message_of(message: Any) -> Json:
    said: Json = {"role": message.role, "content": message.text}
    if message.calls:
        said["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}} for call in message.calls
        ]
    if message.call_id:
        said["tool_call_id"] = message.call_id
    return said


class _Told:
    """What the server has said so far."""

    def __init__(self) -> None:
        self.usage: Json = {}
        self.reason = "stop"
        self.words: list[str] = []
        self.calls: dict[int, dict[str, str]] = {}

    def pieces(self, chunk: Json) -> list[Piece]:
        self.usage = chunk.get("usage") or self.usage
        made: list[Piece] = []
        for choice in chunk.get("choices") or ():
            delta = choice.get("delta") or {}
            if thought := delta.get("reasoning_content") or delta.get("reasoning"):
                made.append(Thought(thought))
            if text := delta.get("content"):
                self.words.append(text)
                made.append(Text(text))
            for fragment in delta.get("tool_calls") or ():
                call = self.calls.setdefault(fragment.get("index", 0), {"id": "", "name": "", "arguments": ""})
                call["id"] = fragment.get("id") or call["id"]
                function = fragment.get("function") or {}
                call["name"] += function.get("name") or ""
                call["arguments"] += function.get("arguments") or ""
            self.reason = choice.get("finish_reason") or self.reason
        return made

    def end(self, ask: Ask) -> list[Piece]:
        calls: list[Piece] = [Call(c["id"] or f"call_{i}", c["name"], c["arguments"] or "{}") for i, c in sorted(self.calls.items())]
        prompt = self.usage.get("prompt_tokens") or price_of_prompt(ask)[0]
        completion = self.usage.get("completion_tokens") or count("".join(self.words))
        reasoning = (self.usage.get("completion_tokens_details") or {}).get("reasoning_tokens") or 0
        reason = "tool_calls" if calls else self.reason if self.reason in REASONS else "stop"
        return [*calls, End(reason, prompt, completion, reasoning)]  # type: ignore[arg-type]  # one of REASONS


def local() -> tuple[OpenAIServer, Callable[[], None]]:
    """A small real model in threads of its own, and what lets go of it. Raises ImportError without the extra `banjia[local]`."""
    url, server = start()
    held = [server]
    return OpenAIServer(url, defaults={"temperature": 0.0, "max_tokens": LONGEST}), held.clear
