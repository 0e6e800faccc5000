"""What a provider may send: bounds on its answers, and what is refused unread."""

import gzip
import json
from collections.abc import Callable

import pytest

from tests.conftest import Served
from tests.gateway.provider import HOLD, STREAM, Make, Provider, Step, answer, failed, route, said, streamed, word

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
