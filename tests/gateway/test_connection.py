"""Clients that send too much, too slowly, or do not read: what they get, and that nobody else suffers."""

import json
import socket
import time
from collections.abc import Callable
from contextlib import suppress

import pytest

from tests.conftest import KEY, PATIENCE, Served
from tests.gateway.provider import CHUNKED, DONE, END, HOLD, STREAM, Make, Step, failed, piece, route, said, word
from tests.gateway.raw import AUTH, BODY, STREAMED, connect, get, post, refusal, talk, until, until_closed

Gateway = Callable[..., Served]


@pytest.fixture
def served(gateway: Gateway, provider: Make) -> Served:
    """A gateway whose model `m` is answered, with little patience."""
    server = {"head_timeout": "500ms", "body_timeout": "500ms", "max_body": "1MiB"}
    return gateway({"server": server, "providers": {"p": provider(said()).account()}, "models": route("p/x")})


# ---- the head ----

LARGE: dict[str, bytes] = {
    "one-header": b"GET /v1/models HTTP/1.1\r\nhost: x\r\nx-a: " + b"a" * 70_000 + b"\r\n\r\n",
    "one-header-without-end": b"GET /v1/models HTTP/1.1\r\nhost: x\r\nx-a: " + b"a" * 70_000,
    "one-name": b"GET /v1/models HTTP/1.1\r\nhost: x\r\nx-" + b"a" * 70_000,
    "the-address": b"GET /v1/models?" + b"a" * 70_000,
    "blanks": b"GET /v1/models HTTP/1.1\r\nhost: x\r\nx-a:" + b" " * 70_000,
    "101-headers": b"GET /v1/models HTTP/1.1\r\n" + b"x: y\r\n" * 101 + b"\r\n",
    "headers-without-end": b"GET /v1/models HTTP/1.1\r\n" + b"x: y\r\n" * 102,
    "large-headers": b"GET /v1/models HTTP/1.1\r\n" + (b"x: " + b"y" * 900 + b"\r\n") * 80,
}


@pytest.mark.parametrize("size", [None, 1000])
@pytest.mark.parametrize("head", LARGE)
def test_a_head_that_is_too_large_is_431_before_any_key_is_asked_for(served: Served, head: str, size: int | None) -> None:
    data = LARGE[head]
    pieces = [data] if size is None else [data[at : at + size] for at in range(0, len(data), size)]

    answer = talk(served.url, *pieces)

    refusal(answer, 431, "headers_too_large")
    assert served.chat().status_code == 200


@pytest.mark.parametrize("headers", [[b"x-a: " + b"a" * 60_000], [b"x: y"] * 97])
def test_a_head_within_bounds_is_served(served: Served, headers: list[bytes]) -> None:
    with connect(served.url) as sock:
        for _ in range(3):  # nothing adds up from one request to the next
            sock.sendall(post(BODY, *headers))
            assert until(sock, b'"total_tokens"').startswith(b"HTTP/1.1 200 ")
            sock.settimeout(PATIENCE)


def test_the_bytes_of_a_body_are_none_of_the_head(served: Served) -> None:
    body = BODY[:-1] + b',"user":"' + b"x" * 300_000 + b'"}'

    with connect(served.url) as sock:
        for _ in range(3):
            sock.sendall(post(body) + get())
            assert until(sock, b'"total_tokens"').startswith(b"HTTP/1.1 200 ")


def test_a_head_that_does_not_come_to_an_end_is_408(served: Served) -> None:
    began = time.monotonic()

    answer = talk(served.url, post()[:40])

    refusal(answer, 408, "request_timeout")
    assert time.monotonic() - began < 5


def test_a_head_that_comes_a_byte_at_a_time_has_no_more_time_for_it(served: Served) -> None:
    began = time.monotonic()
    with connect(served.url) as sock, suppress(ConnectionError):
        for byte in post():
            sock.sendall(bytes([byte]))
            sock.settimeout(0.05)
            with suppress(TimeoutError):
                if answer := sock.recv(1 << 16):
                    break
        else:
            answer = b""

    refusal(answer, 408, "request_timeout")
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("said_so_far", [b"", b"\r\n\r\n"], ids=["nothing", "blank-lines"])
def test_a_connection_without_a_request_is_closed_without_words(served: Served, said_so_far: bytes) -> None:
    assert talk(served.url, said_so_far) == b""


