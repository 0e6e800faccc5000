"""Stop sequences and single tool calls, kept by the gateway: of a whole answer, and of a stream as it passes.

An answer ends before the text whose last character comes first, as it does where the model itself stops. That the text may be
spread over pieces of any size makes no difference: what may yet become a stop is held back until it is known.
"""

from collections.abc import Sequence

from gateway.emulation.duties import Duties
from providers.base import Json, Stream


def stop_in(text: str, stops: Sequence[str]) -> int:
    """Where the stop that is complete first begins; -1 if there is none."""
    at, end = -1, len(text) + 1
    for stop in stops:
        found = text.find(stop)
        if found >= 0 and (found + len(stop), found) < (end, at):
            at, end = found, found + len(stop)
    return at


def told(text: str, at: int, stops: Sequence[str]) -> str:
    """The stop that `stop_in` has found there."""
    return min((stop for stop in stops if text.startswith(stop, at)), key=len)


def withheld(text: str, stops: Sequence[str]) -> int:
    """How many characters at the end of `text` may be the beginning of a stop."""
    for length in range(min(len(text), max(map(len, stops)) - 1), 0, -1):
        tail = text[-length:]
        if any(stop.startswith(tail) for stop in stops):
            return length
    return 0


def restrain(answer: Json, duties: Duties) -> Json:
    """A whole answer without what comes after a stop, and with no more calls than are wanted. Edits the provider's, which is ours."""
    for choice in answer["choices"]:
        message = choice["message"]
        content = message.get("content")
        if duties.stops and content and (at := stop_in(content, duties.stops)) >= 0:
            message["content"] = content[:at]
            message.pop("tool_calls", None)  # they would have come after it
            choice["finish_reason"] = "stop"
            if duties.stops_told:
                choice["stop_reason"] = told(content, at, duties.stops)
        if duties.one_call and message.get("tool_calls"):
            message["tool_calls"] = message["tool_calls"][:1]
    return answer


class Restrained:
    """A stream that ends at its stops and has no second tool call. `over`: every choice has ended; the rest need not be waited for."""

    __slots__ = ("_choices", "_duties", "_held", "_stopped", "_stream", "over")

    def __init__(self, stream: Stream, duties: Duties, choices: int) -> None:
        self._stream = stream
        self._duties = duties
        self._choices = choices
        self._held: dict[int, str] = {}
        self._stopped: set[int] = set()
        self.over = False

    def feed(self, data: bytes) -> list[Json]:
        return self._seen(self._stream.feed(data))

    def end(self) -> list[Json]:
        if self.over:
            return []
        return self._seen(self._stream.end())

    def _seen(self, chunks: list[Json]) -> list[Json]:
        for chunk in chunks:
            if choices := chunk.get("choices"):
                chunk["choices"] = [choice for choice in choices if self._passes(choice)]
        return chunks

    def _passes(self, choice: Json) -> bool:
        """Edits the choice to what may be said of it now; False if that is nothing."""
        index = choice.get("index") or 0
        if index in self._stopped:
            return False
        delta = choice.get("delta") or {}
        if self._duties.one_call and delta.get("tool_calls"):
            delta["tool_calls"] = [call for call in delta["tool_calls"] if not call.get("index")]
        if self._duties.stops:
            self._cut(choice, delta, index)
        return True

    def _cut(self, choice: Json, delta: Json, index: int) -> None:
        held, stops = self._held.get(index, ""), self._duties.stops
        text = held + (delta.get("content") or "")
        if not text:
            return
        at = stop_in(text, stops)
        if at >= 0:
            self._stopped.add(index)
            choice["delta"] = {**delta, "content": text[:at]}
            choice["delta"].pop("tool_calls", None)
            choice["finish_reason"] = "stop"
            if self._duties.stops_told:
                choice["stop_reason"] = told(text, at, stops)
            self.over = len(self._stopped) >= self._choices
            return
        last = choice.get("finish_reason") or delta.get("tool_calls")
        keep = 0 if last else withheld(text, stops)
        said = text[: len(text) - keep]
        self._held[index] = text[len(said) :]
        if said or "content" in delta:
            choice["delta"] = {**delta, "content": said}
