"""/v1/uploads: a file that comes in parts, each sent again if need be, and is put together at the end."""

from collections.abc import AsyncIterator
from hashlib import md5
from time import time
from typing import Any

from gateway.api.auth import authenticate
from gateway.api.files import add_file, blob_of, forgotten, kept, kept_told, name_of, purpose_of, seconds_of, too_large
from gateway.api.multipart import form
from gateway.api.objects import lost_told, needed, new, no_object
from gateway.api.serving import Routes, Serving
from gateway.api.wire import Exchange, Refusal
from gateway.blobs.base import Blobs
from gateway.objects import Object, changed
from providers.base import Json, encode

KIND = "upload"
PART = "upload.part"
MOST_OF_PART = 64 << 20
MOST_PARTS = 10_000
LIFETIME = 3600
"""Seconds in which an upload has to be completed."""
AROUND = 64 << 10


async def create(exchange: Exchange, serving: Serving) -> None:
    key = authenticate(exchange, serving.snapshot, serving.ring)
    store = kept(serving)
    body = await exchange.json(serving.snapshot.max_body)
    size = body.get("bytes")
    if type(size) is not int or size < 1:
        raise Refusal(400, "Invalid 'bytes': expected the size of the file, 1 or more.", param="bytes", code="invalid_value")
    if size > store.max_file:
        raise too_large(store.max_file)
    if not isinstance(body.get("mime_type"), str) or not body["mime_type"]:
        raise Refusal(400, "Missing required parameter: 'mime_type'.", param="mime_type", code="missing_required_parameter")
    now = int(time())
    told = {
        "id": new("upload_"),
        "object": "upload",
        "bytes": size,
        "created_at": now,
        "expires_at": now + LIFETIME,
        "filename": name_of(body.get("filename")),
        "purpose": purpose_of(body.get("purpose")),
        "status": "pending",
        "file": None,
    }
    if told["purpose"] == "batch" and not str(told["filename"]).endswith(".jsonl"):
        raise Refusal(400, "Invalid file format for Batch API. Must be .jsonl", param="filename", code="invalid_file")
    kept_for = seconds_of(body.get("expires_after"))
    with lost_told():
        made = Object(str(told["id"]), KIND, key.team, {"told": told, "expires_after": kept_for}, now, until=now + LIFETIME)
        await needed(serving).create(made)
    await exchange.answer(200, encode(told))


async def part(exchange: Exchange, serving: Serving, id: str) -> None:
    team = authenticate(exchange, serving.snapshot, serving.ring).team
    store, objects = kept(serving), needed(serving)
    upload = await pending(serving, team, id)
    with await form(exchange, MOST_OF_PART + AROUND, folder=store.spool) as given:
        data = given.file("data")
        if not data.size:
            raise Refusal(400, "The part is empty.", param="data", code="invalid_value")
        if data.size > MOST_OF_PART:
            raise Refusal(413, f"The part is too large: at most {MOST_OF_PART} bytes are taken.", param="data", code="request_too_large")
        with lost_told():
            there = (await objects.list(PART, team, parent=id, limit=MOST_PARTS)).objects
        held = sum(one.body["bytes"] for one in there) + data.size
        if len(there) == MOST_PARTS or held > 2 * store.max_file:  # a part may be sent again
            raise Refusal(400, "The upload has as many parts as it may have.", param="data", code="too_many_parts")
        told = {"id": new("part_"), "object": "upload.part", "created_at": int(time()), "upload_id": id}
        with kept_told():
            await store.blobs.put(blob_of(team, str(told["id"])), data.pieces())
        with lost_told():
            body = {"told": told, "bytes": data.size}
            await objects.create(Object(str(told["id"]), PART, team, body, time(), parent=id, until=upload.until))
    await exchange.answer(200, encode(told))


