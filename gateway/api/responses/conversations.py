"""/v1/conversations and their items."""

import time
from typing import Any

from gateway.api.auth import authenticate
from gateway.api.objects import lost_told, needed, new, paging_of
from gateway.api.responses import compaction
from gateway.api.responses.keeping import not_kept
from gateway.api.responses.shown import check, listed, type_of
from gateway.api.responses.store import (
    CONVERSATION,
    CONVERSATION_ITEM,
    ITEM,
    LONGEST,
    append,
    duplicate,
    grown,
    item_key,
    no_conversation,
    size_of,
    too_long,
)
from gateway.api.serving import Routes, Serving
from gateway.api.validate import array, invalid, missing, obj, string
from gateway.api.wire import Exchange, Refusal
from gateway.objects import Object, Objects, changed
from providers.base import Json, encode

MOST_AT_ONCE = 20
"""Items that one call adds, as at OpenAI."""
MOST_PAIRS, LONGEST_KEY, LONGEST_VALUE = 16, 64, 512
"""Of metadata, as at OpenAI."""


async def create(exchange: Exchange, serving: Serving) -> None:
    team, objects = _whose(exchange, serving, adds=True)
    body = await _body_of(exchange, serving)
    metadata = metadata_of(body)
    items = await _items_of(body, team, objects)
    now = time.time()
    made = {"metadata": metadata, "size": size_of(items)}
    conversation = Object(new("conv_"), CONVERSATION, team, made, now, until=now + serving.snapshot.lifetimes.conversations)
    with lost_told():
        placed = [
            Object(item_key(conversation.id, item["id"]), CONVERSATION_ITEM, team, item, now, parent=conversation.id) for item in items
        ]
        await objects.create(conversation, *placed)
    await exchange.answer(200, encode(told(conversation)))


async def retrieve(exchange: Exchange, serving: Serving, id: str) -> None:
    team, objects = _whose(exchange, serving)
    await exchange.answer(200, encode(told(await _found(objects, team, id))))


async def update(exchange: Exchange, serving: Serving, id: str) -> None:
    """Its metadata, as a whole."""
    team, objects = _whose(exchange, serving)
    body = await _body_of(exchange, serving)
    if "metadata" not in body:
        raise missing("metadata")
    metadata = metadata_of(body)
    with lost_told():
        conversation = await changed(objects, CONVERSATION, team, id, lambda old: {**old, "metadata": metadata})
    if conversation is None:
        raise no_conversation(id)
    await exchange.answer(200, encode(told(conversation)))


async def delete(exchange: Exchange, serving: Serving, id: str) -> None:
    """With its items; responses that were made in it stay."""
    team, objects = _whose(exchange, serving)
    with lost_told():
        if not await objects.delete(CONVERSATION, team, id):
            raise no_conversation(id)
    await exchange.answer(200, encode({"id": id, "object": "conversation.deleted", "deleted": True}))


async def add_items(exchange: Exchange, serving: Serving, id: str) -> None:
    team, objects = _whose(exchange, serving, adds=True)
    body = await _body_of(exchange, serving)
    if body.get("items") is None:
        raise missing("items")
    items = await _items_of(body, team, objects)
    if (await _found(objects, team, id)).body["size"] > LONGEST:
        raise too_long("conversation")
    with lost_told():
        for item in items:
            if await objects.get(CONVERSATION_ITEM, team, item_key(id, item["id"])) is not None:
                raise duplicate(item["id"])
        items = await append(objects, id, team, items, keep=serving.snapshot.lifetimes.conversations)
    await exchange.answer(200, encode(_list(items, more=False)))


async def list_items(exchange: Exchange, serving: Serving, id: str) -> None:
    team, objects = _whose(exchange, serving)
    paging = paging_of(exchange)
    await _found(objects, team, id)
    with lost_told():
        page = await objects.list(
            CONVERSATION_ITEM,
            team,
            parent=id,
            after=paging.after and item_key(id, paging.after),
            before=paging.before and item_key(id, paging.before),
            limit=paging.limit,
            newest_first=paging.newest_first,
        )
    await exchange.answer(200, encode(_list([one.body for one in page.objects], more=page.more)))


async def retrieve_item(exchange: Exchange, serving: Serving, id: str, item: str) -> None:
    team, objects = _whose(exchange, serving)
    await _found(objects, team, id)
    with lost_told():
        found = await objects.get(CONVERSATION_ITEM, team, item_key(id, item))
    if found is None:
        raise _no_item(id, item)
    await exchange.answer(200, encode(found.body))


