"""Tokens for the admin API that are good for one team. The database has their digests, as it has those of keys; they are not cached, so
that a revoked one ends everywhere at once."""

from collections.abc import Mapping
from secrets import token_hex, token_urlsafe
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from sqlalchemy import insert, select, update

from gateway.store.audit import note
from gateway.store.connect import KEYS_LOCK
from gateway.store.keys import MOST_NAME, NameTaken, digest_of
from gateway.store.tables import tokens
from providers.base import Json

if TYPE_CHECKING:
    from gateway.store.engine import Store

PREFIX = "bat-"
"""Of every token: what does not begin with it is not looked for."""
TEAM = "team"
"""The role of all there are: it sees and changes its own team."""


class StoredToken(Struct, frozen=True):
    """What may be shown of a token."""

    id: str
    team: str
    name: str
    role: str
    created: float
    revoked: float | None = None


async def create(store: "Store", team: str, name: str, *, by: str) -> tuple[StoredToken, str]:
    """A token, and its secret, which nobody is told again. `by`: who makes it, for the audit log. Raises NameTaken, StoreError, and
    ValueError for a name that is none."""
    if not name.isprintable() or not 0 < len(name) <= MOST_NAME:
        raise ValueError(f"the name of a token has 1 to {MOST_NAME} printable characters")
    now = store.now()
    secret = PREFIX + token_urlsafe(32)
    made = StoredToken("tok_" + token_hex(8), team, name, TEAM, now)
    async with store.writing(KEYS_LOCK) as connection:
        alive = tokens.c.team == team, tokens.c.name == name, tokens.c.revoked.is_(None)
        if (await connection.execute(select(tokens.c.id).where(*alive))).first():
            raise NameTaken(f"team `{team}` has a token `{name}`: revoke it first")
        row = {"id": made.id, "team": team, "name": name, "role": TEAM, "created": now}
        await connection.execute(insert(tokens).values(digest=digest_of(secret), **row))
        await note(connection, now, by, "tokens.create", made.id, _told(made))
    return made, secret


async def revoke(store: "Store", token_id: str, *, by: str) -> StoredToken | None:
    """The token, which no longer holds. None if there is none. Raises StoreError."""
    now = store.now()
    wanted = select(tokens).where(tokens.c.id == token_id)
    async with store.writing(KEYS_LOCK) as connection:
        found = (await connection.execute(wanted)).mappings().first()
        if found is None:
            return None
        token = _token(found)
        if token.revoked is None:
            await connection.execute(update(tokens).where(tokens.c.id == token_id).values(revoked=now))
            await note(connection, now, by, "tokens.revoke", token_id, _told(token))
            token = _token((await connection.execute(wanted)).mappings().one())
        return token


async def all_of(store: "Store") -> list[StoredToken]:
    """Revoked ones included; the oldest first. Raises StoreError."""
    async with store.reading() as connection:
        found = await connection.execute(select(tokens).order_by(tokens.c.created, tokens.c.id))
        return [_token(one) for one in found.mappings()]


async def find(store: "Store", secret: str) -> StoredToken | None:
    """The token with that secret, if it holds. Raises StoreError."""
    if not secret.startswith(PREFIX):
        return None
    wanted = select(tokens).where(tokens.c.digest == digest_of(secret), tokens.c.revoked.is_(None))
    async with store.reading() as connection:
        found = (await connection.execute(wanted)).mappings().first()
        return None if found is None else _token(found)


def _told(token: StoredToken) -> Json:
    """For the audit log."""
    return {"team": token.team, "name": token.name, "role": token.role}


def _token(row: Mapping[Any, Any]) -> StoredToken:
    return StoredToken(*(row[name] for name in StoredToken.__struct_fields__))
