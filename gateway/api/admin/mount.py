"""Loads the admin API when it is first asked for: FastAPI costs a third of a second and 20 MB that a data plane does not need."""

import asyncio
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.api.wire import Receive, Scope
from gateway.keyring import Ring
from gateway.sending import Send
from gateway.store.engine import Store

if TYPE_CHECKING:
    from gateway.app import App, Asgi


class LazyAdmin:
    """An ASGI application that becomes the real one at its first request."""

    def __init__(self, app: "App", key: str, directory: Path | None, store: Store, ring: Ring) -> None:
        self._given = app, key, directory, store, ring
        self._real: Asgi | None = None
        self._lock = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._lock:
            if self._real is None:
                module = await asyncio.to_thread(import_module, "gateway.api.admin.routes")
                self._real = module.admin_api(*self._given)
        await self._real(scope, receive, send)
