"""POST /v1/completions over sockets, with OpenAI's SDK: what programs of before chat see, and what is billed."""

from collections.abc import Callable
from typing import Any

import pytest
from openai import AzureOpenAI, BadRequestError, OpenAI

from tests.conftest import KEY, TEAM, Served
from tests.gateway.provider import RESET, ROLE, STREAM, Json, Make, Step, answer, failed, route, said, streamed, word

Gateway = Callable[..., Served]


def alone(gateway: Gateway, provider: Make, *script: Step, **more: Any) -> Served:
    return gateway({"providers": {"p": provider(*script).account()}, "models": route("p/x", **more)})


def simulated(gateway: Gateway, simulators: str) -> OpenAI:
    alibaba = {"vendor": "alibaba", "jurisdiction": "cn-mainland", "base_url": f"{simulators}/alibaba", "api_key": "sk-0123456789abcdef"}
    served = gateway(
        {"providers": {"a": alibaba}, "models": {"m": {"serve": "a/qwen3.7-plus"}, "gpt-3.5-turbo-instruct": "a/qwen3.7-plus"}}
    )
    return sdk(served)


def sdk(served: Served) -> OpenAI:
    return OpenAI(base_url=f"{served.url}/v1", api_key=served.key, max_retries=0, http_client=None)


def test_a_completion_and_its_record(gateway: Gateway, provider: Make) -> None:
    served = alone(gateway, provider, said("Hi"))

    reply = served.client.post("/v1/completions", json={"model": "m", "prompt": "Hello"})

    told = reply.json()
    assert told.pop("created") > 1_700_000_000
    assert {key: told["usage"][key] for key in ("prompt_tokens", "completion_tokens", "total_tokens")} == {
        "prompt_tokens": 3,
        "completion_tokens": 2,
        "total_tokens": 5,
    }
    del told["usage"]
    assert told == {
        "id": "cmpl-c1",
        "object": "text_completion",
        "model": "x",
        "choices": [{"text": "Hi", "index": 0, "logprobs": None, "finish_reason": "stop"}],
    }
    assert served.record().usage["total_tokens"] == 5


def test_plain_and_streamed(gateway: Gateway, simulators: str) -> None:
    client = simulated(gateway, simulators)
    asked: Json = {"model": "gpt-3.5-turbo-instruct", "prompt": "Say: one two three", "max_tokens": 40, "n": 2}

    plain = client.completions.create(**asked)
    chunks = list(client.completions.create(**asked, stream=True, stream_options={"include_usage": True}))

    texts = ["", ""]
    for chunk in chunks:
        for choice in chunk.choices:
            texts[choice.index] += choice.text
    assert [choice.text for choice in plain.choices] == texts == ["one two three", "one two three"]
    assert plain.usage is not None
    assert (chunks[-1].choices, chunks[-1].usage) == ([], plain.usage)


def test_an_answer_is_short_unless_the_request_says_otherwise(gateway: Gateway, simulators: str) -> None:
    (choice,) = simulated(gateway, simulators).completions.create(model="gpt-3.5-turbo-instruct", prompt="Count to 99").choices

    assert choice.finish_reason == "length"


