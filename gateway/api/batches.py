"""/v1/batches: many requests in one file, answered within a time and at lower urgency."""

import asyncio
import logging
import re
from typing import Any

from gateway.api.auth import authenticate, digest_of
from gateway.api.files import found, kept, seconds_of
from gateway.api.objects import list_of, lost_told, needed, new, no_object, paging_of
from gateway.api.serving import Routes, Serving
from gateway.api.wire import Exchange, Refusal
from gateway.batches.job import begun
from gateway.batches.lines import MOST_BYTES
from gateway.batches.state import KIND, made, stage
from gateway.objects import Object, changed
from gateway.snapshot import Key
from gateway.store.errors import StoreError
from providers.base import Json, encode

log = logging.getLogger(__name__)

ENDPOINTS = ("/v1/chat/completions", "/v1/embeddings", "/v1/completions", "/v1/responses", "/v1/moderations")
CHAT = ENDPOINTS[0]
HEADER = b"x-banjia-batch"
WINDOW = re.compile(r"([1-9]\d{0,2})h")
LONGEST = 336
"""Hours. OpenAI has 24 alone; vendors of other batches take up to two weeks."""
TRIES, PAUSE = 20, 0.25
"""How often it is tried to begin one while its client waits, and the seconds between; after that a job of each minute does."""
MOST_METADATA, MOST_NAME, MOST_VALUE = 16, 64, 512


async def create(exchange: Exchange, serving: Serving) -> None:
    key = authenticate(exchange, serving.snapshot, serving.ring)
    kept(serving)
    objects = needed(serving)
    body = await exchange.json(serving.snapshot.max_body)
    endpoint = endpoint_of(body.get("endpoint"))
    hours = hours_of(body.get("completion_window"))
    id = body.get("input_file_id")
    if not isinstance(id, str) or not id:
        raise missing("input_file_id", id)
    file = (await found(serving, key.team, id)).body
    if file["purpose"] != "batch":
        message = f"The file '{id}' has the purpose '{file['purpose']}': upload it with the purpose 'batch'."
        raise Refusal(400, message, param="input_file_id", code="invalid_file_purpose")
    if file["bytes"] > MOST_BYTES:
        message = f"The file has {file['bytes']} bytes; that of a batch has at most {MOST_BYTES}."
        raise Refusal(400, message, param="input_file_id", code="file_too_large")
    batch = made(
        new("batch_"),
        key.team,
        digest_of(exchange).hex(),
        endpoint=endpoint,
        file=id,
        hours=hours,
        metadata=metadata_of(body.get("metadata")),
        kept=seconds_of(body.get("output_expires_after"), "output_expires_after"),
        vendor=at_vendor(exchange, key, endpoint),
    )
    with lost_told():
        await objects.create(batch)
    await soon(serving, batch)
    await exchange.answer(200, encode(told(batch)))


async def soon(serving: Serving, batch: Object) -> None:
    """Begins to work on it. In the first seconds of a gateway jobs are not there yet."""
    for _ in range(TRIES):
        try:
            return await begun(serving, batch.team, batch.id, 0)
        except StoreError as error:
            why = error
        await asyncio.sleep(PAUSE)
    log.info("batch %s is begun within a minute: %s", batch.id, why)
    return None


async def listed(exchange: Exchange, serving: Serving) -> None:
    team = authenticate(exchange, serving.snapshot, serving.ring).team
    paging = paging_of(exchange)
    with lost_told():
        page = await needed(serving).list(KIND, team, **paging._asdict())
    await exchange.answer(200, encode(list_of(page, told)))


async def one(exchange: Exchange, serving: Serving, id: str) -> None:
    team = authenticate(exchange, serving.snapshot, serving.ring).team
    with lost_told():
        batch = await needed(serving).get(KIND, team, id)
    if batch is None:
        raise no_object("batch", id)
    await exchange.answer(200, encode(told(batch)))


