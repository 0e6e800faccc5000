"""Word lists by category, found in text of any length at once: what a deployer wants to be told of, without a provider.

Text and words are compared in one form: NFKC, case folded, without what cannot be seen, blanks as one. A word of letters that are written
with blanks between words is found as a whole word alone; Chinese, Japanese, Korean, Thai and the like are found anywhere.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ahocorasick_rs import AhoCorasick

UNSEEN = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0"
    "\U000e0000-\U000e0fff]+"
)
"""What Unicode calls default-ignorable, but for what NFKC takes away."""
UNSPACED = re.compile(
    "[\u0e00-\u0fff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u2e80-\ua4cf\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff"
    "\U00016fe0-\U00018fff\U0001b000-\U0001b2ff\U00020000-\U0003ffff]"
)
"""Letters of scripts that set no blanks between words, or join endings to them."""
PIECE = 1 << 14
"""Characters that are looked at together: a text of one short word again and again has as many places."""
SPAN = 256
"""Characters that are normalized together. No other thread runs meanwhile, a character may become eighteen, and marks that stand on one
letter are sorted in a time that grows with the square of their number."""
PART = 48 << 10
"""Bytes of words that are looked for by one automaton: making it takes 10 to 40 ms, in which no other thread runs."""
JAMO = range(0x1160, 0x11C3)
"""Vowels and ends of Korean syllables, which join the letter before them."""


def normal(text: str) -> str:
    """The form in which texts are compared."""
    if len(text) <= SPAN:
        return _normal(text).strip(" ")
    parts: list[str] = []
    at, blank = 0, True
    while at < len(text):
        end = _cut(text, at)
        part = _normal(text[at:end])
        if blank:
            part = part.removeprefix(" ")
        if part:
            parts.append(part)
            blank = part.endswith(" ")
        at = end
    return "".join(parts).rstrip(" ")


def _normal(text: str) -> str:
    """Blanks at either end are kept, as one."""
    if text.isascii():
        text = text.lower()
    else:
        text = UNSEEN.sub("", text.encode("utf-8", "replace").decode())
        text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
        text = UNSEEN.sub("", text)
    return " ".join(f"x{text}x".split())[1:-1]


def _cut(text: str, at: int) -> int:
    """Where what begins at `at` is cut off: where a letter begins, if there is one at all."""
    end = at + SPAN
    return next((place for place in range(end, at, -1) if place >= len(text) or _begins(text[place])), end)


def _begins(sign: str) -> bool:
    """Whether a sign never becomes one with those before it."""
    first = unicodedata.normalize("NFKD", sign)[0]
    return unicodedata.category(first)[0] not in "MC" and ord(first) not in JAMO


def spaced(sign: str) -> bool:
    """Whether a sign is part of a word that has an end."""
    return (sign.isalnum() or unicodedata.category(sign)[0] == "M") and UNSPACED.match(sign) is None


def whole(text: str, start: int, end: int) -> bool:
    """Whether what stands there does not go on as a longer word."""
    before = start > 0 and spaced(text[start]) and spaced(text[start - 1])
    return not before and not (end < len(text) and spaced(text[end - 1]) and spaced(text[end]))


class WordLists:
    """Words by category. What they are found with is made when they are first looked for, which takes a fifth of a second for 50,000."""

    __slots__ = ("_automata", "_categories", "_lock", "_longest", "_words", "categories")

    def __init__(self, lists: Mapping[str, Iterable[str]]) -> None:
        self._words: dict[str, set[str]] = {}
        for category, words in lists.items():
            for word in words:
                self._words.setdefault(normal(word), set()).add(category)
        self.categories = frozenset(category for found in self._words.values() for category in found)
        """Those that have words."""
        self._categories = [*self._words.values()]
        self._longest = max(map(len, self._words), default=0)
        self._automata: list[tuple[int, AhoCorasick]] | None = None
        """Each with the place of its first word."""
        self._lock = Lock()

    def __bool__(self) -> bool:
        return bool(self._words)

    def ready(self) -> bool:
        """Whether a short text is found at once."""
        return self._automata is not None

    def found(self, text: str) -> set[str]:
        """The categories of which a word stands in the text. For a thread, if the text is long."""
        automata, text = self._made(), normal(text)
        categories: set[str] = set()
        for begin in range(0, len(text), PIECE):
            offset = max(0, begin - self._longest)
            piece = text[offset : begin + PIECE]
            for first, automaton in automata:
                for number, start, end in automaton.find_matches_as_indexes(piece, overlapping=True):
                    of = self._categories[first + number]
                    if not of <= categories and whole(text, offset + start, offset + end):
                        categories |= of
            if len(categories) == len(self.categories):
                break
        return categories

    def _made(self) -> "list[tuple[int, AhoCorasick]]":
        with self._lock:
            if self._automata is None:
                from ahocorasick_rs import AhoCorasick, MatchKind  # who moderates nothing need not load it

                self._automata = [
                    (first, AhoCorasick(words, matchkind=MatchKind.Standard, store_patterns=False)) for first, words in self._parts()
                ]
            return self._automata

    def _parts(self) -> Iterator[tuple[int, list[str]]]:
        """The words in parts, each with the place of its first."""
        first, size = 0, 0
        part: list[str] = []
        for place, word in enumerate(self._words):
            more = len(word.encode("utf-8", "replace"))
            if part and size + more > PART:
                yield first, part
                first, size, part = place, 0, []
            part.append(word)
            size += more
        if part:
            yield first, part
