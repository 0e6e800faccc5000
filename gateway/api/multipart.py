"""Forms with files, multipart/form-data, read as they come in: small parts are held, files of more than a MiB wait on disk."""

import asyncio
import os
import re
import tempfile
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Any
from urllib.parse import unquote_to_bytes

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from gateway.api.wire import Exchange, Refusal

HELD = 1 << 20
"""Bytes of a file that are held in memory."""
PARTS = 200
NAME = 1000
"""Bytes of a part's or a file's name."""
TEXT = 4 << 20
"""Bytes of all parts together that are no files: these are held."""
PIECE = 1 << 20
EXTENDED = re.compile(rb"(?i)filename\*=utf-8'[^']*'([^;]+)")
"""How `requests` says a name that is not ASCII."""


class Upload:
    """A file of a form. What is on disk has no name there: it is gone with the upload, or with the process."""

    __slots__ = ("_fd", "_held", "name", "size", "type")

    def __init__(self, name: str, type: str, data: bytes = b"") -> None:
        self.name = name
        self.type = type
        """As the client says it, "" if it does not."""
        self.size = len(data)
        self._held = bytearray(data)
        self._fd: int | None = None

    async def read(self) -> bytes:
        """All of it."""
        return b"".join([piece async for piece in self.pieces()])

    async def pieces(self, size: int = PIECE) -> AsyncIterator[bytes]:
        """All of it, from the beginning."""
        if self._fd is None:
            if self._held:
                yield bytes(self._held)
            return
        for at in range(0, self.size, size):
            yield await asyncio.to_thread(os.pread, self._fd, size, at)

    def close(self) -> None:
        self._held.clear()
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    __del__ = close

    # ---- while it comes in ----

    def add(self, data: bytes) -> None:
        self.size += len(data)
        self._held += data

    async def spool(self, folder: str | None, *, last: bool = False) -> None:
        """Puts on disk what is too much to be held."""
        if len(self._held) > (0 if last and self._fd is not None else HELD):
            data, self._held = self._held, bytearray()
            await asyncio.to_thread(self._write, data, folder)

    def _write(self, data: bytearray, folder: str | None) -> None:
        if self._fd is None:
            if folder is not None:
                os.makedirs(folder, mode=0o700, exist_ok=True)
            self._fd, path = tempfile.mkstemp(prefix=".upload-", dir=folder)
            os.unlink(path)
        with memoryview(data) as rest:
            done = 0
            while done < len(rest):
                done += os.write(self._fd, rest[done:])


class Form:
    """What came in. Closed when the request is over, at the latest."""

    def __init__(self) -> None:
        self.fields: dict[str, list[str]] = {}
        self.files: dict[str, list[Upload]] = {}

    def field(self, name: str) -> str | None:
        """The last of that name counts; None if there is none."""
        return self.fields.get(name, [None])[-1]

    def file(self, name: str = "file") -> Upload:
        """Raises Refusal if there is none, or one too many."""
        files = self.files.get(name, [])
        if len(files) != 1:
            how = "it is missing" if not files else f"there are {len(files)}"
            hint = "; it came as a text: give it a filename" if name in self.fields else ""
            raise Refusal(400, f"Expected one file as '{name}': {how}{hint}.", param=name, code="missing_required_parameter")
        return files[0]

    def close(self) -> None:
        for files in self.files.values():
            for file in files:
                file.close()

    def __enter__(self) -> "Form":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


async def form(exchange: Exchange, most: int, *, folder: str | None = None) -> Form:
    """The form that an exchange brings, at most `most` bytes of it. `folder`: where large files wait, the system's place unless it is
    given. Raises Refusal."""
    kind, options = parse_options_header(exchange.headers.get(b"content-type", b""))
    if kind != b"multipart/form-data":
        raise Refusal(415, "Expected a body of the type multipart/form-data, as OpenAI's SDKs send files.", code="unsupported_content_type")
    reader = _Reader(options.get(b"boundary", b""))
    try:
        async for piece in exchange.pieces(most):
            exchange.size += len(piece)
            reader.feed(piece)
            for upload in reader.uploads:
                await upload.spool(folder)
        for upload in reader.uploads:
            await upload.spool(folder, last=True)
        return reader.end()
    except OSError as error:
        reader.form.close()
        message = f"The file could not be held: {error.strerror}. This is for the gateway's operator to mend."
        raise Refusal(507, message, kind="api_error", code="storage_full") from error
    except BaseException:
        reader.form.close()
        raise


