"""SenseNova's side of the wire: three surfaces under one prefix, and who may use them. As strict as its documents of 2026-11-23.

    /v1/llm/…              native              an account's signed token, or an API key
    /compatible-mode/v1/…  compatible, and v2  the same
    /token/v1/…            token_plan          keys of its own; the vendor has a host for it, whose paths begin with /v1

Where the documents do not say whether a field is refused or passed over, it is refused: an adapter that sends it would be wrong somewhere.
Nor do they say what an API key looks like: here it is `sk-…` on every surface, and each such key is an account of its own.
"""

import hmac
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any, Protocol

from msgspec import Struct
from msgspec.structs import replace

from providers.base import decode
from providers.sensetime.compatible_simulator import Compatible
from providers.sensetime.native_simulator import Native
from providers.sensetime.simulator_checks import Refusal, no_path
from providers.sensetime.token_plan_simulator import TokenPlan
from providers.simulation import Reply, Request, World, trouble

KEY = re.compile(r"sk-[A-Za-z0-9_-]+")
TROUBLES: Mapping[str, tuple[int, int, str]] = {
    "invalid": (401, 16, "unauthenticated: the key is invalid"),
    "expired": (401, 16, "unauthenticated: the key has expired"),
    "arrears": (403, 7, "permission denied: the account is in arrears"),
    "quota": (429, 8, "resource exhausted: the quota is used up"),
    "limited": (429, 8, "resource exhausted: rate limit exceeded"),
}


class Surface(Protocol):
    """One of the vendor's interfaces."""

    async def answer(self, account: str, request: Request, path: str, reply_id: str) -> Reply:
        """Raises Refusal. `path` is what follows the surface's base."""
        ...

    def refuse(self, refusal: Refusal) -> Reply: ...


class Row(Struct, frozen=True):
    base: str
    authenticate: Callable[[Request, World], str]
    """The account's id. Raises Refusal."""
    surface: Surface


class SenseTime:
    def __init__(self, world: World) -> None:
        self.world = world
        self._native = Native(world)
        self._plan = TokenPlan(world)
        self._rows = (
            Row("/v1/llm", by_token_or_key, self._native),
            Row("/compatible-mode/v1", by_token_or_key, Compatible(world, reasoning="reasoning_content")),
            Row("/compatible-mode/v2", by_token_or_key, Compatible(world, reasoning="reasoning")),
            Row("/token/v1", by_key, self._plan),
        )
        self._number = 0

    async def handle(self, request: Request) -> Reply:
        if (file := self._plan.shelf.get(request)) is not None:
            return file
        self._number += 1
        reply_id = sha256(f"{self._number}{request.path}".encode()).hexdigest()[:16]
        reply = await self._answer(request, reply_id)
        return replace(reply, headers={**reply.headers, "x-request-id": reply_id})

    async def _answer(self, request: Request, reply_id: str) -> Reply:
        for row in self._rows:
            if request.path.startswith(f"{row.base}/"):
                try:
                    account = row.authenticate(request, self.world)
                    return await row.surface.answer(account, request, request.path.removeprefix(row.base), reply_id)
                except Refusal as refusal:
                    return row.surface.refuse(refusal)
        return self._native.refuse(no_path())


def by_key(request: Request, world: World) -> str:
    key = bearer(request)
    check_trouble(key)
    if not KEY.fullmatch(key):
        raise Refusal(401, 16, "unauthenticated: the key is invalid")
    return key


def by_token_or_key(request: Request, world: World) -> str:
    """A JSON Web Token signed with the account's secret: `iss` is the account, and it holds from `nbf` to before `exp`, in seconds."""
    token = bearer(request)
    if token.count(".") != 2:
        return by_key(request, world)
    signed, _, signature = token.rpartition(".")
    try:
        head, claims = (decode(urlsafe_b64decode(part + "==")) for part in signed.split("."))
    except (ValueError, RecursionError) as exc:
        raise Refusal(401, 16, "unauthenticated: the token cannot be read") from exc
    account = claims.get("iss")
    if not isinstance(account, str):
        raise Refusal(401, 16, "unauthenticated: the token has no iss")
    check_trouble(account)
    secret = world.accounts.get(account)
    if secret is None or head.get("alg") != "HS256":
        raise Refusal(401, 16, "unauthenticated: the token is invalid")
    wanted = urlsafe_b64encode(hmac.digest(secret.encode(), signed.encode(), "sha256")).rstrip(b"=")
    if not hmac.compare_digest(wanted, signature.encode()):
        raise Refusal(401, 16, "unauthenticated: the token's signature is wrong")
    begins, ends = seconds(claims.get("nbf")), seconds(claims.get("exp"))
    if ends <= world.now():
        raise Refusal(401, 16, "unauthenticated: the token has expired")
    if begins > world.now():
        raise Refusal(401, 16, "unauthenticated: the token is not yet valid")
    return account


def seconds(claim: Any) -> float:
    if type(claim) not in (int, float):
        raise Refusal(401, 16, "unauthenticated: the token has no exp or no nbf")
    return float(claim)


def bearer(request: Request) -> str:
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme != "Bearer" or not key:
        raise Refusal(401, 16, "unauthenticated: there is no Authorization header with a bearer")
    return key


def check_trouble(account: str) -> None:
    if refusal := TROUBLES.get(trouble(account) or ""):
        raise Refusal(*refusal)


SIMULATOR = SenseTime
