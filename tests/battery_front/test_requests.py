"""Requests that break HTTP's rules, bend them, or are left half-said: what is answered, and that no byte of one is taken for another."""

import random
import socket
from collections.abc import Callable

import pytest
from msgspec import Struct

from tests.battery_front.conftest import Front
from tests.battery_front.speaking import (
    AUTH,
    BEARER,
    CHAT,
    HOST,
    LAST,
    answers,
    ask,
    body_of,
    connect,
    get,
    good,
    mark,
    post,
    refused,
    send,
    streamed,
    talk,
    until,
    until_closed,
)
from tests.conftest import PATIENCE

START = b"POST %s HTTP/1.1\r\n" % CHAT
TE = b"transfer-encoding: chunked\r\n"
BODY = body_of()
NEXT = get(b"/v1/models", LAST)
"""A request behind the first one, which must not be reached where the end of that is in doubt."""


CHUNKED = post(b"", LAST).replace(b"content-length: 0\r\n", TE)


def chunked(*lines: bytes) -> bytes:
    return START + AUTH + TE + b"\r\n" + b"".join(lines)


def sized(length: bytes, body: bytes = BODY) -> bytes:
    return START + AUTH + b"content-length: " + length + b"\r\n\r\n" + body


WHOLE = b"%x\r\n%s\r\n" % (len(BODY), BODY)
SIZE = b"%d" % len(BODY)
NO_HTTP: dict[str, bytes] = {
    # the request line
    "http-0.9": b"GET /v1/models\r\n\r\n",
    "http-1.2": b"GET /v1/models HTTP/1.2\r\n" + AUTH + b"\r\n",
    "http-2.0": b"GET /v1/models HTTP/2.0\r\n" + AUTH + b"\r\n",
    "http-11": b"GET /v1/models HTTP/11\r\n" + AUTH + b"\r\n",
    "icy": b"GET /v1/models ICY/1.1\r\n" + AUTH + b"\r\n",
    "a-method-in-small-letters": b"get /v1/models HTTP/1.1\r\n" + AUTH + b"\r\n",
    "a-method-nobody-knows": b"FETCH /v1/models HTTP/1.1\r\n" + AUTH + b"\r\n",
    "a-blank-in-the-path": b"GET /v1/mod els HTTP/1.1\r\n" + AUTH + b"\r\n",
    "a-null-in-the-path": b"GET /v1/mod\x00els HTTP/1.1\r\n" + AUTH + b"\r\n",
    "no-path": b"GET HTTP/1.1\r\n" + AUTH + b"\r\n",
    "only-a-carriage-return-at-its-end": b"GET /v1/models HTTP/1.1\r" + AUTH + b"\r\n",
    "tls": b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03",
    "ssh": b"SSH-2.0-OpenSSH_9.6\r\n",
    # header lines
    "a-header-without-a-colon": START + AUTH + b"content-length\r\n\r\n" + NEXT,
    "a-header-without-a-name": START + AUTH + b": 5\r\n\r\n" + NEXT,
    "a-name-with-a-blank": START + AUTH + b"content length: 5\r\n\r\n" + NEXT,
    "a-name-in-brackets": START + AUTH + b"content(length): 5\r\n\r\n" + NEXT,
    "a-line-folded-with-a-tab": START + AUTH + b"x: a\r\n\tb\r\ncontent-length: 0\r\n\r\n" + NEXT,
    "a-folded-first-line": START + b" " + AUTH + b"content-length: 0\r\n\r\n" + NEXT,
    "line-ends-of-one-byte": (START + AUTH + b"content-length: 0\r\n\r\n").replace(b"\r\n", b"\n") + NEXT,
    "one-line-end-of-one-byte": START + HOST + b"x: a\n" + BEARER + b"content-length: 0\r\n\r\n" + NEXT,
    "two-hosts": START + HOST + AUTH + b"content-length: 0\r\n\r\n" + NEXT,
    "no-host": START + BEARER + b"content-length: 0\r\n\r\n" + NEXT,
    "a-host-that-is-a-path": START + b"host: x/admin/v1?\r\n" + BEARER + b"content-length: 0\r\n\r\n" + NEXT,
    # where the body ends
    "a-length-twice-the-same": START + AUTH + b"content-length: %s\r\n" % SIZE * 2 + b"\r\n" + BODY + NEXT,
    "a-negative-length": sized(b"-1") + NEXT,
    "a-length-with-a-blank-in-it": sized(SIZE[:1] + b" " + SIZE[1:]) + NEXT,
    "a-length-of-nothing": sized(b"") + NEXT,
    "a-length-beyond-64-bits": sized(b"18446744073709551617") + NEXT,
    "a-length-in-other-digits": sized("７５".encode()) + NEXT,
    "a-length-with-a-fraction": sized(SIZE + b".0") + NEXT,
    "chunks-twice": START + AUTH + TE + TE + b"\r\n" + WHOLE + b"0\r\n\r\n" + NEXT,
    "chunks-compressed": START + AUTH + b"transfer-encoding: gzip, chunked\r\n\r\n" + WHOLE + b"0\r\n\r\n" + NEXT,
    "chunks-with-a-tab-before-the-colon": START + AUTH + b"transfer-encoding\t: chunked\r\n\r\n0\r\n\r\n" + NEXT,
    "chunks-in-http-1.0": b"POST %s HTTP/1.0\r\n" % CHAT + AUTH + TE + b"\r\n" + WHOLE + b"0\r\n\r\n" + NEXT,
    "chunks-in-quotes": START + AUTH + b'transfer-encoding: "chunked"\r\n\r\n' + WHOLE + b"0\r\n\r\n" + NEXT,
    "chunks-and-a-length-of-them": START + AUTH + TE + b"content-length: %d\r\n\r\n" % (len(WHOLE) + 5) + WHOLE + b"0\r\n\r\n" + NEXT,
    "a-chunk-size-of-nothing": chunked(b"\r\n", BODY, b"\r\n0\r\n\r\n", NEXT),
    "a-chunk-size-in-0x": chunked(b"0x", WHOLE, b"0\r\n\r\n", NEXT),
    "a-negative-chunk": chunked(b"-1\r\n", BODY, b"\r\n0\r\n\r\n", NEXT),
    "a-chunk-size-with-a-line-end-of-one-byte": chunked(WHOLE.replace(b"\r\n", b"\n", 1), b"0\r\n\r\n", NEXT),
    "a-chunk-longer-than-it-says": chunked(b"%x\r\n%s\r\n" % (len(BODY) - 1, BODY), b"0\r\n\r\n", NEXT),
    "a-chunk-extension-with-a-line-end-of-one-byte": chunked(WHOLE.replace(b"\r\n", b";x=\n\r\n", 1), b"0\r\n\r\n", NEXT),
}


