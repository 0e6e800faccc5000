"""The audit log: what administrators changed, each entry sealed by a hash over itself and the one before, so that a change is found out.

A chain shows that its middle was changed, not that its end was cut off: for that, keep the hash that `verify` gives, and show it the next
time.
"""

import logging
from collections.abc import Mapping
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.store.connect import AUDIT_LOCK, alone
from gateway.store.errors import StoreError
from gateway.store.tables import audit
from providers.base import Json, encode

if TYPE_CHECKING:
    from gateway.store.engine import Store

log = logging.getLogger(__name__)

FIRST = "0" * 64
"""What the first entry follows."""
PAGE = 1000
"""Entries that are read at a time."""


class Entry(Struct, frozen=True):
    number: int
    time: float
    actor: str
    """The admin, or a team's token by its name, or `file` for what was changed on the disk; never a key."""
    action: str
    """As in `keys.create`."""
    target: str
    """What was changed, by its id."""
    detail: str
    """JSON: what became of it, without secrets."""
    hash: str = ""

    def sealed(self, before: str) -> str:
        """The hash that belongs to it after the entry with the hash `before`."""
        return sha256(encode([before, self.number, self.time, self.actor, self.action, self.target, self.detail])).hexdigest()


class Verified(Struct, frozen=True):
    """What reading the whole log found."""

    entries: int
    head: str
    """The hash of the last entry that is as it was."""
    broken: int = 0
    """The number of the first entry that is not."""
    why: str = ""


async def reloaded(store: "Store", directory: str, before: str, after: str) -> None:
    """Notes that a process runs changed files. They run already: where that cannot be noted, the program's log has it."""
    try:
        await append(store, "file", "config.reload", directory, {"running": before, "now": after})
    except StoreError as error:
        log.error("config %s is running in place of %s, which is not in the log of changes: %s", after, before, error)


async def append(store: "Store", actor: str, action: str, target: str, detail: Json | None = None) -> Entry:
    """Writes an entry after the last one, whichever replica wrote that. Raises StoreError."""
    async with store.writing() as connection:
        return await note(connection, store.now(), actor, action, target, detail)


async def note(connection: AsyncConnection, now: float, actor: str, action: str, target: str, detail: Json | None = None) -> Entry:
    """The same within the transaction of the change itself: there is neither without the other."""
    await alone(connection, AUDIT_LOCK)
    last = (await connection.execute(select(audit.c.number, audit.c.hash).order_by(audit.c.number.desc()).limit(1))).first()
    number, before = (last.number, last.hash) if last else (0, FIRST)
    said = [part.encode(errors="replace").decode().replace("\0", "\ufffd") for part in (actor, action, target)]
    entry = Entry(number + 1, now, said[0], said[1], said[2], encode(detail or {}).decode())
    values = {name: getattr(entry, name) for name in Entry.__struct_fields__} | {"hash": entry.sealed(before)}
    await connection.execute(insert(audit).values(values))
    return _entry(values)


async def entries(store: "Store", after: int = 0, limit: int = PAGE) -> list[Entry]:
    """Those that follow the entry with the number `after`."""
    async with store.reading() as connection:
        found = await connection.execute(select(audit).where(audit.c.number > after).order_by(audit.c.number).limit(limit))
        return [_entry(one) for one in found.mappings()]


async def verify(store: "Store", head: str = "") -> Verified:
    """Reads the log and computes every hash again. `head`: of an earlier run, to see that what was there then still is. Raises
    StoreError."""
    count, before, met = 0, FIRST, head in ("", FIRST)
    at_once = PAGE
    while True:
        try:
            page = await entries(store, after=count, limit=at_once)
        except StoreError:
            await store.ping()  # or the store is lost, and its entries may be as they were
            if at_once == 1:
                return Verified(count, before, count + 1, "it cannot be read")
            at_once = 1
            continue
        if not page:
            break
        for entry in page:
            if entry.number != count + 1:
                return Verified(count, before, count + 1, "it is missing")
            if entry.hash != entry.sealed(before):
                return Verified(count, before, count + 1, "it is not what was written")
            count, before = entry.number, entry.hash
            met = met or before == head
    if not met:
        return Verified(count, before, count + 1, "the log ends before the entry that it had at an earlier time")
    return Verified(count, before)


def _entry(row: Mapping[Any, Any]) -> Entry:
    return Entry(*(row[name] for name in Entry.__struct_fields__))
