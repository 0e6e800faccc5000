"""The rule tables of a translator, and the translator without one of its rules."""

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from providers.base import Translator
from providers.fields import Fields


def tables(translator: Translator, version: str = "") -> tuple[Fields, ...]:
    """All that a request may go through; several where the vendor's models differ."""
    if hasattr(translator, "generations"):
        told = translator.generations(version)
        return (told.older, told.quiet, told.thinking)
    return (translator.fields,)  # type: ignore[attr-defined]


def without(translator: Translator, field: str) -> Translator:
    """The same, as if nobody had thought of `field`."""
    made: Any = translator
    if hasattr(made, "generations"):
        ask = made.generations

        def generations(version: str) -> Any:
            told = ask(version)
            return replace(told, older=less(told.older, field), quiet=less(told.quiet, field), thinking=less(told.thinking, field))

        return replace(made, generations=generations)  # type: ignore[no-any-return]
    return replace(made, fields=less(made.fields, field))  # type: ignore[no-any-return]


def less(table: Fields, field: str) -> Mapping[str, Any]:
    return {name: rule for name, rule in table.items() if name != field}