@pytest.mark.parametrize("case", NO_HTTP)
def test_what_breaks_the_rules_of_http_is_refused_with_all_that_follows(front: Front, case: str) -> None:
    before = front.vendor.count

    answer = ask(front.url, NO_HTTP[case])

    refused(answer, 400, "invalid_http")
    assert answer.header("connection") == "close"
    assert front.vendor.count == before


LEGAL: dict[str, bytes] = {
    "blank-lines-before-it": b"\r\n\r\n" + post(BODY, LAST),
    "names-in-capitals": post(BODY, b"CONNECTION: CLOSE", auth=AUTH.replace(b"authorization", b"AUTHORIZATION")),
    "no-blank-after-the-colon": post(BODY, LAST, auth=AUTH.replace(b": ", b":")),
    "blanks-and-tabs-around-a-value": post(BODY, LAST, b"x: \t a \t"),
    "an-empty-value": post(BODY, LAST, b"x:"),
    "a-host-with-a-port": post(BODY, LAST, auth=b"host: api.example.com:8080\r\n" + BEARER),
    "an-ipv6-host": post(BODY, LAST, auth=b"host: [::1]:8080\r\n" + BEARER),
    "an-empty-host": post(BODY, LAST, auth=b"host:\r\n" + BEARER),
    "http-1.0-without-a-host": post(BODY, auth=BEARER, version=b"1.0"),
    "bytes-beyond-ascii-in-a-value": post(BODY, LAST, "x: 你好".encode()),
    "an-absolute-address": post(BODY, LAST, path=b"http://elsewhere.example" + CHAT),
    "a-query": post(BODY, LAST, path=CHAT + b"?api-version=2024-10-21&x=%00%0d%0a#y"),
    "a-length-with-zeros-before-it": post(BODY, LAST).replace(b"content-length: ", b"content-length: 000"),
    "chunks": CHUNKED + WHOLE + b"0\r\n\r\n",
    "chunks-in-capitals": CHUNKED.replace(TE, b"Transfer-Encoding: Chunked\r\n") + WHOLE + b"0\r\n\r\n",
    "chunks-with-extensions": CHUNKED + WHOLE.replace(b"\r\n", b';a="b"\r\n', 1) + b"0;c\r\n\r\n",
    "chunks-of-a-byte": CHUNKED + b"".join(b"1\r\n%c\r\n" % byte for byte in BODY) + b"0\r\n\r\n",
    "trailers": CHUNKED + WHOLE + b"0\r\nauthorization: Bearer other\r\n\r\n",
    "an-expectation-that-is-not-waited-for": post(BODY, LAST, b"expect: 100-continue"),
}


