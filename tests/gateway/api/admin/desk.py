"""A gateway with a database and an admin API, for tests."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
from msgspec import Struct

from gateway.accounting.books import Books
from gateway.api.admin.mount import LazyAdmin
from gateway.keyring import Ring
from gateway.observe.metrics import Metrics
from gateway.observe.scraped import Scraped
from gateway.settings import Admin
from gateway.state.memory import Memory
from gateway.store.engine import Store
from gateway.store.ledger import StoreLedger
from providers.base import Json
from tests.conftest import NO_TLS, PATIENCE, TEAM, Served

ADMIN = "admin-key-of-the-test"
BLUE: Json = {**TEAM, "team": "blue", "keys": [{"name": "main", "key": "sk-of-the-blue-team"}]}
OFTEN = 0.05
"""Seconds between two looks of a replica at its keys."""

Serve = Callable[..., Served]


class Office(Struct):
    """One replica."""

    served: Served
    store: Store
    client: httpx.Client
    """Comes with the admin key."""

    def ask(self, method: str, path: str, key: str = ADMIN, **more: Any) -> httpx.Response:
        return self.client.request(method, f"/admin/v1{path}", headers={"authorization": f"Bearer {key}"}, **more)

    def get(self, path: str, key: str = ADMIN, /, **params: Any) -> Any:
        """What is answered, which is 200."""
        reply = self.ask("GET", path, key, params=params)
        assert reply.status_code == 200, reply.text
        return reply.json()

    def post(self, path: str, key: str = ADMIN, /, **body: Any) -> httpx.Response:
        return self.ask("POST", path, key, json=body)

    def made(self, path: str, key: str = ADMIN, /, **body: Any) -> Json:
        """What has been made."""
        reply = self.post(path, key, **body)
        assert reply.status_code == 201, reply.text
        found: Json = reply.json()
        return found

    def token(self, team: str = "red") -> str:
        """Of a team."""
        made: str = self.made("/tokens", team=team, name="ops")["token"]
        return made

    def chat(self, key: str, **fields: Any) -> httpx.Response:
        return self.served.chat(headers={"authorization": f"Bearer {key}"}, **fields)

    def log(self) -> list[tuple[str, str, str]]:
        """Actor, action and target of each entry."""
        return [(entry["actor"], entry["action"], entry["target"]) for entry in self.get("/audit")["data"]]


def opened(gateway: Serve, url: str, journal: Path, config: Json, *teams: Json, directory: Path | None = None) -> Iterator[Office]:
    """One more replica at the database."""
    store = Store(url, journal)
    ring = Ring(store, every=OFTEN)
    metrics = Metrics()
    served = gateway(
        config,
        *(teams or (TEAM, BLUE)),
        books=Books(Memory(), StoreLedger(store)),
        beside=(store, ring),
        ring=ring,
        metrics=Scraped(metrics, Admin(key=ADMIN)),
    )
    metrics.gauges = served.app.gauges
    served.app.sinks = (*served.app.sinks, metrics)
    served.app.admin = LazyAdmin(served.app, ADMIN, directory, store, ring)
    with httpx.Client(base_url=served.url, timeout=PATIENCE, trust_env=False, verify=NO_TLS) as client:
        yield Office(served, store, client)
