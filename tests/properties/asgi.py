"""An App asked without sockets, and a provider that says whatever a test wants it to."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from gateway.app import App
from gateway.snapshot import Account
from gateway.upstream import Reply
from providers.base import Fault, Json, Outgoing


class Answer(Struct):
    """What a client gets."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Prepared:
    """A reply that a provider gives, in pieces."""

    def __init__(self, status: int, headers: Mapping[str, str], pieces: list[bytes]) -> None:
        self.status = status
        self.headers = headers
        self._pieces = iter(pieces)

    async def piece(self) -> bytes:
        return next((piece for piece in self._pieces if piece), b"")

    async def read(self, most: int = 0) -> bytes:
        return b"".join(self._pieces)

    def close(self) -> None:
        pass


class Parrot:
    """An upstream that gives the same reply to all that is sent."""

    def __init__(self) -> None:
        self.status = 200
        self.headers: Mapping[str, str] = {}
        self.pieces: list[bytes] = []

    async def send(self, account: Account, request: Outgoing, connect: float) -> Prepared:
        return Prepared(self.status, self.headers, self.pieces)

    def forget(self, account: Account) -> None:
        pass

    def refused(self, account: Account, reply: Reply, fault: Fault) -> bool:
        return False


async def post(app: App, path: str, body: Json, key: str) -> Answer:
    """One request to the gateway, and its whole answer."""
    waiting = asyncio.Event()
    messages: list[Any] = [{"type": "http.request", "body": json.dumps(body).encode()}]
    sent: list[Any] = []

    async def receive() -> Any:
        if messages:
            return messages.pop()
        await waiting.wait()

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"authorization", f"Bearer {key}".encode()), (b"content-type", b"application/json")]
    await app({"type": "http", "method": "POST", "path": path, "headers": headers, "query_string": b""}, receive, send)
    start, *pieces = sent
    told = {name.decode(): value.decode("latin-1") for name, value in start["headers"]}
    return Answer(start["status"], told, b"".join(piece.get("body", b"") for piece in pieces))
