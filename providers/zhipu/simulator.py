"""Zhipu's side of the wire, as strict as docs.bigmodel.cn (read 2026-11-23) says it is.

Where the documents do not say whether a field is refused or passed over, it is refused: an adapter that sends it would be wrong somewhere.
"""

import hmac
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

from providers.base import Json, Model, decode
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
    understand,
    understand_tools,
    vector,
    whole,
)
from providers.zhipu.media_simulator import Media
from providers.zhipu.moderation_simulator import moderation
from providers.zhipu.rerank_simulator import rerank
from providers.zhipu.tuning_simulator import Tuning

CHAT_FIELDS = frozenset(
    "model messages stream thinking reasoning_effort do_sample temperature top_p max_tokens tools tool_choice tool_stream stop "
    "response_format request_id user_id seed sensitive_word_check meta watermark_enabled stream_options".split()
)
BATCHES = Rules(
    "/v4/chat/completions",
    frozenset("input_file_id endpoint auto_delete_input_file completion_window metadata".split()),
    windows=None,
    most_lines=50_000,
    most_bytes=100 << 20,
    one_model=False,
    flat=True,
)
EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
TROUBLES = {
    "invalid": (401, "1000", "身份验证失败"),
    "expired": (401, "1003", "身份验证令牌已过期"),
    "arrears": (429, "1113", "余额不足或无可用资源包,请充值。"),
    "quota": (429, "1304", "已达到该 API 的每日调用上限"),
    "limited": (429, "1302", "您的账户已达到速率限制"),
}


