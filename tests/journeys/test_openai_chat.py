"""OpenAI's SDK of today through the gateway: words, plain and streamed, at every account. What is said is what the brain said."""

import json
from typing import Any

import pytest
from openai import OpenAI

from tests.journeys.accounts import DRIP, MUCH, Account
from tests.journeys.brain import Json, says, user
from tests.journeys.conftest import Street
from tests.journeys.processes import bill, owed_since

HELLO = user('Say: 你好, wörld 🙂!\n\n  "quoted"\\ and \u2028 done')
PIXEL = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
SYSTEM = "You are the helper of a moving company. Be brief, be kind, name no prices, and answer in the language of the question, always."
PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}, "tags": {"type": "array", "items": {"type": "string"}}},
    "required": ["name", "age", "tags"],
    "additionalProperties": False,
}


def streamed(client: OpenAI, **body: Any) -> Json:
    """What a stream says in all. Its grammar is checked on the way."""
    chunks = list(client.chat.completions.create(stream=True, **body))
    head = {(chunk.id, chunk.created, chunk.model, chunk.object) for chunk in chunks}
    assert len(head) == 1
    assert chunks[0].id.startswith("chatcmpl-")
    assert chunks[0].object == "chat.completion.chunk"
    told = [chunk.choices[0] for chunk in chunks if chunk.choices]
    assert (told[0].delta.role, told[0].delta.content) == ("assistant", "")
    assert [choice.finish_reason is not None for choice in told] == [False] * (len(told) - 1) + [True]
    assert all(choice.delta.role is None for choice in told[1:])
    return {
        "content": "".join(choice.delta.content or "" for choice in told),
        "reasoning": "".join(getattr(choice.delta, "reasoning_content", None) or "" for choice in told),
        "finish": told[-1].finish_reason,
        "pieces": len(told),
        "usage": [chunk.usage for chunk in chunks if "usage" in chunk.model_fields_set],
        "last": chunks[-1],
    }


def same_usage(account: Account, usage: Any, owed: Json) -> None:
    """The client is told what the vendor bills, and one request was made."""
    assert owed["requests"] == 1
    assert [row[2] for row in owed["whose"]] == [account.chat]
    assert (usage.prompt_tokens, usage.completion_tokens) == (owed["prompt_tokens"], owed["completion_tokens"])
    assert usage.total_tokens == owed["prompt_tokens"] + owed["completion_tokens"]
    if account.tells_details:
        assert usage.prompt_tokens_details.cached_tokens == owed["cached_tokens"]
        assert usage.completion_tokens_details.reasoning_tokens == owed["reasoning_tokens"]


def test_a_plain_answer_is_what_the_brain_said(street: Street, account: Account, client: OpenAI) -> None:
    body: Json = {"model": "gpt-4o", "messages": [{"role": "system", "content": SYSTEM}, *HELLO]}
    before = bill(street.simulators.url)

    answer = client.chat.completions.create(**body)

    said = says(account, body)
    (choice,) = answer.choices
    assert choice.message.content == said.text == '你好, wörld 🙂!\n\n  "quoted"\\ and \u2028 done'
    assert (choice.message.role, choice.message.refusal, choice.message.tool_calls) == ("assistant", None, None)
    assert (choice.finish_reason, choice.logprobs, choice.index) == ("stop", None, 0)
    assert answer.id.startswith("chatcmpl-")
    assert answer.object == "chat.completion"
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (said.end.prompt, said.end.completion)
    same_usage(account, answer.usage, owed_since(before, street.simulators.url))


@pytest.mark.parametrize("told", [True, False], ids=["with-usage", "without"])
@pytest.mark.parametrize("drip", [False, True], ids=["whole", "drip"])
def test_a_stream_is_what_the_brain_said(
    street: Street, account: Account, client: OpenAI, dripping: OpenAI, drip: bool, told: bool
) -> None:
    body: Json = {"model": "gpt-4o", "messages": [{"role": "developer", "content": SYSTEM}, *user("一二三 What are naïve words?\n")]}
    simulators = street.drip.url if drip else street.simulators.url
    before = bill(simulators)

    answer = streamed(dripping if drip else client, **body, **({"stream_options": {"include_usage": True}} if told else {}))

    said = says(account, body)
    assert (answer["content"], answer["reasoning"], answer["finish"]) == (said.text, "", "stop")
    assert answer["pieces"] > len(said.text.split())
    if told:
        assert answer["usage"][:-1] == [None] * (len(answer["usage"]) - 1)
        assert answer["last"].choices == []
        assert answer["usage"][-1].completion_tokens == said.end.completion
        same_usage(account, answer["usage"][-1], owed_since(before, simulators))
    else:
        assert answer["usage"] == []


