"""Usage where a provider tells none: counted with the nearest tokenizer, and marked as an estimate."""

import asyncio
from collections.abc import Sequence
from math import inf, sqrt
from typing import Any

from gateway import tokens
from providers.base import Json, encode

OF_A_TURN = 4
"""Tokens that the marks around a turn cost, as in OpenAI's own chat format."""
PLACES = (16, 64, 256)
"""Places of a prompt that are looked at first, and so many if those do not tell enough."""


async def estimated(body: Json, said: Sequence[str], tokenizer: str) -> Json:
    """OpenAI's usage for a request in chat form and the texts of its answer. Images and sounds are not counted."""
    return await asyncio.to_thread(_count, body, said, tokenizer)


def prompt_tokens(body: Json, tokenizer: str, limits: Sequence[int] = ()) -> int:
    """Tokens of a chat request: about how many, where that is clearly on one side of each of the limits, and where they are more than twice
    the largest. CPU-bound: call it off the event loop."""
    turns = body.get("messages") or ()
    texts = _texts(turns, body.get("tools"))
    marks = OF_A_TURN * len(turns)
    for places in PLACES if limits else ():
        about = tokens.sampled(texts, tokenizer, places)
        if about is None:
            break
        # it would be off by more if two places of a text differed by twice its average, and by four standard errors then
        off = 1 + 2 / sqrt(places)
        if all(about * off + marks <= limit or about / off + marks > limit for limit in limits):
            return about + marks
    return tokens.count(texts, tokenizer, 2 * max(limits) if limits else inf) + marks


def _count(body: Json, said: Sequence[str], tokenizer: str) -> Json:
    turns = body.get("messages") or ()
    prompt = tokens.count(_texts(turns, body.get("tools")), tokenizer) + OF_A_TURN * len(turns)
    completion = tokens.count(said, tokenizer)
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion, "estimated": True}


def _texts(turns: Sequence[Json], tools: Any) -> list[str]:
    contents = [turn.get("content") for turn in turns]
    texts = [content for content in contents if content.__class__ is str]
    if len(texts) < len(contents):
        parts = [part for content in contents if content.__class__ is list for part in content]
        texts += [part["text"] for part in parts if isinstance(part.get("text"), str)]
    texts += [encode(calls).decode() for turn in turns if "tool_calls" in turn and (calls := turn["tool_calls"])]
    if tools:
        texts.append(encode(tools).decode())
    return texts


def texts_of(answer: Json) -> list[str]:
    """What a whole answer says, for counting."""
    found: list[str] = []
    for choice in answer["choices"]:
        message = choice["message"]
        found += [text for key in ("reasoning_content", "content") if isinstance(text := message.get(key), str)]
        if calls := message.get("tool_calls"):
            found.append(encode(calls).decode())
    return found
