"""Reranking over sockets: every form of documents, calls that are split and put together, what is refused, and what it costs."""

from collections.abc import Callable
from typing import Any

import pytest

from providers.simulation import count, relevance
from tests.conftest import Served
from tests.gateway.provider import Json, Make, answer, failed

Gateway = Callable[..., Served]
QUERY = "a red bridge"
DOCUMENTS = ["nothing of it", "the bridge is red", "a bridge", "a red bridge"]


def scores(*found: tuple[int, float], **more: Any) -> tuple[Any, ...]:
    """A provider's reply with these indexes and scores."""
    results = [{"index": index, "relevance_score": score} for index, score in found]
    return answer(200, {"results": results, "usage": {"total_tokens": 5}, **more})


@pytest.fixture
def vendors(gateway: Gateway, simulators: str) -> Served:
    zhipu = {"vendor": "zhipu", "jurisdiction": "cn-mainland", "base_url": f"{simulators}/zhipu", "api_key": "id.secret"}
    alibaba = {"vendor": "alibaba", "jurisdiction": "cn-mainland", "base_url": f"{simulators}/alibaba", "api_key": "sk-0123456789abcdef"}
    models = {"z": "z/rerank", "q": "a/qwen3-rerank", "g": "a/gte-rerank-v2", "chat": "z/glm-4-plus"}
    return gateway({"providers": {"z": zhipu, "a": alibaba}, "models": models})


def rank(served: Served, model: str, documents: Any = None, **fields: Any) -> Any:
    body = {"model": model, "query": QUERY, "documents": DOCUMENTS if documents is None else documents, **fields}
    reply = served.client.post("/v1/rerank", json=body)
    assert reply.status_code == 200, reply.text
    return reply.json()


@pytest.mark.parametrize("model", ["z", "q", "g"])
def test_the_best_document_comes_first_with_its_place_among_the_clients(vendors: Served, model: str) -> None:
    told = rank(vendors, model)

    assert [one["index"] for one in told["results"]] == [3, 2, 1, 0]
    assert [one["relevance_score"] for one in told["results"]] == [relevance(QUERY, DOCUMENTS[at]) for at in (3, 2, 1, 0)]
    assert "document" not in told["results"][0]
    tokens = sum(count(QUERY) + count(text) for text in DOCUMENTS)
    assert told["usage"] == {"prompt_tokens": tokens, "total_tokens": tokens}
    assert told["meta"]["tokens"] == {"input_tokens": tokens, "output_tokens": 0}


def test_documents_come_back_as_the_client_said_them(vendors: Served) -> None:
    told = rank(vendors, "z", ["a bridge", {"text": "a red bridge", "title": "The second"}], return_documents=True, top_n=2)

    assert [one["document"] for one in told["results"]] == [{"text": "a red bridge", "title": "The second"}, {"text": "a bridge"}]


@pytest.mark.parametrize("path", ["/v1/rerank", "/v2/rerank", "/rerank", "/v1/v1/rerank"])
def test_it_answers_under_the_addresses_that_clients_make_of_a_base(vendors: Served, path: str) -> None:
    assert vendors.client.post(path, json={"model": "z", "query": "a", "documents": ["a"]}).status_code == 200


def test_what_one_call_cannot_hold_is_asked_in_several_and_ranked_as_one(vendors: Served) -> None:
    documents = [f"text {number}" for number in range(300)]
    documents[290] = "a red bridge"

    told = rank(vendors, "z", documents, top_n=3)

    assert len(told["results"]) == 3
    assert told["results"][0] == {"index": 290, "relevance_score": relevance(QUERY, "a red bridge")}


def test_a_call_has_no_more_tokens_than_the_model_takes(vendors: Served) -> None:
    long = "red " * 3900

    told = rank(vendors, "q", [long] * 12)

    assert [one["index"] for one in told["results"]] == list(range(12))


