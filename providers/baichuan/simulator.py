"""Baichuan's side of the wire, as strict as what is known of it (read 2026-11-23).

Where the documents do not say whether a field is refused or passed over, it is refused: an adapter that sends it would be wrong somewhere.
"""

import re
from collections.abc import AsyncIterator, Mapping
from hashlib import sha256
from typing import Any

from providers.base import Json, Model
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

CHAT_FIELDS = frozenset({
    "model", "messages", "stream", "temperature", "top_p", "top_k", "max_tokens", "tools", "tool_choice", "with_search_enhance",
    "knowledge_base", "response_format", "metadata",
})  # fmt: skip
EMBEDDINGS_FIELDS = frozenset({"model", "input"})
KEY = re.compile(r"sk-[A-Za-z0-9][A-Za-z0-9._-]*")
"""Any key of this form is an account of its own."""

TROUBLES = {
    "invalid": (401, "invalid_api_key", "Incorrect API key provided."),
    "expired": (401, "invalid_api_key", "The API key has expired."),
    "arrears": (402, "insufficient_quota", "Your account balance is not enough."),
    "quota": (403, "insufficient_quota", "You exceeded your current quota."),
    "limited": (429, "rate_limit_exceeded", "Rate limit reached for requests per minute."),
}
TYPES = {401: "authentication_error", 402: "insufficient_quota", 403: "insufficient_quota", 429: "rate_limit_error"}

ROLES: Mapping[str, frozenset[str]] = {
    "system": frozenset({"role", "content"}),
    "user": frozenset({"role", "content"}),
    "assistant": frozenset({"role", "content", "tool_calls"}),
    "tool": frozenset({"role", "content", "tool_call_id"}),
}
"""Which keys a message may have."""


