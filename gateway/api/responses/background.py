"""Responses in the background: kept as queued, made by a job, and asked for again by their ids.

The job makes the request anew, as the key that asked for it, and by the way of every other one. It has two steps, each of which may be done
again after a crash: the answer is put beside the queued response; then what goes with it is kept, and it takes the queued one's place,
unless that has ended meanwhile. If the gateway dies while the provider speaks, the provider is asked again: nobody can tell what it had
said.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from gateway.api.auth import digest_of
from gateway.api.inner import Inner, serve
from gateway.api.objects import lost_told, needed
from gateway.api.responses.keeping import over, place_of, room, too_many
from gateway.api.responses.shown import listed
from gateway.api.responses.store import RESPONSE, UNDER_WAY, append, conversation_of, kept, parts_of
from gateway.api.serving import Runs, Serving
from gateway.api.wire import Exchange, Refusal
from gateway.jobs.base import Job, Steps
from gateway.objects import Object, Objects, Taken, changed
from gateway.snapshot import Key
from gateway.store.errors import StoreError, StoreLost
from providers.base import Json

log = logging.getLogger(__name__)

T = TypeVar("T")

JOB = "response"
PATH = "/v1/responses"
AT_ONCE = 16
"""Of them, that one replica has under way: they wait for providers, and not behind batches."""
LOOK = 0.5
"""Seconds between two looks whether somebody has cancelled it."""
AGAIN = 2.0
"""Seconds between attempts while the database does not answer."""
PATIENCE = 600.0
"""Seconds for which an answer waits for the database."""
NOT_SENT = ("background", "previous_response_id", "conversation", "input", "stream", "stream_options")
"""What the job's own request is made without: what stood before is in its input, and it keeps nothing by itself."""
CODES = {429: "rate_limit_exceeded", 400: "invalid_prompt"}
"""Of a response that has failed, by the status of the refusal; all others: server_error."""


async def begin(
    exchange: Exchange, serving: Serving, key: Key, body: Json, response: Json, input_items: Sequence[Json], past: Sequence[Json] = ()
) -> Object:
    """Queues a request that has been checked. `response`: as it is before anything is in it; `past`, `input_items`: what stands before the
    request, and its own. Gives what is kept, which nobody has been told of yet. Raises Refusal."""
    objects, jobs = needed(serving), jobs_of(serving)
    if body.get("store") is False:
        message = "A response in the background is kept until it is asked for: 'background' needs 'store' to be true."
        raise Refusal(400, message, param="background", code="invalid_value")
    queued = {**response, "status": "queued", "background": True, "store": True, "output": []}
    own = listed(input_items)
    made = kept(
        queued,
        [*past, *own],
        own=len(own),
        request={name: value for name, value in body.items() if name not in NOT_SENT},
        conversation=conversation_of(body),
        key=digest_of(exchange).hex(),
    )
    now = time.time()
    id: str = response["id"]
    with lost_told():
        if not await room(objects, key):
            raise too_many(key)
        until = now + serving.snapshot.lifetimes.responses
        there, place = await objects.create(Object(id, RESPONSE, key.team, made, now, until=until), place_of(id, key.team, now))
        try:
            if not await room(objects, key, place):
                raise too_many(key)
            await start(jobs, id, key.team)
        except (StoreError, Refusal):
            await objects.delete(RESPONSE, key.team, id)
            raise
    exchange.booking = None  # the job's request is the one that is written down
    return there


def jobs_of(serving: Serving) -> Runs:
    """Raises Refusal where no jobs run."""
    if serving.jobs is None:
        raise Refusal(503, "This needs jobs, and the gateway runs without a store for them.", kind="api_error", code="store_unavailable")
    return serving.jobs


async def start(jobs: Runs, id: str, team: str) -> None:
    """A second time it does nothing. Raises StoreLost."""
    await jobs.start(JOB, {"id": id, "team": team}, id=id)


def job_of(serving: Callable[[], Serving]) -> Job:
    async def run(steps: Steps, given: Any) -> Any:
        id, team = given["id"], given["team"]
        await steps.do("answer", lambda: _answer(serving(), id, team))
        return await steps.do("tell", lambda: _tell(serving(), id, team))

    return Job(JOB, run, at_once=AT_ONCE)


# ---- the steps ----


