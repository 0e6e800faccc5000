"""What nothing points to any more is removed, and nothing else."""

import time
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.blobs.local import LocalBlobs
from gateway.blobs.opening import FileStore
from gateway.blobs.sweeping import YOUNG, swept
from gateway.objects import Object
from gateway.store.objects import StoredObjects
from tests.conftest import Background
from tests.store.stores import opened


async def some() -> AsyncIterator[bytes]:
    yield b"x"


@pytest.mark.parametrize("later", [0, YOUNG + 60])
def test_bytes_without_an_object_are_swept_away_when_they_are_not_new(background: Background, tmp_path: Path, later: float) -> None:
    now = time.time()
    objects = [
        Object("file-kept", "file", "red", {}, now),
        Object("file-late", "file", "red", {}, now, until=now - 1),
        Object("file-of-blue", "file", "blue", {}, now),
        Object("batch_open", "batch", "red", {}, now, tag="open"),
        Object("batch_over", "batch", "red", {}, now),
    ]
    there = ["file-kept", "file-late", "file-none", "file-of-blue", "part_none", "batch_open.0.output", "batch_over.0.output", "else"]

    async def go() -> tuple[int, set[str]]:
        async with opened(f"sqlite:///{tmp_path}/s.db", tmp_path / "journal", now=time.time) as store:
            kept = StoredObjects(store)
            await kept.create(*objects)
            blobs = LocalBlobs(tmp_path / "files")
            for name in there:
                await blobs.put(f"red/{name}", some())
            serving: Any = SimpleNamespace(objects=kept, files=FileStore(blobs))
            count = await swept(serving, now=now + later)
            return count, {blob.name.removeprefix("red/") async for blob in blobs.all()}

    count, left = background.run(go())

    if later:
        assert left == {"file-kept", "batch_open.0.output", "else"}
        assert count == 5
    else:
        assert (count, left) == (0, set(there))
