"""Where usage is kept on the disk of the gateway while the database does not take it.

A file of lines: the CRC-32 of a record in eight hex digits, a space, the record as JSON. Each is written and synced before anybody is told
that it is kept. A process has a file of its own, locked for as long as it lives; the files of those that have died are taken over at the
next start. A line that is not whole, the last one of a process that was killed while it wrote, is left out.

All of it blocks: the writer calls it in a thread.
"""

import logging
import os
from collections.abc import Iterable, Sequence
from io import FileIO
from pathlib import Path
from time import time_ns
from zlib import crc32

from msgspec import DecodeError, Struct
from msgspec.json import Decoder

from gateway.accounting.record import UsageRecord, cleaned
from gateway.store.lock import locked
from providers.base import encode

log = logging.getLogger(__name__)

NAME = "usage-*.journal"
MOST_BYTES = 256 << 20
"""Of a file. It shrinks when all of it is in the database."""
AT_ONCE = 1 << 20
"""Bytes that are read at a time."""
_decode = Decoder(UsageRecord).decode


class Found(Struct):
    """What a journal holds."""

    records: list[UsageRecord]
    damaged: int = 0
    """Lines that are no records, though others come after them."""
    torn: bool = False
    """The last line is not whole."""


def line(record: UsageRecord) -> bytes:
    body = encode(cleaned(record))
    return b"%08x %s\n" % (crc32(body), body)


def record_of(line: bytes) -> UsageRecord | None:
    """The record of a line without its end, or None for what is no such line."""
    body = line[9:]
    if line[:9] != b"%08x " % crc32(body):
        return None
    try:
        return _decode(body)
    except DecodeError:  # a ValidationError too
        return None


def read(data: bytes) -> Found:
    *lines, rest = data.split(b"\n")
    records = [record_of(one) for one in lines]
    torn = bool(rest)
    if records and records[-1] is None and not torn:  # its end was written, what is before it was not
        records.pop()
        torn = True
    whole = [record for record in records if record is not None]
    return Found(whole, len(records) - len(whole), torn)


class Journal:
    """The records that wait, the oldest first."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: FileIO | None = None
        self._path = folder
        self._head = 0
        self._end = 0
        """The bytes between the two are records that wait."""
        self._seen = 0, 0
        """Records and bytes that the last `peek` has given."""
        self.pending = 0
        """Records that wait."""

    def open(self) -> None:
        """Makes a file, and takes over what others left. Raises OSError."""
        left = sorted(self._folder.glob(NAME))
        self._make()
        for path in left:
            self._take_over(path)

    def append(self, records: Sequence[UsageRecord]) -> None:
        """They are on the disk when this returns. Raises OSError, and has written none of them then, or some that may be found later."""
        if self._file is None:
            self._make()
        assert self._file is not None
        data = b"".join(map(line, records))
        if self._end + len(data) > MOST_BYTES:
            raise OSError(f"{self._path} has as many bytes as it may have")
        self._file.seek(self._end)
        rest = memoryview(data)
        while rest:
            rest = rest[self._file.write(rest) or 0 :]
        os.fsync(self._file.fileno())
        self._end += len(data)
        self.pending += len(records)

    def peek(self, most: int) -> list[UsageRecord]:
        """The oldest records, up to that many. They are not taken away."""
        if self._file is None or self._head == self._end:
            return []
        self._file.seek(self._head)
        data = self._file.read(min(AT_ONCE, self._end - self._head))
        while b"\n" not in data:
            data += self._file.read(AT_ONCE)
        lines = data.split(b"\n")[:-1][:most]
        self._seen = len(lines), sum(map(len, lines)) + len(lines)
        records = [record for one in lines if (record := record_of(one)) is not None]
        if len(records) < len(lines):
            log.error("%s: %d lines can no longer be read, and are left out", self._path, len(lines) - len(records))
        return records

    def drop(self) -> None:
        """Takes away what `peek` has given. Until all are gone the file keeps them: after a crash they are given again."""
        count, size = self._seen
        self._seen = 0, 0
        self._head += size
        self.pending -= count
        if self._head == self._end and self._file is not None:
            self._file.truncate(0)
            self._head = self._end = 0

    def close(self) -> None:
        """Removes the file, unless there is something in it."""
        if self._file is not None:
            if not self.pending:
                self._path.unlink(missing_ok=True)
            self._file.close()
            self._file = None

    def _make(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._path = self._folder / NAME.replace("*", f"{time_ns():020d}-{os.getpid()}")
        file = FileIO(self._path, "x+")
        if not locked(file.fileno()):
            file.close()
            raise OSError(f"{self._path} cannot be locked")
        self._file = file
        _sync_folder(self._folder)

    def _take_over(self, path: Path) -> None:
        try:
            file = FileIO(path, "r+")
        except FileNotFoundError:  # another was faster
            return
        with file:
            if not locked(file.fileno()) or not path.exists():
                return
            found = read(file.readall())
            if found.torn:
                log.warning("%s: its last record was not written to its end, and is left out", path)
            if found.damaged:
                log.error("%s: %d lines cannot be read, and are left out; a copy is in %s", path, found.damaged, _copied(path))
            for some in _pieces(found.records):
                self.append(some)
            path.unlink()


def _pieces(records: Sequence[UsageRecord]) -> Iterable[Sequence[UsageRecord]]:
    return (records[start : start + 10_000] for start in range(0, len(records), 10_000))


def _copied(path: Path) -> Path:
    """Somebody may want to look at it."""
    copy = path.with_suffix(".damaged")
    copy.write_bytes(path.read_bytes())
    return copy


def _sync_folder(folder: Path) -> None:
    """Or the file's name may be lost with the power."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
