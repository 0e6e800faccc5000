"""How vendors want to be convinced. Pure: the time is an argument, and a token exchange is a generator that someone else drives."""

import hmac
from base64 import urlsafe_b64encode
from collections.abc import Mapping

from providers.base import Auth, Credential, Exchange, encode


def bearer(secrets: Mapping[str, str], now: float) -> Exchange:
    """The key itself, in `Authorization: Bearer`."""
    return Credential({"authorization": f"Bearer {secrets['api_key']}"})
    yield  # a generator with nothing to ask


def optional_bearer(secrets: Mapping[str, str], now: float) -> Exchange:
    """As `bearer`, where the server may also run without a key."""
    return Credential({"authorization": f"Bearer {key}"} if (key := secrets.get("api_key")) else {})
    yield


API_KEY = Auth(("api_key",), bearer)


def jwt_hs256(claims: Mapping[str, object], secret: str, header: Mapping[str, object] | None = None) -> str:
    """A signed JSON Web Token (RFC 7519), HMAC with SHA-256."""
    parts = (header or {"alg": "HS256", "typ": "JWT"}, claims)
    signed = b".".join(urlsafe_b64encode(encode(part)).rstrip(b"=") for part in parts)
    return (signed + b"." + urlsafe_b64encode(hmac.digest(secret.encode(), signed, "sha256")).rstrip(b"=")).decode()
