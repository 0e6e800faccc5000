"""instructor through the gateway, at every account, in each of its modes for OpenAI."""

from typing import Any

import pytest

from tests.journeys.accounts import Account
from tests.journeys.conftest import Street
from tests.journeys.frameworks import ADA, THOSE_THAT_BILL, found, question
from tests.journeys.judges import judge

pytestmark = pytest.mark.timeout(180)  # of which a cold import may take most, on a busy machine
MODES = ("TOOLS", "TOOLS_STRICT", "JSON", "JSON_SCHEMA", "MD_JSON", "RESPONSES_TOOLS")


@pytest.fixture(scope="module")
def answers(street: Street) -> Any:
    ways = ("create", "partial", "iterable", "retried")
    return judge("instructor", question(street, [*(f"{way}_{mode}" for way in ways for mode in MODES)]))


@pytest.mark.parametrize("mode", MODES)
def test_an_object(answers: Any, account: Account, mode: str) -> None:
    assert found(answers, account, f"create_{mode}") == {"person": ADA, "tokens": True}


@pytest.mark.parametrize("mode", MODES)
def test_an_object_that_grows(answers: Any, account: Account, mode: str) -> None:
    assert found(answers, account, f"partial_{mode}") == {"person": ADA, "grew": True}


@pytest.mark.parametrize("mode", MODES)
def test_a_list_one_by_one(answers: Any, account: Account, mode: str) -> None:
    assert found(answers, account, f"iterable_{mode}") == [ADA]


@pytest.mark.parametrize("mode", MODES)
def test_an_object_that_is_turned_down_comes_again(answers: Any, account: Account, mode: str) -> None:
    assert found(answers, account, f"retried_{mode}") == {"tries": 2, "kinds": {"name": "str", "age": "int"}}


@pytest.mark.parametrize("account", THOSE_THAT_BILL, ids=lambda account: account.id)
def test_an_error_is_told_as_openais(answers: Any, account: Account) -> None:
    assert found(answers, account, "refused") == {"class": "RateLimitError", "code": "insufficient_quota"}
