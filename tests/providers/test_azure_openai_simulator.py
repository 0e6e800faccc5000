"""Azure's simulator, judged by OpenAI's own client for Azure: by key and by a provider of tokens, on both surfaces."""

from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest
from openai import AzureOpenAI, OpenAI

from providers.base import Json
from tests.providers.openai import WEATHER, ask

KEY = "0123456789abcdef0123456789abcdef"
GA = "2024-10-21"
BARE: Json = {"type": "function", "function": {"name": "go"}}
HELLO: Any = ask("Say hello")["messages"]
APPLICATION = {
    "client_id": "client",
    "client_secret": "secret",
    "grant_type": "client_credentials",
    "scope": "https://cognitiveservices.azure.com/.default",
}


@pytest.fixture
def resource(simulators: str) -> str:
    return f"{simulators}/azure_openai"


@pytest.fixture
def client(resource: str) -> Iterator[AzureOpenAI]:
    with AzureOpenAI(azure_endpoint=resource, api_key=KEY, api_version=GA, max_retries=0) as made:
        yield made


@pytest.fixture
def http(resource: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=resource, headers={"api-key": KEY}, trust_env=False) as made:
        yield made


def test_the_client_for_azure_reads_answers_and_streams(client: AzureOpenAI) -> None:
    raw = client.chat.completions.with_raw_response.create(model="gpt4o-prod", messages=HELLO)
    chunks = list(client.chat.completions.create(model="gpt4o-prod", messages=HELLO, stream=True, stream_options={"include_usage": True}))

    answer: Any = raw.parse()
    assert (answer.choices[0].message.content, answer.model) == ("hello", "gpt-4o-2024-11-20")
    assert answer.prompt_filter_results[0]["content_filter_results"]["hate"] == {"filtered": False, "severity": "safe"}
    assert answer.choices[0].content_filter_results["violence"]["severity"] == "safe"
    assert raw.headers["x-ms-deployment-name"] == "gpt4o-prod"
    assert (chunks[0].choices, chunks[0].id, chunks[0].model) == ([], "", "")
    deltas: list[Any] = [choice.delta for chunk in chunks for choice in chunk.choices]
    assert deltas.count(None) == 1  # a remark of the filter alone
    assert "".join(delta.content or "" for delta in deltas if delta) == "hello"
    assert chunks[-1].usage == answer.usage


def test_a_provider_of_tokens_is_believed_as_long_as_they_last(resource: str, http: httpx.Client) -> None:
    asked: list[str] = []

    def token() -> str:
        reply = http.post("/acme/oauth2/v2.0/token", data=APPLICATION)
        asked.append(reply.json()["access_token"])
        return asked[-1]

    with AzureOpenAI(azure_endpoint=resource, azure_ad_token_provider=token, api_version=GA, max_retries=0) as client:
        answer = client.chat.completions.create(model="gpt-4o", messages=HELLO)
        vectors = client.embeddings.create(model="text-embedding-3-small", input=["a", "b"], dimensions=5)
    with (
        AzureOpenAI(azure_endpoint=resource, azure_ad_token="eyJ0", api_version=GA, max_retries=0) as stranger,
        pytest.raises(openai.AuthenticationError) as refused,
    ):
        stranger.chat.completions.create(model="gpt-4o", messages=HELLO)

    assert answer.choices[0].message.content == "hello"
    assert [len(item.embedding) for item in vectors.data] == [5, 5]
    assert len(asked) == 2
    assert refused.value.code == "401"


def test_v1_is_spoken_by_the_plain_client(resource: str, http: httpx.Client) -> None:
    token = http.post("/acme/oauth2/v2.0/token", data=APPLICATION).json()["access_token"]
    for key in (KEY, token):
        with OpenAI(base_url=f"{resource}/openai/v1", api_key=key, max_retries=0) as client:
            answer = client.chat.completions.create(model="gpt54-prod", messages=HELLO, reasoning_effort="low")
            assert (answer.choices[0].message.content, answer.model) == ("hello", "gpt-5.4-2026-03-05")
            assert "gpt-5.4" in {model.id for model in client.models.list()}


def test_the_client_reads_calls(client: AzureOpenAI) -> None:
    messages: Any = ask("Weather in Paris and Tokyo?")["messages"]
    tools: Any = [WEATHER]
    calls: dict[int, str] = {}

    for chunk in client.chat.completions.create(model="gpt-4o", messages=messages, tools=tools, stream=True):
        deltas: list[Any] = [choice.delta for choice in chunk.choices]
        for call in (call for delta in deltas if delta for call in delta.tool_calls or ()):
            calls[call.index] = calls.get(call.index, "") + call.function.arguments

    assert calls == {0: '{"city":"Paris"}', 1: '{"city":"Tokyo"}'}


