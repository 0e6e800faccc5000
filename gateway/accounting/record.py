"""What is written down of every request that was served or refused: who asked for what, who served it, and what it cost."""

from collections.abc import Mapping
from hashlib import sha256
from random import getrandbits
from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import replace

Kind = Literal["ok", "failed_over", "continued", "aborted", "failed", "refused", "attempt"]
"""What became of a request.

ok           answered by the first provider that was asked
failed_over  answered, by another than the first
continued    answered in parts: it broke off, and another went on with it
aborted      the client left before its end
failed       no provider answered, or the answer broke off
refused      by the gateway itself: no provider was asked
attempt      no request, but what a failed attempt of one cost, where the provider reported it: a row of its own, not counted as a request
"""

MOST_USER = 256
"""Characters of a user tag; a longer one is known by its beginning and a digest."""
MOST_TAGS, MOST_TAG_NAME, MOST_TAG_VALUE = 16, 64, 512
"""Of a request's metadata: OpenAI's own bounds."""
LARGEST = 2**63 - 1
"""What both databases hold as a whole number."""


class UsageRecord(Struct, frozen=True):
    """One request. Fields are the columns of the table `usage`, in their order. Money in nano units, times in unix seconds."""

    id: str
    """Made by `new_id`, never a client's own: a record whose id is known is not written again."""
    time: float
    """When it ended."""
    team: str = ""
    key: str = ""
    """The name of the key."""
    user: str = ""
    """The `user` of the request."""
    account: str = ""
    """The one that served, or was asked last."""
    model: str = ""
    """As the client named it."""
    served_model: str = ""
    kind: Kind = "ok"
    currency: str = ""
    prompt_tokens: int = 0
    cached_tokens: int = 0
    """Of the prompt's."""
    completion_tokens: int = 0
    reasoning_tokens: int = 0
    """Of the completion's."""
    cost: int = 0
    estimated: bool = False
    """The provider told no usage: the gateway counted."""
    started: float = 0.0
    endpoint: str = ""
    jurisdiction: str = ""
    """Where it was served."""
    status: int = 0
    """What the client got."""
    attempts: int = 0
    price_as_of: str = ""
    """The day of the price list that the cost was computed with."""
    first_token_ms: float = 0.0
    total_ms: float = 0.0
    overhead_ms: float = 0.0
    """Of the total, what the gateway itself took."""
    finish: str = ""
    request_id: str = ""
    """What the client knows it by; its own if it sent one, and so not unique."""
    changes: str = ""
    """Fates of fields, as in `x-banjia-changes`."""
    decision: str = ""
    """What the plan was made from, as JSON."""
    granted: Mapping[str, int] = {}
    """Tokens that grants have paid for, by grant."""
    tags: Mapping[str, str] = {}
    """The request's metadata."""
    images: int = 0
    seconds: int = 0
    """Of sound, rounded up."""
    characters: int = 0
    """What is billed by them and not by tokens."""


def new_id(now: float) -> str:
    """An id that no other process makes. Ids made later sort later, to a millisecond: that keeps the database's index small in memory and
    its writes together, at half the cost of random ids."""
    return f"{int(now * 1000):011x}{getrandbits(80):020x}"


def user_of(given: Any) -> str:
    """What a request's user is known by in records, limits and budgets alike; empty: nobody."""
    if given.__class__ is not str or len(given) <= MOST_USER:
        return given if given.__class__ is str else ""
    digest = sha256(given.encode(errors="surrogatepass")).hexdigest()
    return f"{given[: MOST_USER - len(digest)]}{digest}"


def bounded_tags(metadata: Any) -> dict[str, str]:
    """What is kept of a request's metadata, which may be anything."""
    if not isinstance(metadata, dict):
        return {}
    pairs = ((name, value) for name, value in metadata.items() if isinstance(name, str) and isinstance(value, str))
    return {name[:MOST_TAG_NAME]: value[:MOST_TAG_VALUE] for (name, value), _ in zip(pairs, range(MOST_TAGS), strict=False)}


def cleaned(record: UsageRecord) -> UsageRecord:
    """The record without what a database refuses: characters that are none, numbers that are none or too large."""
    changed: dict[str, Any] = {}
    for name in UsageRecord.__struct_fields__:
        value = getattr(record, name)
        clean = _clean(value)
        if clean is not value:
            changed[name] = clean
    return replace(record, **changed) if changed else record


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        fit = value.encode(errors="replace").decode().replace("\0", "\ufffd")
        return value if fit == value else fit
    if isinstance(value, float):
        return value if -1e300 < value < 1e300 else 0.0
    if isinstance(value, int):
        return value if -LARGEST <= value <= LARGEST else max(-LARGEST, min(value, LARGEST))
    if all(_clean(name) is name and _clean(text) is text for name, text in value.items()):
        return value
    return {_clean(name): _clean(text) for name, text in value.items()}
