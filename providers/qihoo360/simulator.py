"""360's side of the wire, as strict as what is known of it (read 2026-11-23).

Where nothing is known of a field, it is refused: an adapter that sends it would be wrong somewhere. What has no known code has its status.
"""

import re
from collections.abc import AsyncIterator
from hashlib import sha256
from typing import Any

from providers.base import Json, Model
from providers.qihoo360.simulator_checks import Refusal, bad, check_chat
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
    vector,
    whole,
)

EMBEDDINGS_FIELDS = frozenset({"model", "input"})
KEY = re.compile(r"fk[A-Za-z0-9][A-Za-z0-9._-]*")
"""Any key of this form is an account of its own."""
BATCH, LONGEST, WIDTH = 16, 512, 768

TROUBLES = {
    "invalid": (401, "1002", "Invalid API key."),
    "expired": (401, "1002", "The API key has expired."),
    "arrears": (402, "402", "账户余额不足"),
    "quota": (402, "402", "套餐额度已用完"),
    "limited": (429, "1005", "tpm limit reached"),
}


class Qihoo:
    def __init__(self, world: World) -> None:
        self.world = world
        self._number = 0

    async def handle(self, request: Request) -> Reply:
        try:
            account = authenticate(request)
            match request.method, request.path:
                case "POST", "/v1/chat/completions":
                    return await self.chat(account, read(request))
                case "POST", "/v1/embeddings":
                    return self.embeddings(account, read(request))
                case "GET", "/v1/models":
                    return json_reply(200, {"object": "list", "data": [shown(model) for model in self.world.models.values()]})
            raise Refusal(404, "404", f"{request.method} {request.path} does not exist")
        except Refusal as refusal:
            return refusal.reply

    def model(self, body: Json, kind: str) -> Model:
        name = body.get("model")
        if not isinstance(name, str):
            raise bad("model must be a string")
        model = self.world.models.get(name)
        if model is None or model.kind != kind:
            raise Refusal(404, "404", f"The model `{name}` does not exist.")
        return model

    # ---- chat ----

    async def chat(self, account: str, body: Json) -> Reply:
        model = self.model(body, "chat")
        ask = check_chat(body, model)
        words = "".join(message.text for message in ask.messages)
        if UNSAFE_INPUT in words:
            raise Refusal(400, "400", "输入内容包含敏感信息")
        if model.context and count(words) > model.context:
            raise Refusal(400, "400", f"The prompt is too long: this model's context length is {model.context} tokens.")
        self._number += 1
        mark = sha256(f"{self._number}".encode()).hexdigest()[:8]
        head = {"id": f"chatcmpl-360-{mark}", "created": int(self.world.now()), "model": model.id}
        blocked = UNSAFE_OUTPUT in words
        if body.get("stream"):
            usage_wanted = "stream_options" not in body or body["stream_options"]["include_usage"]
            return sse_reply(self.frames(account, model, ask, head, blocked, usage_wanted=usage_wanted))
        answer = await whole(self.world.brain, ask)
        self.world.charge("qihoo360", account, model.id, answer.end)
        choice = {"index": 0, "message": spoken(answer), "finish_reason": "content_filter" if blocked else answer.end.reason}
        return json_reply(200, {**head, "object": "chat.completion", "choices": [choice], "usage": usage(answer.end)})

    async def frames(
        self, account: str, model: Model, ask: Ask, head: Json, blocked: bool, *, usage_wanted: bool
    ) -> AsyncIterator[bytes]:  # fmt: skip
        """The first chunk has the role; the last one has the reason to finish and the usage."""
        head = {**head, "object": "chat.completion.chunk"}
        delta: Json = {"role": "assistant", "content": ""}
        calls = 0
        yield data({**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
        async for piece in self.world.brain.answer(ask):
            last: Json = {}
            reason: str | None = None
            match piece:
                case Thought():
                    delta = {"reasoning_content": piece.text}
                case Text():
                    delta = {"content": piece.text}
                case Call():
                    delta = {"tool_calls": [{**openai_calls([piece])[0], "index": calls}]}
                    calls += 1
                case End():
                    self.world.charge("qihoo360", account, model.id, piece)
                    delta, reason = {}, "content_filter" if blocked else piece.reason
                    last = {"usage": usage(piece)} if usage_wanted else {}
            yield data({**head, "choices": [{"index": 0, "delta": delta, "finish_reason": reason}], **last})
        yield b"data: [DONE]\n\n"

    # ---- embeddings ----

    def embeddings(self, account: str, body: Json) -> Reply:
        model = self.model(body, "embedding")
        for field in body.keys() - EMBEDDINGS_FIELDS:
            raise bad(f"unknown parameter: {field}")
        texts = [body["input"]] if isinstance(body.get("input"), str) else body.get("input")
        if not isinstance(texts, list) or not texts or not all(isinstance(text, str) and text for text in texts):
            raise bad("input must be a string or a list of strings")
        if len(texts) > (model.batch or BATCH):
            raise bad(f"input: at most {model.batch or BATCH} texts")
        if any(count(text) > (model.context or LONGEST) for text in texts):
            raise Refusal(400, "400", f"input is too long: at most {model.context or LONGEST} tokens")
        end = End("stop", sum(map(count, texts)), 0)
        self.world.charge("qihoo360", account, model.id, end)
        width = model.dimensions or WIDTH
        vectors = [{"object": "embedding", "index": i, "embedding": vector(text, width)} for i, text in enumerate(texts)]
        told = {"prompt_tokens": end.prompt, "total_tokens": end.prompt}
        return json_reply(200, {"object": "list", "data": vectors, "model": model.id, "usage": told})


def authenticate(request: Request) -> str:
    """The account that a key stands for, which comes with `Bearer` or without. Raises Refusal."""
    key = request.headers.get("authorization", "").removeprefix("Bearer ")
    if refusal := TROUBLES.get(trouble(key) or ""):
        raise Refusal(*refusal)
    if not KEY.fullmatch(key):
        raise Refusal(*TROUBLES["invalid"])
    return key


def read(request: Request) -> Json:
    body = read_body(request)
    if body is None:
        raise bad("the body is not a JSON object")
    return {field: value for field, value in body.items() if value is not None}


def shown(model: Model) -> Json:
    """A row of /models, whose limits are 360's addition."""
    return {"id": model.id, "object": "model", "max_tokens": model.output, "total_tokens": model.context}


def usage(end: End) -> Json:
    return {"prompt_tokens": end.prompt, "completion_tokens": end.completion, "total_tokens": end.total}


def spoken(answer: Answer) -> dict[str, Any]:
    message: Json = {"role": "assistant", "content": answer.text}
    if answer.thought:
        message["reasoning_content"] = answer.thought
    if answer.calls:
        message["tool_calls"] = openai_calls(answer.calls)
    return message


SIMULATOR = Qihoo
