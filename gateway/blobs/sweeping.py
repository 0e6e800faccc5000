"""Bytes that nothing in the database points to any more, since their time is over or a process was killed, are removed."""

import logging
from collections.abc import Callable, Mapping
from time import time
from typing import TYPE_CHECKING, Any

from gateway.jobs.base import Job, Steps

if TYPE_CHECKING:
    from gateway.api.serving import Serving

log = logging.getLogger(__name__)

YOUNG = 3600.0
"""Seconds for which bytes may be there before what points to them."""
KINDS: Mapping[str, str] = {"file-": "file", "part_": "upload.part", "batch_": "batch"}
"""What an id begins with, and what it is the id of; a part of a batch has the batch's, up to a dot. What begins otherwise is not ours."""


def sweeping(serving: "Callable[[], Serving]") -> Job:
    async def sweep(steps: Steps, _: Any) -> Any:
        return await steps.do("sweep", lambda: swept(serving()))

    return Job("files", sweep, "47 * * * *")


async def swept(serving: "Serving", now: float | None = None) -> int:
    """How many were removed. Raises StoreError, BlobsLost."""
    if serving.files is None or serving.objects is None:
        return 0
    count = 0
    blobs = serving.files.blobs
    before = (time() if now is None else now) - YOUNG
    gone = []
    async for blob in blobs.all():
        team, _, name = blob.name.partition("/")
        kind = next((kind for prefix, kind in KINDS.items() if name.startswith(prefix)), "")
        if kind and blob.time < before:
            found = await serving.objects.get(kind, team, name.partition(".")[0])
            if found is None or (kind == "batch" and not found.tag):
                gone.append(blob.name)
    for name in gone:
        await blobs.delete(name)
        count += 1
    if count:
        log.info("%d files were removed that nothing points to", count)
    return count
