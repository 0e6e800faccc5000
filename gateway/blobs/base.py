"""What those who keep bytes need to know of where they are kept."""

import re
from collections.abc import AsyncIterator
from typing import NamedTuple, Protocol

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}/[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}")
"""TEAM/ID: nothing that leads out of the place, and nothing that is hidden in it."""
PIECE = 1 << 20
"""Bytes that are held of what is read or written."""


class BlobsLost(Exception):
    """The place does not answer, or takes no more. The message is for the operator."""


class Missing(Exception):
    """There is nothing of that name."""


class Blob(NamedTuple):
    """What a list tells of one."""

    name: str
    size: int
    time: float
    """When it was put there, in unix seconds."""


class Blobs(Protocol):
    """All of these raise BlobsLost, and ValueError for a name of another form."""

    async def put(self, name: str, pieces: AsyncIterator[bytes]) -> int:
        """Keeps what comes, as a whole or not at all: it is durable when this returns. How many bytes. What is there under that name is
        replaced. What `pieces` raises is raised."""

    def get(self, name: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """The bytes from `start` up to `end`, in pieces. Raises Missing, before the first piece."""

    async def delete(self, name: str) -> None:
        """Also when it is not there."""

    def all(self) -> AsyncIterator[Blob]:
        """In any order."""


def checked(name: str) -> str:
    """Raises ValueError."""
    if not NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not the name of a blob")
    return name
