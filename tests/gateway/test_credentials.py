"""Several credentials of one account: they take turns, and one that is refused is left alone."""

from collections.abc import Callable
from typing import Any

import pytest

from gateway.yaml_file import ConfigError
from tests.conftest import Served, snapshot_of
from tests.gateway.provider import Make, Provider, failed, route, said, streamed

Serve = Callable[..., Served]
KEYS = ("key-one-1", "key-two-2", "key-three-3")


def served(gateway: Serve, one: Provider, *, count: int = 3, retry: int = 0) -> Served:
    more = [{"api_key": key} for key in KEYS[1:count]]
    account = {**one.account(), "api_key": KEYS[0], "credentials": more}
    return gateway({"providers": {"p": account}, "models": route("p/x", retry={"max": retry})})


def shown(one: Provider) -> list[str]:
    return [asked.headers["authorization"].removeprefix("Bearer ") for asked in one.requests]


def test_they_take_turns(gateway: Serve, provider: Make) -> None:
    one = provider(said("Hi"))
    gate = served(gateway, one)

    for _ in range(4):
        gate.chat()

    assert shown(one) == [*KEYS, KEYS[0]]


@pytest.mark.parametrize("status", [401, 402, 403, 429])
def test_one_that_is_refused_is_left_alone_and_the_next_asked_at_once(gateway: Serve, provider: Make, status: int) -> None:
    one = provider(failed(status), said("Hi"))
    gate = served(gateway, one)

    replies = [gate.chat() for _ in range(3)]

    assert [reply.status_code for reply in replies] == [200] * 3
    assert shown(one) == [KEYS[0], KEYS[1], KEYS[2], KEYS[1]]


def test_a_stream_goes_on_with_the_next_too(gateway: Serve, provider: Make) -> None:
    one = provider(failed(429, "slow", "retry-after: 60"), streamed("Hi"))

    assert "Hi" in served(gateway, one).chat(stream=True).text
    assert shown(one) == [KEYS[0], KEYS[1]]


def test_where_all_are_refused_the_client_is_told_and_none_is_asked_twice(gateway: Serve, provider: Make) -> None:
    one = provider(failed(401))

    reply = served(gateway, one).chat()

    assert (reply.status_code, reply.json()["error"]["code"]) == (502, "upstream_auth")
    assert shown(one) == [*KEYS]


def test_what_is_not_about_the_credential_changes_nothing(gateway: Serve, provider: Make) -> None:
    one = provider(failed(500), said("Hi"))

    assert served(gateway, one).chat().status_code == 503
    assert shown(one) == [KEYS[0]]


def test_a_provider_that_names_a_key_does_not_reveal_it(gateway: Serve, provider: Make) -> None:
    one = provider(failed(400, f"your keys {KEYS[0]} and {KEYS[2]} are odd"))

    text = served(gateway, one).chat().text

    assert not any(key in text for key in KEYS)


@pytest.mark.parametrize("more", [{}, {"access_key_id": "a", "access_key_secret": "b"}])
def test_one_of_another_kind_is_an_error_of_the_configuration(more: dict[str, Any]) -> None:
    account = {"vendor": "zhipu", "jurisdiction": "cn-mainland", "api_key": "id.secret", "credentials": [more]}

    with pytest.raises(ConfigError, match="credentials"):
        snapshot_of({"providers": {"p": account}})
