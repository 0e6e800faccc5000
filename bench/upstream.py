"""A provider that costs next to nothing: the same answer to everybody, plain or in 50 events, as a bare protocol on asyncio."""

import argparse
import asyncio
import time

import uvloop

EVENTS = 50
PAUSE = 0.002
"""Seconds between two events, unless it is told another time."""
USAGE = b'"usage":{"prompt_tokens":12,"completion_tokens":50,"total_tokens":62}'
HEAD = b'"id":"chatcmpl-bench","created":1795400000,"model":"constant"'
PLAIN = (
    b'{%s,"object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"%s"},"finish_reason":"stop"}],%s}'
    % (HEAD, b"word " * EVENTS, USAGE)
)
PLAIN_REPLY = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(PLAIN), PLAIN)
STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def chunk(delta: bytes, rest: bytes = b"null", more: bytes = b"") -> bytes:
    event = b'data: {%s,"object":"chat.completion.chunk","choices":[{"index":0,"delta":{%s},"finish_reason":%s}]%s}\n\n' % (
        HEAD,
        delta,
        rest,
        more,
    )
    return b"%x\r\n%s\r\n" % (len(event), event)


FRAMES = [
    chunk(b'"role":"assistant","content":"word "'),
    *[chunk(b'"content":"word "')] * (EVENTS - 2),
    chunk(b"", b'"stop"', b"," + USAGE),
]
DONE = b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"


class Provider(asyncio.Protocol):
    """Takes one request after the other; each event goes out on its own."""

    pause = PAUSE

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]  # TCP's are
        self.held = b""

    def data_received(self, data: bytes) -> None:
        self.held += data
        while (end := self.held.find(b"\r\n\r\n")) >= 0:
            head = self.held[:end].lower()
            length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0] or b"0")
            if len(self.held) < end + 4 + length:
                return
            body, self.held = self.held[end + 4 : end + 4 + length], self.held[end + 4 + length :]
            if b'"stream":true' in body:
                self.transport.write(STREAM_HEAD)
                self.send(0)
            else:
                self.transport.write(PLAIN_REPLY)

    def send(self, number: int) -> None:
        """One event in each turn of the loop, so that they arrive apart as a model's words do."""
        if self.transport.is_closing():
            return
        if number < EVENTS:
            self.transport.write(self.frame(number))
            asyncio.get_running_loop().call_later(self.pause, self.send, number + 1)
        else:
            self.transport.write(DONE)

    def frame(self, number: int) -> bytes:
        return FRAMES[number]


class Stamped(Provider):
    """Its words are the time at which they are sent, in nanoseconds of the machine's monotonic clock."""

    def frame(self, number: int) -> bytes:
        return FRAMES[number] if number == EVENTS - 1 else chunk(b'"content":"%019d"' % time.monotonic_ns())


async def main(port: int, provider: type[Provider]) -> None:
    server = await asyncio.get_running_loop().create_server(provider, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("--pause", type=float, default=PAUSE, help="seconds between two events")
    parser.add_argument("--stamped", action="store_true", help="words are the time at which they are sent")
    arguments = parser.parse_args()
    Provider.pause = arguments.pause
    uvloop.run(main(arguments.port, Stamped if arguments.stamped else Provider))
