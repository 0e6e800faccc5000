"""Usage where a provider tells none: counted with the nearest tokenizer, and marked as an estimate."""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from sys import maxsize
from typing import Any

from gateway import tokens
from providers.base import Json, encode

OF_A_TURN = 4
"""Tokens that the marks around a turn cost, as in OpenAI's own chat format."""


SURE = 1.5
"""How many times as many tokens as a sample shows there may be."""


async def estimated(body: Json, said: Sequence[str], tokenizer: str) -> Json:
    """OpenAI's usage for a request in chat form and the texts of its answer. Images and sounds are not counted."""
    return await asyncio.to_thread(_count, body, said, tokenizer)


def prompt_tokens(body: Json, tokenizer: str, *, few: int = 0, enough: int = maxsize) -> int:
    """Tokens of a chat request: about how many, where it is clearly fewer than `few`, and no more than `enough`, if it is more than those.
    CPU-bound: call it off the event loop."""
    turns = body.get("messages") or ()
    texts = list(_texts(turns, body.get("tools")))
    about = tokens.sampled(texts, tokenizer) if few else None
    if about is None or about > few / SURE:
        about = tokens.count(texts, tokenizer, enough)
    return about + OF_A_TURN * len(turns)


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
