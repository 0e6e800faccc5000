"""Simulated answers in OpenAI's shapes, which the compatible mode and the token plan have in common, and where they differ."""

from collections.abc import AsyncIterator, Callable, Sequence

from msgspec import Struct

from providers.base import Json
from providers.simulation import Answer, Ask, Brain, Call, End, Text, Thought, data, openai_calls


class Style(Struct, frozen=True):
    """How a surface differs from OpenAI, and from the other one."""

    reasoning: str
    unfinished: str | None
    """The finish reason of a chunk that is not the last."""
    no_calls: bool
    """An answer without calls has an empty list of them."""


class Bill(Struct, frozen=True):
    """Who pays: `charge` books an answer and returns the usage to tell."""

    charge: Callable[[End], Json]
    usage_asked: bool
    """For a stream: whether it is to be told."""


def spoken(answers: Sequence[Answer], style: Style) -> list[Json]:
    choices: list[Json] = []
    for index, answer in enumerate(answers):
        message: Json = {"role": "assistant", "content": answer.text}
        if answer.thought:
            message[style.reasoning] = answer.thought
        if answer.calls or style.no_calls:
            message["tool_calls"] = openai_calls(answer.calls)
        choices.append({"index": index, "message": message, "finish_reason": answer.end.reason})
    return choices


def together(ends: Sequence[End]) -> End:
    """What several answers to one question cost: the question counts once."""
    first = ends[0]
    return End(first.reason, first.prompt, sum(end.completion for end in ends), cached=first.cached)


async def frames(
    brain: Brain, asks: Sequence[Ask], head: Json, style: Style, bill: Bill, *, error: Json | None = None
) -> AsyncIterator[bytes]:
    """One answer after the other. `error`: what comes in place of the end, where the answer turns out to be unfit."""
    ends: list[End] = []
    usage: Json = {}
    for index, ask in enumerate(asks):
        calls = 0
        role: Json = {"role": "assistant"}
        async for piece in brain.answer(ask):
            delta: Json = role
            role = {}
            reason = style.unfinished
            match piece:
                case Thought():
                    delta = {**delta, style.reasoning: piece.text}
                case Text():
                    delta = {**delta, "content": piece.text}
                case Call():
                    delta = {**delta, "tool_calls": [{"index": calls, **openai_calls([piece])[0]}]}
                    calls += 1
                case End():
                    if error is not None:
                        yield data(error)
                        return
                    ends.append(piece)
                    reason = piece.reason
            if len(ends) == len(asks):
                usage = bill.charge(together(ends))
            yield data({**head, "choices": [{"index": index, "delta": delta, "finish_reason": reason}]})
    if bill.usage_asked:
        yield data({**head, "choices": [], "usage": usage})
    yield b"data: [DONE]\n\n"
