"""LangChain's OpenAI classes through the gateway, at every account."""

import asyncio
from array import array
from collections.abc import Iterator
from typing import Any

import pytest
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import AzureChatOpenAI, ChatOpenAI, OpenAIEmbeddings
from openai import RateLimitError
from pydantic import BaseModel, SecretStr

from providers.simulation import vector
from tests.journeys.accounts import ACCOUNTS, DRIP, Account
from tests.journeys.brain import says, user
from tests.journeys.conftest import Street
from tests.journeys.ranks import rank_files

HELLO = "Say 你好 and be naïve 🙂"


class Person(BaseModel):
    """A person with an age"""

    name: str
    age: int


@tool
def get_weather(city: str) -> str:
    """The weather of a city today"""
    return f"晴 in {city}"


@pytest.fixture(scope="module", autouse=True)
def ranks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TIKTOKEN_CACHE_DIR", str(rank_files(tmp_path_factory.mktemp("ranks"))))
        yield


def chat_of(street: Street, key: str, **more: Any) -> ChatOpenAI:
    return ChatOpenAI(model="gpt-4o", base_url=street.base_url, api_key=SecretStr(key), max_retries=0, **more)


@pytest.fixture
def chat(street: Street, account: Account) -> ChatOpenAI:
    return chat_of(street, account.key)


def test_invoke(chat: ChatOpenAI, account: Account) -> None:
    answer = chat.invoke([SystemMessage("Be kind."), HumanMessage(HELLO)])

    said = says(account, {"messages": [{"role": "system", "content": "Be kind."}, *user(HELLO)]})
    assert answer.content == said.text
    assert answer.response_metadata["finish_reason"] == "stop"
    assert answer.usage_metadata is not None
    assert (answer.usage_metadata["input_tokens"], answer.usage_metadata["output_tokens"]) == (said.end.prompt, said.end.completion)


@pytest.mark.parametrize("drip", [False, True], ids=["whole", "drip"])
def test_stream(street: Street, account: Account, drip: bool) -> None:
    chat = chat_of(street, account.key + DRIP * drip, stream_usage=True)

    whole: AIMessageChunk | None = None
    for chunk in chat.stream(HELLO):
        assert isinstance(chunk, AIMessageChunk)
        whole = chunk if whole is None else whole + chunk

    said = says(account, {"messages": user(HELLO)})
    assert whole is not None
    assert whole.content == said.text
    assert whole.usage_metadata is not None
    assert whole.usage_metadata["output_tokens"] == said.end.completion


def test_tools_and_back(chat: ChatOpenAI, account: Account) -> None:
    able = chat.bind_tools([get_weather])
    messages: list[BaseMessage] = [HumanMessage("What is the weather in Paris and Tokyo?")]

    called = able.invoke(messages)
    results = [ToolMessage(get_weather.invoke(call["args"]), tool_call_id=call["id"]) for call in called.tool_calls]
    answer = able.invoke([*messages, called, *results])

    cities = ["Paris", "Tokyo"] if account.parallel else ["Paris"]
    assert isinstance(called, AIMessage)
    assert [(call["name"], call["args"]) for call in called.tool_calls] == [("get_weather", {"city": city}) for city in cities]
    told = [f"晴 in {city}" if account.parallel else f'{{"result":"晴 in {city}"}}' for city in cities]
    assert answer.content == f"The tools say: {'; '.join(told)}."


def test_streamed_tools(chat: ChatOpenAI, account: Account) -> None:
    whole: Any = None
    for chunk in chat.bind_tools([get_weather]).stream("What is the weather in Paris and Tokyo?"):
        whole = chunk if whole is None else whole + chunk

    cities = ["Paris", "Tokyo"] if account.parallel else ["Paris"]
    assert [call["args"] for call in whole.tool_calls] == [{"city": city} for city in cities]
    assert whole.invalid_tool_calls == []


def test_structured_output_by_a_function(chat: ChatOpenAI, account: Account) -> None:
    """Works at every vendor, since all call functions."""
    model = chat.with_structured_output(Person, method="function_calling")

    assert model.invoke('"Ada" is 36') == Person(name="Ada", age=36)


@pytest.mark.parametrize("account", [a for a in ACCOUNTS if a.json == "schema"], ids=lambda account: account.id)
def test_structured_output_by_a_schema(chat: ChatOpenAI, account: Account) -> None:
    assert chat.with_structured_output(Person, method="json_schema").invoke('"Ada" is 36') == Person(name="Ada", age=36)


@pytest.mark.parametrize("account", [a for a in ACCOUNTS if a.json != "none"], ids=lambda account: account.id)
def test_structured_output_by_json_mode(chat: ChatOpenAI, account: Account) -> None:
    given = chat.with_structured_output(None, method="json_mode").invoke('Answer in JSON: who is "Ada"?')

    assert given == {"answer": "Ada"}


def test_the_headers_can_be_had(street: Street, account: Account) -> None:
    answer = chat_of(street, account.key, include_response_headers=True).invoke(HELLO)

    assert answer.response_metadata["headers"]["x-banjia-provider"] == account.id


@pytest.mark.parametrize("account", [a for a in ACCOUNTS if a.embeddings], ids=lambda account: account.id)
def test_embeddings_which_are_sent_as_tokens(street: Street, account: Account) -> None:
    told: Any = {"base_url": street.base_url, "api_key": SecretStr(account.key)}  # aliases, which its types do not tell
    model = OpenAIEmbeddings(model="text-embedding-3-small", max_retries=0, **told)

    several, one = model.embed_documents(["moving house", "搬家"]), model.embed_query("搬家")

    assert [list(array("f", numbers)) for numbers in several] == [
        list(array("f", vector(text, account.width))) for text in ("moving house", "搬家")
    ]
    assert one == several[1]


def test_azure(street: Street, account: Account) -> None:
    chat = AzureChatOpenAI(
        azure_endpoint=street.gateway.url,
        azure_deployment="gpt-4o",
        api_version="2024-10-21",
        api_key=SecretStr(account.key),
        max_retries=0,
    )

    assert chat.invoke(HELLO).content == says(account, {"messages": user(HELLO)}).text


async def _twice(chats: list[ChatOpenAI]) -> list[list[str]]:
    """In one loop: LangChain keeps its connections between the clients."""

    async def ask(chat: ChatOpenAI) -> list[str]:
        whole = await chat.ainvoke(HELLO)
        return [str(whole.content), "".join([str(chunk.content) async for chunk in chat.astream(HELLO)])]

    return await asyncio.gather(*map(ask, chats))


def test_async(street: Street) -> None:
    answers = asyncio.run(_twice([chat_of(street, account.key) for account in ACCOUNTS]))

    assert answers == [[says(account, {"messages": user(HELLO)}).text] * 2 for account in ACCOUNTS]


def test_errors_are_openais(street: Street, account: Account) -> None:
    if account.own:
        pytest.skip("a server of one's own has no quota")

    with pytest.raises(RateLimitError) as refused:
        chat_of(street, f"{account.key}-quota").invoke(HELLO)

    assert refused.value.code == "insufficient_quota"