@pytest.mark.parametrize(("key", "deployment", "kind", "code"), [
    (KEY, "gpt-99", openai.NotFoundError, "DeploymentNotFound"),
    ("short", "gpt-4o", openai.AuthenticationError, "401"),
    ("invalid-0123456789", "gpt-4o", openai.AuthenticationError, "401"),
    ("limited-0123456789", "gpt-4o", openai.RateLimitError, "429"),
    ("quota-0123456789", "gpt-4o", openai.RateLimitError, "insufficient_quota"),
])  # fmt: skip
def test_the_client_raises_the_class_of_a_trouble(
    resource: str, key: str, deployment: str, kind: type[openai.APIStatusError], code: str
) -> None:
    with AzureOpenAI(azure_endpoint=resource, api_key=key, api_version=GA, max_retries=0) as client, pytest.raises(kind) as raised:
        client.chat.completions.create(model=deployment, messages=HELLO)

    assert raised.value.code == code
    if code == "429":
        assert raised.value.response.headers["retry-after-ms"] == "37000"


def test_what_the_filter_blocks_is_told_with_its_reasons(client: AzureOpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as raised:
        client.chat.completions.create(model="gpt-4o", messages=ask("[unsafe-input]")["messages"])

    body: Any = raised.value.body
    assert (raised.value.code, raised.value.param, body["status"]) == ("content_filter", "prompt", 400)
    assert body["innererror"]["code"] == "ResponsibleAIPolicyViolation"
    assert body["innererror"]["content_filter_result"]["violence"] == {"filtered": True, "severity": "medium"}


REFUSED: dict[str, tuple[str, Json, int, str | None]] = {
    "no-version": ("deployments/gpt-4o/chat/completions", ask("hi"), 404, "404"),
    "a-version-that-never-was": ("deployments/gpt-4o/chat/completions?api-version=2024-10-22", ask("hi"), 404, "404"),
    "no-such-path": ("deployments/gpt-4o/chat?api-version=2024-10-21", ask("hi"), 404, "404"),
    "no-deployment": ("chat/completions?api-version=2024-10-21", ask("hi"), 404, "404"),
    "a-date-on-v1": ("v1/chat/completions?api-version=2024-10-21", {"model": "gpt-4o", **ask("hi")}, 400, "BadRequest"),
    "no-model-on-v1": ("v1/chat/completions", ask("hi"), 400, "missing_required_parameter"),
    "unknown": (f"deployments/gpt-4o/chat/completions?api-version={GA}", ask("hi", foo=1), 400, None),
    "too-new": (f"deployments/gpt-4o/chat/completions?api-version={GA}", ask("hi", store=True), 400, None),
    "too-new-by-far": ("deployments/gpt-4o/chat/completions?api-version=2023-05-15", ask("hi", tools=[WEATHER]), 400, None),
    "required": (
        "deployments/gpt-4o/chat/completions?api-version=2024-02-01", ask("hi", tools=[BARE], tool_choice="required"), 400, "invalid_value",
    ),
    "the-wrong-operation": (f"deployments/gpt-4o/embeddings?api-version={GA}", {"input": "a"}, 400, "OperationNotSupported"),
    "developer": ("v1/chat/completions", {"model": "gpt-4o", "messages": [{"role": "developer", "content": "a"}]}, 400, "invalid_value"),
    "of-openai-alone": ("v1/chat/completions", {"model": "gpt-4o", **ask("hi", moderation={})}, 400, None),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED)
def test_it_is_refused_with_azures_code(http: httpx.Client, case: tuple[str, Json, int, str | None]) -> None:
    path, body, status, code = case

    reply = http.post(f"/openai/{path}", json=body)

    assert (reply.status_code, reply.json()["error"]["code"]) == (status, code), reply.text


@pytest.mark.parametrize(("wrong", "number"), [
    ({"client_secret": "x"}, 7000215), ({"client_id": "x"}, 700016), ({"scope": "x"}, 70011), ({"grant_type": "x"}, 70003),
    ({"scope": ""}, 900144),
])  # fmt: skip
def test_a_token_is_refused_with_entras_number(http: httpx.Client, wrong: dict[str, str], number: int) -> None:
    reply = http.post("/acme/oauth2/v2.0/token", data={**APPLICATION, **wrong})

    assert reply.status_code in (400, 401)
    assert reply.json()["error_codes"] == [number]
    assert reply.json()["error_description"].startswith(f"AADSTS{number}: ")
