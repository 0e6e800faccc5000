"""The only file that opens sockets to providers. It adds credentials, drives their exchange, and turns what can go wrong into Faults."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Protocol

import aiohttp
from yarl import URL

from gateway.snapshot import Account
from providers.base import Credential, Fault, Kind, Outgoing

log = logging.getLogger(__name__)

LARGEST_REPLY = 64 << 20
"""Bytes of a plain reply; a larger one is a broken one."""
LARGEST_ERROR = 1 << 20

COOL_OFF: Mapping[Kind, float] = {"auth": 300.0, "quota": 300.0, "rate_limited": 5.0}
"""Seconds that one of several credentials is left alone after a refusal, unless the provider says how long."""

USUAL = {"accept": "*/*", "accept-encoding": "identity", "user-agent": "banjia"}
"""Compressed replies could be bombs, and cost time on every piece of a stream. What is said here, aiohttp need not work out."""


class Reply(Protocol):
    """A provider's reply whose head has come."""

    status: int

    @property
    def headers(self) -> Mapping[str, str]: ...

    async def piece(self) -> bytes:
        """The next bytes of the body as they come; b"" at its end. Raises Fault("broken") if the connection breaks."""
        ...

    async def read(self, most: int = LARGEST_REPLY) -> bytes:
        """The whole body. Raises Fault("broken") for one larger than `most` bytes."""
        ...

    def close(self) -> None:
        """Lets go of the reply; what has not been read of it is cut off."""
        ...


class Upstream(Protocol):
    """What carries requests to providers."""

    async def send(self, account: Account, request: Outgoing, connect: float) -> Reply:
        """Raises Fault("unreachable") or Fault("auth"), nothing else."""
        ...

    def forget(self, account: Account) -> None:
        """The account's credential has expired: the next request gets a new one."""
        ...

    def refused(self, account: Account, reply: Reply, fault: Fault) -> bool:
        """The credential of `reply` was refused: it is left alone for a while. Whether the account has another, to be used at once."""
        ...