async def complete(exchange: Exchange, serving: Serving, id: str) -> None:
    team = authenticate(exchange, serving.snapshot, serving.ring).team
    store, objects = kept(serving), needed(serving)
    body = await exchange.json(serving.snapshot.max_body)
    ids, digest = _asked(body)
    with lost_told():
        upload = await objects.get(KIND, team, id)
    if upload is not None and upload.body["told"]["status"] == "completed" and upload.body.get("of") == ids:
        return await exchange.answer(200, encode(upload.body["told"]))  # the answer to the first time has not arrived
    upload = await pending(serving, team, id)
    told = upload.body["told"]
    with lost_told():
        sizes = {one.id: one.body["bytes"] for one in (await objects.list(PART, team, parent=id, limit=MOST_PARTS)).objects}
    if unknown := [one for one in ids if one not in sizes]:
        raise Refusal(
            400, f"Invalid 'part_ids': {unknown[0][:100]!r} is not a part of this upload.", param="part_ids", code="invalid_value"
        )
    if (size := sum(sizes[one] for one in ids)) != told["bytes"]:
        message = f"The parts have {size} bytes together, but the upload was announced with {told['bytes']}."
        raise Refusal(400, message, param="part_ids", code="invalid_value")
    if digest and await _digest(store.blobs, team, ids) != digest:
        raise Refusal(400, "The parts together do not have the MD5 checksum that was given.", param="md5", code="invalid_value")
    made = await add_file(
        serving, team, told["filename"], told["purpose"], _joined(store.blobs, team, ids), expires_after=upload.body["expires_after"]
    )
    done = {**told, "status": "completed", "file": made}
    with lost_told():
        mine = await objects.change(upload, {**upload.body, "told": done, "of": ids})
        if mine is None:  # completed or cancelled meanwhile
            await objects.delete("file", team, made["id"])
    if mine is None:
        await forgotten(store.blobs, blob_of(team, made["id"]))
        raise not_pending(id, "changed meanwhile")
    for one in sizes:
        await forgotten(store.blobs, blob_of(team, one))
    await exchange.answer(200, encode(done))
    return None


async def cancel(exchange: Exchange, serving: Serving, id: str) -> None:
    team = authenticate(exchange, serving.snapshot, serving.ring).team
    store, objects = kept(serving), needed(serving)
    exchange.body_read = True  # it has none that matters

    def change(body: Json) -> Json | None:
        told = body["told"]
        return {**body, "told": {**told, "status": "cancelled"}} if told["status"] == "pending" else None

    with lost_told():
        now = await changed(objects, KIND, team, id, change)
        if now is None:
            raise no_object("upload", id)
        if now.body["told"]["status"] != "cancelled":
            raise not_pending(id, now.body["told"]["status"])
        parts = (await objects.list(PART, team, parent=id, limit=MOST_PARTS)).objects
    for one in parts:
        await forgotten(store.blobs, blob_of(team, one.id))
    await exchange.answer(200, encode(now.body["told"]))


ROUTES: Routes = {
    "/v1/uploads": {"POST": create},
    "/v1/uploads/{id}/parts": {"POST": part},
    "/v1/uploads/{id}/complete": {"POST": complete},
    "/v1/uploads/{id}/cancel": {"POST": cancel},
}


async def pending(serving: Serving, team: str, id: str) -> Object:
    """Raises Refusal for an upload that takes no parts."""
    with lost_told():
        upload = await needed(serving).get(KIND, team, id)
    if upload is None:
        raise no_object("upload", id)
    if upload.body["told"]["status"] != "pending":
        raise not_pending(id, upload.body["told"]["status"])
    return upload


def not_pending(id: str, status: str) -> Refusal:
    return Refusal(400, f"Upload '{id}' is not pending any more: it is {status}.", param="upload_id", code="invalid_upload_state")


def _asked(body: Json) -> tuple[list[str], str]:
    """(the parts in their order, the MD5 checksum in hex, "" if there is none). Raises Refusal."""
    ids: Any = body.get("part_ids")
    if not isinstance(ids, list) or not 0 < len(ids) <= MOST_PARTS or not all(isinstance(one, str) for one in ids):
        raise Refusal(400, "Invalid 'part_ids': expected a list of the ids of parts.", param="part_ids", code="invalid_value")
    if len({*ids}) != len(ids):
        raise Refusal(400, "Invalid 'part_ids': a part stands there twice.", param="part_ids", code="invalid_value")
    digest = body.get("md5")
    if digest is not None and not isinstance(digest, str):
        raise Refusal(400, "Invalid 'md5': expected a checksum in hex.", param="md5", code="invalid_value")
    return ids, (digest or "").lower()


async def _joined(blobs: Blobs, team: str, ids: list[str]) -> AsyncIterator[bytes]:
    for id in ids:
        async for piece in blobs.get(blob_of(team, id)):
            yield piece


async def _digest(blobs: Blobs, team: str, ids: list[str]) -> str:
    sum = md5(usedforsecurity=False)
    with kept_told():
        async for piece in _joined(blobs, team, ids):
            sum.update(piece)
    return sum.hexdigest()
