"""How it ends, and how it comes back: answers under way are let end, those that take too long are told so, and a kill loses no more."""

import json
import signal
import socket
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from tests.battery_front.conftest import Serve, config_of
from tests.battery_front.crowd import Streams
from tests.battery_front.service import Service, serving, started
from tests.battery_front.speaking import answers, ask, body_of, connect, good, mark, post, refused, until_closed
from tests.battery_front.vendor import Vendor
from tests.conftest import PATIENCE

SOON = 10.0
"""Seconds in which a process on a busy machine does what it does at once."""


def until_refused(service: Service) -> None:
    """Nobody listens any more."""
    began = time.monotonic()
    with suppress(ConnectionError):
        while time.monotonic() - began < PATIENCE:
            connect(service.url).close()
            time.sleep(0.02)
        pytest.fail("it still takes connections")


def test_sigterm_cuts_none_of_100_streams(serve: Serve, vendor: Vendor) -> None:
    with serve(pre_stop="0s", drain="600s") as service, ExitStack() as stack:
        streams = Streams(service, vendor, 100, stack)

        service.process.send_signal(signal.SIGTERM)
        until_refused(service)
        streams.end_whole()

        assert service.process.wait(PATIENCE) == 0


def test_what_takes_longer_than_the_drain_is_told_so_in_its_own_words(serve: Serve, vendor: Vendor) -> None:
    with serve(pre_stop="0s", drain="500ms") as service, ExitStack() as stack:
        streams = Streams(service, vendor, 10, stack)
        plain, waiting = mark(), stack.enter_context(connect(service.url))
        waiting.sendall(post(body_of("held", plain)))
        vendor.seen(plain)

        service.process.send_signal(signal.SIGTERM)

        told = [answer for raw in streams.rest() for answer in answers(raw)]
        (no,) = answers(until_closed(waiting))
        assert service.process.wait(PATIENCE) == 0
    for answer in told:
        assert answer.whole
        assert b"[DONE]" not in answer.body
        assert b'"finish_reason":"' not in answer.body
        *_, last, nothing = answer.body.decode().split("\n\n")
        assert json.loads(last.removeprefix("data: "))["error"]["code"] == "overloaded"
        assert nothing == ""
    assert len(told) == 10
    refused(no, 503, "overloaded")
    assert no.header("retry-after") == "1"


def test_between_the_signal_and_the_end_readiness_is_503_and_requests_are_taken_still(serve: Serve) -> None:
    with serve(pre_stop="30s", drain="30s") as service:
        service.call()
        service.process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        while service.client.get("/readyz").status_code != 503:
            assert time.monotonic() - began < SOON

        assert service.client.get("/healthz").status_code == 200
        answer = good(ask(service.url, post(body_of())))  # which asks for nothing, and is the last of its connection
        assert answer.header("connection") == "close"
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(SOON) == 0


@pytest.mark.parametrize("first", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_it_now(serve: Serve, vendor: Vendor, first: signal.Signals) -> None:
    with serve(pre_stop="0s", drain="600s") as service, ExitStack() as stack:
        streams = Streams(service, vendor, 3, stack)
        service.process.send_signal(first)
        until_refused(service)
        assert service.process.poll() is None

        service.process.send_signal(signal.SIGTERM)

        assert service.process.wait(SOON) == 0
        assert all(b"[DONE]" not in raw for raw in streams.rest())
    (seen, *_) = vendor.seen(streams.mark, 3)
    assert seen.left.wait(PATIENCE)


def test_after_a_kill_it_serves_again_where_it_did(tmp_path: Path, vendor: Vendor) -> None:
    folder = tmp_path / "config"
    config = config_of(vendor)
    config["server"]["port"] = port_that_is_free()
    with serving(folder, config) as service, ExitStack() as stack:
        streams = Streams(service, vendor, 10, stack)

        service.process.kill()

        assert service.process.wait(SOON) == -signal.SIGKILL
        assert all(b"[DONE]" not in raw and not raw.endswith(b"0\r\n\r\n") for raw in streams.rest())
        service.process.returncode = 0  # as it was meant
    with started(folder, port=config["server"]["port"]) as again:
        again.until_ready()
        assert again.url == service.url
        again.call()
        assert again.ready()["status"] == "ready"
        assert "degraded" not in again.ready()
        assert b"Traceback" not in b"".join(again.said.lines)
        again.process.terminate()
        assert again.process.wait(PATIENCE) == 0


def port_that_is_free() -> int:
    with socket.create_server(("127.0.0.1", 0)) as one:
        port: int = one.getsockname()[1]
        return port
