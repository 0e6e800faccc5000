"""What is kept of all requests together: their records, what bounds them, and what grants pay for."""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Protocol

from gateway.accounting.admission import Admission
from gateway.accounting.budgets import Spent, Warned
from gateway.accounting.grants import Grants
from gateway.accounting.limits import TOKENS, amount
from gateway.accounting.record import UsageRecord
from gateway.accounting.replies import Replies
from gateway.catalog import Catalog
from gateway.snapshot import Snapshot
from gateway.state.base import State

log = logging.getLogger(__name__)


class Ledger(Protocol):
    """Where records are kept: gateway.store, or nowhere."""

    @property
    def degraded(self) -> str:
        """Why they are not written to the database; empty when they are."""

    @property
    def pending(self) -> int:
        """Records that are kept, but not in the database yet."""

    @property
    def lost(self) -> int:
        """Records that could be kept nowhere."""

    @property
    def replies(self) -> Replies:
        """Answers that are kept for requests that may be sent again."""

    def write(self, record: UsageRecord) -> "asyncio.Future[object]":
        """Done when the record is durable. Never fails."""

    async def spent(self, of: Spent) -> dict[str, int]:
        """What the records say has been spent: tokens, or nano units by currency. Raises StoreError."""

    async def granted(self, grant: str) -> int:
        """Tokens that the records say a grant has paid for. Raises StoreError."""


class Books:
    """Made once, and given each snapshot. `ledger`: None where nothing is stored."""

    def __init__(self, state: State, ledger: Ledger | None = None, *, now: Callable[[], float] = time.time) -> None:
        self.state = state
        self.ledger = ledger
        self.admission = Admission(state, self._spent, warn=warned, now=now)
        self.grants = Grants(state, self._granted, now=now)
        self._snapshot: Snapshot | None = None

    async def open(self) -> None:
        await self.state.open()

    async def close(self) -> None:
        await self.admission.close()
        await self.grants.close()
        await self.state.close()

    def use(self, snapshot: Snapshot) -> None:
        """From now on, by this config."""
        if self._snapshot is None or snapshot.grants != self._snapshot.grants:
            self.grants.configure(snapshot.grants)
        self._snapshot = snapshot

    @property
    def degraded(self) -> str:
        """Why limits and records are not what they should be at present; empty: they are."""
        return "; ".join(filter(None, (self.state.degraded, self.ledger.degraded if self.ledger else "")))

    async def _spent(self, of: Spent) -> int:
        if self.ledger is None:
            return 0
        found = await self.ledger.spent(of)
        if of.unit == TOKENS:
            return found.get(TOKENS, 0)
        catalog = self._snapshot.catalog if self._snapshot else None
        return sum(converted(nano, currency, of.unit, catalog) for currency, nano in found.items() if currency != TOKENS)

    async def _granted(self, grant: str) -> int:
        return 0 if self.ledger is None else await self.ledger.granted(grant)


def converted(nano: int, currency: str, wanted: str, catalog: Catalog | None) -> int:
    """Nano units of one currency in those of another, by the catalog's rates; one without a rate counts as it is, so that it counts."""
    if currency == wanted or catalog is None:
        return nano
    common, unit = catalog.in_common(nano, currency), catalog.in_common(10**9, wanted)
    return nano if common is None or not unit else common * 10**9 // unit


def warned(of: Warned) -> None:
    cap, unit = of.bucket.cap, of.bucket.unit
    log.warning("%s has used %s of its budget of %s", of.bucket.scope, amount(of.spent, unit), amount(cap, unit))
