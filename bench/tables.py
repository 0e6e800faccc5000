"""What has been found, as a table: for a terminal, for a page in Markdown, or as JSON."""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any
from unicodedata import combining

from msgspec import Struct


class Section(Struct, frozen=True):
    """One table of the result."""

    name: str
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    """The first cell is what the row is about."""
    raw: Mapping[str, Any]
    """All that was measured, round by round."""
    notes: Sequence[str] = ()


def spread(values: Sequence[float], decimals: int = 0, unit: str = "") -> str:
    """The median, and how far the rounds lie apart: `294 (288-310)`."""
    if not values:
        return "-"
    middle = f"{median(values):,.{decimals}f}{unit}"
    return middle if len(values) == 1 else f"{middle} ({min(values):,.{decimals}f}-{max(values):,.{decimals}f})"


def ratios(values: Sequence[float], of: Sequence[float]) -> list[float]:
    """Round by round: what both have suffered from in a round is in neither. None where one of them
    has failed."""
    return [one / other for one, other in zip(values, of, strict=False) if other]


def text(section: Section) -> str:
    widths = [max(map(width, column)) for column in zip(section.columns, *section.rows, strict=True)]
    lines = [section.title, *("".join(_cells(row, widths)).rstrip() for row in (section.columns, *section.rows))]
    return "\n".join([*lines, *(f"  {note}" for note in section.notes)])


def _cells(row: Sequence[str], widths: Sequence[int]) -> list[str]:
    first, *rest = row
    return [
        first + " " * (widths[0] - width(first)),
        *("  " + " " * (wide - width(cell)) + cell for cell, wide in zip(rest, widths[1:], strict=True)),
    ]


def width(cell: str) -> int:
    return sum(not combining(sign) for sign in cell)


def markdown(section: Section) -> str:
    lines = [
        f"### {section.title}",
        "",
        *("| " + " | ".join(row) + " |" for row in (section.columns, ["---", *["--:"] * (len(section.columns) - 1)], *section.rows)),
    ]
    return "\n".join([*lines, *(f"\n{note}" for note in section.notes)])
