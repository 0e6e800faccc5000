"""The AI SDK for JavaScript, with both of its providers that speak to OpenAI-like services, through the gateway, at every account."""

from array import array
from typing import Any

import pytest

from providers.simulation import vector
from tests.journeys.accounts import Account
from tests.journeys.brain import says, user
from tests.journeys.conftest import Street
from tests.journeys.frameworks import (
    ADA,
    TEXT,
    TEXTS,
    THOSE_THAT_BILL,
    THOSE_THAT_EMBED,
    THOSE_THAT_SEE,
    THOSE_THAT_THINK,
    check_told,
    cities,
    found,
    question,
)
from tests.journeys.judges import node

pytestmark = pytest.mark.timeout(180)  # of which a cold import may take most, on a busy machine
WORDS = ("plain", "stream")
TOOLS = ("tools", "streamed_tools")
OTHERS = ("forced", "unused", "object", "streamed_object", "array", "choice", "object_after_tools")
THOUGHTS = ("thinks", "thinks_aloud")


@pytest.fixture(scope="module")
def answers(street: Street) -> Any:
    return node("ai_sdk.mjs", question(street, (*WORDS, *TOOLS, *OTHERS), sees=["sees"], thinks=THOUGHTS, embeds=["embeds"]))


@pytest.fixture(params=["openai", "responses", "compatible"])
def provider(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.mark.parametrize("way", WORDS)
def test_words_and_what_they_cost(answers: Any, account: Account, provider: str, way: str) -> None:
    said = says(account, {"messages": [{"role": "system", "content": "Be kind."}, *user(TEXT)]})

    run = found(answers, account, f"{provider} {way}")

    assert run["text"] == run.get("said", said.text) == said.text
    assert (run["finish"], run["tokens"]) == ("stop", [said.end.prompt, said.end.completion])


@pytest.mark.parametrize("way", TOOLS)
def test_tools_and_back(answers: Any, account: Account, provider: str, way: str) -> None:
    run = found(answers, account, f"{provider} {way}")

    assert run["calls"] == [["get_weather", {"city": city}] for city in cities(account)]
    assert (run["steps"], run["finish"]) == (2, "stop")
    check_told(run["text"], account)


def test_a_tool_that_has_to_be_used(answers: Any, account: Account, provider: str) -> None:
    run = found(answers, account, f"{provider} forced")

    assert (run["calls"], run["steps"]) == ([["get_weather", {"city": "Oslo"}]], 1)


def test_a_tool_that_may_not_be_used(answers: Any, account: Account, provider: str) -> None:
    run = found(answers, account, f"{provider} unused")

    assert (run["calls"], run["text"]) == ([], says(account, {"messages": user(TEXT)}).text)


def test_an_object(answers: Any, account: Account, provider: str) -> None:
    assert found(answers, account, f"{provider} object") == ADA


def test_an_object_that_grows(answers: Any, account: Account, provider: str) -> None:
    assert found(answers, account, f"{provider} streamed_object") == {"last": ADA, "output": ADA}


def test_an_array(answers: Any, account: Account, provider: str) -> None:
    assert found(answers, account, f"{provider} array") == [ADA]


def test_one_of_some_words(answers: Any, account: Account, provider: str) -> None:
    assert found(answers, account, f"{provider} choice") == "rain"


def test_an_object_after_a_tool(answers: Any, account: Account, provider: str) -> None:
    run = found(answers, account, f"{provider} object_after_tools")

    assert (run["text"], run["calls"], run["steps"]) == ({"city": "Oslo"}, [["get_weather", {"city": "Oslo"}]], 2)


@pytest.mark.parametrize("account", THOSE_THAT_SEE, ids=lambda account: account.id)
def test_pictures(answers: Any, account: Account, provider: str) -> None:
    assert "I see 1 image." in found(answers, account, f"{provider} sees")


@pytest.mark.parametrize("account", THOSE_THAT_THINK, ids=lambda account: account.id)
def test_thoughts(answers: Any, account: Account, provider: str) -> None:
    """The provider for OpenAI itself leaves them out of chat, since OpenAI does not tell them there."""
    said = says(account, {"messages": user(TEXT), "reasoning_effort": "medium"})

    whole, stream = (found(answers, account, f"{provider} {way}") for way in THOUGHTS)

    assert whole["text"] == stream["text"] == stream["said"] == said.text
    assert whole["tokens"] == stream["tokens"] == [said.end.prompt, said.end.completion]
    assert whole["thought"] == ("reasoning-delta" in stream["kinds"]) == (provider != "openai")


@pytest.mark.parametrize("account", THOSE_THAT_EMBED, ids=lambda account: account.id)
def test_embeddings(answers: Any, account: Account, provider: str) -> None:
    given = [list(array("f", numbers)) for numbers in found(answers, account, f"{provider} embeds")]

    assert given == [list(array("f", vector(text, account.width)[:4])) for text in TEXTS]


@pytest.mark.parametrize("account", THOSE_THAT_BILL, ids=lambda account: account.id)
def test_an_error_is_told_as_openais(answers: Any, account: Account, provider: str) -> None:
    assert found(answers, account, f"{provider} refused") == {"status": 429, "code": "insufficient_quota"}
