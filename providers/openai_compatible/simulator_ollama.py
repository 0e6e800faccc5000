"""Ollama's side of the wire, as its source and documents of 2026-08-21 have it (read 2026-11-23). It has no keys."""

from collections.abc import Sequence

from providers.base import Json, Model, decode
from providers.openai_compatible.simulator_server import (
    Question,
    Refusal,
    Server,
    hexed,
    is_stop,
    logprobs,
    number,
    together,
    words_of,
    wrong,
)
from providers.simulation import Answer, Call, End, Piece, Reply, Request, json_reply, openai_calls

ANYBODY = "local"
"""Whom the bill is for: who asks is not known."""
NUMBER = number(float("-inf"), float("inf"))
CHECKS = {
    "temperature": NUMBER, "top_p": NUMBER, "presence_penalty": NUMBER, "frequency_penalty": NUMBER,
    "max_tokens": number(-1, 1 << 62, whole=True),
    "seed": number(-(1 << 63), (1 << 63) - 1, whole=True), "stop": is_stop, "top_logprobs": number(0, 20, whole=True),
    "stream": lambda value: isinstance(value, bool), "tools": lambda value: isinstance(value, list),
}  # fmt: skip
"""Go's decoder refuses wrong types; ranges are not looked at."""
EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max", "ultra")
IDS = 999


class Ollama(Server):
    surface = "ollama"
    cuts_prompts = True

    def refuse(self, status: int, message: str, kind: str = "", param: str | None = None) -> Refusal:
        names = {400: "invalid_request_error", 404: "not_found_error"}
        error = {"message": message, "type": names.get(status, "api_error"), "param": None, "code": None}
        return Refusal(json_reply(status, {"error": error}))

    def authenticate(self, request: Request) -> str:
        return ANYBODY

    def no_model(self, name: str) -> Refusal:
        return self.refuse(404, f'model "{name}" not found, try pulling it first')

    def too_long(self, tokens: int, model: Model) -> Refusal:
        return self.refuse(400, "the input length exceeds the context length")

    def wrong_kind(self, model: Model) -> Refusal:
        return self.refuse(400, f'"{model.id}" does not support {"chat" if model.kind == "embedding" else "embeddings"}')

    def is_open(self, request: Request) -> Reply | None:
        return Reply(200, b"Ollama is running") if (request.method, request.path) == ("GET", "/") else None

    def elsewhere(self, request: Request) -> Reply:
        return Reply(404, b"404 page not found", {"content-type": "text/plain"})

    def check(self, body: Json, model: Model) -> None:
        if field := wrong(body, CHECKS):
            raise self.refuse(
                400, f"json: cannot unmarshal {type(body[field]).__name__} into Go struct field ChatCompletionRequest.{field}"
            )
        messages = body.get("messages")
        if not isinstance(messages, list) or not messages:
            raise self.refuse(400, "[] is too short - 'messages'")
        for message in messages:
            self.check_message(message, model)
        effort = (body.get("reasoning") or {}).get("effort", body.get("reasoning_effort"))
        if effort is not None and effort not in EFFORTS:
            raise self.refuse(400, f'invalid reasoning value: \'{effort}\' (must be "high", "medium", "low", "max", or "none")')
        if effort not in (None, "none") and model.thinking in ("", "none"):
            raise self.refuse(400, f'"{model.id}" does not support thinking')
        if body.get("tools") and model.tools is False:
            raise self.refuse(400, f'"{model.id}" does not support tools')

    def check_message(self, message: Json, model: Model) -> None:
        content, calls = message.get("content"), message.get("tool_calls") or ()
        if content is None and not calls:
            raise self.refuse(400, "invalid message content type: <nil>")
        for call in calls:
            try:
                decode(call["function"]["arguments"].encode())
            except ValueError as exc:
                raise self.refuse(400, "invalid tool call arguments") from exc
        for part in content if isinstance(content, list) else ():
            if part.get("type") not in ("text", "image_url"):
                raise self.refuse(400, "invalid message format")
            if part["type"] == "image_url":
                self.check_image(part["image_url"], model)

    def check_image(self, image: Json | str, model: Model) -> None:
        url = image if isinstance(image, str) else image.get("url", "")
        if not url.startswith(tuple(f"data:image/{kind};base64," for kind in ("jpeg", "jpg", "png", "webp"))):
            raise self.refuse(400, "invalid image input")
        if "image" not in model.input:
            raise self.refuse(500, "this model is missing data required for image input")

    def most(self, body: Json) -> int | None:
        most: int | None = body.get("max_tokens")
        return most

    def count(self, body: Json) -> int:
        return 1

    def question(self, body: Json, model: Model, name: str) -> Question:
        """As if what it passes over were not there."""
        heard = {field: value for field, value in body.items() if field not in ("tool_choice", "parallel_tool_calls", "n")}
        return super().question(heard, model, name)

    def thinks(self, body: Json, model: Model) -> bool:
        effort = (body.get("reasoning") or {}).get("effort", body.get("reasoning_effort"))
        return model.thinking not in ("", "none") and effort != "none"

    def head(self, question: Question, number: int) -> Json:
        number = int(hexed(number)[:8], 16) % IDS
        return {"id": f"chatcmpl-{number}", "created": int(self.world.now()), "model": question.name, "system_fingerprint": "fp_ollama"}

    def reply(self, question: Question, answers: Sequence[Answer]) -> Json:
        (answer,) = answers
        message: Json = {"role": "assistant", "content": answer.text}
        if answer.thought:
            message["reasoning"] = answer.thought
        if answer.calls:
            message["tool_calls"] = [{**call, "index": at} for at, call in enumerate(openai_calls(answer.calls))]
        choice = {"index": 0, "message": message, "finish_reason": answer.end.reason}
        if question.logprobs is not None:
            choice["logprobs"] = logprobs(answer.text, question.logprobs)
        return {"choices": [choice], "usage": self.usage([answer.end])}

    def chunk(self, index: int, delta: Json, end: End | None = None, logprobs: Json | None = None) -> Json:
        told = {"index": index, "delta": delta, "finish_reason": end.reason if end else None}
        return {**told, "logprobs": logprobs} if logprobs else told

    def deltas(self, piece: Piece, number: int) -> list[Json]:
        if isinstance(piece, Call):
            return [{"content": "", "tool_calls": [{**openai_calls([piece])[0], "index": number}]}]
        return words_of(piece, "reasoning")

    def usage(self, ends: Sequence[End]) -> Json:
        end = together(ends)
        return {"prompt_tokens": end.prompt, "completion_tokens": end.completion, "total_tokens": end.total}

    def described(self, model: Model) -> Json:
        return {"id": model.id, "object": "model", "created": int(self.world.now()), "owned_by": "library"}

    def width(self, body: Json, model: Model) -> int:
        """A vector is cut to any width."""
        return min(body.get("dimensions") or model.dimensions, model.dimensions)

    def vectors(self, body: Json, model: Model, told: list[Json], tokens: int) -> Json:
        return {"object": "list", "data": told, "model": body["model"], "usage": {"prompt_tokens": tokens, "total_tokens": tokens}}
