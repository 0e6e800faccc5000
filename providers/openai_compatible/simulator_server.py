"""What the simulators of self-hosted servers share: the way of a request, and a stream's order. What each says and refuses is its own.

Written from the servers' sources, without a look at the adapters.
"""

import re
from array import array
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from hashlib import sha256
from sys import byteorder
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from providers.base import Json, Model
from providers.openai_compatible.rerank_simulator import FORMS, rerank
from providers.simulation import (
    Answer,
    Ask,
    Call,
    End,
    Piece,
    Reply,
    Request,
    Text,
    Thought,
    World,
    count,
    data,
    json_reply,
    openai_calls,
    read_body,
    sse_reply,
    trouble,
    understand,
    understand_tools,
    vector,
    whole,
)

KEY = re.compile(r"sk-[A-Za-z0-9_-]{4,}")
"""Any key of this form is one that the server was started with."""
VENDOR = "openai_compatible"


class Refusal(Exception):
    """What the server answers instead."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.body)
        self.reply = reply


class Question(Struct, frozen=True):
    """A chat request that has been understood."""

    model: Model
    name: str
    """What the reply says of the model."""
    asks: tuple[Ask, ...]
    stream: bool
    usage_told: bool
    logprobs: int | None = None
    """How many alternatives of each token are told; None: nothing is."""


class Server:
    """One server; a subclass says what is its own."""

    surface = ""
    checks_models = True
    """Whether a name that it does not serve is refused; else whatever is loaded answers."""
    cuts_prompts = False
    """Whether a prompt that is too long is cut in silence."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.models = {name: model for name, model in world.models.items() if not model.surfaces or self.surface in model.surfaces}
        self.number = 0

    # ---- what differs ----

    def refuse(self, status: int, message: str, kind: str = "", param: str | None = None) -> Refusal:
        raise NotImplementedError

    def unauthorized(self) -> Refusal:
        raise NotImplementedError

    def no_model(self, name: str) -> Refusal:
        raise NotImplementedError

    def too_long(self, tokens: int, model: Model) -> Refusal:
        raise NotImplementedError

    def check(self, body: Json, model: Model) -> None:
        """Raises Refusal for what the server does not take."""
        raise NotImplementedError

    def thinks(self, body: Json, model: Model) -> bool:
        raise NotImplementedError

    def head(self, question: Question, number: int) -> Json:
        raise NotImplementedError

    def reply(self, question: Question, answers: Sequence[Answer]) -> Json:
        raise NotImplementedError

    def chunk(self, index: int, delta: Json, end: End | None = None, logprobs: Json | None = None) -> Json:
        """A choice of a stream."""
        raise NotImplementedError

    def first(self) -> Json:
        return {"role": "assistant", "content": ""}

    def deltas(self, piece: Piece, number: int) -> list[Json]:
        raise NotImplementedError

    def last(self, question: Question, ends: Sequence[End]) -> list[Json]:
        """What of events follows the last choice's end, without the head."""
        return [{"choices": [], "usage": self.usage(ends)}] if question.usage_told else []

    def usage(self, ends: Sequence[End]) -> Json:
        raise NotImplementedError

    def described(self, model: Model) -> Json:
        raise NotImplementedError

    def listed(self) -> Json:
        return {"object": "list", "data": list(map(self.described, self.models.values()))}

    def vectors(self, body: Json, model: Model, told: list[Json], tokens: int) -> Json:
        raise NotImplementedError

    def is_open(self, request: Request) -> Reply | None:
        """The answer on a path that needs no key."""
        return None

    # ---- what does not ----

    async def handle(self, request: Request) -> Reply:
        self.number += 1
        try:
            return self.is_open(request) or await self.answer(self.authenticate(request), request)
        except Refusal as refusal:
            return refusal.reply

    def authenticate(self, request: Request) -> str:
        """The key, which is the account."""
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not KEY.fullmatch(key) or trouble(key):
            raise self.unauthorized()
        return key

    async def answer(self, account: str, request: Request) -> Reply:
        match request.method, request.path:
            case "POST", "/v1/chat/completions":
                return await self.chat(account, self.read(request))
            case "POST", "/v1/embeddings":
                return self.embeddings(account, self.read(request))
            case "POST", "/v1/rerank" if self.surface in FORMS:
                return rerank(self, account, self.read(request))
            case "GET", "/v1/models":
                return json_reply(200, self.listed())
        return self.elsewhere(request)

    def elsewhere(self, request: Request) -> Reply:
        return json_reply(404, {"detail": "Not Found"})

    def read(self, request: Request) -> Json:
        body = read_body(request)
        if body is None:
            raise self.refuse(400, "the body is not valid JSON")
        return {field: value for field, value in body.items() if value is not None}

    def model(self, body: Json, kind: str) -> tuple[Model, str]:
        """(the model that answers, the name it goes by)."""
        name = body.get("model")
        found = self.models.get(name) if isinstance(name, str) else None
        if found is None and self.checks_models:
            raise self.no_model(str(name))
        if found is None or found.kind != kind:
            if found is not None:
                raise self.wrong_kind(found)
            found = next(model for model in self.models.values() if model.kind == kind)
        return found, str(name)

    def wrong_kind(self, model: Model) -> Refusal:
        return self.refuse(400, f"The model {model.id} does not support this API")

    async def chat(self, account: str, body: Json) -> Reply:
        model, name = self.model(body, "chat")
        self.check(body, model)
        question = self.question(body, model, name)
        text = "".join(message.text for message in question.asks[0].messages)
        if model.context and count(text) > model.context and not self.cuts_prompts:
            raise self.too_long(count(text), model)
        head = self.head(question, self.number)
        if question.stream:
            return sse_reply(self.frames(account, question, head))
        answers = [await whole(self.world.brain, ask) for ask in question.asks]
        self.charge(account, model, [answer.end for answer in answers])
        return json_reply(200, {**head, "object": "chat.completion", **self.reply(question, answers)})

    def question(self, body: Json, model: Model, name: str) -> Question:
        form = body.get("response_format", {"type": "text"})
        choice = body.get("tool_choice", "auto")
        given = body.get("stop", [])
        turns = understand([{**message, "role": self.role(message["role"])} for message in body["messages"]])
        if self.goes_on(body) and turns[-1].role == "assistant":
            turns = (*turns[:-1], replace(turns[-1], unfinished=True))
        ask = Ask(
            turns,
            understand_tools(body.get("tools")),
            choice=choice if isinstance(choice, str) else choice["function"]["name"],
            parallel=body.get("parallel_tool_calls", True),
            schema=None if form["type"] == "text" else (form.get("json_schema") or {}).get("schema") or {},
            stop=(given,) if isinstance(given, str) else tuple(given),
            most=self.most(body),
            think=self.thinks(body, model),
            temperature=body.get("temperature"),
        )
        asks = tuple(replace(ask, index=index) for index in range(self.count(body)))
        likely = body.get("top_logprobs", 0) if body.get("logprobs") else None
        told = bool((body.get("stream_options") or {}).get("include_usage"))
        return Question(model, name, asks, bool(body.get("stream")), told, likely)

    def goes_on(self, body: Json) -> bool:
        """Whether a last turn of the assistant's is gone on with."""
        return False

    def role(self, role: str) -> str:
        return role

    def most(self, body: Json) -> int | None:
        most: int | None = body.get("max_completion_tokens", body.get("max_tokens"))
        return most

    def count(self, body: Json) -> int:
        number: int = body.get("n", 1)
        return number

    async def frames(self, account: str, question: Question, head: Json) -> AsyncIterator[bytes]:
        """The role, pieces and the finish of each choice, then the usage if it is asked for."""
        head = {**head, "object": "chat.completion.chunk"}
        ends: list[End] = []
        for index, ask in enumerate(question.asks):
            calls = 0
            yield data({**head, "choices": [self.chunk(index, self.first())]})
            async for piece in self.world.brain.answer(ask):
                if isinstance(piece, End):
                    ends.append(piece)
                    continue
                words = logprobs(piece.text, question.logprobs) if isinstance(piece, Text) else None
                for delta in self.deltas(piece, calls):
                    yield data({**head, "choices": [self.chunk(index, delta, None, words)]})
                calls += isinstance(piece, Call)
            yield data({**head, "choices": [self.chunk(index, {}, ends[-1])], **self.at_finish(question)})
        self.charge(account, question.model, ends)
        for event in self.last(question, ends):
            yield data({**head, **event})
        yield b"data: [DONE]\n\n"

    def at_finish(self, question: Question) -> Json:
        """What stands beside the choice in its last chunk."""
        return {}

    def embeddings(self, account: str, body: Json) -> Reply:
        model, _ = self.model(body, "embedding")
        given = body.get("input")
        texts = [given] if isinstance(given, str) else given
        if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
            raise self.refuse(400, "input: a string or a list of strings is expected")
        if body.get("encoding_format", "float") not in ("float", "base64"):
            raise self.refuse(400, "Invalid value for 'encoding_format' = 'odd'. Supported values: ['float', 'base64'].")
        wide = self.width(body, model)
        longest = max(map(count, texts))
        if model.context and longest > model.context:
            raise self.too_long(longest, model)
        tokens = sum(map(count, texts))
        self.charge(account, model, [End("stop", tokens, 0)])
        said = as_base64 if body.get("encoding_format") == "base64" else list
        told = [{"object": "embedding", "index": i, "embedding": said(vector(text, wide))} for i, text in enumerate(texts)]
        return json_reply(200, self.vectors(body, model, told, tokens))

    def width(self, body: Json, model: Model) -> int:
        wanted: int = body.get("dimensions", model.dimensions)
        if wanted != model.dimensions and wanted not in model.allowed_dimensions:
            raise self.refuse(400, f'Model "{model.id}" does not support matryoshka representation')
        return wanted

    def charge(self, account: str, model: Model, ends: Sequence[End]) -> None:
        self.world.charge(VENDOR, account, model.id, together(ends))


