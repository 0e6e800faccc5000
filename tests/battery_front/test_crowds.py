"""Very many clients, slow ones and silent ones: what they cost, and that nobody else waits for them."""

import socket
import sys
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from statistics import median

import pytest

from tests.battery_front.conftest import Serve
from tests.battery_front.crowd import Streams, half_open, room_for
from tests.battery_front.service import Service
from tests.battery_front.speaking import LAST, body_of, connect, mark, post, until, until_closed
from tests.battery_front.vendor import Seen, Vendor
from tests.conftest import PATIENCE

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
MIB = 1 << 20
KIB = 1 << 10


def calls(service: Service, count: int = 30) -> list[float]:
    return [service.call() for _ in range(count)]


def test_2000_streams_make_nobody_wait_and_all_come_to_their_end(serve: Serve, vendor: Vendor) -> None:
    many = room_for(2000, 2)
    with serve() as service, ExitStack() as stack:
        calls(service, 3)
        before = service.memory()
        streams = Streams(service, vendor, many, stack)
        latencies = calls(service)
        each = (service.memory() - before) / many

        assert service.ready()["in_flight"] == many
        assert median(latencies) < 0.2
        assert each < 50 * KIB
        streams.let_go()
        assert median(calls(service)) < 0.2  # while they all end at once
        streams.are_whole()


def written(service: Service, seen: list[Seen]) -> int:
    """What the vendor could send, once nothing moves any more: three looks in a row see the same, and the gateway does nothing."""
    same, last, spent = 0, -1, 0.0
    began = time.monotonic()
    while same < 3:
        assert time.monotonic() - began < PATIENCE
        time.sleep(0.1)
        now, cpu = sum(one.written for one in seen), service.cpu()
        same = same + 1 if (now, round(cpu, 1)) == (last, round(spent, 1)) else 0
        last, spent = now, cpu
    return last


def jobs_run(service: Service) -> None:
    """Returns when all that is loaded after the start has been."""
    began = time.monotonic()
    while not list(service.folder.parent.glob("var/*.jobs/engine.db")):
        assert time.monotonic() - began < PATIENCE
        time.sleep(0.05)
    written(service, [])


def test_what_nobody_reads_stays_with_the_vendor(serve: Serve, vendor: Vendor) -> None:
    """Of what has left it, the kernel holds megabytes for each connection."""
    many, said, first = 20, mark(), mark()
    with serve() as service, ExitStack() as stack:
        calls(service, 3)
        jobs_run(service)
        with connect(service.url) as sock:  # what it takes once, such as a tokenizer, is not of each
            sock.sendall(post(body_of("flood", first, stream=True), LAST, b"x-request-id: " + first.encode()))
            written(service, vendor.seen(first))
        service.record(first)
        before = service.memory()
        readers = [stack.enter_context(connect(service.url)) for _ in range(many)]
        for sock in readers:
            sock.sendall(post(body_of("flood", said, stream=True), LAST))
        seen = vendor.seen(said, many)

        sent = written(service, seen)

        held = service.memory() - before
        assert sent < many * 40 * MIB
        assert held < many * 256 * KIB
        assert median(calls(service)) < 0.2
        assert not any(one.left.is_set() for one in seen)
        for sock in readers:
            until(sock, b"word word")


def test_a_client_that_takes_nothing_for_too_long_is_left_and_its_vendor_too(serve: Serve, vendor: Vendor) -> None:
    said = mark()
    with serve(write_timeout="500ms") as service, connect(service.url) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        sock.sendall(post(body_of("flood", said, stream=True), LAST, b"x-request-id: " + said.encode()))
        (seen,) = vendor.seen(said)

        assert seen.left.wait(PATIENCE)
        assert seen.written < 40 * MIB
        assert service.record(said)["status"] == 499
        with suppress(ConnectionError):
            assert b"[DONE]" not in until_closed(sock)


def test_9000_heads_that_do_not_come_to_an_end_cost_little_and_are_gone_in_time(serve: Serve, vendor: Vendor) -> None:
    many = room_for(9000, 1)
    with serve(head_timeout="6s") as service:
        calls(service, 3)
        before, files = service.memory(), descriptors(service)
        with ExitStack() as stack:
            opened = half_open(service, many, stack)
            latencies = calls(service)
            cost = service.memory() - before

            assert max(latencies) < 2
            assert median(latencies) < 0.2
            assert cost < 50 * MIB
            assert until_closed(opened[-1]).startswith(b"HTTP/1.1 408 ")
        began = time.monotonic()
        while descriptors(service) > files + 50:  # some it has opened for itself
            assert time.monotonic() - began < PATIENCE
            time.sleep(0.05)


def descriptors(service: Service) -> int:
    return len(list(Path(f"/proc/{service.process.pid}/fd").iterdir()))


def test_with_256_descriptors_those_it_has_are_served_and_it_recovers_by_itself(serve: Serve, vendor: Vendor) -> None:
    with serve(files=256) as service:
        with ExitStack() as stack:
            streams = Streams(service, vendor, 40, stack)
            crowd = [stack.enter_context(connect(service.url)) for _ in range(400)]
            spent, began = service.cpu(), time.monotonic()
            time.sleep(0.5)  # in which it can take nobody, and should not try all the time
            share = (service.cpu() - spent) / (time.monotonic() - began)

            assert share < 0.7
            streams.end_whole()
            for sock in crowd:
                sock.close()
        began = time.monotonic()
        while not answered(service):
            assert time.monotonic() - began < PATIENCE
        service.client.close()


def answered(service: Service) -> bool:
    """Whether a new connection is served."""
    with suppress(OSError), connect(service.url, 2) as sock:
        sock.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        return until_closed(sock).startswith(b"HTTP/1.1 200 ")
    return False
