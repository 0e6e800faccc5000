"""Many clients at once, from one test."""

import resource
import socket
from contextlib import ExitStack

from tests.battery_front.service import Service
from tests.battery_front.speaking import LAST, answers, body_of, connect, mark, post, streamed, until, until_closed
from tests.battery_front.vendor import Vendor

BESIDE = 300
"""Descriptors that a test needs for everything else."""


def room_for(count: int, each: int) -> int:
    """As many of `count` clients as the descriptors of this process permit, with so many for each."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count * each + BESIDE
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return count if soft == resource.RLIM_INFINITY else min(count, (soft - BESIDE) // each)


class Streams:
    """Held streams whose first word has come."""

    def __init__(self, service: Service, vendor: Vendor, count: int, stack: ExitStack) -> None:
        self._vendor = vendor
        self.mark = mark()
        self.sockets = [stack.enter_context(connect(service.url)) for _ in range(count)]
        sent = post(body_of("held", self.mark, stream=True), LAST)
        for sock in self.sockets:
            sock.sendall(sent)
        self._heads = [until(sock, b'"Hi"') for sock in self.sockets]

    def let_go(self) -> None:
        """The vendor says the rest to each."""
        self._vendor.seen(self.mark, len(self.sockets))
        self._vendor.let_go(self.mark)

    def rest(self) -> list[bytes]:
        """All that each client has got, once its connection is closed."""
        return [head + until_closed(sock) for head, sock in zip(self._heads, self.sockets, strict=True)]

    def end_whole(self) -> None:
        """Lets them go on, and sees each to its proper end."""
        self.let_go()
        self.are_whole()

    def are_whole(self) -> None:
        for raw in self.rest():
            (answer,) = answers(raw)
            assert streamed(answer) == "Hiyou"


def half_open(service: Service, count: int, stack: ExitStack) -> list[socket.socket]:
    """Connections that have begun to say something, and do not go on."""
    opened = [stack.enter_context(connect(service.url)) for _ in range(count)]
    for sock in opened:
        sock.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nx-a: ")
    return opened
