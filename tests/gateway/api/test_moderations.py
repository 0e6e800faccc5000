"""Moderation over sockets: word lists, vendors, both, and neither."""

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import OpenAI

from gateway.accounting.books import Books
from gateway.catalog import Price
from gateway.settings import GatewayFile
from gateway.state.memory import Memory
from gateway.store.engine import Store
from gateway.store.ledger import StoreLedger
from gateway.yaml_file import ConfigError, fill_references, parse_yaml
from providers.base import Json
from providers.moderation import CATEGORIES
from providers.simulation import UNSAFE_INPUT, UNSAFE_OUTPUT
from tests.conftest import TEAM, Served, snapshot_of
from tests.gateway.provider import Make, answer, failed, said

Gateway = Callable[..., Served]
IMAGE = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
LATEST = "omni-moderation-latest"


def account(vendor: str, url: str) -> Json:
    key = {"zhipu": "id.secret", "openai": "sk-0123456789abcdef"}[vendor]
    path = {"zhipu": "zhipu", "openai": "openai/v1"}[vendor]
    return {"vendor": vendor, "jurisdiction": "cn-mainland", "base_url": f"{url}/{path}", "api_key": key}


Sdk = Callable[[Served], OpenAI]


@pytest.fixture
def sdk() -> Iterator[Sdk]:
    made: list[OpenAI] = []

    def make(served: Served) -> OpenAI:
        made.append(OpenAI(base_url=served.url + "/v1", api_key=served.key, max_retries=0))
        return made[-1]

    yield make
    for client in made:
        client.close()


@pytest.fixture
def nobody(provider: Make) -> Json:
    """An account that has no moderation."""
    return {"p": provider(said()).account()}


LISTS = {"violence": ["kill", "杀人"], "illicit": ["kill"]}


@pytest.fixture
def listed(gateway: Gateway, nobody: Json) -> Served:
    return gateway({"providers": nobody, "moderation": {"lists": LISTS}})


def post(served: Served, given: Any, **fields: Any) -> Any:
    reply = served.client.post("/v1/moderations", json={"input": given, **fields})
    assert reply.status_code == 200, reply.text
    return reply.json()


def true(one: Json) -> set[str]:
    return {name for name, is_true in one["categories"].items() if is_true}


# ---- lists ----


def test_a_text_is_moderated_by_lists_as_openais_sdk_expects_it(listed: Served, sdk: Sdk) -> None:
    told = sdk(listed).moderations.create(input="他想杀人")

    assert told.id.startswith("modr-")
    assert told.model == LATEST
    result = told.results[0]
    assert (result.flagged, result.categories.violence, result.categories.illicit) == (True, True, False)
    assert (result.category_scores.violence, result.category_scores.harassment) == (1.0, 0.0)
    assert result.category_applied_input_types.violence == ["text"]
    assert result.category_applied_input_types.harassment == [], "nobody has looked for it"


def test_each_text_of_a_list_has_its_result_in_order(listed: Served) -> None:
    told = post(listed, ["a", "kill", "skill", "杀人犯"], model="text-moderation-stable")

    assert told["model"] == "text-moderation-stable"
    assert [true(one) for one in told["results"]] == [set(), {"violence", "illicit"}, set(), {"violence"}]
    assert [one["flagged"] for one in told["results"]] == [False, True, False, True]
    assert all(set(one["categories"]) == set(one["category_scores"]) == set(CATEGORIES) for one in told["results"])


def test_parts_are_one_input(listed: Served) -> None:
    told = post(listed, [{"type": "text", "text": "a"}, {"type": "text", "text": "kill"}])

    assert [true(one) for one in told["results"]] == [{"violence", "illicit"}]


def test_an_image_is_refused_rather_than_passed_over(listed: Served) -> None:
    reply = listed.client.post("/v1/moderations", json={"input": [{"type": "text", "text": "a"}, IMAGE]})

    assert (reply.status_code, reply.json()["error"]["code"]) == (400, "unsupported_parameter")


def test_a_long_text_is_looked_through_to_its_end(listed: Served) -> None:
    assert post(listed, "a " * 490_000 + "kill")["results"][0]["flagged"] is True


def test_a_teams_own_words_come_on_top_of_everybodys(gateway: Gateway, nobody: Json) -> None:
    own = {**TEAM, "moderation": {"lists": {"hate": ["kobold"]}}}
    blue = {**TEAM, "team": "blue", "keys": [{"name": "main", "key": "sk-of-the-blue-team"}]}
    served = gateway({"providers": nobody, "moderation": {"lists": LISTS}}, own, blue)

    ours = post(served, "kill a kobold")
    reply = served.client.post(
        "/v1/moderations", json={"input": "kill a kobold"}, headers={"authorization": "Bearer sk-of-the-blue-team"}
    ).json()

    assert true(ours["results"][0]) == {"violence", "illicit", "hate"}
    assert true(reply["results"][0]) == {"violence", "illicit"}


