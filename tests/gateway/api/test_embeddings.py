"""Embeddings over sockets: every form of input, every form of output, and inputs that one call cannot hold."""

import struct
from base64 import b64decode
from collections.abc import Callable
from typing import Any

import pytest

from providers.simulation import vector
from tests.conftest import Served
from tests.gateway.provider import Json, Make, answer, failed, route

Gateway = Callable[..., Served]


def vectors(*numbers: float, **more: Any) -> tuple[Any, ...]:
    """A reply with vectors of one number each."""
    data = [{"object": "embedding", "index": index, "embedding": [number]} for index, number in enumerate(numbers)]
    return answer(200, {"object": "list", "data": data, "usage": {"prompt_tokens": 2, "total_tokens": 2}, **more})


@pytest.fixture
def zhipu(gateway: Gateway, simulators: str) -> Served:
    account = {"vendor": "zhipu", "jurisdiction": "cn-mainland", "base_url": f"{simulators}/zhipu", "api_key": "id.secret"}
    return gateway({"providers": {"z": account}, "models": {"e": "z/embedding-3"}})


def embed(served: Served, given: Any, model: str = "e", **fields: Any) -> Any:
    reply = served.client.post("/v1/embeddings", json={"model": model, "input": given, **fields})
    assert reply.status_code == 200, reply.text
    return reply.json()


def floats(text: str) -> tuple[float, ...]:
    data = b64decode(text)
    return struct.unpack(f"<{len(data) // 4}f", data)


def test_one_text_is_one_vector(zhipu: Served) -> None:
    told = embed(zhipu, "Hello", dimensions=256)

    assert told["object"] == "list"
    assert told["model"] == "embedding-3"
    assert told["data"] == [{"object": "embedding", "index": 0, "embedding": vector("Hello", 256)}]
    assert told["usage"] == {"prompt_tokens": 2, "total_tokens": 2}


def test_base64_holds_the_same_numbers_as_little_endian_floats(zhipu: Served) -> None:
    told = embed(zhipu, "Hello", dimensions=256, encoding_format="base64")

    assert floats(told["data"][0]["embedding"]) == pytest.approx(vector("Hello", 256), abs=1e-7)


def test_inputs_beyond_one_calls_batch_come_back_in_order(zhipu: Served) -> None:
    texts = [f"text {number}" for number in range(150)]

    told = embed(zhipu, texts, dimensions=256)

    assert [item["index"] for item in told["data"]] == list(range(150))
    assert [item["embedding"] for item in told["data"]] == [vector(text, 256) for text in texts]
    assert told["usage"]["prompt_tokens"] == sum(2 + (number >= 10000) for number in range(150))


def test_a_call_has_no_more_inputs_than_the_model_takes(gateway: Gateway, provider: Make) -> None:
    one = provider(vectors(*map(float, range(64))), vectors(64.0, 65.0))
    account = {"vendor": "zhipu", "jurisdiction": "cn-mainland", "base_url": one.url + "/v4", "api_key": "id.secret"}
    served = gateway({"providers": {"z": account}, "models": {"e": "z/embedding-3"}})

    told = embed(served, [f"t{number}" for number in range(66)])

    assert [len(asked.json["input"]) for asked in one.requests] == [64, 2]
    assert [item["embedding"] for item in told["data"]] == [[float(number)] for number in range(66)]
    assert told["usage"] == {"prompt_tokens": 4, "total_tokens": 4}


def test_vectors_that_come_in_another_order_are_put_in_that_of_the_input(gateway: Gateway, provider: Make) -> None:
    data = [{"index": 1, "embedding": [1.0]}, {"index": 0, "embedding": [0.0]}]
    served = gateway({"providers": {"p": provider(answer(200, {"data": data})).account()}, "models": {"e": "p/x"}})

    told = embed(served, ["a", "b"])

    assert [item["embedding"] for item in told["data"]] == [[0.0], [1.0]]


