"""Answers that are kept so that a request sent twice is served once: what an endpoint needs to know of where they are."""

from typing import Protocol

from msgspec import Struct

LEASE = 20.0
"""Seconds after which a claim is out of date that has not been renewed: its process has died, and whoever comes again is served."""


class Reply(Struct, frozen=True):
    """What is known of a request that came before. `digest`: of its body. `status`: 0 while it is being answered."""

    digest: str
    status: int
    body: bytes


class Replies(Protocol):
    """An `id` stands for a key's request to a path; an `owner` for one attempt at it."""

    async def claim(self, id: str, digest: str, owner: str) -> Reply | None:
        """None: it is ours, until the claim is out of date. Of all replicas one gets None. Raises StoreError."""

    async def renew(self, id: str, owner: str) -> None:
        """The attempt goes on. Raises StoreError."""

    async def keep(self, id: str, owner: str, status: int, body: bytes) -> None:
        """Raises StoreError."""

    async def release(self, id: str, owner: str) -> None:
        """Nothing has come of it: whoever comes next may try. Raises StoreError."""