async def delete_item(exchange: Exchange, serving: Serving, id: str, item: str) -> None:
    """Answers with the conversation."""
    team, objects = _whose(exchange, serving)
    await _found(objects, team, id)
    with lost_told():
        found = await objects.get(CONVERSATION_ITEM, team, item_key(id, item))
        if found is None or not await objects.delete(CONVERSATION_ITEM, team, found.id):
            raise _no_item(id, item)
        conversation = await grown(objects, id, team, -size_of([found.body]), keep=serving.snapshot.lifetimes.conversations)
    if conversation is None:
        raise no_conversation(id)
    await exchange.answer(200, encode(told(conversation)))


ROUTES: Routes = {
    "/v1/conversations": {"POST": create},
    "/v1/conversations/{id}": {"GET": retrieve, "POST": update, "DELETE": delete},
    "/v1/conversations/{id}/items": {"GET": list_items, "POST": add_items},
    "/v1/conversations/{id}/items/{item}": {"GET": retrieve_item, "DELETE": delete_item},
}


def _whose(exchange: Exchange, serving: Serving, *, adds: bool = False) -> tuple[str, Objects]:
    """The team that asks, and where its things are; `adds`: to which it wants to add some. Raises Refusal."""
    key = authenticate(exchange, serving.snapshot, serving.ring)
    if adds and not key.keeping.store:
        raise not_kept(key, "there are no conversations: send the earlier items with each request")
    return key.team, needed(serving)


async def _body_of(exchange: Exchange, serving: Serving) -> Json:
    """No larger than what can be gone on with."""
    return await exchange.json(min(serving.snapshot.max_body, LONGEST))


async def _found(objects: Objects, team: str, id: str) -> Object:
    with lost_told():
        conversation = await objects.get(CONVERSATION, team, id)
    if conversation is None:
        raise no_conversation(id)
    return conversation


def told(conversation: Object) -> Json:
    metadata = conversation.body["metadata"]
    return {"id": conversation.id, "object": "conversation", "created_at": int(conversation.created), "metadata": metadata}


def _list(items: list[Json], *, more: bool) -> Json:
    ids = [item["id"] for item in items]
    return {"object": "list", "data": items, "first_id": ids[0] if ids else None, "last_id": ids[-1] if ids else None, "has_more": more}


def _no_item(conversation: str, id: str) -> Refusal:
    return Refusal(404, f"Item with id '{id[:200]}' not found in conversation '{conversation}'.", param="item_id", code="not_found")


# ---- what clients send ----


def metadata_of(body: Json) -> dict[str, str]:
    """Raises Refusal(400)."""
    metadata = body.get("metadata")
    if metadata is None:
        return {}
    obj(metadata, "metadata")
    if len(metadata) > MOST_PAIRS:
        message = f"Invalid 'metadata': too many properties. Expected at most {MOST_PAIRS}, but got {len(metadata)} instead."
        raise invalid("metadata", message, "object_above_max_properties")
    for name, value in metadata.items():
        path = f"metadata.{name[:LONGEST_KEY]}"
        string(value, path)
        for what, told, most in (("key", name, LONGEST_KEY), ("value", value, LONGEST_VALUE)):
            if len(told) > most:
                message = f"Invalid '{path}': its {what} has {len(told)} characters, and may have {most}."
                raise invalid(path, message, "string_above_max_length")
    return dict(metadata)


async def _items_of(body: Json, team: str, objects: Objects) -> list[Json]:
    """The items of a body, as they are kept; references are replaced by what they stand for. Raises Refusal."""
    given: Any = body.get("items")
    if given is None:
        return []
    array(obj, most=MOST_AT_ONCE)(given, "items")
    found: list[Json] = []
    for at, item in enumerate(given):
        if type_of(item) != "item_reference":
            check(item, f"items[{at}]")
            if item.get("type") == "compaction":
                compaction.message_of(item, f"items[{at}]")
            found.append(item)
            continue
        string(item.get("id"), f"items[{at}].id")
        with lost_told():
            kept = await objects.get(ITEM, team, item["id"])
        if kept is None:
            raise Refusal(404, f"Item with id '{item['id'][:200]}' not found.", param=f"items[{at}].id", code="not_found")
        found.append(kept.body)
    ids = [item["id"] for item in found if item.get("id")]
    for id in ids:
        if ids.count(id) > 1:
            raise duplicate(id)
    return listed(found)
