"""/v1/files: what a team uploads to be worked on, and what came of it."""

import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from math import ceil
from time import time
from typing import Any
from urllib.parse import quote

from gateway.api.auth import authenticate
from gateway.api.multipart import form
from gateway.api.objects import list_of, lost_told, needed, new, no_object, paging_of
from gateway.api.serving import Routes, Serving
from gateway.api.wire import Exchange, Left, Refusal
from gateway.blobs.base import Blobs, BlobsLost, Missing
from gateway.blobs.opening import FileStore
from gateway.objects import Object, Taken
from providers.base import Json, encode

log = logging.getLogger(__name__)

KIND = "file"
PURPOSES = ("assistants", "batch", "fine-tune", "vision", "user_data", "evals")
AROUND = 64 << 10
"""Bytes that a form may have beside its file."""
LISTED = 10_000
OCTETS = (b"content-type", b"application/octet-stream")
BATCHES_KEPT = 30 * 86_400
"""Seconds for which files of batches are kept, unless they say otherwise: as at OpenAI."""
SHORTEST, LONGEST = 3600, 2_592_000
LONGEST_NAME = 255


async def create(exchange: Exchange, serving: Serving) -> None:
    team = authenticate(exchange, serving.snapshot, serving.ring).team
    store = kept(serving)
    with await form(exchange, store.max_file + AROUND, folder=store.spool) as given:
        purpose = purpose_of(given.field("purpose"))
        file = given.file()
        name = name_of(file.name)
        if not file.size:
            raise Refusal(400, "The file is empty.", param="file", code="invalid_file")
        if file.size > store.max_file:
            raise too_large(store.max_file)
        if purpose == "batch" and not name.endswith(".jsonl"):
            raise Refusal(400, "Invalid file format for Batch API. Must be .jsonl", param="file", code="invalid_file")
        after = seconds_of(
            {"anchor": given.field("expires_after[anchor]"), "seconds": given.field("expires_after[seconds]")}
            if any(field.startswith("expires_after") for field in given.fields)
            else None
        )
        made = await add_file(serving, team, name, purpose, file.pieces(), expires_after=after)
    await exchange.answer(200, encode(made))


async def listed(exchange: Exchange, serving: Serving) -> None:
    team = authenticate(exchange, serving.snapshot, serving.ring).team
    paging = paging_of(exchange, usual=LISTED, most=LISTED)
    purpose = exchange.query().get("purpose")
    with lost_told():
        page = await needed(serving).list(KIND, team, tag=purpose, **paging._asdict())
    await exchange.answer(200, encode(list_of(page, told)))


async def one(exchange: Exchange, serving: Serving, id: str) -> None:
    team = authenticate(exchange, serving.snapshot, serving.ring).team
    await exchange.answer(200, encode((await found(serving, team, id)).body))


async def delete(exchange: Exchange, serving: Serving, id: str) -> None:
    team = authenticate(exchange, serving.snapshot, serving.ring).team
    store = kept(serving)
    with lost_told():
        if not await needed(serving).delete(KIND, team, id):
            raise no_object("file", id)
    await forgotten(store.blobs, blob_of(team, id))
    await exchange.answer(200, encode({"id": id, "object": "file", "deleted": True}))


async def content(exchange: Exchange, serving: Serving, id: str) -> None:
    team = authenticate(exchange, serving.snapshot, serving.ring).team
    store = kept(serving)
    file = (await found(serving, team, id)).body
    exchange.watch()
    pieces = store.blobs.get(blob_of(team, id))
    headers = [(b"content-disposition", b"attachment; filename*=UTF-8''" + quote(file["filename"], safe="").encode())]
    with kept_told():
        first = await anext(pieces, b"")
    if len(first) == file["bytes"]:
        return await exchange.answer(200, first, headers, OCTETS)

    async def whole() -> AsyncIterator[bytes]:
        yield first
        try:
            async for piece in pieces:
                yield piece
        except (BlobsLost, Missing) as error:
            log.warning("file %s broke off: %s", id, error)
            raise Left from error

    return await exchange.pour([OCTETS, *headers], file["bytes"], whole())


ROUTES: Routes = {
    "/v1/files": {"POST": create, "GET": listed},
    "/v1/files/{id}": {"GET": one, "DELETE": delete},
    "/v1/files/{id}/content": {"GET": content},
}


# ---- what other surfaces need of files ----


async def found(serving: Serving, team: str, id: str) -> Object:
    """Raises Refusal(404)."""
    with lost_told():
        file = await needed(serving).get(KIND, team, id)
    if file is None:
        raise no_object("file", id)
    return file


