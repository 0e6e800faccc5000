"""What routing decides, seen from outside: over sockets, in headers, in the log, and made again from the log."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from gateway.cli import main
from providers.base import Json, encode
from tests.conftest import KEY, TEAM, Served
from tests.gateway.provider import HOLD, STREAM, Make, failed, said, streamed, word

Serve = Callable[..., Served]
REFUSED = failed(400, "no", code="content_filter")


def team(**policy: Any) -> Json:
    return {**TEAM, "policy": {"allow": {"cn-mainland": ["cn-mainland", "on-premises"]}, **policy}}


# ---- refused content ----


@pytest.mark.parametrize("stream", [False, True])
def test_refused_content_stops_unless_the_team_says_where_it_may_go(gateway: Serve, provider: Make, *, stream: bool) -> None:
    one, two = provider(REFUSED), provider(streamed("Good") if stream else said("Good"))
    config = {"providers": {"p": one.account(), "q": two.account()}, "models": {"m": {"serve": "p/x", "fallback": "q/x"}}}

    stopped = gateway(config, team()).chat(stream=stream)
    gone_on = gateway(config, team(on_refusal=["q/y"])).chat(stream=stream)

    assert (stopped.status_code, stopped.json()["error"]["code"]) == (400, "content_filter")
    assert gone_on.status_code == 200
    assert "Good" in gone_on.text
    assert [asked.json["model"] for asked in two.requests] == ["y"]


def test_content_that_all_refuse_is_refused_and_nobody_is_asked_twice(gateway: Serve, provider: Make) -> None:
    one, two, three = provider(REFUSED), provider(REFUSED), provider(REFUSED)
    accounts = {"p": one.account(), "q": two.account(), "r": three.account()}
    served = gateway({"providers": accounts, "models": {"m": "p/x"}}, team(on_refusal=["q/x", "r/x"]))

    reply = served.chat()

    assert (reply.status_code, reply.json()["error"]["code"]) == (400, "content_filter")
    assert [len(each.requests) for each in (one, two, three)] == [1, 1, 1]


def test_refused_content_goes_to_no_place_that_is_not_allowed(gateway: Serve, provider: Make) -> None:
    one, abroad, home = provider(REFUSED), provider(said("abroad")), provider(said("home"))
    accounts = {"p": one.account(), "abroad": abroad.account(jurisdiction="us"), "home": home.account(jurisdiction="on-premises")}
    keys = [{"name": "main", "key": KEY}, {"name": "us", "key": "sk-in-the-us", "jurisdiction": "us"}]
    allow = {"cn-mainland": ["cn-mainland", "on-premises"], "us": ["us", "cn-mainland"]}
    config = {"providers": accounts, "models": {"m": "p/x"}}
    served = gateway(config, {**team(allow=allow, on_refusal=["abroad/x", "home/x"]), "keys": keys})

    assert served.chat().json()["choices"][0]["message"]["content"] == "home"
    assert len(abroad.requests) == 0
    assert served.chat(headers={"authorization": "Bearer sk-in-the-us"}).json()["choices"][0]["message"]["content"] == "abroad"


# ---- filings and lengths ----


def test_a_team_of_filed_models_only_is_refused_others_and_nothing_is_sent(gateway: Serve, provider: Make) -> None:
    one = provider(said())
    served = gateway({"providers": {"p": one.account()}, "models": {"*": "p/*"}}, team(filed_models_only=True))

    reply = served.chat("llama-3")

    assert (reply.status_code, reply.json()["error"]["code"]) == (403, "model_not_filed")
    assert "catalog/filings" in reply.json()["error"]["message"]
    assert one.requests == []


def test_a_prompt_that_no_model_reads_is_refused_unsent_and_one_that_it_may_read_is_sent(gateway: Serve, provider: Make) -> None:
    small = provider(said("small"))
    served = gateway({"providers": {"p": {**small.account(), "vendor": "zhipu", "api_key": "id.secret"}}, "models": {"m": "p/glm-4.5"}})

    long = served.chat(text="word " * 200_000)  # some 200,000 tokens, for a model that reads 131,072
    wide = served.chat(text="          " * 100_000)  # as many bytes, and far fewer tokens

    assert (long.status_code, long.json()["error"]["code"]) == (400, "context_length_exceeded")
    assert wide.status_code == 200
    assert len(small.requests) == 1


def test_a_long_prompt_goes_straight_to_the_model_that_reads_it(gateway: Serve, provider: Make) -> None:
    small, large = provider(said("small")), provider(said("large"))
    accounts = {name: {**one.account(), "vendor": "zhipu", "api_key": "id.secret"} for name, one in (("p", small), ("q", large))}
    served = gateway({"providers": accounts, "models": {"m": {"serve": "p/glm-4.5", "fallback": "q/glm-5.2"}}}, team(show_route=True))

    reply = served.chat(text="word " * 200_000)

    assert reply.json()["choices"][0]["message"]["content"] == "large"
    assert reply.headers["x-banjia-route"] == "q/glm-5.2; not p/glm-4.5 (too_long)"
    assert small.requests == []


# ---- preferences ----


def test_a_conversation_keeps_its_hop(gateway: Serve, provider: Make) -> None:
    accounts = {name: provider(said()).account() for name in "pqrs"}
    served = gateway({"providers": accounts, "models": {"m": {"serve": [f"{name}/x" for name in accounts], "sticky": True}}})

    def by(**fields: Any) -> set[str]:
        return {served.chat(**fields).headers["x-banjia-provider"] for _ in range(6)}

    assert [len(by(user=f"u{number}")) for number in range(5)] == [1] * 5
    assert by(prompt_cache_key="k", user="u1") == by(prompt_cache_key="k", user="u2")
    assert len({*by(user="a"), *by(user="b"), *by(user="c"), *by(user="d"), *by(user="e"), *by(user="f"), *by(user="g")}) > 1


def test_the_slower_of_two_is_left_alone(gateway: Serve, provider: Make) -> None:
    slow, fast = (
        provider((HOLD,)),
        provider((STREAM, word("Hi"), word("there"), b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n')),
    )
    route = {"serve": ["slow/x", "fast/x"], "pick": "fastest", "timeouts": {"first_token": "200ms"}, "retry": {"max": 0}}
    served = gateway({"providers": {"slow": slow.account(), "fast": fast.account()}, "models": {"m": route}})

    for _ in range(12):
        assert served.chat(stream=True).status_code == 200

    assert len(slow.requests) <= 1


# ---- the decision ----


def test_the_plan_is_told_only_to_teams_that_want_it(gateway: Serve, provider: Make) -> None:
    accounts = {"p": provider(said()).account(), "q": provider(said()).account(jurisdiction="hk")}
    keys = [*TEAM["keys"], {"name": "hk", "key": "sk-in-hk", "jurisdiction": "hk"}]
    allow = {"cn-mainland": ["cn-mainland"], "hk": ["hk", "cn-mainland"]}
    config = {"providers": accounts, "models": {"m": {"serve": ["q/x"], "fallback": ["p/y"]}}}

    silent = gateway(config, {**team(allow=allow), "keys": keys}).chat()
    told = gateway(config, {**team(allow=allow, show_route=True), "keys": keys}).chat()

    assert "x-banjia-route" not in silent.headers
    assert told.headers["x-banjia-route"] == "p/y; not q/x (jurisdiction)"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = {"vendor": "openai_compatible", "jurisdiction": "on-premises", "base_url": "http://127.0.0.1:1/v1"}
    serve = {"serve": ["p/x", "q/x", "r/x"], "pick": "fastest"}
    policy = {"filed_models_only": True, "exceptions": [{"model": "*/*", "until": "2199-01-01", "reason": "a test"}], "on_refusal": ["p/z"]}
    models = {"m": serve, "n": {**serve, "pick": "weighted"}, "s": {**serve, "pick": "weighted", "sticky": True}, "o": "q/x"}
    (tmp_path / "teams").mkdir()
    (tmp_path / "gateway.yaml").write_text(json.dumps({"schema": "banjia/v1", "providers": dict.fromkeys("pqr", place), "models": models}))
    (tmp_path / "teams" / "red.yaml").write_text(json.dumps({**TEAM, "policy": policy}))
    return tmp_path


def replayed(folder: Path, *lines: bytes) -> tuple[int, list[Json], str]:
    (folder / "log").write_bytes(b"\n".join(lines))
    made = CliRunner().invoke(main, ["explain", "--config", str(folder), "--replay", str(folder / "log"), "--output", "json"])
    return made.exit_code, [json.loads(line) for line in made.stdout.splitlines()], made.output


def lines_of(folder: Path, gateway: Serve, provider: Make) -> list[bytes]:
    """Lines of a log of requests by the folder's config, but for the addresses of its providers."""
    accounts = {name: provider(said()).account(jurisdiction="on-premises", vendor="openai_compatible") for name in "pqr"}
    config = {**json.loads((folder / "gateway.yaml").read_text()), "providers": accounts}
    served = gateway(config, json.loads((folder / "teams" / "red.yaml").read_text()))
    for model in "mnso" * 5:
        assert served.chat(model, user="u", max_tokens=5).status_code == 200
    return [encode(served.record()) for _ in range(20)]


