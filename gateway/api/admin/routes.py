"""The admin API put together: its routes behind the gate, and its errors in OpenAI's words."""

import logging
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from gateway.api.admin import accounts, changes, grants, keys, spaces, teams, tokens, usage
from gateway.api.admin.desk import Desk, Wrong
from gateway.api.admin.gate import Gate
from gateway.app import App
from gateway.keyring import Ring
from gateway.snapshot import digest
from gateway.store.engine import Store
from gateway.store.errors import StoreError, Unfit

log = logging.getLogger(__name__)


def admin_api(app: App, key: str, directory: Path | None, store: Store, ring: Ring) -> Gate:
    """What answers under `/admin/`. `directory`: of the config's files, which can be reloaded then."""

    def is_team_key(given: str) -> bool:
        snapshot, of = app.serving.snapshot, digest(given)
        return of in snapshot.keys or ring.find(of, snapshot) is not None

    return Gate(api_of(Desk(app, store, ring, directory)), key, store, is_team_key)


def api_of(desk: Desk) -> FastAPI:
    """The routes alone: each asks for whom the gate has let in."""
    api = FastAPI(title="Banjia admin API", version="1", openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    for part in (keys, tokens, usage, accounts, grants, teams, spaces, changes):
        part.add_routes(api, desk)

    @api.exception_handler(HTTPException)
    async def refused(request: Request, exc: HTTPException) -> JSONResponse:
        nothing = exc.status_code == 404 and exc.detail == "Not Found"  # Starlette's own words
        message = f"There is nothing at {request.method} {request.scope['path']}." if nothing else str(exc.detail)
        told = error(exc.status_code, message, exc.param if isinstance(exc, Wrong) else None)
        told.headers.update(exc.headers or {})
        return told

    @api.exception_handler(RequestValidationError)
    async def invalid(request: Request, exc: RequestValidationError) -> JSONResponse:
        problems = [(".".join(map(str, one["loc"][1:])), one["msg"].removeprefix("Value error, ")) for one in exc.errors()]
        return error(400, "; ".join(f"{where}: {what}" if where else what for where, what in problems), problems[0][0] or None)

    @api.exception_handler(Unfit)
    async def unfit(request: Request, exc: Unfit) -> JSONResponse:
        return error(400, "The request has characters that cannot be stored.")

    @api.exception_handler(StoreError)
    async def lost(request: Request, exc: StoreError) -> JSONResponse:
        log.warning("%s %s: %s", request.method, request.scope["path"], exc)
        return error(503, "The database does not answer: nothing has been changed. Try again in a moment.")

    @api.exception_handler(ConnectionError)
    async def unreachable(request: Request, exc: ConnectionError) -> JSONResponse:
        log.warning("%s %s: %s", request.method, request.scope["path"], exc)
        return error(503, "The state that replicas share cannot be reached. Try again in a moment.")

    @api.exception_handler(Exception)
    async def failed(request: Request, exc: Exception) -> JSONResponse:
        return error(500, "The gateway failed; its log has the reason.")

    return api


def error(status: int, message: str, param: str | None = None) -> JSONResponse:
    codes: dict[int, str] = {
        401: "invalid_api_key",
        403: "permission_denied",
        404: "not_found",
        405: "method_not_allowed",
        408: "request_timeout",
        409: "conflict",
        413: "request_too_large",
        500: "internal_error",
        503: "storage_unavailable",
    }
    kind = "permission_error" if status == 403 else "api_error" if status >= 500 else "invalid_request_error"
    body: dict[str, Any] = {"message": message, "type": kind, "param": param, "code": codes.get(status, "invalid_request")}
    return JSONResponse({"error": body}, status, {"retry-after": "1"} if status == 503 else None)
