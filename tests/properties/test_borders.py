"""No byte of a request reaches a place that its caller's policy does not allow: on any hop, under any fault, whatever is reloaded
meanwhile."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from itertools import count
from random import Random

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from msgspec import Struct

from gateway import deadline
from gateway.api.wire import Record
from gateway.app import App
from gateway.routing import attempt
from gateway.routing.health import Health
from gateway.snapshot import Key, Snapshot, digest
from gateway.yaml_file import ConfigError
from tests.conftest import Background, Listening
from tests.gateway.provider import failed
from tests.properties.border_hosts import MARK, PLACES, Call, Heard, Hosts, Step
from tests.properties.border_wishes import Wish, wish_of
from tests.properties.border_world import ACCOUNTS, TEAMS, Version, caller, may_go, may_use, mend, mistakes, script_of, step_of, version_of

KINDS = {"s": "serve", "f": "fallback", "r": "on_refusal"}
ENOUGH = {"serve": 200, "fallback": 100, "on_refusal": 15, "continuation": 50, "hedge": 15, "after a reload": 100, "filed only": 30,
          "jurisdiction_not_allowed": 200, "model_not_filed": 50, "refused config": 200}  # fmt: skip
"""What has to happen at least, over all worlds: what is never tried is not proved. About half of what does."""


class Ring:
    """Keys that no file has: of each team, one for callers in each place."""

    def __init__(self) -> None:
        self._known = {digest(f"sk-made/{team}/{place}"): (team, place) for team in TEAMS for place in PLACES}

    def find(self, digest: bytes, snapshot: Snapshot) -> Key | None:
        team, place = self._known.get(digest, ("", ""))
        return snapshot.teams[team].key("made", place) if team in snapshot.teams else None


class Earth(Struct):
    """What all worlds share: the gateway's process, the places, and what has happened so far."""

    app: App
    url: str
    hosts: Hosts
    calls: dict[str, Call]
    """Those of the present world, by their marks."""
    marks: Iterator[int]
    wishes: dict[bytes, tuple[Version, Wish]]
    """Every request so far, with the files as they were when it came."""
    tally: Counter[str]


@pytest.fixture(scope="module")
def earth(background: Background) -> Iterator[Earth]:
    calls: dict[str, Call] = {}

    def told(record: Record) -> None:
        calls[record.request_id].begun.set()
        calls[record.request_id].over.set()

    hosts = Hosts()
    background.run(hosts.open())
    with pytest.MonkeyPatch.context() as patch:  # waits that nobody learns from
        patch.setattr(attempt, "FIRST_PAUSE", 0.002)
        patch.setattr(attempt, "FIRST_PAUSE_OF_THE_LIMITED", 0.002)
        patch.setattr(deadline, "EVERY", 0.01)
        rng = Random(0)
        start = version_of(rng, hosts.urls, dict.fromkeys(ACCOUNTS, "hk"))
        mend(start)
        app = App(start.snapshot(), sinks=(told,), ring=Ring())
        background.run(app.open())
        listening = Listening(background, app)
        yield Earth(app, listening.url, hosts, calls, count(1), {}, Counter())
        listening.close()
    background.run(hosts.close())


