"""What is kept of responses and conversations, and what stands before a request that goes on with one.

A response is kept whole, with all the items that it was made from: to go on with it takes one look-up, and what is deleted of a chain tears
nothing else apart. A conversation's items are kept one by one, so that two who add to it at once add both.
"""

import logging
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gateway.api.objects import lost_told, needed
from gateway.api.responses import compaction
from gateway.api.responses.shown import items_of, listed, type_of
from gateway.api.validate import invalid, missing, string, wrong_type
from gateway.api.wire import Refusal
from gateway.objects import Object, Objects, Taken
from gateway.store.errors import StoreError
from providers.base import Json, encode

if TYPE_CHECKING:
    from gateway.api.serving import Serving

log = logging.getLogger(__name__)

RESPONSE, ITEM, CONVERSATION, CONVERSATION_ITEM = "response", "response_item", "conversation", "conversation_item"
LONGEST = 8 << 20
"""Bytes of items that may stand before a request: more than any model reads, unless it is pictures."""
AT_ONCE = 200
"""Items that are read of a conversation in one go."""
MOST_REFERENCES = 1000
UNDER_WAY = ("queued", "in_progress")


# ---- before ----


async def history(body: Json, team: str, serving: "Serving") -> list[Json]:
    """The items that stand before `body["input"]`: those of `previous_response_id`, or of `conversation`. Raises Refusal."""
    previous, conversation = body.get("previous_response_id"), conversation_of(body)
    if previous is None and conversation is None:
        return []
    if previous is not None and conversation is not None:
        raise Refusal(
            400,
            "Mutually exclusive parameters: 'previous_response_id' and 'conversation'. A conversation has the earlier responses in it "
            "already: send that alone.",
            param="previous_response_id",
            code="mutually_exclusive_parameters",
        )
    objects = needed(serving)
    with lost_told():
        if previous is not None:
            past = await _before_response(objects, previous, team)
        else:
            past = await _of_conversation(objects, conversation or "", team)
    _no_duplicates(past, body.get("input"))
    return [compaction.message_of(item, "conversation") if item["type"] == "compaction" else item for item in past]


async def all_items(body: Json, team: str, serving: "Serving") -> list[Json]:
    """What stands before a request, and its own `input`, checked. Raises Refusal."""
    past = await history(body, team, serving)
    return [*past, *await expanded(items_of(body.get("input")), team, serving, past)]


async def expanded(items: Sequence[Json], team: str, serving: "Serving", past: Sequence[Json] = ()) -> list[Json]:
    """Items with what they stand for in the place of references to kept ones, and of compactions. References to what is in `past` are left
    out. Raises Refusal."""
    kinds = [type_of(item) for item in items]
    if "item_reference" not in kinds and "compaction" not in kinds:
        return list(items)
    if kinds.count("item_reference") > MOST_REFERENCES:
        raise invalid("input", f"Invalid 'input': it refers to more than {MOST_REFERENCES} items.", "array_above_max_length")
    there = {item.get("id") for item in past}
    found: list[Json] = []
    for at, (kind, item) in enumerate(zip(kinds, items, strict=True)):
        if kind == "compaction":
            found.append(compaction.message_of(item, f"input[{at}]"))
        elif kind != "item_reference":
            found.append(item)
        elif _id_of(item, f"input[{at}]") not in there:
            found.append(await _referenced(item["id"], team, serving))
    return found


def _id_of(reference: Json, path: str) -> str:
    id = reference.get("id")
    if id is None:
        raise missing(f"{path}.id")
    string(id, f"{path}.id")
    return str(id)


async def _referenced(id: str, team: str, serving: "Serving") -> Json:
    objects = needed(serving)
    with lost_told():
        kept = await objects.get(ITEM, team, id)
    if kept is None:
        message = f"Item with id '{id[:200]}' not found. Items are kept with responses that are stored: send the item itself instead."
        raise Refusal(404, message, param="input", code="not_found")
    return kept.body


def conversation_of(body: Json) -> str | None:
    """The conversation's id, which may be said in two ways. Raises Refusal(400)."""
    said = body.get("conversation")
    if isinstance(said, dict):
        if said.get("id") is None:
            raise missing("conversation.id")
        said = said["id"]
    if said is not None and not isinstance(said, str):
        raise wrong_type("conversation", "a string or an object", said)
    return said


async def _before_response(objects: Objects, id: Any, team: str) -> list[Json]:
    if not isinstance(id, str):
        raise wrong_type("previous_response_id", "a string", id)
    found = await objects.get(RESPONSE, team, id)
    if found is None:
        raise Refusal(
            400,
            f"Previous response with id '{id[:200]}' not found. It may be past its time, or was made with `store: false`.",
            param="previous_response_id",
            code="previous_response_not_found",
        )
    response: Json = found.body["response"]
    if response.get("status") in UNDER_WAY:
        message = f"Previous response with id '{id}' is still {response['status']}: ask again when it is completed."
        raise Refusal(400, message, param="previous_response_id", code="previous_response_in_progress")
    items: list[Json] = [*found.body["input"], *response["output"]]
    if found.body["size"] > LONGEST:
        raise too_long("previous_response_id")
    return items


