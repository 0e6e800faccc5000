"""OpenAI's agents SDK through the gateway, at every account."""

from typing import Any

import pytest

from tests.journeys.accounts import Account
from tests.journeys.brain import says, user
from tests.journeys.conftest import Street
from tests.journeys.frameworks import ADA, TEXT, THOSE_THAT_BILL, THOSE_THAT_SEE, THOSE_THAT_THINK, check_told, cities, found, question
from tests.journeys.judges import judge

pytestmark = pytest.mark.timeout(180)  # of which a cold import may take most, on a busy machine
WORDS = ("plain", "stream", "responses plain", "responses stream")
TOOLS = ("tools", "streamed_tools", "responses tools", "responses streamed_tools")
HANDOFFS = ("handoff", "streamed_handoff", "responses streamed_handoff")
OUTPUTS = ("output", "streamed_output", "responses output")
OTHERS = ("session", "one_tool_at_a_time", "a_tool_that_it_must_use", "an_agent_as_a_tool", "output_after_tools")
THOUGHTS = ("thinks", "thinks_aloud", "responses thinks", "responses thinks_aloud")


@pytest.fixture(scope="module")
def answers(street: Street) -> Any:
    asked = question(street, (*WORDS, *TOOLS, *HANDOFFS, *OUTPUTS, *OTHERS), sees=["sees"], thinks=THOUGHTS)
    return judge("openai-agents", asked, OPENAI_AGENTS_DISABLE_TRACING="1")


@pytest.mark.parametrize("way", WORDS)
def test_words_and_what_they_cost(answers: Any, account: Account, way: str) -> None:
    said = says(account, {"messages": [{"role": "system", "content": "Be kind."}, *user(TEXT)]})

    run = found(answers, account, way)

    assert run["text"] == run.get("said", said.text) == said.text
    assert (run["tokens"], run["requests"]) == ([said.end.prompt, said.end.completion], 1)


def test_a_conversation_goes_on(answers: Any, account: Account) -> None:
    assert found(answers, account, "session") == says(account, {"messages": user(TEXT)}).text


@pytest.mark.parametrize("way", TOOLS)
def test_tools_and_back(answers: Any, account: Account, way: str) -> None:
    run = found(answers, account, way)

    assert run["calls"] == [["get_weather", {"city": city}] for city in cities(account)]
    assert run["requests"] == 2
    check_told(run["text"], account)


def test_one_tool_at_a_time(answers: Any, account: Account) -> None:
    run = found(answers, account, "one_tool_at_a_time")

    assert run["calls"] == [["get_weather", {"city": "Paris"}]]
    assert "晴 in Paris" in run["text"]


def test_a_tool_that_has_to_be_used(answers: Any, account: Account) -> None:
    run = found(answers, account, "a_tool_that_it_must_use")

    assert (run["calls"], run["text"], run["requests"]) == ([["get_weather", {"city": "Oslo"}]], "晴 in Oslo", 1)


def test_an_agent_as_a_tool(answers: Any, account: Account) -> None:
    run = found(answers, account, "an_agent_as_a_tool")

    assert [name for name, _ in run["calls"]] == ["ask_forecaster"]
    assert run["text"].startswith("The tools say: ")


@pytest.mark.parametrize("way", HANDOFFS)
def test_a_handoff(answers: Any, account: Account, way: str) -> None:
    run = found(answers, account, way)

    assert (run["agent"], run["requests"]) == ("forecaster", 3)
    assert run["calls"] == [["get_weather", {"city": "Oslo"}]]
    assert "晴 in Oslo" in run["text"]


@pytest.mark.parametrize("way", OUTPUTS)
def test_structured_output(answers: Any, account: Account, way: str) -> None:
    assert found(answers, account, way) == ADA


def test_structured_output_after_a_tool(answers: Any, account: Account) -> None:
    run = found(answers, account, "output_after_tools")

    assert (run["text"], run["calls"], run["requests"]) == ({"city": "Oslo"}, [["get_weather", {"city": "Oslo"}]], 2)


@pytest.mark.parametrize("account", THOSE_THAT_SEE, ids=lambda account: account.id)
def test_pictures(answers: Any, account: Account) -> None:
    assert "I see 1 image." in found(answers, account, "sees")


@pytest.mark.parametrize("account", THOSE_THAT_THINK, ids=lambda account: account.id)
@pytest.mark.parametrize("way", THOUGHTS)
def test_thoughts(answers: Any, account: Account, way: str) -> None:
    said = says(account, {"messages": user(TEXT), "reasoning_effort": "medium"})

    run = found(answers, account, way)

    assert (run["text"], run["thought"], run["tokens"]) == (said.text, True, [said.end.prompt, said.end.completion])


@pytest.mark.parametrize("account", THOSE_THAT_BILL, ids=lambda account: account.id)
def test_an_error_is_told_as_openais(answers: Any, account: Account) -> None:
    assert found(answers, account, "refused") == {"class": "RateLimitError", "status": 429, "code": "insufficient_quota"}
