"""The simulators behind HTTP: each vendor under its name, strict with accounts, and with a bill."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from gateway.brain.scripted import Scripted
from gateway.simulate import Simulators, parse_account
from providers.base import Json
from tests.conftest import Background, Listening, Served, catalog
from tests.gateway.api.test_chat import events, words

PATH = "/zhipu/api/paas/v4/chat/completions"
HELLO: Json = {"model": "glm-4-plus", "messages": [{"role": "user", "content": "Say hello"}]}


def post(url: str, key: str = "id.secret", **more: Any) -> httpx.Response:
    return httpx.post(url + PATH, json={**HELLO, **more}, headers={"authorization": f"Bearer {key}"}, trust_env=False)


def test_a_vendor_answers_under_its_name(simulators: str) -> None:
    assert post(simulators).json()["choices"][0]["message"]["content"] == "hello"


@pytest.mark.parametrize("path", ["/", "/nobody/v1/x", "/zhipu", "/zhipu/nothing", "/bill/x", "/../x"])
def test_an_address_that_is_none_is_404(simulators: str, path: str) -> None:
    assert httpx.get(simulators + path, headers={"authorization": "Bearer id.secret"}, trust_env=False).status_code == 404


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b'{"model": {"a": 1}, "messages": 5}', b"[" * 50_000])
def test_no_body_makes_a_simulator_fail(simulators: str, body: bytes) -> None:
    reply = httpx.post(simulators + PATH, content=body, headers={"authorization": "Bearer id.secret"}, trust_env=False)

    assert reply.status_code == 400


@pytest.mark.parametrize(
    ("key", "status"), [("id.wrong", 401), ("id.invalid", 401), ("id.expired", 401), ("id.arrears", 429), ("id.limited", 429)]
)
def test_an_account_in_trouble_is_told_as_the_vendor_tells_it(simulators: str, key: str, status: int) -> None:
    assert post(simulators, key).status_code == status


def test_what_is_served_is_billed_once_and_to_its_account(background: Background) -> None:
    listening = Listening(background, Simulators(Scripted(), catalog(), accounts={"zhipu": {"mine": "s3cret"}}))

    post(listening.url)
    post(listening.url, "mine.s3cret")
    post(listening.url, "mine.s3cret", stream=True)
    post(listening.url, "mine.wrong")
    bill = httpx.get(f"{listening.url}/bill", trust_env=False).json()
    listening.close()

    assert [(row["vendor"], row["account"], row["model"], row["requests"]) for row in bill] == [
        ("zhipu", "id", "glm-4-plus", 1), ("zhipu", "mine", "glm-4-plus", 2),
    ]  # fmt: skip
    assert bill[1]["completion_tokens"] == 2 * bill[0]["completion_tokens"] > 0


def test_a_stream_that_comes_byte_by_byte_is_the_same_stream(background: Background, gateway: Callable[..., Served]) -> None:
    listening = Listening(background, Simulators(Scripted(), catalog(), drip=True))
    account = {"vendor": "zhipu", "jurisdiction": "cn-mainland", "base_url": f"{listening.url}/zhipu", "api_key": "id.secret"}
    served = gateway({"providers": {"z": account}, "models": {"m": "z/glm-4-plus"}})

    plain = served.chat(text="Say 你好 🙂").json()["choices"][0]["message"]["content"]
    stream = served.chat(text="Say 你好 🙂", stream=True).text
    listening.close()

    assert plain == "你好 🙂"
    assert words(events(stream)) == "你好 🙂"
    assert stream.endswith("data: [DONE]\n\n")


def test_a_signed_token_is_taken_and_renewed(gateway: Callable[..., Served], simulators: str) -> None:
    account = {
        "vendor": "zhipu",
        "auth": "signed_token",
        "jurisdiction": "cn-mainland",
        "base_url": f"{simulators}/zhipu",
        "api_key": "id.secret",
    }
    served = gateway(
        {"providers": {"z": account, "bad": {**account, "api_key": "nodot"}}, "models": {"m": "z/glm-4-plus", "bad": "bad/glm-4-plus"}}
    )

    good, bad = served.chat(), served.chat("bad")

    assert good.status_code == 200
    assert (bad.status_code, bad.json()["error"]["code"]) == (502, "upstream_auth")


def test_an_account_is_written_as_vendor_id_and_secret() -> None:
    assert parse_account("zhipu:id:a:b") == ("zhipu", "id", "a:b")


@pytest.mark.parametrize("text", ["", "zhipu", "zhipu:id", "zhipu:id:", ":id:s", "zhipu::s"])
def test_an_account_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="VENDOR:ID:SECRET"):
        parse_account(text)
