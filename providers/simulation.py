"""What the vendors' simulators share. A simulator stands on the vendor's side of the wire, and uses nothing of the adapters it is to judge.

    Request ──► a vendor's simulator ── Ask ──► Brain ── pieces ──► the simulator ──► Reply

The shell that serves them over HTTP is gateway/simulate.py; the brains are in gateway/brain/.
"""

import re
from collections.abc import AsyncIterator, Callable, Mapping, MutableMapping, Sequence
from typing import Any, Literal, Protocol

from msgspec import Struct

from providers.base import Json, Model, decode, encode

UNSAFE_INPUT = "[unsafe-input]"
"""Words in a prompt that a simulator treats as its vendor treats what may not be asked."""
UNSAFE_OUTPUT = "[unsafe-output]"
"""Words in a prompt that make a simulator treat its own answer as its vendor treats what may not be said."""

TROUBLES = ("invalid", "expired", "arrears", "quota", "limited")
"""Words in a key that make a simulator refuse it the way the vendor refuses such an account."""


class Request(Struct, frozen=True):
    """An HTTP request as the vendor gets it."""

    method: str
    path: str
    """After the vendor's name: what the vendor's own host would see."""
    query: Mapping[str, str]
    headers: Mapping[str, str]
    """In lower case."""
    body: bytes
    host: str = ""
    """The path before `path`, which a client that signs paths has signed too."""


class Reply(Struct, frozen=True):
    """An HTTP reply; a streamed one is an iterator of frames, each sent as it is made."""

    status: int
    body: bytes | AsyncIterator[bytes]
    headers: Mapping[str, str] = {}


def json_reply(status: int, body: Any, headers: Mapping[str, str] | None = None) -> Reply:
    return Reply(status, encode(body), {"content-type": "application/json", **(headers or {})})


def sse_reply(frames: AsyncIterator[bytes], headers: Mapping[str, str] | None = None) -> Reply:
    return Reply(200, frames, {"content-type": "text/event-stream; charset=utf-8", **(headers or {})})


def data(event: Any) -> bytes:
    """One server-sent event in the usual framing."""
    return b"data: " + encode(event) + b"\n\n"


class Message(Struct, frozen=True):
    """One turn, as a simulator has understood it."""

    role: str
    text: str = ""
    images: int = 0
    calls: tuple["Call", ...] = ()
    call_id: str = ""
    unfinished: bool = False
    """A last turn of the assistant's that is to be gone on with."""


class Tool(Struct, frozen=True):
    name: str
    description: str
    parameters: Json


class Ask(Struct, frozen=True):
    """What a request asks for, in nobody's wire format."""

    messages: tuple[Message, ...]
    tools: tuple[Tool, ...] = ()
    choice: str = "auto"
    """auto, none, required, or the name of the tool to call."""
    parallel: bool = True
    schema: Json | None = None
    """None: free text; {}: any JSON object; else the JSON schema to fill."""
    stop: tuple[str, ...] = ()
    most: int | None = None
    """Most tokens of the answer."""
    think: bool = False
    temperature: float | None = None
    index: int = 0
    """Which of several answers to the same question."""


class Thought(Struct, frozen=True):
    """A piece of the reasoning that comes before an answer."""

    text: str


class Text(Struct, frozen=True):
    """A piece of the answer."""

    text: str


class Call(Struct, frozen=True):
    """A call of a tool, whole."""

    id: str
    name: str
    arguments: str


class End(Struct, frozen=True):
    """The last piece: why the answer ended and what it is to be billed as. Counts are tokens."""

    reason: Literal["stop", "length", "tool_calls"]
    prompt: int
    completion: int
    """Reasoning included."""
    reasoning: int = 0
    cached: int = 0

    @property
    def total(self) -> int:
        return self.prompt + self.completion


Piece = Thought | Text | Call | End


class Brain(Protocol):
    """Where a simulator's words come from."""

    def answer(self, ask: Ask) -> AsyncIterator[Piece]:
        """Pieces of the answer as they are made; the last is an End."""
        ...


class Answer(Struct, frozen=True):
    """An answer in one piece."""

    thought: str
    text: str
    calls: tuple[Call, ...]
    end: End


async def whole(brain: Brain, ask: Ask) -> Answer:
    thought: list[str] = []
    text: list[str] = []
    calls: list[Call] = []
    end: End | None = None
    async for piece in brain.answer(ask):
        match piece:
            case Thought():
                thought.append(piece.text)
            case Text():
                text.append(piece.text)
            case Call():
                calls.append(piece)
            case End():
                end = piece
    if end is None:
        raise RuntimeError("the brain stopped without an end")
    return Answer("".join(thought), "".join(text), tuple(calls), end)