def together(ends: Sequence[End]) -> End:
    """What several answers to one question cost: its prompt is read once."""
    first = ends[0]
    return End(first.reason, first.prompt, sum(end.completion for end in ends), sum(end.reasoning for end in ends), first.cached)


def fragments(call: Call, number: int) -> list[Json]:
    """A call in pieces, of which the first alone has its id and name."""
    (told,) = openai_calls([call])
    name, arguments = told["function"]["name"], told["function"]["arguments"]
    half = len(arguments) // 2
    begun = {"index": number, "id": call.id, "type": "function", "function": {"name": name, "arguments": ""}}
    rest = [{"index": number, "function": {"arguments": part}} for part in (arguments[:half], arguments[half:]) if part]
    return [{"tool_calls": [one]} for one in (begun, *rest)]


def logprobs(words: str, likely: int | None) -> Json | None:
    """One for each word, made up."""
    if likely is None:
        return None
    told = [{"token": word, "bytes": list(word.encode()), "logprob": -0.05} for word in re.findall(r"\s*\S+|\s+$", words)]
    return {"content": [{**word, "top_logprobs": [word] if likely else []} for word in told]}


def words_of(piece: Piece, reasoning: str) -> list[Json]:
    """The delta of a piece that is words."""
    if isinstance(piece, Thought):
        return [{reasoning: piece.text}]
    return [{"content": piece.text}] if isinstance(piece, Text) else []


def as_base64(numbers: list[float]) -> str:
    floats = array("f", numbers)
    if byteorder == "big":
        floats.byteswap()
    return b64encode(floats.tobytes()).decode()


def hexed(*told: Any) -> str:
    return sha256(repr(told).encode()).hexdigest()


# ---- checks of values ----

Check = Callable[[Any], bool]


def number(low: float, high: float, *, whole: bool = False, above: bool = False) -> Check:
    """`above`: `low` itself is not in it."""
    kind: Any = int if whole else (int, float)

    def check(value: Any) -> bool:
        return isinstance(value, kind) and not isinstance(value, bool) and (low < value if above else low <= value) and value <= high

    return check


def is_stop(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, list) and all(isinstance(one, str) for one in value))


def wrong(body: Json, checks: Mapping[str, Check]) -> str | None:
    """The first field whose value does not pass."""
    return next((field for field, check in checks.items() if field in body and not check(body[field])), None)
