"""vLLM's side of the wire, as its source has it (0.33.0, read 2026-11-23): started with a key, a tool parser and a reasoning parser."""

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
    "frequency_penalty": number(-2, 2), "n": number(1, 1 << 14, whole=True), "max_tokens": number(1, 1 << 62, whole=True),
    "max_completion_tokens": number(1, 1 << 62, whole=True), "seed": number(-(1 << 63), (1 << 63) - 1, whole=True), "stop": is_stop,
    "top_logprobs": number(0, 20, whole=True), "min_p": number(0, 1), "repetition_penalty": number(0, float("inf"), above=True),
    "logit_bias": lambda value: isinstance(value, dict) and all(key.lstrip("-").isdigit() for key in value),
}  # fmt: skip
EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
ROLES = ("system", "user", "assistant", "tool", "developer")
PARTS = ("text", "image_url", "input_audio", "audio_url", "video_url", "refusal", "thinking")


class VLLM(Server):
    surface = "vllm"

    def refuse(self, status: int, message: str, kind: str = "BadRequestError", param: str | None = None) -> Refusal:
        error = {"message": message, "type": kind or "BadRequestError", "param": param, "code": status}
        return Refusal(json_reply(status, {"error": error}))

    def unauthorized(self) -> Refusal:
        return Refusal(json_reply(401, {"error": "Unauthorized"}))

    def no_model(self, name: str) -> Refusal:
        return self.refuse(404, f"The model `{name}` does not exist.", "NotFoundError", "model")

    def too_long(self, tokens: int, model: Model) -> Refusal:
        most = f"This model's maximum context length is {model.context} tokens. However, your request has {tokens} input tokens."
        return self.refuse(400, f"{most} Please reduce the length of the input messages.", param="input_tokens")

    def wrong_kind(self, model: Model) -> Refusal:
        asked = "Chat Completions" if model.kind == "embedding" else "Embeddings"
        return self.refuse(400, f"The model does not support {asked} API")

    def is_open(self, request: Request) -> Reply | None:
        return Reply(200, b"") if (request.method, request.path) == ("GET", "/health") else None

    def schema(self, field: str, why: str) -> Refusal:
        message = f"1 validation error:\n  {{'type': 'value_error', 'loc': ('body', '{field}'), 'msg': '{why}'}}"
        return self.refuse(400, message, "Bad Request", field)

    def check(self, body: Json, model: Model) -> None:
        messages = body.get("messages")
        if not isinstance(messages, list):
            raise self.schema("messages", "Field required")
        for message in messages:
            if not isinstance(message, dict) or message.get("role") not in ROLES:
                raise self.schema("messages", "Input should be a valid message")
            self.check_parts(message.get("content"), model)
        if field := wrong(body, CHECKS):
            raise self.refuse(400, f"{field} is out of range, got {body[field]}.", param=field)
        if body.get("top_logprobs") and not body.get("logprobs"):
            raise self.refuse(400, "when using `top_logprobs`, `logprobs` must be set to true.", param="top_logprobs")
        if body.get("continue_final_message") and body.get("add_generation_prompt", True):
            raise self.refuse(400, "Cannot set both `continue_final_message` and `add_generation_prompt` to True.")
        if "stream_options" in body and not body.get("stream"):
            raise self.refuse(400, "Stream options can only be defined when `stream=True`.", param="stream_options")
        if "reasoning_effort" in body and body["reasoning_effort"] not in EFFORTS:
            raise self.schema("reasoning_effort", "Input should be one of its levels")
        form = body.get("response_format", {"type": "text"})
        if form.get("type") not in ("text", "json_object", "json_schema", "structural_tag"):
            raise self.schema("response_format", "Input should be a known type")
        if form["type"] == "json_schema" and not (form.get("json_schema") or {}).get("schema"):
            raise self.refuse(
                400, "When response_format type is 'json_schema', the 'json_schema' field must be provided.", param="response_format"
            )
        self.check_tools(body)
        for field in ("max_tokens", "max_completion_tokens"):
            if model.context and body.get(field, 0) >= model.context:
                least = f"This model's maximum context length is {model.context} tokens and your request has input tokens too"
                raise self.refuse(400, f"'{field}' is too large: {body[field]}. {least}.", param=field)

    def check_parts(self, content: object, model: Model) -> None:
        for part in content if isinstance(content, list) else ():
            if part.get("type") not in PARTS:
                raise self.refuse(400, f"Unknown part type: {part.get('type')}")
            if part["type"] == "image_url" and "image" not in model.input:
                raise self.refuse(400, f"{model.id} is not a multimodal model")

    def check_tools(self, body: Json) -> None:
        tools, choice = body.get("tools"), body.get("tool_choice")
        names = [(tool.get("function") or {}).get("name") for tool in tools or ()]
        if tools is not None and not all(names):
            raise self.schema("tools", "Field required")
        if choice in (None, "none"):
            return
        if not tools:
            raise self.refuse(400, "When using `tool_choice`, `tools` must be set.", param="tool_choice")
        if isinstance(choice, str):
            if choice not in ("auto", "required"):
                raise self.refuse(
                    400, f"Invalid value for `tool_choice`: {choice}! Only named tools, none, auto or required are supported."
                )
        elif (choice.get("function") or {}).get("name") not in names:
            raise self.refuse(400, "The tool specified in `tool_choice` does not match any of the specified `tools`", param="tool_choice")

    def goes_on(self, body: Json) -> bool:
        return bool(body.get("continue_final_message"))

    def role(self, role: str) -> str:
        return "system" if role == "developer" else role

    def thinks(self, body: Json, model: Model) -> bool:
        switch = (body.get("chat_template_kwargs") or {}).get("enable_thinking", True)
        effort = body.get("reasoning_effort")
        return model.thinking == "always" or (model.thinking == "switch" and switch) or (model.thinking == "effort" and effort != "none")

    def head(self, question: Question, number: int) -> Json:
        return {"id": f"chatcmpl-{hexed(number, question.name)[:32]}", "created": int(self.world.now()), "model": question.name}

    def reply(self, question: Question, answers: Sequence[Answer]) -> Json:
        choices = [
            {
                "index": index,
                "message": {
                    "role": "assistant", "content": answer.text or None, "refusal": None, "annotations": None, "audio": None,
                    "function_call": None, "tool_calls": openai_calls(answer.calls), "reasoning": answer.thought or None,
                },
                "logprobs": logprobs(answer.text, question.logprobs), "finish_reason": answer.end.reason, "stop_reason": None,
                "token_ids": None,
            }
            for index, answer in enumerate(answers)
        ]  # fmt: skip
        more = {
            "service_tier": None,
            "system_fingerprint": None,
            "prompt_logprobs": None,
            "prompt_token_ids": None,
            "kv_transfer_params": None,
        }
        return {"choices": choices, "usage": self.usage([answer.end for answer in answers]), **more}

    def chunk(self, index: int, delta: Json, end: End | None = None, logprobs: Json | None = None) -> Json:
        told: Json = {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": end.reason if end else None}
        return {**told, "stop_reason": None} if end else {**told, "token_ids": None}

    def deltas(self, piece: Piece, number: int) -> list[Json]:
        return fragments(piece, number) if isinstance(piece, Call) else words_of(piece, "reasoning")

    def usage(self, ends: Sequence[End]) -> Json:
        end = together(ends)
        details = {"cached_tokens": end.cached} if end.cached else None
        told = {"prompt_tokens": end.prompt, "total_tokens": end.total, "completion_tokens": end.completion}
        return {**told, "prompt_tokens_details": details}

    def described(self, model: Model) -> Json:
        told = {"id": model.id, "object": "model", "created": int(self.world.now()), "owned_by": "vllm", "root": model.id, "parent": None}
        return {**told, "max_model_len": model.context, "permission": []}

    def vectors(self, body: Json, model: Model, told: list[Json], tokens: int) -> Json:
        head = {"id": f"embd-{hexed(self.number)[:32]}", "object": "list", "created": int(self.world.now()), "model": body["model"]}
        usage = {"prompt_tokens": tokens, "total_tokens": tokens, "completion_tokens": 0, "prompt_tokens_details": None}
        return {**head, "data": told, "usage": usage}