async def _of_conversation(objects: Objects, id: str, team: str) -> list[Json]:
    conversation = await objects.get(CONVERSATION, team, id)
    if conversation is None:
        raise no_conversation(id)
    if conversation.body["size"] > LONGEST:
        raise too_long("conversation")
    items: list[Json] = []
    after, more = "", True
    while more:
        page = await objects.list(CONVERSATION_ITEM, team, parent=id, after=after, limit=AT_ONCE, newest_first=False)
        items += [one.body for one in page.objects]
        more = page.more
        after = page.objects[-1].id if page.objects else ""
    return items


def too_long(param: str) -> Refusal:
    message = f"What `{param}` stands for has more than {LONGEST >> 20} MiB: begin anew, with a summary of it from /v1/responses/compact."
    return Refusal(400, message, param=param, code="context_length_exceeded")


def no_conversation(id: str) -> Refusal:
    return Refusal(404, f"Conversation with id '{id[:200]}' not found.", param="conversation", code="not_found")


def _no_duplicates(past: Sequence[Json], given: Any) -> None:
    there = {item["id"] for item in past if item.get("id")}
    for item in given if isinstance(given, list) else ():
        if isinstance(item, dict) and type_of(item) != "item_reference" and isinstance(id := item.get("id"), str) and id in there:
            raise duplicate(id)


def duplicate(id: str) -> Refusal:
    message = f"Duplicate item found with id {id[:200]}. Remove duplicate items from your input and try again."
    return Refusal(400, message, param="input", code="duplicate_item")


# ---- after ----


async def keep(
    response: Json, input_items: list[Json], body: Json, team: str, serving: "Serving", *, past: Sequence[Json] | None = None
) -> None:
    """Keeps a response with what it was made from, unless `body` has `store: false`, and adds to the conversation that `body` names.
    `input_items`: the request's own, without what stood before them; `past`: that, if it is at hand. Raises nothing: the answer is paid
    for, and is sent also where it cannot be kept."""
    try:
        objects = serving.objects
        if objects is None:
            return
        own = listed(input_items)
        if past is None:
            past = await history({**body, "input": ()}, team, serving)
        conversation, lifetimes = conversation_of(body), serving.snapshot.lifetimes
        if conversation is not None:
            await append(objects, conversation, team, [*own, *response["output"]], keep=lifetimes.conversations)
        if body.get("store") is not False:
            await put(objects, response, [*past, *own], team, keep=lifetimes.responses)
    except (StoreError, Taken, Refusal) as error:
        log.warning("response %s was not kept: %s", response.get("id"), error)


def kept(response: Json, items: list[Json], **more: Any) -> Json:
    """The body of a kept response."""
    return {"response": response, "input": items, "size": size_of(items) + size_of(response["output"]), **more}


async def put(objects: Objects, response: Json, items: list[Json], team: str, *, keep: float) -> None:
    """`keep`: seconds. Raises StoreError, Taken."""
    now = time.time()
    whole = Object(response["id"], RESPONSE, team, kept(response, items), now, until=now + keep)
    await objects.create(whole, *parts_of(response, team, now, now + keep))


def parts_of(response: Json, team: str, now: float, until: float | None) -> list[Object]:
    """What a response has said, by the ids that clients may refer to."""
    id = response["id"]
    return [Object(item["id"], ITEM, team, item, now, parent=id, until=until) for item in response["output"] if item.get("id")]


async def append(objects: Objects, id: str, team: str, items: Sequence[Json], *, keep: float, once: bool = False) -> list[Json]:
    """Adds items, which have ids, to a conversation, which is kept for `keep` seconds from now; those whose ids are there already get
    others. Gives them as they are there. `once`: if the last of them is there, all are. Raises Refusal(404), StoreError."""
    if await objects.get(CONVERSATION, team, id) is None:
        raise no_conversation(id)
    try:
        await objects.create(*_placed(id, team, items))
    except Taken:
        if once and await objects.get(CONVERSATION_ITEM, team, item_key(id, items[-1]["id"])) is not None:
            return list(items)
        items = listed(items, fresh=True)
        await objects.create(*_placed(id, team, items))
    if await grown(objects, id, team, size_of(items), keep=keep) is None:  # deleted meanwhile
        for item in items:
            await objects.delete(CONVERSATION_ITEM, team, item_key(id, item["id"]))
        raise no_conversation(id)
    return list(items)


def _placed(id: str, team: str, items: Sequence[Json]) -> list[Object]:
    now = time.time()
    return [Object(item_key(id, item["id"]), CONVERSATION_ITEM, team, item, now, parent=id) for item in items]


def item_key(conversation: str, item: str) -> str:
    """What an item goes by in the store: clients bring ids of their own, and the same ones to several conversations."""
    return f"{conversation}:{item}"


async def grown(objects: Objects, id: str, team: str, by: int, *, keep: float) -> Object | None:
    """The conversation with so many bytes more, and its time begun anew; None if it has been deleted."""
    while (there := await objects.get(CONVERSATION, team, id)) is not None:
        body = {**there.body, "size": max(0, there.body["size"] + by)}
        if (now := await objects.change(there, body, until=time.time() + keep)) is not None:
            return now
    return None


def size_of(items: Sequence[Json]) -> int:
    """Bytes that they take."""
    return len(encode(items))
