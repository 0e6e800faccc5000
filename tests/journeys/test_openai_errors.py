"""Every refusal is the class of exception that code written for OpenAI catches, with code, param and the request's id, and no secret."""

from typing import Any

import httpx
import openai
import pytest
from openai import OpenAI

from providers.simulation import UNSAFE_INPUT, UNSAFE_OUTPUT
from tests.journeys.accounts import ACCOUNTS, DRIP, ELSEWHERE, PATIENT, RESCUED, STRICT, Account
from tests.journeys.brain import Json, user
from tests.journeys.conftest import Street
from tests.journeys.processes import bill, owed_since

HELLO = user("Hello")

TROUBLES: dict[str, tuple[type[openai.APIStatusError], int, str]] = {
    "invalid": (openai.InternalServerError, 502, "upstream_auth"),
    "limited": (openai.RateLimitError, 429, "rate_limit_exceeded"),
    "quota": (openai.RateLimitError, 429, "insufficient_quota"),
    "arrears": (openai.RateLimitError, 429, "insufficient_quota"),
}


def well_formed(error: openai.APIStatusError) -> None:
    body: Any = error.body
    assert {"message", "type", "param", "code"} <= body.keys()
    assert body["message"] in str(error)
    assert error.request_id == error.response.headers["x-request-id"] != ""


def skip_what_is_not_its_own(account: Account, trouble: str) -> None:
    """A server of one's own has no bills, no limits and no filter, and may ask for no key."""
    if account.own and (trouble != "invalid" or not account.asks_key):
        pytest.skip("such a server has no such trouble")


def no_secret(account: Account, error: openai.APIError) -> None:
    for secret in account.secrets.values():
        assert len(secret) < 6 or secret not in str(error)
    assert "127.0.0.1" not in str(error)


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("trouble", TROUBLES)
def test_a_vendors_trouble(clients: dict[str, OpenAI], account: Account, trouble: str, stream: bool) -> None:
    skip_what_is_not_its_own(account, trouble)
    kind, status, code = TROUBLES[trouble]

    with pytest.raises(openai.APIStatusError) as refused:
        clients[f"{account.key}-{trouble}"].chat.completions.create(model="gpt-4o", messages=HELLO, stream=stream)

    error = refused.value
    assert (type(error), error.status_code, error.code) == (kind, status, code)
    assert error.response.headers["x-banjia-provider"] == f"{account.id}-{trouble}"
    well_formed(error)
    no_secret(account, error)
    if code != "rate_limit_exceeded":
        assert error.response.headers["x-should-retry"] == "false"


@pytest.mark.parametrize("account", [a for a in ACCOUNTS if a.embeddings], ids=lambda account: account.id)
@pytest.mark.parametrize("trouble", ["invalid", "limited"])
def test_a_vendors_trouble_with_embeddings(clients: dict[str, OpenAI], account: Account, trouble: str) -> None:
    skip_what_is_not_its_own(account, trouble)
    kind, status, code = TROUBLES[trouble]

    with pytest.raises(kind) as refused:
        clients[f"{account.key}-{trouble}"].embeddings.create(model="text-embedding-3-small", input="a")

    assert (refused.value.status_code, refused.value.code) == (status, code)
    well_formed(refused.value)


def test_a_model_that_the_vendor_does_not_have(account: Account, client: OpenAI) -> None:
    if not account.asks_model:
        pytest.skip("it answers with what it has, whatever it is asked for")

    with pytest.raises(openai.NotFoundError) as refused:
        client.chat.completions.create(model="gpt-gone", messages=HELLO)

    assert refused.value.code == "model_not_found"
    well_formed(refused.value)


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("drip", [False, True], ids=["whole", "drip"])
def test_what_may_not_be_asked(account: Account, clients: dict[str, OpenAI], drip: bool, stream: bool) -> None:
    skip_what_is_not_its_own(account, "words")
    client = clients[account.key + DRIP * drip]
    messages = user(f"{UNSAFE_INPUT} Hello")
    if account.id == "baidu-legacy":  # it never refuses, it says why it ends
        pytest.skip("this surface has no such error")

    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(model="gpt-4o", messages=messages, stream=stream)

    assert refused.value.code == "content_filter"
    assert refused.value.response.headers["x-should-retry"] == "false"
    well_formed(refused.value)


