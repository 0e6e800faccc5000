"""In which order hops are tried: by weight, conversation, price, pace, grants."""

from collections import Counter
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.accounting.prices import Rate, Rates, nano
from gateway.routing.facts import Facts, conversation_of
from gateway.routing.pace import Paces
from gateway.routing.plan import make_plan
from gateway.routing.preferences import Moment
from gateway.snapshot import Snapshot, digest
from gateway.yaml_file import ConfigError
from providers.base import Json
from tests.conftest import KEY, TEAM, snapshot_of

NAMES = ("a/x", "b/x", "c/x", "d/x")
PLACE: Json = {"vendor": "openai_compatible", "jurisdiction": "cn-mainland", "base_url": "http://127.0.0.1:1/v1"}


def snapshot(*names: str, **route: object) -> Snapshot:
    accounts = {name.partition("/")[0]: PLACE for name in NAMES}
    return snapshot_of({"providers": accounts, "models": {"m": {"serve": list(names), **route}}}, TEAM)


def order(made: Snapshot, moment: Moment | None = None, **facts: object) -> list[str]:
    known = Facts("chat", "m", **facts)  # type: ignore[arg-type]
    found = make_plan(known, made.keys[digest(KEY)], made, moment or Moment())
    assert found is not None
    return [hop.name for hop in found.hops]


# ---- conversations ----


def test_a_conversation_stays_with_its_hop_whatever_is_drawn() -> None:
    made = snapshot(*NAMES, sticky=True)

    assert len({tuple(order(made, Moment(draw / 10), conversation="one")) for draw in range(10)}) == 1
    assert {order(made, conversation=str(number))[0] for number in range(50)} == set(NAMES)


def test_a_hop_that_is_taken_away_moves_only_its_own_conversations() -> None:
    whole, less = snapshot(*NAMES, sticky=True), snapshot(*NAMES[:-1], sticky=True)

    for number in range(200):
        before, after = order(whole, conversation=str(number)), order(less, conversation=str(number))
        assert after == [hop for hop in before if hop != NAMES[-1]]


def test_conversations_are_shared_out_by_weight() -> None:
    hops = [{"use": "a/x", "weight": 3}, {"use": "b/x", "weight": 1}]
    made = snapshot(*hops, sticky=True)  # type: ignore[arg-type]

    firsts = Counter(order(made, conversation=str(number))[0] for number in range(2000))

    assert 1400 < firsts["a/x"] < 1600


def test_a_request_of_no_conversation_is_drawn() -> None:
    assert {order(snapshot(*NAMES, sticky=True), Moment(draw / 10))[0] for draw in range(10)} == set(NAMES)


def test_whose_conversation_it_is() -> None:
    assert conversation_of("red", {"prompt_cache_key": "k", "user": "u"}) == conversation_of("red", {"prompt_cache_key": "k"})
    assert conversation_of("red", {"user": "u"}) != conversation_of("blue", {"user": "u"})
    assert conversation_of("red", {"user": "", "messages": []}) == ""
    assert "u" * 5 not in conversation_of("red", {"user": "u" * 5})


def test_sticky_goes_with_weights_alone() -> None:
    with pytest.raises(ConfigError, match="sticky: goes with pick: weighted"):
        snapshot(*NAMES, sticky=True, pick="ordered")


# ---- prices ----


def priced(made: Snapshot, **prices: tuple[str, str, str]) -> Snapshot:
    """`x=("CNY", "1", "2")`: what a million tokens of prompts and answers of model x cost."""
    rates = {model: Rates(cur, (Rate(0, nano(i), nano(o), nano(i)),), "2026-01-01") for model, (cur, i, o) in prices.items()}
    exchange = {"CNY": 10**9, "USD": 7 * 10**9}
    return replace(made, catalog=replace(made.catalog, prices={"openai_compatible": rates}, exchange=exchange))