@pytest.mark.parametrize("case", LEGAL)
def test_what_http_allows_is_served(front: Front, case: str) -> None:
    good(ask(front.url, LEGAL[case]))


@pytest.mark.parametrize("size", [1, 7])
def test_a_request_may_come_in_pieces_of_any_size(front: Front, size: int) -> None:
    data = post(BODY, LAST)

    with connect(front.url) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        send(sock, *(data[at : at + size] for at in range(0, len(data), size)))
        (answer,) = answers(until_closed(sock))

    good(answer)


# ---- addresses and methods ----

PATHS: dict[str, tuple[bytes, bytes, int, str | None]] = {
    "a-slash-at-its-end": (b"POST", CHAT + b"/", 200, None),
    "v1-twice": (b"POST", b"/v1" + CHAT, 200, None),
    "no-v1": (b"POST", CHAT.removeprefix(b"/v1"), 200, None),
    "as-on-azure": (b"POST", b"/openai/deployments/good/chat/completions?api-version=2024-10-21", 200, None),
    "as-on-azures-v1": (b"POST", b"/openai/v1/chat/completions", 200, None),
    "azure-without-a-deployment": (b"POST", b"/openai/deployments//chat/completions", 404, "unknown_url"),
    "the-root": (b"GET", b"/", 404, "unknown_url"),
    "v1-alone": (b"GET", b"/v1", 404, "unknown_url"),
    "two-slashes": (b"POST", b"//v1/chat/completions", 404, "unknown_url"),
    "two-slashes-within": (b"POST", b"/v1/chat//completions", 404, "unknown_url"),
    "dots": (b"POST", b"/v1/x/../chat/completions", 404, "unknown_url"),
    "dots-to-the-admin-api": (b"GET", b"/v1/../admin/v1/accounts", 404, "unknown_url"),
    "an-encoded-slash": (b"POST", b"/v1/chat%2fcompletions", 200, None),
    "an-encoded-line-end": (b"POST", b"/v1/chat/completions%0d%0aset-cookie:x", 404, "unknown_url"),
    "an-encoded-null": (b"POST", b"/v1/chat/completions%00", 404, "unknown_url"),
    "an-address-that-is-no-utf-8": (b"POST", b"/v1/%ff%fe", 404, "unknown_url"),
    "an-address-in-chinese": (b"POST", "/v1/聊天".encode(), 400, "invalid_http"),
    "only-a-question-mark": (b"GET", b"/?", 404, "unknown_url"),
    "an-asterisk-after-a-host": (b"OPTIONS", b"http://x*", 400, "invalid_http"),
    "another-endpoint-of-openai": (b"POST", b"/v1/videos", 404, "retired_endpoint"),
    "a-model-that-is-not-there": (b"GET", b"/v1/models/nothing", 404, "model_not_found"),
    "a-model-with-a-slash": (b"GET", b"/v1/models/any-a/b", 200, None),
    "a-model-with-a-line-end": (b"GET", b"/v1/models/any-%0d%0aset-cookie:x", 200, None),
    "get-for-post": (b"GET", CHAT, 405, "method_not_allowed"),
    "put-for-post": (b"PUT", CHAT, 405, "method_not_allowed"),
    "delete-for-post": (b"DELETE", CHAT, 405, "method_not_allowed"),
    "post-for-get": (b"POST", b"/v1/models", 405, "method_not_allowed"),
    "delete-a-model": (b"DELETE", b"/v1/models/good", 404, "model_not_found"),
    "head-for-post": (b"HEAD", CHAT, 405, None),
    "options": (b"OPTIONS", CHAT, 405, "method_not_allowed"),
    "trace": (b"TRACE", CHAT, 405, "method_not_allowed"),
    "post-to-health": (b"POST", b"/healthz", 405, "method_not_allowed"),
}


