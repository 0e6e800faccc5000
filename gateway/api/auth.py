"""Whose request it is: the one place that reads keys, from whichever header they come in."""

from typing import Protocol

from gateway.api.wire import Exchange, Refusal
from gateway.snapshot import Key, Snapshot, digest

CARRIERS = (b"authorization", b"api-key", b"x-api-key")
BLANKS = " \t"
"""What may stand around a header's value; Python knows more blanks, which would be a part of the key."""


class Ring(Protocol):
    """Keys beside those of the files."""

    def find(self, digest: bytes, snapshot: Snapshot) -> Key | None:
        """The key of that digest, if it holds at this moment."""


KNOWN = "banjia.key"
"""In the scope of a request that the gateway makes for a team: the digest of the key that asked for it. No client can write there."""


def authenticate(exchange: Exchange, snapshot: Snapshot, ring: Ring | None) -> Key:
    """The key that the request came with. Raises Refusal(401), or 400 for two different keys at once."""
    of = digest_of(exchange)
    found = snapshot.keys.get(of) or (ring.find(of, snapshot) if ring is not None else None)
    if found is None:
        raise unauthorized("The key is not known here.")
    exchange.team, exchange.key = found.team, found.name
    return found


def digest_of(exchange: Exchange) -> bytes:
    """What the key is looked up by, whether or not there is such a key. Raises Refusal(401), or 400 for two different keys at once."""
    known: bytes | None = exchange.scope.get(KNOWN)
    if known is not None:
        return known
    given: str | None = None
    for carrier, value in exchange.scope["headers"]:
        if carrier not in CARRIERS:
            continue
        key = value.decode("latin-1").strip(BLANKS)
        if carrier == b"authorization":
            scheme, _, key = key.partition(" ")
            key = key.strip(BLANKS)
            if scheme.lower() != "bearer":
                raise unauthorized("The Authorization header is not of the form `Bearer KEY`.")
        if given is not None and given != key:
            raise Refusal(400, "The request comes with two different keys: send one.", code="invalid_api_key")
        given = key
    if not given:
        raise unauthorized("The request comes without a key: send one as `Authorization: Bearer KEY`, or as `api-key: KEY`.")
    return digest(given)


def unauthorized(message: str) -> Refusal:
    return Refusal(401, message, code="invalid_api_key", headers=[(b"www-authenticate", b"Bearer")])
