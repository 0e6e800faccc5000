"""OpenAI's SDK for JavaScript through the gateway, at every account."""

from typing import Any

import pytest

from tests.journeys.accounts import ACCOUNTS, Account
from tests.journeys.brain import says
from tests.journeys.conftest import Street
from tests.journeys.judges import node
from tests.journeys.question import CHATS, check_chat, check_embeddings, check_refusal, question

pytestmark = pytest.mark.timeout(180)  # of which a cold import may take most, on a busy machine
ERRORS = {
    "key": "AuthenticationError",
    "model": "NotFoundError",
    "field": "BadRequestError",
    "limited": "RateLimitError",
    "upstream": "InternalServerError",
    "unsafe": "BadRequestError",
}


@pytest.fixture(scope="module")
def answers(street: Street) -> Any:
    return node("openai.mjs", question(street.base_url))


@pytest.mark.parametrize("case", CHATS)
def test_chat(answers: Any, account: Account, case: str) -> None:
    check_chat(answers, account, case)


@pytest.mark.parametrize("case", CHATS)
def test_the_sdks_own_helper_for_streams(answers: Any, account: Account, case: str) -> None:
    said = says(account, CHATS[case])
    assert answers["chats"][account.key][case]["gathered"] == {"text": said.text, "calls": len(said.calls), "finish": said.end.reason}


@pytest.mark.parametrize("account", [a for a in ACCOUNTS if a.embeddings], ids=lambda account: account.id)
def test_embeddings(answers: Any, account: Account) -> None:
    check_embeddings(answers, account)


@pytest.mark.parametrize("case", ERRORS)
def test_errors(answers: Any, case: str) -> None:
    check_refusal(answers, case, ERRORS[case])


def test_models(answers: Any) -> None:
    assert {"gpt-4o", "text-embedding-3-small"} <= set(answers["models"])
