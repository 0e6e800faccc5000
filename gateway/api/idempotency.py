"""`Idempotency-Key`: a plain call that is sent again, since its answer did not arrive, gets that answer and is not made a second time."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from hashlib import sha256
from random import getrandbits

from msgspec.json import encode as encoded

from gateway.accounting.replies import LEASE, Replies, Reply
from gateway.api.serving import Serving
from gateway.api.wire import JSON_TYPE, Exchange, Refusal
from gateway.emulation.audio import TYPES, form_of
from gateway.store.errors import StoreError
from providers.base import Json

log = logging.getLogger(__name__)

HEADER = b"idempotency-key"
LONGEST = 255
RENEWED = LEASE / 4
"""Seconds between signs that an attempt goes on: three of them may fail."""
MOST = 16 << 20
"""Bytes of an answer that is kept; a larger one is not."""


class Claim:
    """One attempt at a request, which is nobody else's meanwhile."""

    def __init__(self, replies: Replies, id: str, owner: str, *, every: float = RENEWED) -> None:
        self._replies = replies
        self._id = id
        self._owner = owner
        self._kept = False
        self._every = every
        self._renewing = asyncio.create_task(self._renew())

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(self._every)
            try:
                await self._replies.renew(self._id, self._owner)
            except StoreError as error:
                log.warning("a claim was not renewed: %s", error)

    async def keep(self, status: int, body: bytes) -> None:
        """The answer that is about to be sent. Where it cannot be kept it is sent all the same: it has been paid for."""
        if status != 200 or len(body) > MOST:
            return
        try:
            await self._replies.keep(self._id, self._owner, status, body)
        except StoreError as error:
            log.warning("an answer was not kept for its Idempotency-Key: %s", error)
        self._kept = True  # also where it is in doubt: the claim runs out by itself

    async def close(self) -> None:
        self._renewing.cancel()
        if self._kept:
            return
        try:
            await self._replies.release(self._id, self._owner)
        except StoreError as error:
            log.warning("a claim was not released, and runs out by itself: %s", error)


async def once(exchange: Exchange, serving: Serving, body: Json, work: Callable[[], Awaitable[None]]) -> None:
    """Does the work, which answers the exchange, unless it has been done: then its answer is given again. The body has been checked. Raises
    Refusal."""
    given = exchange.headers[HEADER]
    if not 0 < len(given) <= LONGEST or not given.isascii() or not given.decode().isprintable():
        raise Refusal(400, f"`Idempotency-Key` has 1 to {LONGEST} printable characters of ASCII.", code="invalid_value")
    ledger = serving.books.ledger
    if ledger is None or ledger.degraded:
        raise unavailable()
    id = name_of(exchange, given)
    owner = f"{getrandbits(128):032x}"
    digest = sha256(encoded(body, order="sorted")).hexdigest()
    try:
        earlier = await ledger.replies.claim(id, digest, owner)
    except StoreError as error:
        raise unavailable() from error
    if earlier is not None:
        return await again(exchange, earlier, digest)
    claim = Claim(ledger.replies, id, owner)
    exchange.keep = claim.keep
    try:
        await work()
    finally:
        closing = asyncio.create_task(claim.close())
        await asyncio.wait((closing,))  # also for one that is cancelled: the claim is given back first


async def again(exchange: Exchange, earlier: Reply, digest: str) -> None:
    """What came of it before. Nothing is booked. Raises Refusal."""
    if earlier.digest != digest:
        raise Refusal(
            409,
            "This Idempotency-Key came with another body before.",
            code="idempotency_key_reused",
            headers=[(b"x-should-retry", b"false")],
        )
    if not earlier.status:
        message = "The request that first came with this Idempotency-Key is still being answered: ask again in a moment."
        raise Refusal(409, message, code="idempotency_in_progress", headers=[(b"retry-after", b"1"), (b"x-should-retry", b"true")])
    exchange.booking = None
    await exchange.answer(earlier.status, earlier.body, [(b"x-banjia-idempotent-replay", b"true")], kind_of(earlier.body))


def kind_of(body: bytes) -> tuple[bytes, bytes]:
    """The content type of an answer that is kept without it: JSON, else a sound, else words."""
    if body[:1] == b"{":
        return JSON_TYPE
    form = form_of(body)
    if form == "pcm":
        with suppress(UnicodeDecodeError):
            body.decode()
            return b"content-type", b"text/plain; charset=utf-8"
    return b"content-type", TYPES[form].encode()


def name_of(exchange: Exchange, given: bytes) -> str:
    """Of one request of a team's key to a path: what the client has sent is not stored."""
    return sha256(b"\0".join((exchange.team.encode(), exchange.key.encode(), exchange.path.encode(), given))).hexdigest()


def unavailable() -> Refusal:
    message = "The database is not there to tell whether this request was made before: ask again in a moment, or without Idempotency-Key."
    return Refusal(503, message, kind="api_error", code="idempotency_unavailable", headers=[(b"retry-after", b"1")])
