"""What a provider is sent, and what it may send: bounds on its answers, and what is refused unread."""

import asyncio
import gzip
import json
from collections.abc import Callable

import aiohttp
import pytest
from yarl import URL

from gateway.upstream import Http, start_of
from providers.base import Outgoing
from tests.conftest import Background, Served, snapshot_of
from tests.gateway.provider import HOLD, STREAM, Make, Provider, Step, account_at, answer, failed, route, said, streamed, word

Gateway = Callable[..., Served]
OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
MIB = 1 << 20


def pair(gateway: Gateway, provider: Make, step: Step, *, retries: int = 0, stream: bool = False) -> tuple[Served, Provider, Provider]:
    """A gateway whose first hop answers with `step`, and whose second answers well."""
    one, two = provider(step), provider(streamed("from the other") if stream else said("from the other"))
    models = route("p/x", "q/x", retry={"max": retries})
    return gateway({"providers": {"p": one.account(), "q": two.account()}, "models": models}), one, two


HEADS: dict[str, Step] = {
    "one-header-of-70-KB": (OK + b"x: " + b"y" * 70_000 + b"\r\ncontent-length: 2\r\n\r\n{}",),
    "a-header-without-end": (OK + b"x: ", *[b"y" * MIB] * 100, HOLD),
    "headers-without-end": (OK, *[b"x: y\r\n" * 10_000] * 1000, HOLD),
    "a-status-line-without-end": (b"HTTP/1.1 200 ", *[b"O" * MIB] * 100, HOLD),
}


@pytest.mark.parametrize("head", HEADS)
def test_a_providers_head_is_bounded(gateway: Gateway, provider: Make, head: str) -> None:
    served, one, _ = pair(gateway, provider, HEADS[head])

    reply = served.chat()

    assert reply.json()["choices"][0]["message"]["content"] == "from the other"
    assert one.gone.wait(20)
    assert one.written < 20 * MIB


BODIES: dict[str, Step] = {
    "with-a-length": (OK + b"content-length: %d\r\n\r\n" % (65 * MIB), *[b" " * MIB] * 65),
    "in-chunks": (OK + b"transfer-encoding: chunked\r\n\r\n", *[b"100000\r\n" + b" " * MIB + b"\r\n"] * 80, b"0\r\n\r\n"),
    "until-it-closes": (OK + b"connection: close\r\n\r\n", *[b" " * MIB] * 80),
}


@pytest.mark.parametrize("body", BODIES)
def test_a_providers_plain_answer_is_bounded(gateway: Gateway, provider: Make, body: str) -> None:
    served, one, _ = pair(gateway, provider, BODIES[body])

    reply = served.chat()

    assert reply.json()["choices"][0]["message"]["content"] == "from the other"
    assert "p/x: broken" in served.record().faults
    assert one.written < (90 if body != "with-a-length" else 20) * MIB


def test_an_answer_of_which_too_much_is_announced_is_not_waited_for(gateway: Gateway, provider: Make) -> None:
    served, _, _ = pair(gateway, provider, (OK + b"content-length: 100000000\r\n\r\n{", HOLD))

    assert served.chat().json()["choices"][0]["message"]["content"] == "from the other"


def test_an_event_without_end_is_given_up(gateway: Gateway, provider: Make) -> None:
    served, one, _ = pair(gateway, provider, (STREAM, word("Hi"), b"data: {", *[b"x" * MIB] * 60, HOLD))

    text = served.chat(stream=True).text

    assert json.loads(text.rstrip().split("\n")[-1].removeprefix("data: "))["error"]["code"] == "upstream_broken"
    assert "[DONE]" not in text
    assert one.gone.wait(20)
    assert one.written < 40 * MIB


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("stream", [False, True])
def test_a_redirect_is_not_followed_and_not_asked_for_again(gateway: Gateway, provider: Make, status: int, stream: bool) -> None:
    elsewhere = provider(said("from where it should not go"))
    moved = failed(status, "moved", f"location: {elsewhere.url}/chat/completions")
    served, one, two = pair(gateway, provider, moved, retries=2, stream=stream)

    reply = served.chat(stream=stream)

    assert "from the other" in reply.text
    assert elsewhere.requests == []
    assert (len(one.requests), len(two.requests)) == (1, 1)


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
def test_a_compressed_answer_is_refused_unread(gateway: Gateway, provider: Make, coding: str) -> None:
    bomb = gzip.compress(b"0" * (50 * MIB))
    served, _, _ = pair(gateway, provider, answer(200, bomb, f"content-encoding: {coding}"))

    reply = served.chat()

    assert reply.json()["choices"][0]["message"]["content"] == "from the other"
    assert served.record().faults == ["p/x: broken"]