class Refusal(Exception):
    """What Zhipu answers instead: HTTP status, business code, message."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.reply = json_reply(status, {"error": {"code": code, "message": message}})


def bad(message: str, code: str = "1210") -> Refusal:
    return Refusal(400, code, message)


class Zhipu:
    def __init__(self, world: World) -> None:
        self.world = world
        self.tuning = Tuning(world, bad, Refusal)
        self.media = Media(world, bad, self.model, self.body, self.reply_id)
        self.batches = Batches(
            world, BATCHES, self.line, lambda status, message: Refusal(status, "1214" if status == 400 else "1222", message)
        )
        self._number = 0

    async def handle(self, request: Request) -> Reply:
        if (file := self.media.shelf.get(request)) is not None:
            return file
        try:
            account = self.authenticate(request)
            path = re.fullmatch(r"/api/(?:coding/)?paas/v4(/.+)", request.path)
            match request.method, path[1] if path else "":
                case "POST", "/chat/completions":
                    return await self.chat(account, self.body(request))
                case "POST", "/embeddings":
                    return self.embeddings(account, self.body(request))
                case "POST", "/rerank":
                    asked = self.body(request)
                    return json_reply(200, rerank(self.world, account, self.model(asked, "rerank"), asked, self.reply_id(asked), bad))
                case "POST", "/moderations":
                    asked = self.body(request)
                    found = moderation(self.world, account, self.model(asked, "moderation"), asked, self.reply_id(asked), bad)
                    return json_reply(200, found)
                case "GET", "/models":
                    return json_reply(200, {"object": "list", "data": [{"id": m, "object": "model"} for m in self.world.models]})
            if path and (reply := await self.batches.answer(account, request, path[1])) is not None:
                return reply
            told = self.tuning.answer(account, request.method, path[1], request, lambda: self.body(request)) if path else None
            if told is not None:
                return json_reply(200, told)
            if path and (reply := self.media.answer(request, account, path[1])) is not None:
                return reply
            raise Refusal(404, "1222", "API 不存在")
        except Refusal as refusal:
            return refusal.reply

    def authenticate(self, request: Request) -> str:
        """The account's id. Takes the key itself, and the token signed with it, whose times are in milliseconds."""
        header = request.headers.get("authorization")
        if not header:
            raise Refusal(401, "1001", "Header 中未收到 Authorization 参数")
        key = header.removeprefix("Bearer ")
        if key.count(".") == 2:
            return self.token(key)
        account, _, secret = key.partition(".")
        if refusal := TROUBLES.get(trouble(key) or ""):
            raise Refusal(*refusal)
        if not secret or not hmac.compare_digest(self.world.accounts.get(account, "").encode(), secret.encode()):
            raise Refusal(401, "1000", "身份验证失败")
        return account

    def token(self, token: str) -> str:
        signed, _, signature = token.rpartition(".")
        try:
            head, claims = (decode(urlsafe_b64decode(part + "==")) for part in signed.split("."))
        except ValueError as exc:
            raise Refusal(401, "1002", "Authorization Token 非法") from exc
        account = str(claims.get("api_key"))
        if refusal := TROUBLES.get(trouble(account) or ""):
            raise Refusal(*refusal)
        secret = self.world.accounts.get(account)
        if head.get("alg") != "HS256" or head.get("sign_type") != "SIGN" or secret is None:
            raise Refusal(401, "1002", "Authorization Token 非法")
        wanted = urlsafe_b64encode(hmac.digest(secret.encode(), signed.encode(), "sha256")).rstrip(b"=")
        if not hmac.compare_digest(wanted, signature.encode()):
            raise Refusal(401, "1004", "通过提供的 Authorization Token 验证失败")
        if not isinstance(claims.get("exp"), int) or claims["exp"] <= self.world.now() * 1000:
            raise Refusal(401, "1003", "身份验证令牌已过期")
        return account

    def body(self, request: Request) -> Json:
        body = read_body(request)
        if body is None:
            raise bad("请求体不是合法的 JSON")
        return {field: value for field, value in body.items() if value is not None}  # the SDK sends nulls

    def model(self, body: Json, kind: str) -> Model:
        if not body.get("model") or not isinstance(body["model"], str):
            raise bad("model: 该参数不能为空", "1213")
        model = self.world.models.get(body["model"])
        if model is None or model.kind != kind:
            raise bad("模型不存在，请检查模型代码。", "1211")
        return model

    async def line(self, account: str, body: Json) -> Reply:
        """Of a batch."""
        try:
            return await self.chat(account, body)
        except Refusal as refusal:
            return refusal.reply

    # ---- chat ----

    async def chat(self, account: str, body: Json) -> Reply:
        model = self.model(body, "chat")
        ask = check_chat(body, model)
        text = "".join(message.text for message in ask.messages)
        if UNSAFE_INPUT in text:
            raise bad("系统检测到输入或生成内容可能包含不安全或敏感内容", "1301")
        if model.context and count(text) > model.context:
            raise bad("Prompt 超长", "1261")
        reply_id = self.reply_id(body)
        head = {"id": reply_id, "request_id": body.get("request_id", reply_id), "created": int(self.world.now()), "model": model.id}
        if body.get("stream"):
            return sse_reply(self.frames(account, model, ask, head, UNSAFE_OUTPUT in text))
        answer = await whole(self.world.brain, ask)
        self.world.charge("zhipu", account, model.id, answer.end)
        return json_reply(200, {**head, "object": "chat.completion", **spoken(answer, sensitive=UNSAFE_OUTPUT in text)})

    async def frames(self, account: str, model: Model, ask: Ask, head: Json, sensitive: bool) -> AsyncIterator[bytes]:
        """Every delta repeats the role; nothing has a finish_reason before the last, which has the usage too; a call comes whole."""
        head = {**head, "object": "chat.completion.chunk"}
        calls = 0
        async for piece in self.world.brain.answer(ask):
            delta: Json = {"role": "assistant"}
            last: Json = {}
            match piece:
                case Thought():
                    delta["reasoning_content"] = piece.text
                case Text():
                    delta["content"] = piece.text
                case Call():
                    # GLM-4.5 does not number its calls
                    number = -1 if model.id.startswith("glm-4.5") else calls
                    delta["tool_calls"] = [{**openai_calls([piece])[0], "index": number}]
                    calls += 1
                case End():
                    self.world.charge("zhipu", account, model.id, piece)
                    delta["content"] = ""
                    last = {"finish_reason": "sensitive" if sensitive else piece.reason}
            event = {**head, "choices": [{"index": 0, **last, "delta": delta}]}
            yield data({**event, "usage": usage(piece)} if isinstance(piece, End) else event)
        yield b"data: [DONE]\n\n"

    def reply_id(self, body: Json) -> str:
        self._number += 1
        now = datetime.fromtimestamp(self.world.now(), UTC) + timedelta(hours=8)
        return now.strftime("%Y%m%d%H%M%S") + sha256(f"{self._number}{body}".encode()).hexdigest()[:18]

    # ---- embeddings ----

    def embeddings(self, account: str, body: Json) -> Reply:
        model = self.model(body, "embedding")
        for field in body.keys() - {"model", "input", "dimensions", "encoding_format", "user_id", "user"}:
            raise bad(f"{field}: 不支持的参数")
        texts = [body["input"]] if isinstance(body.get("input"), str) else body.get("input")
        if not isinstance(texts, list) or not texts or not all(isinstance(text, str) and text for text in texts):
            raise bad("input: 参数非法，请检查文档", "1214")
        if model.batch and len(texts) > model.batch:
            raise bad(f"input: 数组最大不得超过 {model.batch} 条", "1214")
        if model.context and any(count(text) > model.context for text in texts):
            raise bad("Prompt 超长", "1261")
        width = body.get("dimensions", model.dimensions)
        if width != model.dimensions and width not in model.allowed_dimensions:
            raise bad("dimensions: 参数非法，请检查文档", "1214")
        if body.get("encoding_format", "float") != "float":
            raise bad("encoding_format: 参数非法，请检查文档", "1214")
        end = End("stop", sum(map(count, texts)), 0)
        self.world.charge("zhipu", account, model.id, end)
        vectors = [{"index": i, "object": "embedding", "embedding": vector(text, width)} for i, text in enumerate(texts)]
        told = {"prompt_tokens": end.prompt, "completion_tokens": 0, "total_tokens": end.prompt}
        return json_reply(200, {"model": model.id, "object": "list", "data": vectors, "usage": told})


