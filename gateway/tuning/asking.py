"""Drives what a vendor's tuning asks for: its requests sent with the account's credential, or with a signature of their own."""

import asyncio
from collections.abc import Mapping
from time import time
from typing import TYPE_CHECKING, TypeVar

from msgspec.structs import replace

from gateway.routing.asking import error_of
from gateway.snapshot import Account, named
from providers.base import SHAPELESS, Auth, Change, Credential, Exchange, Fault, Outgoing, Target
from providers.tuning import Asks, Tuning

if TYPE_CHECKING:
    from gateway.api.serving import Serving

T = TypeVar("T")
LONGEST = 300.0
"""Seconds of one request, an upload included."""
CONNECT = 10.0


async def driven(serving: "Serving", account: Account, tuning: Tuning, asks: Asks[T], changes: list[Change] | None = None) -> T:
    """What the requests come to. What became of fields is added to `changes`. Raises Fault."""
    try:
        outgoing = next(asks)
        while True:
            if changes is not None:
                changes += outgoing.changes
            outgoing = asks.send(await _sent(serving, account, tuning, outgoing))
    except StopIteration as done:
        came: T = done.value
        return came
    except SHAPELESS as exc:
        raise Fault("broken", "the provider's answer is of no known form") from exc


async def _sent(serving: "Serving", account: Account, tuning: Tuning, outgoing: Outgoing) -> bytes:
    proof = tuning.sign(account.secrets, outgoing, time())
    if proof is not None:
        account = signed(account, proof)
    try:
        async with asyncio.timeout(LONGEST):
            reply = await serving.upstream.send(account, outgoing, CONNECT)
            try:
                if reply.status >= 300:
                    headers = {name.lower(): value for name, value in reply.headers.items()}
                    raise tuning.fault(reply.status, headers, await error_of(reply))
                return await reply.read()
            finally:
                reply.close()
    except TimeoutError as exc:
        raise Fault("timeout", f"account {account.name} did not answer within {LONGEST:g} s") from exc


def signed(account: Account, proof: Mapping[str, str]) -> Account:
    """The account for one request, which proves itself."""

    def exchange(secrets: Mapping[str, str], now: float) -> Exchange:
        return Credential(proof, renew=0.0)
        yield

    return replace(account, name=f"{account.name} (signed)", auth=Auth((), exchange), spare=())


def target_of(serving: "Serving", account: Account, model: str) -> Target:
    return Target(account.base_url, named(account, serving.snapshot.catalog.facts(account.vendor, model)), account.version)
