"""Adding up: the columns that usage is grouped by, and those that are added."""

from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Integer, Table, case, cast, func
from sqlalchemy.dialects import postgresql, sqlite

from gateway.store.tables import usage

DAY = 86_400
"""Seconds."""
END_OF_TIME = 253_402_300_800.0
"""The year 10000."""
DIMENSIONS = ("team", "key", "user", "account", "model", "served_model", "currency")
COUNTS = ("prompt_tokens", "cached_tokens", "completion_tokens", "reasoning_tokens", "images", "seconds", "characters", "cost")


def day_of(dialect: str) -> ColumnElement[int]:
    """Of a row of usage: days since 1970-01-01, UTC. PostgreSQL rounds where SQLite cuts off, and SQLite may be built without floor."""
    days = usage.c.time / DAY
    return cast(func.floor(days) if dialect == "postgresql" else days, Integer)


def raw_sums() -> list[ColumnElement[int]]:
    """Of rows of usage. An `attempt` is no request, but costs."""
    requests = func.sum(case((usage.c.kind == "attempt", 0), else_=1))
    return [_whole(requests, "requests"), *(_whole(func.sum(usage.c[name]), name) for name in COUNTS)]


def sums(table: Any) -> list[ColumnElement[int]]:
    """Of rows that are sums already."""
    return [_whole(func.sum(table.c[name]), name) for name in ("requests", *COUNTS)]


def _whole(sum_: Any, name: str) -> ColumnElement[int]:
    return cast(sum_, BigInteger).label(name)


def inserting(dialect: str, table: Table) -> Any:
    """An insert that knows ON CONFLICT, which SQLAlchemy leaves to each dialect."""
    return postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)


def adding(dialect: str, table: Table, names: tuple[str, ...]) -> Any:
    """An insert that adds those columns to a row that is there already."""
    statement = inserting(dialect, table)
    return statement.on_conflict_do_update(
        index_elements=[*table.primary_key.columns], set_={name: table.c[name] + statement.excluded[name] for name in names}
    )
