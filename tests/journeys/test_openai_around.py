"""The rest of OpenAI's SDK: models, AzureOpenAI, the async client with many requests at once, timeouts, and helpers of the SDK itself."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, AzureOpenAI, OpenAI
from pydantic import BaseModel

from gateway.catalog import shipped
from gateway.config import load_catalog
from tests.journeys.accounts import ACCOUNTS, DRIP, Account
from tests.journeys.brain import WEATHER, Json, calls_of, says, user
from tests.journeys.conftest import Street
from tests.journeys.processes import bill, owed_since

HELLO = user("Hello")


def test_the_list_of_models_is_of_names_that_work(account: Account, client: OpenAI) -> None:
    names = [model.id for model in client.models.list()]

    assert {"gpt-4o", "gpt-gone", account.chat} <= set(names)
    assert len(names) == len(set(names))
    assert (account.embeddings == "") or account.embeddings in names


def test_one_model(account: Account, client: OpenAI) -> None:
    model = client.models.retrieve("gpt-4o")

    assert (model.id, model.object, model.owned_by) == ("gpt-4o", "model", account.vendor)
    assert isinstance(model.created, int)
    assert model._request_id


def test_one_model_that_is_none(clients: dict[str, OpenAI]) -> None:
    with pytest.raises(openai.NotFoundError) as refused:
        clients["sk-zhipu"].models.retrieve("no-such-model")

    assert refused.value.code == "model_not_found"


def test_names_of_the_catalog_answer_beside_the_keys_own(clients: dict[str, OpenAI]) -> None:
    client = clients["sk-zhipu"]
    names = ("gpt-4o-mini", "gpt-4.1", "o1", "gpt-5", "glm-5.3-flash", "qwen3.7-flash", "Baichuan4-Air")

    listed = {model.id for model in client.models.list()}
    answers = [client.chat.completions.create(model=name, messages=HELLO) for name in names]

    assert {answer.choices[0].message.content for answer in answers} == {says(ACCOUNTS[0], {"messages": HELLO}).text}
    assert {"gpt-4.1", "o1", "glm-5.3-flash"} <= listed


# ---- AzureOpenAI ----


@pytest.fixture(scope="module")
def azure(street: Street) -> Iterator[dict[str, AzureOpenAI]]:
    made = {
        account.key: AzureOpenAI(azure_endpoint=street.gateway.url, api_key=account.key, api_version="2024-10-21", max_retries=0)
        for account in ACCOUNTS
    }
    yield made
    for client in made.values():
        client.close()


def test_azure_plain(azure: dict[str, AzureOpenAI], account: Account) -> None:
    raw = azure[account.key].chat.completions.with_raw_response.create(model="gpt-4o", messages=HELLO)

    assert raw.http_request.url.path == "/openai/deployments/gpt-4o/chat/completions"
    assert raw.parse().choices[0].message.content == says(account, {"messages": HELLO}).text
    assert raw.headers["x-banjia-provider"] == account.id


def test_azure_streamed(azure: dict[str, AzureOpenAI], account: Account) -> None:
    chunks = azure[account.key].chat.completions.create(model="gpt-4o", messages=HELLO, stream=True)

    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == says(account, {"messages": HELLO}).text


def test_azure_tools(azure: dict[str, AzureOpenAI], account: Account) -> None:
    body: Json = {"model": "gpt-4o", "messages": user("Weather in Paris and Tokyo?"), "tools": [WEATHER]}

    answer = azure[account.key].chat.completions.create(**body)

    assert calls_of(answer.choices[0].message.tool_calls or []) == calls_of(says(account, body).calls)


def test_azure_embeddings(azure: dict[str, AzureOpenAI], account: Account) -> None:
    if not account.embeddings:
        pytest.skip("this surface has no embeddings")

    answer = azure[account.key].embeddings.create(model="text-embedding-3-small", input=["a", "b"])

    assert [len(item.embedding) for item in answer.data] == [account.width] * 2


def test_azure_with_a_fixed_deployment_and_a_token(street: Street) -> None:
    with AzureOpenAI(
        azure_endpoint=street.gateway.url, azure_deployment="gpt-4o", azure_ad_token="sk-zhipu", api_version="2024-06-01", max_retries=0
    ) as client:
        answer = client.chat.completions.create(model="whatever", messages=HELLO)

    assert answer.choices[0].message.content == says(ACCOUNTS[0], {"messages": HELLO}).text


def test_azure_errors(street: Street, azure: dict[str, AzureOpenAI]) -> None:
    with (
        AzureOpenAI(azure_endpoint=street.gateway.url, api_key="wrong", api_version="2024-10-21", max_retries=0) as stranger,
        pytest.raises(openai.AuthenticationError),
    ):
        stranger.chat.completions.create(model="gpt-4o", messages=HELLO)
    with pytest.raises(openai.NotFoundError) as refused:
        azure["sk-zhipu"].chat.completions.create(model="no-such-model", messages=HELLO)
    assert refused.value.code == "model_not_found"


# ---- many at once ----


def test_many_at_once_get_their_own_answers(street: Street) -> None:
    """Through every account, plain and streamed, all at a time: nobody gets another's words, and all of it is billed once."""
    before = bill(street.simulators.url)

    answers = asyncio.run(_at_once(street))

    wrong = [given for given, wanted in answers if given != wanted]
    assert wrong == []
    assert owed_since(before, street.simulators.url)["requests"] == len(ACCOUNTS) * 4


