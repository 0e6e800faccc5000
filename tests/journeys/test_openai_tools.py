"""Tools, through OpenAI's SDK at every account: forced, chosen, several at once, streamed, and the round back with their results."""

import json
from typing import Any

import pytest
from openai import OpenAI

from tests.journeys.accounts import DRIP, Account
from tests.journeys.brain import TIME, TOOLS, WEATHER, Json, calls_of, says, user
from tests.journeys.conftest import Street
from tests.journeys.processes import bill, owed_since

BOTH = user("What is the weather in Paris and Tokyo?")


def streamed_calls(client: OpenAI, **body: Any) -> Json:
    """The calls of a stream. The grammar of their fragments is checked on the way."""
    calls: list[Json] = []
    content, finish, usage = "", "", None
    for chunk in client.chat.completions.create(stream=True, stream_options={"include_usage": True}, **body):
        usage = chunk.usage or usage
        for choice in chunk.choices:
            content += choice.delta.content or ""
            finish = choice.finish_reason or finish
            for part in choice.delta.tool_calls or ():
                assert part.function is not None
                if part.index == len(calls):
                    assert part.id
                    assert (part.type, part.function.arguments) == ("function", "")
                    calls.append({"id": part.id, "name": part.function.name, "arguments": ""})
                else:
                    assert (part.id, part.type, part.function.name) == (None, None, None)
                    calls[part.index]["arguments"] += part.function.arguments or ""
    return {"calls": calls, "content": content, "finish": finish, "usage": usage}


