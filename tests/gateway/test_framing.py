"""Requests whose end or address is in doubt: none is served by guessing, and none gets into another's answer."""

import json
import re
from collections.abc import Callable

import httpx
import pytest

from tests.conftest import KEY, Served
from tests.gateway.provider import DONE, END, HOLD, STREAM, Make, route, said, streamed, word
from tests.gateway.raw import AUTH, BODY, STREAMED, connect, get, post, refusal, talk, until, until_closed

Gateway = Callable[..., Served]


@pytest.fixture
def served(gateway: Gateway, provider: Make) -> Served:
    """A gateway whose model `m` is answered."""
    return gateway({"providers": {"p": provider(said()).account()}, "models": route("p/x")})


# ---- framing ----

TE = b"transfer-encoding: chunked\r\n"
START = b"POST /v1/chat/completions HTTP/1.1\r\n" + AUTH
SMUGGLED = b"GET /v1/models HTTP/1.1\r\n" + AUTH + b"\r\n"
ATTACKS: dict[str, bytes] = {
    "length-and-chunks": START + b"content-length: 6\r\n" + TE + b"\r\n0\r\n\r\n" + SMUGGLED,
    "chunks-and-length": START + TE + b"content-length: 6\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "two-lengths": START + b"content-length: 5\r\ncontent-length: 0\r\n\r\n" + SMUGGLED,
    "a-list-of-lengths": START + b"content-length: 0, 5\r\n\r\n" + SMUGGLED,
    "a-signed-length": START + b"content-length: +0\r\n\r\n" + SMUGGLED,
    "a-length-in-hex": START + b"content-length: 0x0\r\n\r\n" + SMUGGLED,
    "chunks-of-another-kind": START + b"transfer-encoding: xchunked\r\n\r\n" + SMUGGLED,
    "chunks-that-are-not-last": START + b"transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "a-blank-before-the-colon": START + b"transfer-encoding : chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "a-folded-line": START + b"transfer-encoding:\r\n chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "bare-line-feeds": START.replace(b"\r\n", b"\n") + b"content-length: 0\n\n" + SMUGGLED,
    "a-bare-carriage-return": START + b"x: a\rcontent-length: 0\r\n\r\n" + SMUGGLED,
    "a-null": START + b"x: a\x00b\r\ncontent-length: 0\r\n\r\n" + SMUGGLED,
    "a-chunk-size-that-overflows": START + TE + b"\r\nfffffffffffffffff1\r\nx\r\n0\r\n\r\n" + SMUGGLED,
    "a-signed-chunk-size": START + TE + b"\r\n+1\r\nx\r\n0\r\n\r\n" + SMUGGLED,
    "a-chunk-without-its-end": START + TE + b"\r\n1\r\nxGET / HTTP/1.1\r\n\r\n" + SMUGGLED,
    "no-http-at-all": b"\x16\x03\x01\x02\x00\x01\r\n\r\n",
    "http-2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "no-method": b"/v1/models HTTP/1.1\r\n\r\n",
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_request_whose_end_is_in_doubt_is_refused_with_all_that_follows(gateway: Gateway, provider: Make, attack: str) -> None:
    one = provider(said())
    served = gateway({"providers": {"p": one.account()}, "models": route("p/x")})

    answer = talk(served.url, ATTACKS[attack])

    refusal(answer, 400, "invalid_http")
    assert one.requests == []


def test_garbage_behind_a_request_does_not_get_into_its_answer(gateway: Gateway, provider: Make) -> None:
    one = provider((STREAM, word("Hi"), HOLD, END, DONE))
    served = gateway({"providers": {"p": one.account()}, "models": route("p/x")})

    with connect(served.url) as sock:
        sock.sendall(post(STREAMED) + b"\x00garbage\r\n\r\n")
        text = until(sock, b'"Hi"')
        one.let_go()
        text += until_closed(sock)

    assert text.count(b"HTTP/1.1 ") == 1
    assert text.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")


def test_requests_sent_ahead_are_answered_in_their_order(served: Served) -> None:
    text = talk(served.url, get(b"/healthz") + get(b"/nowhere") + post(BODY, b"connection: close"))

    assert re.findall(rb"HTTP/1\.1 (\d+) ", text) == [b"200", b"404", b"200"]


def test_requests_sent_ahead_are_bounded(gateway: Gateway, provider: Make) -> None:
    one = provider((STREAM, word("Hi"), HOLD, END, DONE))
    served = gateway({"providers": {"p": one.account()}, "models": route("p/x")})

    with connect(served.url) as sock:
        sock.sendall(post(STREAMED) + get(b"/healthz") * 3000)
        text = until(sock, b'"Hi"')
        one.let_go()
        text += until_closed(sock)

    assert 10 < text.count(b"HTTP/1.1 200 ") < 20
    assert b"HTTP/1.1 4" not in text


def test_a_client_of_http_1_0_gets_a_stream_without_chunks(gateway: Gateway, provider: Make) -> None:
    served = gateway({"providers": {"p": provider(streamed("Hi", "there")).account()}, "models": route("p/x")})

    head, _, body = talk(served.url, post(STREAMED, version=b"1.0")).partition(b"\r\n\r\n")

    assert b"transfer-encoding" not in head
    assert b"connection: close" in head
    lines = [line for line in body.decode().split("\n") if line]
    assert all(line.startswith("data: ") for line in lines)
    assert lines[-1] == "data: [DONE]"


def test_a_client_of_http_1_0_gets_a_plain_answer(served: Served) -> None:
    head, _, body = talk(served.url, post(version=b"1.0")).partition(b"\r\n\r\n")

    assert head.startswith(b"HTTP/1.1 200 ")
    assert json.loads(body)["choices"]


def test_a_client_that_waits_for_100_gets_it(served: Served) -> None:
    data = post(BODY, b"expect: 100-continue", b"connection: close")
    with connect(served.url) as sock:
        sock.sendall(data[: -len(BODY)])
        first = until(sock, b"\r\n\r\n")
        sock.sendall(BODY)
        rest = until_closed(sock)

    assert first == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert rest.startswith(b"HTTP/1.1 200 ")


def test_a_client_with_a_wrong_key_is_not_asked_for_its_body(served: Served) -> None:
    data = post(BODY, b"expect: 100-continue").replace(KEY.encode(), b"sk-wrong")

    answer = talk(served.url, data[: -len(BODY)])

    assert answer.startswith(b"HTTP/1.1 401 ")


@pytest.mark.parametrize("offer", [b"h2c", b"websocket"])
def test_an_offer_of_another_protocol_is_passed_over(served: Served, offer: bytes) -> None:
    """Java's own client makes one with every first request."""
    asked = post(BODY, b"connection: Upgrade, HTTP2-Settings", b"upgrade: " + offer, b"http2-settings: AAMAAABkAAQAAP__")

    with connect(served.url) as sock:
        for _ in range(2):
            sock.sendall(asked)
            assert until(sock, b'"total_tokens"').startswith(b"HTTP/1.1 200 ")
        sock.sendall(asked + get(b"/healthz", b"connection: close"))
        both = until_closed(sock)

    assert both.count(b"HTTP/1.1 200 ") == 2


# ---- addresses ----


@pytest.mark.parametrize(
    "target",
    [
        b"//v1/models", b"/v1//models", b"/v1/./models", b"/v1/x/../models", b"/v1/%2e%2e/v1/models", b"/v1/..%2fmodels", b"/v1/models;x",
        b"/v1/models%00", b"/V1/MODELS", b"/v1\\models", b"/%2561dmin/v1/accounts", b"/v1/../admin/v1/accounts", b"//admin/v1/accounts",
        b"/.//healthz", b"/healthz/", b"/healthz%20", b"/openai/deployments/../chat/completions",
    ],
)  # fmt: skip
def test_an_address_written_in_another_way_is_another_address(served: Served, target: bytes) -> None:
    answer = talk(served.url, get(target, b"connection: close"))

    assert answer[9:12] in (b"404", b"405", b"400"), answer[:200]
    assert set(json.loads(answer.partition(b"\r\n\r\n")[2])["error"]) == {"message", "type", "param", "code"}


@pytest.mark.parametrize("host", [b"127.0.0.1", b"evil.example", b"x/admin/v1?"])
def test_an_absolute_address_is_looked_up_by_its_path_alone(served: Served, host: bytes) -> None:
    answer = talk(served.url, get(b"http://" + host + b"/v1/nowhere", b"connection: close"))

    assert answer[9:12] in (b"404", b"400")


@pytest.mark.parametrize(
    "line", [b"OPTIONS * HTTP/1.1", b"CONNECT example.com:443 HTTP/1.1", b"GET http:// HTTP/1.1", b"GET v1/models HTTP/1.1"]
)
def test_an_address_that_is_no_path_is_refused(served: Served, line: bytes) -> None:
    refusal(talk(served.url, line + b"\r\n" + AUTH + b"\r\n"), 400, "invalid_http")


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "TRACE", "PATCH", "PROPFIND"])
def test_a_method_that_an_address_does_not_take_is_405_with_those_it_does(served: Served, method: str) -> None:
    reply = served.client.request(method, "/v1/models")

    assert (reply.status_code, reply.headers["allow"]) == (405, "GET")
    assert reply.headers["content-type"] == "application/json"
    assert served.chat().status_code == 200
    if method == "HEAD":
        assert reply.content == b""
    else:
        assert reply.json()["error"]["code"] == "method_not_allowed"


@pytest.mark.parametrize("carrier", ["?api-key=", "?api_key=", "?key="])
def test_a_key_in_the_address_is_none(served: Served, carrier: str) -> None:
    reply = httpx.get(f"{served.url}/v1/models{carrier}{KEY}", trust_env=False)

    assert reply.status_code == 401


def test_a_key_in_a_cookie_is_none(served: Served) -> None:
    reply = httpx.get(f"{served.url}/v1/models", headers={"cookie": f"authorization=Bearer {KEY}; api-key={KEY}"}, trust_env=False)

    assert reply.status_code == 401
