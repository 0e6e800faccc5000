"""A provider that fails as each request says it should. Its words are the request's number, so that no answer is taken for another's."""

import asyncio
import re
import sys
from collections import OrderedDict

import uvloop

from bench.soak.faults import BY_NAME, SAYS

WORDS = 30
"""Events of a stream, and words of an answer."""
PAUSE = 0.002
SLOW, NEVER = 0.5, 3600.0
"""Seconds."""
MOST_KNOWN = 100_000
ASKED = re.compile(rb"%s ([a-z]+) (\d+)" % SAYS.encode())
USAGE = b'"usage":{"prompt_tokens":12,"completion_tokens":%d,"total_tokens":%d}' % (WORDS, WORDS + 12)
HEAD = b'"id":"chatcmpl-soak","created":1795400000,"model":"constant"'
ERROR = b'{"error":{"message":"this one fails, as it should","type":"server_error","param":null,"code":null}}'
MISTAKE = b'{"error":{"message":"there is a mistake in it","type":"invalid_request_error","param":null,"code":null}}'
STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def framed(event: bytes) -> bytes:
    line = b"data: " + event + b"\n\n"
    return b"%x\r\n%s\r\n" % (len(line), line)


def said(delta: bytes, finish: bytes = b"null", more: bytes = b"") -> bytes:
    return framed(
        b'{%s,"object":"chat.completion.chunk","choices":[{"index":0,"delta":{%s},"finish_reason":%s}]%s}' % (HEAD, delta, finish, more)
    )


def whole(word: bytes) -> bytes:
    choice = b'{"index":0,"message":{"role":"assistant","content":"%s"},"finish_reason":"stop"}' % (word * WORDS)
    return b'{%s,"object":"chat.completion","choices":[%s],%s}' % (HEAD, choice, USAGE)


def reply(status: bytes, body: bytes, more: bytes = b"", kind: bytes = b"application/json") -> bytes:
    return b"HTTP/1.1 %s\r\ncontent-type: %s\r\n%scontent-length: %d\r\n\r\n%s" % (status, kind, more, len(body), body)


REFUSALS = {
    "error": reply(b"500 No", ERROR),
    "down": reply(b"500 No", ERROR),
    "busy": reply(b"503 No", ERROR),
    "limited": reply(b"429 No", ERROR),
    "wait": reply(b"429 No", ERROR, b"retry-after: 1\r\n"),
    "refuses": reply(b"400 No", MISTAKE),
    "garbage": reply(b"200 OK", b"<html><body>Bad gateway</body></html>", kind=b"text/html"),
}
DELAYS = {"slow": SLOW, "impatient": SLOW, "late": NEVER}


class Provider(asyncio.Protocol):
    """Takes one request after the other."""

    tries: "OrderedDict[bytes, int]" = OrderedDict()
    """How often each request has come, of all connections."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]  # TCP's are
        self.held = b""
        self.loop = asyncio.get_running_loop()
        self.next: asyncio.TimerHandle | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        if self.next is not None:
            self.next.cancel()

    def data_received(self, data: bytes) -> None:
        self.held += data
        while (end := self.held.find(b"\r\n\r\n")) >= 0:
            length = int(self.held[:end].lower().partition(b"content-length:")[2].partition(b"\r\n")[0] or b"0")
            if len(self.held) < end + 4 + length:
                return
            body, self.held = self.held[end + 4 : end + 4 + length], self.held[end + 4 + length :]
            self.asked(body)

    def asked(self, body: bytes) -> None:
        found = ASKED.search(body)
        if found is None:
            self.transport.write(reply(b"404 No", ERROR))
            return
        fault, number = BY_NAME[found[1].decode()], found[2]
        tries = self.tries[number] = self.tries.get(number, 0) + 1
        if len(self.tries) > MOST_KNOWN:
            self.tries.popitem(last=False)
        name = "none" if fault.once and tries > 1 else fault.name
        if name == "reset":
            self.transport.abort()
        elif name in REFUSALS:
            self.transport.write(REFUSALS[name])
        else:
            self.next = self.loop.call_later(DELAYS.get(name, 0.0), self.answer, name, b"w%s " % number, b'"stream":true' in body)

    def answer(self, name: str, word: bytes, stream: bool) -> None:
        if stream:
            self.transport.write(STREAM + said(b'"role":"assistant","content":"%s"' % word))
            self.say(name, word, 1)
        elif name == "half":
            self.transport.write(reply(b"200 OK", whole(word))[:-40])
            self.transport.close()
        else:
            self.transport.write(reply(b"200 OK", whole(word)))

    def say(self, name: str, word: bytes, number: int) -> None:
        """An event in each turn, apart from each other as a model's words are."""
        if self.transport.is_closing():
            return
        if number == WORDS // 2 and name in ("cut", "breaks", "stalls"):
            if name == "cut":
                self.transport.close()
            elif name == "breaks":
                self.transport.write(framed(ERROR) + b"0\r\n\r\n")
            return
        if number < WORDS:
            self.transport.write(said(b'"content":"%s"' % word))
            self.next = self.loop.call_later(PAUSE, self.say, name, word, number + 1)
        else:
            self.transport.write(said(b"", b'"stop"', b"," + USAGE) + framed(b"[DONE]") + b"0\r\n\r\n")


async def main(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Provider, "127.0.0.1", port, backlog=2048)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
