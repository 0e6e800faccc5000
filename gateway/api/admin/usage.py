"""What was used: added up, or request by request. Long answers go out as they are read."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime
from math import isfinite
from typing import Annotated, Any, Literal

from fastapi import FastAPI, HTTPException, Query, Response
from fastapi.responses import StreamingResponse
from msgspec import Raw
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from gateway.api.admin.desk import Desk, Wrong
from gateway.api.admin.gate import AnyCaller, Caller
from gateway.api.admin.retiring import retiring
from gateway.store import usage
from gateway.store.rows import COLUMNS
from gateway.store.sums import END_OF_TIME
from gateway.store.usage import AT_ONCE, FILTERS, GROUPS, Asked, amount, csv_line, csv_of
from providers.base import encode

PIECE = 64 << 10
"""Bytes that go out together."""
MOST_ROWS = 100_000
OBJECTS = {"decision": b"null", "granted": b"{}", "tags": b"{}"}
"""Columns that hold JSON, and what stands for none."""


def moment(value: Any) -> float:
    """Unix seconds of `1795415567`, of `2026-11-01`, where that day begins in UTC, and of `2026-11-01T08:00:00+08:00`."""
    text = str(value)
    try:
        found = float(text)
    except ValueError:
        try:
            when = datetime.fromisoformat(text)
        except ValueError:
            when = None
        if when is None or (when.tzinfo is None and len(text) > len("2026-11-01")):
            raise ValueError("expected a day as 2026-11-01, a time with its zone as 2026-11-01T08:00:00Z, or unix seconds") from None
        found = (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
    if not isfinite(found) or not 0 <= found <= END_OF_TIME:
        raise ValueError("is before 1970 or after 9999")
    return found


Moment = Annotated[float, BeforeValidator(moment)]


class Wanted(BaseModel):
    """Which usage: what a query says. What it does not know, it refuses, lest a slip of the pen show everybody's."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    from_: Annotated[Moment, Field(alias="from")] = 0.0
    to: Moment = END_OF_TIME
    """Not part of it."""
    team: str | None = None
    key: str | None = None
    user: str | None = None
    account: str | None = None
    model: str | None = None
    served_model: str | None = None

    def asked(self, caller: Caller, group_by: tuple[str, ...] = (), limit: int = MOST_ROWS) -> Asked:
        """Raises HTTPException."""
        if self.from_ > self.to:
            raise Wrong("from", "is after `to`")
        filters = {name: getattr(self, name) for name in FILTERS} | {"team": caller.team_of(self.team)}
        return Asked(since=self.from_, until=self.to, group_by=group_by, limit=limit, **filters)


class Grouped(Wanted):
    group_by: list[str] = []
    """Several, or one with commas."""
    format: Literal["json", "csv"] = "json"
    limit: Annotated[int, Field(ge=1, le=MOST_ROWS)] = 10_000
    retiring: bool = False
    """Of names that OpenAI ends: who calls them, when last, and what serves them."""

    def groups(self) -> tuple[str, ...]:
        """Raises HTTPException."""
        names = [name.strip() for one in self.group_by for name in one.split(",") if name.strip()]
        if unknown := [name for name in names if name not in GROUPS]:
            raise Wrong("group_by", f"usage is not grouped by {', '.join(unknown)}, but by {', '.join(GROUPS)}")
        return (*dict.fromkeys(names),)


class Listed(Wanted):
    format: Literal["ndjson", "csv"] = "ndjson"


def add_routes(api: FastAPI, desk: Desk) -> None:
    @api.get("/admin/v1/usage")
    async def sums(wanted: Annotated[Grouped, Query()], caller: AnyCaller) -> Response:
        if wanted.retiring:
            if wanted.group_by or wanted.format != "json":
                raise Wrong("retiring", "goes neither with `group_by` nor with `format=csv`: it is by team, key and name")
            rows, more = await retiring(desk, wanted.asked(caller, (), wanted.limit))
            return Response(encode({"data": rows, "has_more": more}), media_type="application/json")
        asked = wanted.asked(caller, wanted.groups(), wanted.limit if wanted.format == "json" else MOST_ROWS)
        report = await usage.report(desk.store, asked)
        if wanted.format == "json":
            return Response(encode({"data": report.rows, "has_more": report.more}), media_type="application/json")
        if report.more:
            raise Wrong("group_by", f"these are more than {MOST_ROWS} rows; ask for less at a time")
        return await streamed(every(csv_of(report, asked.group_by)), "csv", "usage")

    @api.get("/admin/v1/usage/requests")
    async def requests(wanted: Annotated[Listed, Query()], caller: AnyCaller) -> Response:
        asked = wanted.asked(caller)
        lines = as_csv(usage.requests(desk.store, asked)) if wanted.format == "csv" else as_ndjson(usage.requests(desk.store, asked))
        return await streamed(lines, wanted.format, "requests")

    @api.get("/admin/v1/usage/requests/{request_id}")
    async def request(request_id: str, caller: AnyCaller) -> Response:
        found = await usage.request(desk.store, request_id, caller.team)
        if not found:
            raise HTTPException(404, f"Nothing is written down of a request {request_id!r}.")
        return Response(encode({"data": [plain(row) for row in found]}), media_type="application/json")


async def streamed(lines: AsyncIterator[str], kind: str, name: str) -> StreamingResponse:
    """Begun once there is something to send: until then, a lost database can be told with a status. Later it cuts the answer off."""
    pieces = together(lines)
    first = await anext(pieces, b"")

    async def all_of() -> AsyncIterator[bytes]:
        yield first
        async for piece in pieces:
            yield piece

    types = {"csv": "text/csv; charset=utf-8", "ndjson": "application/x-ndjson"}
    return StreamingResponse(all_of(), media_type=types[kind], headers={"content-disposition": f'attachment; filename="{name}.{kind}"'})


async def together(lines: AsyncIterator[str]) -> AsyncIterator[bytes]:
    held: list[str] = []
    size = 0
    async for line in lines:
        held.append(line)
        size += len(line)
        if size >= PIECE:
            yield "".join(held).encode()
            held, size = [], 0
    yield "".join(held).encode()


async def every(lines: Iterable[str]) -> AsyncIterator[str]:
    for count, line in enumerate(lines, 1):
        yield line
        if not count % AT_ONCE:
            await asyncio.sleep(0)


async def as_csv(rows: AsyncIterator[dict[str, Any]]) -> AsyncIterator[str]:
    yield csv_line(COLUMNS)
    async for row in rows:
        row["cost"] = amount(row["cost"])
        yield csv_line(row[name] for name in COLUMNS)


async def as_ndjson(rows: AsyncIterator[dict[str, Any]]) -> AsyncIterator[str]:
    async for row in rows:
        yield encode(plain(row)).decode() + "\n"


def plain(row: dict[str, Any]) -> dict[str, Any]:
    """A row with its cost as text and its JSON as JSON."""
    objects = {name: Raw(row[name].encode() or none) for name, none in OBJECTS.items()}
    return {**row, "cost": amount(row["cost"]), "estimated": bool(row["estimated"]), **objects}
