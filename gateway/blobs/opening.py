"""From what the settings say to where bytes are kept."""

from pathlib import Path

from msgspec import Struct

from gateway.blobs.base import Blobs
from gateway.blobs.local import LocalBlobs
from gateway.blobs.s3 import s3_of
from gateway.settings import Files


class FileStore(Struct, frozen=True):
    """Where teams' files are, and how many and how large they may be."""

    blobs: Blobs
    max_file: int = 512 << 20
    max_files: int = 10_000
    batch_lines: int = 16
    spool: str | None = None
    """Where a file waits until it is whole; None: where the system says."""


def file_store(files: Files) -> FileStore:
    """Nothing is opened yet."""
    folder = files.url.removeprefix("file:///") if files.url.startswith("file:") else None
    return FileStore(blobs_of(files), files.max_file, files.max_files, files.batch_lines, folder)


def blobs_of(files: Files) -> Blobs:
    if files.url.startswith("s3://"):
        return s3_of(files.url, files.key_id or "", files.secret or "")
    return LocalBlobs(Path(files.url.removeprefix("file:///")))
