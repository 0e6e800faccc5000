"""/v1/responses/{id} and what belongs to it: what is kept of a response, read again, cancelled and deleted."""

import asyncio
import logging
import time
from collections.abc import Sequence
from contextlib import suppress

from gateway.api.auth import authenticate
from gateway.api.objects import lost_told, needed, paging_of
from gateway.api.responses.background import begin, ended, start
from gateway.api.responses.keeping import over
from gateway.api.responses.replay import ENDS, events_of, frame
from gateway.api.responses.store import RESPONSE, UNDER_WAY
from gateway.api.serving import Routes, Serving
from gateway.api.validate import invalid
from gateway.api.wire import Exchange, Refusal
from gateway.objects import Object, changed
from gateway.snapshot import Key
from gateway.store.errors import StoreError
from providers.base import Json, encode

log = logging.getLogger(__name__)

LOOK = 0.5
"""Seconds between two looks at a response that is followed."""
ALIVE = 15.0
"""Seconds of silence after which a follower gets a comment: whatever is between us should not take the connection for dead."""
OVERDUE = 30.0
"""Seconds after which a response that is queued still is given to the jobs again: the gateway may have died before it could."""


async def queue(
    exchange: Exchange, serving: Serving, key: Key, body: Json, response: Json, input_items: Sequence[Json], past: Sequence[Json] = ()
) -> None:
    """Answers a request with `background: true`; the words are those of `begin`. Raises Refusal."""
    queued = await begin(exchange, serving, key, body, response, input_items, past)
    if body.get("stream"):
        return await follow(exchange, serving, queued)
    return await exchange.answer(200, encode(queued.body["response"]))


async def retrieve(exchange: Exchange, serving: Serving, id: str) -> None:
    team = authenticate(exchange, serving.snapshot, serving.ring).team
    query = exchange.query()
    stream, after = _flag(query.get("stream", "false")), _number(query.get("starting_after"))
    found = await kept_of(serving, team, id)
    await _push(serving, found)
    if stream:
        return await follow(exchange, serving, found, after)
    if after >= 0:
        raise invalid("starting_after", "The 'starting_after' parameter is only allowed when 'stream' is enabled.", "invalid_value")
    return await exchange.answer(200, encode(found.body["response"]))


async def delete(exchange: Exchange, serving: Serving, id: str) -> None:
    """A response in the background is cancelled by it too."""
    team = authenticate(exchange, serving.snapshot, serving.ring).team
    objects = needed(serving)
    found = await kept_of(serving, team, id)
    with lost_told():
        if not await objects.delete(RESPONSE, team, id):
            raise no_response(id)
    await _stop(serving, found)
    await exchange.answer(200, encode({"id": id, "object": "response", "deleted": True}))


async def cancel(exchange: Exchange, serving: Serving, id: str) -> None:
    """One that has ended is given as it is."""
    team = authenticate(exchange, serving.snapshot, serving.ring).team
    await exchange.read(serving.snapshot.max_body)  # there is nothing in it
    objects = needed(serving)
    found = await kept_of(serving, team, id)
    if not found.body["response"].get("background"):
        raise Refusal(
            400, "Cannot cancel a synchronous response: close its connection instead.", param="response_id", code="not_background"
        )

    def cancelled(body: Json) -> Json | None:
        response = body["response"]
        return ended(body, {**response, "status": "cancelled"}) if response["status"] in UNDER_WAY else None

    with lost_told():
        now = await changed(objects, RESPONSE, team, id, cancelled)
        await over(objects, id, team)
    if now is None:
        raise no_response(id)
    await _stop(serving, found)
    await exchange.answer(200, encode(now.body["response"]))


async def input_items(exchange: Exchange, serving: Serving, id: str) -> None:
    """All that it was made from: what stood before it too."""
    team = authenticate(exchange, serving.snapshot, serving.ring).team
    paging = paging_of(exchange)
    items: list[Json] = (await kept_of(serving, team, id)).body["input"]
    if paging.newest_first:
        items = items[::-1]
    ids = [item["id"] for item in items]
    begin, end = 0, len(items)
    if paging.after:
        begin = ids.index(paging.after) + 1 if paging.after in ids else end
    if paging.before:
        end = ids.index(paging.before) if paging.before in ids else 0
    part = items[begin : min(end, begin + paging.limit)]
    told = {
        "object": "list",
        "data": part,
        "first_id": part[0]["id"] if part else None,
        "last_id": part[-1]["id"] if part else None,
        "has_more": begin + paging.limit < end,
    }
    await exchange.answer(200, encode(told))


ROUTES: Routes = {
    "/v1/responses/{id}": {"GET": retrieve, "DELETE": delete},
    "/v1/responses/{id}/cancel": {"POST": cancel},
    "/v1/responses/{id}/input_items": {"GET": input_items},
}


async def kept_of(serving: Serving, team: str, id: str) -> Object:
    """Raises Refusal."""
    objects = needed(serving)
    with lost_told():
        found = await objects.get(RESPONSE, team, id)
    if found is None:
        raise no_response(id)
    return found


def no_response(id: str) -> Refusal:
    return Refusal(404, f"Response with id '{id[:200]}' not found.", param="response_id", code="not_found")


async def _push(serving: Serving, found: Object) -> None:
    if found.body["response"]["status"] == "queued" and time.time() - found.created > OVERDUE and serving.jobs is not None:
        with suppress(StoreError):
            await start(serving.jobs, found.id, found.team)


async def _stop(serving: Serving, found: Object) -> None:
    """The job does no further step; one that is under way sees for itself that it is not wanted any more."""
    if found.body["response"]["status"] in UNDER_WAY and serving.jobs is not None:
        try:
            await serving.jobs.cancel(found.id)
        except StoreError as error:
            log.debug("the job of response %s was not cancelled: %s", found.id, error)


def _flag(value: str) -> bool:
    if value.lower() not in ("true", "false"):
        raise invalid("stream", "Invalid 'stream': expected 'true' or 'false'.", "invalid_value")
    return value.lower() == "true"


def _number(value: str | None) -> int:
    """-1: none is said."""
    if value is None:
        return -1
    if not value.isascii() or not value.isdigit() or len(value) > 9:
        raise invalid("starting_after", "Invalid 'starting_after': expected the number of an event.", "invalid_value")
    return int(value)


# ---- following ----


async def follow(exchange: Exchange, serving: Serving, found: Object, after: int = -1) -> None:
    """The events after one of that number, to the end of the response, whenever that is."""
    objects = needed(serving)
    exchange.stream = True
    exchange.fails = lambda refusal: failed(refusal, after)
    await exchange.begin()
    exchange.watch()
    silent = 0.0
    while True:
        response: Json = found.body["response"]
        further = events_of(response)[after + 1 :]
        if further:
            after, silent = further[-1]["sequence_number"], 0.0
            await exchange.write(b"".join(map(frame, further)))
        if response["status"] in ENDS:
            return await exchange.end()
        if silent >= ALIVE:
            silent = 0.0
            await exchange.write(b": still there\n\n")
        await asyncio.sleep(LOOK)
        silent += LOOK
        try:
            now = await objects.get(RESPONSE, found.team, found.id)
        except StoreError as error:
            log.debug("how response %s stands is not known: %s", found.id, error)
            continue
        if now is None:
            return await exchange.end(exchange.fails(no_response(found.id)))
        found = now


def failed(refusal: Refusal, after: int) -> bytes:
    error = refusal.body["error"]
    told = {"code": error["code"], "message": error["message"], "param": error["param"], "sequence_number": after + 1}
    return frame({"type": "error", **told})
