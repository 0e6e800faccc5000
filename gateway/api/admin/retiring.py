"""Calls under names that OpenAI ends, with their end and what serves them here."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from msgspec.structs import replace

from gateway.api.admin.desk import Desk
from gateway.api.models import served_by
from gateway.snapshot import Key, Snapshot
from gateway.store.retiring import calls
from gateway.store.usage import Asked

AT_ONCE = 200
"""Rows that are made before others have their turn."""


async def retiring(desk: Desk, asked: Asked) -> tuple[list[dict[str, Any]], bool]:
    """Rows, those whose name ends first coming first, and whether there are more. `days_left`: below 0 once OpenAI has shut it down.
    `served_by`: accounts and models, in the order in which the route names them; empty: the name is served no longer here."""
    snapshot = desk.snapshot
    ends = snapshot.catalog.retirements
    names = (*ends,) if asked.model is None else tuple({asked.model} & ends.keys())
    if not names:
        return [], False
    found = await calls(desk.store, replace(asked, models=names))
    today = datetime.now(UTC).date()
    keys = desk.files_keys()
    rows: list[dict[str, Any]] = []
    for row in found.rows:
        rows.append(
            {
                **{name: row[name] for name in ("team", "key", "model", "requests", "last")},
                "announced": ends[row["model"]].announced.isoformat(),
                "shutdown": ends[row["model"]].shutdown.isoformat(),
                "days_left": (ends[row["model"]].shutdown - today).days,
                "served_by": _served_by(row["model"], row["team"], row["key"], snapshot, keys.get(row["team"], ())),
            }
        )
        if not len(rows) % AT_ONCE:
            await asyncio.sleep(0)
    return sorted(rows, key=lambda row: (row["shutdown"], row["model"], row["team"], row["key"])), found.more


def _served_by(model: str, team: str, name: str, snapshot: Snapshot, keys: Sequence[Key]) -> list[str]:
    """For that key: as its file says, or as the team's where the key was made since."""
    if team not in snapshot.teams:
        return []
    key = next((key for key in keys if key.name == name), None) or snapshot.teams[team].key(name)
    return served_by(model, key, snapshot)
