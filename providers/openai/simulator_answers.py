"""Answers as OpenAI's models give them, at OpenAI and at Azure: what both simulators say of a brain's words."""

import re
from array import array
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Sequence
from hashlib import sha256
from sys import byteorder

from msgspec import Struct

from providers.base import Json
from providers.openai.simulator_checks import Question
from providers.simulation import Answer, Call, End, Piece, Text, World, data, openai_calls, vector, whole

DATED = {
    "gpt-3.5-turbo": "gpt-3.5-turbo-0125",
    "gpt-4": "gpt-4-0613",
    "gpt-4-turbo": "gpt-4-turbo-2024-04-09",
    "gpt-4o": "gpt-4o-2024-11-20",
    "gpt-4o-mini": "gpt-4o-mini-2024-07-18",
    "gpt-4.1": "gpt-4.1-2025-04-14",
    "gpt-5": "gpt-5-2025-08-07",
    "gpt-5.4": "gpt-5.4-2026-03-05",
    "o3": "o3-2025-04-16",
}
"""The version that answers to a model's plain name."""
Mark = Callable[[Json], Json]
"""What a surface adds to a choice."""


class Voice(Struct, frozen=True):
    """How a surface speaks."""

    world: World
    vendor: str
    account: str
    head: Json
    """Of replies and chunks."""
    mark: Mark = dict
    padding: bool = True
    """Chunks are padded, unless the client does not want it."""


def head_of(question: Question, number: int, now: float) -> Json:
    mark = sha256(f"{number}{question.text}".encode()).hexdigest()
    model = DATED.get(question.model.id, question.model.id)
    return {"id": f"chatcmpl-{mark[:29]}", "created": int(now), "model": model, "system_fingerprint": f"fp_{mark[-10:]}"}


async def reply(voice: Voice, question: Question, *, filtered: bool) -> Json:
    answers = [await whole(voice.world.brain, ask) for ask in question.asks]
    end = together([answer.end for answer in answers])
    voice.world.charge(voice.vendor, voice.account, question.model.id, end)
    choices = [voice.mark(choice(answer, index, question, filtered=filtered)) for index, answer in enumerate(answers)]
    return {**voice.head, "object": "chat.completion", "choices": choices, "usage": usage(end)}


def choice(answer: Answer, index: int, question: Question, *, filtered: bool) -> Json:
    message: Json = {"role": "assistant", "content": answer.text or None, "refusal": None, "annotations": []}
    if answer.calls:
        message["tool_calls"] = openai_calls(answer.calls)
    elif message["content"] is None:
        message["content"] = ""
    reason = "content_filter" if filtered else answer.end.reason
    return {"index": index, "message": message, "logprobs": logprobs(answer.text, question), "finish_reason": reason}


async def frames(voice: Voice, question: Question, *, filtered: bool) -> AsyncIterator[bytes]:
    """The role first, then words or fragments of calls, an empty delta with the reason, and usage if it is asked for."""
    ends: list[End] = []

    def chunk(choices: list[Json], told: Json | None = None) -> bytes:
        event = {**voice.head, "object": "chat.completion.chunk", "choices": list(map(voice.mark, choices))}
        if question.usage_told:
            event["usage"] = told
        if voice.padding and question.padded:
            event["obfuscation"] = sha256(str(event).encode()).hexdigest()[: 4 + len(str(choices)) % 12]
        return data(event)

    for index, ask in enumerate(question.asks):
        calls = 0
        first: Json = {"role": "assistant", "content": None if ask.tools else "", "refusal": None}
        yield chunk([{"index": index, "delta": first, "logprobs": None, "finish_reason": None}])
        async for piece in voice.world.brain.answer(ask):
            if isinstance(piece, End):
                ends.append(piece)
            for delta in deltas(piece, calls):
                words = logprobs(piece.text, question) if isinstance(piece, Text) else None
                yield chunk([{"index": index, "delta": delta, "logprobs": words, "finish_reason": None}])
            calls += isinstance(piece, Call)
        reason = "content_filter" if filtered else ends[-1].reason
        yield chunk([{"index": index, "delta": {}, "logprobs": None, "finish_reason": reason}])
    end = together(ends)
    voice.world.charge(voice.vendor, voice.account, question.model.id, end)
    if question.usage_told:
        yield chunk([], usage(end))
    yield b"data: [DONE]\n\n"


def deltas(piece: Piece, number: int) -> list[Json]:
    """Reasoning is billed and not shown; a call comes in fragments, of which only the first has its id."""
    if isinstance(piece, Text):
        return [{"content": piece.text}]
    if not isinstance(piece, Call):
        return []
    (call,) = openai_calls([piece])
    name, arguments = call["function"]["name"], call["function"]["arguments"]
    parts = [arguments[: len(arguments) // 2], arguments[len(arguments) // 2 :]]
    begun = {"index": number, "id": call["id"], "type": "function", "function": {"name": name, "arguments": ""}}
    return [{"tool_calls": [begun]}, *({"tool_calls": [{"index": number, "function": {"arguments": part}}]} for part in parts if part)]


def together(ends: Sequence[End]) -> End:
    """What several answers to one question cost: its prompt is paid for once."""
    first = ends[0]
    return End(first.reason, first.prompt, sum(end.completion for end in ends), sum(end.reasoning for end in ends), first.cached)


def usage(end: End) -> Json:
    return {
        "prompt_tokens": end.prompt,
        "completion_tokens": end.completion,
        "total_tokens": end.total,
        "prompt_tokens_details": {"cached_tokens": end.cached, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": end.reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def logprobs(words: str, question: Question) -> Json | None:
    """One for each word, made up."""
    if question.logprobs is None:
        return None
    told = [{"token": word, "bytes": list(word.encode()), "logprob": -0.05} for word in re.findall(r"\s*\S+|\s+$", words)]
    return {"content": [{**word, "top_logprobs": [word] if question.logprobs else []} for word in told], "refusal": None}


def vectors(texts: list[str], width: int, *, in_base64: bool) -> list[Json]:
    return [{"object": "embedding", "index": i, "embedding": _said(vector(one, width), in_base64)} for i, one in enumerate(texts)]


def _said(numbers: list[float], in_base64: bool) -> list[float] | str:
    if not in_base64:
        return numbers
    floats = array("f", numbers)
    if byteorder == "big":
        floats.byteswap()
    return b64encode(floats.tobytes()).decode()
