"""Teams' keys that the API makes. The database has their digests: whoever reads it cannot use one, and who lost one gets another."""

from collections.abc import Mapping
from hashlib import sha256
from secrets import token_hex, token_urlsafe
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from sqlalchemy import insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.store.audit import note
from gateway.store.connect import KEYS_LOCK
from gateway.store.sums import adding
from gateway.store.tables import counters, keys
from providers.base import Json

if TYPE_CHECKING:
    from gateway.store.engine import Store

REVISION = {"name": "keys", "window": "revision"}
"""The counter that grows with each change."""
MOST_NAME = 128
"""Characters of a name."""


class StoredKey(Struct, frozen=True):
    """What may be shown of a key."""

    id: str
    team: str
    name: str
    jurisdiction: str
    """Of those who use it; empty: that of the team."""
    created: float
    revoked: float | None = None
    """From when it no longer holds. May be in the future."""
    rotated: float | None = None
    """When a successor was made."""
    successor: str = ""
    """The id of that one."""

    def holds(self, now: float) -> bool:
        return self.revoked is None or now < self.revoked


class NameTaken(Exception):
    """The team has another key of that name, which holds."""


def digest_of(secret: str) -> str:
    """What a key is found by."""
    return sha256(secret.encode(errors="replace")).hexdigest()


async def create(store: "Store", team: str, name: str, jurisdiction: str = "", *, by: str = "") -> tuple[StoredKey, str]:
    """A key, and its secret, which nobody is told again. `by`: who makes it, for the audit log; empty: it is not noted there. Raises
    NameTaken, StoreError, and ValueError for a name that is none."""
    if not name.isprintable() or not 0 < len(name) <= MOST_NAME:
        raise ValueError(f"the name of a key has 1 to {MOST_NAME} printable characters")
    now = store.now()
    async with store.writing(KEYS_LOCK) as connection:
        alive = keys.c.team == team, keys.c.name == name, or_(keys.c.revoked.is_(None), keys.c.revoked > now)
        if (await connection.execute(select(keys.c.id).where(*alive))).first():
            raise NameTaken(f"team `{team}` has a key `{name}`: revoke it first, or rotate it")
        made, secret = await _insert(connection, team, name, jurisdiction, now)
        if by:
            await note(connection, now, by, "keys.create", made.id, _told(made))
        return made, secret


async def rotate(store: "Store", key_id: str, grace: float = 0.0, team: str | None = None, *, by: str = "") -> tuple[StoredKey, str] | None:
    """Another key in the place of that one, which holds for another `grace` seconds. None if it does not hold, has been rotated before, or
    is not that team's."""
    now = store.now()
    async with store.writing(KEYS_LOCK) as connection:
        old = await _find(connection, key_id, team)
        if old is None or old.successor or not old.holds(now):
            return None
        made, secret = await _insert(connection, old.team, old.name, old.jurisdiction, now)
        until = now + grace if old.revoked is None else min(old.revoked, now + grace)
        await connection.execute(update(keys).where(keys.c.id == key_id).values(revoked=until, rotated=now, successor=made.id))
        if by:
            await note(connection, now, by, "keys.rotate", key_id, {**_told(made), "successor": made.id, "grace": grace})
        return made, secret


async def revoke(store: "Store", key_id: str, team: str | None = None, *, by: str = "") -> StoredKey | None:
    """The key, which no longer holds. None if there is none, or it is not that team's."""
    now = store.now()
    async with store.writing(KEYS_LOCK) as connection:
        found = await _find(connection, key_id, team)
        if found is not None and found.holds(now):
            await connection.execute(update(keys).where(keys.c.id == key_id).values(revoked=now))
            await _changed(connection)
            if by:
                await note(connection, now, by, "keys.revoke", key_id, _told(found))
            found = await _find(connection, key_id, team)
        return found


async def find(store: "Store", key_id: str, team: str | None = None) -> StoredKey | None:
    """None if there is none, or it is not that team's."""
    async with store.reading() as connection:
        return await _find(connection, key_id, team)


async def all_of(store: "Store", team: str | None = None) -> list[StoredKey]:
    """Those of a team, or of all, revoked ones included; the oldest first."""
    wanted = [] if team is None else [keys.c.team == team]
    async with store.reading() as connection:
        found = await connection.execute(select(keys).where(*wanted).order_by(keys.c.created, keys.c.id))
        return [_key(one) for one in found.mappings()]


async def by_digest(store: "Store") -> tuple[int, dict[str, StoredKey]]:
    """All keys that hold or will have held, and the revision that they are of. Whoever keeps them asks `holds` each time, since a rotated
    key ends by the clock, and `revision` now and then."""
    now = store.now()
    async with store.reading() as connection:
        number = await _revision(connection)
        found = await connection.execute(select(keys).where(or_(keys.c.revoked.is_(None), keys.c.revoked > now)))
        return number, {one["digest"]: _key(one) for one in found.mappings()}


async def revision(store: "Store") -> int:
    """Has grown if any key has changed: one row, for asking every other second."""
    async with store.reading() as connection:
        return await _revision(connection)


async def _revision(connection: AsyncConnection) -> int:
    wanted = counters.c.name == REVISION["name"], counters.c.window == REVISION["window"]
    return (await connection.execute(select(counters.c.amount).where(*wanted))).scalar() or 0


async def _insert(connection: AsyncConnection, team: str, name: str, jurisdiction: str, now: float) -> tuple[StoredKey, str]:
    secret = "sk-" + token_urlsafe(32)
    made = StoredKey("key_" + token_hex(8), team, name, jurisdiction, now)
    row = {"id": made.id, "team": team, "name": name, "jurisdiction": jurisdiction, "created": now, "successor": ""}
    await connection.execute(insert(keys).values(digest=digest_of(secret), **row))
    await _changed(connection)
    return made, secret


def _told(key: StoredKey) -> Json:
    """For the audit log."""
    return {"team": key.team, "name": key.name, "jurisdiction": key.jurisdiction}


async def _changed(connection: AsyncConnection) -> None:
    await connection.execute(adding(connection.dialect.name, counters, ("amount",)), [{**REVISION, "amount": 1}])


async def _find(connection: AsyncConnection, key_id: str, team: str | None) -> StoredKey | None:
    wanted = [keys.c.id == key_id] + ([] if team is None else [keys.c.team == team])
    found = (await connection.execute(select(keys).where(*wanted))).mappings().first()
    return None if found is None else _key(found)


def _key(row: Mapping[Any, Any]) -> StoredKey:
    return StoredKey(*(row[name] for name in StoredKey.__struct_fields__))
