"""Files that providers' answers lead to, such as an image that a vendor gives the address of.

The address is a provider's word, so it may not lead into our own network: it is https at a public address, or the account's own host. The
account's credential is never sent along, and a redirect is a failure.
"""

from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from ipaddress import ip_address
from typing import Protocol, runtime_checkable
from urllib.parse import urlsplit

from gateway.snapshot import Account
from gateway.upstream import Reply, Upstream
from providers.base import Fault

LARGEST = 32 << 20
"""Bytes of a file."""


@runtime_checkable
class Fetches(Protocol):
    async def fetch(self, account: Account, url: str, connect: float, check: Callable[[str], None]) -> Reply: ...


async def download(upstream: Upstream, account: Account, url: object, *, connect: float, most: int = LARGEST) -> bytes:
    """The file at an address that an answer of the account's has named. Raises Fault."""
    if not isinstance(url, str) or not isinstance(upstream, Fetches):
        raise Fault("broken", "the provider's answer leads to no file")
    where, check = allowed(url, account)
    reply = await upstream.fetch(account, where, connect, check)
    try:
        if reply.status != HTTPStatus.OK:
            raise Fault("broken", f"the file that the provider's answer leads to cannot be had: HTTP {reply.status}")
        return await reply.read(most)
    finally:
        reply.close()


def allowed(url: str, account: Account) -> tuple[str, Callable[[str], None]]:
    """(the address to ask, what its host's address is checked by). Raises Fault for one that may not be asked."""
    try:
        told, own = urlsplit(url), urlsplit(account.base_url)
        at_home = (told.scheme, told.hostname, told.port) == (own.scheme, own.hostname, own.port)
    except ValueError as exc:
        raise forbidden() from exc
    if at_home and told.hostname and told.username is None:
        return url, anywhere
    if told.scheme not in ("http", "https") or not told.hostname or told.username is not None or told.port not in (None, 80, 443):
        raise forbidden()
    if told.scheme == "http":  # stores that give such addresses have TLS as well
        url = told._replace(scheme="https", netloc=f"[{told.hostname}]" if ":" in told.hostname else told.hostname).geturl()
    with suppress(ValueError):  # a name: what it stands for is looked at when it is connected to
        public(told.hostname)
    return url, public


def public(address: str) -> None:
    """Raises Fault for an address that is not of the public internet, ValueError for what is none."""
    told = ip_address(address.partition("%")[0])
    told = getattr(told, "ipv4_mapped", None) or told
    if not told.is_global or told.is_multicast:
        raise forbidden()


def anywhere(address: str) -> None:
    """The account's own host is where its operator says it is."""


def forbidden() -> Fault:
    return Fault("broken", "the provider's answer leads to a file at a place that is not asked: neither public over https nor its own host")
