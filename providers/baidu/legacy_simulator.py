"""Baidu's side of the older API (wenxinworkshop): errors under HTTP 200, turns that alternate, streams without [DONE].

As strict as the pages of WENXINWORKSHOP, qianfan 0.4.12.3 and its mock server (read 2026-11-23) say it is; what they leave open is refused.
"""

from collections.abc import AsyncIterator, Mapping
from typing import Any

from providers.baidu.accounts_simulator import Accounts, Denied
from providers.baidu.checks_simulator import are_stops, functions_named, is_call, is_function, is_list, is_number, is_words
from providers.baidu.rerank_simulator import rerank
from providers.base import Json, Model, decode
from providers.simulation import (
    UNSAFE_INPUT,
    UNSAFE_OUTPUT,
    Answer,
    Ask,
    Call,
    End,
    Message,
    Reply,
    Request,
    Text,
    Tool,
    World,
    count,
    data,
    json_reply,
    read_body,
    sse_reply,
    trouble,
    vector,
    whole,
)

PREFIX = "/rpc/2.0/ai_custom/v1/wenxinworkshop/"
LIMITS = {"X-Ratelimit-Limit-Tokens": "300000", "X-Ratelimit-Limit-Requests": "3000"}
NUMBERS = (("temperature", 1e-9, 1.0), ("top_p", 0.0, 1.0), ("penalty_score", 1.0, 2.0))
CHAT_FIELDS = frozenset(
    [
        "messages",
        "system",
        "stream",
        "temperature",
        "top_p",
        "penalty_score",
        "stop",
        "user_id",
        "max_output_tokens",
        "min_output_tokens",
        "response_format",
        "functions",
        "tool_choice",
        "disable_search",
        "enable_citation",
        "enable_trace",
        "enable_system_memory",
        "system_memory_id",
        "extra_parameters",
    ]
)
BY_TROUBLE = {
    "expired": (111, "Access token expired"),
    "arrears": (17, "Open api daily request limit reached"),
    "quota": (19, "Open api total request limit reached"),
    "limited": (18, "Open api qps request limit reached"),
}


