"""Odd requests that OpenAI takes: so they have to be taken here, at every account, and be answered as the brain answers them."""

from typing import Any

import pytest
from openai import BadRequestError, OpenAI

from tests.journeys.accounts import ACCOUNTS, Account
from tests.journeys.brain import TIME, TOOLS, WEATHER, Json, calls_of, says, user
from tests.journeys.conftest import Street
from tests.journeys.processes import bill, owed_since

CALL = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city":"Oslo"}'}}
OTHER = {"id": "call_2", "type": "function", "function": {"name": "get_time", "arguments": '{"place":"Oslo"}'}}
RESULT = {"role": "tool", "tool_call_id": "call_1", "content": '{"sky":"rain"}'}
SYSTEM = {"role": "system", "content": "Be kind."}
NAMED = {"type": "function", "function": {"name": "get_time"}}
ASSISTANT = {"role": "assistant", "content": "Yes?"}

ODD: dict[str, Json] = {
    # conversations
    "two-systems": {"messages": [SYSTEM, {"role": "developer", "content": "Be brief."}, *user("Hello")]},
    "system-in-the-middle": {"messages": [*user("Hello"), ASSISTANT, {"role": "system", "content": "Be brief."}, *user("Well?")]},
    "system-last": {"messages": [*user("Hello"), SYSTEM]},
    "system-alone": {"messages": [SYSTEM]},
    "users-in-a-row": {"messages": [*user("One"), *user("Two"), *user("Three")]},
    "assistant-first": {"messages": [ASSISTANT, *user("Hello")]},
    "assistant-last": {"messages": [*user("Hello"), ASSISTANT]},
    "assistants-in-a-row": {"messages": [*user("Hello"), ASSISTANT, {"role": "assistant", "content": "Still here."}, *user("Well?")]},
    "empty-user": {"messages": [*user("")]},
    "empty-system": {"messages": [{"role": "system", "content": ""}, *user("Hello")]},
    "empty-assistant": {"messages": [*user("Hello"), {"role": "assistant", "content": ""}, *user("Well?")]},
    "blank-user": {"messages": [*user(" \n ")]},
    "refusal": {"messages": [*user("Hello"), {"role": "assistant", "content": None, "refusal": "No."}, *user("Well?")]},
    "names": {"messages": [{**SYSTEM, "name": "boss"}, {"role": "user", "content": "Hello", "name": "ada"}]},
    "one-part": {"messages": [{"role": "user", "content": [{"type": "text", "text": "Hello"}]}]},
    "unknown-key": {"messages": [{"role": "user", "content": "Hello", "audio": None, "x": 1}]},
    "surrogate-pairs": {"messages": user("Say 👩‍👩‍👧‍👦\U0001f1e8\U0001f1f3 \u0000 \x7f \u200b ﷽")},
    # calls and results
    "result-of-a-tool-not-offered": {"messages": [*user("Hello"), {"role": "assistant", "tool_calls": [CALL]}, RESULT]},
    "empty-result": {
        "messages": [*user("Hello"), {"role": "assistant", "tool_calls": [CALL]}, {**RESULT, "content": ""}],
        "tools": [WEATHER],
    },
    "results-out-of-order": {
        "messages": [
            *user("Hello"),
            {"role": "assistant", "content": "Let me see.", "tool_calls": [CALL, OTHER]},
            {"role": "tool", "tool_call_id": "call_2", "content": '{"time":"9"}'},
            RESULT,
        ],
        "tools": TOOLS,
    },
    "words-after-results": {
        "messages": [*user("Hello"), {"role": "assistant", "tool_calls": [CALL]}, RESULT, *user("And now say no more")],
        "tools": [WEATHER],
        "tool_choice": "none",
    },
    "a-second-round": {
        "messages": [
            *user("Hello"),
            {"role": "assistant", "tool_calls": [CALL]},
            RESULT,
            {"role": "assistant", "content": "", "tool_calls": [{**CALL, "id": "call_9"}]},
            {**RESULT, "tool_call_id": "call_9"},
        ],
        "tools": [WEATHER],
    },
    "bare-tool": {"messages": user("Run go"), "tools": [{"type": "function", "function": {"name": "go"}}]},
    "null-tool": {
        "messages": user("Run go"),
        "tools": [{"type": "function", "function": {"name": "go", "description": None, "strict": None}}],
    },
    "no-tools": {"messages": user("Hello"), "tools": []},
    "choice-without-tools": {"messages": user("Hello"), "tool_choice": "none"},
    "allowed-tools": {
        "messages": user("What time is it in Oslo?"),
        "tools": TOOLS,
        "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [{"type": "function", **NAMED}]}},
    },
    # numbers and limits
    "coldest": {"messages": user("Hello"), "temperature": 0, "top_p": 0},
    "warmest": {"messages": user("Hello"), "temperature": 2, "top_p": 1, "presence_penalty": 2, "frequency_penalty": 2},
    "least": {"messages": user("Hello"), "presence_penalty": -2, "frequency_penalty": -2, "seed": -1},
    "floats-for-integers": {"messages": user("Hello"), "seed": 5.0, "n": 1.0, "max_tokens": 500.0},
    "huge-limit": {"messages": user("Hello"), "max_tokens": 1_000_000},
    "both-limits": {"messages": user("Hello"), "max_tokens": 100, "max_completion_tokens": 200},
    "logprobs": {"messages": user("Hello"), "logprobs": True, "top_logprobs": 5},
    "no-stop": {"messages": user("Hello"), "stop": []},
    "stops": {"messages": user("Hello"), "stop": ["a-stop-word-that-is-rather-long-indeed", "b!", "c!", "d!"]},
    "short-user": {"messages": user("Hello"), "user": "a"},
    "long-user": {"messages": user("Hello"), "user": "u" * 500},
    "effort": {"messages": user("Hello"), "reasoning_effort": "none"},
    # everything else that the SDK knows
    "plain-text": {"messages": user("Hello"), "response_format": {"type": "text"}},
    "others": {
        "messages": user("Hello"),
        "logit_bias": {"1": 1},
        "metadata": {"a": "b"},
        "modalities": ["text"],
        "parallel_tool_calls": True,
        "prediction": {"type": "content", "content": "Hello"},
        "prompt_cache_key": "k",
        "safety_identifier": "s",
        "service_tier": "auto",
        "store": True,
        "verbosity": "low",
        "web_search_options": {},
    },
    "nulls": {
        "messages": user("Hello"),
        "extra_body": dict.fromkeys(
            ("temperature", "tools", "stop", "response_format", "thinking", "user", "logit_bias", "stream_options")
        ),
    },
    "unknown-field": {"messages": user("Hello"), "extra_body": {"a_field_of_2030": {"x": [1]}}},
}
FREE_WORDS = {"users-in-a-row", "system-last", "system-alone", "assistant-last", "empty-user", "blank-user", "empty-result"}
"""A gateway may have to join them, or say something in their place, so that the words are not the brain's own."""


