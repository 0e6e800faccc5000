"""Where we are, on stderr: stdout has nothing but the result."""

import sys


def tell(words: str) -> None:
    """In a line that the next one takes the place of, at a terminal; elsewhere in a line of its own."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{words}", end="", file=sys.stderr, flush=True)
    else:
        print(words, file=sys.stderr, flush=True)


def over() -> None:
    if sys.stderr.isatty():
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)