class Charge(Struct):
    """What one account owes for one model."""

    requests: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    reasoning_tokens: int = 0
    images: int = 0
    seconds: int = 0
    characters: int = 0


Bill = MutableMapping[tuple[str, str, str], Charge]
"""(vendor, account, model) → Charge."""


class World(Struct):
    """What a simulator lives in."""

    brain: Brain
    accounts: Mapping[str, str]
    """Secret by id."""
    models: Mapping[str, Model]
    """What the vendor serves today, by its own id."""
    now: Callable[[], float]
    """Unix time in seconds."""
    bill: Bill

    def charge(self, vendor: str, account: str, model: str, end: End) -> None:
        owed = self.bill.setdefault((vendor, account, model), Charge())
        owed.requests += 1
        owed.prompt_tokens += end.prompt
        owed.cached_tokens += end.cached
        owed.completion_tokens += end.completion
        owed.reasoning_tokens += end.reasoning

    def charge_units(self, vendor: str, account: str, model: str, *, images: int = 0, seconds: int = 0, characters: int = 0) -> None:
        owed = self.bill.setdefault((vendor, account, model), Charge())
        owed.requests += 1
        owed.images += images
        owed.seconds += seconds
        owed.characters += characters


class Simulator(Protocol):
    """One vendor's side of the wire."""

    async def handle(self, request: Request) -> Reply: ...


def trouble(key: str) -> str | None:
    """The trouble that a key has by its name."""
    return next((word for word in TROUBLES if word in key), None)


def read_body(request: Request) -> Json | None:
    """The JSON object that was sent; None for anything else."""
    try:
        return decode(request.body)
    except (ValueError, RecursionError):
        return None


def understand(messages: Sequence[Json]) -> tuple[Message, ...]:
    """OpenAI-shaped messages, which most vendors take, with the images they hold counted."""
    return tuple(
        Message(
            message["role"],
            _words(message.get("content")),
            _images(message.get("content")),
            tuple(
                Call(call.get("id") or "", call["custom"]["name"], call["custom"]["input"])
                if "custom" in call
                else Call(call.get("id") or "", call["function"]["name"], call["function"]["arguments"])
                for call in message.get("tool_calls") or ()
            ),
            message.get("tool_call_id") or "",
            bool(message.get("partial") or message.get("prefix")),
        )
        for message in messages
    )


def understand_tools(tools: Sequence[Json] | None) -> tuple[Tool, ...]:
    """OpenAI-shaped function tools; a vendor's built-in ones are its own affair."""
    functions = [tool["function"] for tool in tools or () if tool.get("type") == "function"]
    return tuple(Tool(f["name"], f.get("description") or "", f.get("parameters") or {}) for f in functions)


def _words(content: Any) -> str:
    if isinstance(content, list):
        return "".join(part.get("text") or "" for part in content if isinstance(part, dict))
    return content or ""


def _images(content: Any) -> int:
    return sum(1 for part in content if "image" in str(part.get("type", ""))) if isinstance(content, list) else 0


def openai_calls(calls: Sequence[Call]) -> list[Json]:
    """Calls in OpenAI's shape, which all vendors took over."""
    return [{"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}} for call in calls]


_TOKEN = re.compile(r"[A-Za-z0-9]{1,4}|[^\sA-Za-z0-9]")


def count(text: str) -> int:
    """Tokens of a text by a rule of thumb: four letters or digits are one, any other sign is one."""
    return len(_TOKEN.findall(text))


def cut(text: str, most: int) -> str:
    """The beginning of `text` that has at most `most` tokens."""
    ends = [match.end() for match in _TOKEN.finditer(text)]
    return text if len(ends) <= most else text[: ends[most - 1]] if most > 0 else ""


def vector(text: str, dimensions: int) -> list[float]:
    """A unit vector that depends on the text alone: equal texts have equal vectors, different ones are as good as orthogonal."""
    state = 0xCBF29CE484222325
    for byte in text.encode():
        state = ((state ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    numbers: list[float] = []
    for _ in range(dimensions):
        state = (state * 6364136223846793005 + 1442695040888963407) & 0xFFFFFFFFFFFFFFFF
        numbers.append((state >> 40) / (1 << 23) - 1.0)
    length = sum(n * n for n in numbers) ** 0.5
    return [round(n / length, 8) for n in numbers]


_WORD = re.compile(r"[a-z0-9]+|[^\sa-z0-9]")


def relevance(query: str, text: str) -> float:
    """From 0 to 1, by the texts alone: the share of the query's words, or signs, that the text has; of equals the shorter is better."""
    wanted, there = set(_WORD.findall(query.lower())), set(_WORD.findall(text.lower()))
    share = len(wanted & there) / max(len(wanted), 1)
    return round(0.98 * share + 0.02 / (1 + len(text)), 6)
