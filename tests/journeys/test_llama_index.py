"""LlamaIndex's OpenAI classes through the gateway, at every account."""

from array import array
from typing import Any

import pytest

from providers.simulation import vector
from tests.journeys.accounts import ACCOUNTS, DRIP, Account
from tests.journeys.brain import says, user
from tests.journeys.conftest import Street
from tests.journeys.judges import judge
from tests.journeys.ranks import rank_files

pytestmark = pytest.mark.timeout(180)  # of which a cold import may take most, on a busy machine
TEXT = "Say 你好 and be naïve 🙂"
TEXTS = ["moving house", "搬家"]


@pytest.fixture(scope="module")
def answers(street: Street, tmp_path_factory: pytest.TempPathFactory) -> Any:
    question = {
        "base_url": street.base_url,
        "keys": [account.key for account in ACCOUNTS] + ["sk-baidu" + DRIP],
        "embedding": [account.key for account in ACCOUNTS if account.embeddings],
        "text": TEXT,
        "texts": TEXTS,
        "weather": "What is the weather in Paris and Tokyo?",
    }
    ranks = rank_files(tmp_path_factory.mktemp("ranks"))
    return judge("llama-index", question, TIKTOKEN_CACHE_DIR=str(ranks), NLTK_DATA=str(ranks), HOME=str(ranks))


@pytest.mark.parametrize("way", ["complete", "chat", "stream_complete", "stream_chat"])
def test_words(answers: Any, account: Account, way: str) -> None:
    assert answers[account.key][way] == says(account, {"messages": user(TEXT)}).text


def test_words_that_came_byte_by_byte(answers: Any) -> None:
    assert answers["sk-baidu" + DRIP] == {key: value for key, value in answers["sk-baidu"].items() if key not in ("embeddings", "query")}


def test_tools(answers: Any, account: Account) -> None:
    cities = ["Paris", "Tokyo"] if account.parallel else ["Paris"]

    assert answers[account.key]["predict_and_call"] == [["get_weather", {"city": city}, f"晴 in {city}"] for city in cities]
    assert answers[account.key]["streamed_calls"] == [["get_weather", {"city": city}] for city in cities]


@pytest.mark.parametrize("account", [a for a in ACCOUNTS if a.embeddings], ids=lambda account: account.id)
def test_embeddings(answers: Any, account: Account) -> None:
    given = [list(array("f", numbers)) for numbers in answers[account.key]["embeddings"]]

    assert given == [list(array("f", vector(text, account.width)[:4])) for text in TEXTS]
    assert list(array("f", answers[account.key]["query"])) == given[1]
