"""What is kept of responses: read again, gone on with, counted, compacted and deleted, as OpenAI's SDK asks for it."""

import asyncio
from typing import Any

import pytest
from openai import BadRequestError, InternalServerError, NotFoundError

from gateway.api.responses.store import LONGEST
from gateway.objects import Object
from gateway.routing import begun
from gateway.store.errors import StoreLost
from gateway.store.objects import StoredObjects
from providers.base import Json, encode
from tests.gateway.api.responses.keeping import Desk, Open, desk, words
from tests.gateway.provider import DONE, END, ROLE, STREAM, Make, Provider, answer, route, said, streamed, word

__all__ = ["desk"]

THIRTY_DAYS = 30 * 86_400.0

CALL: Json = {"id": "call_1", "type": "function", "function": {"name": "weigh", "arguments": '{"box": 1}'}}
TOOL: Any = {"type": "function", "name": "weigh", "parameters": {"type": "object", "properties": {"box": {"type": "integer"}}}}


def calling() -> Any:
    message = {"role": "assistant", "content": None, "tool_calls": [CALL]}
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    return answer(200, {"id": "c1", "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}], "usage": usage})


def at(desk: Open, one: Provider) -> Desk:
    return desk({"providers": {"p": one.account()}, "models": route("p/x")})


def heard(one: Provider) -> list[tuple[str, str]]:
    """(role, text) of the turns that the provider was given last."""
    turns = one.requests[-1].json["messages"]
    return [(turn["role"], turn["content"] if isinstance(turn["content"], str) else turn["content"][0]["text"]) for turn in turns]


def test_a_response_is_read_again_and_deleted(desk: Open, provider: Make) -> None:
    client = at(desk, provider(said("Hello you"))).red

    made = client.responses.create(model="m", input="Hello", metadata={"topic": "move"})
    read = client.responses.retrieve(made.id)
    deleted = client.responses.with_raw_response.delete(made.id)

    assert made.output_text == "Hello you"
    assert read == made
    assert deleted.http_response.json() == {"id": made.id, "object": "response", "deleted": True}
    for ask in (client.responses.retrieve, client.responses.delete, client.responses.cancel, client.responses.input_items.list):
        with pytest.raises(NotFoundError, match=f"Response with id '{made.id}' not found"):
            ask(made.id)


def test_a_response_is_gone_on_with_also_when_those_before_it_are_deleted(desk: Open, provider: Make) -> None:
    one = provider(said("One"), said("Two"), said("Three"))
    client = at(desk, one).red

    first = client.responses.create(model="m", input="First", instructions="Be brief.")
    second = client.responses.create(model="m", input="Second", previous_response_id=first.id)
    client.responses.delete(first.id)
    third = client.responses.create(model="m", input="Third", previous_response_id=second.id)

    assert third.previous_response_id == second.id
    turns = [("user", "First"), ("assistant", "One"), ("user", "Second"), ("assistant", "Two"), ("user", "Third")]
    assert heard(one) == turns  # instructions are of one request alone


def test_a_streamed_response_is_kept_before_its_end_is_seen(desk: Open, provider: Make) -> None:
    one = provider(streamed("Hel", "lo"), said("Again"))
    client = at(desk, one).red

    *_, last = client.responses.create(model="m", input="First", stream=True)
    assert last.type == "response.completed"
    read = client.responses.retrieve(last.response.id)
    client.responses.create(model="m", input="Second", previous_response_id=read.id)

    assert read.to_dict() == last.response.to_dict()
    assert heard(one) == [("user", "First"), ("assistant", "Hello"), ("user", "Second")]


def test_a_conversation_has_what_is_said_in_it(desk: Open, provider: Make) -> None:
    one = provider(said("One"), streamed("Two"))
    client = at(desk, one).red
    conversation = client.conversations.create(items=[{"role": "user", "content": "I move in May.", "type": "message"}])

    first = client.responses.create(model="m", input="First", conversation=conversation.id)
    *_, last = client.responses.create(model="m", input="Second", conversation={"id": conversation.id}, store=False, stream=True)

    assert last.type == "response.completed"
    assert first.conversation is not None
    assert first.conversation.id == conversation.id
    turns = [("user", "I move in May."), ("user", "First"), ("assistant", "One"), ("user", "Second")]
    assert heard(one) == turns
    items = client.conversations.items.list(conversation.id, order="asc")
    assert words(items) == [text for _, text in turns] + ["Two"]


def test_calls_of_tools_and_their_results_are_gone_on_with(desk: Open, provider: Make) -> None:
    one = provider(calling(), said("12 kg"), said("12 kg"))
    client = at(desk, one).red
    result: Any = {"type": "function_call_output", "call_id": "call_1", "output": "12"}

    first = client.responses.create(model="m", input="How heavy?", tools=[TOOL])
    client.responses.create(model="m", input=[result], tools=[TOOL], previous_response_id=first.id)
    chained = one.requests[-1].json["messages"]
    reference: Any = {"type": "item_reference", "id": first.output[0].id}
    client.responses.create(model="m", input=[{"role": "user", "content": "How heavy?"}, reference, result], tools=[TOOL])

    assert [turn["role"] for turn in chained] == ["user", "assistant", "tool"]
    assert chained[1]["tool_calls"][0]["function"] == CALL["function"]
    assert one.requests[-1].json["messages"] == chained


def test_input_items_are_all_that_a_response_was_made_from(desk: Open, provider: Make) -> None:
    client = at(desk, provider(said("One"), said("Two"))).red
    first = client.responses.create(model="m", input=[{"role": "user", "content": f"{number}"} for number in range(4)])
    second = client.responses.create(model="m", input="Second", previous_response_id=first.id)

    page = client.responses.input_items.list(second.id, limit=2)
    newest = words(client.responses.input_items.list(second.id, limit=2))
    oldest = words(client.responses.input_items.list(second.id, limit=4, order="asc"))

    assert (page.has_more, len(page.data)) == (True, 2)
    assert newest == ["Second", "One", "3", "2", "1", "0"]
    assert oldest == newest[::-1]
    assert page.data[0].to_dict() == {
        "id": page.data[0].id,
        "type": "message",
        "role": "user",
        "status": "completed",
        "content": [{"type": "input_text", "text": "Second"}],
    }
    with pytest.raises(BadRequestError, match="from 1 to 100"):
        client.responses.input_items.list(second.id, limit=101)


def test_an_id_is_worth_nothing_to_another_team(desk: Open, provider: Make) -> None:
    one = provider(said("One"))
    both = at(desk, one)
    made = both.red.responses.create(model="m", input="Hello")
    conversation = both.red.conversations.create().id
    reference: Any = {"type": "item_reference", "id": made.output[0].id}
    blue = both.blue.responses

    for ask in (blue.retrieve, blue.delete, blue.cancel, blue.input_items.list):
        with pytest.raises(NotFoundError, match="not found"):
            ask(made.id)
    with pytest.raises(BadRequestError, match=r"Previous response with id .* not found"):
        blue.create(model="m", input="Me too", previous_response_id=made.id)
    with pytest.raises(NotFoundError, match=r"Conversation with id .* not found"):
        blue.create(model="m", input="Me too", conversation=conversation)
    with pytest.raises(NotFoundError, match=r"Item with id .* not found"):
        blue.create(model="m", input=[reference])

    assert len(one.requests) == 1
    assert both.red.responses.retrieve(made.id) == made


def test_what_is_not_to_be_stored_is_not(desk: Open, provider: Make) -> None:
    client = at(desk, provider(said("One"))).red

    made = client.responses.create(model="m", input="Hello", store=False)

    with pytest.raises(NotFoundError):
        client.responses.retrieve(made.id)
    with pytest.raises(BadRequestError, match="store: false"):
        client.responses.create(model="m", input="Again", previous_response_id=made.id)


def test_a_response_is_kept_for_thirty_days(desk: Open, provider: Make) -> None:
    here = at(desk, provider(said("One")))
    made = here.red.responses.create(model="m", input="Hello")

    here.clock.ahead = THIRTY_DAYS - 60
    assert here.red.responses.retrieve(made.id) == made
    here.clock.ahead = THIRTY_DAYS + 60

    with pytest.raises(NotFoundError):
        here.red.responses.retrieve(made.id)
    with pytest.raises(BadRequestError, match="past its time"):
        here.red.responses.create(model="m", input="Again", previous_response_id=made.id)


class Lost(StoredObjects):
    """A database that has gone away."""

    async def create(self, *made: Object) -> list[Object]:
        raise StoreLost("it does not answer")

    async def get(self, kind: str, team: str, id: str) -> Object | None:
        raise StoreLost("it does not answer")


def test_without_the_database_answers_are_sent_and_what_is_kept_has_to_wait(
    desk: Open, provider: Make, caplog: pytest.LogCaptureFixture
) -> None:
    here = at(desk, provider(said("One")))
    here.served.app.serving.objects = Lost(here.store)

    made = here.red.responses.create(model="m", input="Hello")

    assert made.output_text == "One"
    assert f"response {made.id} was not kept: it does not answer" in caplog.text
    for ask in (
        lambda: here.red.responses.retrieve(made.id),
        lambda: here.red.responses.create(model="m", input="Again", previous_response_id=made.id),
        lambda: here.red.conversations.create(),
    ):
        with pytest.raises(InternalServerError, match="The database does not answer"):
            ask()


def test_what_is_too_long_is_not_gone_on_with(desk: Open, provider: Make) -> None:
    one = provider(said("One"))
    client = at(desk, one).red
    conversation = client.conversations.create().id
    text = "x" * (LONGEST // 4)

    made = client.responses.create(model="m", input=[{"role": "user", "content": text}] * 5, conversation=conversation)

    with pytest.raises(BadRequestError, match="has more than 8 MiB") as refused:
        client.responses.create(model="m", input="Again", previous_response_id=made.id)
    assert refused.value.code == "context_length_exceeded"
    with pytest.raises(BadRequestError, match="has more than 8 MiB"):
        client.responses.create(model="m", input="Again", conversation=conversation)
    with pytest.raises(BadRequestError, match="has more than 8 MiB"):
        client.conversations.items.create(conversation, items=[{"type": "message", "role": "user", "content": "Again"}])
    assert len(one.requests) == 1
    for item in client.conversations.items.list(conversation, limit=3).data:
        client.conversations.items.delete(str(item.id), conversation_id=conversation)
    client.responses.create(model="m", input="Again", conversation=conversation)
    assert [len(text) for _, text in heard(one)] == [LONGEST // 4] * 3 + [5]


def test_a_response_and_a_conversation_at_once_are_refused(desk: Open, provider: Make) -> None:
    client = at(desk, provider(said("One"))).red
    made = client.responses.create(model="m", input="Hello")
    conversation = client.conversations.create(items=[{"type": "message", "role": "user", "content": "Hi", "id": "msg_1"}]).id  # type: ignore[list-item]

    with pytest.raises(BadRequestError, match="Mutually exclusive"):
        client.responses.create(model="m", input="Again", previous_response_id=made.id, conversation=conversation)
    with pytest.raises(BadRequestError, match="Duplicate item found with id msg_1"):
        client.responses.create(
            model="m",
            conversation=conversation,
            input=[{"type": "message", "role": "user", "content": "Hi", "id": "msg_1"}],  # type: ignore[list-item]
        )
    with pytest.raises(BadRequestError, match="Cannot cancel a synchronous response"):
        client.responses.cancel(made.id)


def test_a_response_is_told_as_a_stream_again_from_any_event_on(desk: Open, provider: Make) -> None:
    client = at(desk, provider(calling())).red
    made = client.responses.create(model="m", input="How heavy?", tools=[TOOL])

    events = list(client.responses.retrieve(made.id, stream=True))
    rest = list(client.responses.retrieve(made.id, stream=True, starting_after=3))
    with client.responses.stream(response_id=made.id) as stream:
        gathered = stream.get_final_response()

    assert [event.type for event in events] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert [event.sequence_number for event in events] == list(range(7))
    assert rest == events[4:]
    assert gathered.output[0].to_dict()["arguments"] == '{"box": 1}'
    with pytest.raises(BadRequestError, match="only allowed when 'stream' is enabled"):
        client.get(f"/responses/{made.id}", cast_to=object, options={"params": {"starting_after": 3}})


def test_a_stream_and_its_replay_have_the_same_grammar(desk: Open, provider: Make) -> None:
    deltas: list[Json] = [{"reasoning_content": "A thought"}, {"content": "Hello"}, {"tool_calls": [{"index": 0, **CALL}]}]
    chunks = [{"id": "c1", "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    told_so = [b"data: " + encode(chunk) + b"\n\n" for chunk in chunks]
    client = at(desk, provider((STREAM, ROLE, *told_so, END, DONE))).red

    lived = list(client.responses.create(model="m", input="Hello", stream=True, tools=[TOOL]))
    assert lived[-1].type == "response.completed"
    told = list(client.responses.retrieve(lived[-1].response.id, stream=True))

    assert [event.type for event in told] == [event.type for event in lived]
    assert [event.to_dict() for event in told[2:]] == [event.to_dict() for event in lived[2:]]
    assert sum(event.type == "response.output_item.done" for event in told) == 3


def test_a_compaction_stands_for_what_was_said(desk: Open, provider: Make) -> None:
    one = provider(said("One"), said("They move in May."), said("Three"), said("Shorter still"))
    client = at(desk, one).red
    first = client.responses.create(model="m", input="I move in May.")

    compacted = client.responses.compact(model="m", previous_response_id=first.id, input="Remember it", instructions="Be brief.")
    asked = one.requests[-1].json["messages"]
    items: Any = [item.to_dict(warnings=False) for item in compacted.output]
    client.responses.create(model="m", input=[*items, {"role": "user", "content": "When?"}])
    turns = heard(one)
    client.responses.compact(model="m", input=items)

    assert asked[0]["content"].startswith("Be brief.\n\nYou are given the record")
    assert asked[1]["content"] == "user: I move in May.\n\nassistant: One\n\nuser: Remember it"
    assert (compacted.object, [item.type for item in compacted.output]) == ("response.compaction", ["message", "message", "compaction"])
    assert compacted.usage.model_dump(include={"input_tokens", "output_tokens", "total_tokens"}) == {
        "input_tokens": 3,
        "output_tokens": 2,
        "total_tokens": 5,
    }
    summary = "Summary of the conversation so far:\n\nThey move in May."
    assert turns == [("user", "I move in May."), ("user", "Remember it"), ("assistant", summary), ("user", "When?")]
    assert one.requests[-1].json["messages"][1]["content"].endswith(f"assistant: {summary}")


@pytest.mark.parametrize("content", ["gAAAAAB-of-another-maker", "bj1.not base64!", "bj1._w=="])
def test_a_compaction_of_another_maker_is_refused(desk: Open, provider: Make, content: str) -> None:
    one = provider(said("One"))

    with pytest.raises(BadRequestError, match="reads compactions of its own") as refused:
        at(desk, one).red.responses.create(model="m", input=[{"type": "compaction", "encrypted_content": content}])

    assert refused.value.param == "input[0].encrypted_content"
    assert not one.requests


def test_tokens_of_an_input_are_counted_and_nothing_is_asked(desk: Open, provider: Make) -> None:
    one = provider(said("One"))
    here = at(desk, one)
    made = here.red.responses.create(model="m", input="Hello there")

    alone = here.red.responses.input_tokens.count(model="m", input="Hello there")
    told = here.red.responses.input_tokens.count(model="m", input="Hello there", instructions="Be brief.", tools=[TOOL])
    gone_on = here.red.responses.input_tokens.count(model="m", input="Hello there", previous_response_id=made.id)

    assert (alone.object, alone.input_tokens) == ("response.input_tokens", 2 + 4)
    assert told.input_tokens > alone.input_tokens + 10
    assert gone_on.input_tokens == 2 * alone.input_tokens + 1 + 4
    assert len(one.requests) == 1


def test_a_database_that_is_slower_than_the_providers_last_words_cuts_no_stream(
    desk: Open, provider: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = StoredObjects.create

    async def slowly(self: StoredObjects, *made: Object) -> list[Object]:
        await asyncio.sleep(0.4)
        return await create(self, *made)

    monkeypatch.setattr(StoredObjects, "create", slowly)
    monkeypatch.setattr(begun, "FAREWELL", 0.05)
    usage = b'data: {"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}\n\n'
    red = at(desk, provider((STREAM, ROLE, word("Hi"), END, usage, DONE))).red

    events = [event.type for event in red.responses.create(model="m", input="Hello", stream=True)]

    assert events[-1] == "response.completed"
