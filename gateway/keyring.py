"""Keys that the admin API has made: every replica knows them a moment after, and forgets them as soon when they are revoked."""

import asyncio
import logging
import time
from collections.abc import Callable

from gateway.snapshot import Key, Snapshot
from gateway.store import keys
from gateway.store.engine import Store, StoreError
from gateway.store.keys import StoredKey

log = logging.getLogger(__name__)

EVERY = 2.0
"""Seconds between two looks whether a key has changed."""


class Ring:
    """What the database says of keys, kept in memory: no request waits for the database."""

    def __init__(self, store: Store, *, every: float = EVERY, now: Callable[[], float] = time.time) -> None:
        self._store = store
        self._every = every
        self._now = now
        self._revision = -1
        self._stored: dict[bytes, StoredKey] = {}
        self._made: dict[bytes, Key] = {}
        """Keys with what their teams are at present."""
        self._of: Snapshot | None = None
        self._task: asyncio.Task[None] | None = None
        self._reading = asyncio.Lock()

    async def open(self) -> None:
        try:
            await self.refresh()
        except StoreError as exc:
            log.warning("keys made by the API are not known yet: %s", exc)
        self._task = asyncio.create_task(self._watch(), name="keys")

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

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

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self._every)
            try:
                await self.refresh()
            except StoreError as exc:  # what is known goes on to hold
                log.warning("whether keys have changed is not known: %s", exc)