def test_any_decision_can_be_made_again_from_its_line_of_the_log(folder: Path, gateway: Serve, provider: Make) -> None:
    lines = lines_of(folder, gateway, provider)

    code, told, _ = replayed(folder, *lines)

    assert code == 0
    assert [one["same"] for one in told] == [True] * 20
    assert {tuple(one["then"]) for one in told} > {("q/x",)}  # others were drawn
    assert all(len(json.dumps(json.loads(line)["decision"])) < 400 for line in lines)
    assert not any(one["same_config"] for one in told)  # it had other addresses


def test_a_config_that_decides_otherwise_is_found_out(folder: Path, gateway: Serve, provider: Make) -> None:
    lines = lines_of(folder, gateway, provider)
    config = json.loads((folder / "gateway.yaml").read_text())
    (folder / "gateway.yaml").write_text(json.dumps({**config, "models": {**config["models"], "o": "p/x"}}))

    code, told, _ = replayed(folder, *lines)

    assert code == 1
    assert {one["route"].partition(";")[0] for one in told if not one["same"]} == {"p/x"}


@pytest.mark.parametrize(("line", "why"), [(b"{", "log:1: is no line of the log"), (b'{"request_id": "r"}', "no line has a `decision`")])
def test_what_is_no_log_is_told(folder: Path, line: bytes, why: str) -> None:
    code, _, told = replayed(folder, line)

    assert code == 2
    assert why in told
