"""What a vendor that tunes models gives the gateway: pure translation of data sets and of jobs, as everything in this package.

    dataset(lines) ── upload ── submit ── look, look, … ── deploy, deployed …

Each call is a generator: it yields requests to send, is sent the replies' bodies, and returns what they come to. Whoever drives it adds the
account's credential, and makes a Fault of a reply that is an error, by `fault`.
"""

from collections.abc import Generator, Iterable, Mapping
from hashlib import sha256
from typing import Any, Literal, Protocol, TypeVar

from msgspec import Struct

from providers.base import JSON_BODY, Change, Fault, Json, Outgoing, Target, encode

T = TypeVar("T")
Asks = Generator[Outgoing, bytes, T]
State = Literal["queued", "running", "succeeded", "failed", "cancelled"]
Method = Literal["supervised", "dpo"]


class Written(Struct, frozen=True):
    """A data set in the vendor's words."""

    body: bytes
    lines: int
    notes: tuple[str, ...] = ()
    """What did not carry over, for the client."""


class Wanted(Struct, frozen=True):
    """A job to be done."""

    name: str
    """Nobody else's, of letters, digits and underscores: what it is found by again."""
    training: str
    """What `upload` gave."""
    validation: str = ""
    method: Method = "supervised"
    hyper: Json = {}
    """OpenAI's hyperparameters without "auto"; others are the vendor's."""


class Measure(Struct, frozen=True):
    """What a vendor tells while it trains."""

    id: str
    time: int
    message: str
    level: str = "info"
    data: Json = {}


class Progress(Struct, frozen=True):
    state: State
    model: str = ""
    """The vendor's name of what has come of it, once it has."""
    tokens: int | None = None
    """That were trained on."""
    error: str = ""
    told: tuple[Measure, ...] = ()


class Deployed(Struct, frozen=True):
    ready: bool
    model: str = ""
    """What it is called by."""


class Tuning(Protocol):
    """A vendor's. All but `fault` raise Fault for what cannot be said, or was refused."""

    methods: tuple[Method, ...]
    bucket: bool
    """Whether data sets are read from a bucket of the account's own."""
    secrets: tuple[str, ...]
    """Of the account, that jobs need."""
    by_hand: str
    """What is left to the operator before the model can be called; "" if nothing is."""

    def dataset(self, lines: Iterable[Json], method: Method) -> Written: ...

    def hyper(self, wanted: Json) -> tuple[Json, tuple[Change, ...]]:
        """Hyperparameters in the vendor's words, and what became of each, as far as this is known before it is asked."""
        ...

    def upload(self, name: str, data: bytes, target: Target, bucket: str) -> Asks[str]:
        """What the vendor knows the file by. `bucket`: the address of the account's own, where `bucket` is set."""
        ...

    def find(self, wanted: Wanted, target: Target) -> Asks[str]:
        """The vendor's id of the job, if it has been submitted; "" if it has not, as far as the vendor tells."""
        ...

    def submit(self, wanted: Wanted, target: Target) -> Asks[str]:
        """The vendor's id."""
        ...

    def look(self, id: str, target: Target) -> Asks[Progress]: ...

    def cancel(self, id: str, target: Target) -> Asks[None]: ...

    def deploy(self, model: str, target: Target) -> Asks[str]:
        """The id of a deployment; "" where a model can be called as it is."""
        ...

    def deployed(self, id: str, target: Target) -> Asks[Deployed]: ...

    def fault(self, status: int, headers: Mapping[str, str], body: bytes) -> Fault: ...

    def sign(self, secrets: Mapping[str, str], outgoing: Outgoing, now: float) -> Mapping[str, str] | None:
        """Headers that prove a request; None where the account's usual credential does."""
        ...


def get(url: str) -> Outgoing:
    return Outgoing(url, method="GET", headers={})


def post(url: str, body: Json | None = None, changes: tuple[Change, ...] = ()) -> Outgoing:
    return Outgoing(url, encode(body or {}), JSON_BODY, changes)


def form_data(url: str, fields: Mapping[str, str], file: tuple[str, str, bytes]) -> Outgoing:
    """A form with a file, which is (the field's name, its own, its bytes)."""
    mark = f"banjia-{sha256(file[2]).hexdigest()[:32]}"  # which no file holds
    parts = [f'--{mark}\r\ncontent-disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode() for name, value in fields.items()]
    name, filename, data = file
    head = f'--{mark}\r\ncontent-disposition: form-data; name="{name}"; filename="{filename}"\r\ncontent-type: application/jsonl\r\n\r\n'
    body = b"".join((*parts, head.encode(), data, f"\r\n--{mark}--\r\n".encode()))
    return Outgoing(url, body, {"content-type": f"multipart/form-data; boundary={mark}"})


# ---- lines of data sets, as most vendors take them: turns in words ----


class Notes:
    """What did not carry over, and on how many lines."""

    def __init__(self) -> None:
        self._seen: dict[str, int] = {}

    def add(self, what: str) -> None:
        self._seen[what] = self._seen.get(what, 0) + 1

    def all(self) -> tuple[str, ...]:
        return tuple(f"{what} ({count} {'line' if count == 1 else 'lines'})" for what, count in self._seen.items())


def plain_turns(messages: Iterable[Json], notes: Notes) -> list[Json] | None:
    """Messages as turns of system, user and assistant in words alone; None where they have what words cannot say."""
    turns: list[Json] = []
    for message in messages:
        role = "system" if message["role"] == "developer" else message["role"]
        if message.get("tool_calls") or message.get("function_call") or role in ("tool", "function"):
            notes.add("left out: calls of tools are not taken")
            return None
        words = words_of(message.get("content"))
        if words is None:
            notes.add("left out: only words are taken")
            return None
        if message.get("weight") == 0:
            notes.add("`weight` 0 is not known: the turn is trained on like the others")
        if message.get("name"):
            notes.add("`name` is dropped")
        turns.append({"role": role, "content": words})
    return turns


def words_of(content: Any) -> str | None:
    if isinstance(content, str):
        return content
    if isinstance(content, list) and all(part.get("type") == "text" for part in content):
        return "".join(part.get("text") or "" for part in content)
    return None


def chat_lines(lines: Iterable[Json]) -> Written:
    """OpenAI's chat lines, and prompts with completions, as lines of {"messages": […]}. Raises Fault where none is left."""
    notes, kept = Notes(), []
    for line in lines:
        messages = line.get("messages") or [
            {"role": "user", "content": line.get("prompt", "")},
            {"role": "assistant", "content": line.get("completion", "")},
        ]
        for field in ("tools", "functions", "parallel_tool_calls"):
            if line.get(field) is not None:
                notes.add(f"`{field}` is dropped")
        if turns := plain_turns(messages, notes):
            kept.append(encode({"messages": turns}))
    return written(kept, notes)


def written(kept: list[bytes], notes: Notes) -> Written:
    if not kept:
        why = "; ".join(notes.all()) or "it has none"
        raise Fault("unsupported", f"no line of the file can be said to the provider: {why}", param="training_file")
    return Written(b"\n".join(kept) + b"\n", len(kept), notes.all())


def bounded(low: float, high: float, value: float) -> float:
    return min(max(value, low), high)