async def cancel(exchange: Exchange, serving: Serving, id: str) -> None:
    """Lines that are under way are finished; what has been answered is kept."""
    team = authenticate(exchange, serving.snapshot, serving.ring).team
    exchange.body_read = True  # it has none that matters

    def change(body: Json) -> Json | None:
        return stage(body, "cancelling") if body["told"]["status"] in ("validating", "in_progress") else None

    with lost_told():
        batch = await changed(needed(serving), KIND, team, id, change)
    if batch is None:
        raise no_object("batch", id)
    status = batch.body["told"]["status"]
    if status not in ("cancelling", "cancelled"):
        raise Refusal(409, f"Cannot cancel a batch with status '{status}'.", param="batch_id", code="invalid_batch_state")
    await exchange.answer(200, encode(told(batch)))


ROUTES: Routes = {
    "/v1/batches": {"POST": create, "GET": listed},
    "/v1/batches/{id}": {"GET": one},
    "/v1/batches/{id}/cancel": {"POST": cancel},
}


def told(batch: Object) -> Json:
    body: Json = batch.body["told"]
    return body


# ---- what a request says ----


def endpoint_of(given: Any) -> str:
    """Raises Refusal."""
    from gateway.api.routes import PATHS  # which has us among its parts

    served = [endpoint for endpoint in ENDPOINTS if "POST" in PATHS.get(endpoint, {})]
    if given is None:
        raise missing("endpoint", given)
    if given not in served:
        message = f"Invalid value: {str(given)[:100]!r}. Supported values are: {', '.join(map(repr, served))}."
        raise Refusal(400, message, param="endpoint", code="invalid_value")
    return str(given)


def at_vendor(exchange: Exchange, key: Key, endpoint: str) -> bool:
    """Whether the vendor's own batch is asked for. Raises Refusal where it cannot be had."""
    given = exchange.headers.get(HEADER, b"gateway").lower()
    if given == b"gateway":
        return False
    if given != b"vendor":
        raise Refusal(400, "`x-banjia-batch` is `gateway` or `vendor`.", param="x-banjia-batch", code="invalid_value")
    if endpoint != CHAT:
        raise Refusal(400, f"The vendors' own batches are of {CHAT} alone.", param="endpoint", code="unsupported_value")
    if key.bounds is not None:
        message = (
            "The vendors' own batches are not for keys with limits or budgets, since nobody could hold to these there: leave out "
            "`x-banjia-batch`, and the gateway runs the batch within them."
        )
        raise Refusal(400, message, param="x-banjia-batch", code="unsupported_value")
    return True


def hours_of(given: Any) -> int:
    """Raises Refusal."""
    if given is None:
        raise missing("completion_window", given)
    hours = WINDOW.fullmatch(given) if isinstance(given, str) else None
    if hours is None or int(hours[1]) > LONGEST:
        message = f"Invalid value: {str(given)[:100]!r}. Supported values are: '24h', and any other whole number of hours up to {LONGEST}."
        raise Refusal(400, message, param="completion_window", code="invalid_value")
    return int(hours[1])


def metadata_of(given: Any) -> Json | None:
    """Raises Refusal."""
    if given is None:
        return None
    fits = isinstance(given, dict) and len(given) <= MOST_METADATA
    if not fits or not all(isinstance(value, str) and len(name) <= MOST_NAME and len(value) <= MOST_VALUE for name, value in given.items()):
        message = (
            f"Invalid 'metadata': expected an object of at most {MOST_METADATA} texts of {MOST_VALUE} characters, "
            f"with names of {MOST_NAME}."
        )
        raise Refusal(400, message, param="metadata", code="invalid_value")
    return dict(given)


def missing(name: str, given: Any) -> Refusal:
    if given is None:
        return Refusal(400, f"Missing required parameter: '{name}'.", param=name, code="missing_required_parameter")
    return Refusal(400, f"Invalid type for '{name}': expected a string.", param=name, code="invalid_type")
