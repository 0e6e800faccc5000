"""Every vendor's errors as one table, from its code to what a client is told: for documentation, and for whoever checks it."""

from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module

from msgspec import Struct

from gateway.routing.verdicts import VERDICTS, Whose, code_told
from providers.base import Kind
from providers.faults import Errors, Row
from providers.load import FOLDERS, load, presets
from providers.preset import Preset

CLASSES: Mapping[int, str] = {400: "BadRequestError", 404: "NotFoundError", 429: "RateLimitError"}
"""Of OpenAI's SDK, by status; `InternalServerError` from 500 on."""


class ErrorRow(Struct, frozen=True):
    """One of a vendor's codes."""

    surface: str
    """Of the vendor; "" where all surfaces have the code."""
    code: str
    status: int
    """The vendor's HTTP status; 0: not known."""
    means: str
    kind: Kind
    """As docs/errors.md has it."""
    openai_status: int
    openai_class: str
    openai_code: str
    retryable: bool
    """Whether the same provider is asked again."""
    fault: Whose
    wait: float | None
    """Seconds before it is, where the vendor says so once and for all."""
    renewed: bool
    """Whether a fresh credential is fetched and the call made once more."""
    source: str


def error_rows(vendor: str) -> list[ErrorRow]:
    """The vendor's codes in the order of its table; a vendor without one has none. Raises KeyError for an unknown vendor."""
    if vendor in FOLDERS:
        return [
            _row(surface, code, row, sources.get(row.source, ""))
            for surface, table, sources in _tables(vendor)
            for code, row in table.items()
        ]
    preset = _presets()[vendor]
    source = f"{preset.docs.source}, read {preset.docs.read}"
    named = {**preset.chat.errors, **(preset.embeddings.errors if preset.embeddings else {})}
    return [_row("", code, Row(kind, MEANINGS[kind], 0, "docs"), source) for code, kind in named.items()]


@cache
def _presets() -> Mapping[str, Preset]:
    return presets()


def _tables(vendor: str) -> Iterator[tuple[str, Errors, Mapping[str, str]]]:
    """(surface, its table, where its rows are from)."""
    try:
        module = import_module(f"providers.{vendor}.errors")
    except ModuleNotFoundError:
        return
    sources = {key: f"{source.title}, read {source.read}" for key, source in getattr(module, "SOURCES", {}).items()}
    tables: Mapping[str, Errors] = getattr(module, "TABLES", {"": module.ERRORS})
    whole = len({id(table) for table in tables.values()}) == 1
    seen: set[int] = set()
    for surface in load()[vendor] if "" not in tables else ("",):
        table = tables[surface]
        if id(table) not in seen:
            seen.add(id(table))
            yield "" if whole else surface, table, sources


def _row(surface: str, key: str, row: Row, source: str) -> ErrorRow:
    status, colon, code = key.rpartition(":")
    told = VERDICTS[row.kind]
    return ErrorRow(
        surface,
        code,
        int(status) if colon else row.status,
        row.means,
        row.kind,
        told.status,
        CLASSES.get(told.status, "InternalServerError"),
        code_told(row.kind, code),
        told.again or row.kind == "timeout",  # one of the provider's own has cost no waiting
        told.fault,
        row.wait,
        row.stale,
        source,
    )


MEANINGS: Mapping[Kind, str] = {
    "bad_request": "bad request",
    "unsupported": "not offered",
    "too_long": "prompt too long",
    "refused": "unsafe input or output",
    "no_model": "model does not exist",
    "auth": "the account is not accepted",
    "quota": "no money or tokens left",
    "rate_limited": "too many requests or tokens",
    "overloaded": "internal error, or too much to do",
    "unreachable": "not to be reached",
    "timeout": "took too long",
    "broken": "unusable answer",
    "unfit": "not of the form asked for",
}
"""What presets, which only name kinds, mean."""
