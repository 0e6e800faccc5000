"""Grants as they stand, and beside the vendor's bill."""

from typing import Annotated

from fastapi import FastAPI, HTTPException
from pydantic import BaseModel, Field

from gateway.accounting.grants import Standing
from gateway.api.admin.desk import Body, Desk, listed
from gateway.api.admin.gate import AdminCaller
from gateway.store import audit, counters
from gateway.store.rollup import granted, granted_by

MOST = 10**15


class GrantOut(BaseModel):
    """A grant. Amounts are tokens, times unix seconds."""

    name: str
    account: str
    models: list[str]
    kinds: str
    tokens: int
    cap: int
    """Without the reserve."""
    expires: float
    used: int | None
    """None: what has been used cannot be known at present."""
    held: int
    doubt: int
    """Held by processes that died: it counts as used until the bill says otherwise."""
    left: int | None
    a_day: float
    """At the pace of the last day."""
    exhausted: float | None
    """When nothing is left, if that is before it expires."""
    unused: int
    """What will be left when it expires."""


class GrantList(BaseModel):
    data: list[GrantOut]


class Bill(Body):
    billed: Annotated[int, Field(ge=0, le=MOST)]
    """Tokens that the vendor has counted since the grant was given."""
    adopt: bool = False
    """The vendor's count holds from now on."""


class Reconciled(BaseModel):
    grant: str
    billed: int
    used: int
    """As counted here."""
    doubt: int
    drift: int
    """Above 0: the vendor has counted more."""
    adopted: bool


def add_routes(api: FastAPI, desk: Desk) -> None:
    @api.get("/admin/v1/grants")
    async def list_all(caller: AdminCaller) -> GrantList:
        return GrantList(data=[told(one) for one in await desk.app.serving.books.grants.standings()])

    @api.post("/admin/v1/grants/{name}/reconcile")
    async def reconcile(name: str, body: Bill, caller: AdminCaller) -> Reconciled:
        grants = desk.app.serving.books.grants
        found = await grants.reconcile({name: body.billed})
        if not found:
            known = listed(grant.name for grant in desk.snapshot.grants)
            raise HTTPException(404, f"There is no grant {name!r}; there are: {known}.")
        (drift,) = found
        if body.adopt:
            detail = {"billed": drift.billed, "used": drift.used, "doubt": drift.doubt}
            # What is counted may be forgotten; the records are not, and what they come to is made to agree.
            more = body.billed - await granted(desk.store, name)
            async with desk.store.writing() as connection:
                await counters.count(connection, {(granted_by(name), "total"): more})
                await audit.note(connection, desk.store.now(), caller.name, "grants.adopt", name, detail)
            await grants.reconcile({name: body.billed}, adopt=True)
        return Reconciled(grant=name, billed=drift.billed, used=drift.used, doubt=drift.doubt, drift=drift.tokens, adopted=body.adopt)


def told(of: Standing) -> GrantOut:
    grant, forecast = of.grant, of.forecast
    return GrantOut(
        name=grant.name,
        account=grant.account,
        models=[*grant.models],
        kinds=grant.kinds,
        tokens=grant.tokens,
        cap=grant.cap,
        expires=grant.expires,
        used=of.used if of.known else None,
        held=of.held,
        doubt=of.doubt,
        left=of.left if of.known else None,
        a_day=round(forecast.a_day, 1),
        exhausted=forecast.exhausted,
        unused=forecast.unused,
    )
