"""Names of tuned models: known on every replica soon, forgotten when deleted, and hops like any other."""

import time
from collections.abc import Callable
from typing import Any

import openai
import pytest

from gateway.objects import Object
from gateway.tuning.table import Tuned
from providers.base import Json
from tests.conftest import PATIENCE, TEAM, snapshot_of
from tests.gateway.provider import Make, said
from tests.gateway.tuning.conftest import BLUE, Tuner, accounts


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def named(tuning: Tuner, name: str, account: str = "z", model: str = "glm-4-flash-250414", **more: str) -> None:
    """The row that a job makes at its end, made as by another replica."""
    body = {"account": account, "model": model, "base": "glm-4-flash-250414", **more}
    tuning.background.run(tuning.objects.create(Object(name, "tuned", "red", body, time.time())))


def ask(tuning: Tuner, name: str, **more: Any) -> Any:
    reply = tuning.sdk.chat.completions.create(model=name, messages=[{"role": "user", "content": "Say: hello"}], **more)
    return reply.choices[0].message.content


def answers(tuning: Tuner, name: str) -> bool:
    try:
        return bool(ask(tuning, name) == "hello")
    except openai.NotFoundError:
        return False


def test_a_name_that_another_replica_has_made_is_known_soon(tuning: Tuner) -> None:
    named(tuning, "ft:gpt-4o-mini:red:soon")

    until(lambda: answers(tuning, "ft:gpt-4o-mini:red:soon"))


def test_names_are_read_again_after_a_restart(tuning: Tuner) -> None:
    named(tuning, "ft:gpt-4o-mini:red:kept")
    fresh = Tuned(tuning.objects)

    tuning.background.run(fresh.refresh())

    assert "ft:gpt-4o-mini:red:kept" in fresh.of("red")
    assert fresh.of("blue") == []


def test_a_name_that_is_deleted_is_forgotten_at_once(tuning: Tuner) -> None:
    named(tuning, "ft:gpt-4o-mini:red:gone")
    until(lambda: answers(tuning, "ft:gpt-4o-mini:red:gone"))

    deleted = tuning.sdk.models.delete("ft:gpt-4o-mini:red:gone")

    assert deleted.deleted
    with pytest.raises(openai.NotFoundError):
        ask(tuning, "ft:gpt-4o-mini:red:gone")
    with pytest.raises(openai.NotFoundError):
        tuning.sdk.models.delete("ft:gpt-4o-mini:red:gone")


@pytest.mark.parametrize("name", ["gpt-4o-mini", "ft:gpt-4o-mini:blue:1"])
def test_no_other_model_is_deleted(tuning: Tuner, name: str) -> None:
    with pytest.raises(openai.NotFoundError):
        tuning.sdk.models.delete(name)


def test_a_tuned_model_is_asked_for_what_its_base_can_take(tuning: Tuner, provider: Make) -> None:
    one = provider(said("hello"))
    account = {"vendor": "zhipu", "jurisdiction": "cn-mainland", "base_url": one.url + "/v4", "api_key": "id.secret"}
    before = tuning.app.serving.snapshot
    tuning.app.swap(snapshot_of({"providers": {"z": account}, "models": {"m": "z/glm-4-flash-250414"}}, TEAM))
    named(tuning, "ft:gpt-4o:red:base", model="glm:tuned", base="glm-4.6", asked="gpt-4o")
    until(lambda: answers(tuning, "ft:gpt-4o:red:base"))

    ask(tuning, "ft:gpt-4o:red:base", max_tokens=10**6)

    sent = one.requests[-1].json
    assert sent["model"] == "glm:tuned"
    assert sent["max_tokens"] == before.catalog.facts("zhipu", "glm-4.6").output > 0
    assert sent["thinking"] == {"type": "disabled"}  # as GPT-4o
    tuning.app.swap(before)


@pytest.mark.parametrize(
    ("team", "code"),
    [
        ({"jurisdiction": "hk"}, "jurisdiction_not_allowed"),
        ({"policy": {"filed_models_only": True}}, "model_not_filed"),
    ],
    ids=["place", "filing"],
)
def test_what_holds_for_a_hop_holds_for_a_tuned_one(tuning: Tuner, simulators: str, team: Json, code: str) -> None:
    before = tuning.app.serving.snapshot
    named(tuning, f"ft:gpt-4o-mini:red:{code}", model="glm:tuned-elsewhere")
    until(lambda: f"ft:gpt-4o-mini:red:{code}" in tuning.app.serving.tuned.of("red"))  # type: ignore[union-attr]
    tuning.app.swap(snapshot_of(accounts(simulators), {**TEAM, **team}, BLUE))

    with pytest.raises(openai.PermissionDeniedError) as raised:
        ask(tuning, f"ft:gpt-4o-mini:red:{code}")

    assert raised.value.code == code
    tuning.app.swap(before)


def test_a_name_whose_account_is_gone_is_no_longer_known(tuning: Tuner) -> None:
    named(tuning, "ft:gpt-4o-mini:red:lost", account="nowhere")
    until(lambda: "ft:gpt-4o-mini:red:lost" in tuning.app.serving.tuned.of("red"))  # type: ignore[union-attr]

    with pytest.raises(openai.NotFoundError):
        ask(tuning, "ft:gpt-4o-mini:red:lost")