def spoken(answer: Answer, *, sensitive: bool) -> Json:
    message: Json = {"role": "assistant", "content": answer.text}
    if answer.thought:
        message["reasoning_content"] = answer.thought
    if answer.calls:
        message["tool_calls"] = [{**call, "index": i} for i, call in enumerate(openai_calls(answer.calls))]
    reason = "sensitive" if sensitive else answer.end.reason
    return {"choices": [{"index": 0, "message": message, "finish_reason": reason}], "usage": usage(answer.end)}


def usage(end: End) -> Json:
    told: Json = {"prompt_tokens": end.prompt, "completion_tokens": end.completion, "total_tokens": end.total}
    told["prompt_tokens_details"] = {"cached_tokens": end.cached}
    if end.reasoning:
        told["completion_tokens_details"] = {"reasoning_tokens": end.reasoning}
    return told


def check_chat(body: Json, model: Model) -> Ask:
    """The request as Zhipu reads it. Raises Refusal."""
    for field in body.keys() - CHAT_FIELDS:
        raise bad(f"{field}: 不支持的参数")
    messages = check_messages(body.get("messages"), model)
    for field, low, high in (("temperature", 0.0, 1.0), ("top_p", 0.01, 1.0), ("max_tokens", 1, model.output or 1 << 31)):
        value = body.get(field)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high):
            raise bad(f"{field}: 取值范围为 [{low}, {high}]", "1214")
    stop = body.get("stop", [])
    if not isinstance(stop, list) or len(stop) > 1:
        raise bad("stop: 最多支持 1 个停止词", "1214")
    if body.get("tool_choice", "auto") != "auto":
        raise bad("tool_choice: 仅支持 auto", "1214")
    if "user_id" in body and not 6 <= len(body["user_id"]) <= 128:
        raise bad("user_id: 长度为 6 到 128 个字符", "1214")
    form = body.get("response_format", {"type": "text"})
    if form.get("type") not in ("text", "json_object", *(("json_schema",) if model.json == "schema" else ())):
        raise bad("response_format: 不支持的类型", "1214")
    check_tools(body.get("tools"))
    schema = form.get("json_schema", {}).get("schema", {}) if form["type"] == "json_schema" else {}
    return Ask(
        understand(messages),
        understand_tools(body.get("tools")),
        schema=None if form["type"] == "text" else schema,
        stop=tuple(stop),
        most=body.get("max_tokens"),
        think=thinks(body, model),
        temperature=body.get("temperature"),
    )


