"""front      a gateway that runs as a process of its own, and the vendor behind it: one for all tests that only talk to it
vendor     a vendor alone
serve      runs further gateways, each with settings of its own
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from msgspec import Struct

from tests.battery_front.service import SERVER, Json, Service, serving
from tests.battery_front.speaking import BLUE, LAST, ask, body_of, good, post
from tests.battery_front.vendor import Vendor
from tests.conftest import TEAM, Background

MODELS = ("good", "held", "slow-down", "flood")
RED: Json = {**TEAM, "models": {"reds-own": "good/good"}}
BLUES: Json = {
    "schema": "banjia/team.v1",
    "team": "blue",
    "keys": [{"name": "main", "key": BLUE}],
    "models": {"blues-own": "good/good", "blues-*": "good/good"},
}
Serve = Callable[..., AbstractContextManager[Service]]


def config_of(vendor: Vendor, timeouts: Json | None = None, **server: str | int) -> Json:
    """Every model of the vendor at an account of its own, so that one's failures are none of the others'."""
    return {
        "server": {**SERVER, **server},
        "providers": {name: vendor.account(timeouts=timeouts or {}) for name in MODELS},
        "models": {**{name: f"{name}/{name}" for name in MODELS}, "any-*": "good/good", "*-of-*-and-*": "good/good"},
    }


class Front(Struct):
    service: Service
    vendor: Vendor
    url: str


@pytest.fixture(scope="session")
def vendor(background: Background) -> Iterator[Vendor]:
    made = Vendor(background)
    yield made
    made.close()


@pytest.fixture(scope="session")
def _front(vendor: Vendor, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    with serving(tmp_path_factory.mktemp("front") / "config", config_of(vendor, write_timeout="1s"), RED, BLUES) as service:
        yield Front(service, vendor, service.url)


@pytest.fixture
def front(_front: Front) -> Iterator[Front]:
    """Whatever a test has done to it, it goes on serving others."""
    yield _front
    good(ask(_front.url, post(body_of(), LAST)))


@pytest.fixture
def serve(tmp_path: Path, vendor: Vendor) -> Serve:
    def start(files: int = 0, timeouts: Json | None = None, **server: str | int) -> AbstractContextManager[Service]:
        return serving(tmp_path / "config", config_of(vendor, timeouts, **server), files=files)

    return start
