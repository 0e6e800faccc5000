"""The tables, as they are after the last migration. A change here needs a migration: a test compares the two."""

from sqlalchemy import BigInteger, Boolean, Column, Double, Index, Integer, LargeBinary, MetaData, Table, Text, text

metadata = MetaData()

usage = Table(
    "usage",
    metadata,
    # What is added up stands first: in SQLite a column costs what stands before it.
    Column("id", Text, nullable=False),
    Column("time", Double, nullable=False),
    Column("team", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("user", Text, nullable=False),
    Column("account", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("served_model", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("prompt_tokens", BigInteger, nullable=False),
    Column("cached_tokens", BigInteger, nullable=False),
    Column("completion_tokens", BigInteger, nullable=False),
    Column("reasoning_tokens", BigInteger, nullable=False),
    Column("cost", BigInteger, nullable=False),
    Column("estimated", Boolean, nullable=False),
    Column("started", Double, nullable=False),
    Column("endpoint", Text, nullable=False),
    Column("jurisdiction", Text, nullable=False),
    Column("status", BigInteger, nullable=False),
    Column("attempts", BigInteger, nullable=False),
    Column("price_as_of", Text, nullable=False),
    Column("first_token_ms", Double, nullable=False),
    Column("total_ms", Double, nullable=False),
    Column("overhead_ms", Double, nullable=False),
    Column("finish", Text, nullable=False),
    Column("request_id", Text, nullable=False),
    Column("changes", Text, nullable=False),
    Column("decision", Text, nullable=False),
    Column("granted", Text, nullable=False),
    Column("tags", Text, nullable=False),
    *(Column(name, BigInteger, nullable=False, server_default="0") for name in ("images", "seconds", "characters")),
    Index("usage_granted", "time", sqlite_where=text("granted NOT IN ('', '{}')"), postgresql_where=text("granted NOT IN ('', '{}')")),
    Index("usage_id", "id", unique=True),
    Index("usage_request", "request_id"),
    Index("usage_time", "time"),
)
"""One row for each request: gateway.accounting.record.UsageRecord, field by field."""

usage_daily = Table(
    "usage_daily",
    metadata,
    Column("day", Integer, nullable=False, primary_key=True, autoincrement=False),
    Column("team", Text, nullable=False, primary_key=True),
    Column("key", Text, nullable=False, primary_key=True),
    Column("user", Text, nullable=False, primary_key=True),
    Column("account", Text, nullable=False, primary_key=True),
    Column("model", Text, nullable=False, primary_key=True),
    Column("served_model", Text, nullable=False, primary_key=True),
    Column("currency", Text, nullable=False, primary_key=True),
    Column("requests", BigInteger, nullable=False),
    Column("prompt_tokens", BigInteger, nullable=False),
    Column("cached_tokens", BigInteger, nullable=False),
    Column("completion_tokens", BigInteger, nullable=False),
    Column("reasoning_tokens", BigInteger, nullable=False),
    Column("cost", BigInteger, nullable=False),
    *(Column(name, BigInteger, nullable=False, server_default="0") for name in ("images", "seconds", "characters")),
)
"""Usage of finished days, added up. `day`: days since 1970-01-01, UTC."""

usage_rolled = Table("usage_rolled", metadata, Column("day", Integer, primary_key=True, autoincrement=False))
"""The days that are in usage_daily, those without usage included."""

keys = Table(
    "keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("digest", Text, nullable=False, unique=True),
    Column("team", Text, nullable=False, index=True),
    Column("name", Text, nullable=False),
    Column("jurisdiction", Text, nullable=False),
    Column("created", Double, nullable=False),
    Column("revoked", Double),
    Column("rotated", Double),
    Column("successor", Text, nullable=False),
)
"""Teams' keys made by the API. `digest`: SHA-256 in hex; the key itself is nowhere. `revoked`: from when it no longer holds."""

tokens = Table(
    "tokens",
    metadata,
    Column("id", Text, primary_key=True),
    Column("digest", Text, nullable=False, unique=True),
    Column("team", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("created", Double, nullable=False),
    Column("revoked", Double),
)
"""For the admin API. `digest`: as of keys. `role`: `team`, which is good for that team."""

audit = Table(
    "audit",
    metadata,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("time", Double, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("hash", Text, nullable=False),
)
"""What administrators changed. `hash`: SHA-256 over the row and the hash of the row before, in hex."""

counters = Table(
    "counters",
    metadata,
    Column("name", Text, primary_key=True),
    Column("window", Text, primary_key=True),
    Column("amount", BigInteger, nullable=False),
)
"""Running totals: what a budget or a grant has spent in a window of time, for whoever needs to know it after a restart."""

replies = Table(
    "replies",
    metadata,
    Column("id", Text, primary_key=True),
    Column("digest", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("until", Double, nullable=False),
    Column("status", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Index("replies_until", "until"),
)
"""Answers to requests that came with an `Idempotency-Key`. `id`: SHA-256 over team, key, path and header, in hex; `digest`: over the body.
`status`: 0 for a claim, whose owner is answering. `until`: from when it is as if it were not there."""

objects = Table(
    "objects",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("team", Text, nullable=False),
    Column("parent", Text, nullable=False),
    Column("tag", Text, nullable=False),
    Column("created", Double, nullable=False),
    Column("until", Double),
    Column("position", BigInteger, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Index("objects_listed", "kind", "team", "parent", "position"),
    Index("objects_parent", "parent", sqlite_where=text("parent != ''"), postgresql_where=text("parent != ''")),
    Index("objects_until", "until", sqlite_where=text("until IS NOT NULL"), postgresql_where=text("until IS NOT NULL")),
)
"""What teams have made by the API and ask for again by its id: files, batches, responses, and so on. `body`: JSON. `position`: the order
in which they were made. `until`: from when it is as if it were not there."""
