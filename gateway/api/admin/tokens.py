"""Tokens that open this API for one team. Made by the admin alone; a token is told once."""

from fastapi import FastAPI, HTTPException
from msgspec import to_builtins
from pydantic import BaseModel

from gateway.api.admin.desk import Body, Desk
from gateway.api.admin.gate import AdminCaller
from gateway.settings import Name
from gateway.store import tokens
from gateway.store.keys import NameTaken


class NewToken(Body):
    team: Name
    name: Name


class TokenOut(BaseModel):
    """A token, without its secret. Times are unix seconds."""

    id: str
    team: str
    name: str
    role: str
    created: float
    revoked: float | None


class MadeToken(TokenOut):
    token: str
    """The token itself, which nobody is told again."""


class TokenList(BaseModel):
    data: list[TokenOut]


def add_routes(api: FastAPI, desk: Desk) -> None:
    @api.post("/admin/v1/tokens", status_code=201)
    async def create(body: NewToken, caller: AdminCaller) -> MadeToken:
        desk.team(body.team)
        try:
            made, secret = await tokens.create(desk.store, body.team, body.name, by=caller.name)
        except NameTaken as exc:
            raise HTTPException(409, str(exc)) from exc
        return MadeToken(**to_builtins(made), token=secret)

    @api.get("/admin/v1/tokens")
    async def list_all(caller: AdminCaller) -> TokenList:
        return TokenList(data=[TokenOut(**to_builtins(token)) for token in await tokens.all_of(desk.store)])

    @api.delete("/admin/v1/tokens/{token_id}")
    async def revoke(token_id: str, caller: AdminCaller) -> TokenOut:
        revoked = await tokens.revoke(desk.store, token_id, by=caller.name)
        if revoked is None:
            raise HTTPException(404, f"There is no token {token_id!r}.")
        return TokenOut(**to_builtins(revoked))
