"""What is kept in memory of the database and read anew every few seconds, so that no request waits for it."""

import asyncio
import logging
from abc import ABC, abstractmethod

from gateway.store.errors import StoreError

log = logging.getLogger(__name__)

EVERY = 2.0
"""Seconds between two looks whether something has changed."""


class Refreshed(ABC):
    """Opened after the store, closed before it."""

    def __init__(self, what: str, every: float) -> None:
        """`what`: for the log, as in "keys made by the API"."""
        self._what = what
        self._every = every
        self._task: asyncio.Task[None] | None = None

    @abstractmethod
    async def refresh(self) -> None:
        """Reads what has changed. Raises StoreError."""

    async def open(self) -> None:
        await self._look()
        self._task = asyncio.create_task(self._watch(), name=self._what)

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self._every)
            await self._look()

    async def _look(self) -> None:
        try:
            await self.refresh()
        except StoreError as exc:  # what is known goes on to hold
            log.warning("whether there are others of the %s is not known: %s", self._what, exc)
