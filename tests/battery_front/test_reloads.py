"""A config that changes while it is served: at once, as a whole, and unseen by what is under way; a broken one changes nothing."""

import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import count
from threading import Event
from time import monotonic, sleep

import pytest

from tests.battery_front.conftest import config_of
from tests.battery_front.crowd import Streams
from tests.battery_front.service import Json, Service, serving, write
from tests.battery_front.speaking import LAST, ask, body_of, good, mark, post
from tests.battery_front.vendor import Vendor
from tests.conftest import PATIENCE, TEAM

_names = count()


@pytest.fixture(scope="module")
def service(vendor: Vendor, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with serving(tmp_path_factory.mktemp("reloaded") / "config", config_of(vendor)) as one:
        yield one


@pytest.fixture(autouse=True)
def _mended(service: Service, vendor: Vendor) -> Iterator[None]:
    """Every test finds the files whole and in use."""
    yield
    write(service.folder, config_of(vendor))
    assert service.reload()["problems"] == []
    until(lambda: "reload" not in service.ready())


def until(true: Callable[[], bool]) -> None:
    began = monotonic()
    while not true():
        assert monotonic() - began < PATIENCE
        sleep(0.02)


def names(service: Service) -> set[str]:
    return {model["id"] for model in service.client.get("/v1/models").json()["data"]}


def by_itself(service: Service) -> None:
    """Files are watched."""


def by_signal(service: Service) -> None:
    service.process.send_signal(signal.SIGHUP)


def by_request(service: Service) -> None:
    assert service.reload()["problems"] == []


@pytest.mark.parametrize("way", [by_itself, by_signal, by_request])
def test_a_change_is_served_and_disturbs_none_of_50_streams(service: Service, vendor: Vendor, way: Callable[[Service], None]) -> None:
    name = f"name-{next(_names)}"
    config = config_of(vendor)
    del config["models"]["held"], config["providers"]["held"]  # which the streams are using
    config["models"][name] = "good/good"
    with ExitStack() as stack:
        streams = Streams(service, vendor, 50, stack)

        write(service.folder, config)
        way(service)
        until(lambda: name in names(service))

        assert service.client.post("/v1/chat/completions", content=body_of("held")).status_code == 404
        service.call(model=name)
        streams.end_whole()


BROKEN: dict[str, str | None] = {
    "half-of-it": '{"schema": "banjia/v1", "providers": {',
    "nothing": "",
    "not-utf-8": "\udcff\udcfe",
    "an-unknown-field": '{"schema": "banjia/v1", "serverr": {}}',
    "gone": None,
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_changes_nothing_and_is_told_until_it_is_mended(service: Service, vendor: Vendor, name: str) -> None:
    before, revision = names(service), service.ready()["config"]
    text, file = BROKEN[name], service.folder / "gateway.yaml"
    with ExitStack() as stack:
        streams = Streams(service, vendor, 5, stack)

        if text is None:
            file.unlink()
        else:
            file.write_bytes(text.encode("utf-8", "surrogateescape"))
        told = service.reload()

        assert told["problems"]
        assert told["config"] == revision
        assert "see the log" in service.ready()["reload"]
        assert service.ready()["config"] == revision
        assert service.client.get("/readyz").status_code == 200
        assert names(service) == before
        service.call()
        service.said.find(lambda line: b"config not reloaded" in line and b"gateway.yaml" in line)
        write(service.folder, config_of(vendor))
        until(lambda: "reload" not in service.ready())
        streams.end_whole()
    assert "provider-key" not in service.said.text()


def test_a_teams_broken_file_changes_nothing_either(service: Service, vendor: Vendor) -> None:
    revision = service.ready()["config"]

    (service.folder / "teams" / "red.yaml").write_text("team: red")
    told = service.reload()

    assert any("teams/red.yaml" in problem for problem in told["problems"])
    assert service.ready()["config"] == revision
    service.call()


def test_a_key_that_is_taken_away_is_refused_and_its_stream_goes_on(service: Service, vendor: Vendor) -> None:
    with ExitStack() as stack:
        streams = Streams(service, vendor, 3, stack)

        write(service.folder, config_of(vendor), {**TEAM, "keys": [{"name": "main", "key": "sk-another-of-the-team"}]})
        service.reload()

        assert service.client.get("/v1/models").status_code == 401
        streams.end_whole()


def numbered(vendor: Vendor, number: int) -> Json:
    """A config whose parts all say the same number: the credential, a header of the account's, the model, a default, the address."""
    account = vendor.account(api_key=f"key-{number}", headers={"x-number": str(number)})
    route = {"serve": [f"p/model-{number}"], "defaults": {"seed": number}}
    return {**config_of(vendor), "providers": {"p": account}, "models": {"m": route}}


def test_a_request_never_sees_a_mix_of_two_configs(service: Service, vendor: Vendor) -> None:
    said, over = mark(), Event()
    write(service.folder, numbered(vendor, 0))
    service.reload()

    def call_on() -> int:
        done = 0
        while not over.is_set():
            answer = good(ask(service.url, post(body_of("m", said), LAST)))
            done += 1
            assert (answer.header("x-banjia-provider"), answer.header("x-banjia-attempts")) == ("p", "1")
        return done

    with ThreadPoolExecutor(4) as pool:
        callers = [pool.submit(call_on) for _ in range(4)]
        try:
            for number in range(1, 16):
                write(service.folder, numbered(vendor, number))
                service.reload()
        finally:
            over.set()
        total = sum(caller.result() for caller in callers)

    told = {
        (seen.headers["authorization"], seen.headers["x-number"], seen.json["model"], seen.json["seed"])
        for seen in vendor.seen(said, total)
    }  # fmt: skip
    assert told <= {(f"Bearer key-{number}", str(number), f"model-{number}", number) for number in range(16)}
    assert len(told) > 5
