"""Teams: what they may spend and have spent, and how much they may ask for."""

import asyncio
from collections.abc import Sequence

from fastapi import FastAPI
from pydantic import BaseModel

from gateway.accounting.admission import Bounds, Standing
from gateway.accounting.limits import TOKENS
from gateway.api.admin.desk import Desk
from gateway.api.admin.gate import AnyCaller
from gateway.snapshot import Key, Team, may_go
from gateway.store.usage import amount

AT_ONCE = 100
"""Teams that are told before others have their turn."""


class BoundOut(BaseModel):
    """A limit: how much a minute, or at once."""

    of: str
    """`team`, or a key as `key main`."""
    unit: str
    """`requests` and `tokens` a minute, or `concurrent`."""
    limit: int
    used: int


class BudgetOut(BaseModel):
    """A budget in its present period. Amounts are text, as in `12.5`; times are unix seconds."""

    of: str
    unit: str
    """A currency, or `tokens`."""
    amount: str
    spent: str | None
    """None: what has been spent cannot be known at present."""
    held: str
    """By requests under way."""
    left: str | None
    since: float | None
    until: float | None
    """None: a budget for all time."""


class TeamOut(BaseModel):
    name: str
    jurisdiction: str
    permitted: list[str]
    """Places that data of its callers may go."""
    keys: list[str]
    """By name; those of its file, which may have limits of their own."""
    limits: list[BoundOut]
    budgets: list[BudgetOut]


class TeamList(BaseModel):
    data: list[TeamOut]


def add_routes(api: FastAPI, desk: Desk) -> None:
    @api.get("/admin/v1/teams")
    async def list_all(caller: AnyCaller, team: str | None = None) -> TeamList:
        wanted = caller.team_of(team)
        teams = [one for one in desk.snapshot.teams.values() if wanted in (None, one.name)]
        keys = desk.files_keys()
        holders: dict[str, list[Bounds]] = {
            one.name: [Bounds([one.holder]), *(key.bounds for key in keys.get(one.name, ()) if key.bounds)] for one in teams
        }
        flat = [bounds for some in holders.values() for bounds in some]
        found = iter(await desk.app.serving.books.admission.standings(flat) if flat else [])
        told = []
        for one in teams:
            standings = {at.bucket.key: at for _ in holders[one.name] for at in next(found)}
            told.append(seen(one, keys.get(one.name, ()), [*standings.values()]))
            if not len(told) % AT_ONCE:
                await asyncio.sleep(0)
        return TeamList(data=told)


def seen(team: Team, keys: Sequence[Key], standings: list[Standing]) -> TeamOut:
    return TeamOut(
        name=team.name,
        jurisdiction=team.jurisdiction,
        permitted=sorted(may_go(team.allow, team.jurisdiction)),
        keys=[key.name for key in keys],
        limits=[
            BoundOut(of=whose(at), unit=at.bucket.unit, limit=at.bucket.cap, used=at.level.used + at.level.held)
            for at in standings
            if at.purse is None
        ],
        budgets=[budget(at) for at in standings if at.purse is not None],
    )


def budget(at: Standing) -> BudgetOut:
    bucket, level = at.bucket, at.level

    def told(value: int) -> str:
        return str(value) if bucket.unit == TOKENS else amount(value)

    spent = at.purse.spent if at.purse else None
    return BudgetOut(
        of=whose(at),
        unit=bucket.unit,
        amount=told(bucket.cap),
        spent=told(level.used) if level.known else None,
        held=told(level.held),
        left=told(max(0, bucket.cap - level.used - level.held)) if level.known else None,
        since=(spent.since or None) if spent else None,
        until=(spent.until or None) if spent else None,
    )


def whose(at: Standing) -> str:
    """`team red`: team. `key red/main`: key main."""
    kind, _, name = at.bucket.scope.partition(" ")
    return kind if kind == "team" else f"{kind} {name.partition('/')[2]}"
