"""OpenAI's SDK of 2024 and of 2023 through the gateway, at every account: the programs that will not be rewritten."""

from typing import Any

import pytest

from tests.journeys.accounts import ACCOUNTS, Account
from tests.journeys.conftest import Street
from tests.journeys.judges import judge
from tests.journeys.question import CHATS, COMPLETIONS, check_chat, check_completions, check_embeddings, check_refusal, question

pytestmark = pytest.mark.timeout(180)  # of which a cold import may take most, on a busy machine
VERSIONS = {"openai-2024": "1.35", "openai-0.28": "0.28"}
ERRORS = {
    "openai-2024": {
        "key": "AuthenticationError",
        "model": "NotFoundError",
        "field": "BadRequestError",
        "limited": "RateLimitError",
        "upstream": "InternalServerError",
        "unsafe": "BadRequestError",
    },
    "openai-0.28": {
        "key": "AuthenticationError",
        "model": "InvalidRequestError",
        "field": "InvalidRequestError",
        "limited": "RateLimitError",
        "upstream": "APIError",
        "unsafe": "InvalidRequestError",
    },
}


@pytest.fixture(scope="module", params=VERSIONS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def answers(name: str, street: Street) -> Any:
    return judge(name, question(street.base_url))


def test_the_judge_is_who_it_says(name: str, answers: Any) -> None:
    assert answers["version"].startswith(VERSIONS[name])


@pytest.mark.parametrize("case", CHATS)
def test_chat(answers: Any, account: Account, case: str) -> None:
    check_chat(answers, account, case)


@pytest.mark.parametrize("case", COMPLETIONS)
def test_completions(answers: Any, account: Account, case: str) -> None:
    check_completions(answers, account, case)


@pytest.mark.parametrize("account", [a for a in ACCOUNTS if a.embeddings], ids=lambda account: account.id)
def test_embeddings(answers: Any, account: Account) -> None:
    check_embeddings(answers, account)


@pytest.mark.parametrize("case", ERRORS["openai-2024"])
def test_errors(name: str, answers: Any, case: str) -> None:
    check_refusal(answers, case, ERRORS[name][case])


def test_models(answers: Any) -> None:
    assert {"gpt-4o", "text-embedding-3-small"} <= set(answers["models"])
