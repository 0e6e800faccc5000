"""HTTP written by hand: what no library would send, and what comes back, byte for byte."""

import json
import socket
from contextlib import suppress
from urllib.parse import urlsplit

from providers.base import Json
from tests.conftest import KEY, PATIENCE

BODY = b'{"model":"m","messages":[{"role":"user","content":"Hello"}]}'
STREAMED = BODY[:-1] + b',"stream":true}'
AUTH = b"host: x\r\nauthorization: Bearer " + KEY.encode() + b"\r\n"


def post(body: bytes = BODY, *headers: bytes, version: bytes = b"1.1") -> bytes:
    lines = b"".join(header + b"\r\n" for header in headers)
    return b"POST /v1/chat/completions HTTP/%s\r\n%scontent-length: %d\r\n%s\r\n%s" % (version, AUTH, len(body), lines, body)


def get(path: bytes = b"/v1/models", *headers: bytes) -> bytes:
    return b"GET %s HTTP/1.1\r\n%s%s\r\n" % (path, AUTH, b"".join(header + b"\r\n" for header in headers))


def connect(url: str) -> socket.socket:
    parts = urlsplit(url)
    return socket.create_connection((parts.hostname, parts.port), PATIENCE)


def until_closed(sock: socket.socket) -> bytes:
    """All that comes until the other side closes. Raises TimeoutError if it does not."""
    held = b""
    with suppress(ConnectionError):
        while data := sock.recv(1 << 16):
            held += data
    return held


def until(sock: socket.socket, end: bytes) -> bytes:
    held = b""
    while end not in held and (data := sock.recv(1 << 16)):
        held += data
    return held


def talk(url: str, *pieces: bytes) -> bytes:
    """What is said to these bytes until the connection is closed."""
    with connect(url) as sock:
        with suppress(ConnectionError):
            for data in pieces:
                sock.sendall(data)
        return until_closed(sock)


def refusal(answer: bytes, status: int, code: str) -> Json:
    """The answer's error. It is the only answer, in OpenAI's form, and the connection's last."""
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    assert lines[0].startswith(b"http/1.1 %d " % status), answer[:300]
    assert b"content-type: application/json" in lines
    assert b"connection: close" in lines
    assert any(line.startswith(b"x-request-id: req_") for line in lines)
    error: Json = json.loads(body)["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert (error["type"], error["code"]) == ("invalid_request_error", code)
    return error
