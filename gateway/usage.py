"""Usage where a provider tells none: counted with the nearest tokenizer, and marked as an estimate."""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from gateway import tokens
from providers.base import Json, encode

OF_A_TURN = 4
"""Tokens that the marks around a turn cost, as in OpenAI's own chat format."""


async def estimated(body: Json, said: Sequence[str], tokenizer: str) -> Json:
    """OpenAI's usage for a request in chat form and the texts of its answer. Images and sounds are not counted."""
    return await asyncio.to_thread(_count, body, said, tokenizer)


def prompt_tokens(body: Json, tokenizer: str, enough: int) -> int:
    """Tokens of a chat request, or more than `enough`. CPU-bound: call it off the event loop."""
    turns = body.get("messages") or ()
    return tokens.count(_texts(turns, body.get("tools")), tokenizer, enough) + OF_A_TURN * len(turns)


def _count(body: Json, said: Sequence[str], tokenizer: str) -> Json:
    turns = body.get("messages") or ()
    prompt = tokens.count(_texts(turns, body.get("tools")), tokenizer) + OF_A_TURN * len(turns)
    completion = tokens.count(said, tokenizer)
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion, "estimated": True}


def _texts(turns: Iterable[Json], tools: Any) -> Iterator[str]:
    for turn in turns:
        content = turn.get("content")
        if isinstance(content, str):
            yield content
        else:
            yield from (part["text"] for part in content or () if isinstance(part.get("text"), str))
        if calls := turn.get("tool_calls"):
            yield encode(calls).decode()
    if tools:
        yield encode(tools).decode()


def texts_of(answer: Json) -> list[str]:
    """What a whole answer says, for counting."""
    found: list[str] = []
    for choice in answer["choices"]:
        message = choice["message"]
        found += [text for key in ("reasoning_content", "content") if isinstance(text := message.get(key), str)]
        if calls := message.get("tool_calls"):
            found.append(encode(calls).decode())
    return found
