"""POST /v1/responses as OpenAI's SDK calls it: over sockets, with a provider that answers by script."""

import json
from typing import Any

import pytest
from openai import BadRequestError, InternalServerError
from pydantic import BaseModel

from providers.base import Json
from tests.conftest import TEAM
from tests.gateway.api.responses.events import WHOLE
from tests.gateway.api.responses.keeping import BLUE, Desk, Open, desk, words
from tests.gateway.provider import DONE, ROLE, STREAM, Make, Provider, answer, failed, route, said, streamed, word
from tests.gateway.provider import Step as Step_

__all__ = ["desk"]

WEATHER: Any = {"type": "function", "name": "weather", "parameters": {"type": "object"}, "strict": False}
USAGE = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13, "completion_tokens_details": {"reasoning_tokens": 3}}


class Person(BaseModel):
    name: str
    age: int


def at(desk: Open, one: Provider, **more: Any) -> Desk:
    return desk({"providers": {"p": one.account()}, "models": route("p/x")}, {**TEAM, **more}, BLUE)


def says(message: Json, finish: str = "stop") -> Step_:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}
    return answer(200, {"id": "c1", "model": "x-1", "choices": [choice], "usage": USAGE})


def sends(*deltas: Json, finish: str = "stop") -> Step_:
    told = [{"id": "c1", "model": "x-1", "choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    last = {"id": "c1", "choices": [{"index": 0, "delta": {}, "finish_reason": finish}], "usage": USAGE}
    return (STREAM, *(b"data: " + json.dumps(one).encode() + b"\n\n" for one in [*told, last]), DONE)


def calls(*cities: str) -> list[Json]:
    return [
        {"index": at, "id": f"c{at}", "type": "function", "function": {"name": "weather", "arguments": json.dumps({"city": city})}}
        for at, city in enumerate(cities)
    ]


def test_words_with_all_that_a_response_has(desk: Open, provider: Make) -> None:
    client = at(desk, provider(says({"content": "Hi", "reasoning_content": "Hm"}))).red

    raw = client.responses.with_raw_response.create(model="m", input="Hello", max_output_tokens=99, metadata={"a": "b"}, store=False)

    body = json.loads(raw.text)
    assert body.keys() >= {
        "id", "object", "created_at", "completed_at", "status", "incomplete_details", "model", "previous_response_id", "instructions",
        "output", "error", "tools", "tool_choice", "truncation", "parallel_tool_calls", "text", "top_p", "presence_penalty",
        "frequency_penalty", "top_logprobs", "temperature", "reasoning", "usage", "max_output_tokens", "max_tool_calls", "store",
        "background", "service_tier", "metadata", "safety_identifier", "prompt_cache_key",
    }  # fmt: skip
    assert "user" not in body
    WHOLE.validate_json(raw.text, strict=True)
    response = raw.parse()
    assert (response.output_text, response.status, response.model, body["store"]) == ("Hi", "completed", "x-1", False)
    assert [item.type for item in response.output] == ["reasoning", "message"]
    assert response.usage is not None
    assert (response.usage.input_tokens, response.usage.output_tokens_details.reasoning_tokens) == (9, 3)
    assert raw.headers["x-request-id"]


def test_parallel_calls_and_their_results(desk: Open, provider: Make) -> None:
    one = provider(says({"content": None, "tool_calls": calls("Paris", "Oslo")}, "tool_calls"), said("Both dry"))
    client = at(desk, one).red

    first: Any = client.responses.create(model="m", input="Weather?", tools=[WEATHER])
    results: list[Any] = [{"type": "function_call_output", "call_id": item.call_id, "output": "dry"} for item in first.output]
    second = client.responses.create(model="m", input=results, previous_response_id=first.id, tools=[WEATHER])

    assert [json.loads(item.arguments) for item in first.output] == [{"city": "Paris"}, {"city": "Oslo"}]
    assert (second.output_text, second.previous_response_id) == ("Both dry", first.id)
    user, assistant, *tools = one.requests[1].json["messages"]
    assert (user["content"], [call["id"] for call in assistant["tool_calls"]]) == ("Weather?", ["c0", "c1"])
    assert [(tool["role"], tool["tool_call_id"], tool["content"]) for tool in tools] == [("tool", "c0", "dry"), ("tool", "c1", "dry")]


def test_thoughts_go_back_sealed_where_nothing_is_kept(desk: Open, provider: Make) -> None:
    one = provider(says({"content": "Hi", "reasoning_content": "Hm 好"}), said("Bye"))
    client = at(desk, one).red

    first = client.responses.create(model="m", input="Hello", store=False, include=["reasoning.encrypted_content"])
    thought, message = (item.model_dump(exclude_none=True) for item in first.output)
    again: Any = [{"role": "user", "content": "Hello"}, {**thought, "content": []}, message, {"role": "user", "content": "And?"}]
    client.responses.create(model="m", input=again, store=False)

    assert one.requests[1].json["messages"][1] == {"role": "assistant", "content": "Hi", "reasoning_content": "Hm 好"}


def test_structured_outputs(desk: Open, provider: Make) -> None:
    one = provider(said('{"name": "Ada", "age": 36}'))

    response = at(desk, one).red.responses.parse(model="m", input="Who?", text_format=Person)

    assert response.output_parsed == Person(name="Ada", age=36)
    assert one.requests[0].json["response_format"]["json_schema"]["name"] == "Person"


def test_a_stream_and_what_it_comes_to(desk: Open, provider: Make) -> None:
    deltas: list[Json] = [
        {"reasoning_content": "H"},
        {"reasoning_content": "m"},
        {"content": "Hel"},
        {"content": "lo"},
        {"tool_calls": calls("Oslo")},
    ]
    here = at(desk, provider(sends(*deltas, finish="tool_calls")))

    with here.red.responses.stream(model="m", input="Hello", tools=[WEATHER], reasoning={"summary": "auto"}) as stream:
        events = list(stream)
        final = stream.get_final_response()

    assert [event.delta for event in events if event.type == "response.output_text.delta"] == ["Hel", "lo"]
    assert [event.delta for event in events if event.type == "response.reasoning_summary_text.delta"] == ["H", "m"]
    thought, message, call = final.output
    assert thought.type == "reasoning"
    assert (thought.summary[0].text, final.output_text) == ("Hm", "Hello")
    assert message.type == "message"
    assert call.type == "function_call"
    assert (call.call_id, call.arguments) == ("c0", '{"city": "Oslo"}')
    kept = here.red.responses.retrieve(final.id)
    said: list[Any] = [*kept.output, *final.output]
    assert [item.id for item in said[:3]] == [item.id for item in said[3:]]
    assert words(here.red.responses.input_items.list(final.id)) == ["Hello"]


def test_an_answer_that_is_cut_off_is_incomplete(desk: Open, provider: Make) -> None:
    client = at(desk, provider(says({"content": "Hel"}, "length"), sends({"content": "Hel"}, finish="content_filter"))).red

    plain = client.responses.create(model="m", input="Hello", max_output_tokens=1)
    *_, last = client.responses.create(model="m", input="Hello", stream=True)

    assert plain.incomplete_details is not None
    assert (plain.status, plain.incomplete_details.reason) == ("incomplete", "max_output_tokens")
    assert last.type == "response.incomplete"
    assert last.response.incomplete_details is not None
    assert (last.response.incomplete_details.reason, last.response.output_text) == ("content_filter", "Hel")


def test_a_stream_that_breaks_off_has_failed_and_is_not_kept(desk: Open, provider: Make) -> None:
    here = at(desk, provider((STREAM, ROLE, word("Hel"))))

    *_, last = here.red.responses.create(model="m", input="Hello", stream=True)

    assert last.type == "response.failed"
    assert last.response.error is not None
    assert (last.response.status, last.response.error.code) == ("failed", "server_error")
    with pytest.raises(BadRequestError, match="not found"):
        here.red.responses.create(model="m", input="Go on", previous_response_id=last.response.id)


def test_what_a_provider_refuses_is_told_before_the_stream(desk: Open, provider: Make) -> None:
    client = at(desk, provider(failed(500, "out of order"))).red

    with pytest.raises(InternalServerError):
        client.responses.create(model="m", input="Hello", stream=True)


def test_the_header_tells_what_was_left_out(desk: Open, provider: Make) -> None:
    tools: Any = [
        {"type": "file_search", "vector_store_ids": ["vs_1"]},
        {"type": "namespace", "name": "shop", "description": "S", "tools": [WEATHER]},
    ]
    one = provider(says({"tool_calls": [{**calls("Oslo")[0], "function": {"name": "shop__weather", "arguments": "{}"}}]}, "tool_calls"))

    raw = at(desk, one).red.responses.with_raw_response.create(model="m", input="Hello", tools=tools)

    assert "tools[].file_search" in raw.headers["x-banjia-changes"]
    (call,) = raw.parse().output
    assert call.type == "function_call"
    assert (call.namespace, call.name) == ("shop", "weather")


def test_a_conversation_is_read_and_added_to(desk: Open, provider: Make) -> None:
    one = provider(streamed("One"), said("Two"))
    client = at(desk, one).red
    conversation = client.conversations.create(items=[{"type": "message", "role": "user", "content": "Before"}]).id

    list(client.responses.create(model="m", input="First", conversation=conversation, stream=True))
    second = client.responses.create(model="m", input="Second", conversation=conversation)

    assert second.conversation is not None
    assert second.conversation.id == conversation
    assert [turn["content"] for turn in one.requests[1].json["messages"]] == ["Before", "First", "One", "Second"]


def test_what_chat_calls_otherwise_is_refused(desk: Open, provider: Make) -> None:
    client = at(desk, provider(said())).red

    with pytest.raises(BadRequestError, match="max_output_tokens") as caught:
        client.responses.create(model="m", input="Hello", extra_body={"max_tokens": 5})

    assert (caught.value.param, caught.value.code) == ("max_tokens", "unsupported_parameter")


@pytest.mark.parametrize("path", ["/v1/responses", "/v1/responses/compact"])
@pytest.mark.parametrize("told", ["messages", "messages[0].content", None], ids=["whole", "part", "counted here"])
def test_a_prompt_that_is_too_long_is_told_of_the_field_that_the_client_knows(
    desk: Open, provider: Make, path: str, told: str | None
) -> None:
    error = {"message": "too long", "type": "invalid_request_error", "param": told, "code": "context_length_exceeded"}
    one = provider(answer(400, {"error": error}))
    zhipu = {**one.account(), "vendor": "zhipu", "api_key": "id.secret"}
    config = {"providers": {"p": zhipu if told is None else one.account()}, "models": route("p/glm-4.5" if told is None else "p/x")}
    client = desk(config).served.client

    reply = client.post(path, json={"model": "m", "input": "word " * (250_000 if told is None else 1)})

    assert (reply.status_code, reply.json()["error"]["code"]) == (400, "context_length_exceeded")
    assert reply.json()["error"]["param"] == "input"
    assert len(one.requests) == (0 if told is None else 1)