def test_no_provider_is_asked_for_a_compressed_answer(gateway: Gateway, provider: Make) -> None:
    one = provider(said())
    served = gateway({"providers": {"p": one.account()}, "models": route("p/x")})

    served.client.post(
        "/v1/chat/completions", json={"model": "m", "messages": [{"role": "user", "content": "x"}]}, headers={"accept-encoding": "gzip, br"}
    )

    assert one.requests[0].headers["accept-encoding"] == "identity"


# ---- what it is sent ----


def test_a_request_has_one_head_with_what_its_account_adds(gateway: Gateway, provider: Make) -> None:
    one = provider(said())
    account = one.account(headers={"X-Tenant": "blue", "User-Agent": "ours"})
    served = gateway({"providers": {"p": account}, "models": route("p/x")})

    served.chat()

    asked = one.requests[0]
    assert (asked.method, asked.path) == ("POST", "/v1/chat/completions")
    assert asked.headers == {
        "host": one.url.removeprefix("http://").removesuffix("/v1"),
        "accept": "*/*",
        "accept-encoding": "identity",
        "user-agent": "ours",
        "content-type": "application/json",
        "x-tenant": "blue",
        "authorization": "Bearer provider-key",
        "content-length": str(len(asked.body)),
    }


def test_a_proxy_is_asked_for_the_whole_address_and_told_who_asks(gateway: Gateway, provider: Make) -> None:
    proxy = provider(said("through the proxy"))
    address = proxy.url.removesuffix("/v1").replace("http://", "http://user:word@")
    account = account_at("http://provider.invalid/v1", proxy=address)
    served = gateway({"providers": {"p": account}, "models": route("p/x")})

    replies = [served.chat() for _ in range(2)]

    assert [reply.json()["choices"][0]["message"]["content"] for reply in replies] == ["through the proxy"] * 2
    for asked in proxy.requests:
        assert asked.path == "http://provider.invalid/v1/chat/completions"
        assert asked.headers["host"] == "provider.invalid"
        assert asked.headers["proxy-authorization"] == "Basic dXNlcjp3b3Jk"
        assert asked.headers["authorization"] == "Bearer provider-key"


@pytest.mark.parametrize("sign", ["\r\n", "\n", "\r", "\0", "\x7f"])
@pytest.mark.parametrize("place", ["x{}y: 1", "x: 1{}y: 2"])
def test_a_header_is_one_line(background: Background, place: str, sign: str) -> None:
    name, _, value = place.format(sign).partition(": ")

    async def head() -> bytes:
        asked = aiohttp.ClientRequest("POST", URL("http://127.0.0.1/v1"), loop=asyncio.get_running_loop())
        return start_of(asked, {name: value})

    with pytest.raises(ValueError, match="control character"):
        background.run(head())


# ---- its connection ----


def test_heads_that_are_not_final_are_passed_over(gateway: Gateway, provider: Make) -> None:
    early = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n"
    one = provider((early, *said("at last")))
    served = gateway({"providers": {"p": one.account()}, "models": route("p/x")})

    assert served.chat().json()["choices"][0]["message"]["content"] == "at last"


KEPT = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"


async def connections_for(*bodies: bytes, reads: int) -> int:
    """How many connections a provider sees that is sent these one after the other, and answers each after so many bytes of it."""
    seen: list[asyncio.StreamWriter] = []
    done = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(writer)
        while await reader.read(reads):
            writer.write(KEPT)
            if reads == 1:  # and then no more is taken
                await done.wait()

    http = Http()
    await http.open()
    async with await asyncio.start_server(serve, "127.0.0.1", 0, limit=1024) as server:
        url = "http://{}:{}/v1".format(*server.sockets[0].getsockname())
        account = snapshot_of({"providers": {"p": account_at(url)}, "models": route("p/x")}).accounts["p"]
        for body in bodies:
            reply = await http.send(account, Outgoing(url, body), 5.0)
            assert await reply.read() == b"{}"
            reply.close()
        await http.close()
        done.set()
        for writer in seen:
            writer.transport.abort()
    return len(seen)


def test_a_connection_is_used_again(background: Background) -> None:
    assert background.run(connections_for(b"{}", b"{}", b"{}", reads=1 << 16)) == 1


def test_a_connection_is_not_used_again_that_has_not_taken_the_whole_request(background: Background) -> None:
    assert background.run(connections_for(b"x" * (32 * MIB), b"{}", reads=1)) == 2