def test_the_older_surface_of_baidu_ends_with_content_filter(clients: dict[str, OpenAI]) -> None:
    client = clients["sk-baidu-legacy"]
    messages = user(f"{UNSAFE_INPUT} Hello")

    plain = client.chat.completions.create(model="gpt-4o", messages=messages)
    stream = list(client.chat.completions.create(model="gpt-4o", messages=messages, stream=True))

    assert plain.choices[0].finish_reason == stream[-1].choices[0].finish_reason == "content_filter"


def test_what_may_not_be_said_is_a_finish_or_an_error_and_never_looks_complete(account: Account, client: OpenAI) -> None:
    skip_what_is_not_its_own(account, "words")
    messages = user(f"{UNSAFE_OUTPUT} Hello")

    try:
        outcome: str | None = client.chat.completions.create(model="gpt-4o", messages=messages).choices[0].finish_reason
    except openai.BadRequestError as error:
        outcome = error.code

    assert outcome == "content_filter"


@pytest.mark.parametrize("drip", [False, True], ids=["whole", "drip"])
def test_what_may_not_be_said_in_a_stream_either(account: Account, clients: dict[str, OpenAI], drip: bool) -> None:
    """A finish of `content_filter`, or an error event; after an error there is neither a finish nor a [DONE]."""
    skip_what_is_not_its_own(account, "words")
    client = clients[account.key + DRIP * drip]
    outcomes: list[str | None] = []

    try:
        for chunk in client.chat.completions.create(model="gpt-4o", messages=user(f"{UNSAFE_OUTPUT} Hello"), stream=True):
            outcomes += [choice.finish_reason for choice in chunk.choices if choice.finish_reason]
    except openai.APIError as error:
        outcomes.append(error.code)

    assert outcomes == ["content_filter"]


WRONG: dict[str, tuple[Json, str, str]] = {
    "temperature": ({"temperature": 3}, "temperature", "decimal_above_max_value"),
    "temperature-type": ({"temperature": "hot"}, "temperature", "invalid_type"),
    "n": ({"n": 0}, "n", "integer_below_min_value"),
    "max_tokens": ({"max_tokens": 0}, "max_tokens", "integer_below_min_value"),
    "messages": ({"messages": []}, "messages", "empty_array"),
    "messages-type": ({"messages": "Hello"}, "messages", "invalid_type"),
    "role": ({"messages": [{"role": "robot", "content": "a"}]}, "messages[0].role", "invalid_value"),
    "content": ({"messages": [{"role": "user"}]}, "messages[0].content", "missing_required_parameter"),
    "tool": ({"tools": [{"type": "function", "function": {}}]}, "tools[0].function.name", "missing_required_parameter"),
    "tool_choice": ({"tool_choice": "always"}, "tool_choice", "invalid_value"),
    "response_format": ({"response_format": {"type": "xml"}}, "response_format.type", "invalid_value"),
    "stream_options": ({"stream_options": {"include_usage": True}}, "stream_options", "invalid_value"),
}


@pytest.mark.parametrize("case", WRONG.values(), ids=WRONG)
def test_a_field_that_is_wrong_is_named(street: Street, clients: dict[str, OpenAI], case: tuple[Json, str, str]) -> None:
    fields, param, code = case
    before = bill(street.simulators.url)

    with pytest.raises(openai.BadRequestError) as refused:
        clients["sk-zhipu"].chat.completions.create(**{"model": "gpt-4o", "messages": HELLO, **fields})

    assert (refused.value.param, refused.value.code, refused.value.type) == (param, code, "invalid_request_error")
    well_formed(refused.value)
    assert owed_since(before, street.simulators.url)["whose"] == []


