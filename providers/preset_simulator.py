"""The vendor's side of the wire for every preset: as strict as the preset's data, and strict where it says nothing.

It reads the same words as the adapter and does the opposite with them: what the adapter drops, renames or clamps is refused here.
"""

import re
from collections.abc import AsyncIterator, Iterator
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from providers.base import Json, Kind, Model
from providers.preset import Clamp, Drop, DropUnless, Efforts, MostTokens, Only, Preset, Rename
from providers.preset_rerank_simulator import rank
from providers.preset_simulator_checks import check_field, check_messages, is_number
from providers.simulation import (
    UNSAFE_INPUT,
    UNSAFE_OUTPUT,
    Answer,
    Ask,
    Call,
    End,
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

TROUBLES: dict[str, Kind] = {"invalid": "auth", "expired": "auth", "arrears": "quota", "quota": "quota", "limited": "rate_limited"}
STATUS: dict[Kind, int] = {
    "bad_request": 400, "refused": 400, "too_long": 400, "auth": 401, "quota": 402, "no_model": 404, "rate_limited": 429,
}  # fmt: skip
ELSE: dict[Kind, str] = {
    "bad_request": "invalid_request_error", "refused": "content_filter", "too_long": "context_length_exceeded",
    "auth": "authentication_error", "quota": "insufficient_quota", "no_model": "model_not_found", "rate_limited": "rate_limit_exceeded",
}  # fmt: skip
"""What is said where the preset has no code for a kind."""
MESSAGES: dict[Kind, str] = {
    "refused": "the content is not allowed", "too_long": "the prompt is too long", "auth": "the key is not valid",
    "quota": "the balance is used up", "no_model": "the model does not exist", "rate_limited": "too many requests",
}  # fmt: skip
KEY = re.compile(r"[!-~]{2,}")
"""Any key of this form is an account of its own."""


class Refusal(Exception):
    """What the vendor answers instead. Its status and code are those that the preset has for the kind."""

    def __init__(self, kind: Kind, message: str = "") -> None:
        super().__init__(message or MESSAGES.get(kind, kind))
        self.kind: Kind = kind


class PresetSimulator:
    def __init__(self, preset: Preset, world: World) -> None:
        self.preset = preset
        self.world = world
        self.base = urlsplit(preset.base_url).path
        known = preset.simulator
        listed = [Model(name) for name in known.models]
        listed += [Model(name, kind="embedding", dimensions=width) for name, width in known.embeddings.items()]
        listed += [Model(name, kind="rerank") for name in known.rerank]
        self.models = world.models or {model.id: model for model in listed}
        self.fields = dict(taken(preset))
        self._number = 0

    async def handle(self, request: Request) -> Reply:
        try:
            account = self.authenticate(request)
            embeddings = self.preset.embeddings
            match request.method, request.path.removeprefix(self.base):
                case "POST", path if path == self.preset.chat.path or path == f"{self.beta}{self.preset.chat.path}":
                    return await self.chat(account, self.unmarked(request, path))
                case "POST", path if embeddings and path == embeddings.path:
                    return self.embed(account, self.body(request))
                case "POST", path if self.preset.rerank and path == self.preset.rerank.path:
                    return self.rank(account, self.body(request))
                case "GET", "/models":
                    return json_reply(200, {"object": "list", "data": [{"id": name, "object": "model"} for name in self.models]})
            raise Refusal("no_model", f"{request.method} {request.path} does not exist")
        except Refusal as refusal:
            return self.error(refusal)

    def error(self, refusal: Refusal) -> Reply:
        """The preset's envelope around its own code for what is wrong."""
        status, code, words = self.code(refusal.kind)
        number = int(code) if code.isdigit() else status
        told = {"$message": f"{words}{refusal}", "$code": code, "$number": number, "$status": status}
        envelope = self.preset.simulator.envelope or {"error": {"message": "$message", "type": "$code", "param": None, "code": "$code"}}
        return json_reply(status, filled(envelope, told))

    def code(self, kind: Kind) -> tuple[int, str, str]:
        """(HTTP status, code, words that the message begins with): the first that the preset has for the kind, else what comes closest."""
        known = self.preset.simulator
        numbers = "$number" in str(known.envelope)
        for wanted in (kind, "bad_request") if known.status else (kind,):
            for name, means in self.preset.chat.errors.items():
                status, colon, code = name.rpartition(":")
                code = code.removesuffix(".*")
                if means == wanted and (code.isdigit() or not numbers):
                    return known.status or (int(status) if colon else STATUS.get(kind, 500)), code, ""
        words = next((f"{text}: " for text, means in self.preset.chat.words.items() if means == kind), "")
        return known.status or STATUS.get(kind, 500), ELSE["bad_request"] if words else ELSE.get(kind, "server_error"), words

    def authenticate(self, request: Request) -> str:
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        if kind := TROUBLES.get(trouble(key) or ""):
            raise Refusal(kind)
        if scheme.lower() != "bearer" or not KEY.fullmatch(key):
            raise Refusal("auth")
        return key

    def body(self, request: Request) -> Json:
        body = read_body(request)
        if body is None:
            raise Refusal("bad_request", "the body is not a JSON object")
        return {field: value for field, value in body.items() if value is not None}

    @property
    def beta(self) -> str:
        """The path of the address where an unfinished turn is gone on with, if that is another."""
        return self.preset.chat.goes_on.base if self.preset.chat.goes_on else ""

    def unmarked(self, request: Request, path: str) -> Json:
        """The body; a turn may be marked as unfinished only where that is offered, and only the last one. Raises Refusal."""
        body = self.body(request)
        mark = self.preset.chat.goes_on.mark if self.preset.chat.goes_on else {}
        turns = body.get("messages")
        marked = [bool(mark.keys() & turn.keys()) for turn in turns if isinstance(turn, dict)] if isinstance(turns, list) else []
        if any(marked[:-1]) or (any(marked) and self.beta and not path.startswith(self.beta)):
            raise Refusal("bad_request", "only the last turn can be unfinished, and only where that is offered")
        return body

    def rank(self, account: str, body: Json) -> Reply:
        self._number += 1
        bad = partial(Refusal, "bad_request")
        return json_reply(200, rank(self.preset, self.world, account, self.model(body, "rerank"), body, self._number, bad))

    def model(self, body: Json, kind: str) -> Model:
        name = body.get("model")
        model = self.models.get(name) if isinstance(name, str) else None
        if model is None or model.kind != kind:
            raise Refusal("no_model")
        return model

    # ---- chat ----

    async def chat(self, account: str, body: Json) -> Reply:
        model = self.model(body, "chat")
        asks = self.understand(body, model)
        text = "".join(message.text for message in asks[0].messages)
        if UNSAFE_INPUT in text:
            raise Refusal("refused")
        if model.context and count(text) > model.context:
            raise Refusal("too_long")
        self._number += 1
        head = {"id": f"chatcmpl-{self.preset.name}-{self._number}", "created": int(self.world.now()), "model": model.id}
        head |= self.preset.simulator.reply
        blocked = UNSAFE_OUTPUT in text
        if body.get("stream"):
            asked = (body.get("stream_options") or {}).get("include_usage") is True
            return sse_reply(self.frames(account, model, asks, head, blocked, asked))
        answers = [await whole(self.world.brain, ask) for ask in asks]
        end = together([answer.end for answer in answers])
        self.world.charge(self.preset.name, account, model.id, end)
        choices = [
            {"index": i, "message": self.spoken(answer), "finish_reason": self.reason(answer.end, blocked)}
            for i, answer in enumerate(answers)
        ]
        return json_reply(200, {**head, "object": "chat.completion", "choices": choices, "usage": usage(end)})

    def understand(self, body: Json, model: Model) -> list[Ask]:
        """One for each answer wanted. Raises Refusal."""
        for field, value in body.items():
            if field not in self.fields:
                raise Refusal("bad_request", f"{field} is not a parameter of this API")
            if wrong := check_field(field, value, self.fields[field], model):
                raise Refusal("bad_request", f"{field}: {wrong}")
        think = self.thinks(body, model)
        said = self.preset.chat.fields.get("messages")
        if wrong := check_messages(body.get("messages"), said if isinstance(said, Only) else None, model, think=think):
            raise Refusal("bad_request", f"messages: {wrong}")
        options = body.get("stream_options", {})
        if not isinstance(options, dict) or options.keys() - {"include_usage"} or (options and not body.get("stream")):
            raise Refusal("bad_request", "stream_options is for streams")
        choice, form, stop = body.get("tool_choice", "auto"), body.get("response_format", {"type": "text"}), body.get("stop", [])
        schema = None if form["type"] == "text" else (form.get("json_schema") or {}).get("schema") or {}
        return [
            Ask(
                understand(body["messages"]),
                understand_tools(body.get("tools")),
                choice=choice if isinstance(choice, str) else choice["function"]["name"],
                schema=schema,
                stop=(stop,) if isinstance(stop, str) else tuple(stop),
                most=next((body[field] for field, said in self.fields.items() if isinstance(said, MostTokens) and field in body), None),
                think=think,
                temperature=body["temperature"] if is_number(body.get("temperature")) else None,
                index=index,
            )
            for index in range(body.get("n", 1))
        ]

    def thinks(self, body: Json, model: Model) -> bool:
        said = self.preset.chat.fields.get("reasoning_effort")
        if model.thinking in ("none", "always"):
            return model.thinking == "always"
        switch = body.get(said.switch) if isinstance(said, Efforts) and said.switch else None
        if isinstance(said, Efforts) and switch is not None:
            return bool(switch == said.enabled)
        return "reasoning_effort" in body or model.thinking in ("switch", "effort")

    def spoken(self, answer: Answer) -> Json:
        message: Json = {"role": "assistant", "content": answer.text}
        if answer.thought and self.preset.chat.reasoning == "think_tags":
            message["content"] = f"<think>\n{answer.thought}\n</think>\n\n{answer.text}"
        elif answer.thought:
            message[self.preset.chat.reasoning] = answer.thought
        if answer.calls:
            calls = openai_calls(answer.calls)
            message["tool_calls"] = calls[0] if self.preset.simulator.call_alone and len(calls) == 1 else calls
        return message

    def reason(self, end: End, blocked: bool) -> str:
        """In the vendor's own word, where it has one."""
        reason = "content_filter" if blocked else end.reason
        return next((own for own, openai in self.preset.chat.finish.items() if openai == reason), reason)

    async def frames(self, account: str, model: Model, asks: list[Ask], head: Json, blocked: bool, asked: bool) -> AsyncIterator[bytes]:
        """The role alone; words; calls in fragments; the finish, unless `[DONE]` says it. Usage in the last chunk, or after it if asked."""
        head = {**head, "object": "chat.completion.chunk"}
        ends: list[End] = []
        for index, ask in enumerate(asks):
            yield data({**head, "choices": [{"index": index, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}]})
            async for delta, end in self.deltas(ask):
                if end is None:
                    yield data({**head, "choices": [{"index": index, "delta": delta, "finish_reason": None}]})
                    continue
                ends.append(end)
                finish = None if self.preset.simulator.done_alone else self.reason(end, blocked)
                last = {**head, "choices": [{"index": index, "delta": {}, "finish_reason": finish}]}
                yield data(last if "stream_options" in self.fields or len(ends) < len(asks) else {**last, "usage": usage(together(ends))})
        self.world.charge(self.preset.name, account, model.id, together(ends))
        if asked:
            yield data({**head, "choices": [], "usage": usage(together(ends))})
        yield b"data: [DONE]\n\n"

    async def deltas(self, ask: Ask) -> AsyncIterator[tuple[Json, End | None]]:
        tags, calls, thought = self.preset.chat.reasoning == "think_tags", 0, False
        async for piece in self.world.brain.answer(ask):
            if thought and tags and not isinstance(piece, Thought):
                yield {"content": "\n</think>\n\n"}, None
                thought = False
            match piece:
                case Thought():
                    yield (
                        (
                            {"content": piece.text if thought else f"<think>\n{piece.text}"}
                            if tags
                            else {self.preset.chat.reasoning: piece.text}
                        ),
                        None,
                    )
                    thought = True
                case Text():
                    yield {"content": piece.text}, None
                case Call():
                    for delta in fragments(piece, calls):
                        yield delta, None
                    calls += 1
                case End():
                    yield {}, piece

    # ---- embeddings ----

    def embed(self, account: str, body: Json) -> Reply:
        model = self.model(body, "embedding")
        fields = {"model", "input", "encoding_format", "dimensions"} if model.allowed_dimensions else {"model", "input", "encoding_format"}
        for field in body.keys() - fields:
            raise Refusal("bad_request", f"{field} is not a parameter of this API")
        texts = [body["input"]] if isinstance(body.get("input"), str) else body.get("input")
        if not isinstance(texts, list) or not texts or not all(isinstance(text, str) and text for text in texts):
            raise Refusal("bad_request", "input must be a string or a list of strings")
        width = body.get("dimensions", model.dimensions or 1024)
        if (model.batch and len(texts) > model.batch) or body.get("encoding_format", "float") != "float":
            raise Refusal("bad_request", "too many inputs, or not floats")
        if width != (model.dimensions or 1024) and width not in model.allowed_dimensions:
            raise Refusal("bad_request", "the model has no vectors of this width")
        if model.context and any(count(text) > model.context for text in texts):
            raise Refusal("too_long")
        end = End("stop", sum(map(count, texts)), 0)
        self.world.charge(self.preset.name, account, model.id, end)
        vectors = [{"object": "embedding", "index": i, "embedding": vector(text, width)} for i, text in enumerate(texts)]
        told = {"prompt_tokens": end.prompt, "total_tokens": end.prompt}
        return json_reply(200, {"object": "list", "model": model.id, "data": vectors, "usage": told})


def taken(preset: Preset) -> Iterator[tuple[str, Any]]:
    """The fields that the vendor takes, under its own names, each with the word that limits it."""
    yield from (("model", "native"), ("messages", "native"), ("stream", "native"))
    for field, said in preset.chat.fields.items():
        match said:
            case Rename():
                yield said.rename, "native"
            case Drop() | DropUnless() | "kept_here":
                continue
            case Clamp():
                yield said.to or field, said
            case MostTokens():
                yield said.most_tokens, said
            case Efforts():
                yield from ([(said.switch, said)] if said.switch else [])
                yield from ([(field, said)] if said.efforts else [])
            case "ask_for_usage":
                yield "stream_options", "native"
            case _:
                yield field, said


def fragments(call: Call, number: int) -> Iterator[Json]:
    """A call as OpenAI streams it: its name, then its arguments in two pieces."""
    half = len(call.arguments) // 2
    first = openai_calls([call])[0]
    yield {"tool_calls": [{**first, "index": number, "function": {"name": call.name, "arguments": ""}}]}
    for piece in (call.arguments[:half], call.arguments[half:]):
        yield {"tool_calls": [{"index": number, "function": {"arguments": piece}}]}


def together(ends: list[End]) -> End:
    """Several answers to one prompt as one bill."""
    first = ends[0]
    return End(first.reason, first.prompt, sum(end.completion for end in ends), sum(end.reasoning for end in ends), first.cached)


def usage(end: End) -> Json:
    told: Json = {"prompt_tokens": end.prompt, "completion_tokens": end.completion, "total_tokens": end.total}
    told["prompt_tokens_details"] = {"cached_tokens": end.cached}
    told["completion_tokens_details"] = {"reasoning_tokens": end.reasoning}
    return told


def filled(template: Any, told: Json) -> Any:
    """The envelope with what is told in the places that are marked for it."""
    if isinstance(template, dict):
        return {key: filled(value, told) for key, value in template.items()}
    return told.get(template, template) if isinstance(template, str) else template
