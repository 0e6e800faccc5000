"""What an adapter is: pure translation between OpenAI's wire format and one vendor's. Nothing in this package does I/O.

    Adapter ── endpoints ──► Translator: request, response, stream, fault     (OpenAI's JSON on one side, bytes on the other)
        └──── auth ───────► Auth: secrets → Credential                         (a generator that someone else drives)

A translator never sees a secret: whoever sends an `Outgoing` adds the account's credential to it.
"""

from collections.abc import Callable, Generator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from msgspec import Struct, json

if TYPE_CHECKING:
    from providers.batching import Batches
    from providers.tuning import Tuning

Json = dict[str, Any]
Fate = Literal["renamed", "clamped", "emulated", "dropped", "refused"]
Kind = Literal[
    "bad_request",
    "unsupported",
    "too_long",
    "refused",
    "no_model",
    "auth",
    "quota",
    "rate_limited",
    "overloaded",
    "unreachable",
    "timeout",
    "broken",
    "unfit",
]

JSON_BODY: Mapping[str, str] = MappingProxyType({"content-type": "application/json"})

SHAPELESS = (AttributeError, IndexError, KeyError, OverflowError, RecursionError, TypeError, ValueError)
"""What a translator runs into where a provider sends a list for an object, or a number for a text."""

decode = json.Decoder(dict[str, Any]).decode
encode = json.Encoder().encode


class Copies(Struct, frozen=True):
    """Ask `count` times at once, and give the answers as the choices of one."""

    count: int


class StopAt(Struct, frozen=True):
    """End the answer before the first of these texts."""

    texts: tuple[str, ...]
    told: bool = False
    """The choice says which of them ended it, under `stop_reason`, as vLLM does."""


class OneCall(Struct, frozen=True):
    """Pass on the first tool call of an answer and no other."""


class HoldTo(Struct, frozen=True):
    """Pass on an answer that follows this JSON schema; ask once more for one that does not."""

    schema: bytes
    """JSON."""


class Whole(Struct, frozen=True):
    """Ask for the answer in one piece, and hand it out as a stream."""


Work = Copies | StopAt | OneCall | HoldTo | Whole
"""What the gateway does itself, so that a field keeps its meaning at a vendor that does not have it."""


class Change(Struct, frozen=True):
    """What became of one request field that the vendor does not take as it is. A field without a Change went through natively."""

    field: str
    fate: Fate
    note: str = ""
    """The new name or value, short enough for a header."""
    why: str = ""
    work: Work | None = None
    """What is left to the gateway; None: nothing."""


class Model(Struct, frozen=True):
    """What a translator may need to know of a model. Facts come from the catalog; 0 and "" mean unknown."""

    id: str
    kind: str = "chat"
    context: int = 0
    """Tokens of prompt and answer together; for embeddings, tokens of one input; for moderation, characters of one text."""
    output: int = 0
    """Most tokens of one answer."""
    input: tuple[str, ...] = ("text",)
    tools: bool | None = None
    json: str = ""
    """none, object or schema."""
    thinking: str = ""
    """none, switch, effort or always."""
    dimensions: int = 0
    allowed_dimensions: tuple[int, ...] = ()
    batch: int = 0
    """Most inputs of one embeddings call."""
    endpoint: str = ""
    """The name that some surfaces or accounts use in place of the model's: a path segment, or a deployment."""
    surfaces: tuple[str, ...] = ()
    """Of the vendor, those that serve it; empty: all."""
    tokenizer: str = ""
    """That counts as the model does, by its name in gateway/tokens.py; "" where nobody publishes it."""


class Target(Struct, frozen=True):
    """The model a request is translated for, and where its account's vendor listens."""

    base_url: str
    model: Model
    version: str = ""
    """Of the vendor's API, where the account asks for one."""


class Outgoing(Struct, frozen=True):
    """A request ready to send: everything but the socket and the credential."""

    url: str
    body: bytes = b""
    headers: Mapping[str, str] = JSON_BODY
    changes: tuple[Change, ...] = ()
    method: str = "POST"