class Http:
    """Upstream over HTTP/1.1 with kept-alive connections."""

    def __init__(self, *, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._session: aiohttp.ClientSession | None = None
        self._credentials: dict[tuple[str, int], tuple[Account, Credential]] = {}
        """By account and number of the credential."""
        self._exchanges: dict[tuple[str, int], asyncio.Lock] = {}
        self._turns: dict[str, int] = {}
        self._cooling: dict[tuple[str, int], float] = {}
        """Until when a credential is left alone."""
        self._urls: dict[str, URL] = {}
        self._timeouts: dict[float, aiohttp.ClientTimeout] = {}

    async def open(self) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=60, keepalive_timeout=30),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            max_line_size=16 << 10,
            max_field_size=64 << 10,
        )

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def send(self, account: Account, request: Outgoing, connect: float) -> Reply:
        number = self._turn(account) if account.spare else 0
        credential = self._held(account, number) or await self._prove(account, number, connect)
        reply = await self._send(account, request, credential, connect)
        reply.number = number
        return reply

    def forget(self, account: Account) -> None:
        for number in range(1 + len(account.spare)):
            self._credentials.pop((account.name, number), None)

    def refused(self, account: Account, reply: Reply, fault: Fault) -> bool:
        if not account.spare or fault.kind not in COOL_OFF or not isinstance(reply, _HttpReply):
            return False
        wait = fault.retry_after if fault.retry_after is not None else COOL_OFF[fault.kind]
        self._cooling[account.name, reply.number] = self._now() + wait
        return any(not self._cools(account, number) for number in range(1 + len(account.spare)))

    def _turn(self, account: Account) -> int:
        """The number of the credential whose turn it is: one after the other, but for those that are left alone."""
        count = 1 + len(account.spare)
        first = self._turns.get(account.name, 0)
        order = [(first + step) % count for step in range(count)]
        chosen = next((number for number in order if not self._cools(account, number)), None)
        if chosen is None:
            chosen = min(order, key=lambda number: self._cooling[account.name, number])
        self._turns[account.name] = chosen + 1
        return chosen

    def _cools(self, account: Account, number: int) -> bool:
        return self._cooling.get((account.name, number), 0.0) > self._now()

    def _held(self, account: Account, number: int) -> Credential | None:
        """The account's credential, if it is still good. One made for other settings of the account is not."""
        of, credential = self._credentials.get((account.name, number), (None, None))
        if credential is None or credential.renew <= self._now():
            return None
        if of is not account:
            if of != account:
                return None
            self._credentials[account.name, number] = (account, credential)  # a reload made it anew, with nothing changed
        return credential

    async def _prove(self, account: Account, number: int, connect: float) -> Credential:
        """A new credential. Requests that want one at the same time wait for the same exchange."""
        async with self._exchanges.setdefault((account.name, number), asyncio.Lock()):
            if held := self._held(account, number):
                return held
            secrets = {**account.secrets, **account.spare[number - 1]} if number else account.secrets
            exchange = account.auth.exchange(secrets, self._now())
            try:
                asked = next(exchange)
                while True:
                    asked = exchange.send(await self._exchange(account, asked, connect))
            except (AttributeError, KeyError, TypeError, ValueError) as exc:
                raise Fault("auth", f"account {account.name}: the token's reply is of no known form") from exc
            except StopIteration as done:
                credential: Credential = done.value
            self._credentials[account.name, number] = (account, credential)
            return credential

    async def _exchange(self, account: Account, asked: Outgoing, connect: float) -> bytes:
        reply = await self._send(account, asked, Credential(), connect)
        try:
            body = await reply.read(LARGEST_ERROR)
        finally:
            reply.close()
        if reply.status >= HTTPStatus.BAD_REQUEST:
            kind: Kind = "unreachable" if reply.status >= HTTPStatus.INTERNAL_SERVER_ERROR else "auth"
            raise Fault(kind, f"account {account.name} was given no token: HTTP {reply.status}", status=reply.status)
        return body

    async def _send(self, account: Account, request: Outgoing, credential: Credential, connect: float) -> "_HttpReply":
        if self._session is None:
            raise RuntimeError("upstream is not open")
        url = request.url
        if credential.query:
            url += ("&" if "?" in url else "?") + credential.query
        try:
            reply = await self._session.request(
                request.method,
                self._url(url),
                data=request.body or None,
                headers={**USUAL, **request.headers, **account.headers, **credential.headers},
                allow_redirects=False,
                proxy=account.proxy,
                timeout=self._timeout(connect),
            )
        except (aiohttp.ClientError, OSError, TimeoutError) as exc:
            log.info("account %s cannot be reached: %s", account.name, exc.__class__.__name__)
            raise Fault("unreachable", f"account {account.name} cannot be reached: {_reason(exc)}") from exc
        if reply.headers.get("content-encoding", "identity") != "identity":
            reply.close()
            raise Fault("broken", f"account {account.name} answered in an encoding that was not asked for")
        return _HttpReply(reply)

    def _url(self, url: str) -> URL:
        """The parsed form; a gateway asks the same few addresses again and again."""
        if (known := self._urls.get(url)) is None:
            if len(self._urls) > 1000:
                self._urls.clear()
            known = self._urls[url] = URL(url, encoded=True)
        return known

    def _timeout(self, connect: float) -> aiohttp.ClientTimeout:
        if (known := self._timeouts.get(connect)) is None:
            known = self._timeouts[connect] = aiohttp.ClientTimeout(total=None, sock_connect=connect)
        return known


class _HttpReply:
    __slots__ = ("_reply", "number", "status")

    def __init__(self, reply: aiohttp.ClientResponse) -> None:
        self._reply = reply
        self.status = reply.status
        self.number = 0
        """Of the account's credential that it was asked with."""

    @property
    def headers(self) -> Mapping[str, str]:
        return self._reply.headers

    async def piece(self) -> bytes:
        try:
            return await self._reply.content.readany()
        except (aiohttp.ClientError, OSError) as exc:
            raise Fault("broken", "the provider's connection broke off") from exc

    async def read(self, most: int = LARGEST_REPLY) -> bytes:
        length = self._reply.content_length
        try:
            if length is not None:
                if length > most:
                    raise Fault("broken", f"the provider's answer is longer than {most} bytes")
                return await self._reply.read()
            held = bytearray()
            async for piece in self._reply.content.iter_any():
                held += piece
                if len(held) > most:
                    raise Fault("broken", f"the provider's answer is longer than {most} bytes")
            return bytes(held)
        except (aiohttp.ClientError, OSError) as exc:
            raise Fault("broken", "the provider's connection broke off") from exc

    def close(self) -> None:
        self._reply.close()  # at its end the connection has gone back to the pool already, and this does nothing


def _reason(exc: BaseException) -> str:
    """Why, without the address: messages of faults reach clients."""
    match exc:
        case aiohttp.ConnectionTimeoutError() | TimeoutError():
            return "it did not take the connection in time"
        case aiohttp.ClientConnectorDNSError():
            return "its name is not known"
        case aiohttp.ClientSSLError():
            return "its certificate is not right"
        case aiohttp.ServerDisconnectedError():
            return "it closed the connection without an answer"
        case aiohttp.ClientConnectorError() | ConnectionError():
            return "it refuses the connection or broke it off"
    return "what it sent is not HTTP"