def test_a_model_that_nobody_knows(clients: dict[str, OpenAI]) -> None:
    with pytest.raises(openai.NotFoundError) as refused:
        clients["sk-zhipu"].chat.completions.create(model="no-such-model", messages=HELLO)

    assert (refused.value.code, refused.value.param) == ("model_not_found", "model")
    assert "no-such-model" in str(refused.value)


@pytest.mark.parametrize("key", ["sk-wrong", "sk-zhip", "x" * 500])
def test_a_key_that_nobody_has(street: Street, key: str) -> None:
    with OpenAI(base_url=street.base_url, api_key=key, max_retries=0) as client, pytest.raises(openai.AuthenticationError) as refused:
        client.chat.completions.create(model="gpt-4o", messages=HELLO)

    assert refused.value.code == "invalid_api_key"
    assert key not in str(refused.value)
    well_formed(refused.value)


def test_strict_fidelity_refuses_what_would_be_changed(clients: dict[str, OpenAI]) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        clients[STRICT].chat.completions.create(model="gpt-4o", messages=HELLO, logit_bias={"1": 1})

    assert (refused.value.code, refused.value.param) == ("unsupported_parameter", "logit_bias")
    assert clients[STRICT].chat.completions.create(model="gpt-4o", messages=HELLO, seed=7).choices


def test_a_name_that_a_team_refuses(clients: dict[str, OpenAI]) -> None:
    with pytest.raises(openai.NotFoundError) as refused:
        clients[ELSEWHERE].chat.completions.create(model="gpt-4o", messages=HELLO)

    assert "not from gpt-4o" in str(refused.value)


def test_data_that_may_not_leave_its_place(street: Street, clients: dict[str, OpenAI]) -> None:
    before = bill(street.simulators.url)

    with pytest.raises(openai.PermissionDeniedError) as refused:
        clients[ELSEWHERE].chat.completions.create(model="glm-5.2", messages=HELLO)

    assert refused.value.code == "jurisdiction_not_allowed"
    assert owed_since(before, street.simulators.url)["whose"] == []


def test_the_gateway_retries_and_then_tells_the_sdk_not_to(street: Street) -> None:
    """The SDK would try twice more by itself: three times three calls of a provider that is busy already."""
    with OpenAI(base_url=street.base_url, api_key=PATIENT, max_retries=2) as client, pytest.raises(openai.RateLimitError) as refused:
        client.chat.completions.create(model="gpt-4o", messages=HELLO)

    assert refused.value.response.headers["x-banjia-attempts"] == "3"
    assert refused.value.response.headers["x-should-retry"] == "false"
    assert refused.value.response.request.headers["x-stainless-retry-count"] == "0"


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_a_fallback_answers_unseen(clients: dict[str, OpenAI], stream: bool) -> None:
    raw = clients[RESCUED].chat.completions.with_raw_response.create(model="gpt-4o", messages=HELLO, stream=stream)

    assert raw.headers["x-banjia-provider"] == "alibaba"
    assert raw.headers["x-banjia-attempts"] == "2"
    assert list(raw.parse())


def test_addresses_that_are_none(street: Street) -> None:
    """Not of the SDK's making, but of people's: still OpenAI's error."""
    with httpx.Client(base_url=street.gateway.url, headers={"authorization": "Bearer sk-zhipu"}, trust_env=False) as http:
        lost, wrong = http.get("/v1/nothing"), http.get("/v1/chat/completions")

    for reply, status in ((lost, 404), (wrong, 405)):
        assert reply.status_code == status
        assert reply.json()["error"].keys() == {"message", "type", "param", "code"}
        assert reply.headers["x-request-id"]


def test_a_body_that_is_no_json(street: Street) -> None:
    with httpx.Client(base_url=street.gateway.url, headers={"authorization": "Bearer sk-zhipu"}, trust_env=False) as http:
        reply = http.post("/v1/chat/completions", content=b'{"model": "gpt-4o", "messages": [')

    assert reply.status_code == 400
    assert reply.json()["error"]["type"] == "invalid_request_error"