async def read_file(serving: Serving, team: str, id: str) -> AsyncIterator[bytes]:
    """The bytes of a team's file, in pieces. Raises Refusal."""
    store = kept(serving)
    await found(serving, team, id)
    with kept_told():
        async for piece in store.blobs.get(blob_of(team, id)):
            yield piece


async def add_file(
    serving: Serving, team: str, name: str, purpose: str, pieces: AsyncIterator[bytes], *, expires_after: int | None = None, id: str = ""
) -> Json:
    """A new file of a team, as the API tells it. `expires_after`: seconds. `id`: of one that may be made twice, and is then the same.
    Raises Refusal."""
    store, objects = kept(serving), needed(serving)
    with lost_told():
        if not id and await objects.count(KIND, team) >= store.max_files:
            message = f"The team has {store.max_files} files, as many as it may have: delete some."
            raise Refusal(400, message, code="too_many_files")
    id = id or new("file-")
    with kept_told():
        size = await store.blobs.put(blob_of(team, id), pieces)
    now = time()
    if expires_after is None and purpose.startswith("batch"):
        expires_after = BATCHES_KEPT
    until = None if expires_after is None else int(now) + expires_after
    body = {
        "id": id,
        "object": "file",
        "bytes": size,
        "created_at": int(now),
        "expires_at": until,
        "filename": name,
        "purpose": purpose,
        "status": "processed",
        "status_details": None,
    }
    with lost_told():
        try:
            await objects.create(Object(id, KIND, team, body, now, tag=purpose, until=until))
        except Taken:
            return (await found(serving, team, id)).body
    return body


def kept(serving: Serving) -> FileStore:
    """Raises Refusal where no files are kept."""
    if serving.files is None:
        raise Refusal(503, "This needs a place for files, and the gateway runs without one.", kind="api_error", code="storage_unavailable")
    return serving.files


@contextmanager
def kept_told() -> Iterator[None]:
    """A place that does not answer is told to the client, who may come again."""
    try:
        yield
    except Missing as error:
        raise Refusal(404, "The content of this file is not there any more.", param="id", code="not_found") from error
    except BlobsLost as error:
        log.warning("%s", error)
        message = "The place where files are kept does not answer, or takes no more at present. This is for the gateway's operator to mend."
        raise Refusal(503, message, kind="api_error", code="storage_unavailable", headers=[(b"retry-after", b"5")]) from error


async def forgotten(blobs: Blobs, name: str) -> None:
    """Deletes what nobody can ask for any more. What stays behind is swept away later."""
    try:
        await blobs.delete(name)
    except BlobsLost as error:
        log.warning("%s was not deleted: %s", name, error)


def blob_of(team: str, id: str) -> str:
    return f"{team}/{id}"


def told(file: Object) -> Json:
    return file.body


# ---- what a request says ----


def purpose_of(given: Any) -> str:
    """Raises Refusal."""
    if not given:
        raise Refusal(400, "'purpose' is a required property", param="purpose", code="missing_required_parameter")
    if given not in PURPOSES:
        message = f"{str(given)[:100]!r} is not one of {list(PURPOSES)} - 'purpose'"
        raise Refusal(400, message, param="purpose", code="invalid_value")
    return str(given)


def name_of(given: Any) -> str:
    """A file's name without the folders that it was in. Raises Refusal."""
    name = given.replace("\\", "/").rsplit("/")[-1] if isinstance(given, str) else ""
    if not 0 < len(name) <= LONGEST_NAME or not name.isprintable():
        message = f"Invalid name of a file: it has 1 to {LONGEST_NAME} printable characters."
        raise Refusal(400, message, param="filename", code="invalid_value")
    return name


def seconds_of(given: Any, param: str = "expires_after") -> int | None:
    """After how many seconds a file expires, None if nothing is said of it: `{"anchor": "created_at", "seconds": 3600}`. Raises Refusal."""
    if given is None:
        return None
    if not isinstance(given, dict) or given.get("anchor") != "created_at":
        raise Refusal(400, f"Invalid '{param}': `anchor` has to be 'created_at'.", param=f"{param}.anchor", code="invalid_value")
    seconds = given.get("seconds")
    if isinstance(seconds, str) and seconds.isascii() and seconds.isdigit() and len(seconds) < 10:
        seconds = int(seconds)
    if isinstance(seconds, float) and seconds == ceil(seconds):
        seconds = int(seconds)
    if type(seconds) is not int or not SHORTEST <= seconds <= LONGEST:
        message = f"Invalid '{param}': `seconds` is a whole number from {SHORTEST} to {LONGEST}."
        raise Refusal(400, message, param=f"{param}.seconds", code="invalid_value")
    return seconds


def too_large(most: int) -> Refusal:
    return Refusal(413, f"The file is too large: at most {most} bytes are taken.", param="file", code="file_too_large")
