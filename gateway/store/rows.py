"""A record as a row of the table `usage`."""

from typing import Any

from msgspec.structs import astuple

from gateway.accounting.record import UsageRecord
from gateway.store.tables import usage
from providers.base import encode

COLUMNS = tuple(column.name for column in usage.columns)
assert UsageRecord.__struct_fields__ == COLUMNS
assert COLUMNS[-5:] == ("granted", "tags", "images", "seconds", "characters")


def row(record: UsageRecord) -> tuple[Any, ...]:
    """Its values, in the order of the columns."""
    *values, granted, tags, images, seconds, characters = astuple(record)
    return (
        *values,
        encode(granted).decode() if granted else "",
        encode(tags).decode() if tags else "",
        images,
        seconds,
        characters,
    )