async def _at_once(street: Street) -> list[tuple[str, str]]:
    async with AsyncOpenAI(base_url=street.base_url, api_key="none", max_retries=0, timeout=40) as shared:

        async def plain(key: str, word: str) -> str:
            client = shared.with_options(api_key=key)
            answer = await client.chat.completions.create(model="gpt-4o", messages=user(f"Say {word}"))
            return answer.choices[0].message.content or ""

        async def stream(key: str, word: str) -> str:
            client = shared.with_options(api_key=key)
            chunks = await client.chat.completions.create(model="gpt-4o", messages=user(f"Say {word}"), stream=True)
            return "".join([chunk.choices[0].delta.content or "" async for chunk in chunks])

        wanted = [
            (ask, key, f"{key} {number} {ask.__name__} 字")
            for account in ACCOUNTS
            for key in (account.key, account.key + DRIP)
            for ask in (plain, stream)
            for number in range(2)
        ]
        given = await asyncio.gather(*(ask(key, word) for ask, key, word in wanted))
        return [(text, word) for text, (_, _, word) in zip(given, wanted, strict=True)]


# ---- the SDK's helpers ----


class Person(BaseModel):
    name: str
    age: int


def test_parse_fills_a_model_where_the_vendor_has_schemas(clients: dict[str, OpenAI]) -> None:
    for name in ("alibaba", "alibaba-native"):
        answer = clients[f"sk-{name}"].chat.completions.parse(model="gpt-4o", messages=user('"Ada" is 36'), response_format=Person)

        assert answer.choices[0].message.parsed == Person(name="Ada", age=36)


def test_parse_with_a_pydantic_tool(account: Account, client: OpenAI) -> None:
    answer = client.chat.completions.parse(
        model="gpt-4o", messages=user('"Ada" is 36'), tools=[openai.pydantic_function_tool(Person, description="Notes a person")]
    )

    calls = answer.choices[0].message.tool_calls or []
    assert calls[0].function.parsed_arguments == Person(name="Ada", age=36)


def test_parse_raises_where_the_answer_was_cut(clients: dict[str, OpenAI]) -> None:
    with pytest.raises(openai.LengthFinishReasonError):
        clients["sk-alibaba"].chat.completions.parse(
            model="gpt-4o", messages=user('"Ada" is 36'), response_format=Person, max_completion_tokens=3
        )


def test_several_answers_where_the_vendor_gives_them(clients: dict[str, OpenAI]) -> None:
    for name in ("alibaba", "alibaba-native", "sensetime", "sensetime-plan"):
        body: Json = {"model": "gpt-4o", "messages": HELLO, "n": 3}

        plain = clients[f"sk-{name}"].chat.completions.create(**body).choices
        words = ["", "", ""]
        for chunk in clients[f"sk-{name}"].chat.completions.create(stream=True, **body):
            for choice in chunk.choices:
                words[choice.index] += choice.delta.content or ""

        assert [choice.index for choice in plain] == [0, 1, 2]
        assert [choice.message.content for choice in plain] == words
        assert words[2].endswith("(answer 3)")


# ---- addresses ----


@pytest.mark.parametrize("path", ["", "/", "/v1", "/v1/", "/v1/v1", "/openai/v1"])
def test_a_base_url_that_is_meant_well_works(street: Street, path: str) -> None:
    with OpenAI(base_url=street.gateway.url + path, api_key="sk-zhipu", max_retries=0) as client:
        answer = client.chat.completions.create(model="gpt-4o", messages=HELLO)
        names = [model.id for model in client.models.list()]

    assert answer.choices[0].message.content == says(ACCOUNTS[0], {"messages": HELLO}).text
    assert "gpt-4o" in names


def test_what_is_not_offered_is_not_found_in_openais_words(clients: dict[str, OpenAI]) -> None:
    client = clients["sk-zhipu"]
    asked: list[tuple[Callable[[], Any], str]] = [
        (lambda: client.vector_stores.list(), "unsupported_endpoint"),
        (lambda: client.post("/threads", cast_to=object), "retired_endpoint"),
        (lambda: client.get("/imaginations", cast_to=object), "unknown_url"),
    ]

    for ask, code in asked:
        with pytest.raises(openai.NotFoundError) as refused:
            ask()
        assert refused.value.code == code
        assert refused.value.request_id


# ---- much of it ----


@pytest.mark.parametrize("drip", [False, True], ids=["whole", "drip"])
def test_a_long_answer_is_whole(account: Account, clients: dict[str, OpenAI], drip: bool) -> None:
    client = clients[account.key + DRIP * drip]
    most = 300 if drip else 1500
    body: Json = {"model": "gpt-4o", "messages": user(f"Count to {most}")}

    plain = client.chat.completions.create(**body).choices[0]
    stream = "".join(chunk.choices[0].delta.content or "" for chunk in client.chat.completions.create(**body, stream=True))

    assert plain.message.content == stream == " ".join(map(str, range(1, most + 1)))
    assert plain.finish_reason == "stop"


def test_a_prompt_that_is_too_long_for_the_model(account: Account, client: OpenAI) -> None:
    if account.id == "ollama":
        pytest.skip("it cuts a prompt in silence")
    model = load_catalog(shipped() / "none", []).facts(account.vendor, account.chat)

    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(model="gpt-4o", messages=user("字" * (model.context + 1)))

    assert refused.value.code == "context_length_exceeded"
    assert len(str(refused.value)) < 2500
