"""Keys of teams: made, listed, rotated and revoked. A key is told once, in the answer that makes it."""

import asyncio
from itertools import chain
from typing import Annotated, Literal

from fastapi import FastAPI, HTTPException, Response
from pydantic import BaseModel, Field

from gateway.api.admin.desk import Body, Desk, Wrong
from gateway.api.admin.gate import AnyCaller, Caller
from gateway.settings import Name, Place
from gateway.snapshot import Team, may_go
from gateway.store import keys
from gateway.store.keys import NameTaken, StoredKey
from gateway.units import Seconds

AT_ONCE = 200
"""Keys that are told before others have their turn."""
LONGEST_GRACE = 30 * 86400.0


class NewKey(Body):
    team: Name | None = None
    """Needed of the admin; a team's token makes keys of its team."""
    name: Name
    jurisdiction: Place | None = None
    """Of those who will use it; the team's, unless it says otherwise."""


class Rotation(Body):
    grace: Annotated[Seconds, Field(le=LONGEST_GRACE)] = 0.0
    """How long the old key goes on to hold: `24h`."""


class KeyOut(BaseModel):
    """A key, without its secret. Times are unix seconds."""

    id: str | None
    """None: it is in the team's file."""
    team: str
    name: str
    jurisdiction: str
    origin: Literal["api", "file"]
    state: Literal["active", "ending", "revoked", "no_team"]
    """`ending`: until `revoked`. `no_team`: the config has no such team at present, so that it does not serve."""
    created: float | None = None
    revoked: float | None = None
    rotated: float | None = None
    successor: str | None = None
    """The id of the key that was made in its place."""


class MadeKey(KeyOut):
    key: str
    """The key itself, which nobody is told again."""


class KeyList(BaseModel):
    data: list[KeyOut]


def add_routes(api: FastAPI, desk: Desk) -> None:
    @api.post("/admin/v1/keys", status_code=201)
    async def create(body: NewKey, caller: AnyCaller) -> MadeKey:
        name = caller.team_of(body.team)
        if name is None:
            raise Wrong("team", "is missing")
        team = desk.team(name)
        may_have(caller, team, body.jurisdiction or "")
        if any(key.name == body.name for key in desk.file_keys(name)):
            raise HTTPException(409, f"The file of team {name!r} has a key {body.name!r}: choose another name.")
        try:
            made, secret = await keys.create(desk.store, name, body.name, body.jurisdiction or "", by=caller.name)
        except NameTaken as exc:
            raise HTTPException(409, str(exc)) from exc
        await desk.keys_changed()
        return told_once(desk, made, secret)

    @api.get("/admin/v1/keys", response_model=KeyList)
    async def list_all(caller: AnyCaller, team: str | None = None) -> Response:
        wanted = caller.team_of(team)
        of_files = (
            KeyOut(id=None, team=key.team, name=key.name, jurisdiction=key.jurisdiction, origin="file", state="active")
            for key in desk.snapshot.keys.values()
            if wanted in (None, key.team)
        )
        made = (told(desk, key) for key in await keys.all_of(desk.store, wanted))
        pieces: list[str] = []
        for key in chain(of_files, made):
            pieces.append(key.model_dump_json())
            if not len(pieces) % AT_ONCE:
                await asyncio.sleep(0)  # there may be thousands
        return Response('{"data":[' + ",".join(pieces) + "]}", media_type="application/json")

    @api.get("/admin/v1/keys/{key_id}")
    async def one(key_id: str, caller: AnyCaller) -> KeyOut:
        return told(desk, known(await keys.find(desk.store, key_id, caller.team), key_id))

    @api.delete("/admin/v1/keys/{key_id}")
    async def revoke(key_id: str, caller: AnyCaller) -> KeyOut:
        revoked = known(await keys.revoke(desk.store, key_id, caller.team, by=caller.name), key_id)
        await desk.keys_changed()
        return told(desk, revoked)

    @api.post("/admin/v1/keys/{key_id}/rotate", status_code=201)
    async def rotate(key_id: str, caller: AnyCaller, body: Rotation | None = None) -> MadeKey:
        old = known(await keys.find(desk.store, key_id, caller.team), key_id)
        may_have(caller, desk.team(old.team), old.jurisdiction)
        made = await keys.rotate(desk.store, key_id, body.grace if body else 0.0, caller.team, by=caller.name)
        if made is None:
            raise HTTPException(409, f"The key {key_id} has been revoked, or rotated before.")
        await desk.keys_changed()
        return told_once(desk, *made)


def may_have(caller: Caller, team: Team, jurisdiction: str) -> None:
    """A token makes no key whose data may go further than those of its team. Raises HTTPException."""
    if not jurisdiction or jurisdiction == team.jurisdiction:
        return
    places = may_go(team.allow, jurisdiction)
    if not places:
        raise Wrong("jurisdiction", f"the policy of team {team.name!r} lets no data of callers in {jurisdiction} go anywhere")
    if caller.team is not None and not places <= may_go(team.allow, team.jurisdiction):
        raise HTTPException(403, f"jurisdiction: data of callers in {jurisdiction} may go further than the team's own: ask an admin.")


def known(key: StoredKey | None, key_id: str) -> StoredKey:
    """Raises HTTPException(404), for a key of another team too."""
    if key is None:
        raise HTTPException(404, f"There is no key {key_id!r}.")
    return key


def told(desk: Desk, key: StoredKey) -> KeyOut:
    team = desk.snapshot.teams.get(key.team)
    state: Literal["active", "ending", "revoked", "no_team"] = "active" if key.revoked is None else "ending"
    if not key.holds(desk.store.now()):
        state = "revoked"
    elif team is None:
        state = "no_team"
    return KeyOut(
        id=key.id,
        team=key.team,
        name=key.name,
        jurisdiction=key.jurisdiction or (team.jurisdiction if team else ""),
        origin="api",
        state=state,
        created=key.created,
        revoked=key.revoked,
        rotated=key.rotated,
        successor=key.successor or None,
    )


def told_once(desk: Desk, key: StoredKey, secret: str) -> MadeKey:
    return MadeKey(**told(desk, key).model_dump(), key=secret)
