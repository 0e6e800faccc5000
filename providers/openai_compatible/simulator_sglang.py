"""SGLang's side of the wire, as its source has it (0.5.23, read 2026-11-23): started with a key, a tool parser and a reasoning parser."""

from collections.abc import Sequence

from providers.base import Json, Model
from providers.openai_compatible.simulator_server import (
    Question,
    Refusal,
    Server,
    fragments,
    hexed,
    is_stop,
    logprobs,
    number,
    together,
    words_of,
    wrong,
)
from providers.simulation import Answer, Call, End, Piece, Reply, Request, json_reply, openai_calls

CHECKS = {
    "temperature": number(0, float("inf")), "top_p": number(0, 1, above=True), "presence_penalty": number(-2, 2),
    "frequency_penalty": number(-2, 2), "n": number(1, 1 << 14, whole=True), "max_tokens": number(0, 1 << 62, whole=True),
    "max_completion_tokens": number(0, 1 << 62, whole=True), "seed": number(-(1 << 63), (1 << 63) - 1, whole=True), "stop": is_stop,
    "top_logprobs": number(0, 1 << 10, whole=True), "min_p": number(0, 1), "repetition_penalty": number(0, 2),
    "logit_bias": lambda value: isinstance(value, dict) and all(isinstance(one, int | float) for one in value.values()),
}  # fmt: skip
EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
ROLES = ("system", "developer", "user", "assistant", "tool", "function")
PARTS = ("text", "image_url", "video_url", "audio_url")


