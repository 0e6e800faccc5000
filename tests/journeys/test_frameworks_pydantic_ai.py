"""pydantic-ai's agents through the gateway, at every account."""

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
from tests.journeys.judges import judge

pytestmark = pytest.mark.timeout(180)  # of which a cold import may take most, on a busy machine
WORDS = ("plain", "stream")
TOOLS = ("tools", "streamed_tools")
OUTPUTS = (
    "output_by_tool",
    "output_by_schema",
    "output_by_prompt",
    "output_of_one_of_two",
    "streamed_output_by_tool",
    "streamed_output_by_schema",
)
OTHERS = ("history", "streamed_events", "output_after_tools", "output_at_the_second_try")
THOUGHTS = ("thinks", "thinks_aloud")


@pytest.fixture(scope="module")
def answers(street: Street) -> Any:
    asked = question(street, (*WORDS, *TOOLS, *OUTPUTS, *OTHERS), sees=["sees"], thinks=THOUGHTS, embeds=["embeds"])
    return judge("pydantic-ai", asked)


@pytest.mark.parametrize("way", WORDS)
def test_words_and_what_they_cost(answers: Any, account: Account, way: str) -> None:
    said = says(account, {"messages": [{"role": "system", "content": "Be kind."}, *user(TEXT)]})

    tokens = [said.end.prompt, said.end.completion]
    assert found(answers, account, way) == {"text": said.text, "finish": "stop", "tokens": tokens}


def test_a_conversation_goes_on(answers: Any, account: Account) -> None:
    assert found(answers, account, "history") == says(account, {"messages": user(TEXT)}).text


@pytest.mark.parametrize("way", TOOLS)
def test_tools_and_back(answers: Any, account: Account, way: str) -> None:
    run = found(answers, account, way)

    assert run["calls"] == [["get_weather", {"city": city}] for city in cities(account)]
    assert run["requests"] == 2
    check_told(run["text"], account)


def test_events_of_tools(answers: Any, account: Account) -> None:
    count = len(cities(account))

    assert found(answers, account, "streamed_events") == ["FunctionToolCallEvent"] * count + ["FunctionToolResultEvent"] * count


@pytest.mark.parametrize("way", OUTPUTS)
def test_structured_output(answers: Any, account: Account, way: str) -> None:
    assert found(answers, account, way) == {"output": ADA, "requests": 1}


def test_structured_output_after_a_tool(answers: Any, account: Account) -> None:
    assert found(answers, account, "output_after_tools") == {
        "output": {"city": "Oslo"},
        "requests": 2,
        "calls": [["get_weather", {"city": "Oslo"}]],
    }


def test_an_output_that_is_turned_down_comes_again(answers: Any, account: Account) -> None:
    assert found(answers, account, "output_at_the_second_try") == {"output": ADA, "requests": 2}


@pytest.mark.parametrize("account", THOSE_THAT_SEE, ids=lambda account: account.id)
def test_pictures(answers: Any, account: Account) -> None:
    assert "I see 1 image." in found(answers, account, "sees")


@pytest.mark.parametrize("account", THOSE_THAT_THINK, ids=lambda account: account.id)
@pytest.mark.parametrize("way", THOUGHTS)
def test_thoughts(answers: Any, account: Account, way: str) -> None:
    said = says(account, {"messages": user(TEXT), "reasoning_effort": "medium"})

    assert found(answers, account, way) == {"text": said.text, "thought": True, "tokens": said.end.completion}


@pytest.mark.parametrize("account", THOSE_THAT_EMBED, ids=lambda account: account.id)
def test_embeddings(answers: Any, account: Account) -> None:
    given = [list(array("f", numbers)) for numbers in found(answers, account, "embeds")]

    assert given == [list(array("f", vector(text, account.width)[:4])) for text in TEXTS]


@pytest.mark.parametrize("account", THOSE_THAT_BILL, ids=lambda account: account.id)
def test_an_error_is_told_as_openais(answers: Any, account: Account) -> None:
    assert found(answers, account, "refused") == {"class": "ModelQuotaExceededError", "status": 429, "code": "insufficient_quota"}
