"""Durations, sizes and money as a deployer writes them."""

import re
from decimal import Decimal
from typing import Annotated, Any, NamedTuple

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "KB": 10**3, "MB": 10**6, "GB": 10**9}
_COUNTS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9}


def seconds(value: Any) -> float:
    """`300ms`, `5s`, `10m`, `1h`: a number with its unit."""
    return float(_quantity(value, _SECONDS, "a duration with its unit, such as 300ms, 5s or 10m"))


def bytes_of(value: Any) -> int:
    """`32MiB`, `512KiB`."""
    return int(_quantity(value, _BYTES, "a size with its unit, such as 512KiB or 32MiB"))


def count(value: Any) -> int:
    """`600`, `2M`, `150M`."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    return int(_quantity(value, _COUNTS, "a number, such as 600 or 2M"))


class Allowance(NamedTuple):
    """How much of what: nano units of a currency, or tokens."""

    unit: str
    amount: int

    def __str__(self) -> str:
        return f"{self.amount} tokens" if self.unit == "tokens" else f"{Decimal(self.amount).scaleb(-9).normalize():f} {self.unit}"


def allowance(value: Any) -> Allowance:
    """`3000 CNY`, `50M tokens`."""
    if isinstance(value, Allowance):
        return value
    found = re.fullmatch(r"(\d+(?:\.\d{1,9})?)([KMG]?) ([A-Z]{3}|tokens)", value) if isinstance(value, str) else None
    if not found or (found[2] and found[3] != "tokens"):
        raise ValueError("expected an amount with its currency, such as 3000 CNY, or tokens, such as 50M tokens")
    number = Decimal(found[1])
    return Allowance(found[3], int(number * _COUNTS[found[2]]) if found[3] == "tokens" else int(number.scaleb(9)))


def share(value: Any) -> float:
    """`80%`."""
    found = re.fullmatch(r"(\d{1,3}(?:\.\d+)?)%", value) if isinstance(value, str) else None
    if not found or float(found[1]) > 100:
        raise ValueError("expected a share such as 80%")
    return float(found[1]) / 100


def _quantity(value: Any, units: dict[str, Any], expected: str) -> Decimal:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)", value) if isinstance(value, str) else None
    if not found or found[2] not in units:
        raise ValueError(f"expected {expected}")
    return Decimal(found[1]) * Decimal(str(units[found[2]]))


Seconds = Annotated[
    float,
    BeforeValidator(seconds),
    PlainSerializer(lambda value: f"{value:g}s", return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^\d+(\.\d+)?(ms|s|m|h|d)$"}),
]
Bytes = Annotated[
    int,
    BeforeValidator(bytes_of),
    PlainSerializer(lambda value: f"{value}B", return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^\d+(\.\d+)?(B|KiB|MiB|GiB|KB|MB|GB)$"}),
]
Count = Annotated[int, BeforeValidator(count), WithJsonSchema({"type": ["integer", "string"], "pattern": r"^\d+(\.\d+)?[KMG]?$"})]
Allowed = Annotated[
    Allowance,
    BeforeValidator(allowance),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^\d+(\.\d{1,9})?([KMG]? tokens| [A-Z]{3})$"}),
]
Share = Annotated[
    float,
    BeforeValidator(share),
    PlainSerializer(lambda value: f"{value * 100:g}%", return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^\d{1,3}(\.\d+)?%$"}),
]