def test_every_byte_on_its_own_makes_no_difference_to_a_plain_answer(account: Account, client: OpenAI, dripping: OpenAI) -> None:
    body: Json = {"model": "gpt-4o", "messages": HELLO}

    one, other = client.chat.completions.create(**body), dripping.chat.completions.create(**body)

    assert one.choices == other.choices
    assert one.usage == other.usage


def test_a_conversation_of_several_turns_keeps_its_order(account: Account, client: OpenAI) -> None:
    body: Json = {
        "model": "gpt-4o",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "First "}, {"type": "text", "text": "question"}]},
            {"role": "assistant", "content": "First answer"},
            {"role": "user", "content": "Second question", "name": "ada"},
            {"role": "assistant", "content": [{"type": "text", "text": "Second answer"}]},
            {"role": "user", "content": "Third question"},
        ],
    }

    answer = client.chat.completions.create(**body)

    assert answer.choices[0].message.content == says(account, body).text
    assert answer.usage is not None
    assert answer.usage.prompt_tokens == says(account, body).end.prompt


@pytest.mark.parametrize("field", ["max_tokens", "max_completion_tokens"])
def test_an_answer_that_is_cut_by_its_limit_says_so(account: Account, client: OpenAI, field: str) -> None:
    body: Json = {"model": "gpt-4o", "messages": user("Count to 100"), field: 7}

    plain = client.chat.completions.create(**body).choices[0]
    stream = streamed(client, **body)

    assert (plain.message.content, plain.finish_reason) == ("1 2 3 4 5 6 7", "length")
    assert (stream["content"], stream["finish"]) == ("1 2 3 4 5 6 7", "length")


def test_an_answer_ends_before_a_stop_word(account: Account, client: OpenAI) -> None:
    body: Json = {"model": "gpt-4o", "messages": user("Count to 20"), "stop": " 8"}

    raw = client.chat.completions.with_raw_response.create(**body)
    stream = streamed(client, **{**body, "stop": [" 8"]})

    choice = raw.parse().choices[0]
    assert (choice.message.content, choice.finish_reason) == ("1 2 3 4 5 6 7", "stop")
    assert (stream["content"], stream["finish"]) == ("1 2 3 4 5 6 7", "stop")
    assert ("stop=emulated" in raw.headers.get("x-banjia-changes", "")) != account.stops


def test_any_json_object(account: Account, client: OpenAI) -> None:
    body: Json = {"model": "gpt-4o", "messages": user('Answer in JSON: who is "Ada"?'), "response_format": {"type": "json_object"}}

    raw = client.chat.completions.with_raw_response.create(**body)

    content = raw.parse().choices[0].message.content or ""
    assert content == says(account, body).text
    assert json.loads(content) == {"answer": "Ada"}
    assert ("response_format=emulated:prompt" in raw.headers.get("x-banjia-changes", "")) == (account.json == "none")


def test_a_json_schema_is_obeyed(account: Account, client: OpenAI) -> None:
    form = {"type": "json_schema", "json_schema": {"name": "person", "schema": PERSON, "strict": True}}
    body: Json = {"model": "gpt-4o", "messages": user('"Ada" is 36. Give me JSON.'), "response_format": form}

    raw = client.chat.completions.with_raw_response.create(**body)
    stream = streamed(client, **body)

    content = raw.parse().choices[0].message.content or ""
    assert content == stream["content"] == says(account, body).text
    assert json.loads(content) == {"name": "Ada", "age": 36, "tags": ["Ada"]}
    emulated = {"schema": "", "object": "response_format=emulated:json_object", "none": "response_format=emulated:prompt"}
    changes = raw.headers.get("x-banjia-changes", "")
    assert emulated[account.json] in changes
    assert account.json != "schema" or "response_format" not in changes


