"""The running service: reload, draining, and the listening socket. `gateway.server.run` runs in the test's own process, as it takes
signals, with the test beside it in the same loop."""

import asyncio
import json
import os
import signal
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway import server
from gateway.app import App
from gateway.compiling import build
from gateway.config import load
from gateway.server import listen
from gateway.settings import Server
from gateway.store import audit
from gateway.store.errors import StoreLost
from providers.base import Json
from tests.conftest import KEY, NO_TLS, TEAM, url_of
from tests.gateway.provider import DONE, END, HOLD, STREAM, Make, failed, route, said, word
from tests.store.stores import opened

HELLO: Json = {"model": "m", "messages": [{"role": "user", "content": "Hello"}]}
LONG = 20.0


def write(folder: Path, config: Json) -> Path:
    (folder / "teams").mkdir(exist_ok=True)
    (folder / "teams" / "red.yaml").write_text(json.dumps(TEAM))
    half = folder / "gateway.new"
    half.write_text(json.dumps({"schema": "banjia/v1", **config}))
    half.rename(folder / "gateway.yaml")
    return folder


class Running:
    """A service under test."""

    def __init__(self, app: App, client: httpx.AsyncClient, service: "asyncio.Task[None]") -> None:
        self.app = app
        self.client = client
        self.service = service

    async def chat(self, **more: Any) -> httpx.Response:
        return await self.client.post("/v1/chat/completions", json={**HELLO, **more})

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(LONG):
            while not true():  # noqa: ASYNC110  # what is waited for is in the code under test
                await asyncio.sleep(0.01)


def serving(folder: Path, test: Callable[[Running], Awaitable[None]], *, drain: float = 5, pre_stop: float = 0) -> App:
    """Runs the test beside the service, then ends that with SIGTERM, and waits for it to be over."""

    async def main() -> App:
        app = App(build(load(folder)))
        settings = Server.model_validate({"drain": f"{drain}s", "pre_stop": f"{pre_stop}s"})
        sock = listen("127.0.0.1", 0)
        ready = asyncio.Event()
        service = asyncio.create_task(server.run(app, sock, settings, directory=folder, ready=ready.set))
        async with asyncio.timeout(LONG):
            await ready.wait()
        headers = {"authorization": f"Bearer {KEY}"}
        async with httpx.AsyncClient(base_url=url_of(sock), headers=headers, timeout=LONG, trust_env=False, verify=NO_TLS) as client:
            try:
                await test(Running(app, client, service))
            finally:
                if not service.done():
                    os.kill(os.getpid(), signal.SIGTERM)
                async with asyncio.timeout(LONG):
                    await service
        sock.close()
        return app

    return asyncio.run(main())


def test_a_change_of_the_files_is_served_without_a_restart(tmp_path: Path, provider: Make) -> None:
    account = provider(said()).account()
    folder = write(tmp_path, {"providers": {"p": account}, "models": {"old": "p/x"}})

    async def test(running: Running) -> None:
        before = running.app.serving.snapshot
        write(folder, {"providers": {"p": account}, "models": {"new": "p/x"}})
        await running.until(lambda: running.app.serving.snapshot is not before)
        assert (await running.chat(model="new")).status_code == 200
        assert (await running.chat(model="old")).status_code == 404

    serving(folder, test)


