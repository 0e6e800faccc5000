"""Reasoning that a vendor leaves inside its text, between <think> and </think> at the very beginning, as `reasoning_content` and back."""

from providers.base import Change, Fault, Json, Stream, Target

OPEN, CLOSE = "<think>", "</think>"


class Splitter:
    """Tells thought from words in one answer, whose text may come in pieces that cut a tag in two."""

    __slots__ = ("_held", "_in")

    def __init__(self) -> None:
        self._in = "start"
        self._held = ""

    def feed(self, text: str) -> tuple[str, str]:
        """(thought, words) of this piece, as far as it can be told yet."""
        text, self._held = self._held + text, ""
        thought = ""
        if self._in == "start":
            begun = text.lstrip()
            if begun.startswith(OPEN):
                self._in, text = "thought", begun[len(OPEN) :].lstrip("\n")
            elif OPEN.startswith(begun):
                self._held = text
                return "", ""
            else:
                self._in = "words"
        if self._in == "thought":
            thought, closed, text = text.partition(CLOSE)
            if not closed:
                kept = _overlap(thought)
                self._held = thought[len(thought) - kept :]
                return thought[: len(thought) - kept], ""
            self._in = "gap"
        if self._in == "gap":  # the blank lines between the two belong to neither
            text = text.lstrip("\n")
            self._in = "words" if text else "gap"
        return thought, text

    def end(self) -> tuple[str, str]:
        """What was held back for the rest of a tag that never came."""
        held, self._held = self._held, ""
        return (held, "") if self._in == "thought" else ("", held)


def _overlap(text: str) -> int:
    """How many characters at the end of `text` may be the beginning of a closing tag."""
    return next((size for size in range(min(len(CLOSE) - 1, len(text)), 0, -1) if CLOSE.startswith(text[-size:])), 0)


def untag(message: Json) -> None:
    """Splits the text of a whole message, which is edited."""
    content = message.get("content")
    if isinstance(content, str) and content.lstrip().startswith(OPEN):
        splitter = Splitter()
        (thought, words), (held, _) = splitter.feed(content), splitter.end()
        message["reasoning_content"], message["content"] = thought + held, words


class Untagged:
    """A stream whose chunks have their thoughts told apart from their words."""

    __slots__ = ("_splitters", "_stream")

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._splitters: dict[int, Splitter] = {}

    def feed(self, data: bytes) -> list[Json]:
        return self._split(self._stream.feed(data))

    def end(self) -> list[Json]:
        chunks = self._split(self._stream.end())
        rest = [{"index": index, "delta": delta} for index, splitter in self._splitters.items() if (delta := _said(*splitter.end()))]
        return [*chunks, {"choices": rest}] if rest else chunks

    def _split(self, chunks: list[Json]) -> list[Json]:
        for choice in (choice for chunk in chunks for choice in chunk.get("choices") or ()):
            delta = choice.get("delta") or {}
            splitter = self._splitters.setdefault(choice.get("index") or 0, Splitter())
            if content := delta.get("content"):
                del delta["content"]
                delta |= _said(*splitter.feed(content))
            if choice.get("finish_reason"):
                for name, text in _said(*splitter.end()).items():
                    delta[name] = (delta.get(name) or "") + text
                choice["delta"] = delta
        return chunks


def _said(thought: str, words: str) -> Json:
    return {**({"reasoning_content": thought} if thought else {}), **({"content": words} if words else {})}


def tagged(message: Json, target: Target) -> tuple[Json, tuple[Change, ...]]:
    """A step for messages: an earlier answer's reasoning goes back to where the vendor had it."""
    thought = message.get("reasoning_content")
    if message["role"] != "assistant" or not thought:
        return message, ()
    if not isinstance(thought, str):
        raise Fault("bad_request", "reasoning_content is a string", param="messages")
    rest = {key: value for key, value in message.items() if key != "reasoning_content"}
    return {**rest, "content": f"{OPEN}\n{thought}\n{CLOSE}\n\n{message.get('content') or ''}"}, ()
