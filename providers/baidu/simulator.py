"""Baidu's side of the wire: the v2 API; beside it IAM, OAuth, the older API and a little of the console, each with a host of its own.

As strict as cloud.baidu.com doc/qianfan-api and qianfan 0.4.12.3 (read 2026-11-23) say it is. Where they do not say whether a field is
refused or passed over, it is refused: an adapter that sends it would be wrong somewhere.
"""

import re
from collections.abc import AsyncIterator

from providers.baidu.accounts_simulator import Accounts, Denied, services
from providers.baidu.checks_simulator import is_list
from providers.baidu.checks_v2_simulator import Refusal, bad, check_chat
from providers.baidu.images_simulator import Images
from providers.baidu.legacy_simulator import PREFIX, Legacy
from providers.baidu.rerank_simulator import rerank
from providers.baidu.tuning_simulator import BUCKET, Tuning
from providers.base import Json, Model, encode
from providers.batching_simulation import Batches, Rules
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

BATCHES = Rules(
    "/v2/chat/completions",
    frozenset("input_file_id endpoint completion_window metadata".split()),
    windows=(24, 24),
    most_lines=5000,
    most_bytes=100 << 20,
    one_model=True,
)
FLAG = re.compile(r"\[flag-([1-4])\]")
"""Words in a prompt that make the answer as unsafe as they say: 1 low risk, 2 may be shown, 3 not to be shown, 4 to be taken back."""
LIMITS = {
    "X-Ratelimit-Limit-Requests": "3000",
    "X-Ratelimit-Limit-Tokens": "300000",
    "X-Ratelimit-Remaining-Requests": "2999",
    "X-Ratelimit-Remaining-Tokens": "299000",
}
CHARACTERS = {"embedding-v1": 1000, "bge-large-zh": 2000, "bge-large-en": 2000, "tao-8k": 28000}
"""Most characters of a text to embed, beside the limit of tokens."""
NOT_CERTIFIED = (401, "invalid_request_error", "invalid_iam_token", "IAM Certification failed")
BY_TROUBLE = {
    "invalid": NOT_CERTIFIED,
    "expired": NOT_CERTIFIED,
    "arrears": (403, "access_denied", "account_overdue", "Access denied due to overdue account"),
    "quota": (403, "access_denied", "coding_plan_subscription_expired", "The subscription has expired"),
    "limited": (429, "rate_limit_exceeded", "rpm_rate_limit_exceeded", "Rate limit reached for RPM"),
}


