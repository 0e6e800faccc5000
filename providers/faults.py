"""From a vendor's error to a Fault: one reader for all bodies, one table of codes per vendor, and the HTTP status as a last word."""

from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

from msgspec import DecodeError, Struct, ValidationError

from providers.base import Fault, Json, Kind, decode


class Row(Struct, frozen=True):
    """What one of a vendor's codes means to us."""

    kind: Kind
    means: str
    status: int
    """The HTTP status the vendor documents for it; 0: none is known."""
    source: str
    """Who says so: a key of the table's SOURCES; of a preset, its `docs`."""
    wait: float | None = None
    """Seconds the vendor asks to wait, where a reply itself does not say."""
    stale: bool = False
    """A fresh credential helps."""


class Source(Struct, frozen=True):
    """Where rows of a table come from."""

    title: str
    read: str
    """The day it was read, YYYY-MM-DD."""


Errors = Mapping[str, Row]
"""By the vendor's code, or `status:code` where the same code means different things under different statuses. Where a vendor has no
codes, its error types stand in for them. `Name.*` stands for all codes that begin with `Name.` and have no row of their own."""

Sources = Mapping[str, Source]

BY_STATUS: Mapping[int, Kind] = {
    401: "auth",
    402: "quota",
    403: "auth",
    404: "no_model",
    405: "no_model",
    407: "auth",
    408: "timeout",
    409: "overloaded",
    410: "no_model",
    421: "unreachable",
    425: "overloaded",
    429: "rate_limited",
    451: "refused",
    504: "timeout",
}
"""RFC 9110, 6585 and 7725, read as an API of language models means them."""


class Said(Struct, frozen=True):
    """What an error body says, whichever of the vendors' shapes it has."""

    code: str = ""
    message: str = ""
    type: str = ""
    param: str | None = None


def read_error(body: bytes) -> Said:
    """Understands {"error": {…}}, {"error": "…"}, {"code", "msg"|"message"}, {"error_code", "error_msg"}, {"errors": {…}},
    {"base_resp": {"status_code", "status_msg"}} and {"Response": {"Error": {"Code", "Message"}}}."""
    try:
        return said(decode(body))
    except (DecodeError, ValidationError, UnicodeDecodeError, RecursionError):
        return Said()


def said(answer: Json) -> Said:
    """As `read_error`, of a body that is decoded already."""
    error = answer.get("error") or answer.get("errors") or answer.get("base_resp") or _tencent(answer) or answer
    if not isinstance(error, dict):
        return Said(message=str(answer.get("error_description") or error), code=_code(str(error)))
    return Said(
        code=_text(error.get("code"), error.get("error_code"), error.get("status_code"), error.get("Code")),
        message=_text(error.get("message"), error.get("msg"), error.get("error_msg"), error.get("status_msg"), error.get("Message")),
        type=_text(error.get("type")),
        param=error.get("param") if isinstance(error.get("param"), str) else None,
    )


def _tencent(answer: Json) -> Any:
    """The error of Tencent Cloud's own API, which its gateways also answer where OpenAI's form was asked for."""
    response = answer.get("Response")
    return response.get("Error") if isinstance(response, dict) else None


def _code(text: str) -> str:
    """A code is a word; a sentence in its place is a message, and may have anything in it."""
    return text if len(text) <= LONGEST_CODE and text.replace("_", "").replace("-", "").replace(".", "").isalnum() else ""


LONGEST_CODE = 64


def _text(*values: Any) -> str:
    """The first value that is there: vendors write codes as numbers and as strings, and a code may be 0."""
    return next((str(value) for value in values if value is not None and value != ""), "")


def make_fault(errors: Errors, status: int, headers: Mapping[str, str], body: bytes | Json) -> Fault:
    """The fault that a reply of `status` with `body` stands for. `headers` in lower case."""
    told = said(body) if isinstance(body, dict) else read_error(body)
    row = _row(errors, status, told)
    kind = row.kind if row else kind_of_status(status)
    wait = retry_after(headers)
    return Fault(
        kind,
        told.message or (row.means if row else f"the provider answered HTTP {status}"),
        status=status,
        code=told.code or None,
        param=told.param,
        retry_after=row.wait if wait is None and row else wait,
        stale=row.stale if row else False,
    )


def _row(errors: Errors, status: int, told: Said) -> Row | None:
    """By the code; else by its family; else by the type, of which some vendors say more than in the code."""
    for name in (told.code, told.type):
        if name and (row := errors.get(f"{status}:{name}") or errors.get(name) or errors.get(f"{name.partition('.')[0]}.*")):
            return row
    return None


def kind_of_status(status: int) -> Kind:
    if status < 400:
        return "broken"  # an error under HTTP 200 whose code no table has
    return BY_STATUS.get(status, "overloaded" if status >= 500 else "bad_request")


LONGEST_WAIT = 86_400.0


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait. A time of day is counted from the reply's own `date`: the clock of who wrote both."""
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            seconds = float(headers[name]) * unit
        except (KeyError, ValueError):
            continue
        if 0 <= seconds < float("inf"):
            return min(seconds, LONGEST_WAIT)
    try:
        seconds = (parsedate_to_datetime(headers["retry-after"]) - parsedate_to_datetime(headers["date"])).total_seconds()
    except (KeyError, TypeError, ValueError, OverflowError):  # TypeError: one of them without a time zone
        return None
    return min(max(seconds, 0.0), LONGEST_WAIT)
