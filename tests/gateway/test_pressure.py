"""The service as a process of its own, where many or large things come at once: what it holds, whom it lets wait, how it ends."""

import json
import re
import resource
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from os import sysconf
from pathlib import Path

import httpx
import pytest

from providers.base import Json
from tests.conftest import KEY, PATIENCE, TEAM
from tests.gateway.provider import CHUNKED, DONE, END, HOLD, Make, piece, said, word
from tests.gateway.raw import STREAMED, connect, post, until, until_closed
from tests.journeys.processes import Running, banjia

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
MIB = 1 << 20
HELLO: Json = {"model": "m", "messages": [{"role": "user", "content": "Hello"}]}
USAGE = b'data: {"id":"c1","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}\n\n'
LAST = (piece(END), piece(USAGE), piece(DONE), b"0\r\n\r\n")
HELD = (CHUNKED, piece(word("Hi")), HOLD, piece(word("you")), *LAST)
"""A stream that says a word, and the rest when it is let go."""
WHOLE = b"data: [DONE]\n\n\r\n0\r\n\r\n"


class Service:
    """`banjia serve`, seen from outside."""

    def __init__(self, running: Running, folder: Path) -> None:
        self.url = running.url
        self.process = running.process
        self.folder = folder
        self.client = httpx.Client(base_url=running.url, headers={"authorization": f"Bearer {KEY}"}, timeout=PATIENCE, trust_env=False)

    def memory(self) -> int:
        """Bytes resident."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.findall(r"VmRSS:\s+(\d+)", status)[0]) * 1024

    def settle(self) -> None:
        """Returns when it has loaded what it loads beside serving, some of it a second after its start: nothing of that is a request's."""
        quiet = 0
        while quiet < 4:
            before, threads = self.memory(), len(list(Path(f"/proc/{self.process.pid}/task").iterdir()))
            time.sleep(0.5)
            quiet = quiet + 1 if threads > 12 and self.memory() - before < MIB else 0

    def cpu(self) -> float:
        """Seconds."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / sysconf("SC_CLK_TCK")

    def files(self) -> int:
        """Descriptors that are open."""
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    def call(self) -> float:
        """Seconds that an ordinary call takes."""
        began = time.perf_counter()
        assert self.client.post("/v1/chat/completions", json={**HELLO, "model": "quick"}).status_code == 200
        return time.perf_counter() - began

    def open_streams(self, count: int, stack: ExitStack, model: bytes = b"m") -> list[socket.socket]:
        """Streams whose first word has come."""
        opened = [stack.enter_context(connect(self.url)) for _ in range(count)]
        for sock in opened:
            sock.sendall(post(STREAMED.replace(b'"m"', b'"%s"' % model)))
        for sock in opened:
            assert b'"Hi"' in until(sock, b'"Hi"')
        return opened


Start = Callable[..., AbstractContextManager[Service]]


@pytest.fixture
def start(tmp_path: Path, provider: Make) -> Start:
    """Runs a service with a `server` block: `quick` is answered at once, `m` and whatever else is named go to providers of the test."""

    @contextmanager
    def run(server: Json | None = None, **accounts: Json) -> Iterator[Service]:
        (tmp_path / "teams").mkdir()
        (tmp_path / "teams" / "red.yaml").write_text(json.dumps(TEAM))
        named = {"quick": provider(said()).account(), **accounts}
        config = {
            "schema": "banjia/v1",
            "server": {"pre_stop": "0s", "drain": "1s", **(server or {})},
            "providers": named,
            "models": {name: f"{name}/x" for name in named},
        }
        (tmp_path / "gateway.yaml").write_text(json.dumps(config))
        with banjia("serve", "--config", str(tmp_path), "--port", "0") as running:
            service = Service(running, tmp_path)
            with service.client:
                service.call()
                yield service

    return run


# ---- what it holds ----


@pytest.mark.parametrize("line", [b"a" * 1_000_000, b"x: y\r\n" * 5000], ids=["one-header-of-200-MB", "a-million-headers"])
def test_a_head_without_end_costs_no_memory(start: Start, line: bytes) -> None:
    with start() as service:
        service.settle()
        before = service.memory()
        with connect(service.url) as sock, suppress(ConnectionError):
            sock.sendall(b"GET /v1/models HTTP/1.1\r\nhost: x\r\nx-a: ")
            for _ in range(200):
                sock.sendall(line)

        assert service.memory() - before < 50 * MIB
        assert service.call() < 1


def test_half_sent_heads_make_nobody_wait_and_are_gone_soon(start: Start) -> None:
    with start({"head_timeout": "2s"}) as service, ExitStack() as stack:
        service.settle()
        before, files = service.memory(), service.files()
        half = [stack.enter_context(connect(service.url)) for _ in range(600)]
        for sock in half[:400]:  # the others say nothing at all
            sock.sendall(post()[:50])

        assert max(service.call() for _ in range(10)) < 1
        assert service.memory() - before < 50 * MIB
        answers = [until_closed(sock) for sock in half]
        assert [answer[:12] for answer in answers] == [b"HTTP/1.1 408"] * 400 + [b""] * 200
        began = time.monotonic()
        while service.files() > files + 10:  # though these clients never close
            assert time.monotonic() - began < PATIENCE
            time.sleep(0.1)


def test_streams_that_wait_make_nobody_wait_and_cost_little(start: Start, provider: Make) -> None:
    slow = provider(HELD)
    with start(m=slow.account()) as service, ExitStack() as stack:
        service.open_streams(50, stack)  # what the first ones bring about is not of each
        service.settle()
        before = service.memory()
        streams = service.open_streams(300, stack)
        each = (service.memory() - before) / len(streams)
        latencies = sorted(service.call() for _ in range(20))
        slow.let_go()

        assert each < 50 * 1024
        assert latencies[len(latencies) // 2] < 0.2
        assert all(until(sock, WHOLE).endswith(WHOLE) for sock in streams)


def test_answers_that_nobody_reads_stay_with_the_provider(start: Start, provider: Make) -> None:
    fat = provider((CHUNKED, *[piece(word("word " * 2_000))] * 20_000, *LAST))  # 200 MB

    def unread(count: int) -> int:
        """Streams that are asked for and not read; what the provider has got rid of when nothing moves any more."""
        for _ in range(count):
            sock = stack.enter_context(connect(service.url))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
            sock.sendall(post(STREAMED))
        written = -1
        while written != fat.written:
            written = fat.written
            time.sleep(0.5)
        return written

    with start(m=fat.account()) as service, ExitStack() as stack:
        unread(1)  # a tokenizer is loaded once
        service.settle()
        before = service.memory()
        written = unread(20)

        assert written < 20 * 40 * MIB
        assert service.memory() - before < 64 * MIB
        assert service.call() < 1


def test_a_storm_of_reloads_disturbs_no_stream_and_no_call(start: Start, provider: Make) -> None:
    slow = provider(HELD)
    with start(m=slow.account()) as service, ExitStack() as stack:
        streams = service.open_streams(50, stack)
        config = json.loads((service.folder / "gateway.yaml").read_text())
        latencies = []
        for number in range(40):
            config["models"]["m"] = ["m/x", "m/y"][number % 2]
            (service.folder / "gateway.yaml").write_text(json.dumps(config))
            service.process.send_signal(signal.SIGHUP)
            latencies.append(service.call())
        slow.let_go()

        assert max(latencies) < 1
        assert all(until(sock, WHOLE).endswith(WHOLE) for sock in streams)
        assert service.client.get("/readyz").status_code == 200


def test_without_a_descriptor_left_running_answers_go_on_and_new_ones_come_later(start: Start, provider: Make) -> None:
    slow = provider(HELD)
    with start(m=slow.account()) as service:
        with ExitStack() as stack:
            streams = service.open_streams(10, stack)
            limit = service.files() + 20
            resource.prlimit(service.process.pid, resource.RLIMIT_NOFILE, (limit, limit))
            crowd = [stack.enter_context(connect(service.url)) for _ in range(100)]
            before = service.cpu()
            time.sleep(1)  # what it spends while it can take nobody
            spent = service.cpu() - before
            slow.let_go()

            assert spent < 0.5
            assert all(until(sock, WHOLE).endswith(WHOLE) for sock in streams)
            for sock in crowd:
                sock.close()
        statuses = [answered(service) for _ in range(20)]

    assert statuses[-1] == 200


def answered(service: Service) -> int:
    """The status of a call; 0 where the connection is not taken or broken off."""
    with suppress(httpx.TransportError):
        return httpx.get(f"{service.url}/healthz", trust_env=False, timeout=1).status_code
    return 0


# ---- large requests ----

TOOL: Json = {"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object", "properties": {}}}}
LARGE: dict[str, Json] = {
    "one-message-of-20-MB": {"messages": [{"role": "user", "content": "word " * 4_000_000}]},
    "100000-messages": {"messages": [{"role": "user", "content": "Hello"}] * 100_000},
    "5000-tools": {**HELLO, "tools": [{**TOOL, "function": {**TOOL["function"], "name": f"f{number}"}} for number in range(5000)]},
    "a-schema-of-10-MB": {
        **HELLO,
        "tools": [
            {
                **TOOL,
                "function": {
                    "name": "f",
                    "parameters": {"type": "object", "properties": {f"p{number}": {"type": "string"} for number in range(250_000)}},
                },
            }
        ],
    },
    "1000-images": {
        "messages": [
            {
                "role": "user",
                "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 10_000}}] * 1000,
            }
        ]
    },
}


@pytest.mark.parametrize("large", LARGE)
def test_a_large_request_is_answered_while_others_are(start: Start, large: str) -> None:
    body = json.dumps({**LARGE[large], "model": "quick"}).encode()
    with start() as service, ThreadPoolExecutor() as pool:
        asked = pool.submit(service.client.post, "/v1/chat/completions", content=body)
        latencies = []
        while not asked.done():
            latencies.append(service.call())

    assert asked.result().status_code in (200, 400)
    assert max(latencies) < 1


# ---- how it ends ----


def test_a_signal_cuts_no_stream_that_ends_in_time_and_ends_the_others_in_words(start: Start, provider: Make) -> None:
    slow, endless = provider(HELD), provider(HELD)
    with start({"pre_stop": "1s", "drain": "3s"}, m=slow.account(), long=endless.account()) as service, ExitStack() as stack:
        streams = service.open_streams(100, stack)
        (long,) = service.open_streams(1, stack, b"long")
        plain = stack.enter_context(connect(service.url))
        endless.reached.clear()
        plain.sendall(post(json.dumps({**HELLO, "model": "long"}).encode()))
        assert endless.reached.wait(PATIENCE)

        service.process.send_signal(signal.SIGTERM)
        until_not_ready(service)
        service.call()  # for a while, requests are still taken
        until_refused(service)
        slow.let_go()

        ends = [until_closed(sock) for sock in streams]
        assert [end[-400:] for end in ends if not end.endswith(WHOLE)] == []
        rest = until_closed(long)
        assert rest.endswith(b"\n\n\r\n0\r\n\r\n")
        error = json.loads(rest[rest.index(b"data: {") + 6 : rest.rindex(b"\n\n")])["error"]
        assert (error["type"], error["code"]) == ("api_error", "overloaded")
        assert b"[DONE]" not in rest
        assert b'"finish_reason":"' not in rest
        refused = until_closed(plain)
        assert refused.startswith(b"HTTP/1.1 503 ")
        assert b"retry-after: 1" in refused
        assert service.process.wait(PATIENCE) == 0


def until_not_ready(service: Service) -> None:
    """Readiness tells at once. A connection that is used again is told to close."""
    began = time.monotonic()
    while (reply := service.client.get("/readyz")).status_code == 200:
        assert time.monotonic() - began < 1
    assert reply.headers["connection"] == "close"
    assert service.client.get("/healthz").status_code == 200


def until_refused(service: Service) -> None:
    began = time.monotonic()
    with suppress(ConnectionError):
        while time.monotonic() - began < PATIENCE:
            connect(service.url).close()
            time.sleep(0.05)
    assert time.monotonic() - began < PATIENCE


def test_a_second_signal_ends_the_process_at_once(start: Start, provider: Make) -> None:
    slow = provider((HOLD,))
    with start({"pre_stop": "60s", "drain": "60s"}, m=slow.account()) as service, connect(service.url) as sock:
        sock.sendall(post())
        assert slow.reached.wait(PATIENCE)
        service.process.send_signal(signal.SIGTERM)
        until_not_ready(service)
        began = time.monotonic()
        service.process.send_signal(signal.SIGTERM)

        assert service.process.wait(PATIENCE) == 0
        assert time.monotonic() - began < 3


def test_at_a_keyboard_nothing_is_waited_for_but_answers(start: Start) -> None:
    with start({"pre_stop": "60s", "drain": "60s"}) as service:
        began = time.monotonic()
        service.process.send_signal(signal.SIGINT)

        assert service.process.wait(PATIENCE) == 0
        assert time.monotonic() - began < 3


def test_a_client_that_reads_nothing_does_not_keep_the_process_alive(start: Start, provider: Make) -> None:
    fat = provider((CHUNKED, *[piece(word("x" * 60_000))] * 2000, *LAST))
    with start({"drain": "1s"}, m=fat.account()) as service, connect(service.url) as sock:
        sock.sendall(post(STREAMED))
        assert fat.reached.wait(PATIENCE)
        began = time.monotonic()
        service.process.send_signal(signal.SIGTERM)

        assert service.process.wait(PATIENCE) == 0
        assert time.monotonic() - began < 15
        assert fat.written < 40 * MIB