class SGLang(Server):
    surface = "sglang"
    checks_models = False

    def refuse(self, status: int, message: str, kind: str = "BadRequestError", param: str | None = None) -> Refusal:
        told = {"object": "error", "message": message, "type": kind or "BadRequestError", "param": param, "code": status}
        return Refusal(json_reply(status, told))

    def unauthorized(self) -> Refusal:
        return Refusal(json_reply(401, {"error": "Unauthorized"}))

    def too_long(self, tokens: int, model: Model) -> Refusal:
        return self.refuse(400, f"The input ({tokens} tokens) is longer than the model's context length ({model.context} tokens).")

    def wrong_kind(self, model: Model) -> Refusal:
        return self.refuse(400, f"{model.id} does not appear to be an embedding model" if model.kind == "chat" else "not a chat model")

    def is_open(self, request: Request) -> Reply | None:
        return Reply(200, b"") if request.method == "GET" and request.path.startswith(("/health", "/ready")) else None

    def elsewhere(self, request: Request) -> Reply:
        name = request.path.removeprefix("/v1/models/")
        if request.method == "GET" and name in self.models:
            return json_reply(200, self.described(self.models[name]))
        if request.method == "GET" and name != request.path:
            error = {"message": f"The model '{name}' does not exist", "type": "invalid_request_error", "param": "model"}
            return json_reply(404, {"error": {**error, "code": "model_not_found"}})
        return json_reply(404, {"object": "error", "message": "Not Found", "type": "404", "param": None, "code": 404})

    def read(self, request: Request) -> Json:
        if not request.headers.get("content-type", "").startswith("application/json"):
            raise self.schema("Unsupported Media Type: Only 'application/json' is allowed")
        return super().read(request)

    def schema(self, why: str) -> Refusal:
        return self.refuse(400, why, "Bad Request")

    def check(self, body: Json, model: Model) -> None:
        if not isinstance(body.get("model", ""), str):
            raise self.schema("[{'type': 'string_type', 'loc': ('body', 'model')}]")
        messages = body.get("messages")
        if not isinstance(messages, list):
            raise self.schema("[{'type': 'missing', 'loc': ('body', 'messages'), 'msg': 'Field required'}]")
        if not messages:
            raise self.refuse(400, "Messages cannot be empty.")
        for message in messages:
            if not isinstance(message, dict) or message.get("role") not in ROLES:
                raise self.schema("[{'type': 'literal_error', 'loc': ('body', 'messages')}]")
            if message["role"] != "assistant" and "content" not in message:
                raise self.schema("[{'type': 'missing', 'loc': ('body', 'messages', 'content')}]")
            self.check_parts(message.get("content"), model)
        if field := wrong(body, CHECKS):
            raise self.refuse(400, f"{field} is out of range, got {body[field]}.")
        effort = body.get("reasoning_effort", "medium")
        if effort not in EFFORTS and not (isinstance(effort, float) and 0 <= effort <= 0.99):
            raise self.schema("[{'type': 'literal_error', 'loc': ('body', 'reasoning_effort')}]")
        if body.get("response_format", {"type": "text"}).get("type") not in ("text", "json_object", "json_schema", "structural_tag"):
            raise self.schema("[{'type': 'literal_error', 'loc': ('body', 'response_format')}]")
        self.check_tools(body)
        for field in ("max_tokens", "max_completion_tokens"):
            if model.context and body.get(field, 0) >= model.context:
                raise self.refuse(400, f"Requested token count exceeds the model's maximum context length of {model.context} tokens.")

    def check_parts(self, content: object, model: Model) -> None:
        for part in content if isinstance(content, list) else ():
            if part.get("type") not in PARTS:
                raise self.schema(
                    f"[{{'type': 'union_tag_invalid', 'loc': ('body', 'messages', 'content'), 'input': '{part.get('type')}'}}]"
                )
            if part["type"] == "image_url" and "image" not in model.input:
                raise self.refuse(400, f"{model.id} is not a multimodal model")

    def check_tools(self, body: Json) -> None:
        tools, choice = body.get("tools"), body.get("tool_choice")
        names = [(tool.get("function") or {}).get("name") for tool in tools or ()]
        if not all(names):
            raise self.schema("[{'type': 'missing', 'loc': ('body', 'tools', 'function', 'name')}]")
        if choice in (None, "none", "auto"):
            return
        if not tools:
            raise self.refuse(400, "Tools cannot be empty if tool choice is set to required.")
        if isinstance(choice, str):
            if choice != "required":
                raise self.schema("[{'type': 'literal_error', 'loc': ('body', 'tool_choice')}]")
        elif (choice.get("function") or {}).get("name") not in names:
            raise self.refuse(400, f"Tool '{choice}' not found in tools list.")

    def goes_on(self, body: Json) -> bool:
        return bool(body.get("continue_final_message"))

    def role(self, role: str) -> str:
        return "system" if role == "developer" else role

    def thinks(self, body: Json, model: Model) -> bool:
        switch = (body.get("chat_template_kwargs") or {}).get("enable_thinking", True)
        effort = body.get("reasoning_effort")
        return model.thinking == "always" or (model.thinking == "switch" and switch) or (model.thinking == "effort" and effort != "none")

    def head(self, question: Question, number: int) -> Json:
        return {"id": hexed(number, question.name)[:32], "created": int(self.world.now()), "model": question.name}

    def reply(self, question: Question, answers: Sequence[Answer]) -> Json:
        choices = [
            {
                "index": index,
                "message": {
                    "role": "assistant", "content": answer.text or None, "reasoning_content": answer.thought or None,
                    "tool_calls": [{"index": at, **call} for at, call in enumerate(openai_calls(answer.calls))] or None,
                },
                "logprobs": logprobs(answer.text, question.logprobs), "finish_reason": answer.end.reason, "matched_stop": None,
            }
            for index, answer in enumerate(answers)
        ]  # fmt: skip
        return {"choices": choices, "usage": self.usage([answer.end for answer in answers]), "metadata": {"weight_version": "default"}}

    def chunk(self, index: int, delta: Json, end: End | None = None, logprobs: Json | None = None) -> Json:
        full = {"role": None, "content": None, "reasoning_content": None, "tool_calls": None, **delta}
        reason = end.reason if end else None
        return {"index": index, "delta": full, "logprobs": logprobs, "finish_reason": reason, "matched_stop": None}

    def deltas(self, piece: Piece, number: int) -> list[Json]:
        return fragments(piece, number) if isinstance(piece, Call) else words_of(piece, "reasoning_content")

    def usage(self, ends: Sequence[End]) -> Json:
        """Cached tokens are not told: that wants `--enable-cache-report`."""
        end = together(ends)
        told = {"prompt_tokens": end.prompt, "total_tokens": end.total, "completion_tokens": end.completion}
        return {**told, "prompt_tokens_details": None, "reasoning_tokens": end.reasoning}

    def described(self, model: Model) -> Json:
        told = {"id": model.id, "object": "model", "created": int(self.world.now()), "owned_by": "sglang", "root": model.id, "parent": None}
        return {**told, "max_model_len": model.context}

    def vectors(self, body: Json, model: Model, told: list[Json], tokens: int) -> Json:
        usage = {"prompt_tokens": tokens, "total_tokens": tokens, "completion_tokens": 0, "prompt_tokens_details": None}
        return {"object": "list", "data": told, "model": body.get("model", model.id), "usage": usage}