class Fault(Exception):
    """A vendor's refusal or failure, said in our words. `kind` decides what happens next; see gateway/routing/verdicts.py."""

    def __init__(
        self,
        kind: Kind,
        message: str,
        *,
        status: int | None = None,
        code: str | None = None,
        param: str | None = None,
        retry_after: float | None = None,
        stale: bool = False,
    ) -> None:
        super().__init__(message)
        self.kind: Kind = kind
        self.message = message
        self.status = status
        """The vendor's HTTP status."""
        self.code = code
        """The vendor's own code, for logs and for the curious; clients get the kind's."""
        self.param = param
        self.retry_after = retry_after
        """Seconds."""
        self.stale = stale
        """The credential has expired: a fresh one may help at once."""
        self.spare = False
        """The account has another credential, which has not been refused: set by whoever knows."""


class Stream(Protocol):
    """One streamed answer being read. Made per attempt, fed bytes as they come, in pieces of any size."""

    def feed(self, data: bytes) -> list[Json]:
        """The OpenAI chunks that `data` completes. Raises Fault if the vendor reports a failure."""
        ...

    def end(self) -> list[Json]:
        """The body has ended. Raises Fault("broken") if the answer has not."""
        ...


class Translator(Protocol):
    """One endpoint of one vendor: four pure functions."""

    def request(self, body: Json, target: Target) -> Outgoing:
        """`body` is OpenAI's request without nulls, and is not edited. Raises Fault("bad_request") for what cannot be said."""
        ...

    def response(self, body: bytes) -> Json:
        """OpenAI's reply; keys that the vendor left out may be missing. Raises Fault, also for errors under HTTP 200."""
        ...

    def stream(self) -> Stream: ...

    def fault(self, status: int, headers: Mapping[str, str], body: bytes) -> Fault: ...


@runtime_checkable
class GoesOn(Protocol):
    """A translator of a vendor that can go on with an answer which has broken off."""

    def continuation(self, body: Json, said: str) -> Json | None:
        """`body` as a request for what comes after `said`; None if this vendor can after all not."""
        ...


@runtime_checkable
class Deferred(Protocol):
    """A translator of a vendor that takes a task, and is asked again and again what has come of it."""

    def task(self, body: bytes) -> str:
        """The id of the task that a reply to `request` tells of. Raises Fault."""
        ...

    def poll(self, task: str, target: Target) -> Outgoing:
        """Asks how it stands."""
        ...

    def result(self, body: bytes) -> Json | None:
        """What has come of it, in OpenAI's words; None while it is under way. Raises Fault where it has failed."""
        ...

    def cancel(self, task: str, target: Target) -> Outgoing | None:
        """Ends it; None where the vendor cannot."""
        ...


class Credential(Struct, frozen=True):
    """What proves an account: headers, or what is added to the query string where a vendor wants it there."""

    headers: Mapping[str, str] = {}
    query: str = ""
    renew: float = float("inf")
    """Unix time from which a new one is wanted. Somewhat before the vendor stops taking this one."""


Exchange = Generator[Outgoing, bytes, Credential]
"""Secrets for a credential: yields requests to send, is sent the replies' bodies, returns the credential. May yield nothing."""


class Auth(Struct, frozen=True):
    """One way of proving an account."""

    secrets: tuple[str, ...]
    """Names of the secrets it needs; the same names as in gateway.yaml."""
    exchange: Callable[[Mapping[str, str], float], Exchange]
    """(secrets, Unix time) → Exchange. Raises Fault("auth") where the secrets cannot be right."""


class Adapter(Struct, frozen=True):
    """One surface of a vendor: the endpoints it has. An endpoint that is absent is not offered; there are no stubs."""

    vendor: str
    surface: str
    base_url: str
    """Where it listens unless the account says otherwise, as the vendor documents it; a path alone where each account has its own host."""
    endpoints: Mapping[str, Translator]
    auth: Mapping[str, Auth]
    """By name; the first whose secrets an account has is used, unless the account names another."""
    versions: tuple[str, ...] = ()
    """What an account may say as `api_version`, "" if it may say nothing; Y, M and D stand for a date's digits. Without any, there are no
    versions to choose from. Of a vendor's surfaces, the first that speaks an account's version is the account's."""
    deployments: bool = False
    """Whether an account has names of its own for the models."""
    deployers: bool = False
    """Whether a server has only what its deployer has put there: the catalog knows its models, and not that they are there."""
    tuning: "Tuning | None" = None
    """How its models are tuned, where the vendor offers that."""
    batching: "Batches | None" = None
    """How its own batches are asked for, where the vendor offers them."""
