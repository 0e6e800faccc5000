"""Stored objects as endpoints deal with them: ids, lists in OpenAI's form, and what is said where they cannot be had."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from secrets import token_hex
from typing import TYPE_CHECKING, NamedTuple

from gateway.api.wire import Exchange, Refusal
from gateway.objects import Object, Objects, Page
from gateway.store.errors import StoreError
from providers.base import Json

if TYPE_CHECKING:
    from gateway.api.serving import Serving

MOST = 100


class Paging(NamedTuple):
    """Which part of a list is asked for; the words are those of `Objects.list`."""

    after: str
    before: str
    limit: int
    newest_first: bool


def new(prefix: str) -> str:
    """An id that nobody guesses: `file-6f…`, `resp_6f…`."""
    return prefix + token_hex(16)


def needed(serving: "Serving") -> Objects:
    """Raises Refusal where nothing is stored."""
    if serving.objects is None:
        raise Refusal(503, "This needs a store, and the gateway runs without one.", kind="api_error", code="store_unavailable")
    return serving.objects


@contextmanager
def lost_told() -> Iterator[None]:
    """A database that does not answer is told to the client, who may come again."""
    try:
        yield
    except StoreError as error:
        message = "The database does not answer at present: ask again in a moment."
        raise Refusal(503, message, kind="api_error", code="store_unavailable", headers=[(b"retry-after", b"1")]) from error


def no_object(what: str, id: str) -> Refusal:
    """`what`: as in "file", "response"."""
    return Refusal(404, f"No {what} found with id '{id[:200]}'.", param="id", code="not_found")


def paging_of(exchange: Exchange, *, usual: int = 20, most: int = MOST) -> Paging:
    """What the query says of it. Raises Refusal."""
    query = exchange.query()
    given = query.get("limit") or str(usual)
    limit = int(given) if given.isascii() and given.isdigit() and len(given) < 9 else 0
    if not 1 <= limit <= most:
        raise Refusal(400, f"Invalid 'limit': expected a whole number from 1 to {most}.", param="limit", code="invalid_value")
    order = query.get("order") or "desc"
    if order not in ("asc", "desc"):
        raise Refusal(400, "Invalid 'order': expected 'asc' or 'desc'.", param="order", code="invalid_value")
    return Paging(query.get("after", ""), query.get("before", ""), limit, order == "desc")


def list_of(page: Page, told: Callable[[Object], Json]) -> Json:
    """A list as OpenAI gives it."""
    data = [told(one) for one in page.objects]
    ids = [one.id for one in page.objects]
    return {"object": "list", "data": data, "first_id": ids[0] if ids else None, "last_id": ids[-1] if ids else None, "has_more": page.more}