class _Reader:
    """The parser's callbacks, put together to parts."""

    def __init__(self, boundary: bytes) -> None:
        """Raises Refusal."""
        self.form = Form()
        self.uploads: list[Upload] = []
        self._parts = self._text = 0
        self._header = self._value = b""
        self._headers: dict[bytes, bytes] = {}
        self._name = ""
        self._field: bytearray | None = None
        self._upload: Upload | None = None
        self._ended = False
        callbacks: Any = {
            "on_part_begin": self._begin,
            "on_header_field": self._header_field,
            "on_header_value": self._header_value,
            "on_header_end": self._header_end,
            "on_headers_finished": self._headers_over,
            "on_part_data": self._data,
            "on_part_end": self._end,
            "on_end": self._over,
        }
        if not boundary:
            raise no_form("its Content-Type names no boundary")
        try:
            self._parser = MultipartParser(boundary, callbacks, max_header_count=16, max_header_size=4096)
        except FormParserError as error:
            raise no_form("its boundary is longer than 256 bytes") from error

    def feed(self, data: bytes) -> None:
        """Raises Refusal."""
        if self._ended:
            return  # what comes after the end says nothing
        try:
            self._parser.write(data)
        except FormParserError as error:
            raise no_form(str(error)) from error

    def end(self) -> Form:
        """Raises Refusal where it has been cut off."""
        if not self._ended:
            raise no_form("it ends before its last boundary")
        return self.form

    def _begin(self) -> None:
        self._parts += 1
        if self._parts > PARTS:
            raise no_form(f"it has more than {PARTS} parts")
        self._headers = {}

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        self._headers[self._header.lower()] = self._value
        self._header = self._value = b""

    def _headers_over(self) -> None:
        kind, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        if kind != b"form-data" or b"name" not in options:
            raise no_form(f"its part {self._parts} has no name")
        if self._headers.get(b"content-transfer-encoding", b"binary").lower() not in (b"binary", b"7bit", b"8bit"):
            raise no_form(f"its part {self._parts} is encoded")
        self._name = _text_of(options[b"name"], "a name", NAME)
        filename = options.get(b"filename")
        if filename is None and (extended := EXTENDED.search(self._headers[b"content-disposition"])):
            filename = unquote_to_bytes(extended[1])
        if filename is not None:
            type = self._headers.get(b"content-type", b"").decode("latin-1")
            self._upload = Upload(_text_of(filename, "a file's name", NAME), type)
            self.uploads.append(self._upload)
            self.form.files.setdefault(self._name, []).append(self._upload)
        else:
            self._field = bytearray()

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._upload is not None:
            self._upload.add(data[start:end])
        elif self._field is not None:
            self._text += end - start
            if self._text > TEXT:
                raise no_form(f"its texts have more than {TEXT} bytes; a file needs a filename")
            self._field += data[start:end]

    def _end(self) -> None:
        if self._field is not None:
            self.form.fields.setdefault(self._name, []).append(_text_of(bytes(self._field), f"'{self._name}'", TEXT))
        self._field = self._upload = None

    def _over(self) -> None:
        self._ended = True


def no_form(why: str) -> Refusal:
    return Refusal(400, f"The body of the request is not a multipart form that can be read: {why}.", code="invalid_form")


def _text_of(data: bytes, what: str, most: int) -> str:
    """Raises Refusal."""
    if len(data) > most:
        raise no_form(f"{what} has more than {most} bytes")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise no_form(f"{what} is not UTF-8") from error
