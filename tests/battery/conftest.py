"""battery: a gateway that runs as a process of its own, from files, with the routes that a module names as LINES.

Every line has accounts and providers of its own, so that what one case does to a hop's health is nothing to another.
"""

import json
from collections.abc import Iterator
from types import TracebackType
from typing import Any

import pytest
from openai import OpenAI

from tests.battery.faulty import DeadEnd, Faulty, Nobody, Step
from tests.battery.lines import AWAY, DEAD_END, Line
from tests.battery.talking import Call, Heard, sdk
from tests.conftest import TEAM, Background
from tests.journeys.processes import banjia

Json = dict[str, Any]
SERVER: Json = {"pre_stop": "0s", "drain": "1s", "log": "errors"}


class Ready:
    """A line that is served: `hops` are its providers, `model` its name."""

    def __init__(self, battery: "Battery", model: str, hops: list[Faulty]) -> None:
        self._battery = battery
        self.model = model
        self.hops = hops

    def call(self, **fields: Any) -> Call:
        return Call(self._battery.url, self.model, **fields)

    def ask(self, **fields: Any) -> Heard:
        with self.call(**fields) as call:
            return call.heard()

    @property
    def asked(self) -> tuple[int, ...]:
        """How often each hop has been asked."""
        return tuple(len(hop.requests) for hop in self.hops)


class Battery:
    def __init__(self, background: Background, lines: dict[str, Line]) -> None:
        self.url = ""
        self.sdk: OpenAI
        self._background = background
        self._providers: dict[str, list[Faulty]] = {}
        self._dead_end, self._nobody = DeadEnd(), Nobody()
        self.config: Json = {"schema": "banjia/v1", "server": SERVER, "providers": {}, "models": {}}
        for name, line in lines.items():
            self._add(name, line)

    def __getitem__(self, name: str) -> Ready:
        return Ready(self, name, self._providers[name])

    def _add(self, name: str, line: Line) -> None:
        hops = self._providers[name] = []
        uses = []
        for number, script in enumerate(line.hops):
            account = f"{name}-{'pqrst'[number]}"
            own = line.account if number == 0 else {}
            if script is DEAD_END:
                url = self._dead_end.url
            elif script is AWAY:
                url = self._nobody.url
            else:
                greeting: Step | None = line.greeting if number == 0 else None
                hops.append(Faulty(self._background.loop, script, greeting))
                self._background.run(hops[-1].open())
                url = hops[-1].url
            self.config["providers"][account] = {
                "vendor": "openai_compatible", "jurisdiction": "cn-mainland", "base_url": url, "api_key": "provider-key", **own,
            }  # fmt: skip
            uses.append(f"{account}/x")
        first, *others = uses
        self.config["models"][name] = {"serve": [first], "fallback": others, "retry": {"max": 0}, **line.route}

    def __enter__(self) -> "Battery":
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None) -> None:
        self._dead_end.close()
        self._nobody.close()
        for hops in self._providers.values():
            for hop in hops:
                self._background.run(hop.close())


@pytest.fixture(scope="module")
def battery(request: pytest.FixtureRequest, background: Background, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Battery]:
    folder = tmp_path_factory.mktemp("battery")
    with Battery(background, request.module.LINES) as made:
        made.config |= getattr(request.module, "CONFIG", {})
        (folder / "teams").mkdir()
        (folder / "teams" / "red.yaml").write_text(json.dumps(TEAM))
        (folder / "gateway.yaml").write_text(json.dumps(made.config))
        with banjia("serve", "--config", str(folder), "--port", "0") as running:
            made.url = running.url
            with sdk(running.url) as made.sdk:
                yield made
