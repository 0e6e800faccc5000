"""Model names with `*` in them: a table that finds the most specific pattern for a name, without regular expressions."""

from collections.abc import Iterable
from typing import Generic, TypeVar

T = TypeVar("T")


def matches(pattern: str, name: str) -> bool:
    """Whether `*` in the pattern, standing for any text, makes it the name. Linear in the name's length."""
    first, *middle, last = pattern.split("*") if "*" in pattern else (pattern, None)
    if last is None:
        return first == name
    if len(name) < len(first) + len(last) or not name.startswith(first) or not name.endswith(last):
        return False
    at, end = len(first), len(name) - len(last)
    for part in middle:
        at = name.find(part, at, end)
        if at < 0:
            return False
        at += len(part)
    return True


def specificity(pattern: str) -> tuple[int, int]:
    """More signs that are not `*` are more specific; of as many, fewer stars."""
    return len(pattern.replace("*", "")), -pattern.count("*")


class Globs(Generic[T]):
    """Values by pattern: an exact name first, then the most specific pattern."""

    __slots__ = ("exact", "patterns")

    def __init__(self, entries: Iterable[tuple[str, T]]) -> None:
        found = list(entries)
        self.exact = {name: value for name, value in found if "*" not in name}
        self.patterns = sorted(((p, v) for p, v in found if "*" in p), key=lambda entry: specificity(entry[0]), reverse=True)

    def find(self, name: str) -> T | None:
        if (value := self.exact.get(name)) is not None:
            return value
        return next((value for pattern, value in self.patterns if matches(pattern, name)), None)

    def values(self) -> list[tuple[str, T]]:
        return [*self.exact.items(), *self.patterns]