class Refusal(Exception):
    """What Baichuan answers instead."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        kind = TYPES.get(status, "invalid_request_error")
        self.reply = json_reply(status, {"error": {"message": message, "type": kind, "param": None, "code": code}})


def bad(message: str, code: str = "invalid_parameter_error") -> Refusal:
    return Refusal(400, code, message)


class Baichuan:
    def __init__(self, world: World) -> None:
        self.world = world
        self._number = 0

    async def handle(self, request: Request) -> Reply:
        self._number += 1
        mark = sha256(f"{self._number}".encode()).hexdigest()[:12]
        try:
            reply = await self.answer(authenticate(request), request, f"chatcmpl-M{mark}")
        except Refusal as refusal:
            reply = refusal.reply
        return Reply(reply.status, reply.body, {**reply.headers, "x-bc-request-id": mark})

    async def answer(self, account: str, request: Request, reply_id: str) -> Reply:
        match request.method, request.path:
            case "POST", "/v1/chat/completions":
                return await self.chat(account, read(request), reply_id)
            case "POST", "/v1/embeddings":
                return self.embeddings(account, read(request))
            case "GET", "/v1/models":
                return json_reply(200, {"data": [shown(model) for model in self.world.models.values() if model.kind == "chat"]})
        raise Refusal(404, "not_found", f"{request.method} {request.path} does not exist.")

    def model(self, body: Json, kind: str) -> Model:
        """Ids are told apart by case."""
        name = body.get("model")
        model = self.world.models.get(name) if isinstance(name, str) else None
        if model is None or model.kind != kind:
            raise Refusal(404, "model_not_found", f"The model `{name}` does not exist.")
        return model

    # ---- chat ----

    async def chat(self, account: str, body: Json, reply_id: str) -> Reply:
        model = self.model(body, "chat")
        ask = check_chat(body, model)
        words = "".join(message.text for message in ask.messages)
        if UNSAFE_INPUT in words:
            raise bad("The request was rejected because it was considered high risk", "content_filter")
        if model.context and count(words) > model.context:
            raise bad(f"This model's maximum context length is {model.context} tokens.", "invalid_request_error")
        head = {"id": reply_id, "created": int(self.world.now()), "model": model.id}
        blocked = UNSAFE_OUTPUT in words
        if body.get("stream"):
            return sse_reply(self.frames(account, model, ask, head, blocked))
        answer = await whole(self.world.brain, ask)
        self.world.charge("baichuan", account, model.id, answer.end)
        choice = {"index": 0, "message": spoken(answer, model), "finish_reason": "content_filter" if blocked else answer.end.reason}
        return json_reply(200, {**head, "object": "chat.completion", "choices": [choice], "usage": usage(answer.end)})

    async def frames(self, account: str, model: Model, ask: Ask, head: Json, blocked: bool) -> AsyncIterator[bytes]:
        """The role is in the first chunk; the last one with words has the finish_reason and the usage too."""
        head = {**head, "object": "chat.completion.chunk"}
        held: Json = {"role": "assistant"}
        async for delta, end in self.deltas(ask, model):
            if end is None:
                if len(held) > 1 or "role" not in held:
                    yield data({**head, "choices": [{"index": 0, "delta": held, "finish_reason": None}]})
                    held = delta
                else:
                    held |= delta
                continue
            self.world.charge("baichuan", account, model.id, end)
            reason = "content_filter" if blocked else end.reason
            yield data({**head, "choices": [{"index": 0, "delta": held, "finish_reason": reason}], "usage": usage(end)})
        yield b"data: [DONE]\n\n"

    async def deltas(self, ask: Ask, model: Model) -> AsyncIterator[tuple[Json, End | None]]:
        calls, thought = 0, False
        async for piece in self.world.brain.answer(ask):
            match piece:
                case Thought():
                    yield said_thought(piece.text, model, first=not thought), None
                    thought = True
                    continue
                case Text():
                    close = "</think>\n\n" if thought and tags(model) else ""
                    yield {"content": close + piece.text}, None
                case Call():
                    if thought and tags(model):
                        yield {"content": "</think>\n\n"}, None
                    yield {"tool_calls": [{**openai_calls([piece])[0], "index": calls}]}, None
                    calls += 1
                case End():
                    yield {}, piece
            thought = False

    # ---- embeddings ----

    def embeddings(self, account: str, body: Json) -> Reply:
        model = self.model(body, "embedding")
        for field in body.keys() - EMBEDDINGS_FIELDS:
            raise bad(f"{field} is not a parameter of this API")
        texts = [body["input"]] if isinstance(body.get("input"), str) else body.get("input")
        if not isinstance(texts, list) or not texts or not all(isinstance(text, str) and text for text in texts):
            raise bad("input must be a string or a list of strings")
        if len(texts) > (model.batch or 16):
            raise bad(f"input: at most {model.batch or 16} texts")
        if any(count(text) > (model.context or 512) for text in texts):
            raise bad(f"input: this model's maximum context length is {model.context or 512} tokens", "invalid_request_error")
        end = End("stop", sum(map(count, texts)), 0)
        self.world.charge("baichuan", account, model.id, end)
        vectors = [{"object": "embedding", "embedding": vector(text, model.dimensions or 1024), "index": i} for i, text in enumerate(texts)]
        told = {"prompt_tokens": end.prompt, "total_tokens": end.prompt}
        return json_reply(200, {"object": "list", "data": vectors, "model": model.id, "usage": told})


def authenticate(request: Request) -> str:
    """The account that a key stands for. Raises Refusal."""
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if refusal := TROUBLES.get(trouble(key) or ""):
        raise Refusal(*refusal)
    if scheme.lower() != "bearer" or not KEY.fullmatch(key):
        raise Refusal(*TROUBLES["invalid"])
    return key


def read(request: Request) -> Json:
    body = read_body(request)
    if body is None:
        raise bad("The body is not a JSON object", "invalid_request_error")
    return {field: value for field, value in body.items() if value is not None}


def shown(model: Model) -> Json:
    """A row of /models, which is not OpenAI's."""
    return {
        "model": model.id,
        "model_show_name": model.id,
        "max_input_length": model.context,
        "max_tokens": model.output,
        "function_call": model.tools is True,
    }


def usage(end: End) -> Json:
    return {"prompt_tokens": end.prompt, "completion_tokens": end.completion, "total_tokens": end.total, "search_count": 0}


def tags(model: Model) -> bool:
    """M2 is served as its open weights speak: with its thoughts in the text."""
    return model.id == "Baichuan-M2"


def said_thought(text: str, model: Model, *, first: bool) -> Json:
    return {"content": ("<think>\n" if first else "") + text} if tags(model) else {"reasoning_content": text}


def spoken(answer: Answer, model: Model) -> Json:
    message: Json = {"role": "assistant", "content": answer.text}
    if answer.thought and tags(model):
        message["content"] = f"<think>\n{answer.thought}</think>\n\n{answer.text}"
    elif answer.thought:
        message["reasoning_content"] = answer.thought
    if answer.calls:
        message["tool_calls"] = openai_calls(answer.calls)
    return message


# ---- what is refused ----


