"""The benchmark measures what it says: the configuration is right and has everything on, and the load in an open loop is honest."""

import selectors
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Event, Thread
from time import sleep

import pytest

from bench.__main__ import main
from bench.opened import at_rate, quantile, run
from bench.sections import chosen, provided
from bench.servers import Failed
from bench.setup import Setup, key_of, model_of, write
from bench.soak.growth import Look, Watch, grown
from bench.subjects import direct
from bench.tables import Section, markdown, ratios, spread, text
from bench.upstream import EVENTS
from gateway.compiling import build
from gateway.config import load
from gateway.routing.plan import resolve
from gateway.snapshot import digest

pytestmark = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="measures by /proc")
STILL = 0.3
"""Seconds that a server stands still."""


@pytest.mark.parametrize("setup", [Setup(), Setup(teams=3, keys=2), Setup(routes=4), Setup(routes=4, globs=True)])
def test_the_configuration_is_right_and_everything_is_on(tmp_path: Path, setup: Setup) -> None:
    snapshot = build(load(write(tmp_path / "config", "http://127.0.0.1:1/v1", setup)))

    assert len(snapshot.keys) == setup.teams * setup.keys
    for number in range(setup.teams * setup.keys):
        key = snapshot.keys[digest(key_of(number, setup))]
        assert key.filed_only
        assert key.bounds is not None
        counters = key.bounds.counters("", snapshot.made)
        assert (len(counters.buckets), len(counters.purses)) == (10, 4)
        for route in range(setup.routes):
            found = resolve(model_of(route, setup), "chat", key, snapshot)
            assert found is not None
            assert [option.hop.name for option in found.options] == ["bench/constant", "spare/constant"]
            assert snapshot.catalog.prices["openai_compatible"]["constant"].tiers


@pytest.fixture
def provider() -> Iterator[int]:
    with provided("--stamped", "--pause", "0.001") as port:
        yield port


def test_requests_go_out_at_their_rate_and_every_event_is_timed(provider: int) -> None:
    server = direct(provider)

    plain = run(at_rate(provider, server.request(), 200, 0.5))
    streams = run(at_rate(provider, server.request(stream=True), 20, 0.5))

    assert len(plain.whole) == len(plain.first) == 100
    assert len(streams.whole) == 10
    assert len(streams.events) == 10 * (EVENTS - 1)
    assert all(one > 0 for one in (*plain.whole, *streams.first, *streams.events))
    assert all(first < whole for first, whole in zip(sorted(streams.first), sorted(streams.whole), strict=True))


@contextmanager
def server(status: int = 200, stands_still_at: int = 0) -> Iterator[int]:
    """Answers at once, save for a while at its request of that number, in which it answers nobody; its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener, selectors.DefaultSelector() as sockets, ExitStack() as stack:
        over = Event()

        def serve() -> None:
            answered = 0
            while not over.is_set():
                for ready, _ in sockets.select(0.05):
                    if ready.fileobj is listener:
                        sockets.register(stack.enter_context(listener.accept()[0]), selectors.EVENT_READ)
                        continue
                    connection = ready.fileobj
                    assert isinstance(connection, socket.socket)
                    try:
                        asked = connection.recv(1000)
                    except ConnectionError:
                        asked = b""
                    if not asked:
                        sockets.unregister(connection)
                        continue
                    answered += 1
                    if answered == stands_still_at:
                        sleep(STILL)
                    connection.sendall(b"HTTP/1.1 %d Of Course\r\ncontent-length: 2\r\n\r\n{}" % status)

        sockets.register(listener, selectors.EVENT_READ)
        thread = Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            over.set()
            thread.join()


def test_a_server_that_stands_still_is_charged_with_all_requests_it_would_have_had() -> None:
    with server(stands_still_at=30) as port:
        timed = run(at_rate(port, b"x", 100, 1.0))

    assert len(timed.whole) == 100
    assert sum(one > STILL / 3 for one in timed.whole) >= 100 * STILL * 2 / 3 * 0.8


def test_a_server_that_refuses_is_not_measured() -> None:
    with server(status=503) as port, pytest.raises(Failed, match="it answers 503"):
        run(at_rate(port, b"x", 50, 0.2))


def test_tables_are_told_in_every_form(capsys: pytest.CaptureFixture[str]) -> None:
    section = Section("core", "CPU", ["", "µs"], [["floor", spread([3.0, 1.0, 2.0], 1)], ["banjia", "10"]], {"floor": [1.0]}, ["a note"])

    assert text(section) == "CPU\n                   µs\nfloor   2.0 (1.0-3.0)\nbanjia             10\n  a note"
    assert markdown(section).splitlines()[2:5] == ["|  | µs |", "| --- | --: |", "| floor | 2.0 (1.0-3.0) |"]
    assert ratios([4.0, 9.0], [2.0, 3.0]) == [2.0, 3.0]
    assert quantile([float(number) for number in range(100)], 0.99) == 99
    assert [one.name for one in chosen(["growth"])] == ["size", "keys", "routes", "rows", "workers", "replicas"]
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "latency" in capsys.readouterr().out
    assert main(["nothing"]) == 2


LEAKS = {
    "memory": (Look(40, 110.0, {"blocks": 500_000, "objects": 50_000}), [100.0 + second / 10 for second in range(60)]),
    "descriptors": (Look(80, 110.0, {"blocks": 500_000, "objects": 50_000}), [100.0] * 60),
    "objects": (Look(40, 110.0, {"blocks": 500_000, "objects": 53_600}), [100.0] * 60),
    "blocks": (Look(40, 110.0, {"blocks": 507_200, "objects": 50_000}), [100.0] * 60),
}


@pytest.mark.parametrize("what", LEAKS)
def test_a_soak_finds_what_grows_by_one_with_each_request(what: str) -> None:
    before = Look(40, 100.0, {"blocks": 500_000, "objects": 50_000})
    after, memory = LEAKS[what]

    found = grown(before, after, Watch(memory, [60] * 60), 1.0, 3_600)

    assert len(found) == 1
    assert what in found[0]


def test_a_soak_lets_pass_what_a_burst_has_needed_and_what_is_done_for_the_first_time() -> None:
    before = Look(40, 100.0, {"blocks": 500_000, "objects": 50_000})
    after = Look(60, 104.0, {"blocks": 502_000, "objects": 50_600})
    burst = Watch([100.0] * 30 + [104.0] * 30, [60] * 30 + [160] * 30)

    assert grown(before, after, burst, 1.0, 3_600) == []