@pytest.mark.parametrize("stream", [False, True])
def test_several_prompts_are_answered_in_their_order_and_billed_in_sum(gateway: Gateway, simulators: str, stream: bool) -> None:
    client = simulated(gateway, simulators)
    asked: Json = {"model": "m", "max_tokens": 900, "temperature": 0, "n": 2, "echo": True}
    words = [f"Say: word{number}" for number in range(10)]

    one = client.completions.create(**asked, prompt=words[0]).usage
    texts = [""] * 20
    if stream:
        for chunk in client.completions.create(**asked, prompt=words, stream=True, stream_options={"include_usage": True}):
            usage = chunk.usage
            for choice in chunk.choices:
                texts[choice.index] += choice.text
    else:
        whole = client.completions.create(**asked, prompt=words)
        usage = whole.usage
        for choice in whole.choices:
            texts[choice.index] = choice.text

    assert [text.split("word")[1][0] for text in texts] == [str(number) for number in range(10) for _ in range(2)]
    assert all(text.startswith(words[index // 2]) and len(text) > len(words[0]) for index, text in enumerate(texts))
    assert usage is not None
    assert one is not None
    assert usage.prompt_tokens == 10 * one.prompt_tokens


def test_one_of_several_that_fails_fails_over_with_all(gateway: Gateway, provider: Make) -> None:
    first, second = provider(said("a"), failed(500), said("a")), provider(said("b"))
    served = gateway({"providers": {"p": first.account(), "q": second.account()}, "models": route("p/x", "q/y")})

    reply = served.client.post("/v1/completions", json={"model": "m", "prompt": ["1", "2", "3"]})

    assert [choice["text"] for choice in reply.json()["choices"]] == ["b", "b", "b"]
    assert reply.json()["usage"]["total_tokens"] == 15


def test_usage_that_nobody_tells_is_counted_for_each_prompt(gateway: Gateway, provider: Make) -> None:
    message = {"role": "assistant", "content": "a b c"}
    silent = answer(200, {"id": "c1", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})
    served = alone(gateway, provider, silent)

    one = served.client.post("/v1/completions", json={"model": "m", "prompt": "Hello"}).json()["usage"]
    three = served.client.post("/v1/completions", json={"model": "m", "prompt": ["Hello"] * 3}).json()["usage"]

    assert three["prompt_tokens"] == 3 * one["prompt_tokens"]
    assert three["completion_tokens"] == 3 * one["completion_tokens"] > 0


def test_several_prompts_reserve_what_all_of_them_may_use(gateway: Gateway, provider: Make) -> None:
    team = {**TEAM, "limits": {"tpm": 1000}}
    served = gateway({"providers": {"p": provider(said("a")).account()}, "models": route("p/x")}, team)

    few = served.client.post("/v1/completions", json={"model": "m", "prompt": "a", "max_tokens": 300})
    many = served.client.post("/v1/completions", json={"model": "m", "prompt": ["a"] * 4, "max_tokens": 300})

    assert (few.status_code, many.status_code) == (200, 429)


def test_azures_address_names_the_model(gateway: Gateway, provider: Make) -> None:
    served = alone(gateway, provider, said("Hi"))

    with AzureOpenAI(azure_endpoint=served.url, api_key=KEY, api_version="2024-10-21", max_retries=0) as client:
        raw = client.completions.with_raw_response.create(model="m", prompt="Hello")

    assert raw.http_request.url.path == "/openai/deployments/m/completions"
    assert raw.parse().choices[0].text == "Hi"


def test_what_is_emulated_is_told(gateway: Gateway, provider: Make) -> None:
    one = provider(said("Hi"))
    served = gateway({"providers": {"p": one.account()}, "models": route("p/x")})

    reply = served.client.post("/v1/completions", json={"model": "m", "prompt": "a", "suffix": "b", "best_of": 2})

    assert reply.headers["x-banjia-changes"] == "best_of=dropped,suffix=emulated:instruction"
    assert one.requests[0].json["messages"][1]["content"] == "<before>a</before>\n<after>b</after>"
    assert "suffix" not in one.requests[0].json


def test_errors_are_openais(gateway: Gateway, provider: Make) -> None:
    served = alone(gateway, provider, said("Hi"))

    with sdk(served) as client, pytest.raises(BadRequestError) as refused:
        client.completions.create(model="m", prompt="a", echo=True, logprobs=1)

    assert (refused.value.param, refused.value.code) == ("echo", "unsupported_parameter")


def test_a_stream_that_breaks_off_ends_in_an_error(gateway: Gateway, provider: Make) -> None:
    served = alone(gateway, provider, (STREAM, ROLE, word("Hel"), RESET))

    text = served.client.post("/v1/completions", json={"model": "m", "prompt": "a", "stream": True}).text

    assert '"error"' in text.split("\n\n")[-2]
    assert "[DONE]" not in text


def test_the_first_words_come_before_the_last(gateway: Gateway, provider: Make) -> None:
    served = alone(gateway, provider, streamed("a", "b"))

    text = served.client.post("/v1/completions", json={"model": "m", "prompt": "p", "stream": True}).text

    assert text.index('"text":"a"') < text.index('"text":"b"') < text.index('"finish_reason":"stop"')
