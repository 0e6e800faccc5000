"""Answers to requests that came with an `Idempotency-Key`: the only ones that are stored. A row is a claim until its answer is there."""

from typing import TYPE_CHECKING

from sqlalchemy import delete, select, update

from gateway.accounting.replies import LEASE, Reply
from gateway.store.sums import inserting
from gateway.store.tables import replies

if TYPE_CHECKING:
    from gateway.store.engine import Store

KEPT = 86_400.0
"""Seconds for which an answer is kept."""
AT_ONCE = 200
"""Rows that are deleted in one transaction: answers are large."""


class KeptReplies:
    """Replies in a store."""

    def __init__(self, store: "Store") -> None:
        self._store = store

    async def claim(self, id: str, digest: str, owner: str) -> Reply | None:
        now = self._store.now()
        fields = {"digest": digest, "owner": owner, "until": now + LEASE, "status": 0, "body": b""}
        async with self._store.writing() as connection:
            statement = inserting(connection.dialect.name, replies).values(id=id, **fields)
            statement = statement.on_conflict_do_update(index_elements=["id"], set_=fields, where=replies.c.until <= now)
            if (await connection.execute(statement.returning(replies.c.id))).first():
                return None
            found = (await connection.execute(select(replies).where(replies.c.id == id))).first()
            if found is not None:
                return Reply(found.digest, found.status, found.body)
        return Reply(digest, 0, b"")  # released in the very moment: the client comes again

    async def renew(self, id: str, owner: str) -> None:
        await self._change(id, owner, until=self._store.now() + LEASE)

    async def keep(self, id: str, owner: str, status: int, body: bytes) -> None:
        await self._change(id, owner, status=status, body=body, until=self._store.now() + KEPT)

    async def release(self, id: str, owner: str) -> None:
        async with self._store.writing() as connection:
            await connection.execute(delete(replies).where(replies.c.id == id, replies.c.owner == owner, replies.c.status == 0))

    async def _change(self, id: str, owner: str, **values: object) -> None:
        async with self._store.writing() as connection:
            ours = replies.c.id == id, replies.c.owner == owner, replies.c.status == 0
            await connection.execute(update(replies).where(*ours).values(**values))


async def forget(store: "Store") -> int:
    """Deletes answers that are old enough, and claims of processes that have died; how many. Raises StoreError."""
    now, deleted = store.now(), 0
    some = select(replies.c.id).where(replies.c.until <= now).limit(AT_ONCE)
    while True:
        async with store.writing() as connection:
            gone = (await connection.execute(delete(replies).where(replies.c.id.in_(some), replies.c.until <= now))).rowcount
        deleted += gone
        if gone < AT_ONCE:
            return deleted
