"""A client that hides nothing: requests by hand over a socket, answers byte for byte, and what may be said of them."""

import json
import re
import socket
from contextlib import suppress
from time import monotonic
from types import TracebackType
from typing import Any, Literal
from urllib.parse import urlsplit

from msgspec import Struct
from openai import OpenAI

from tests.conftest import KEY, PATIENCE

Json = dict[str, Any]


class Heard(Struct):
    """A whole answer."""

    status: int
    headers: dict[str, str]
    body: bytes
    proper: bool
    """Its body ended as HTTP says that bodies end."""
    seconds: float

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def attempts(self) -> int:
        return int(self.headers["x-banjia-attempts"])

    @property
    def served_by(self) -> str:
        return self.headers["x-banjia-provider"].rpartition("-")[2]


class Call:
    """One request on a connection of its own, and its answer as far as it is read."""

    def __init__(self, url: str, model: str, *, headers: dict[str, str] | None = None, **fields: Any) -> None:
        body = json.dumps({"model": model, "messages": [{"role": "user", "content": "Hello"}], **fields}).encode()
        lines = {"host": "x", "authorization": f"Bearer {KEY}", "content-length": str(len(body)), **(headers or {})}
        parts = urlsplit(url)
        self._held = b""
        self.began = monotonic()
        self._socket = socket.create_connection((parts.hostname, parts.port), PATIENCE)
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        self._socket.sendall(f"POST /v1/chat/completions HTTP/1.1\r\n{head}connection: close\r\n\r\n".encode() + body)

    def __enter__(self) -> "Call":
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None) -> None:
        self._socket.close()

    def until(self, words: bytes) -> bytes:
        """What has come when these words have."""
        while words not in self._held:
            data = self._socket.recv(1 << 16)
            assert data, f"it ended without {words!r}: {self._held[-500:]!r}"
            self._held += data
        return self._held

    def leave(self) -> float:
        """Closes the connection; the moment."""
        self._socket.close()
        return monotonic()

    def heard(self) -> Heard:
        """The answer, once the other side has closed the connection."""
        pieces = [self._held]
        with suppress(ConnectionError):
            while data := self._socket.recv(1 << 18):
                pieces.append(data)
        seconds = monotonic() - self.began
        head, _, rest = b"".join(pieces).partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        assert re.fullmatch(r"HTTP/1\.1 \d{3} [ -~]*", first), first
        if headers.get("transfer-encoding") == "chunked":
            body, proper = _dechunked(rest)
        else:
            body, proper = rest, len(rest) == int(headers["content-length"])
        return Heard(int(first.split(" ")[1]), headers, body, proper, seconds)


def _dechunked(raw: bytes) -> tuple[bytes, bool]:
    body: list[bytes] = []
    at = 0
    while (end := raw.find(b"\r\n", at)) >= 0:
        length = int(raw[at:end], 16)
        at = end + 2
        if length == 0:
            return b"".join(body), raw[at:] == b"\r\n"
        body.append(raw[at : at + length])
        at += length
        if raw[at : at + 2] != b"\r\n":
            break
        at += 2
    return b"".join(body), False


def sdk(url: str) -> OpenAI:
    """OpenAI's own client, which tries nothing twice."""
    return OpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0, timeout=PATIENCE)


# ---- what may be said of answers ----


def refused(heard: Heard, status: int, code: str | None = None) -> Json:
    """The error. It is of OpenAI's form, and says nothing that it should not."""
    assert heard.status == status, heard
    assert heard.proper
    assert heard.headers["content-type"] == "application/json"
    assert heard.headers["x-request-id"]
    return _sound(heard.json, code)


def _sound(said: Json, code: str | None) -> Json:
    assert set(said) == {"error"}
    error: Json = said["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert isinstance(error["message"], str)
    assert 0 < len(error["message"]) <= 2000
    assert isinstance(error["code"], str)
    assert error["code"] != "internal_error"
    assert code in (None, error["code"]), error
    for secret in ("provider-key", "127.0.0.1", "Traceback"):
        assert secret not in error["message"]
    return error


class Told(Struct):
    """A stream as its client understands it."""

    text: str
    finishes: list[str]
    usage: Json | None
    chunks: list[Json]
    ends: Literal["done", "error", "cut"]
    error: Json | None


def told(heard: Heard) -> Told:
    """What a stream says. It has to be in OpenAI's grammar, whatever it says."""
    assert heard.status == 200, heard
    assert heard.headers["content-type"].startswith("text/event-stream")
    assert heard.proper
    blocks = heard.body.decode().split("\n\n")
    assert blocks.pop() == ""
    chunks: list[Json] = []
    error: Json | None = None
    ends: Literal["done", "error", "cut"] = "cut"
    for block in blocks:
        assert ends == "cut", f"something comes after the end: {block}"
        assert block.startswith("data: ")
        assert "\n" not in block
        if block == "data: [DONE]":
            ends = "done"
        elif "error" in (said := json.loads(block[6:])):
            ends, error = "error", said
        else:
            chunks.append(said)
    return Told(*_read(chunks), chunks, ends, error)


def _read(chunks: list[Json]) -> tuple[str, list[str], Json | None]:
    text, finishes, usage, ended, started = "", [], None, set[int](), set[int]()
    assert len({(chunk["id"], chunk["model"], chunk["created"]) for chunk in chunks}) <= 1
    for chunk in chunks:
        assert chunk["object"] == "chat.completion.chunk"
        assert usage is None, "a chunk comes after the usage"
        for choice in chunk["choices"]:
            index, delta = choice["index"], choice["delta"]
            assert index not in ended, "a choice goes on after its end"
            assert (index in started) == ("role" not in delta)
            started.add(index)
            text += delta.get("content") or ""
            if choice["finish_reason"]:
                finishes.append(choice["finish_reason"])
                ended.add(index)
        if not chunk["choices"]:
            usage = chunk["usage"]
    return text, finishes, usage


def whole(heard: Heard, text: str, finish: str = "stop") -> Told:
    """A stream that is a whole answer."""
    said = told(heard)
    assert said.ends == "done", said.error or heard.body[-300:]
    assert (said.text, said.finishes) == (text, [finish])
    return said


def cut(heard: Heard, text: str, code: str | None = None) -> Json:
    """A stream that broke off and says so: one error, and nothing that looks like an end. The error."""
    said = told(heard)
    assert said.ends == "error", heard.body[-300:]
    assert (said.text, said.finishes) == (text, [])
    assert said.error is not None
    return _sound(said.error, code)
