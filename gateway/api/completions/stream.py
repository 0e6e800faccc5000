"""Completions as they come.

A stream, for each choice: where `echo` asks for it, a chunk with the prompt; chunks of text; a last one with none, and the finish_reason.
Then, if asked for, one chunk with the usage and no choices. Then [DONE].
"""

from collections.abc import Callable

from gateway.api.chat_out import DONE, usage_of
from gateway.api.completions.answer import head_of, logprobs_of
from gateway.api.completions.request import Asked
from gateway.api.grammar import Grammar
from gateway.api.wire import Refusal, event
from providers.base import Json


class CompletionStream(Grammar):
    """Chunks of chat in, chunks of completions out."""

    __slots__ = ("_asked", "_include_usage", "_offsets", "_top")

    def __init__(self, *, model: str, request_id: str, now: Callable[[], float], asked: Asked) -> None:
        super().__init__(model=model, request_id=request_id, now=now, answers=asked.n * len(asked.prompts))
        self._asked = asked
        self._include_usage = bool((asked.bodies[0].get("stream_options") or {}).get("include_usage"))
        self._offsets: dict[int, int] = {}
        """Where the text of the next token begins, by choice."""
        self._top: Json = {}
        """What all chunks have in common."""

    def begins(self, index: int) -> bytes:
        if not self._asked.echo:
            return b""
        return self._chunk(index, self._asked.prompt_of(index))

    def says(self, index: int, text: str, logprobs: Json | None) -> bytes:
        told: Json | None = None
        if logprobs:
            offset = self._offsets.get(index)
            told, self._offsets[index] = logprobs_of(logprobs, len(self._asked.prompt_of(index)) if offset is None else offset)
        return self._chunk(index, text, logprobs=told)

    def thinks(self, index: int, text: str) -> bytes:
        return b""

    def refuses(self, index: int, text: str) -> bytes:
        return self._chunk(index, text)

    def calls(self, index: int, number: int, id: str, kind: str, name: str) -> bytes:
        return b""

    def argues(self, index: int, number: int, kind: str, text: str) -> bytes:
        return b""

    def finishes(self, index: int, reason: str) -> bytes:
        return self._chunk(index, "", finish=reason)

    def over(self) -> bytes:
        if self._include_usage and self.usage:
            return event({**self._head(), "choices": [], "usage": usage_of(self.usage)}) + DONE
        return DONE

    def fails(self, refusal: Refusal) -> bytes:
        return event(refusal.body)

    def _head(self) -> Json:
        if not self._top:
            self._top = head_of(self.head)
        return self._top

    def _chunk(self, index: int, text: str, *, logprobs: Json | None = None, finish: str | None = None) -> bytes:
        chunk = {**self._head(), "choices": [{"text": text, "index": index, "logprobs": logprobs, "finish_reason": finish}]}
        if finish and self.continued_by:
            chunk["banjia"] = {"continued_by": self.continued_by}
        if self._include_usage:
            chunk["usage"] = None
        return event(chunk)
