"""Markdown's structure and code blocks, as far as a README has them."""

import re
from collections.abc import Iterator

from msgspec import Struct

RUNNABLE = {"python": "python", "py": "python", "js": "node", "mjs": "node", "javascript": "node", "bash": "bash"}

BAR = re.compile(r"(?<!\\)\|")
"""Between the cells of a row; within one it is escaped."""


class Snippet(Struct, frozen=True):
    """A code block between fences."""

    language: str
    text: str
    line: int

    @property
    def runner(self) -> str:
        """python, node or bash; "" for what is not to be run: a config, or commands that are not a request."""
        kind = RUNNABLE.get(self.language, "")
        return "" if kind == "bash" and not self.text.startswith("curl ") else kind


class Unclosed(ValueError):
    """A fence that nothing closes."""


def snippets(markdown: str) -> list[Snippet]:
    return [block for _, block in _blocks(markdown) if block is not None]


def structure(markdown: str) -> list[str]:
    """Headings with their level, code blocks with their language, table rows with their number of cells: what translations share."""
    told: list[str] = []
    for line, block in _blocks(markdown):
        if block is not None:
            told.append(f"code {block.language}")
        elif heading := re.match(r"(#{1,6}) ", line):
            told.append(f"heading {len(heading[1])}")
        elif line.startswith("|"):
            told.append(f"row {len(BAR.findall(line)) - 1}")
    return told


def _blocks(markdown: str) -> Iterator[tuple[str, Snippet | None]]:
    """Each line outside of fences, and each block within."""
    lines = iter(enumerate(markdown.splitlines(), 1))
    for number, line in lines:
        fence = re.match(r"( *)(`{3,}|~{3,})(\S*)", line)
        if fence is None:
            yield line, None
            continue
        indent, mark, language = fence.groups()
        held: list[str] = []
        for _, inner in lines:
            if re.fullmatch(rf" *{mark[0]}{{{len(mark)},}} *", inner):
                break
            held.append(inner.removeprefix(indent))
        else:
            raise Unclosed(f"line {number} opens a code block that nothing closes")
        yield line, Snippet(language, "\n".join(held) + "\n", number)


def at(text: str, address: str) -> str:
    """A snippet that uses the demo at another address."""
    return re.sub(r"(?:127\.0\.0\.1|localhost):8080\b", address, text)
