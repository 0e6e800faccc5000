"""Completions of before chat with OpenAI's SDK of today, at every account."""

import pytest
from openai import BadRequestError, OpenAI

from tests.journeys.accounts import ACCOUNTS, DRIP, Account
from tests.journeys.brain import Json, says, user

LOGPROBS = [account for account in ACCOUNTS if account.id in ("alibaba", "azure", "azure-classic", "vllm")]


def said(account: Account, prompt: str, **more: object) -> str:
    return says(account, {"messages": user(prompt), **more}).text


def test_plain_and_streamed(account: Account, clients: dict[str, OpenAI]) -> None:
    asked: Json = {"model": "gpt-4o", "prompt": "Say: 你好, naïve 🙂!", "max_tokens": 60}

    for key in (account.key, account.key + DRIP):
        plain = clients[key].completions.create(**asked)
        chunks = list(clients[key].completions.create(**asked, stream=True, stream_options={"include_usage": True}))

        assert plain.object == "text_completion"
        assert (
            plain.choices[0].text == "".join(choice.text for chunk in chunks for choice in chunk.choices) == said(account, asked["prompt"])
        )
        assert {chunk.id[:5] for chunk in chunks} == {"cmpl-"}
        assert chunks[-1].usage == plain.usage


def test_a_stop(account: Account, client: OpenAI) -> None:
    (choice,) = client.completions.create(model="gpt-4o", prompt="Count to 20", stop=[" 7"], max_tokens=90).choices

    assert (choice.text, choice.finish_reason) == ("1 2 3 4 5 6", "stop")


def test_several_prompts(account: Account, client: OpenAI) -> None:
    prompts = ["Say one", "Say two", "Count to 3"]

    answer = client.completions.create(model="gpt-4o", prompt=prompts, max_tokens=60)

    assert [(choice.index, choice.text) for choice in answer.choices] == [(0, "one"), (1, "two"), (2, "1 2 3")]
    answers = [says(account, {"messages": user(prompt), "max_tokens": 60}) for prompt in prompts]
    assert answer.usage is not None
    assert answer.usage.completion_tokens == sum(one.end.completion for one in answers)
    assert answer.usage.prompt_tokens == sum(one.end.prompt for one in answers)


def test_a_prompt_in_tokens(account: Account, client: OpenAI) -> None:
    answer = client.completions.create(model="gpt-4o", prompt=[46864, 25, 24748], max_tokens=60)

    assert answer.choices[0].text == "hello"


@pytest.mark.parametrize("account", LOGPROBS, ids=lambda account: account.id)
def test_logprobs_where_the_vendor_tells_them(account: Account, client: OpenAI) -> None:
    (choice,) = client.completions.create(model="gpt-4o", prompt="Say one two", logprobs=2, max_tokens=60).choices

    told = choice.logprobs
    assert told is not None
    assert "".join(told.tokens or ()) == choice.text
    assert (told.text_offset or [0])[0] == len("Say one two")
    assert all(token in top for token, top in zip(told.tokens or (), told.top_logprobs or (), strict=True))


def test_what_nobody_can_tell_is_refused(clients: dict[str, OpenAI]) -> None:
    with pytest.raises(BadRequestError) as refused:
        clients["sk-zhipu"].completions.create(model="gpt-4o", prompt="a", echo=True, logprobs=0)

    assert refused.value.param == "echo"
