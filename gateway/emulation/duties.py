"""Everything that a translated request leaves to the gateway, gathered from its changes."""

from collections.abc import Iterable

from msgspec import Struct

from providers.base import Change, Copies, HoldTo, OneCall, StopAt, Whole


class Duties(Struct):
    copies: int = 1
    """Calls to make at once, each for one choice."""
    stops: tuple[str, ...] = ()
    stops_told: bool = False
    """A choice that one of them ends says which."""
    one_call: bool = False
    schema: bytes = b""
    """JSON schema that words have to follow; b"": none."""
    whole: bool = False
    """The provider is asked for a plain answer, also where the client streams."""


def duties_of(changes: Iterable[Change]) -> Duties | None:
    """None where nothing is left to do, which is the rule."""
    found: Duties | None = None
    for change in changes:
        if change.work is None:
            continue
        found = found or Duties()
        match change.work:
            case Copies(count):
                found.copies = count
            case StopAt(texts, told):
                found.stops, found.stops_told = texts, told
            case OneCall():
                found.one_call = True
            case HoldTo(schema):
                found.schema, found.whole = schema, True  # only a whole answer can be held to anything
            case Whole():
                found.whole = True
    return found