class Refusal(Exception):
    """What the older API answers instead: its code and message, under HTTP 200."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def bad(message: str) -> Refusal:
    return Refusal(336003, message)


class Legacy:
    def __init__(self, world: World, accounts: Accounts) -> None:
        self.world = world
        self.accounts = accounts
        self._number = 0

    async def handle(self, request: Request) -> Reply:
        """A call of a path below PREFIX."""
        self._number += 1
        reply_id = f"as-{self._number:010x}"
        try:
            account = self.authenticate(request)
            if request.method != "POST":
                raise Refusal(336101, "invalid http method")
            kind, _, endpoint = request.path.removeprefix(PREFIX).partition("/")
            body = read_body(request)
            if body is None:
                raise Refusal(336002, "Invalid JSON")
            match kind:
                case "chat":
                    return await self.chat(account, self.model(endpoint, "chat"), body, reply_id)
                case "embeddings":
                    return self.embeddings(account, self.model(endpoint, "embedding"), body, reply_id)
                case "reranker":
                    known = frozenset({"user_id", "stream", "extra_parameters"})
                    return json_reply(200, rerank(self.world, account, self.model(endpoint, "rerank"), body, reply_id, known, bad), LIMITS)
                case "tokenizer" if endpoint == "erniebot":
                    return self.tokenizer(body, reply_id)
            raise Refusal(3, "Unsupported openapi method")
        except Refusal as refusal:
            return json_reply(200, {"error_code": refusal.code, "error_msg": refusal.message, "id": reply_id})

    def authenticate(self, request: Request) -> str:
        """By OAuth's token in the query string, or by a signature."""
        token = request.query.get("access_token")
        if token is not None:
            account = self.accounts.by_access_token(token)
            if account is None and token in self.accounts.access_tokens:
                raise Refusal(111, "Access token expired")
            if account is None:
                raise Refusal(110, "Access token invalid or no longer valid")
        elif "authorization" in request.headers:
            try:
                account = self.accounts.by_signature(request)
            except Denied as denied:
                raise Refusal(14, "IAM Certification failed") from denied
        else:
            raise Refusal(110, "Access token invalid or no longer valid")
        if refusal := BY_TROUBLE.get(trouble(account) or ""):
            raise Refusal(*refusal)
        return account

    def model(self, endpoint: str, kind: str) -> Model:
        for model in self.world.models.values():
            if (model.endpoint or model.id) == endpoint and model.kind == kind and (not model.surfaces or "legacy" in model.surfaces):
                return model
        raise Refusal(3, "Unsupported openapi method")

    # ---- chat ----

    async def chat(self, account: str, model: Model, body: Json, reply_id: str) -> Reply:
        ask = check_chat({field: value for field, value in body.items() if value is not None}, model)
        text = "".join(message.text for message in ask.messages)
        if model.context and count(text) > model.context:
            raise Refusal(336103, "prompt tokens too long")
        head = {"id": reply_id, "object": "chat.completion", "created": int(self.world.now())}
        safety = safety_of(text)
        if body.get("stream"):
            return sse_reply(self.frames(account, model, ask, head, safety), LIMITS)
        answer = await whole(self.world.brain, ask)
        end = self.charge(account, model, answer.end)
        return json_reply(200, {**head, **spoken(answer, safety), "usage": usage(end.prompt, end.completion)}, LIMITS)

    def charge(self, account: str, model: Model, end: End) -> End:
        """The older API has neither a cache nor reasoning to bill."""
        plain = End(end.reason, end.prompt, end.completion)
        self.world.charge("baidu", account, model.id, plain)
        return plain

    async def frames(self, account: str, model: Model, ask: Ask, head: Json, safety: Json) -> AsyncIterator[bytes]:
        """Increments of the text under a running total; a call comes whole, with the last event, which says that it is."""
        number, said = 0, ""
        prompt = count("".join(message.text for message in ask.messages))
        calls: list[Call] = []
        async for piece in self.world.brain.answer(ask):
            event: Json = {**head, "sentence_id": number, "is_end": False, "is_truncated": False, "need_clear_history": False}
            match piece:
                case Text():
                    said += piece.text
                    yield data({**event, "result": piece.text, "usage": usage(prompt, count(said))})
                    number += 1
                case Call():
                    calls.append(piece)
                case End():
                    end = self.charge(account, model, piece)
                    last = spoken(Answer("", "", tuple(calls), end), safety)
                    yield data({**event, **last, "is_end": True, "usage": usage(end.prompt, end.completion)})

    # ---- the rest ----

    def embeddings(self, account: str, model: Model, body: Json, reply_id: str) -> Reply:
        for field in body.keys() - {"input", "user_id", "stream", "extra_parameters"}:
            raise bad(f"unknown parameter {field}")
        texts = body.get("input")
        if not is_list(texts, of=str, least=1) or not all(texts):
            raise bad("the input is invalid")
        if model.batch and len(texts) > model.batch:
            raise bad(f"the max input length is {model.batch}")
        if model.context and any(count(text) > model.context for text in texts):
            raise bad("embeddings max tokens per input is exceeded")
        end = End("stop", sum(map(count, texts)), 0)
        self.world.charge("baidu", account, model.id, end)
        vectors = [{"object": "embedding", "embedding": vector(text, model.dimensions), "index": i} for i, text in enumerate(texts)]
        head = {"id": reply_id, "object": "embedding_list", "created": int(self.world.now())}
        return json_reply(200, {**head, "data": vectors, "usage": {"prompt_tokens": end.prompt, "total_tokens": end.prompt}}, LIMITS)

    def tokenizer(self, body: Json, reply_id: str) -> Reply:
        if not is_words(body.get("prompt")):
            raise bad("prompt is empty")
        tokens = count(body["prompt"])
        told = {"id": reply_id, "object": "tokenizer.erniebot", "created": int(self.world.now())}
        return json_reply(200, {**told, "usage": {"prompt_tokens": tokens, "total_tokens": tokens}}, LIMITS)


def safety_of(text: str) -> Json:
    """How the older API says that something may not be asked, or not be said: never as an error."""
    if UNSAFE_INPUT in text:
        return {"need_clear_history": True, "ban_round": -1, "finish_reason": "content_filter"}
    if UNSAFE_OUTPUT in text:
        return {"is_safe": 0, "finish_reason": "content_filter"}
    return {}