def test_the_cheapest_comes_first_and_what_has_no_price_last() -> None:
    made = priced(
        snapshot("a/unknown", "b/dear", "c/cheap", "d/free", pick="cheapest"),
        dear=("CNY", "9", "9"),
        cheap=("CNY", "1", "1"),
        free=("CNY", "0", "0"),
    )

    assert order(made, size=4000) == ["d/free", "c/cheap", "b/dear", "a/unknown"]


def test_what_is_cheap_depends_on_what_is_asked() -> None:
    made = priced(snapshot("a/reads", "b/writes", pick="cheapest"), reads=("CNY", "1", "50"), writes=("CNY", "5", "10"))

    assert order(made, size=400_000, output=10) == ["a/reads", "b/writes"]
    assert order(made, size=400, output=4000) == ["b/writes", "a/reads"]


def test_prices_in_other_currencies_are_compared() -> None:
    made = priced(
        snapshot("a/dollars", "b/yuan", "c/pounds", pick="cheapest"),
        dollars=("USD", "1", "1"),
        yuan=("CNY", "6", "6"),
        pounds=("GBP", "0.1", "0.1"),
    )

    assert order(made, size=4000) == ["b/yuan", "a/dollars", "c/pounds"]


# ---- paces ----


@given(st.floats(0, 1, exclude_max=True), st.lists(st.floats(0.001, 9), min_size=4, max_size=4, unique=True))
def test_of_two_that_are_drawn_the_faster_comes_first_and_the_slowest_never(draw: float, paces: list[float]) -> None:
    moment = Moment(draw, pace=dict(zip(NAMES, paces, strict=True)))

    found = order(snapshot(*NAMES, pick="fastest"), moment)

    assert sorted(found) == sorted(NAMES)
    assert found[0] != max(moment.pace, key=lambda name: moment.pace[name])
    assert found[1:] == sorted(found[1:], key=lambda name: moment.pace[name])


def test_every_pair_is_drawn() -> None:
    made, paces = snapshot(*NAMES, pick="fastest"), {name: number + 1.0 for number, name in enumerate(NAMES)}

    firsts = Counter(order(made, Moment(number / 1200, pace=paces))[0] for number in range(1200))

    assert firsts == {"a/x": 600, "b/x": 400, "c/x": 200}


def test_a_hop_of_which_nothing_is_known_is_tried() -> None:
    paces = dict.fromkeys(NAMES[1:], 1.0)

    assert "a/x" in {order(snapshot(*NAMES, pick="fastest"), Moment(number / 12, pace=paces))[0] for number in range(12)}


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_bad_news_counts_at_once_and_good_news_slowly() -> None:
    clock = Clock()
    paces = Paces(now=clock)

    def took(seconds: float, *, failed: bool = False) -> float:
        paces.begin("a", stream=True)
        clock.now += 1.0
        paces.end("a", seconds, stream=True, failed=failed)
        return paces.of("a", stream=True)

    assert took(0.1) == pytest.approx(0.1)
    assert took(5.0) == 5.0
    assert 4.0 < took(0.1) < 5.0
    assert took(0.001, failed=True) > 4.0  # a fast failure is no speed
    for _ in range(60):
        after = took(0.1)
    assert after == pytest.approx(0.1, abs=0.05)
    assert paces.of("a", stream=False) == 0.0


def test_requests_that_wait_make_a_hop_slower() -> None:
    paces = Paces(now=Clock())
    paces.begin("a", stream=True)
    paces.end("a", 0.5, stream=True)

    paces.begin("a", stream=True)
    paces.begin("a", stream=True)

    assert paces.of("a", stream=True) == 1.5
    paces.end("a", None, stream=True)
    assert paces.of("a", stream=True) == 1.0


def test_those_that_a_grant_pays_for_come_first_the_soonest_to_expire_before_all(monkeypatch: pytest.MonkeyPatch) -> None:
    made = snapshot(*NAMES)
    key = made.keys[digest(KEY)]
    resolved = key.levels[1].exact["m"]
    key.levels[1].exact["m"] = replace(resolved, pick="grants_first")

    assert order(made, Moment(grants={"c/x": 50.0, "b/x": 90.0, "d/x": inf})) == ["c/x", "b/x", "a/x", "d/x"]