@pytest.mark.parametrize(
    ("tokens", "texts"),
    [([9906, 1917], ["Hello world"]), ([[9906], [1917]], ["Hello", " world"]), ([9906], ["Hello"])],
    ids=["a-list", "a-list-of-lists", "one-token"],
)
def test_tokens_are_turned_back_into_the_text_they_stand_for(gateway: Gateway, provider: Make, tokens: Any, texts: list[str]) -> None:
    one = provider(vectors(*[0.5] * len(texts)))
    served = gateway({"providers": {"p": one.account()}, "models": {"e": "p/x"}})

    embed(served, tokens)

    assert one.requests[0].json["input"] == texts


@pytest.mark.parametrize(
    "given",
    ["", [], [""], ["a", ""], [[]], [[1], []], 5, {"a": 1}, [None], [True], ["a", 1], [1, "a"],
     [[1], "a"], [["a"]], [-1], [10**9], [[2**40]],
     [100256], [1, 2.0], [[1.0]], [1.5], [[1, True]]],
    ids=str,
)  # fmt: skip
def test_an_input_of_no_known_form_is_refused(zhipu: Served, given: Any) -> None:
    reply = zhipu.client.post("/v1/embeddings", json={"model": "e", "input": given})

    assert reply.status_code == 400
    assert reply.json()["error"]["param"].startswith("input")


def test_more_inputs_than_openai_takes_are_refused(zhipu: Served) -> None:
    reply = zhipu.client.post("/v1/embeddings", json={"model": "e", "input": ["a"] * 2049})

    assert (reply.status_code, reply.json()["error"]["code"]) == (400, "array_above_max_length")


def test_a_width_that_the_model_does_not_have_is_refused_and_never_faked(zhipu: Served) -> None:
    reply = zhipu.client.post("/v1/embeddings", json={"model": "e", "input": "a", "dimensions": 333})

    assert reply.status_code == 400
    assert "333" in reply.json()["error"]["message"]


BROKEN: dict[str, Json] = {
    "too-few": {"data": [{"index": 0, "embedding": [1.0]}]},
    "no-vector": {"data": [{"index": 0}, {"index": 1}]},
    "null-index": {"data": [{"index": 0, "embedding": [1.0]}, {"index": None, "embedding": [1.0]}]},
    "null": {"data": [None, None]},
    "text": {"data": "ab"},
    "a-vector-of-text": {"data": [{"index": 0, "embedding": ["a"]}, {"index": 1, "embedding": ["b"]}]},
}


@pytest.mark.parametrize("broken", BROKEN)
def test_an_answer_with_vectors_missing_goes_to_the_fallback(gateway: Gateway, provider: Make, broken: str) -> None:
    bad, good = provider(answer(200, BROKEN[broken])), provider(vectors(0.0, 1.0))
    served = gateway({"providers": {"p": bad.account(), "q": good.account()}, "models": route("p/x", "q/x")})

    told = embed(served, ["a", "b"], "m", encoding_format="base64")

    assert [floats(item["embedding"]) for item in told["data"]] == [(0.0,), (1.0,)]


def test_a_batch_that_fails_is_tried_elsewhere_with_all_inputs(gateway: Gateway, provider: Make) -> None:
    bad, good = provider(vectors(*[0.0] * 64), failed(500)), provider(vectors(*map(float, range(66))))
    account = {"vendor": "zhipu", "jurisdiction": "cn-mainland", "base_url": bad.url + "/v4", "api_key": "id.secret"}
    models = route("z/embedding-3", "q/embedding-3", space="zhipu/embedding-3")
    served = gateway({"providers": {"z": account, "q": good.account()}, "models": models})

    told = embed(served, [f"t{number}" for number in range(66)], "m")

    assert [item["embedding"] for item in told["data"]] == [[float(number)] for number in range(66)]


def test_a_chat_model_has_no_embeddings(gateway: Gateway, simulators: str) -> None:
    account = {"vendor": "zhipu", "jurisdiction": "cn-mainland", "base_url": f"{simulators}/zhipu", "api_key": "id.secret"}
    served = gateway({"providers": {"z": account}})

    reply = served.client.post("/v1/embeddings", json={"model": "glm-5.2", "input": "a"})

    assert (reply.status_code, reply.json()["error"]["code"]) == (404, "model_not_found")