def test_images_go_to_models_that_see(account: Account, client: OpenAI) -> None:
    if not account.seer:
        pytest.skip("no model of this account sees")
    parts: list[Any] = [
        {"type": "text", "text": "What is here?"},
        {"type": "image_url", "image_url": {"url": PIXEL, "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png" if account.fetches else PIXEL}},
    ]
    body: Json = {"model": "gpt-4-vision-preview", "messages": [{"role": "user", "content": parts}], "reasoning_effort": "none"}

    answer = client.chat.completions.create(**body)
    stream = streamed(client, **body)

    assert answer.choices[0].message.content == stream["content"] == says(account, body).text
    assert "I see 2 images." in stream["content"]


@pytest.mark.parametrize("drip", [False, True], ids=["whole", "drip"])
def test_thoughts_come_beside_the_words(account: Account, clients: dict[str, OpenAI], drip: bool) -> None:
    if not account.thinker:
        pytest.skip("no model of this account thinks")
    client = clients[account.key + DRIP * drip]
    body: Json = {"model": "o3", "messages": user("Why do we move?"), "reasoning_effort": "high"}

    answer = client.chat.completions.create(**body)
    stream = streamed(client, **body, stream_options={"include_usage": True})

    said = says(account, body)
    message: Any = answer.choices[0].message
    assert said.thought == "The question is: Why do we move? I shall answer it plainly."
    assert (message.reasoning_content, message.content) == (said.thought, said.text)
    assert (stream["reasoning"], stream["content"], stream["finish"]) == (said.thought, said.text, "stop")
    assert answer.usage is not None
    assert answer.usage.completion_tokens == stream["usage"][-1].completion_tokens == said.end.completion


def test_what_is_not_passed_as_it_is_is_said_in_a_header(account: Account, client: OpenAI) -> None:
    raw = client.chat.completions.with_raw_response.create(model="gpt-4o", messages=HELLO, **MUCH)

    changes = set(raw.headers.get("x-banjia-changes", "").split(","))
    assert changes >= set(account.changes.split(","))
    assert {change.partition("=")[0] for change in changes - {""}} <= {*MUCH, "reasoning_effort"}
    assert raw.headers["x-banjia-provider"] == account.id
    assert raw.headers["x-banjia-model"] == account.chat
    assert raw.headers["x-banjia-attempts"] == "1"
    assert float(raw.headers["x-banjia-overhead-ms"]) >= 0
    assert int(raw.headers["openai-processing-ms"]) >= 0
    assert raw.parse()._request_id == raw.headers["x-request-id"]


def test_a_request_id_of_the_clients_own_is_kept(clients: dict[str, OpenAI]) -> None:
    raw = clients["sk-zhipu"].chat.completions.with_raw_response.create(
        model="gpt-4o", messages=HELLO, extra_headers={"x-request-id": "mine-1"}
    )

    assert raw.headers["x-request-id"] == raw.request_id == "mine-1"


def test_a_stream_ends_in_done_and_has_the_headers_too(account: Account, client: OpenAI) -> None:
    with client.chat.completions.with_streaming_response.create(model="gpt-4o", messages=HELLO, stream=True) as raw:
        *events, rest = b"".join(raw.iter_bytes()).split(b"\n\n")

    assert all(event.startswith(b"data: {") for event in events[:-1])
    assert (events[-1], rest) == (b"data: [DONE]", b"")
    assert raw.headers["content-type"].startswith("text/event-stream")
    assert (raw.headers["x-banjia-provider"], raw.headers["x-banjia-model"]) == (account.id, account.chat)
    assert raw.headers["x-request-id"]


def test_the_sdks_own_stream_of_events_adds_up(account: Account, client: OpenAI) -> None:
    """`chat.completions.stream` is stricter than `create(stream=True)`: it builds the answer up itself."""
    with client.chat.completions.stream(model="gpt-4o", messages=HELLO) as stream:
        final = stream.get_final_completion()

    assert final.choices[0].message.content == says(account, {"messages": HELLO}).text
    assert final.choices[0].finish_reason == "stop"
