"""Embeddings through OpenAI's SDK, at every account that has them: the numbers are the vendor's own, in every form a client may ask for."""

from array import array
from base64 import b64decode
from functools import cache
from typing import Any

import pytest
from openai import BadRequestError, NotFoundError, OpenAI

from gateway import tokens
from gateway.catalog import shipped
from gateway.config import load_catalog
from providers.simulation import count, vector
from tests.journeys.accounts import ACCOUNTS, Account
from tests.journeys.conftest import Street
from tests.journeys.processes import bill, owed_since

MODEL = "text-embedding-3-small"
WITH = tuple(account for account in ACCOUNTS if account.embeddings)
WITHOUT = tuple(account for account in ACCOUNTS if not account.embeddings)
TEXTS = ["moving house", "搬家", "naïve 🙂"]


@cache
def expected(text: str, width: int) -> list[float]:
    """The simulators' vector, as exactly as 32 bits can say it."""
    return list(array("f", vector(text, width)))


def rounded(numbers: Any) -> list[float]:
    return list(array("f", numbers))


@pytest.fixture(params=WITH, ids=lambda account: account.id)
def account(request: pytest.FixtureRequest) -> Account:
    given: Account = request.param
    return given


@pytest.mark.parametrize("form", [None, "float", "base64"])
def test_a_list_of_texts(street: Street, account: Account, client: OpenAI, form: Any) -> None:
    before = bill(street.simulators.url)

    answer = client.embeddings.create(model=MODEL, input=TEXTS, **({"encoding_format": form} if form else {}))

    owed = owed_since(before, street.simulators.url)
    assert [item.index for item in answer.data] == [0, 1, 2]
    assert (answer.object, answer.data[0].object) == ("list", "embedding")
    for text, item in zip(TEXTS, answer.data, strict=True):
        given: Any = item.embedding
        numbers = array("f", b64decode(given)) if form == "base64" else given
        assert rounded(numbers) == expected(text, account.width)
    assert answer.usage.prompt_tokens == answer.usage.total_tokens == owed["prompt_tokens"] == sum(map(count, TEXTS))
    assert owed["whose"][0][2] == account.embeddings


def test_every_byte_on_its_own_makes_no_difference(account: Account, dripping: OpenAI) -> None:
    answer = dripping.embeddings.create(model=MODEL, input=TEXTS)

    assert [rounded(item.embedding) for item in answer.data] == [expected(text, account.width) for text in TEXTS]


def test_one_text(account: Account, client: OpenAI) -> None:
    raw = client.embeddings.with_raw_response.create(model=MODEL, input="搬家")

    (item,) = raw.parse().data
    assert rounded(item.embedding) == expected("搬家", account.width)
    assert raw.headers["x-banjia-provider"] == account.id
    assert raw.headers["x-banjia-model"] == account.embeddings


def test_tokens_are_what_they_were_made_from(account: Account, client: OpenAI) -> None:
    lists = tokens.encoding("cl100k").encode_batch(TEXTS)

    several = client.embeddings.create(model=MODEL, input=lists)
    one = client.embeddings.create(model=MODEL, input=lists[1], encoding_format="float")

    assert [rounded(item.embedding) for item in several.data] == [expected(text, account.width) for text in TEXTS]
    assert [rounded(item.embedding) for item in one.data] == [expected("搬家", account.width)]


def test_more_texts_than_the_vendor_takes_at_once(street: Street, account: Account, client: OpenAI) -> None:
    texts = [f"text {number}" for number in range(70)]
    before = bill(street.simulators.url)

    answer = client.embeddings.create(model=MODEL, input=texts)

    owed = owed_since(before, street.simulators.url)
    assert [rounded(item.embedding)[:3] for item in answer.data] == [expected(text, account.width)[:3] for text in texts]
    assert answer.usage.prompt_tokens == owed["prompt_tokens"] == sum(map(count, texts))
    most = load_catalog(shipped() / "none", []).facts(account.vendor, account.embeddings).batch or len(texts)
    assert owed["requests"] == -(-len(texts) // most)


@pytest.mark.parametrize("given", ["", [], ["a", ""], [[]], ["a", 1], [-1], [100_000_000], 7, {"a": 1}])
def test_inputs_that_are_none(clients: dict[str, OpenAI], given: Any) -> None:
    with pytest.raises(BadRequestError) as refused:
        clients["sk-zhipu"].embeddings.create(model=MODEL, input=given)

    assert (refused.value.param or "").startswith("input")
    assert refused.value.code


def test_dimensions_that_the_model_has(clients: dict[str, OpenAI]) -> None:
    answer = clients["sk-zhipu"].embeddings.create(model=MODEL, input="搬家", dimensions=512)

    assert rounded(answer.data[0].embedding) == expected("搬家", 512)


def test_dimensions_that_it_has_not(account: Account, client: OpenAI) -> None:
    with pytest.raises(BadRequestError) as refused:
        client.embeddings.create(model=MODEL, input="a", dimensions=33333)

    assert "33333" in str(refused.value)


@pytest.mark.parametrize("without", WITHOUT, ids=lambda account: account.id)
def test_a_key_without_embeddings_has_no_such_model(clients: dict[str, OpenAI], without: Account) -> None:
    with pytest.raises(NotFoundError) as refused:
        clients[without.key].embeddings.create(model=without.chat, input="a")

    assert refused.value.code == "model_not_found"


def test_a_chat_model_has_no_embeddings(account: Account, client: OpenAI) -> None:
    with pytest.raises(NotFoundError) as refused:
        client.embeddings.create(model="gpt-4o", input="a")

    assert (refused.value.code, refused.value.param) == ("model_not_found", "model")
