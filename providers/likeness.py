"""Chunks that differ from an earlier one in their words alone, which is most of them: read without a parser.

A payload that has been read whole is its words, what stands before them and what stands after. Another with the same before and after, and
with nothing between them that could end a string of JSON or be escaped in one, is the same object with other words: there is nothing in it
that a parser could find besides.
"""

from providers.base import Json

NAMES = ("content", "reasoning_content")
HEAD = frozenset({"id", "object", "created", "model", "system_fingerprint", "request_id", "choices", "usage"})
CHOICE = frozenset({"index", "delta", "finish_reason", "logprobs"})
DELTA = frozenset({"role", *NAMES})
MOST_MISSES = 8
"""Of chunks that have nothing in common: then nothing more is looked for."""


class Likeness:
    """What the chunks of one stream have in common."""

    __slots__ = ("_after", "_before", "_misses", "_name")

    def __init__(self) -> None:
        self._before = self._after = b""
        self._name = ""
        self._misses = 0

    def read(self, payload: bytes) -> Json | None:
        """The chunk, if it is like the last that was learnt; None for any other."""
        before = self._before
        if not before or not payload.startswith(before) or not payload.endswith(self._after):
            return None
        try:
            text = payload[len(before) : len(payload) - len(self._after)].decode()
        except UnicodeDecodeError:
            return None
        # control characters are not JSON, and some vendors have marks in angle brackets
        if not text or '"' in text or "\\" in text or "<" in text or not text.isprintable():
            return None
        return {"choices": [{"index": 0, "delta": {self._name: text}, "finish_reason": None}]}

    def learn(self, payload: bytes, chunk: Json) -> None:
        """Takes a payload for an example, if `chunk` says nothing but words that stand in it once, as they are."""
        if self._misses >= MOST_MISSES or not chunk.keys() <= HEAD or chunk.get("usage"):
            return
        choices = chunk.get("choices")
        if not choices or len(choices) != 1:
            return
        choice = choices[0]
        delta = choice.get("delta")
        if choice.get("index") != 0 or choice.get("finish_reason") or choice.get("logprobs") or not choice.keys() <= CHOICE:
            return
        if not delta or not delta.keys() <= DELTA:
            return
        said = [(name, text) for name in NAMES if (text := delta.get(name))]
        if len(said) != 1 or said[0][1].__class__ is not str:
            return
        name, text = said[0]
        self._misses += 1
        for key in (b'"%s":"' % name.encode(), b'"%s": "' % name.encode()):
            before, found, rest = payload.partition(key)
            words = text.encode(errors="replace")
            if found and rest.startswith(words + b'"') and rest.find(key) < 0 and words.find(b'"') < 0 and words.find(b"\\") < 0:
                self._before, self._after, self._name = before + key, rest[len(words) :], name
                return