def test_a_second_head_that_does_not_come_to_an_end_is_408_too(served: Served) -> None:
    with connect(served.url) as sock:
        sock.sendall(get())
        first = until(sock, b"]}")
        sock.sendall(get()[:30])
        second = until_closed(sock)

    assert first.startswith(b"HTTP/1.1 200 ")
    refusal(second, 408, "request_timeout")


# ---- the body ----


@pytest.mark.parametrize("sent", [0, 10])
def test_a_body_that_stalls_is_408_and_in_the_records(served: Served, sent: int) -> None:
    answer = talk(served.url, post()[: -len(BODY) + sent])

    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 408 ")
    assert b"connection: close" in head
    assert json.loads(body)["error"]["code"] == "request_timeout"
    record = served.record()
    assert record.status == 408
    assert record.request_id.encode() in head


def test_a_body_that_comes_slowly_but_comes_is_taken(served: Served) -> None:
    data = post()
    with connect(served.url) as sock:
        for at in range(0, len(data), 60):
            sock.sendall(data[at : at + 60])
            with suppress(TimeoutError):  # a client's pause, shorter than the gateway's patience
                sock.settimeout(0.3)
                sock.recv(1)
        sock.settimeout(PATIENCE)
        answer = until(sock, b'"total_tokens"')

    assert b'"total_tokens"' in answer


@pytest.mark.parametrize("coding", [b"gzip", b"deflate", b"zstd", b"br", b"identity, gzip"])
def test_a_compressed_body_is_refused(served: Served, coding: bytes) -> None:
    with connect(served.url) as sock:
        sock.sendall(post(b"\x1f\x8b\x08\x00", b"content-encoding: " + coding))
        answer = until_closed(sock)

    assert answer.startswith(b"HTTP/1.1 415 ")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"] == "unsupported_content_encoding"


def test_a_refusal_reaches_a_client_that_sends_on(served: Served) -> None:
    """Whose body is too large: a socket closed at once would reset what it is to read."""
    head = b"POST /v1/chat/completions HTTP/1.1\r\n" + AUTH + b"content-length: 50000000\r\n\r\n"

    with connect(served.url) as sock:
        sock.sendall(head)
        for _ in range(100):
            sock.sendall(b"x" * 100_000)
        answer = until_closed(sock)

    assert answer.startswith(b"HTTP/1.1 413 ")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"] == "request_too_large"


def test_who_sends_on_without_end_is_cut_off(served: Served) -> None:
    head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 5000000000\r\n\r\n"
    began = time.monotonic()

    with connect(served.url) as sock, pytest.raises(ConnectionError):
        sock.sendall(head)
        while time.monotonic() - began < PATIENCE:
            sock.sendall(b"x" * 10_000)

    assert time.monotonic() - began < 5


CHUNKED_POST = b"POST /v1/chat/completions HTTP/1.1\r\n" + AUTH + b"transfer-encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "flood", [b"5;" + b"a" * 200_000, b"1\r\nx\r\n0\r\n" + b"x: y\r\n" * 20_000, b"1\r\nx\r\n0\r\nx: " + b"y" * 200_000]
)
def test_what_stands_between_the_pieces_of_a_body_is_bounded(served: Served, flood: bytes) -> None:
    answer = talk(served.url, CHUNKED_POST, flood)

    refusal(answer, 400, "invalid_http")


def test_a_trailer_is_no_header(gateway: Gateway, provider: Make) -> None:
    """Not even of a request that has to wait for its turn, and is looked at when the trailer has come."""
    one = provider((STREAM, word("Hi"), HOLD, END, DONE), said())
    served = gateway({"providers": {"p": one.account()}, "models": route("p/x")})
    nobodys = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
    body = b"%x\r\n%s\r\n0\r\nauthorization: Bearer %s\r\n\r\n" % (len(BODY), BODY, KEY.encode())

    with connect(served.url) as sock:
        sock.sendall(post(STREAMED) + nobodys + body)
        first = until(sock, b'"Hi"')
        one.let_go()
        rest = until_closed(sock)

    assert first.startswith(b"HTTP/1.1 200 ")
    assert b"HTTP/1.1 401 " in rest
    assert len(one.requests) == 1


# ---- answers that nobody reads ----

FAT = word("x" * 60_000)