async def _answer(serving: Serving, id: str, team: str) -> None:
    """Makes the request, if it has not been made, and puts what came of it beside the response."""
    from gateway.api.routes import PATHS  # which has us among its endpoints

    objects = needed(serving)
    found = await _surely(lambda: changed(objects, RESPONSE, team, id, _begun))
    if found is None or found.body["response"]["status"] not in UNDER_WAY or "made" in found.body:
        return
    exchange = Inner(PATH, {**found.body["request"], "input": found.body["input"], "store": False}, bytes.fromhex(found.body["key"]))
    watching = asyncio.create_task(_leave_when_cancelled(objects, exchange, id, team))
    try:
        await serve(exchange, serving, PATHS[PATH]["POST"])
    finally:
        watching.cancel()
    if not exchange.answered:
        return
    if exchange.status != 200 and serving.live is not None and serving.live.draining:
        await asyncio.Event().wait()  # it failed because the gateway is being stopped: the next process asks again
    made = _made(found.body["response"], exchange)
    await _surely(lambda: changed(objects, RESPONSE, team, id, lambda body: {**body, "made": made}))


async def _tell(serving: Serving, id: str, team: str) -> str:
    """Keeps what goes with an answer, and then lets it be seen; the status that the response has then, or "deleted"."""
    objects = needed(serving)
    found = await _surely(lambda: objects.get(RESPONSE, team, id))
    if found is not None and found.body["response"]["status"] in UNDER_WAY and "made" in found.body:
        made = found.body["made"]
        if made["status"] != "failed":
            await _keep(objects, found, made, serving.snapshot.lifetimes.conversations)
        found = await _surely(lambda: changed(objects, RESPONSE, team, id, _told))
    await _surely(lambda: over(objects, id, team))
    return _status(found)


def _status(found: Object | None) -> str:
    status: str = found.body["response"]["status"] if found is not None else "deleted"
    return status


def _begun(body: Json) -> Json | None:
    response = body["response"]
    return {**body, "response": {**response, "status": "in_progress"}} if response["status"] == "queued" else None


def _made(queued: Json, exchange: Inner) -> Json:
    """The response with its answer in it, or with what became of it."""
    said = exchange.said
    if exchange.status == 200:
        told = ("id", "created_at", "background", "store", "previous_response_id", "conversation")
        return {**said, **{name: queued[name] for name in told if name in queued}}
    error = said.get("error") or {}
    why = {"code": CODES.get(exchange.status, "server_error"), "message": error.get("message") or "It could not be answered."}
    return {**queued, "status": "failed", "error": why}


def _told(body: Json) -> Json | None:
    return ended(body, body["made"]) if body["response"]["status"] in UNDER_WAY else None


def ended(body: Json, response: Json) -> Json:
    """A kept response at its end: what it would have taken to make it is forgotten."""
    return kept(response, body["input"])


async def _leave_when_cancelled(objects: Objects, exchange: Inner, id: str, team: str) -> None:
    while True:
        await asyncio.sleep(LOOK)
        try:
            found = await objects.get(RESPONSE, team, id)
        except StoreError as error:
            log.debug("whether response %s is cancelled is not known: %s", id, error)
            continue
        if _status(found) not in UNDER_WAY:
            return exchange.leave()


async def _keep(objects: Objects, found: Object, made: Json, keep: float) -> None:
    """The parts of the answer by their ids, and what it adds to a conversation: each of them all at once, or not again."""
    team, given = found.team, found.body["input"]
    parts = parts_of(made, team, time.time(), found.until)
    try:
        await _surely(lambda: objects.create(*parts))
    except Taken:
        log.debug("the parts of response %s are kept already", found.id)
    conversation, items = found.body.get("conversation"), [*given[len(given) - found.body["own"] :], *made["output"]]
    if conversation and items:
        try:
            await _surely(lambda: append(objects, conversation, team, items, keep=keep, once=True))
        except Refusal as refusal:
            log.info("response %s is not in its conversation: %s", found.id, refusal)


async def _surely(work: Callable[[], Awaitable[T]]) -> T:
    """Waits for a database that does not answer: an answer that has been paid for is not given up for that. Raises StoreLost."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            return await work()
        except StoreLost:
            if time.monotonic() > until:
                raise
            await asyncio.sleep(AGAIN)
