"""What was changed and by whom, whether that is as it was written, and the reload of the config's files."""

import asyncio
from typing import Annotated

from fastapi import FastAPI, HTTPException, Query
from msgspec import to_builtins
from pydantic import BaseModel

from gateway import server
from gateway.api.admin.desk import Desk
from gateway.api.admin.gate import AdminCaller
from gateway.store import audit
from providers.base import Json, decode

MOST = 1000


class EntryOut(BaseModel):
    """An entry of the audit log. `time`: unix seconds."""

    number: int
    time: float
    actor: str
    action: str
    target: str
    detail: Json | str
    """Text, if it is no longer JSON."""
    hash: str


class EntryList(BaseModel):
    data: list[EntryOut]
    has_more: bool


class VerifiedOut(BaseModel):
    ok: bool
    entries: int
    """That are as they were written."""
    head: str
    """The hash of the last of them."""
    broken: int | None
    """The number of the first that is not."""
    why: str | None


class Reloaded(BaseModel):
    config: str
    """The revision that is running now."""
    problems: list[str]


def add_routes(api: FastAPI, desk: Desk) -> None:
    @api.get("/admin/v1/audit")
    async def entries(
        caller: AdminCaller, after: Annotated[int, Query(ge=0, le=2**62)] = 0, limit: Annotated[int, Query(ge=1, le=MOST)] = 100
    ) -> EntryList:
        found = await audit.entries(desk.store, after, limit + 1)
        return EntryList(data=[told(entry) for entry in found[:limit]], has_more=len(found) > limit)

    @api.get("/admin/v1/audit/verify")
    async def verify(caller: AdminCaller, head: str = "") -> VerifiedOut:
        found = await audit.verify(desk.store, head)
        return VerifiedOut(ok=not found.broken, entries=found.entries, head=found.head, broken=found.broken or None, why=found.why or None)

    @api.post("/admin/v1/reload")
    async def reload(caller: AdminCaller) -> Reloaded:
        if desk.directory is None:
            raise HTTPException(409, "This gateway was not started from a folder of files, so there is nothing to reload.")
        await audit.append(desk.store, caller.name, "config.reload", str(desk.directory), {"running": desk.snapshot.revision})
        problems = await asyncio.to_thread(server.reload, desk.app, desk.directory)
        return Reloaded(config=desk.snapshot.revision, problems=problems)


def told(entry: audit.Entry) -> EntryOut:
    detail: Json | str
    try:
        detail = decode(entry.detail.encode())
    except ValueError:
        detail = entry.detail
    return EntryOut(**{**to_builtins(entry), "detail": detail})
