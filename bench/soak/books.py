"""What the gateway has written down, against what clients have seen."""

import sqlite3
from collections import Counter
from pathlib import Path

from bench.soak.load import Tally
from bench.soak.provider import WORDS

ANSWERED = {"ok", "failed_over"}
UNREAD = 0.1
"""Share of the impatient whose request may not have been read before they went, on a machine that was busy with others."""
MOST_TOLD = 5


def wrong_in(database: Path, tally: Tally) -> list[str]:
    """Every request has one row, which says of it what its client knows."""
    with sqlite3.connect(database) as open_:
        rows = open_.execute("SELECT request_id, kind, completion_tokens FROM usage WHERE kind != 'attempt'").fetchall()
    kinds = {name: kind for name, kind, _ in rows}
    tokens = {name: count for name, _, count in rows}
    twice = [name for name, count in Counter(name for name, _, _ in rows).items() if count > 1]
    asked = tally.whole | tally.failed | tally.left
    unread = sorted(tally.impatient - kinds.keys())
    found = {
        "went before the answer and are not written down": unread if len(unread) > max(1, UNREAD * len(tally.impatient)) else [],
        "written down twice": twice,
        "not written down": sorted(asked - kinds.keys()),
        "written down and never asked": sorted(kinds.keys() - asked - tally.impatient),
        "answered, and written down otherwise": [name for name in tally.whole if kinds.get(name, "ok") not in ANSWERED],
        "answered, and its tokens are others": [name for name in tally.whole if tokens.get(name, WORDS) != WORDS],
        "failed, and written down as answered": [name for name in tally.failed if kinds.get(name) in ANSWERED],
    }
    return [f"{len(names)} {what}: {', '.join(names[:MOST_TOLD])}" for what, names in found.items() if names]
