from collections.abc import Iterator

import pytest

from tests.state.servers import Server, server


@pytest.fixture(scope="session")
def valkey() -> Iterator[Server]:
    """One for all tests that do no harm to it."""
    with server() as one:
        yield one


@pytest.fixture
def own_valkey() -> Iterator[Server]:
    """One that may be killed."""
    with server() as one:
        yield one