class Baidu:
    def __init__(self, world: World) -> None:
        self.world = world
        self.accounts = Accounts(world)
        self.tuning = Tuning(world)
        self.images = Images(world)
        self.legacy = Legacy(world, self.accounts)
        self.batches = Batches(
            world, BATCHES, self.line, lambda status, message: Refusal(status, "invalid_request_error", "invalid_argument", message)
        )
        self._number = 0

    async def handle(self, request: Request) -> Reply:
        if (file := self.images.shelf.get(request)) is not None:
            return file
        if request.path.startswith(PREFIX):
            return await self.legacy.handle(request)
        match request.method, request.path:
            case "GET", "/v1/BCE-BEARER/token":
                return self.accounts.iam(request)
            case "POST", "/oauth/2.0/token":
                return self.accounts.oauth(request.query)
        if request.path.startswith(("/wenxinworkshop/", BUCKET)) or (request.path.startswith("/v2/") and "Action" in request.query):
            return self.console(request)
        return await self.v2(request)

    def console(self, request: Request) -> Reply:
        """Signed calls about the account's own things, of which there is only the list of services."""
        try:
            account = self.accounts.by_signature(request)
        except Denied as denied:
            return denied.reply
        if request.path.startswith(BUCKET):
            return self.tuning.put(account, request)
        if request.path == "/v2/finetuning":
            return self.tuning.console(account, request)
        if (request.method, request.path) == ("POST", "/wenxinworkshop/service/list"):
            return json_reply(200, services(self.world))
        message = f"{request.path} {request.query.get('Action', '')} is not simulated"
        return json_reply(400, {"requestId": "5f0c2a51-simulated", "code": "InvalidAction", "message": message})

    async def line(self, account: str, body: Json) -> Reply:
        """Of a batch."""
        self._number += 1
        reply_id = f"as-{self._number:010x}"
        try:
            return await self.chat(account, body, reply_id)
        except Refusal as refusal:
            return json_reply(refusal.status, {"error": refusal.error, "id": reply_id})

    async def v2(self, request: Request) -> Reply:
        self._number += 1
        reply_id = f"as-{self._number:010x}"
        try:
            if request.path == "/v2/models" and "authorization" not in request.headers:
                return json_reply(403, {"code": "AccessDenied", "message": "Access denied."})
            account = self.authenticate(request)
            match request.method, request.path:
                case "POST", "/v2/chat/completions":
                    return await self.chat(account, read(request), reply_id)
                case "POST", "/v2/embeddings":
                    return self.embeddings(account, read(request), reply_id)
                case "POST", "/v2/rerank" | "/v2/rerankers":
                    asked = read(request)
                    known = frozenset({"model", "user"})
                    return json_reply(200, rerank(self.world, account, self.model(asked, "rerank"), asked, reply_id, known, bad))
                case "POST", "/v2/images/generations" | "/v2/images/edits":
                    asked, edit = read(request), request.path.endswith("edits")
                    return self.images.make(request, account, self.model(asked, "image"), asked, reply_id, edit=edit)
                case "GET", "/v2/models":
                    return json_reply(200, {"object": "list", "data": [listed(m) for m in self.world.models.values() if served(m)]})
                case _, "/v2/chat/completions" | "/v2/embeddings" | "/v2/models":
                    raise Refusal(405, "invalid_request_error", "method_not_supported", "Only the documented method is supported")
            if (batched := await self.batches.answer(account, request, request.path.removeprefix("/v2"))) is not None:
                return batched
            raise Refusal(404, "invalid_request_error", "invalid_request", "No such API")
        except Refusal as refusal:
            return json_reply(refusal.status, {"error": refusal.error, "id": reply_id}, {"X-Baidu-Request-Id": reply_id})

    def authenticate(self, request: Request) -> str:
        header = request.headers.get("authorization", "")
        account = self.accounts.by_bearer(header)
        if refusal := BY_TROUBLE.get(trouble(account or header) or ""):
            raise Refusal(*refusal)
        if account is None or not header.startswith("Bearer "):
            raise Refusal(*NOT_CERTIFIED)
        return account

    def model(self, body: Json, kind: str) -> Model:
        name = body.get("model")
        if not isinstance(name, str) or not name:
            raise bad("model is empty", "invalid_model")
        model = self.world.models.get(name)
        if model is None or model.kind != kind or not served(model):
            message = "The model does not exist or you do not have access to it."
            raise Refusal(401, "invalid_request_error", "invalid_model", message)
        return model

    # ---- chat ----

    async def chat(self, account: str, body: Json, reply_id: str) -> Reply:
        model = self.model(body, "chat")
        ask = check_chat(body, model)
        check_safety(ask)
        text = "".join(message.text for message in ask.messages)
        if model.context and count(text) > model.context:
            raise bad("Prompt tokens too long", "tokens_too_long")
        flag = 4 if UNSAFE_OUTPUT in text else int(found[1]) if (found := FLAG.search(text)) else 0
        head = {"id": reply_id, "created": int(self.world.now()), "model": model.id}
        headers = {**LIMITS, "X-Baidu-Request-Id": reply_id}
        if body.get("stream"):
            told = (body.get("stream_options") or {}).get("include_usage", False)
            return sse_reply(self.frames(account, ask, head, flag, with_usage=told), headers)
        answer = await whole(self.world.brain, ask)
        self.world.charge("baidu", account, model.id, answer.end)
        return json_reply(200, {**head, "object": "chat.completion", **spoken(answer, flag)}, headers)

    async def frames(self, account: str, ask: Ask, head: Json, flag: int, *, with_usage: bool) -> AsyncIterator[bytes]:
        """Only the first delta has a role, only the last choice a finish_reason; usage is an event of its own, if it was asked for."""
        head = {**head, "object": "chat.completion.chunk"}
        calls, role = 0, {"role": "assistant"}
        async for piece in self.world.brain.answer(ask):
            choice: Json = {"index": 0, "delta": {}, "flag": 0}
            match piece:
                case Thought():
                    choice["delta"] = {**role, "content": "", "reasoning_content": piece.text}
                case Text():
                    choice["delta"] = {**role, "content": piece.text}
                case Call():
                    choice["delta"] = {**role, "content": "", "tool_calls": [{**openai_calls([piece])[0], "index": calls}]}
                    calls += 1
                case End():
                    self.world.charge("baidu", account, head["model"], piece)
                    choice = {"index": 0, "delta": {**role, "content": ""}, "finish_reason": reason(piece, flag), "flag": flag}
            yield data({**head, "choices": [choice]})
            role = {}
            if isinstance(piece, End) and with_usage:
                yield data({**head, "choices": [], "usage": usage(piece)})
        yield b"data: [DONE]\n\n"

    # ---- embeddings ----

    def embeddings(self, account: str, body: Json, reply_id: str) -> Reply:
        model = self.model(body, "embedding")
        for field in body.keys() - {"model", "input", "user", "encoding_format"}:
            raise bad(f"{field} is not supported")
        texts = [body["input"]] if isinstance(body.get("input"), str) else body.get("input")
        if not is_list(texts, of=str, least=1) or not all(texts):
            raise bad("input must not be empty")
        if model.batch and len(texts) > model.batch:
            raise bad(f"input has more than {model.batch} items")
        if any(len(text) > CHARACTERS.get(model.id, len(text)) for text in texts):
            raise bad("Input characters too long", "characters_too_long")
        if model.context and any(count(text) > model.context for text in texts):
            raise bad("Prompt tokens too long", "tokens_too_long")
        if body.get("encoding_format", "float") != "float" or not isinstance(body.get("user", ""), str):
            raise bad("encoding_format and user must be valid")
        end = End("stop", sum(map(count, texts)), 0)
        self.world.charge("baidu", account, model.id, end)
        vectors = [{"object": "embedding", "index": i, "embedding": vector(text, model.dimensions)} for i, text in enumerate(texts)]
        told = {"prompt_tokens": end.prompt, "total_tokens": end.prompt}
        head = {"id": reply_id, "object": "embedding_list", "created": int(self.world.now())}
        return json_reply(200, {**head, "data": vectors, "usage": told}, {**LIMITS, "X-Baidu-Request-Id": reply_id})


