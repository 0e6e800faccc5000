"""Answers as Model Studio gives them, before either surface puts them into its own form."""

import re
from collections.abc import AsyncIterator, Sequence

from providers.alibaba.simulator_checks import Question
from providers.base import Json
from providers.simulation import Ask, Brain, End, Piece, Text, Thought, count, cut


class Meter:
    """Counts the tokens of a text that comes in pieces, and lets it through up to a number of them."""

    def __init__(self, most: int | None = None) -> None:
        self.most = most
        self.full = False
        self._settled = 0
        self._open = ""  # letters and digits at the end, which the next piece may go on with: text is never counted from its start again

    @property
    def tokens(self) -> int:
        return self._settled + count(self._open)

    def take(self, text: str) -> str:
        """What of the next piece may pass."""
        if self.full:
            return ""
        before, whole = len(self._open), self._open + text
        if self.most is not None:
            kept = cut(whole, self.most - self._settled)
            self.full = len(kept) < len(whole)
            whole = kept
        self._open = _RUN.findall(whole)[0]
        self._settled += count(whole[: len(whole) - len(self._open)])
        return whole[before:]


_RUN = re.compile(r"[A-Za-z0-9]*\Z")


class Budgeted:
    """A brain whose reasoning and visible answer each have a limit of their own: `max_tokens` says nothing of the reasoning here."""

    def __init__(self, brain: Brain, question: Question) -> None:
        self.brain = brain
        self.question = question

    async def answer(self, ask: Ask) -> AsyncIterator[Piece]:
        if not ask.think:  # the brain's own count is then the answer's
            async for piece in self.brain.answer(ask):
                yield piece
            return
        thought, words = Meter(self.question.budget), Meter(self.question.most)
        async for piece in self.brain.answer(ask):
            match piece:
                case Thought():
                    if kept := thought.take(piece.text):
                        yield Thought(kept)
                case Text():
                    if kept := words.take(piece.text):
                        yield Text(kept)
                case End():
                    reasoning = thought.tokens if thought.full else piece.reasoning
                    visible = words.tokens if words.full else piece.completion - piece.reasoning
                    yield End("length" if words.full else piece.reason, piece.prompt, reasoning + visible, reasoning, piece.cached)
                case _:
                    yield piece


def all_in_all(ends: Sequence[End]) -> End:
    """What several answers to one question cost: its prompt is paid for once."""
    first = ends[0]
    return End(first.reason, first.prompt, sum(end.completion for end in ends), sum(end.reasoning for end in ends), first.cached)


def logprobs(text: str, likely: int | None) -> Json | None:
    """Log probabilities in OpenAI's shape, which both surfaces took over; made up, but one for each word."""
    if likely is None:
        return None
    words = re.findall(r"\s*\S+|\s+$", text)
    told = [{"token": word, "bytes": list(word.encode()), "logprob": -0.05} for word in words]
    return {"content": [{**word, "top_logprobs": [word] if likely else []} for word in told]}


def fragments(arguments: str) -> tuple[str, ...]:
    """A call's arguments as they are streamed: in more than one piece."""
    half = len(arguments) // 2
    return tuple(part for part in (arguments[:half], arguments[half:]) if part)
