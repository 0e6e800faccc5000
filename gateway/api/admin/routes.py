"""The admin API: accounts, their test, and reload. Every route asks for the admin key."""

import asyncio
import hmac
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import HTTPException, RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel
from starlette.exceptions import HTTPException as StarletteHTTPException

from gateway import server
from gateway.api.admin.probe import Probed, probe
from gateway.app import App


class AccountOut(BaseModel):
    """One account, without its secrets."""

    name: str
    vendor: str
    surface: str
    jurisdiction: str
    base_url: str
    endpoints: list[str]
    off: str | None


class Listed(BaseModel):
    data: list[AccountOut]


class Reloaded(BaseModel):
    config: str
    """The revision that is running now."""
    problems: list[str]


def admin_api(app: App, key: str, directory: Path | None) -> FastAPI:
    """The application for `/admin/v1`."""
    wanted = f"Bearer {key}".encode()

    def admin(given: Annotated[HTTPAuthorizationCredentials | None, Depends(HTTPBearer(auto_error=False))]) -> None:
        said = f"Bearer {given.credentials}".encode() if given else b""
        if not hmac.compare_digest(said, wanted):
            raise HTTPException(401, "This is for the admin key, sent as `Authorization: Bearer KEY`.")

    api = FastAPI(title="Banjia admin API", version="1", openapi_url=None, docs_url=None, redoc_url=None, dependencies=[Depends(admin)])

    @api.get("/admin/v1/accounts")
    async def accounts() -> Listed:
        return Listed(
            data=[
                AccountOut(
                    name=account.name,
                    vendor=account.vendor,
                    surface=account.adapter.surface,
                    jurisdiction=account.jurisdiction,
                    base_url=account.base_url,
                    endpoints=list(account.adapter.endpoints),
                    off=account.off or None,
                )
                for account in app.serving.snapshot.accounts.values()
            ]
        )

    @api.post("/admin/v1/accounts/{name}/test")
    async def test(name: str) -> Probed:
        account = app.serving.snapshot.accounts.get(name)
        if account is None:
            raise HTTPException(404, f"There is no account {name!r}; there are: {', '.join(app.serving.snapshot.accounts)}.")
        return await probe(account, app.serving)

    @api.post("/admin/v1/reload")
    async def reload() -> Reloaded:
        if directory is None:
            raise HTTPException(409, "This gateway was not started from a folder of files, so there is nothing to reload.")
        problems = await asyncio.to_thread(server.reload, app, directory)
        return Reloaded(config=app.serving.snapshot.revision, problems=problems)

    @api.exception_handler(StarletteHTTPException)
    async def refused(request: Request, exc: StarletteHTTPException) -> JSONResponse:
        return _error(exc.status_code, str(exc.detail))

    @api.exception_handler(RequestValidationError)
    async def invalid(request: Request, exc: RequestValidationError) -> JSONResponse:
        return _error(400, "; ".join(f"{'.'.join(map(str, error['loc']))}: {error['msg']}" for error in exc.errors()))

    return api


def _error(status: int, message: str) -> JSONResponse:
    codes: dict[int, str] = {401: "invalid_api_key", 404: "not_found", 405: "method_not_allowed", 409: "conflict"}
    body: dict[str, Any] = {
        "message": message,
        "type": "invalid_request_error",
        "param": None,
        "code": codes.get(status, "invalid_request"),
    }
    return JSONResponse({"error": body}, status)