def check_chat(body: Json, model: Model) -> Ask:
    """The request as Baichuan reads it. Raises Refusal."""
    for field in body.keys() - CHAT_FIELDS:
        raise bad(f"{field} is not a parameter of this API")
    check_numbers(body, model)
    for field, kind in (("stream", bool), ("with_search_enhance", bool), ("knowledge_base", dict), ("metadata", dict)):
        if not isinstance(body.get(field, kind()), kind):
            raise bad(f"{field} has the wrong type")
    if body.get("metadata", {}).keys() - {"evidence_scope"} or body.get("metadata", {}).get("evidence_scope", "cited") not in (
        "grounded",
        "cited",
    ):
        raise bad("metadata.evidence_scope must be grounded or cited")
    check_messages(body.get("messages"), model)
    tools = check_tools(body.get("tools", []), model)
    choice = body.get("tool_choice", "auto")
    if choice not in ("auto", "none"):
        raise bad("tool_choice must be auto or none")
    form = body.get("response_format", {"type": "text"})
    forms = ("text", "json_object") if model.json in ("object", "schema") else ("text",)
    if not isinstance(form, dict) or form.keys() != {"type"} or form["type"] not in forms:
        raise bad(f"response_format.type must be one of {', '.join(forms)} for this model")
    return Ask(
        understand(body["messages"]),
        understand_tools(tools),
        choice=choice,
        schema={} if form["type"] == "json_object" else None,
        most=body.get("max_tokens"),
        think=model.thinking == "always",
        temperature=body.get("temperature"),
    )


def check_numbers(body: Json, model: Model) -> None:
    whole_numbers = (("top_k", 0, 20), ("max_tokens", 1, model.output or 1 << 31))
    for field, low, high in whole_numbers:
        value = body.get(field, low)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise bad(f"{field} must be an integer within [{low}, {high}]")
    for field, below in (("temperature", 1.0001), ("top_p", 1.0)):
        value = body.get(field, 0)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < below:
            raise bad(f"{field} is out of range")


def check_messages(messages: Any, model: Model) -> None:
    if not isinstance(messages, list) or not messages:
        raise bad("messages must not be empty")
    waiting: set[str] = set()
    for number, message in enumerate(messages):
        role = message.get("role") if isinstance(message, dict) else None
        if not isinstance(role, str) or role not in ROLES or message.keys() - ROLES[role]:
            raise bad(f"messages[{number}]: unknown role or key")
        if role == "system" and number:
            raise bad("messages: a system message must be the first one")
        check_content(message, number, model)
        if role == "tool":
            call = message.get("tool_call_id")
            if not isinstance(call, str) or call not in waiting:
                raise bad(f"messages[{number}].tool_call_id answers no call")
            waiting = waiting - {call}
            continue
        if waiting:
            raise bad(f"messages[{number}]: a call is unanswered")
        waiting = check_calls(message.get("tool_calls"), number)
    if messages[-1]["role"] not in ("user", "tool"):
        raise bad("messages: the last message must be of user or tool")


def check_content(message: Json, number: int, model: Model) -> None:
    content = message.get("content")
    if isinstance(content, str) and (content or message.get("tool_calls") or message["role"] == "tool"):
        return
    if not isinstance(content, list) or not content or message["role"] != "user":
        raise bad(f"messages[{number}].content must be text")
    for part in content:
        kind = part.get("type") if isinstance(part, dict) else None
        if kind == "text" and isinstance(part.get("text"), str) and part.keys() == {"type", "text"}:
            continue
        if kind == "file" and model.id.startswith("Baichuan-M") and part.keys() == {"type", "file_id"} and part["file_id"]:
            continue
        raise bad(f"messages[{number}].content: this model does not take such a part")


def check_calls(calls: Any, number: int) -> set[str]:
    """The ids of the calls in a message. Raises Refusal."""
    if not isinstance(calls or [], list):
        raise bad(f"messages[{number}].tool_calls must be a list")
    for call in calls or []:
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict) or not all(
            isinstance(v, str) for v in (call.get("id"), function.get("name"), function.get("arguments"))
        ):
            raise bad(f"messages[{number}].tool_calls is malformed")
    return {call["id"] for call in calls or []}


def check_tools(tools: Any, model: Model) -> list[Json]:
    if not isinstance(tools, list):
        raise bad("tools must be a list")
    for tool in tools:
        kind = tool.get("type") if isinstance(tool, dict) else None
        if kind == "function":
            check_function(tool.get("function"), model)
        elif kind not in ("web_search", "retrieval") or not isinstance(tool.get(kind), dict):
            raise bad("tools: unknown kind of tool")
    return tools


def check_function(function: Any, model: Model) -> None:
    if model.tools is False:
        raise bad("tools: this model does not call functions")
    if not isinstance(function, dict) or function.keys() - {"name", "description", "parameters"}:
        raise bad("tools.function: unknown key")
    if not isinstance(function.get("name"), str) or not re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", function["name"]):
        raise bad("tools.function.name is malformed")
    if not isinstance(function.get("description", ""), str) or not isinstance(function.get("parameters", {}), dict):
        raise bad("tools.function: description must be text, parameters a JSON schema")


SIMULATOR = Baichuan