CASES: dict[str, Json] = {
    "chosen": {"messages": user("What time is it in Paris?"), "tools": TOOLS},
    "forced": {
        "messages": user("What time is it in Paris?"),
        "tools": TOOLS,
        "tool_choice": {"type": "function", "function": {"name": "get_weather"}},
    },
    "required": {"messages": user("What time is it in Paris?"), "tools": [TIME], "tool_choice": "required"},
    "parallel": {"messages": BOTH, "tools": [WEATHER]},
    "chinese": {"messages": user("北京和上海的天气怎么样?"), "tools": [WEATHER]},
    "two-tools": {"messages": user("Both the weather and the time, please: where is Oslo?"), "tools": TOOLS},
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_the_calls_are_the_brains_byte_for_byte(street: Street, account: Account, client: OpenAI, case: Json) -> None:
    body = {"model": "gpt-4o", **case}
    before = bill(street.simulators.url)

    answer = client.chat.completions.create(**body)

    owed = owed_since(before, street.simulators.url)
    (choice,) = answer.choices
    said = says(account, body)
    assert choice.message.tool_calls
    assert calls_of(choice.message.tool_calls) == calls_of(said.calls)
    assert (choice.finish_reason, choice.message.content) == ("tool_calls", None)
    assert len({call.id for call in choice.message.tool_calls}) == len(said.calls)
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (owed["prompt_tokens"], owed["completion_tokens"])
    assert answer.usage.completion_tokens == said.end.completion
    assert owed["requests"] == 1


@pytest.mark.parametrize("drip", [False, True], ids=["whole", "drip"])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_streamed_calls_are_the_same(account: Account, clients: dict[str, OpenAI], case: Json, drip: bool) -> None:
    body = {"model": "gpt-4o", **case}

    answer = streamed_calls(clients[account.key + DRIP * drip], **body)

    said = says(account, body)
    assert [(call["name"], call["arguments"]) for call in answer["calls"]] == calls_of(said.calls)
    assert len({call["id"] for call in answer["calls"]}) == len(said.calls)
    assert (answer["content"], answer["finish"]) == ("", "tool_calls")
    assert answer["usage"].completion_tokens == said.end.completion


def test_paris_and_tokyo_are_two_calls_where_the_vendor_makes_two(account: Account, client: OpenAI) -> None:
    """The same as above, with what is expected written out."""
    answer = client.chat.completions.create(model="gpt-4o", messages=BOTH, tools=[WEATHER])

    cities = [json.loads(arguments)["city"] for _, arguments in calls_of(answer.choices[0].message.tool_calls or [])]
    assert cities == (["Paris", "Tokyo"] if account.parallel else ["Paris"])


def test_one_call_where_parallel_ones_are_not_wanted(account: Account, client: OpenAI) -> None:
    raw = client.chat.completions.with_raw_response.create(model="gpt-4o", messages=BOTH, tools=[WEATHER], parallel_tool_calls=False)

    stream = streamed_calls(client, model="gpt-4o", messages=BOTH, tools=[WEATHER], parallel_tool_calls=False)

    calls = raw.parse().choices[0].message.tool_calls or []
    assert len(calls) == len(stream["calls"]) == 1
    emulated = "parallel_tool_calls=emulated" in raw.headers.get("x-banjia-changes", "")
    assert emulated == (account.id in ("zhipu", "zhipu-signed", "sensetime", "sensetime-compatible", "baichuan", "qihoo360", "ollama"))


@pytest.mark.parametrize("drip", [False, True], ids=["whole", "drip"])
def test_thoughts_before_calls(account: Account, clients: dict[str, OpenAI], drip: bool) -> None:
    if not account.thinker:
        pytest.skip("no model of this account thinks")
    client = clients[account.key + DRIP * drip]
    body: Json = {"model": "o3", "messages": BOTH, "tools": [WEATHER], "reasoning_effort": "high"}

    (choice,) = client.chat.completions.create(**body).choices
    stream = streamed_calls(client, **body)

    said = says(account, body)
    message: Any = choice.message
    assert (message.reasoning_content, message.content) == (said.thought, None)
    assert calls_of(message.tool_calls) == calls_of(said.calls)
    assert [(call["name"], call["arguments"]) for call in stream["calls"]] == calls_of(said.calls)
    assert choice.finish_reason == stream["finish"] == "tool_calls"


def test_no_call_where_none_is_wanted(account: Account, client: OpenAI) -> None:
    body: Json = {"model": "gpt-4o", "messages": BOTH, "tools": TOOLS, "tool_choice": "none"}

    (choice,) = client.chat.completions.create(**body).choices

    assert (choice.message.tool_calls, choice.finish_reason) == (None, "stop")
    assert choice.message.content == says(account, body).text


@pytest.mark.parametrize("drip", [False, True], ids=["whole", "drip"])
def test_the_round_from_calls_to_results_to_words(account: Account, clients: dict[str, OpenAI], drip: bool) -> None:
    client = clients[account.key + DRIP * drip]
    first = client.chat.completions.create(model="gpt-4o", messages=BOTH, tools=[WEATHER]).choices[0].message
    results = [
        {"role": "tool", "tool_call_id": call.id, "content": json.dumps({"call": number, "sky": "晴, 21°"}, ensure_ascii=False)}
        for number, call in enumerate(first.tool_calls or [])
    ]
    messages: list[Any] = [*BOTH, first, *results]

    plain = client.chat.completions.create(model="gpt-4o", messages=messages, tools=[WEATHER])
    stream = streamed_calls(client, model="gpt-4o", messages=messages, tools=[WEATHER])

    told = "; ".join(result["content"] for result in results) if account.parallel else results[-1]["content"]
    assert plain.choices[0].message.content == stream["content"] == f"The tools say: {told}."
    assert plain.choices[0].finish_reason == stream["finish"] == "stop"


def test_a_result_in_parts_and_in_plain_words(account: Account, client: OpenAI) -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city":"Oslo"}'}}
    messages: list[Any] = [
        *user("And Oslo?"),
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": [{"type": "text", "text": "rain, "}, {"type": "text", "text": "9°"}]},
    ]

    answer = client.chat.completions.create(model="gpt-4o", messages=messages, tools=[WEATHER])

    told = "rain, 9°" if account.id != "baidu-legacy" else '{"result":"rain, 9°"}'  # there a result has to be an object
    assert answer.choices[0].message.content == f"The tools say: {told}."


def test_the_sdks_own_runner_of_events_parses_the_calls(account: Account, client: OpenAI) -> None:
    parameters = {**WEATHER["function"]["parameters"], "additionalProperties": False}
    strict: Any = {**WEATHER["function"], "strict": True, "parameters": parameters}
    with client.chat.completions.stream(model="gpt-4o", messages=BOTH, tools=[{"type": "function", "function": strict}]) as stream:
        final = stream.get_final_completion()

    calls = final.choices[0].message.tool_calls or []
    parsed: list[Any] = [call.function.parsed_arguments for call in calls]
    assert parsed == ([{"city": "Paris"}, {"city": "Tokyo"}] if account.parallel else [{"city": "Paris"}])
