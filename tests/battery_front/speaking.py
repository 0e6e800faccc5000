"""A client that minds no manners: bytes by hand over a socket, and what comes back, read as strictly as HTTP can be read."""

import json
import re
import socket
from collections.abc import Iterable
from contextlib import suppress
from itertools import count
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct

from tests.conftest import KEY, PATIENCE

Json = dict[str, Any]
HOST = b"host: x\r\n"
BEARER = b"authorization: Bearer %s\r\n" % KEY.encode()
AUTH = HOST + BEARER
BLUE = "sk-of-the-blue-team"
"""The key of another team."""
CHAT = b"/v1/chat/completions"
LAST = b"connection: close"
_numbers = count()


def mark() -> str:
    """What a request is known by at the vendor."""
    return f"mark-{next(_numbers)}"


def body_of(model: str = "good", said: str = "Hello", **fields: Any) -> bytes:
    return json.dumps({"model": model, "messages": [{"role": "user", "content": said}], **fields}).encode()


def post(body: bytes, *headers: bytes, path: bytes = CHAT, auth: bytes = AUTH, version: bytes = b"1.1") -> bytes:
    lines = b"".join(header + b"\r\n" for header in headers)
    return b"POST %s HTTP/%s\r\n%scontent-length: %d\r\n%s\r\n%s" % (path, version, auth, len(body), lines, body)


def get(path: bytes, *headers: bytes, method: bytes = b"GET", auth: bytes = AUTH) -> bytes:
    return b"%s %s HTTP/1.1\r\n%s%s\r\n" % (method, path, auth, b"".join(header + b"\r\n" for header in headers))


class Answer(Struct):
    status: int
    headers: list[tuple[str, str]]
    body: bytes
    whole: bool = True
    """Its body ended as HTTP says that bodies end."""

    def header(self, name: str) -> str | None:
        """A header that may be there once."""
        values = [value for known, value in self.headers if known == name]
        assert len(values) <= 1, values
        return values[0] if values else None

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def request_id(self) -> str:
        given = self.header("x-request-id")
        assert given
        return given


def connect(url: str, patience: float = PATIENCE) -> socket.socket:
    parts = urlsplit(url)
    return socket.create_connection((parts.hostname, parts.port), patience)


def send(sock: socket.socket, *pieces: bytes) -> None:
    """As far as the other side takes it."""
    with suppress(ConnectionError):
        for data in pieces:
            sock.sendall(data)


def until_closed(sock: socket.socket) -> bytes:
    """All that comes until the other side closes. Raises TimeoutError if it does not."""
    pieces = []
    with suppress(ConnectionError):
        while data := sock.recv(1 << 18):
            pieces.append(data)
    return b"".join(pieces)


def until(sock: socket.socket, words: bytes) -> bytes:
    held = b""
    while words not in held:
        data = sock.recv(1 << 16)
        assert data, f"it ended without {words!r}: {held[-500:]!r}"
        held += data
    return held


def talk(url: str, *pieces: bytes) -> bytes:
    """What is said to these bytes until the connection is closed."""
    with connect(url) as sock:
        send(sock, *pieces)
        return until_closed(sock)


def ask(url: str, *pieces: bytes, method: str = "POST") -> Answer:
    """The only answer to these bytes, after which the connection is closed."""
    (answer,) = answers(talk(url, *pieces), [method])
    return answer


def answers(raw: bytes, methods: Iterable[str] = ()) -> list[Answer]:
    """All answers that came over a connection. Nothing may come beside them. `methods`: the requests'; POST where it does not say."""
    found: list[Answer] = []
    asked = iter(methods)
    while raw:
        answer, raw = _one(raw, next(asked, "POST"))
        if answer.status >= 200:
            found.append(answer)
    return found


HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+: ?[\t -~]*")


def _one(raw: bytes, method: str) -> tuple[Answer, bytes]:
    head, blank, rest = raw.partition(b"\r\n\r\n")
    assert blank, raw[:300]
    first, *lines = head.decode("latin-1").split("\r\n")
    assert re.fullmatch(r"HTTP/1\.1 \d{3} [ -~]*", first), first
    assert all(HEADER.fullmatch(line) for line in lines), lines
    headers = [(name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines)]
    answer = Answer(int(first.split(" ")[1]), headers, b"")
    if answer.status < 200 or method == "HEAD":
        return answer, rest
    if answer.header("transfer-encoding") == "chunked":
        answer.body, answer.whole, rest = _dechunked(rest)
    elif (length := answer.header("content-length")) is not None:
        answer.body, rest = rest[: int(length)], rest[int(length) :]
        answer.whole = len(answer.body) == int(length)
    else:
        assert answer.header("connection") == "close"
        answer.body, rest = rest, b""
    return answer, rest


def _dechunked(raw: bytes) -> tuple[bytes, bool, bytes]:
    body: list[bytes] = []
    at = 0
    while (end := raw.find(b"\r\n", at)) >= 0:
        length = int(raw[at:end], 16)
        at = end + 2
        if length == 0:
            return b"".join(body), raw[at : at + 2] == b"\r\n", raw[at + 2 :]
        body.append(raw[at : at + length])
        at += length + 2
    return b"".join(body), False, b""


# ---- what may be said of answers ----


def refused(answer: Answer, status: int | Iterable[int], code: str | None = "") -> Json:
    """The error: OpenAI's form, and nothing in it that should not be. `code`: "" for any."""
    allowed = [status] if isinstance(status, int) else list(status)
    assert answer.status in allowed, answer
    assert answer.whole
    assert answer.header("content-type") == "application/json"
    assert answer.header("content-length") == str(len(answer.body))
    assert answer.request_id
    said = answer.json
    assert set(said) == {"error"}
    error: Json = said["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert isinstance(error["message"], str)
    assert 0 < len(error["message"]) <= 2000
    assert isinstance(error["type"], str)
    assert error["code"] != "internal_error"
    assert code in ("", error["code"]), error
    for secret in ("provider-key", KEY, "Traceback", "127.0.0.1"):
        assert secret not in answer.body.decode()
    return error


def good(answer: Answer) -> Answer:
    """The vendor's plain answer."""
    assert answer.status == 200, answer
    assert answer.whole
    assert answer.json["choices"][0]["message"]["content"] == "Good"
    return answer


def streamed(answer: Answer) -> str:
    """The words of a stream that is whole."""
    assert answer.status == 200, answer
    assert answer.whole
    *events, done, nothing = answer.body.decode().split("\n\n")
    assert (done, nothing) == ("data: [DONE]", "")
    chunks = [json.loads(event.removeprefix("data: ")) for event in events]
    choices = [choice for chunk in chunks for choice in chunk["choices"]]
    assert [choice["finish_reason"] for choice in choices if choice["finish_reason"]] == ["stop"]
    return "".join(choice["delta"].get("content") or "" for choice in choices)


def seconds_since(began: float) -> float:
    return monotonic() - began
