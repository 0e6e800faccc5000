"""Who asks, and what they may: the one place that reads the admin API's keys, before a route is looked for or a byte of a body is read."""

import asyncio
import hmac
import logging
from collections.abc import Callable
from hashlib import sha256
from random import getrandbits
from typing import Annotated, Any

from fastapi import Depends, HTTPException, Request
from msgspec import Struct

from gateway.api.auth import BLANKS, CARRIERS
from gateway.api.wire import JSON_TYPE, SANE_ID, Receive, Refusal, Scope
from gateway.sending import Headers, Send
from gateway.store import tokens
from gateway.store.engine import Store, StoreError
from providers.base import encode

log = logging.getLogger(__name__)

CALLER = "banjia.caller"
"""Where it stands in the scope."""
LARGEST_BODY = 64 << 10
BODY_WITHIN = 10.0
"""Seconds for all of a body: there are no large ones."""
ALWAYS: Headers = [(b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff")]


class Caller(Struct, frozen=True):
    """Somebody who has been let in."""

    name: str
    """For the audit log."""
    team: str | None = None
    """The only one that they see and change; None: all."""

    def team_of(self, asked: str | None) -> str | None:
        """The team to look at, if they name one or have one. Raises HTTPException(403) for another's, whether there is such a team or
        not."""
        if self.team is not None and asked is not None and asked != self.team:
            raise HTTPException(403, f"This token is good for team {self.team!r} alone.")
        return asked if self.team is None else self.team


async def caller(request: Request) -> Caller:
    """Whoever the gate has let in; what has not come through it is not served."""
    found: Caller = request.scope[CALLER]
    return found


AnyCaller = Annotated[Caller, Depends(caller)]


async def admin(of: AnyCaller) -> Caller:
    if of.team is not None:
        raise HTTPException(403, "This is for the admin key: a team's token sees and changes its own team alone.")
    return of


AdminCaller = Annotated[Caller, Depends(admin)]


class Gate:
    """Lets requests with a key through to `api`. `is_team_key`: whether a key serves on the data plane."""

    def __init__(self, api: Any, key: str, store: Store, is_team_key: Callable[[str], bool]) -> None:
        self._api = api
        self._digest = sha256(key.encode()).digest()
        self._store = store
        self._is_team_key = is_team_key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers: dict[bytes, bytes] = dict(scope["headers"])
        given = headers.get(b"x-request-id", b"")
        more = [*ALWAYS, (b"x-request-id", given if SANE_ID.fullmatch(given) else f"req_{getrandbits(128):032x}".encode())]

        async def answer(message: Any) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], *more]}
            await send(message)

        try:
            scope[CALLER] = await self._who(scope["headers"])
            body = await self._body(headers, receive)
        except Refusal as no:
            told = encode(no.body)
            head = [JSON_TYPE, (b"content-length", b"%d" % len(told)), (b"connection", b"close"), *no.headers]
            await answer({"type": "http.response.start", "status": no.status, "headers": head})
            await answer({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else told})
            return
        if body is None:
            return
        unread = True

        async def again() -> Any:
            nonlocal unread
            if unread:
                unread = False
                return {"type": "http.request", "body": body, "more_body": False}
            return await receive()

        await self._api(scope, again, answer)

    async def _who(self, headers: Headers) -> Caller:
        """Raises Refusal: 401, 403 for a key of the data plane, 400 for two different keys at once."""
        given: set[str] = set()
        bearer = ""
        for carrier, value in headers:
            if carrier in CARRIERS:
                said = value.decode("latin-1").strip(BLANKS)
                if carrier == b"authorization":
                    scheme, _, said = said.partition(" ")
                    said = said.strip(BLANKS)
                    bearer = said if scheme.lower() == "bearer" else ""
                given.add(said)
        if len(given) > 1:
            raise Refusal(400, "The request comes with two different keys: send one.", code="invalid_api_key")
        if not bearer:
            raise unauthorized()
        if hmac.compare_digest(sha256(bearer.encode()).digest(), self._digest):
            return Caller("admin")
        if self._is_team_key(bearer):
            message = "This is for the admin key: the key of a team opens /v1 alone."
            raise Refusal(403, message, kind="permission_error", code="permission_denied")
        try:
            token = await tokens.find(self._store, bearer)
        except StoreError as exc:
            log.warning("whose token it is cannot be known: %s", exc)
            message = "Whose token this is cannot be known at present: the database does not answer."
            raise Refusal(503, message, kind="api_error", code="storage_unavailable", headers=[(b"retry-after", b"1")]) from exc
        if token is None or token.role != tokens.TEAM:
            raise unauthorized()
        return Caller(f"token {token.team}/{token.name} ({token.id})", token.team)

    async def _body(self, headers: dict[bytes, bytes], receive: Receive) -> bytes | None:
        """None: the client has left. Raises Refusal."""
        length = headers.get(b"content-length", b"")
        body = b""
        if not (length.isdigit() and int(length) > LARGEST_BODY):
            try:
                async with asyncio.timeout(BODY_WITHIN):
                    more = True
                    while more and len(body) <= LARGEST_BODY:
                        message = await receive()
                        if message["type"] != "http.request":
                            return None
                        body += message.get("body", b"")
                        more = message.get("more_body", False)
            except TimeoutError:
                raise Refusal(408, f"The request's body took longer than {BODY_WITHIN:g} s.", code="request_timeout") from None
            if len(body) <= LARGEST_BODY:
                return body
        raise Refusal(413, f"The request's body is larger than {LARGEST_BODY} bytes.", code="request_too_large")


def unauthorized() -> Refusal:
    message = "This is for the admin key or a team's token, sent as `Authorization: Bearer KEY`."
    return Refusal(401, message, code="invalid_api_key", headers=[(b"www-authenticate", b"Bearer")])