def test_a_list_may_be_a_file_with_a_word_in_each_line(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("# of ours\n\nkill\n 杀人 \nblow  up\n", "utf-8")
    told = (
        f"schema: banjia/v1\nproviders: {{}}\nmoderation:\n  lists:\n    violence: [stab, 'file:{tmp_path}/words.txt']\n    hate: kobold\n"
    )
    document = parse_yaml(told, "gateway.yaml")

    assert fill_references(document, {}) == []
    given = {**document.data, "providers": {"p": {"vendor": "zhipu", "jurisdiction": "hk"}}}
    assert GatewayFile.model_validate(given).moderation.lists == {"violence": ["stab", "kill", "杀人", "blow  up"], "hate": ["kobold"]}


@pytest.mark.parametrize(
    ("lists", "where"),
    [
        ({"violent": ["a"]}, "moderation.lists.violent"),
        ({"hate": [5]}, "moderation.lists.hate"),
        ({"hate": {"a": 1}}, "moderation.lists.hate"),
    ],
)
def test_a_list_of_no_known_form_is_told_where_it_stands(nobody: Json, lists: Json, where: str) -> None:
    with pytest.raises(ConfigError) as told:
        snapshot_of({"providers": nobody, "moderation": {"lists": lists}})

    assert told.value.problems[0].field.startswith(where)


def test_what_lists_have_looked_through_is_written_down(gateway: Gateway, nobody: Json, tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path}/b.db", tmp_path / "pending")
    config = {"providers": nobody, "moderation": {"lists": LISTS}}
    served = gateway(config, {**TEAM, "limits": {"rpm": 1}}, books=Books(Memory(), StoreLedger(store)), beside=(store,))

    first = served.client.post("/v1/moderations", json={"input": ["kill", "他"]})
    second = served.client.post("/v1/moderations", json={"input": "a"})

    record = served.record()
    assert (first.status_code, second.status_code) == (200, 429)
    assert first.headers["x-banjia-model"] == "word-lists"
    assert (record.model, record.usage, record.status) == (LATEST, {"characters": 5}, 200)


# ---- vendors ----


def test_a_vendor_says_what_it_finds_in_openais_words(gateway: Gateway, simulators: str, sdk: Sdk) -> None:
    served = gateway({"providers": {"z": account("zhipu", simulators)}})

    told = sdk(served).moderations.create(input=["Hello", f"so {UNSAFE_INPUT}", f"so {UNSAFE_OUTPUT}"], model=LATEST)

    assert told.model == "moderation"
    assert [one.flagged for one in told.results] == [False, True, True]
    assert told.results[1].category_scores.violence == 1.0
    assert told.results[2].category_scores.illicit == 0.5, "a suspicion, of a risk whose name is not known"


def test_openais_own_answer_goes_through_with_images(gateway: Gateway, simulators: str, sdk: Sdk) -> None:
    served = gateway({"providers": {"o": account("openai", simulators)}})

    told = sdk(served).moderations.create(input=[{"type": "text", "text": UNSAFE_INPUT}, IMAGE], model=LATEST)  # type: ignore[arg-type]

    assert told.model == LATEST
    assert [one.flagged for one in told.results] == [True]
    assert told.results[0].category_scores.violence == 0.97
    assert told.results[0].category_applied_input_types.violence == ["image", "text"]
    assert told.results[0].category_applied_input_types.hate == ["text"]


def test_an_image_goes_to_nobody_who_reads_none(gateway: Gateway, simulators: str) -> None:
    served = gateway({"providers": {"z": account("zhipu", simulators)}})

    reply = served.client.post("/v1/moderations", json={"input": [IMAGE]})

    assert (reply.status_code, reply.json()["error"]["code"]) == (400, "unsupported_parameter")


@pytest.mark.parametrize("at", [0, 1_930, 1_990, 2_000, 3_800, 4_900])
def test_what_is_too_long_for_a_call_is_asked_in_parts_and_nothing_is_lost_between(gateway: Gateway, simulators: str, at: int) -> None:
    served = gateway({"providers": {"z": account("zhipu", simulators)}})
    text = "安" * at + UNSAFE_INPUT + "全" * (5_000 - at)

    assert true(post(served, text)["results"][0]) == {"violence"}
    assert post(served, "安" * 5_000)["results"][0]["flagged"] is False


@pytest.mark.parametrize(("given", "calls"), [("Hello", 1), (["a", "b", "c"], 3), ("安" * 5_000, 3), (["a", "安" * 5_000], 4)])
def test_a_price_by_calls_counts_what_the_vendor_was_asked(
    gateway: Gateway, simulators: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: Any, calls: int
) -> None:
    store = Store(f"sqlite:///{tmp_path}/b.db", tmp_path / "pending")
    books = Books(Memory(), StoreLedger(store))
    served = gateway({"providers": {"z": account("zhipu", simulators)}}, books=books, beside=(store,))
    price = Price.model_validate({"currency": "CNY", "units": {"calls": "0.01"}, "source": "a contract", "as_of": "2026-11-02"})
    prices = served.app.serving.snapshot.catalog.prices
    monkeypatch.setitem(prices, "zhipu", {**prices["zhipu"], "moderation": price.rates()})

    post(served, given)

    assert served.record().usage == {"characters": len("".join(given)), "calls": calls}
    with sqlite3.connect(tmp_path / "b.db") as database:
        assert database.execute("SELECT cost, currency, price_as_of FROM usage").fetchall() == [(calls * 10**7, "CNY", "2026-11-02")]


def test_lists_keep_texts_here_unless_a_route_sends_them_on(gateway: Gateway, simulators: str) -> None:
    config: Json = {"providers": {"z": account("zhipu", simulators)}, "moderation": {"lists": {"hate": ["kobold"]}}}
    here, both = gateway(config), gateway({**config, "models": {LATEST: "z/moderation"}})
    text = f"a kobold {UNSAFE_INPUT}"

    assert true(post(here, text)["results"][0]) == {"hate"}
    told = post(both, [text, "b"])
    assert [true(one) for one in told["results"]] == [{"hate", "violence"}, set()]
    assert true(post(here, text, model="moderation")["results"][0]) == {"hate", "violence"}, "the vendor's own name asks the vendor"


REPLY = {"id": "a", "result_list": [{"content_type": "text", "risk_level": "PASS", "risk_type": []}]}


@pytest.mark.parametrize("broken", [{"result_list": []}, {"result_list": [{"risk_level": "MAYBE"}]}, {"result_list": [5]}, {}], ids=str)
def test_an_answer_of_no_known_form_goes_to_the_fallback(gateway: Gateway, provider: Make, broken: Json) -> None:
    bad = provider(answer(200, broken)).account(vendor="zhipu", api_key="id.secret")
    good = provider(answer(200, REPLY)).account(vendor="zhipu", api_key="id.secret")
    route = {"serve": ["bad/moderation"], "fallback": ["good/moderation"], "retry": {"max": 0}}
    served = gateway({"providers": {"bad": bad, "good": good}, "models": {LATEST: route}})

    assert post(served, "a")["results"][0]["flagged"] is False


def test_a_vendors_refusal_is_told_in_openais_words(gateway: Gateway, provider: Make, sdk: Sdk) -> None:
    bad = provider(failed(400, "no", code="1214")).account(vendor="zhipu", api_key="id.secret")
    served = gateway({"providers": {"z": bad}})

    with pytest.raises(openai.BadRequestError) as told:
        sdk(served).moderations.create(input="a")
    assert told.value.code == "invalid_request"


# ---- neither, and what is refused ----


def test_without_words_and_without_a_vendor_it_is_told_what_to_configure(gateway: Gateway, nobody: Json, sdk: Sdk) -> None:
    served = gateway({"providers": nobody})

    with pytest.raises(openai.NotFoundError) as told:
        sdk(served).moderations.create(input="a")

    assert told.value.code == "moderation_not_configured"
    assert "moderation.lists" in told.value.message


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        ({}, "input", "missing_required_parameter"),
        ({"input": None}, "input", "missing_required_parameter"),
        ({"input": ""}, "input", "empty_string"),
        ({"input": []}, "input", "empty_array"),
        ({"input": 5}, "input", "invalid_type"),
        ({"input": ["a", ""]}, "input[1]", "empty_string"),
        ({"input": ["a", IMAGE]}, "input[1]", "invalid_type"),
        ({"input": [{"text": "a"}]}, "input[0].type", "missing_required_parameter"),
        ({"input": [{"type": "audio"}]}, "input[0].type", "invalid_value"),
        ({"input": [{"type": "text"}]}, "input[0].text", "missing_required_parameter"),
        ({"input": [IMAGE, IMAGE]}, "input", "array_above_max_length"),
        ({"input": ["a"] * 2049}, "input", "array_above_max_length"),
        ({"input": ["a" * 500_000, "b" * 500_001]}, "input", "string_above_max_length"),
        ({"input": "a", "model": 5}, "model", "invalid_type"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_openai_refuses_is_refused(listed: Served, body: Json, param: str, code: str) -> None:
    reply = listed.client.post("/v1/moderations", json=body)

    assert (reply.status_code, reply.json()["error"]["param"], reply.json()["error"]["code"]) == (400, param, code)


def test_a_name_that_is_nobodys_is_not_found(listed: Served) -> None:
    reply = listed.client.post("/v1/moderations", json={"input": "a", "model": "nobodys"})

    assert (reply.status_code, reply.json()["error"]["code"]) == (404, "model_not_found")


def test_it_answers_where_clients_of_azure_look(listed: Served) -> None:
    assert listed.client.post("/openai/v1/moderations", json={"input": "a"}).status_code == 200
