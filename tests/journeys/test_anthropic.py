"""Anthropic's SDK through the gateway, at every account."""

from typing import Any

import pytest

from tests.journeys.accounts import Account
from tests.journeys.brain import WEATHER, says, user
from tests.journeys.conftest import Street
from tests.journeys.frameworks import ADA, TEXT, THOSE_THAT_BILL, THOSE_THAT_SEE, THOSE_THAT_THINK, check_told, cities, found, question
from tests.journeys.frameworks import WEATHER as IN_TWO_CITIES
from tests.journeys.judges import judge

pytestmark = pytest.mark.timeout(180)  # of which a cold import may take most, on a busy machine
WORDS = ("plain", "bearer", "helper")
TOOLS = ("tools", "streamed_tools")
TURNS = ("tool_turn", "runner", "streamed_runner")
OTHERS = ("events", "forced", "stopped", "cut", "parsed", "counted", "models", "a_stranger", "no_model", "no_result")
REFUSED = ("refused", "refused_in_a_stream")
EVENTS = ["message_start", "content_block_start", "content_block_delta", "content_block_stop", "message_delta", "message_stop"]
"""A ping is not handed on by the SDK."""


@pytest.fixture(scope="module")
def answers(street: Street) -> Any:
    asked = question(street, (*WORDS, *TOOLS, *TURNS, *OTHERS), sees=["sees"], thinks=["thinks"])
    for account in asked["accounts"]:
        account["checks"] += ["refused_in_a_stream"] * ("refused" in account["checks"])
    return judge("anthropic", asked)


@pytest.mark.parametrize("way", WORDS)
def test_words_and_what_they_cost(answers: Any, account: Account, way: str) -> None:
    said = says(account, {"messages": [{"role": "system", "content": "Be kind."}, *user(TEXT)]})

    message = found(answers, account, way)

    assert message["text"] == message.get("said", said.text) == said.text
    assert (message["kinds"], message["reason"], message["stop"]) == (["text"], "end_turn", None)
    assert message["tokens"] == [said.end.prompt, said.end.completion]


def test_events_come_in_anthropics_order(answers: Any, account: Account) -> None:
    said = says(account, {"messages": [{"role": "system", "content": "Be kind."}, *user(TEXT)]})

    assert found(answers, account, "events") == {"names": EVENTS, "text": said.text}


@pytest.mark.parametrize("way", TOOLS)
def test_tools(answers: Any, account: Account, way: str) -> None:
    said = says(account, {"messages": user(IN_TWO_CITIES), "tools": [WEATHER]})

    message = found(answers, account, way)

    assert message["calls"] == [["get_weather", {"city": city}] for city in cities(account)]
    assert (message["reason"], message["tokens"][1]) == ("tool_use", said.end.completion)


@pytest.mark.parametrize("way", TURNS)
def test_tools_and_back(answers: Any, account: Account, way: str) -> None:
    message = found(answers, account, way)

    assert message["reason"] == "end_turn"
    check_told(message["text"], account)


def test_one_tool_that_has_to_be_called(answers: Any, account: Account) -> None:
    message = found(answers, account, "forced")

    assert (message["calls"], message["reason"]) == ([["get_weather", {"city": "Paris"}]], "tool_use")


def test_a_stop_sequence_is_named(answers: Any, account: Account) -> None:
    stopped = found(answers, account, "stopped")

    for way in ("plain", "streamed"):
        assert (stopped[way]["text"], stopped[way]["reason"], stopped[way]["stop"]) == ("1 2 3 4 5 6", "stop_sequence", " 7")


def test_an_answer_that_is_cut(answers: Any, account: Account) -> None:
    said = says(account, {"messages": user("Count to 50"), "max_tokens": 9})

    message = found(answers, account, "cut")

    assert (message["text"], message["reason"], message["tokens"][1]) == (said.text, "max_tokens", 9)


def test_structured_output(answers: Any, account: Account) -> None:
    assert found(answers, account, "parsed") == ADA


def test_tokens_are_counted_without_asking_the_vendor(answers: Any, account: Account) -> None:
    assert 15 < found(answers, account, "counted") < 40


def test_models(answers: Any, account: Account) -> None:
    assert found(answers, account, "models") == {"listed": True, "one": ["gpt-4o", "model", "gpt-4o"], "year": 2024}


@pytest.mark.parametrize("account", THOSE_THAT_SEE, ids=lambda account: account.id)
def test_pictures(answers: Any, account: Account) -> None:
    assert "I see 1 image." in found(answers, account, "sees")["text"]


@pytest.mark.parametrize("account", THOSE_THAT_THINK, ids=lambda account: account.id)
def test_thoughts_and_back(answers: Any, account: Account) -> None:
    said = says(account, {"messages": user(TEXT), "reasoning_effort": "low"})

    thinks = found(answers, account, "thinks")

    assert (thinks["streamed"]["text"], thinks["streamed"]["thought"]) == (said.text, said.thought)
    assert thinks["streamed"]["kinds"] == thinks["plain"]["kinds"] == ["thinking", "text"]
    assert (thinks["plain"]["text"], thinks["plain"]["thought"]) == (said.text, said.thought)


@pytest.mark.parametrize("account", THOSE_THAT_BILL, ids=lambda account: account.id)
@pytest.mark.parametrize("way", REFUSED)
def test_a_quota_that_is_used_up(answers: Any, account: Account, way: str) -> None:
    refused = found(answers, account, way)

    assert refused.pop("message")
    assert refused == {"class": "RateLimitError", "status": 429, "envelope": "error", "known": True, "type": "rate_limit_error"}


def test_errors_are_told_in_anthropics_envelope(answers: Any, account: Account) -> None:
    kinds = {name: found(answers, account, name) for name in ("a_stranger", "no_model", "no_result")}

    assert {name: (one["class"], one["status"], one["type"], one["known"]) for name, one in kinds.items()} == {
        "a_stranger": ("AuthenticationError", 401, "authentication_error", True),
        "no_model": ("NotFoundError", 404, "not_found_error", True),
        "no_result": ("BadRequestError", 400, "invalid_request_error", True),
    }
    assert "toolu_1" in kinds["no_result"]["message"]