def test_a_call_asks_for_no_more_than_its_own_documents(gateway: Gateway, provider: Make) -> None:
    one = provider(scores(*((at, 0.1) for at in range(128))), scores((0, 0.9), (1, 0.2)))
    account = {"vendor": "zhipu", "jurisdiction": "cn-mainland", "base_url": one.url + "/v4", "api_key": "id.secret"}
    served = gateway({"providers": {"z": account}, "models": {"r": "z/rerank"}})

    told = rank(served, "r", [f"d{number}" for number in range(130)], top_n=130)

    assert [(len(asked.json["documents"]), asked.json["top_n"]) for asked in one.requests] == [(128, 128), (2, 2)]
    assert [item["index"] for item in told["results"]][:3] == [128, 129, 0]
    assert told["usage"]["total_tokens"] == 10


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"query": None}, "query"), ({"query": ""}, "query"), ({"query": 5}, "query"), ({"documents": None}, "documents"),
        ({"documents": "a"}, "documents"), ({"documents": []}, "documents"), ({"documents": [""]}, "documents[0]"),
        ({"documents": ["a", 5]}, "documents[1]"), ({"documents": [{"title": "a"}]}, "documents[0].text"),
        ({"documents": [{"text": 5}]}, "documents[0].text"), ({"documents": ["a"] * 10_001}, "documents"), ({"top_n": 0}, "top_n"),
        ({"top_n": "2"}, "top_n"), ({"return_documents": "yes"}, "return_documents"), ({"rank_fields": ["title"]}, "rank_fields"),
        ({"model": 5}, "model"),
    ],
    ids=str,
)  # fmt: skip
def test_a_request_of_no_known_form_is_refused_by_name(vendors: Served, fields: Json, param: str) -> None:
    reply = vendors.client.post("/v1/rerank", json={"model": "z", "query": QUERY, "documents": ["a"], **fields})

    assert (reply.status_code, reply.json()["error"]["param"]) == (400, param)


def test_a_model_that_does_not_rank_is_not_asked_to(vendors: Served) -> None:
    reply = vendors.client.post("/v1/rerank", json={"model": "chat", "query": "a", "documents": ["a"]})

    assert (reply.status_code, reply.json()["error"]["code"]) == (404, "model_not_found")


@pytest.mark.parametrize(
    "found",
    [[(0, 0.5), (0, 0.4)], [(0, 0.5)], [(0, 0.5), (2, 0.4)], [(0, 0.5), (-1, 0.4)], [(0, "x"), (1, 0.4)], [(0, True), (1, 0.4)],
     [(0, None), (1, 1)]],
    ids=str,
)  # fmt: skip
def test_what_is_no_ranking_of_the_documents_goes_to_the_next_hop(gateway: Gateway, provider: Make, found: Any) -> None:
    bad, good = provider(scores(*found)), provider(scores((1, 0.9), (0, 0.1)))
    served = gateway(
        {"providers": {"b": bad.account(), "g": good.account()}, "models": {"r": {"serve": ["b/x", "g/x"], "pick": "ordered"}}}
    )

    told = rank(served, "r", ["a", "b"])

    assert [one["index"] for one in told["results"]] == [1, 0]


def test_usage_that_is_not_told_is_estimated(gateway: Gateway, provider: Make) -> None:
    served = gateway(
        {"providers": {"p": provider(answer(200, {"results": [{"index": 0, "score": 0.5}]})).account()}, "models": {"r": "p/x"}}
    )

    told = rank(served, "r", ["a" * 100])

    assert told["usage"]["total_tokens"] > 20
    assert "estimated" not in told["usage"]
    assert served.record().usage["estimated"]


def test_a_failure_is_told_in_openais_words(gateway: Gateway, provider: Make) -> None:
    served = gateway({"providers": {"p": provider(failed(401, "invalid_api_key")).account()}, "models": {"r": "p/x"}})

    reply = served.client.post("/v1/rerank", json={"model": "r", "query": "a", "documents": ["a"]})

    assert (reply.status_code, reply.json()["error"]["code"]) == (502, "upstream_auth")
