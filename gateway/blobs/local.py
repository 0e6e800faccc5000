"""Bytes as files in a folder, one folder for each team. A file is written beside its place, and put there when it is on the disk."""

import asyncio
import os
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import IO, TypeVar

from gateway.blobs.base import PIECE, Blob, BlobsLost, Missing, checked

T = TypeVar("T")
UNFINISHED = ".part-"
OLD = 86_400.0
"""Seconds after which nobody writes to a file any more that is not finished."""


class LocalBlobs:
    """Blobs under a folder, which is made when it is first written to."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def put(self, name: str, pieces: AsyncIterator[bytes]) -> int:
        path = self._folder / checked(name)
        file, unfinished = await _threaded(partial(_create, path))
        size = 0
        held = bytearray()
        try:
            async for piece in pieces:
                held += piece
                if len(held) >= PIECE:
                    size += len(held)
                    await _threaded(partial(file.write, bytes(held)))
                    held.clear()
            size += len(held)
            await _threaded(partial(_finish, file, bytes(held), path, unfinished))
        except BaseException:
            with suppress(OSError):
                file.close()
            unfinished.unlink(missing_ok=True)
            raise
        return size

    async def get(self, name: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        file = await _threaded(partial(_open, self._folder / checked(name), start))
        left = end - start if end is not None else 1 << 62
        try:
            while left > 0 and (piece := await _threaded(partial(file.read, min(left, PIECE)))):
                left -= len(piece)
                yield piece
        finally:
            file.close()

    async def delete(self, name: str) -> None:
        path = self._folder / checked(name)
        await _threaded(partial(path.unlink, missing_ok=True))

    async def all(self) -> AsyncIterator[Blob]:
        for blob in await _threaded(self._all):
            yield blob

    def _all(self) -> list[Blob]:
        """What a process that was killed has left unfinished is removed on the way."""
        found: list[Blob] = []
        for path in self._folder.glob("*/*"):
            with suppress(FileNotFoundError):
                told = path.stat()
                if not path.name.startswith(UNFINISHED):
                    found.append(Blob(f"{path.parent.name}/{path.name}", told.st_size, told.st_mtime))
                elif told.st_mtime < time.time() - OLD:
                    path.unlink()
        return found


async def _threaded(work: Callable[[], T]) -> T:
    """Raises BlobsLost."""
    try:
        return await asyncio.to_thread(work)
    except FileNotFoundError as error:
        raise Missing(str(error)) from error
    except OSError as error:
        raise BlobsLost(f"files: {error}") from error


def _create(path: Path) -> tuple[IO[bytes], Path]:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor, name = tempfile.mkstemp(prefix=UNFINISHED, dir=path.parent)
    return open(descriptor, "wb"), Path(name)


def _finish(file: IO[bytes], rest: bytes, path: Path, unfinished: Path) -> None:
    with file:
        file.write(rest)
        file.flush()
        os.fsync(file.fileno())
    os.replace(unfinished, path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _open(path: Path, start: int) -> IO[bytes]:
    file = open(path, "rb", buffering=0)  # noqa: SIM115 - closed by whoever reads
    file.seek(start)
    return file