def test_a_client_that_reads_nothing_stops_the_provider_and_is_cut_off(gateway: Gateway, provider: Make) -> None:
    endless = provider((CHUNKED, *[piece(FAT)] * 5000, piece(END), piece(DONE), b"0\r\n\r\n"))  # 300 MB
    served = gateway({"server": {"write_timeout": "1s"}, "providers": {"p": endless.account()}, "models": route("p/x")})
    with connect(served.url) as sock:
        sock.sendall(post(STREAMED))
        record = served.record()

        assert record.status == 499
        assert endless.gone.wait(PATIENCE)
        assert endless.written < 40 << 20
        with suppress(ConnectionError):
            assert len(until_closed(sock)) < 40 << 20


def test_a_whole_answer_that_nobody_reads_is_given_up(gateway: Gateway, provider: Make) -> None:
    one = provider(said("x" * 30_000_000))
    served = gateway({"server": {"write_timeout": "500ms"}, "providers": {"p": one.account()}, "models": route("p/x")})

    with connect(served.url) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        sock.sendall(post())
        assert served.record().status == 200  # all of it has been handed to the connection
        assert len(until_closed_in(sock, 2.0)) < 20_000_000


def until_closed_in(sock: socket.socket, seconds: float) -> bytes:
    """What can be read once so many seconds have passed without a read."""
    time.sleep(seconds)  # the client's own pause
    return until_closed(sock)


def test_a_client_that_reads_slowly_is_not_cut_off(gateway: Gateway, provider: Make) -> None:
    long = provider((CHUNKED, *[piece(FAT)] * 300, piece(END), piece(DONE), b"0\r\n\r\n"))
    served = gateway({"server": {"write_timeout": "400ms"}, "providers": {"p": long.account()}, "models": route("p/x")})
    size = 0
    last = b""
    with connect(served.url) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        sock.sendall(post(STREAMED, b"connection: close"))
        began = time.monotonic()
        while data := sock.recv(100_000):
            size += len(data)
            last = (last + data)[-30:]
            if time.monotonic() - began < 2:
                time.sleep(0.05)  # the client's own pace

    assert size > 300 * 60_000
    assert last.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")


# ---- clients that leave ----

LEAVING: dict[str, tuple[Step, bytes]] = {
    "a-plain-answer": ((HOLD,), BODY),
    "the-first-word": ((STREAM, HOLD), STREAMED),
    "the-next-word": ((STREAM, word("Hi"), HOLD), STREAMED),
    "another-attempt": (failed(429, "slow", "retry-after: 10"), BODY),
    "another-attempt-at-a-stream": (failed(429, "slow", "retry-after: 10"), STREAMED),
}


@pytest.mark.parametrize("waiting_for", LEAVING)
def test_a_client_that_leaves_is_missed_within_a_second(gateway: Gateway, provider: Make, waiting_for: str) -> None:
    step, body = LEAVING[waiting_for]
    one = provider(step)
    served = gateway({"providers": {"p": one.account()}, "models": route("p/x", retry={"max": 2})})

    with connect(served.url) as sock:
        sock.sendall(post(body))
        assert one.reached.wait(PATIENCE)
        if "next" in waiting_for:
            until(sock, b'"Hi"')
    left = time.monotonic()

    record = served.record()
    assert one.gone.wait(PATIENCE)
    assert time.monotonic() - left < 1
    assert record.status == 499
    assert len(one.requests) == 1
    assert served.client.get("/readyz").json()["in_flight"] == 0


def test_a_client_that_leaves_in_the_middle_of_its_body_is_missed(served: Served) -> None:
    with connect(served.url) as sock:
        sock.sendall(post()[:-10])

    assert served.record().status == 499


def test_a_client_that_leaves_the_line_is_not_served_for_nothing(gateway: Gateway, provider: Make) -> None:
    one = provider((HOLD, *said()), said())
    served = gateway({"server": {"max_in_flight": 1}, "providers": {"p": one.account()}, "models": route("p/x")})

    with connect(served.url) as first:
        first.sendall(post(BODY, b"connection: close"))
        assert one.reached.wait(PATIENCE)
        with connect(served.url) as second:
            second.sendall(post())
            assert served.client.get("/readyz").json()["in_flight"] == 1
        one.let_go()
        until_closed(first)

    assert sorted(served.record().status for _ in range(2)) == [200, 499]
    assert len(one.requests) == 1