def test_sighup_reloads(tmp_path: Path, provider: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    account = provider(said()).account(api_key="${PROVIDER_KEY_OF_TEST:-none}")
    folder = write(tmp_path, {"providers": {"p": account}, "models": {"m": "p/x"}})

    async def test(running: Running) -> None:
        before = running.app.serving.snapshot
        monkeypatch.setenv("PROVIDER_KEY_OF_TEST", "another")  # no file changes
        os.kill(os.getpid(), signal.SIGHUP)
        await running.until(lambda: running.app.serving.snapshot is not before)
        assert running.app.serving.snapshot.accounts["p"].secrets["api_key"] == "another"

    serving(folder, test)


def test_a_broken_file_changes_nothing_and_is_told_until_it_is_mended(tmp_path: Path, provider: Make) -> None:
    good = {"providers": {"p": provider(said()).account()}, "models": {"m": "p/x"}}
    folder = write(tmp_path, good)

    async def test(running: Running) -> None:
        before = running.app.serving.snapshot
        (folder / "gateway.yaml").write_text("providers: [")
        os.kill(os.getpid(), signal.SIGHUP)
        await running.until(lambda: bool(running.app.reload_failed))
        assert running.app.serving.snapshot is before
        assert (await running.chat()).status_code == 200
        assert "problem" in (await running.client.get("/readyz")).json()["reload"]
        write(folder, good)
        os.kill(os.getpid(), signal.SIGHUP)
        await running.until(lambda: not running.app.reload_failed)

    serving(folder, test)


def test_changed_files_are_in_the_log_of_changes(tmp_path: Path, provider: Make, caplog: pytest.LogCaptureFixture) -> None:
    account = provider(said()).account()
    folder = write(tmp_path, {"providers": {"p": account}, "models": {"m": "p/x"}})

    async def test(running: Running) -> None:
        async with opened(f"sqlite:///{tmp_path}/a.db", tmp_path / "pending") as store:
            noted: list[str] = []

            async def note(before: str, after: str) -> None:
                await audit.reloaded(store, str(folder), before, after)
                noted.append(after)

            running.app.noted = note
            old = running.app.serving.snapshot.revision
            write(folder, {"providers": {"p": account}, "models": {"n": "p/x"}})
            await running.until(lambda: bool(noted))
            (entry,) = await audit.entries(store, 0, 9)
        assert (entry.actor, entry.action, entry.target) == ("file", "config.reload", str(folder))
        assert json.loads(entry.detail) == {"running": old, "now": running.app.serving.snapshot.revision}
        assert old != running.app.serving.snapshot.revision

        await audit.reloaded(Lost(), "/etc/banjia", "1", "2")  # type: ignore[arg-type]
        assert "config 2 is running in place of 1, which is not in the log of changes: gone" in caplog.text

    serving(folder, test)


class Lost:
    """A database that is away."""

    def writing(self) -> None:
        raise StoreLost("gone")


def test_a_change_of_the_catalog_is_a_change(tmp_path: Path, provider: Make) -> None:
    folder = write(tmp_path, {"providers": {"p": provider(said()).account()}, "models": {"m": "p/x"}})
    app = App(build(load(folder)))
    (folder / "catalog").mkdir()
    (folder / "catalog" / "equivalents.yaml").write_text("schema: banjia/equivalents.v1\nmodels: {own-name: {openai_compatible: [x]}}\n")

    problems = server.reload(app, folder)

    assert problems == []
    assert app.serving.snapshot.catalog.equivalents["own-name"] == {"openai_compatible": ("x",)}


def test_a_folder_that_goes_away_changes_nothing(tmp_path: Path, provider: Make) -> None:
    made = tmp_path / "a"
    made.mkdir()
    folder = write(made, {"providers": {"p": provider(said()).account()}})
    app = App(build(load(folder)))
    before = app.serving.snapshot
    folder.rename(tmp_path / "b")

    problems = server.reload(app, folder)

    assert len(problems) == 1
    assert app.serving.snapshot is before
    assert app.reload_failed


def test_sigterm_lets_an_answer_under_way_end(tmp_path: Path, provider: Make) -> None:
    one = provider((STREAM, word("Hel"), HOLD, word("lo"), END, DONE))
    folder = write(tmp_path, {"providers": {"p": one.account()}, "models": route("p/x")})

    async def test(running: Running) -> None:
        async with running.client.stream("POST", "/v1/chat/completions", json={**HELLO, "stream": True}) as reply:
            pieces = reply.aiter_text()
            text = await anext(pieces)
            os.kill(os.getpid(), signal.SIGTERM)
            await running.until(lambda: running.app.draining)
            with pytest.raises(httpx.ConnectError):
                await until_refused(str(running.client.base_url))
            one.let_go()
            async for piece in pieces:
                text += piece
        assert text.endswith("data: [DONE]\n\n")
        assert '"lo"' in text

    serving(folder, test)


async def until_refused(url: str) -> None:
    """New connections are refused, soon."""
    async with httpx.AsyncClient(trust_env=False, verify=NO_TLS) as client, asyncio.timeout(LONG):
        while True:
            with suppress(httpx.RemoteProtocolError, httpx.ReadError):  # of one that comes just as the listener is closed
                await client.get(f"{url}/healthz", headers={"connection": "close"})
            await asyncio.sleep(0.02)


def test_an_answer_that_does_not_end_in_time_is_cut_and_not_shown_as_whole(tmp_path: Path, provider: Make) -> None:
    one = provider((STREAM, word("Hel"), HOLD))
    folder = write(tmp_path, {"providers": {"p": one.account()}, "models": route("p/x")})

    async def test(running: Running) -> None:
        text = ""
        async with running.client.stream("POST", "/v1/chat/completions", json={**HELLO, "stream": True}) as reply:
            os.kill(os.getpid(), signal.SIGTERM)
            try:
                async for piece in reply.aiter_text():
                    text += piece
            except httpx.RemoteProtocolError:
                text += "(cut)"
        assert "[DONE]" not in text
        assert '"finish_reason":"' not in text
        assert '"error"' in text
        await running.service

    serving(folder, test, drain=1)


def test_a_second_signal_ends_it_at_once(tmp_path: Path, provider: Make) -> None:
    one = provider((HOLD,))
    folder = write(tmp_path, {"providers": {"p": one.account()}, "models": route("p/x")})

    async def test(running: Running) -> None:
        waiting = asyncio.create_task(running.chat())
        await running.until(one.reached.is_set)
        os.kill(os.getpid(), signal.SIGTERM)
        await running.until(lambda: running.app.draining)
        os.kill(os.getpid(), signal.SIGTERM)
        async with asyncio.timeout(LONG):
            await running.service
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)

    serving(folder, test, drain=600)


def test_an_idle_service_ends_at_once(tmp_path: Path, provider: Make) -> None:
    folder = write(tmp_path, {"providers": {"p": provider(failed(500)).account()}})

    async def test(running: Running) -> None:
        assert (await running.client.get("/readyz")).status_code == 200

    app = serving(folder, test, drain=600)

    assert app.draining


# ---- the socket ----


def test_a_port_in_use_is_told_with_what_to_do() -> None:
    with listen("127.0.0.1", 0) as taken, pytest.raises(OSError, match=r"port \d+ on 127\.0\.0\.1 is in use: choose another with --port"):
        listen("127.0.0.1", taken.getsockname()[1])


@pytest.mark.parametrize("host", ["203.0.113.7", "not a host"])
def test_a_host_that_cannot_be_listened_on_is_told_as_an_oserror(host: str) -> None:
    with pytest.raises(OSError, match="cannot listen on"):
        listen(host, 0)


def test_ipv6_is_listened_on_where_there_is_some() -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no IPv6 on this machine")

    with listen("::1", 0) as sock:
        assert sock.family == socket.AF_INET6
