"""The only file that opens sockets to providers. It adds credentials, drives their exchange, and turns what can go wrong into Faults."""

import asyncio
import logging
import socket
import time
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from http import HTTPStatus
from typing import Any, NamedTuple, Protocol

import aiohttp
from aiohttp.client_reqrep import ConnectionKey
from aiohttp.http import HttpProcessingError
from msgspec.structs import replace
from yarl import URL

from gateway.pool import KEEP, Pool
from gateway.receiving import LARGEST_REPLY, Received, Receiver
from gateway.snapshot import Account
from providers.base import JSON_BODY, Credential, Fault, Kind, Outgoing

log = logging.getLogger(__name__)

MOST_UNREAD = 48 << 10
"""Bytes that the kernel keeps of what a provider sends, and hands over at once; it takes twice as many for itself."""
LARGEST_ERROR = 1 << 20
LARGE = 64 << 10
"""Bytes of a body that is not copied to stand behind its head."""

COOL_OFF: Mapping[Kind, float] = {"auth": 300.0, "quota": 300.0, "rate_limited": 5.0}
"""Seconds that one of several credentials is left alone after a refusal, unless the provider says how long."""

USUAL = {"accept": "*/*", "accept-encoding": "identity", "user-agent": "banjia"}
"""Compressed replies could be bombs, and cost time on every piece of a stream."""
CONTROL = bytes({*range(32), 127} - {ord("\t")})
"""Signs that no header has, but for the ends of its lines."""


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


class Asked(NamedTuple):
    """Where requests go."""

    request: aiohttp.ClientRequest
    place: ConnectionKey | None
    """In the pool; None: connections through proxies are aiohttp's."""


