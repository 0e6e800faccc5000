"""Keys that the admin API has made: every replica knows them a moment after, and forgets them as soon when they are revoked."""

import asyncio
import time
from collections.abc import Callable

from gateway.refreshed import EVERY, Refreshed
from gateway.snapshot import Key, Snapshot
from gateway.store import keys
from gateway.store.engine import Store
from gateway.store.keys import StoredKey


class Ring(Refreshed):
    """What the database says of keys, kept in memory: no request waits for the database."""

    def __init__(self, store: Store, *, every: float = EVERY, now: Callable[[], float] = time.time) -> None:
        super().__init__("keys made by the API", every)
        self._store = store
        self._now = now
        self._revision = -1
        self._stored: dict[bytes, StoredKey] = {}
        self._made: dict[bytes, Key] = {}
        """Keys with what their teams are at present."""
        self._of: Snapshot | None = None
        self._reading = asyncio.Lock()

    def find(self, digest: bytes, snapshot: Snapshot) -> Key | None:
        """The key of that digest, if it holds and its team is still there."""
        stored = self._stored.get(digest)
        if stored is None or not stored.holds(self._now()):
            return None
        if self._of is not snapshot:
            self._of, self._made = snapshot, {}
        if (key := self._made.get(digest)) is None:
            team = snapshot.teams.get(stored.team)
            if team is None:
                return None
            key = self._made[digest] = team.key(stored.name, stored.jurisdiction)
        return key

    async def refresh(self) -> None:
        """Raises StoreError."""
        async with self._reading:  # or what was read first might be kept last
            if await keys.revision(self._store) != self._revision:
                self._revision, found = await keys.by_digest(self._store)
                self._stored = {bytes.fromhex(digest): key for digest, key in found.items()}
                self._made = {}
