"""A gateway and two sets of simulators, run as commands, once for each process that tests."""

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from msgspec import Struct
from openai import OpenAI

from tests.journeys.accounts import ACCOUNTS, DRIP, Account, gateway_yaml, teams_yaml
from tests.journeys.processes import Running, banjia


class Street(Struct):
    """Where everything listens."""

    gateway: Running
    simulators: Running
    drip: Running

    @property
    def base_url(self) -> str:
        return f"{self.gateway.url}/v1"


@pytest.fixture(scope="session", autouse=True)
def no_proxies() -> Iterator[None]:
    """What is tested is on this machine."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.lower().endswith("_proxy") or name.startswith(("OPENAI_", "AZURE_OPENAI_")):
                patch.delenv(name)
        yield


@pytest.fixture(scope="session")
def street(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Street]:
    with ExitStack() as stack:
        simulators = stack.enter_context(banjia("simulate", "--port", "0"))
        drip = stack.enter_context(banjia("simulate", "--port", "0", "--drip"))
        directory = config(tmp_path_factory.mktemp("config"), simulators.url, drip.url)
        gateway = stack.enter_context(banjia("serve", "--config", str(directory), "--port", "0"))
        yield Street(gateway, simulators, drip)


def config(directory: Path, simulators: str, drip: str) -> Path:
    (directory / "teams").mkdir()
    (directory / "gateway.yaml").write_text(json.dumps(gateway_yaml(simulators, drip)))
    for name, team in teams_yaml().items():
        (directory / "teams" / f"{name}.yaml").write_text(json.dumps(team))
    return directory


@pytest.fixture(params=ACCOUNTS, ids=lambda account: account.id)
def account(request: pytest.FixtureRequest) -> Account:
    given: Account = request.param
    return given


@pytest.fixture(scope="session")
def clients(street: Street) -> Iterator[dict[str, OpenAI]]:
    """A client for each key that is asked for, made once."""
    made = Clients(street.base_url)
    yield made
    for client in made.values():
        client.close()


class Clients(dict[str, OpenAI]):
    def __init__(self, base_url: str) -> None:
        super().__init__()
        self.base_url = base_url

    def __missing__(self, key: str) -> OpenAI:
        self[key] = OpenAI(base_url=self.base_url, api_key=key, max_retries=0, timeout=30)
        return self[key]


@pytest.fixture
def client(clients: dict[str, OpenAI], account: Account) -> OpenAI:
    """OpenAI's SDK with the account's key."""
    return clients[account.key]


@pytest.fixture
def dripping(clients: dict[str, OpenAI], account: Account) -> OpenAI:
    """The same, where the vendor sends every byte on its own."""
    return clients[account.key + DRIP]
