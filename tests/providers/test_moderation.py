"""Moderation: each vendor's adapter against its simulator, what its simulator refuses, and what becomes of what was found."""

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.base import Fault, Json, Model, Target, encode
from providers.moderation import CATEGORIES, FLAGGED, joined, result
from providers.openai import adapter as openai
from providers.openai.simulator import SIMULATOR as OPENAI
from providers.simulation import UNSAFE_INPUT, UNSAFE_OUTPUT
from providers.zhipu import adapter as zhipu
from providers.zhipu.moderation import RISKS
from providers.zhipu.simulator import SIMULATOR as ZHIPU
from tests.providers.roundtrip import Pair, fault

MODERATION = Model("moderation", kind="moderation", context=2000)
OMNI = Model("omni-moderation-latest", kind="moderation", input=("text", "image"))
IMAGE: Json = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}


def pair(vendor: str) -> Pair:
    if vendor == "zhipu":
        return Pair(zhipu.ADAPTER, ZHIPU, {"api_key": "id.secret"}, MODERATION, Model("glm-5.2"), accounts={"id": "secret"})
    return Pair(openai.ADAPTER, OPENAI, {"api_key": "sk-okay"}, OMNI, Model("gpt-4o"), accounts={})


async def moderate(two: Pair, given: Any, model: str = "", **fields: Any) -> Json:
    raw = await two._post("moderations", {"input": given, **fields}, model)
    return two.adapter.endpoints["moderations"].response(raw)


def scores(told: Json) -> dict[str, float]:
    assert len(told["results"]) == 1
    return {name: score for name, score in told["results"][0]["category_scores"].items() if score > 0.01}


@pytest.mark.parametrize(
    ("vendor", "text", "found"),
    [
        ("zhipu", "Hello", {}),
        ("zhipu", UNSAFE_INPUT, {"violence": 1.0}),
        ("zhipu", UNSAFE_OUTPUT, {"illicit": 0.5}),
        ("openai", "Hello", {}),
        ("openai", UNSAFE_INPUT, {"violence": 0.97}),
        ("openai", UNSAFE_OUTPUT, {"harassment": 0.61}),
    ],
)
def test_what_a_vendor_finds_is_told_by_openais_categories(vendor: str, text: str, found: dict[str, float]) -> None:
    two = pair(vendor)

    told = asyncio.run(moderate(two, text))

    assert scores(told) == found
    assert told["results"][0]["flagged"] is bool(found)
    assert [charge.requests for charge in two.bill.values()] == [1]


def test_an_image_is_openais_alone() -> None:
    told = asyncio.run(moderate(pair("openai"), [{"type": "text", "text": "a"}, IMAGE]))

    assert told["results"][0]["category_applied_input_types"]["violence"] == ["image", "text"]
    assert asyncio.run(fault(moderate(pair("zhipu"), [IMAGE]))).kind == "unsupported"


@pytest.mark.parametrize(
    ("vendor", "body", "kind"),
    [
        ("zhipu", {"input": ""}, "bad_request"),
        ("zhipu", {"input": "安" * 2001}, "bad_request"),
        ("zhipu", {"input": "a", "model": "glm-5.2"}, "no_model"),
        ("zhipu", {"input": "a", "model": "nobodys"}, "no_model"),
        ("openai", {"input": []}, "bad_request"),
        ("openai", {"input": [IMAGE, IMAGE]}, "bad_request"),
        ("openai", {"input": [{"type": "image_url"}]}, "bad_request"),
        ("openai", {"input": [{"type": "audio"}]}, "bad_request"),
        ("openai", {"input": 5}, "bad_request"),
        ("openai", {"input": "a", "model": "nobodys"}, "no_model"),
    ],
    ids=str,
)
def test_what_a_vendor_refuses_is_its_kind_of_fault(vendor: str, body: Json, kind: str) -> None:
    found = asyncio.run(fault(moderate(pair(vendor), body["input"], body.get("model", ""))))

    assert found.kind == kind


@pytest.mark.parametrize(
    ("key", "kind"), [("invalid", "auth"), ("expired", "auth"), ("arrears", "quota"), ("quota", "quota"), ("limited", "rate_limited")]
)
def test_an_account_in_trouble_is_told_as_everywhere(key: str, kind: str) -> None:
    two = Pair(zhipu.ADAPTER, ZHIPU, {"api_key": f"{key}.secret"}, MODERATION, accounts={key: "secret"})

    assert asyncio.run(fault(moderate(two, "a"))).kind == kind


def test_a_field_that_zhipu_does_not_have_is_dropped_and_told() -> None:
    two = pair("zhipu")
    asyncio.run(moderate(two, "a", user="u"))

    assert [(change.field, change.fate) for change in two.sent[0].changes] == [("user", "dropped")]
    assert b"user" not in two.sent[0].body


@pytest.mark.parametrize("risk", RISKS)
def test_every_risk_that_is_known_has_one_of_openais_categories(risk: str) -> None:
    reply = {"result_list": [{"content_type": "text", "risk_level": "REJECT", "risk_type": [risk]}]}

    told = zhipu.ADAPTER.endpoints["moderations"].response(encode(reply))

    assert scores(told) == {RISKS[risk]: 1.0}


@pytest.mark.parametrize("risks", [[], None, ["涉政"], ["?"]])
def test_a_rejected_text_is_flagged_whatever_its_risk_is_called(risks: Any) -> None:
    reply = {"result_list": [{"content_type": "text", "risk_level": "REJECT", "risk_type": risks}]}

    assert scores(zhipu.ADAPTER.endpoints["moderations"].response(encode(reply))) == {"illicit": 1.0}


def test_it_is_not_streamed() -> None:
    for vendor in ("zhipu", "openai"):
        with pytest.raises(Fault):
            pair(vendor).adapter.endpoints["moderations"].stream()


def test_openai_is_asked_for_the_model_that_the_route_names() -> None:
    sent = openai.ADAPTER.endpoints["moderations"].request({"model": "mine", "input": "a"}, Target("https://a.test/v1", OMNI))

    assert sent.url == "https://a.test/v1/moderations"
    assert sent.body == b'{"model":"omni-moderation-latest","input":"a"}'


some = st.dictionaries(st.sampled_from(CATEGORIES), st.floats(0, 1))


@given(st.lists(some, min_size=1, max_size=4))
def test_of_several_results_the_worst_is_told_in_any_order(found: list[dict[str, float]]) -> None:
    told = joined([result(one, {"hate": ("text",)}) for one in found])

    worst = {name: max(one.get(name, 0.0) for one in found) for name in CATEGORIES}
    assert told == joined([result(one, {"hate": ("text",)}) for one in reversed(found)])
    assert told["category_scores"] == worst
    assert told["categories"] == {name: score >= FLAGGED for name, score in worst.items()}
    assert told["flagged"] is any(told["categories"].values())
    assert told["category_applied_input_types"]["hate"] == ["text"]
