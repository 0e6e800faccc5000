"""Baidu's signature, bce-auth-v1, and the short-lived bearer that IAM gives for it. Facts from qianfan 0.4.12.3, read 2026-11-23."""

import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import quote, urlsplit

from providers.base import Credential, Exchange, Fault, Json, Outgoing
from providers.faults import said
from providers.openai_like import read_json

HOST = "https://iam.bj.baidubce.com"
PATH = "/v1/BCE-BEARER/token"
LIFE = 43200
"""Seconds that a token is asked for; the SDK's own figure."""
SIGNED_FOR = 1800
"""Seconds that a signature is good for."""
MARGIN = 300.0
"""Seconds before its end from which a token is not used."""


def iam_token(secrets: Mapping[str, str], now: float) -> Exchange:
    """An access key for a bearer. The signature is over the host and path that are really asked, whatever stands before IAM."""
    url = secrets.get("auth_url", HOST).rstrip("/") + PATH
    where = urlsplit(url)
    query, headers = {"expireInSeconds": str(LIFE)}, {"host": where.netloc}
    proof = sign(secrets["access_key_id"], secrets["access_key_secret"], "GET", where.path, query, headers, now)
    ask = Outgoing(f"{url}?expireInSeconds={LIFE}", headers={**headers, "authorization": proof}, method="GET")
    answer = read_json((yield ask))
    token = answer.get("token")
    if not isinstance(token, str) or not token:
        told = said(answer)
        raise Fault("auth", told.message or "IAM gave no token", code=told.code or None)
    return Credential({"authorization": f"Bearer {token}"}, renew=now + max(life_of(answer) - MARGIN, 0.0))


def life_of(answer: Json) -> float:
    """Seconds, by IAM's clock alone: ours may differ from it."""
    try:
        made, ends = (datetime.fromisoformat(answer[key]) for key in ("createTime", "expireTime"))
        return (ends - made).total_seconds()
    except (KeyError, TypeError, ValueError):
        return LIFE


def sign(
    key_id: str,
    secret: str,
    method: str,
    path: str,
    query: Mapping[str, str],
    headers: Mapping[str, str],
    now: float,
    life: int = SIGNED_FOR,
) -> str:
    """The Authorization header for a request; all of `headers`, in lower case, are signed. A body never is."""
    prefix = f"bce-auth-v1/{key_id}/{datetime.fromtimestamp(now, UTC):%Y-%m-%dT%H:%M:%SZ}/{life}"
    key = hmac.digest(secret.encode(), prefix.encode(), "sha256").hex()  # its text, not its bytes, is the next key
    asked = "&".join(sorted(f"{encoded(name)}={encoded(value)}" for name, value in query.items()))
    told = "\n".join(sorted(f"{encoded(name)}:{encoded(value.strip())}" for name, value in headers.items()))
    text = "\n".join((method, quote(path, safe="/-_.~"), asked, told))
    return f"{prefix}/{';'.join(sorted(headers))}/{hmac.digest(key.encode(), text.encode(), 'sha256').hex()}"


def encoded(text: str) -> str:
    """RFC 3986's unreserved characters stay; "/" does not."""
    return quote(text, safe="-_.~")
