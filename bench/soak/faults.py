"""What goes wrong in a soak, how often, and what a client may be told of it."""

from msgspec import Struct

SHARE = 0.05
"""Of the requests."""
SAYS = "soak"
"""The first word of a request; the second is its fault, the third its number. So both ends know what is to happen."""


class Fault(Struct, frozen=True):
    name: str
    once: bool = False
    """Only the first attempt meets it: the gateway can hide it."""
    stream: bool | None = None
    """Whether the request has to be streamed, or must not be."""
    codes: frozenset[str] = frozenset()
    """Of the errors that are honest for it; none: the request has to be answered."""
    weight: float = 1.0
    """How often it comes, beside the others."""
    leaves: bool = False
    """It is the client that goes."""


NONE = Fault("none")
FAULTS = (
    Fault("reset", once=True, codes=frozenset(("upstream_unreachable", "upstream_broken"))),
    Fault("error", once=True, codes=frozenset(("overloaded", "upstream_broken"))),
    Fault("busy", once=True, codes=frozenset(("overloaded",))),
    Fault("limited", once=True, codes=frozenset(("rate_limit_exceeded",))),
    Fault("wait", once=True, codes=frozenset(("rate_limit_exceeded",))),
    Fault("half", once=True, stream=False, codes=frozenset(("upstream_broken", "upstream_unreachable"))),
    Fault("garbage", once=True, codes=frozenset(("upstream_broken",))),
    Fault("slow"),
    Fault("late", once=True, codes=frozenset(("timeout",))),
    Fault("down", weight=0.2, codes=frozenset(("overloaded", "upstream_broken"))),
    Fault("refuses", codes=frozenset(("invalid_request",))),
    Fault("cut", stream=True, codes=frozenset(("upstream_broken", "upstream_unreachable"))),
    Fault("breaks", stream=True, codes=frozenset(("overloaded", "upstream_broken"))),
    Fault("stalls", stream=True, codes=frozenset(("timeout",))),
    Fault("leaves", stream=True, leaves=True),
    Fault("impatient", leaves=True),
)
"""
reset      the connection is broken off
error      500
busy       503
limited    429
wait       429, and when to come back
half       an answer that ends before its length
garbage    200 with a page of HTML
slow       the first byte comes after a while
late       it does not come in time
down       500, however often it is tried
refuses    400
cut        a stream ends in the middle
breaks     an error in the middle of a stream
stalls     a stream goes silent in the middle
leaves     the client goes in the middle of a stream
impatient  the client goes before the first byte
"""
BY_NAME = {one.name: one for one in (NONE, *FAULTS)}
