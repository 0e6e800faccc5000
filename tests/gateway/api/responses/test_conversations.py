"""/v1/conversations, as OpenAI's SDK calls it."""

from concurrent.futures import ThreadPoolExecutor
from time import time
from typing import Any

import pytest
from openai import BadRequestError, NotFoundError, OpenAI

from gateway.api.responses.store import CONVERSATION
from providers.base import Json
from tests.conftest import Background
from tests.gateway.api.responses.keeping import ALONE, Open, desk, words

__all__ = ["desk"]

DAY = 86_400.0
YEAR = 365 * DAY


def user(text: str, **more: Any) -> Any:
    return {"type": "message", "role": "user", "content": text, **more}


def texts(client: OpenAI, id: str, **asked: Any) -> list[str]:
    """What the messages of a conversation say, over as many pages as it takes."""
    return words(client.conversations.items.list(id, **asked))


def test_a_conversation_is_made_read_changed_and_deleted(desk: Open) -> None:
    client = desk().red

    made = client.conversations.create(metadata={"topic": "move"}, items=[user("Hello")])
    read = client.conversations.retrieve(made.id)
    changed = client.conversations.update(made.id, metadata={"topic": "boxes"})
    gone = client.conversations.delete(made.id)

    assert made.id.startswith("conv_")
    assert (made.object, made.metadata) == ("conversation", {"topic": "move"})
    assert read == made
    assert (changed.id, changed.created_at, changed.metadata) == (made.id, made.created_at, {"topic": "boxes"})
    assert gone.model_dump() == {"id": made.id, "object": "conversation.deleted", "deleted": True}
    with pytest.raises(NotFoundError, match=f"Conversation with id '{made.id}' not found"):
        client.conversations.retrieve(made.id)
    with pytest.raises(NotFoundError):
        client.conversations.items.list(made.id)


def test_items_are_added_listed_and_deleted_one_by_one(desk: Open) -> None:
    client = desk().red
    id = client.conversations.create().id
    call: Json = {"type": "function_call", "call_id": "c1", "name": "weigh", "arguments": '{"box": 1}'}
    result: Json = {"type": "function_call_output", "call_id": "c1", "output": "12 kg"}
    answer: Json = {"role": "assistant", "content": "It weighs 12 kg."}

    added: Any = client.conversations.items.create(id, items=[user("How heavy?", id="msg_mine"), call, result, answer])  # type: ignore[list-item]
    first = client.conversations.items.retrieve(added.data[0].id, conversation_id=id)
    after = client.conversations.items.delete(added.data[1].id, conversation_id=id)

    assert (added.object, added.has_more, added.first_id, added.last_id) == ("list", False, "msg_mine", added.data[-1].id)
    assert [item.type for item in added.data] == ["message", "function_call", "function_call_output", "message"]
    assert [item.id.partition("_")[0] for item in added.data] == ["msg", "fc", "fco", "msg"]
    assert first.to_dict() == {
        "id": "msg_mine",
        "type": "message",
        "role": "user",
        "status": "completed",
        "content": [{"type": "input_text", "text": "How heavy?"}],
    }
    assert added.data[3].to_dict()["content"] == [{"type": "output_text", "text": "It weighs 12 kg.", "annotations": [], "logprobs": []}]
    assert after.id == id
    assert [item.type for item in client.conversations.items.list(id, order="asc")] == ["message", "function_call_output", "message"]
    with pytest.raises(NotFoundError, match="not found in conversation"):
        client.conversations.items.retrieve(added.data[1].id, conversation_id=id)
    with pytest.raises(NotFoundError, match="not found in conversation"):
        client.conversations.items.delete(added.data[1].id, conversation_id=id)


def test_items_are_read_page_by_page_in_both_directions(desk: Open) -> None:
    client = desk().red
    id = client.conversations.create(items=[user(f"{number}") for number in range(7)]).id

    page = client.conversations.items.list(id, limit=3)

    assert words(page.data) == ["6", "5", "4"]
    assert (page.has_more, page.last_id) == (True, page.data[-1].id)
    assert texts(client, id, limit=3) == ["6", "5", "4", "3", "2", "1", "0"]
    assert texts(client, id, limit=2, order="asc") == ["0", "1", "2", "3", "4", "5", "6"]
    assert texts(client, id, after="msg_of_nobody") == []


def test_of_two_who_add_to_a_conversation_at_once_nobody_loses_anything(desk: Open) -> None:
    client = desk().red
    id = client.conversations.create().id
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: client.conversations.items.create(id, items=[user(f"a{number}"), user(f"b{number}")]), range(24)))

    said = texts(client, id, limit=100, order="asc")

    assert sorted(said) == sorted([f"{one}{number}" for one in "ab" for number in range(24)])
    assert all(said[at + 1] == said[at].replace("a", "b") for at in range(0, 48, 2))  # what is added at once stays together


