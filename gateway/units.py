"""Durations, sizes and money as a deployer writes them."""

import re
from decimal import Decimal
from typing import Annotated, Any

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


def money(value: Any) -> str:
    """`3000 CNY`: an amount and its currency."""
    if not isinstance(value, str) or not re.fullmatch(r"\d+(\.\d+)? [A-Z]{3}", value):
        raise ValueError("expected an amount with its currency, such as 3000 CNY")
    return value


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
Money = Annotated[str, BeforeValidator(money), WithJsonSchema({"type": "string", "pattern": r"^\d+(\.\d+)? [A-Z]{3}$"})]