@pytest.mark.parametrize("case", PATHS)
def test_an_address_is_served_as_it_is_meant_or_refused_in_openais_words(front: Front, case: str) -> None:
    method, path, status, code = PATHS[case]
    sent = post(BODY, LAST, path=path).replace(b"POST", method, 1) if method == b"POST" else get(path, LAST, method=method)

    answer = ask(front.url, sent, method=method.decode())

    if method == b"HEAD":
        assert (answer.status, answer.body) == (status, b"")
    elif status == 200:
        assert answer.status == 200, answer
        assert "set-cookie" not in dict(answer.headers)
    else:
        refused(answer, status, code)
    if status == 405:
        assert answer.header("allow") in ("POST", "GET", "GET, HEAD")


# ---- one after the other on one connection ----


def test_requests_sent_ahead_are_answered_in_their_order_whatever_they_are(front: Front) -> None:
    sent = [post(BODY), get(b"/v1/nowhere"), post(b"{"), get(b"/healthz", method=b"HEAD"), post(body_of(stream=True)), post(BODY, LAST)]

    found = answers(talk(front.url, b"".join(sent)), ["POST", "GET", "POST", "HEAD"])

    assert [answer.status for answer in found] == [200, 404, 400, 200, 200, 200]
    assert streamed(found[4]) == "Good"
    assert len({answer.request_id for answer in found}) == 6


def test_a_body_that_was_not_read_is_not_taken_for_the_next_request(front: Front) -> None:
    """A refusal by the head alone leaves the body on the wire."""
    hidden = get(b"/v1/models", LAST)

    for head in (post(hidden, auth=HOST), post(hidden, b"content-encoding: gzip"), post(hidden, path=b"/v1/nowhere")):
        answer = ask(front.url, head)
        assert answer.header("connection") == "close"
        refused(answer, (401, 404, 415))


def test_what_is_wrong_behind_a_good_request_does_not_spoil_that(front: Front) -> None:
    first, *others = answers(talk(front.url, post(BODY) + NO_HTTP["two-hosts"]))

    good(first)
    assert [answer.status for answer in others] in ([], [400])


@pytest.mark.parametrize("wish", [b"keep-alive", b"close"])
def test_http_1_0_is_answered_once_whatever_it_wishes(front: Front, wish: bytes) -> None:
    (once,) = answers(talk(front.url, post(BODY, b"connection: " + wish, version=b"1.0") * 2))

    good(once)
    assert once.header("connection") == "close"


@pytest.mark.parametrize("expected", [b"200-ok", b"100-continue, x"])
def test_an_expectation_that_is_not_known_is_passed_over(front: Front, expected: bytes) -> None:
    good(ask(front.url, post(BODY, LAST, b"expect: " + expected)))


def test_a_body_larger_than_is_taken_is_refused_before_it_comes(front: Front) -> None:
    head = b"POST %s HTTP/1.1\r\n" % CHAT + AUTH + b"content-length: 33554433\r\nexpect: 100-continue\r\n\r\n"

    (answer,) = answers(talk(front.url, head))

    refused(answer, 413, "request_too_large")