@pytest.fixture(params=[account for account in ACCOUNTS if account.id not in ("zhipu-signed", "baidu-iam")], ids=lambda account: account.id)
def account(request: pytest.FixtureRequest) -> Account:
    """One for each way of writing a request: how an account proves itself does not matter here."""
    given: Account = request.param
    return given


@pytest.mark.parametrize("name", ODD)
def test_it_is_taken(street: Street, account: Account, client: OpenAI, name: str) -> None:
    body: Json = {"model": "gpt-4o", **ODD[name]}
    before = bill(street.simulators.url)

    plain, stream = ask(client, body, stream=False), ask(client, body, stream=True)

    assert owed_since(before, street.simulators.url)["requests"] == 2
    said = says(account, _understood(body))
    assert plain == stream
    text, calls, finish = plain
    assert calls == calls_of(said.calls)
    if name not in FREE_WORDS and not (account.id == "baidu-legacy" and "result" in name):
        assert text == said.text
    assert finish == said.end.reason


def _understood(body: Json) -> Json:
    """What the brain is to know of it: of `allowed_tools` those, and the limit that counts."""
    choice = body.get("tool_choice")
    if isinstance(choice, dict) and choice["type"] == "allowed_tools":
        return {**body, "tools": [TIME], "tool_choice": "required"}
    return body


def ask(client: OpenAI, body: Json, *, stream: bool) -> tuple[str, list[tuple[str, str]], str | None]:
    if not stream:
        (choice,) = client.chat.completions.create(**body).choices
        return choice.message.content or "", calls_of(choice.message.tool_calls or []), choice.finish_reason
    text, finish = "", None
    calls: dict[int, list[str]] = {}
    for chunk in client.chat.completions.create(**body, stream=True):
        for part in chunk.choices:
            text += part.delta.content or ""
            finish = part.finish_reason or finish
            for call in part.delta.tool_calls or ():
                assert call.function is not None
                calls.setdefault(call.index, [call.function.name or "", ""])[1] += call.function.arguments or ""
    return text, [(called, arguments) for called, arguments in calls.values()], finish


def test_one_token_is_enough(account: Account, client: OpenAI) -> None:
    """Where a vendor's least is two, it is two."""
    (choice,) = client.chat.completions.create(model="gpt-4o", messages=user("Count to 9"), max_tokens=1).choices

    assert choice.message.content in ("1", "1 2")
    assert choice.finish_reason == "length"


def test_images_are_refused_where_no_model_sees(account: Account, client: OpenAI) -> None:
    if account.chat == account.seer:
        pytest.skip("it sees")
    parts: list[Any] = [{"type": "text", "text": "What is here?"}, {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}]

    with pytest.raises(BadRequestError) as refused:
        client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": parts}])

    assert refused.value.code == "unsupported_parameter"


# ---- functions, as they were before tools ----

FUNCTIONS: list[Any] = [tool["function"] for tool in TOOLS]


def test_functions_of_2023(account: Account, client: OpenAI) -> None:
    body: Json = {"model": "gpt-4o", "messages": user("What time is it in Oslo?"), "functions": FUNCTIONS}

    (plain,) = client.chat.completions.create(**body).choices
    name, arguments, finish = "", "", None
    for chunk in client.chat.completions.create(**body, stream=True):
        if called := chunk.choices[0].delta.function_call:
            name, arguments = name + (called.name or ""), arguments + (called.arguments or "")
        finish = chunk.choices[0].finish_reason or finish

    assert plain.message.function_call is not None
    assert (name, arguments) == ("get_time", '{"place":"Oslo"}')
    assert (plain.message.function_call.name, plain.message.function_call.arguments) == (name, arguments)
    assert plain.finish_reason == finish == "function_call"
    assert plain.message.tool_calls is None


def test_a_function_of_2023_by_name_and_back(account: Account, client: OpenAI) -> None:
    forced: Json = {"messages": user("What time is it in Oslo?"), "functions": FUNCTIONS, "function_call": {"name": "get_weather"}}
    called = client.chat.completions.create(model="gpt-4o", **forced).choices[0].message

    result = {"role": "function", "name": "get_weather", "content": '{"sky":"rain"}'}
    messages: list[Any] = [*forced["messages"], called, result]
    answer = client.chat.completions.create(model="gpt-4o", messages=messages, functions=FUNCTIONS)

    assert called.function_call is not None
    assert called.function_call.name == "get_weather"
    assert answer.choices[0].message.content == 'The tools say: {"sky":"rain"}.'
