"""Vector spaces that teams have begun in: which they are, and an end of one, so that its index can be built anew."""

from typing import Annotated

from fastapi import FastAPI, HTTPException, Query
from pydantic import BaseModel

from gateway.api.admin.desk import Desk
from gateway.api.admin.gate import AnyCaller
from gateway.api.spaces import KIND, id_of
from gateway.objects import Object
from gateway.store import audit
from gateway.store.objects import StoredObjects

MOST = 1000


class SpaceOut(BaseModel):
    """`since`: unix seconds of the first vectors."""

    team: str
    name: str
    """As it is asked for."""
    space: str
    since: float


class SpaceList(BaseModel):
    data: list[SpaceOut]
    has_more: bool


def add_routes(api: FastAPI, desk: Desk) -> None:
    objects = StoredObjects(desk.store)

    @api.get("/admin/v1/spaces")
    async def list_all(caller: AnyCaller, team: str | None = None, limit: Annotated[int, Query(ge=1, le=MOST)] = MOST) -> SpaceList:
        page = await objects.list(KIND, caller.team_of(team), limit=limit, newest_first=False)
        return SpaceList(data=[*map(told, page.objects)], has_more=page.more)

    @api.delete("/admin/v1/spaces/{team}/{name:path}")
    async def reset(caller: AnyCaller, team: str, name: str) -> SpaceOut:
        found = await objects.get(KIND, team, id_of(team, name)) if caller.team in (None, team) else None
        if found is None:
            raise HTTPException(404, f"Team {team!r} has begun in no space under the name {name!r}.")
        await audit.append(desk.store, caller.name, "space.reset", found.id, {"space": found.body["space"]})
        await objects.delete(KIND, team, found.id)
        desk.app.serving.spaces.forget(team, name)
        return told(found)


def told(one: Object) -> SpaceOut:
    return SpaceOut(team=one.team, name=one.body["name"], space=one.body["space"], since=one.created)