@pytest.mark.parametrize("first", [b"content-length: %d" % len(BODY), b"transfer-encoding: chunked"])
def test_a_client_that_waits_for_100_and_gets_a_refusal_sends_no_body(front: Front, first: bytes) -> None:
    before = front.vendor.count

    raw = talk(front.url, START + HOST + b"authorization: Bearer nobodys\r\n" + first + b"\r\nexpect: 100-continue\r\n\r\n")

    assert b"100 Continue" not in raw
    (answer,) = answers(raw)
    refused(answer, 401, "invalid_api_key")
    assert front.vendor.count == before


# ---- anything ----


@pytest.mark.parametrize("seed", range(8))
def test_whatever_bytes_come_the_answer_is_http_and_the_failure_not_ours(front: Front, seed: int) -> None:
    """A good request with some of its bytes changed, taken away, doubled or put elsewhere."""
    dice = random.Random(seed)
    whole = post(body_of(stream=seed % 2 == 0), b"x-request-id: a", b"accept: */*", LAST)
    for _ in range(25):
        data = bytearray(whole)
        for _ in range(dice.choice((1, 1, 2, 5))):
            at, size = dice.randrange(len(data)), dice.choice((1, 1, 4, 30))
            match dice.randrange(4):
                case 0:
                    data[at : at + size] = dice.choice(ODD)
                case 1:
                    del data[at : at + size]
                case 2:
                    data[at:at] = data[at : at + size]
                case _:
                    data[at:at] = dice.choice(ODD)
        with connect(front.url) as sock:
            send(sock, bytes(data))
            sock.shutdown(socket.SHUT_WR)
            raw = until_closed(sock)
        for answer in answers(raw, ["POST"] if b"HEAD" not in data else ["HEAD"]):
            assert answer.status < 500, bytes(data)


ODD = [*(b"%c" % sign for sign in b'\r\n\0\xff \t:,0"{]'), b"9" * 20, b"-1", b"\\u", b"\r\n", b"\r\n\r\n", TE]


# ---- leaving ----

Leave = Callable[[socket.socket], None]


def close(sock: socket.socket) -> None:
    sock.close()


def half_close(sock: socket.socket) -> None:
    sock.shutdown(socket.SHUT_WR)


def reset(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    sock.close()


class Phase(Struct, frozen=True):
    """Where a client leaves: what it has sent, and what has come back by then."""

    model: str = "held"
    stream: bool = False
    short_of: int = 0
    """Bytes of the request that are not sent."""
    after: bytes = b""
    """Of the answer."""
    asked: bool = True
    """The vendor has been."""
    recorded: bool = True


PHASES: dict[str, Phase] = {
    "in-the-head": Phase(short_of=150, asked=False, recorded=False),
    "before-the-body": Phase(short_of=-1, asked=False),
    "in-the-body": Phase(short_of=5, asked=False),
    "waiting-for-an-answer": Phase(),
    "waiting-for-another-attempt": Phase(model="slow-down"),
    "in-the-stream": Phase(stream=True, after=b'"Hi"'),
    "in-a-stream-that-does-not-end": Phase(model="flood", stream=True, after=b"word"),
}
"""`short_of` -1: the whole body."""


@pytest.mark.parametrize("way", [close, half_close, reset])
@pytest.mark.parametrize("case", PHASES)
def test_a_client_that_leaves_is_missed_and_its_vendor_let_go(front: Front, case: str, way: Leave) -> None:
    phase, name = PHASES[case], mark()
    body = body_of(phase.model, name, stream=phase.stream)
    data = post(body, b"x-request-id: " + name.encode())
    short = len(body) if phase.short_of < 0 else phase.short_of

    with connect(front.url) as sock:
        send(sock, data[: len(data) - short])
        if phase.after:
            until(sock, phase.after)
        if phase.asked:
            front.vendor.seen(name)
        way(sock)

        if phase.recorded:
            assert front.service.record(name)["status"] == 499
    if phase.model == "held" and phase.asked:
        assert front.vendor.seen(name)[0].left.wait(PATIENCE)
    assert front.vendor.asked(name) == int(phase.asked)