def test_an_id_is_worth_nothing_to_another_team(desk: Open) -> None:
    both = desk()
    made = both.red.conversations.create(items=[user("Hello", id="msg_1")], metadata={"of": "red"})

    for ask in (
        lambda: both.blue.conversations.retrieve(made.id),
        lambda: both.blue.conversations.update(made.id, metadata={"of": "blue"}),
        lambda: both.blue.conversations.delete(made.id),
        lambda: both.blue.conversations.items.list(made.id),
        lambda: both.blue.conversations.items.create(made.id, items=[user("Me too")]),
        lambda: both.blue.conversations.items.retrieve("msg_1", conversation_id=made.id),
        lambda: both.blue.conversations.items.delete("msg_1", conversation_id=made.id),
    ):
        with pytest.raises(NotFoundError):
            ask()

    assert both.red.conversations.retrieve(made.id).metadata == {"of": "red"}
    assert texts(both.red, made.id) == ["Hello"]
    assert both.blue.conversations.create(items=[user("Hello", id="msg_1")]).id != made.id  # the same id of an item is no clash


ODD: list[tuple[Json, str]] = [
    ({"items": [user("x")] * 21}, "items"),
    ({"items": ["x"]}, "items[0]"),
    ({"items": [{"type": "song"}]}, "items[0].type"),
    ({"items": [{"content": "x"}]}, "items[0].type"),
    ({"items": [{"role": "pirate", "content": "x"}]}, "items[0].role"),
    ({"items": [{"role": "user"}]}, "items[0].content"),
    ({"items": [{"role": "user", "content": 5}]}, "items[0].content"),
    ({"items": [{"role": "user", "content": [{"text": "x"}]}]}, "items[0].content[0].type"),
    ({"items": [{"type": "function_call", "name": "f", "arguments": "{}"}]}, "items[0].call_id"),
    ({"items": [{"type": "function_call_output", "call_id": "c"}]}, "items[0].output"),
    ({"items": [user("x", id="msg 1")]}, "items[0].id"),
    ({"items": [user("x", id="m"), user("y", id="m")]}, "input"),
    ({"items": [{"type": "item_reference"}]}, "items[0].id"),
    ({"metadata": {str(number): "x" for number in range(17)}}, "metadata"),
    ({"metadata": {"a": 5}}, "metadata.a"),
    ({"metadata": {"a": "x" * 513}}, "metadata.a"),
    ({"metadata": {"a" * 65: "x"}}, "metadata." + "a" * 64),
    ({"metadata": "x"}, "metadata"),
]


def test_what_is_no_conversation_is_refused_by_the_name_of_the_field(desk: Open) -> None:
    client = desk().served.client

    replies = [client.post("/v1/conversations", json=body) for body, _ in ODD]

    assert [(reply.status_code, reply.json()["error"]["param"]) for reply in replies] == [(400, param) for _, param in ODD]


def test_an_item_that_is_there_already_is_refused(desk: Open) -> None:
    client = desk().red
    id = client.conversations.create(items=[user("Hello", id="msg_1")]).id

    with pytest.raises(BadRequestError, match="Duplicate item found with id msg_1"):
        client.conversations.items.create(id, items=[user("Again"), user("Hello", id="msg_1")])

    assert texts(client, id) == ["Hello"]


def test_a_conversation_that_nobody_adds_to_is_forgotten_after_a_year(desk: Open) -> None:
    here = desk()
    id = here.red.conversations.create(items=[user("Hello")]).id

    here.clock.ahead = YEAR - 60
    assert texts(here.red, id) == ["Hello"]
    here.clock.ahead = YEAR + 60

    with pytest.raises(NotFoundError):
        here.red.conversations.retrieve(id)


def test_who_adds_to_a_conversation_lengthens_its_time(desk: Open, background: Background) -> None:
    here = desk()
    id = here.red.conversations.create().id
    objects: Any = here.served.app.serving.objects

    async def until(shorter: float | None = None) -> Any:
        found = await objects.get(CONVERSATION, "red", id)
        if shorter is not None:
            found = await objects.change(found, found.body, until=shorter)
        return found.until

    soon = time() + DAY
    assert background.run(until(soon)) == soon
    here.red.conversations.items.create(id, items=[user("Hello")])

    assert background.run(until()) > soon + YEAR - 2 * DAY


def test_without_a_store_it_says_what_is_missing(gateway: Any) -> None:
    reply = gateway(ALONE).client.post("/v1/conversations", json={})

    assert reply.status_code == 503
    assert reply.json()["error"]["message"] == "This needs a store, and the gateway runs without one."