def read(request: Request) -> Json:
    body = read_body(request)
    if body is None:
        raise bad("The request body is not valid JSON", "malformed_json")
    return {field: value for field, value in body.items() if value is not None}


def served(model: Model) -> bool:
    return not model.surfaces or "v2" in model.surfaces


def listed(model: Model) -> Json:
    told: Json = {"id": model.id, "object": "model", "type": model.kind, "context_length": model.context}
    return told | ({"max_completions_tokens": model.output} if model.output else {})


def check_safety(ask: Ask) -> None:
    """What may not be asked is refused; what may not be said is no error, but flagged."""
    for message in ask.messages:
        if UNSAFE_INPUT in message.text:
            code = "system_unsafe" if message.role == "system" else "user_setting_unsafe"
            raise Refusal(403, "unsafe_request", code, "The request has unsafe content")
    if any(UNSAFE_INPUT in tool.description or UNSAFE_INPUT in encode(tool.parameters).decode() for tool in ask.tools):
        raise Refusal(403, "unsafe_request", "functions_unsafe", "The request has unsafe content")


def reason(end: End, flag: int) -> str:
    return "content_filter" if flag == 4 else end.reason


def spoken(answer: Answer, flag: int) -> Json:
    message: Json = {"role": "assistant", "content": answer.text}
    if answer.thought:
        message["reasoning_content"] = answer.thought
    if answer.calls:
        message["tool_calls"] = openai_calls(answer.calls)
    choice: Json = {"index": 0, "message": message, "finish_reason": reason(answer.end, flag), "flag": flag}
    return {"choices": [choice | ({"ban_round": 0} if flag else {})], "usage": usage(answer.end)}


def usage(end: End) -> Json:
    told: Json = {"prompt_tokens": end.prompt, "completion_tokens": end.completion, "total_tokens": end.total}
    told["prompt_tokens_details"] = {"cached_tokens": end.cached}
    told["completion_tokens_details"] = {"reasoning_tokens": end.reasoning}
    return told


SIMULATOR = Baidu
