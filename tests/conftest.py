"""What tests of every kind share: gateways, simulators and scripted providers on loopback, all in one background thread.

gateway(GATEWAY, TEAM, …)   serves a gateway.yaml and teams' files given as dicts → Served: its address, a key, a client, its records
simulators                  all vendors' simulators under one address
provider(STEP, …)           a provider that does what its script says; see tests/gateway/provider.py
"""

import asyncio
import gc
import os
import socket
import ssl
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeVar

import certifi
import httpx
import pytest
import uvloop
from hypothesis import settings
from msgspec import Struct

from gateway.app import App, Asgi
from gateway.brain.scripted import Scripted
from gateway.catalog import Catalog, shipped
from gateway.compiling import build
from gateway.config import load_catalog, read
from gateway.server import listen, server_of
from gateway.settings import Server
from gateway.simulate import Simulators
from gateway.snapshot import Snapshot
from gateway.yaml_file import Document, Problem
from providers.base import Json
from providers.load import load
from tests.gateway.provider import Provider, Step

gc.set_threshold(100_000, 50, 100)  # or a sixth of the time goes into looking at what sixteen thousand tests keep

settings.register_profile("same-for-all", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("same-for-all")

T = TypeVar("T")
PATIENCE = 20.0
"""Seconds after which something that should happen at once has not happened. Nobody waits that long unless a test fails."""
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Without certificates, which take a while to load."""
END = "-----END CERTIFICATE-----"
KEY = "sk-of-the-team"
TEAM: Json = {"schema": "banjia/team.v1", "team": "red", "keys": [{"name": "main", "key": KEY}], "jurisdiction": "cn-mainland"}


class Background:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        self.loop = uvloop.new_event_loop()
        self._thread = Thread(target=self.loop.run_forever, name="background", daemon=True)
        self._thread.start()
        self._ending: list[Future[None]] = []

    def start(self, work: Coroutine[Any, Any, T]) -> "Future[T]":
        return asyncio.run_coroutine_threadsafe(work, self.loop)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.start(work).result(PATIENCE)

    def let_end(self, done: "Future[None]") -> None:
        """What ends by itself, and is only waited for when all ends."""
        self._ending.append(done)

    def close(self) -> None:
        for done in self._ending:
            done.result(PATIENCE)
        self.run(_cancel_others())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(PATIENCE)
        self.loop.close()


async def _cancel_others() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


class Listening:
    """An application under uvicorn. It is told to end when the test is over; uvicorn looks ten times a second, so nobody waits for it."""

    def __init__(self, background: Background, app: Asgi, settings: Json | None = None) -> None:
        self._socket = listen("127.0.0.1", 0)
        self.url = url_of(self._socket)
        self._server = server_of(app, Server.model_validate({"drain": "1s", **(settings or {})}))
        background.let_end(background.start(self._serve(app)))
        background.run(self._server.listening.wait())

    async def _serve(self, app: Asgi) -> None:
        await self._server.serve([self._socket])
        self._socket.close()
        if isinstance(app, App):
            await app.close()

    def close(self) -> None:
        self._server.should_exit = True


class Served(Struct):
    """A gateway that runs."""

    app: App
    url: str
    key: str
    """A key of the first team."""
    client: httpx.Client
    """Comes with that key."""
    records: "SimpleQueue[Any]"
    """The record of each finished exchange."""

    def chat(self, model: str = "m", text: str = "Hello", *, headers: dict[str, str] | None = None, **fields: Any) -> httpx.Response:
        body = {"model": model, "messages": [{"role": "user", "content": text}], **fields}
        return self.client.post("/v1/chat/completions", json=body, headers=headers)

    def record(self) -> Any:
        """The next record, once it is there."""
        return self.records.get(timeout=PATIENCE)


def url_of(sock: socket.socket) -> str:
    host, port = sock.getsockname()
    return f"http://{host}:{port}"


@cache
def catalog() -> Catalog:
    problems: list[Problem] = []
    found = load_catalog(shipped() / "none", problems)
    assert not problems
    return found


def snapshot_of(gateway: Json, *teams: Json) -> Snapshot:
    """The snapshot of a gateway.yaml and of teams' files, each without the `schema` if need be. Raises ConfigError."""
    files = [Document(f"teams/{number}.yaml", {"schema": "banjia/team.v1", **team}, {}) for number, team in enumerate(teams or (TEAM,))]
    return build(read(Document("gateway.yaml", {"schema": "banjia/v1", **gateway}, {}), files, catalog(), [], load()))


@pytest.fixture(scope="session", autouse=True)
def no_proxies() -> Iterator[None]:
    """What is tested is on this machine, and no vendor's key of ours is used."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.lower().endswith("_proxy") or name.startswith(("OPENAI_", "AZURE_OPENAI_", "BANJIA_")):
                patch.delenv(name)
        yield


@pytest.fixture(scope="session", autouse=True)
def one_certificate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Clients, ours and those that we start, know one authority instead of all: to load those takes each of them 30 ms of the processor,
    and nothing that is tested shows a certificate of theirs."""
    text = Path(certifi.where()).read_text("ascii")
    path = tmp_path_factory.mktemp("certificates") / "one.pem"
    path.write_text(text[: text.index(END) + len(END)] + "\n", "ascii")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(path))
        patch.setattr(certifi, "where", lambda: str(path))
        yield


@pytest.fixture(scope="session")
def background() -> Iterator[Background]:
    made = Background()
    yield made
    made.close()


@pytest.fixture
def gateway(background: Background) -> Iterator[Callable[..., Served]]:
    """Serves gateways until the test is over. Keywords go to App."""
    with gateways(background) as serve:
        yield serve


@contextmanager
def gateways(background: Background) -> Iterator[Callable[..., Served]]:
    closing: list[Callable[[], None]] = []

    def serve(config: Json, *teams: Json, **options: Any) -> Served:
        records: SimpleQueue[Any] = SimpleQueue()
        app = App(snapshot_of(config, *teams), sinks=(records.put,), **options)
        background.run(app.open())
        listening = Listening(background, app, config.get("server"))
        closing.append(listening.close)
        key: str = (teams or (TEAM,))[0]["keys"][0]["key"]
        headers = {"authorization": f"Bearer {key}"}
        client = httpx.Client(base_url=listening.url, headers=headers, timeout=PATIENCE, trust_env=False, verify=NO_TLS)
        closing.append(client.close)
        return Served(app, listening.url, key, client, records)

    yield serve
    for close in reversed(closing):
        close()


@pytest.fixture(scope="session")
def simulators(background: Background) -> Iterator[str]:
    """The address of the vendors' simulators; the accounts are those of `banjia simulate`."""
    listening = Listening(background, Simulators(Scripted(), catalog()))
    yield listening.url
    listening.close()


@pytest.fixture
def provider(background: Background) -> Iterator[Callable[..., Provider]]:
    """Starts providers that follow a script, one step for each request, the last of them for all that come after."""
    made: list[Provider] = []

    def start(*script: Step) -> Provider:
        one = Provider(background.loop, script)
        background.run(one.open())
        made.append(one)
        return one

    yield start
    for one in made:
        background.run(one.close())