class World:
    """Two versions of the files, providers that do as their scripts say, and requests before and after the reload."""

    def __init__(self, earth: Earth, rng: Random) -> None:
        self._earth = earth
        self._rng = rng
        self._urls = urls = earth.hosts.urls
        self._scripts = {name: script_of(rng) for name in ACCOUNTS}
        homes = {name: rng.choice(PLACES) for name in ACCOUNTS}
        self._versions = [version_of(rng, urls, homes) for _ in range(2)]
        self._snapshots = [self._checked(version) for version in self._versions]
        self._wishes = [[self._wish(version) for _ in range(2 + rng.randrange(3))] for version in self._versions]
        self._calls = earth.calls
        self._calls.clear()
        self._asked: Counter[tuple[str, str]] = Counter()
        self._under_way: dict[str, list[Heard]] = {}

    def _checked(self, version: Version) -> Snapshot:
        """The snapshot of the files without what the load refuses: exactly the mistakes that the oracle finds."""
        wrong = {of for of, _, _ in mistakes(version)}
        if wrong:
            with pytest.raises(ConfigError) as raised:
                version.snapshot()
            assert {(problem.file, problem.field) for problem in raised.value.problems} == wrong
            self._earth.tally["refused config"] += 1
            mend(version)
        return version.snapshot()

    def _wish(self, version: Version) -> Wish:
        wish = wish_of(self._rng, f"mark{next(self._earth.marks):08}", self._urls)
        self._earth.wishes[wish.mark.encode()] = version, wish
        return wish

    def script(self, heard: Heard) -> Step:
        """What a host does for a request, told by what it is and how often its sender has been here."""
        mark = next((mark for mark in self._calls if mark.encode() in heard.raw), "")
        if not mark or not heard.raw.startswith(b"POST "):
            return failed(404)
        self._calls[mark].begun.set()
        others = self._under_way.setdefault(mark, [])
        heard.beside = any(other.account != heard.account and not other.over.is_set() for other in others)
        others.append(heard)
        number = self._asked[mark, heard.account]
        self._asked[mark, heard.account] += 1
        script = self._scripts[heard.account]
        elsewhere = self._urls[PLACES[(PLACES.index(heard.place) + 1 + number) % len(PLACES)]]
        return step_of(script[number % len(script)], heard, elsewhere, list(self._calls).index(mark) + number)

    async def run(self) -> None:
        earth, hosts = self._earth, self._earth.hosts
        hosts.forget()
        hosts.reloaded.clear()
        hosts.script = self.script
        earth.app.serving.health = Health()
        earth.app.swap(self._snapshots[0])
        async with asyncio.TaskGroup() as group:
            before = [self._start(group, wish) for wish in self._wishes[0]]
            for call in before:
                await call.begun.wait()
            earth.app.swap(self._snapshots[1])
            hosts.reloaded.set()
            for call in before + [self._start(group, wish) for wish in self._wishes[1]]:
                call.go.set()
        for call in self._calls.values():
            await call.over.wait()
        await hosts.settle()

    def _start(self, group: asyncio.TaskGroup, wish: Wish) -> Call:
        call = self._calls[wish.mark] = Call(self._earth.url, wish.head, wish.body, late=wish.late, leaves=wish.leaves)
        group.create_task(call.run())
        return call

    def check(self) -> None:
        earth = self._earth
        for mark, place in earth.hosts.seen():
            version, wish = earth.wishes[mark]
            known = caller(version, wish.key)
            assert known is not None, f"{mark!r} of nobody was seen in {place}"
            team, of = known
            assert place in may_go(team, of), f"{mark!r} of a caller in {of} was seen in {place}: {wish} {team}"
        for heard in earth.hosts.heard:
            self._check_filing(heard)
        for call in self._calls.values():
            assert b"internal_error" not in call.reply
            for code in ("jurisdiction_not_allowed", "model_not_filed"):
                earth.tally[code] += code.encode() in call.reply

    def _check_filing(self, heard: Heard) -> None:
        found = MARK.search(heard.raw)
        assert found is not None, f"{heard.path} was asked without a mark"
        version, wish = self._earth.wishes[found[0]]
        known, model = caller(version, wish.key), heard.body["model"]
        assert known is not None
        team, _ = known
        assert version.place(heard.account) == heard.place
        assert may_use(version, team, heard.account, model), f"{heard.account} was asked for {model}, which is not filed: {wish}"
        went_on = heard.body.get("messages", [{}])[-1].get("role") == "assistant"
        self._earth.tally.update({
            KINDS.get(model[0], "other"): model[1:].isdigit(),
            "continuation": went_on,
            "hedge": heard.beside,
            "after a reload": heard.after and version is self._versions[0],
            "filed only": "filed_models_only" in team["policy"],
        })  # fmt: skip


@pytest.mark.timeout(180)  # a machine with other work takes its time
def test_no_byte_goes_where_its_callers_policy_does_not_let_it(earth: Earth, background: Background) -> None:
    @settings(max_examples=300, phases=[Phase.generate])
    @given(seed=st.integers(0, 2**40))
    def in_any_world(seed: int) -> None:
        world = World(earth, Random(seed))

        background.run(world.run())

        world.check()

    in_any_world()

    assert not {what: earth.tally[what] for what, least in ENOUGH.items() if earth.tally[what] < least}