def check_messages(messages: Any, model: Model) -> list[Json]:
    if not isinstance(messages, list) or not messages:
        raise bad("messages: 输入不能为空", "1214")
    for message in messages:
        if not isinstance(message, dict) or message.get("role") not in ("system", "user", "assistant", "tool"):
            raise bad("messages: 角色信息不正确", "1214")
        for key in message.keys() - {"role", "content", "tool_calls", "tool_call_id", "reasoning_content", "cache_control"}:
            raise bad(f"messages.{key}: 不支持的参数", "1214")
        if message["role"] == "tool" and not message.get("tool_call_id"):
            raise bad("messages: tool_call_id 不能为空", "1214")
        content = message.get("content")
        if isinstance(content, list):
            check_parts(content, model)
        elif not isinstance(content, str) and not message.get("tool_calls"):
            raise bad("messages: content 不能为空", "1214")
    if all(message["role"] in ("system", "assistant") for message in messages):
        raise bad("messages 参数非法：不能只包含 system 或 assistant 消息", "1214")
    return messages


def check_parts(parts: list[Any], model: Model) -> None:
    kinds = {"text": "text", "image_url": "image", "video_url": "video", "input_audio": "audio", "file_url": "image"}
    for part in parts:
        kind = kinds.get(str(part.get("type"))) if isinstance(part, dict) else None
        if kind is None or kind not in model.input:
            raise bad("messages.content.type: 参数非法，取值范围 " + str(model.input))
        image = part.get("image_url")
        if part["type"] == "image_url" and (not isinstance(image, dict) or set(image) != {"url"}):
            raise bad("image_url: 不支持的参数")


def check_tools(tools: list[Json] | None) -> None:
    if len(tools or ()) > 128:
        raise bad("tools: 最多支持 128 个", "1214")
    for tool in tools or ():
        if tool.get("type") not in ("function", "retrieval", "web_search", "mcp"):
            raise bad("tools.type: 参数非法", "1214")
        if tool["type"] != "function":
            continue
        function = tool.get("function") or {}
        if set(function) != {"name", "description", "parameters"}:
            raise bad("tools.function: name、description、parameters 均为必填，且不支持其他参数", "1214")
        if not re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", function["name"]):
            raise bad("tools.function.name: 参数非法", "1214")


def thinks(body: Json, model: Model) -> bool:
    """Models that can think do so unless told not to; GLM-5.3 always does and refuses to be told otherwise."""
    switch, effort = body.get("thinking", {}).get("type", "enabled"), body.get("reasoning_effort")
    if effort is not None and effort not in EFFORTS:
        raise bad("reasoning_effort: 参数非法")
    if model.thinking == "always" and (switch == "disabled" or effort not in (None, "low", "high", "max")):
        raise bad("该模型始终开启思考，不支持关闭")
    if effort is not None and model.thinking not in ("effort", "always"):
        raise bad("reasoning_effort: 该模型不支持")
    return model.thinking in ("switch", "effort", "always") and switch == "enabled" and effort not in ("none", "minimal")


SIMULATOR = Zhipu
