"""The long-running commands: put an application together, say where it listens, and serve until told to stop."""

import ctypes
import gc
import os
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

import click
import uvloop

from gateway import server
from gateway.accounting.books import Books
from gateway.api.admin.mount import LazyAdmin
from gateway.app import App
from gateway.blobs.opening import file_store
from gateway.brain.scripted import Scripted
from gateway.catalog import shipped
from gateway.compiling import build
from gateway.config import Settings, load_catalog
from gateway.demo import KEY, demo_settings
from gateway.jobs.engine import Jobs
from gateway.jobs.surfaces import surfaces
from gateway.jobs.upkeep import upkeep
from gateway.keyring import Ring
from gateway.logs import Lines, set_up
from gateway.observe.metrics import Metrics
from gateway.observe.scraped import Scraped
from gateway.settings import Server
from gateway.simulate import Simulators, parse_account
from gateway.state.opening import state_of
from gateway.store.audit import reloaded
from gateway.store.engine import Store
from gateway.store.ledger import StoreLedger
from gateway.store.objects import StoredObjects
from gateway.tuning.table import Tuned
from gateway.yaml_file import ConfigError, Problem
from providers.load import load
from providers.simulation import Brain

DEMO = Server.model_validate({"drain": "5s", "pre_stop": "0s"})
"""How the demo ends: nobody balances load over it."""
M_ARENA_MAX = -8
"""What glibc's `mallopt` calls the number of heaps."""


def serve_with(workers: int, directory: Path, host: str, port: int) -> int:
    """Serves with several processes; the exit code. Raises OSError where they cannot listen."""
    from gateway.workers import run

    set_up()

    def ready(reserved: socket.socket) -> None:
        click.echo(f"banjia starts {workers} workers on {address(reserved)}", err=True)

    return run(workers, directory, host, port, ready)


def serve(settings: Settings, directory: Path, host: str, port: int, *, shared: bool = False) -> None:
    """`shared`: with other processes at the same address. Raises OSError where it cannot listen, StoreError for a database that it cannot
    use."""
    set_up()
    share_heap()
    sock = server.listen(host, port, shared=shared)
    app = make_app(settings, directory)

    def ready() -> None:
        click.echo(f"banjia serves on {address(sock)}  (config {app.serving.snapshot.revision})", err=True)

    pipe = sys.stdin.fileno() if shared else None
    uvloop.run(server.run(app, sock, settings.gateway.server, directory=directory, ready=ready, until_closed=pipe))


def share_heap() -> None:
    """One heap for all threads. glibc would give each of some thirty its own, and keep for that one alone what it has needed once: 10 MiB
    after some minutes."""
    with suppress(AttributeError, OSError):  # another C library may have no such thing
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, 1)


def make_app(settings: Settings, directory: Path | None) -> App:
    """Raises StoreError for a database's address that is none."""
    told = settings.gateway
    store = Store(told.storage.url, Path(told.storage.journal) if told.storage.journal else None)
    ring = Ring(store)
    metrics = Metrics()
    books = Books(state_of(told.state.url), StoreLedger(store))
    objects = StoredObjects(store)
    tuned = Tuned(objects)
    jobs = Jobs(store, (*upkeep(store, books, keep=told.storage.keep), *surfaces(lambda: app.serving)))
    app = App(
        build(settings),
        sinks=(Lines(sys.stdout.fileno(), failures_only=told.server.log == "errors"), metrics),
        books=books,
        beside=(store, ring, tuned, jobs),
        ring=ring,
        metrics=Scraped(metrics, told.admin),
        objects=objects,
        jobs=jobs,
        files=file_store(told.files),
    )
    app.serving.tuned = tuned
    if directory is not None:
        app.noted = partial(reloaded, store, str(directory))
    metrics.gauges = app.gauges
    if settings.gateway.admin.key:
        app.admin = LazyAdmin(app, settings.gateway.admin.key, directory, store, ring)
    gc.collect()
    gc.freeze()  # what is loaded by now stays: the collector need not look at it again
    gc.set_threshold(20_000, 50, 50)  # a request leaves next to no cycles behind
    return app


def demo(host: str, port: int, brain: str) -> None:
    """Raises OSError where it cannot listen, ImportError without what a brain needs."""
    set_up()
    share_heap()
    thinks = brain_of(brain)
    sock = server.listen(host, port)
    at = server.listen("127.0.0.1", 0)
    settings, simulated, admin = demo_settings(address(at))
    app = make_app(settings, None)

    def ready() -> None:
        click.echo(_welcome(address(sock), simulated, admin, brain), err=True)

    beside = ((Simulators(thinks.brain, settings.catalog), at),)
    try:
        uvloop.run(server.run(app, sock, DEMO, beside=beside, ready=ready))
    finally:
        thinks.stop()


def _welcome(url: str, simulated: list[str], admin: str, brain: str) -> str:
    return f"""\
banjia demo serves on {url}
  base URL   {url}/v1
  key        {KEY}
  admin key  {admin}  (for `banjia providers test --url {url}`)
  simulated  {", ".join(simulated) or "none"}  (brain: {brain}; set a vendor's key in the environment to use the vendor itself)

Try it:
  curl {url}/v1/chat/completions -H "Authorization: Bearer {KEY}" -H "Content-Type: application/json" \\
    -d '{{"model": "gpt-4o", "messages": [{{"role": "user", "content": "Hello"}}]}}'
"""


def simulate(host: str, port: int, brain: str, accounts: tuple[str, ...], *, drip: bool) -> None:
    """Raises OSError where it cannot listen, ValueError for an account of another form, ImportError without what a brain needs."""
    set_up()
    more: dict[str, dict[str, str]] = {}
    for vendor, account, secret in map(parse_account, accounts):
        if vendor not in load():
            raise ValueError(f"--account: there is no vendor {vendor!r}; there are: {', '.join(load())}")
        more.setdefault(vendor, {})[account] = secret
    problems: list[Problem] = []
    catalog = load_catalog(shipped() / "none", problems)
    if problems:
        raise ConfigError(problems)
    thinks = brain_of(brain)
    sock = server.listen(host, port)
    simulators = Simulators(thinks.brain, catalog, accounts=more, drip=drip)
    try:
        uvloop.run(
            server.run_simulators(simulators, sock, ready=lambda: click.echo(f"banjia simulates the vendors on {address(sock)}", err=True))
        )
    finally:
        thinks.stop()


class Thinks(NamedTuple):
    brain: Brain
    stop: Callable[[], None]


def brain_of(name: str) -> Thinks:
    """Raises ValueError for an unknown name, ImportError where `local` is not installed."""
    if name == "scripted":
        return Thinks(Scripted(), lambda: None)
    from gateway.brain import openai_server  # httpx is not needed for the usual brain

    if name == "local":
        return Thinks(*openai_server.local())
    if name.startswith(("http://", "https://")):
        return Thinks(openai_server.OpenAIServer(name, key=os.environ.get("BANJIA_BRAIN_KEY", "none")), lambda: None)
    raise ValueError(f"--brain: {name!r} is neither scripted, local, nor a URL such as http://127.0.0.1:8000/v1")


def address(sock: socket.socket) -> str:
    host, port = sock.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