class Http:
    """Upstream over HTTP/1.1 with kept-alive connections.

    aiohttp opens and keeps the connections (names, TLS, proxies) and reads the replies. The requests are written here: a session that could
    follow redirects, keep cookies and stream uploads costs as much for each request as all else that a gateway does.
    """

    def __init__(self, *, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._connector: aiohttp.TCPConnector | None = None
        self._credentials: dict[tuple[str, int], tuple[Account, Credential]] = {}
        """By account and number of the credential."""
        self._exchanges: dict[tuple[str, int], asyncio.Lock] = {}
        self._turns: dict[str, int] = {}
        self._cooling: dict[tuple[str, int], float] = {}
        """Until when a credential is left alone."""
        self._pool: Pool | None = None
        self._asked: dict[tuple[str, str, str | None], Asked] = {}
        self._heads: dict[tuple[str, str], tuple[Account, Credential, bytes]] = {}
        """Of an account's requests to an address: what they begin with, for as long as the account and its credential are these."""
        self._timeouts: dict[float, aiohttp.ClientTimeout] = {}

    async def open(self) -> None:
        self._connector = aiohttp.TCPConnector(limit=0, ttl_dns_cache=60, keepalive_timeout=KEEP, socket_factory=_socket)
        self._connector._factory = partial(Receiver, loop=asyncio.get_running_loop())  # type: ignore[assignment]
        self._pool = Pool(asyncio.get_running_loop())

    async def close(self) -> None:
        if self._pool is not None:
            self._pool.close()
        if self._connector is not None:
            await self._connector.close()

    def send(self, account: Account, request: Outgoing, connect: float) -> Coroutine[Any, Any, Reply]:
        number = self._turn(account) if account.spare else 0
        if (credential := self._held(account, number)) is None:
            return self._send_proved(account, request, number, connect)
        return self._send(account, request, credential, connect, number)

    async def _send_proved(self, account: Account, request: Outgoing, number: int, connect: float) -> Reply:
        return await self._send(account, request, await self._prove(account, number, connect), connect, number)

    async def fetch(self, account: Account, url: str, connect: float, check: Callable[[str], None]) -> Reply:
        """A file that an answer of the account's leads to, asked for without its credential and its headers. No redirect is followed.

        `check` is given the address that was connected to, before anything is sent there; not where the account has a proxy, which is
        then what decides on it. Raises as `send` does, and what `check` raises."""
        bare = replace(account, headers={})
        return await self._send(bare, Outgoing(url, headers={}, method="GET"), Credential(), connect, check=check)

    def forget(self, account: Account) -> None:
        for number in range(1 + len(account.spare)):
            self._credentials.pop((account.name, number), None)

    def refused(self, account: Account, reply: Reply, fault: Fault) -> bool:
        if not account.spare or fault.kind not in COOL_OFF or not isinstance(reply, Received):
            return False
        wait = fault.retry_after if fault.retry_after is not None else COOL_OFF[fault.kind]
        self._cooling[account.name, reply.number] = self._now() + wait
        return any(not self._cools(account, number) for number in range(1 + len(account.spare)))

    def cooling(self, account: Account) -> dict[int, float]:
        """Credentials of the account that are left alone, by number from 0, and until when in unix seconds."""
        numbers = range(1 + len(account.spare))
        return {number: self._cooling[account.name, number] for number in numbers if self._cools(account, number)}

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

    async def _send(
        self,
        account: Account,
        request: Outgoing,
        credential: Credential,
        connect: float,
        number: int = 0,
        *,
        check: Callable[[str], None] | None = None,
    ) -> Received:
        connector, pool = self._connector, self._pool
        if connector is None or pool is None:
            raise RuntimeError("upstream is not open")
        url = request.url
        if credential.query:
            url += ("&" if "?" in url else "?") + credential.query
        asked, place = self._asked_of(request.method, url, account.proxy)
        try:
            connection = None if place is None else pool.take(place)
            if connection is None:
                connection = await connector.connect(asked, [], self._timeout(connect))
            try:
                receiver, transport = connection.protocol, connection.transport
                if not isinstance(receiver, Receiver) or transport is None:
                    raise aiohttp.ServerDisconnectedError
                if check is not None and account.proxy is None:
                    check(transport.get_extra_info("peername")[0])
                body = request.body
                start = self._start(asked, account, request, credential)
                reply = receiver.expect(connection, pool, place)
                reply.number = number
                head = start + rest_of(asked, len(body))
                if len(body) < LARGE:
                    transport.write(head + body)  # one write is one packet, as a rule
                else:
                    transport.writelines((head, body))
                await reply.head()
            except BaseException:
                connection.close()
                raise
        except (aiohttp.ClientError, HttpProcessingError, OSError, TimeoutError) as exc:
            log.info("account %s cannot be reached: %s", account.name, exc.__class__.__name__)
            raise Fault("unreachable", f"account {account.name} cannot be reached: {_reason(exc)}") from exc
        # what an error says cannot be read then, but its status can
        if b"content-encoding" in reply.raw and reply.encoded and reply.status < HTTPStatus.BAD_REQUEST:
            reply.close()
            raise Fault("broken", f"account {account.name} answered in an encoding that was not asked for")
        return reply

    def _start(self, asked: aiohttp.ClientRequest, account: Account, request: Outgoing, credential: Credential) -> bytes:
        usual = request.headers is JSON_BODY and account.proxy is None  # a proxy adds a header of its own once there is a connection
        known = self._heads.get((account.name, request.url)) if usual else None
        if known is not None and known[0] is account and known[1] is credential:
            return known[2]
        start = start_of(asked, {**request.headers, **account.headers, **credential.headers})
        if usual:
            if len(self._heads) > 1000:
                self._heads.clear()
            self._heads[account.name, request.url] = (account, credential, start)
        return start

    def _asked_of(self, method: str, url: str, proxy: str | None) -> Asked:
        """Where a request goes; a gateway asks the same few addresses again and again."""
        if (known := self._asked.get((method, url, proxy))) is None:
            if len(self._asked) > 1000:
                self._asked.clear()
            asked = aiohttp.ClientRequest(
                method, URL(url, encoded=True), headers=USUAL, proxy=URL(proxy) if proxy else None, loop=asyncio.get_running_loop()
            )
            known = self._asked[method, url, proxy] = Asked(asked, None if proxy else asked.connection_key)
        return known

    def _timeout(self, connect: float) -> aiohttp.ClientTimeout:
        if (known := self._timeouts.get(connect)) is None:
            known = self._timeouts[connect] = aiohttp.ClientTimeout(total=None, sock_connect=connect)
        return known


def start_of(asked: aiohttp.ClientRequest, headers: Mapping[str, str]) -> bytes:
    """The head of a request, as far as it does not depend on the body. Raises ValueError for a header that would be more than one line."""
    every = asked.headers.copy()
    every.update(headers)
    every.pop("content-length", None)  # aiohttp's word for a body that it knows nothing of
    target = str(asked.url) if asked.proxy and not asked.is_ssl() else asked.url.raw_path_qs
    lines = [f"{asked.method} {target} HTTP/1.1", *[f"{name}: {value}" for name, value in every.items()], ""]
    head = "\r\n".join(lines).encode()
    if len(head) - len(head.translate(None, CONTROL)) != len("\r\n") * (len(lines) - 1):
        raise ValueError("a header of the request has a control character")
    return head


def rest_of(asked: aiohttp.ClientRequest, length: int) -> bytes:
    """The end of the head of a request with `length` bytes of body."""
    return b"content-length: %d\r\n\r\n" % length if length or asked.method == "POST" else b"\r\n"


def _socket(address: tuple[Any, ...]) -> socket.socket:
    family, kind, number, *_ = address
    made = socket.socket(family, kind, number)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, MOST_UNREAD)
    return made


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
