"""How long a client's connection is kept without a request."""

import socket
import time
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest

from gateway import connection
from tests.conftest import PATIENCE, TEAM, Served
from tests.gateway.provider import Make, account_at, route, said

ASKED = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"


def test_a_connection_is_closed_when_it_has_had_no_request_for_long(
    gateway: Callable[..., Served], provider: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "IDLE", 0.4)
    it = gateway({"providers": {"p": account_at(provider(said()).url)}, "models": route("p/x")}, TEAM)
    address = urlsplit(it.url)
    with socket.create_connection((address.hostname or "", address.port or 0), PATIENCE) as client:
        for _ in range(2000):
            asked = time.monotonic()
            client.sendall(ASKED)
            assert client.recv(1 << 16).endswith(b"}")

        assert client.recv(1 << 16) == b""
        assert time.monotonic() - asked > 0.39  # and not since the first of them