def spoken(answer: Answer, safety: Mapping[str, Any]) -> Json:
    reason = {"stop": "normal", "tool_calls": "function_call"}.get(answer.end.reason, answer.end.reason)
    said: Json = {"result": answer.text, "is_truncated": reason == "length", "need_clear_history": False, "finish_reason": reason}
    if answer.calls:
        call = answer.calls[0]
        said["function_call"] = {"name": call.name, "thoughts": f"{call.name} is needed.", "arguments": call.arguments}
    return {**said, **safety}


def usage(prompt: int, completion: int) -> Json:
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def check_chat(body: Json, model: Model) -> Ask:
    """The request as Baidu reads it. Raises Refusal."""
    for field in body.keys() - CHAT_FIELDS:
        raise bad(f"unknown parameter {field}")
    for field, low, high in NUMBERS:
        if field in body and not is_number(body[field], low, high):
            raise bad(f"the value of {field} is out of range")
    for field in ("max_output_tokens", "min_output_tokens"):
        if field in body and not is_number(body[field], 2, model.output or 1 << 31, whole=True):
            raise bad(f"the value of {field} is out of range")
    if not are_stops(body.get("stop", [])):
        raise bad("stop: at most 4 items of at most 20 characters")
    if body.get("response_format", "text") not in ("text", "json_object") or not isinstance(body.get("stream", False), bool):
        raise bad("response_format and stream must be valid")
    if not isinstance(body.get("user_id", ""), str):
        raise bad("user_id must be a string")
    if not isinstance(body.get("system", ""), str):
        raise Refusal(336104, "system must be a string")
    system = (Message("system", body["system"]),) if body.get("system") else ()
    functions = check_functions(body.get("functions", []), model)
    return Ask(
        system + check_messages(body.get("messages")),
        functions,
        choice=check_choice(body.get("tool_choice"), {tool.name for tool in functions}),
        parallel=False,
        schema={} if body.get("response_format") == "json_object" else None,
        stop=tuple(body.get("stop", ())),
        most=body.get("max_output_tokens"),
        temperature=body.get("temperature"),
    )


def check_messages(messages: Any) -> tuple[Message, ...]:
    if not is_list(messages, of=dict, least=1):
        raise bad("messages can not be empty")
    if len(messages) % 2 == 0:
        raise bad("messages length must be odd")
    return tuple(check_turn(number, message, messages) for number, message in enumerate(messages))


def check_turn(number: int, message: Json, messages: list[Json]) -> Message:
    role, content, call = message.get("role"), message.get("content"), message.get("function_call")
    if role not in (("assistant",) if number % 2 else ("user", "function")):
        raise bad(f"the role of message with index {number} is not as it must be: user and assistant in turns")
    if message.keys() - {"role", "content", "name", "function_call"} or not isinstance(message.get("name", ""), str):
        raise bad(f"message {number} has unknown keys")
    if role == "assistant" and call is not None:
        if not is_call(call) or not isinstance(content, str | None):
            raise bad(f"function_call of message {number} is invalid")
        return Message(role, content or "", calls=(Call("", call["name"], call["arguments"]),))
    if not is_words(content):
        raise bad(f"the content of message {number} can not be empty")
    if role == "function":
        before = messages[number - 1].get("function_call") if number else None
        if not isinstance(before, dict) or before.get("name") != message.get("name") or not is_object(content):
            raise bad(f"message {number} must answer a function_call of its name with a JSON object")
    return Message(str(role), str(content))


def is_object(text: Any) -> bool:
    try:
        decode(text)
    except (ValueError, RecursionError):
        return False
    return True


def check_functions(functions: Any, model: Model) -> tuple[Tool, ...]:
    required = frozenset({"name", "description", "parameters"})
    if not isinstance(functions, list) or not all(is_function(function, required=required) for function in functions):
        raise bad("functions: each has a name, a description and parameters")
    if len(functions_named(functions)) < len(functions):
        raise bad("functions: names must differ")
    if functions and model.tools is False:
        raise bad("functions are not supported by the model")
    return tuple(Tool(function["name"], function["description"], function["parameters"]) for function in functions)


def check_choice(choice: Any, names: set[str]) -> str:
    if choice is None:
        return "auto"
    function = choice.get("function") if isinstance(choice, dict) and choice.get("type") == "function" else None
    name = function.get("name") if isinstance(function, dict) else None
    if not isinstance(name, str) or name not in names:
        raise bad("tool_choice must name one of the functions")
    return name
