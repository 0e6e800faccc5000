"""The lines of a batch's file: `{"custom_id", "method", "url", "body"}` in, answers and errors out."""

import asyncio
from collections.abc import AsyncIterator
from hashlib import sha256
from typing import NamedTuple

from msgspec import DecodeError, ValidationError

from gateway.api.weight import DEEPEST, SMALL, deeper, too_heavy
from gateway.blobs.base import PIECE
from providers.base import Json, decode, encode

MOST_LINES = 50_000
MOST_BYTES = 200 << 20
MOST_ERRORS = 100
"""That are told of one file."""
LONGEST_ID = 512
AT_ONCE = 200
"""Lines that are checked before others have their turn."""


class Line(NamedTuple):
    number: int
    """From 0; lines without anything in them do not count."""
    row: int
    """From 1, as an editor counts."""
    raw: bytes
    end: int
    """The byte after it."""


class TooLong(Exception):
    """A line is longer than a request may be."""

    def __init__(self, row: int) -> None:
        super().__init__(row)
        self.row = row


async def lines_of(pieces: AsyncIterator[bytes], most: int, *, at: int = 0, number: int = 0) -> AsyncIterator[Line]:
    """The lines of a file from the byte `at` on, of which the first is line `number`. Raises TooLong."""
    held = bytearray()
    row = 0
    async for piece in pieces:
        searched = len(held)
        held += piece
        start = 0
        while (newline := held.find(b"\n", max(start, searched))) >= 0:
            row += 1
            raw = bytes(held[start:newline])
            start = newline + 1
            if len(raw) > most:
                raise TooLong(row)
            if raw.strip():
                yield Line(number, row, raw, at + start)
                number += 1
        del held[:start]
        at += start
        if len(held) > most + PIECE:
            raise TooLong(row + 1)
    if held.strip():
        yield Line(number, row + 1, bytes(held), at + len(held))


class Checked(NamedTuple):
    """What came of checking a file."""

    lines: int
    errors: list[Json]
    model: str
    """Of the first line."""


async def check(pieces: AsyncIterator[bytes], endpoint: str, most: int) -> Checked:
    """Reads a batch's file once. Errors are as the API tells them: `{"code", "line", "message", "param"}`."""
    errors: list[Json] = []
    seen: set[bytes] = set()
    count, model = 0, ""
    try:
        async for line in lines_of(pieces, most):
            if line.number >= MOST_LINES:
                errors.append(error("too_many_tasks", f"The batch has more than {MOST_LINES} lines."))
                break
            count += 1
            if not count % AT_ONCE:
                await asyncio.sleep(0)
            if told := await _wrong(line, endpoint, seen):
                errors.append(told)
                if len(errors) == MOST_ERRORS:
                    break
            elif count == 1:
                model = read(line)["body"]["model"]
    except TooLong as long:
        errors.append(error("line_too_long", f"A line has at most {most} bytes, as a request has.", long.row))
    if not count and not errors:
        errors.append(error("empty_file", "The input file is empty. Please ensure that the batch contains at least one request."))
    return Checked(count, errors, model)


def read(line: Line) -> Json:
    """The request that a line is. Raises one of msgspec's errors where it is none; those of a checked file do not."""
    return decode(line.raw.removeprefix(b"\xef\xbb\xbf") if not line.number else line.raw)


async def _wrong(line: Line, endpoint: str, seen: set[bytes]) -> Json | None:
    if len(line.raw) > SMALL and await too_heavy(line.raw):
        return error("invalid_json_line", "This line has more parts than a request may have.", line.row)
    try:
        given = read(line)
    except (DecodeError, ValidationError, UnicodeDecodeError, RecursionError):
        return error("invalid_json_line", "This line is not parseable as valid JSON.", line.row)
    if deeper(line.raw, given, DEEPEST):
        return error("invalid_json_line", f"This line is nested more than {DEEPEST} levels deep.", line.row)
    for name in ("custom_id", "method", "url", "body"):
        if given.get(name) is None:
            return error("missing_required_parameter", f"Missing required parameter: '{name}'.", line.row, name)
    id = given["custom_id"]
    if not isinstance(id, str) or not 0 < len(id) <= LONGEST_ID:
        return error("invalid_custom_id", f"The custom_id has to be a string of 1 to {LONGEST_ID} characters.", line.row, "custom_id")
    digest = sha256(id.encode(errors="surrogatepass")).digest()
    if digest in seen:
        message = "The custom_id for this request is a duplicate of another request. The custom_id parameter must be unique in a batch."
        return error("duplicate_custom_id", message, line.row, "custom_id")
    seen.add(digest)
    if given["method"] != "POST":
        return error("invalid_method", "The method of each request of a batch is POST.", line.row, "method")
    if given["url"] != endpoint:
        message = f"The URL provided for this request does not match the batch endpoint: it has to be {endpoint}."
        return error("invalid_url", message, line.row, "url")
    body = given["body"]
    if not isinstance(body, dict):
        return error("invalid_body", "The body of a request has to be an object.", line.row, "body")
    if not isinstance(body.get("model"), str) or not body["model"]:
        return error("missing_required_parameter", "Missing required parameter: 'body.model'.", line.row, "body.model")
    if body.get("stream"):
        return error("invalid_body", "Answers of a batch are not streamed.", line.row, "body.stream")
    return None


def error(code: str, message: str, row: int | None = None, param: str | None = None) -> Json:
    return {"code": code, "line": row, "message": message, "param": param}


def answered(id: str, custom_id: str, status: int, request_id: str, body: Json) -> bytes:
    """A line of an output or an error file."""
    response = {"status_code": status, "request_id": request_id, "body": body}
    return encode({"id": id, "custom_id": custom_id, "response": response, "error": None}) + b"\n"


def unanswered(id: str, custom_id: str, code: str, message: str) -> bytes:
    return encode({"id": id, "custom_id": custom_id, "response": None, "error": {"code": code, "message": message}}) + b"\n"
