"""Accounts: how they do, what they have used of their limits, and whether they answer. Never their secrets."""

import time
from urllib.parse import urlsplit

from fastapi import FastAPI, HTTPException
from pydantic import BaseModel

from gateway.api.admin.desk import Desk, listed
from gateway.api.admin.gate import AdminCaller
from gateway.api.admin.grants import GrantOut, told
from gateway.api.admin.probe import Probed, probe
from gateway.routing.health import Seen
from gateway.snapshot import Account


class HopOut(BaseModel):
    """One of the account's models that has failed lately, or whose pace is measured."""

    model: str
    state: str
    """`well`, `resting` until a moment, or `proving`: one request at a time tries it."""
    failed: int
    """In a row."""
    resting_until: float | None
    first_token_s: float | None
    """Of plain answers; measured where a route picks the fastest."""
    first_token_stream_s: float | None


class LimitOut(BaseModel):
    limit: int
    used: int


class Cooling(BaseModel):
    credential: int
    """0 is the account's own, others as in `credentials`."""
    until: float


class AccountOut(BaseModel):
    """One account, without its secrets. Times are unix seconds."""

    name: str
    vendor: str
    surface: str
    jurisdiction: str
    base_url: str
    endpoints: list[str]
    off: str | None
    models: list[HopOut]
    limits: dict[str, LimitOut]
    """`rpm`, `tpm`, `concurrent`: those that it has."""
    credentials: int
    cooling: list[Cooling]
    """Credentials that were refused and are left alone for a while."""
    grants: list[GrantOut]


class AccountList(BaseModel):
    data: list[AccountOut]


def add_routes(api: FastAPI, desk: Desk) -> None:
    @api.get("/admin/v1/accounts")
    async def list_all(caller: AdminCaller) -> AccountList:
        accounts = desk.snapshot.accounts
        try:
            grants = [told(one) for one in await desk.app.serving.books.grants.standings()]
        except ConnectionError:
            grants = []  # their own page says why; accounts are looked at when something is wrong
        return AccountList(data=[seen(desk, account, grants) for account in accounts.values()])

    @api.post("/admin/v1/accounts/{name}/test")
    async def test(name: str, caller: AdminCaller) -> Probed:
        account = desk.snapshot.accounts.get(name)
        if account is None:
            raise HTTPException(404, f"There is no account {name!r}; there are: {listed(desk.snapshot.accounts)}.")
        return await probe(account, desk.app.serving)


def seen(desk: Desk, account: Account, grants: list[GrantOut]) -> AccountOut:
    cooling = desk.app.http.cooling(account)
    return AccountOut(
        name=account.name,
        vendor=account.vendor,
        surface=account.adapter.surface,
        jurisdiction=account.jurisdiction,
        base_url=bare(account.base_url),
        endpoints=[*account.adapter.endpoints],
        off=account.off or None,
        models=hops(desk, account),
        limits=limits(desk, account),
        credentials=1 + len(account.spare),
        cooling=[Cooling(credential=number, until=until) for number, until in cooling.items()],
        grants=[grant for grant in grants if grant.account == account.name],
    )


def bare(url: str) -> str:
    """Without what may stand before an `@`."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def hops(desk: Desk, account: Account) -> list[HopOut]:
    health = desk.app.serving.health
    ill, paces = health.seen(), health.pace.known()
    prefix = f"{account.name}/"
    names = sorted({name for name in (*ill, *(hop for hop, _ in paces)) if name.startswith(prefix)})
    return [hop(name.removeprefix(prefix), ill.get(name), paces.get((name, False)), paces.get((name, True))) for name in names]


def hop(model: str, ill: Seen | None, plain: float | None, stream: float | None) -> HopOut:
    state, until = "well", None
    if ill is not None and ill.wait:
        state, until = "resting", time.time() + ill.wait
    elif ill is not None and ill.proving:
        state = "proving"
    failed = ill.failed if ill is not None else 0
    return HopOut(model=model, state=state, failed=failed, resting_until=until, first_token_s=plain, first_token_stream_s=stream)


def limits(desk: Desk, account: Account) -> dict[str, LimitOut]:
    told = account.limits
    if told is None:
        return {}
    used = dict(zip(("rpm", "tpm", "concurrent"), desk.app.serving.health.limits.used(account), strict=True))
    return {name: LimitOut(limit=limit, used=used[name]) for name in used if (limit := getattr(told, name)) is not None}
