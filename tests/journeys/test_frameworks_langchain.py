"""LangChain's own standard tests, whole, through the gateway, at every account."""

from typing import Any

import pytest

from tests.journeys.accounts import ACCOUNTS, Account
from tests.journeys.brain import Json
from tests.journeys.conftest import Street
from tests.journeys.frameworks import THOSE_THAT_EMBED, picture
from tests.journeys.judges import judge
from tests.journeys.ranks import rank_files

pytestmark = pytest.mark.timeout(180)  # of which a cold import may take most, on a busy machine
SEER = "gpt-4-vision-preview"
UNASKED = {
    "test_audio_inputs",
    "test_pdf_inputs",
    "test_pdf_tool_message",
    "test_image_tool_message",  # OpenAI's chat has only words there
    "test_stream_time",  # a benchmark of recorded answers
}
"""What no account declares."""
OF_TOOLS = {
    "test_agent_loop[model0]",
    "test_agent_loop[model1]",
    "test_anthropic_inputs",  # which are calls
    "test_bind_runnables_as_tools",
    "test_structured_few_shot_examples",
    "test_structured_output[json_schema]",  # LangChain makes it of calls where the model is of before gpt-4o
    "test_structured_output[pydantic]",
    "test_structured_output[typeddict]",
    "test_structured_output_async[json_schema]",
    "test_structured_output_async[pydantic]",
    "test_structured_output_async[typeddict]",
    "test_structured_output_optional_param",
    "test_structured_output_pydantic_2_v1",
    "test_tool_calling[model0]",
    "test_tool_calling[model1]",
    "test_tool_calling_async",
    "test_tool_calling_with_no_arguments",
    "test_tool_choice",
    "test_tool_message_error_status",
    "test_tool_message_histories_list_content",
    "test_tool_message_histories_string_content",
    "test_unicode_tool_call_integration",
}


def able(account: Account, *, sees: bool, calls: bool = True) -> Json:
    """Values of the suite's properties, which decide what it asks for."""
    details = ["cache_read_input", *(["reasoning_output"] if account.thinker else [])] if account.tells_details else []
    return {
        "supports_image_inputs": sees,
        "supports_image_urls": sees and account.fetches,
        "supports_json_mode": True,
        "has_tool_calling": calls,
        "has_structured_output": calls,
        "supports_anthropic_inputs": calls,
        "supports_model_override": True,
        "model_override_value": account.chat,
        "supported_usage_metadata_details": {"invoke": details, "stream": details},
    }


def models(account: Account) -> dict[str, Json]:
    """The model that stands for gpt-4o; and the one that sees, where that is another."""
    apart = account.seer and account.seer != account.chat
    return {"gpt-4o": able(account, sees=account.seer == account.chat)} | (
        {SEER: able(account, sees=True, calls=account.seer_calls)} if apart else {}
    )


RESPONDING = [account for account in ACCOUNTS if account.id in ("zhipu", "alibaba-native")]
"""Where it is asked on Responses too: those are chat behind the gateway, and these are the chats that differ most."""


def responses(account: Account) -> Json | None:
    """The same values, for gpt-4o on Responses, whose tools may give pictures."""
    sees = account.seer == account.chat
    return {**able(account, sees=sees), "supports_image_tool_message": sees} if account in RESPONDING else None


@pytest.fixture(scope="module")
def outcomes(street: Street, tmp_path_factory: pytest.TempPathFactory) -> Any:
    accounts = [
        {"id": a.id, "key": a.key, "models": models(a), "responses": responses(a), "embeddings": bool(a.embeddings)} for a in ACCOUNTS
    ]
    ranks = rank_files(tmp_path_factory.mktemp("ranks"))
    question = {"base_url": street.base_url, "picture": picture().hex(), "accounts": accounts}
    return judge("langchain-standard", question, TIKTOKEN_CACHE_DIR=str(ranks), HOME=str(ranks))


CHATS = [(account, model) for account in ACCOUNTS for model in models(account)]


@pytest.mark.parametrize(("account", "model"), CHATS, ids=[f"{account.id}-{model}" for account, model in CHATS])
def test_a_chat_model(outcomes: Any, account: Account, model: str) -> None:
    told, declared = outcomes[f"{account.id} {model}"], models(account)[model]

    unasked = UNASKED | (set() if declared["supports_image_inputs"] else {"test_image_inputs"})
    unasked |= set() if declared["has_tool_calling"] else OF_TOOLS
    assert {name: why for name, why in told.items() if why.startswith("failed")} == {}
    assert {name for name, why in told.items() if why.startswith("skipped")} == unasked
    assert told["test_no_overrides_DO_NOT_OVERRIDE"] == "passed"


@pytest.mark.parametrize("account", RESPONDING, ids=lambda account: account.id)
def test_a_chat_model_on_responses(outcomes: Any, account: Account) -> None:
    told = outcomes[f"{account.id} responses"]

    unasked = UNASKED - {"test_image_tool_message"} if account.seer == account.chat else UNASKED | {"test_image_inputs"}
    assert {name: why for name, why in told.items() if why.startswith("failed")} == {}
    assert {name for name, why in told.items() if why.startswith("skipped")} == unasked
    assert told["test_no_overrides_DO_NOT_OVERRIDE"] == "passed"
    assert told["test_is_asked_on_responses"] == "passed"


@pytest.mark.parametrize("account", THOSE_THAT_EMBED, ids=lambda account: account.id)
def test_embeddings(outcomes: Any, account: Account) -> None:
    told = outcomes[f"{account.id} embeddings"]

    assert set(told.values()) == {"passed"}
    assert "test_embed_documents" in told
