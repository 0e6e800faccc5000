"""llama.cpp's own server, as its source and its replies have it (llama-cpp-python 0.3.36, xllamacpp 2026.10.11549, read 2026-11-23):
started with a key, `--embeddings` and two slots."""

from collections.abc import Mapping, Sequence
from typing import Any

from providers.base import Json, Model
from providers.openai_compatible.simulator_server import (
    KEY,
    Question,
    Refusal,
    Server,
    fragments,
    hexed,
    logprobs,
    words_of,
)
from providers.simulation import Answer, Call, End, Piece, Reply, Request, json_reply, openai_calls, trouble

TYPES: Mapping[int, str] = {400: "invalid_request_error", 404: "not_found_error", 500: "server_error", 501: "not_supported_error"}
SLOTS = 2
NUMBERS = (
    "temperature",
    "top_p",
    "presence_penalty",
    "frequency_penalty",
    "seed",
    "n",
    "max_tokens",
    "max_completion_tokens",
    "top_k",
    "min_p",
)
PARTS = {"text": "", "image_url": "image", "input_audio": "audio"}


class LlamaCpp(Server):
    surface = "llama_cpp"
    checks_models = False

    def refuse(self, status: int, message: str, kind: str = "", param: str | None = None) -> Refusal:
        return Refusal(json_reply(status, {"error": {"code": status, "message": message, "type": kind or TYPES[status]}}))

    def unauthorized(self) -> Refusal:
        return Refusal(json_reply(401, {"error": {"message": "Invalid API Key", "type": "authentication_error", "code": 401}}))

    def too_long(self, tokens: int, model: Model) -> Refusal:
        told = f"request ({tokens} tokens) exceeds the available context size ({model.context} tokens), try increasing it"
        error = {"code": 400, "message": told, "type": "exceed_context_size_error", "n_prompt_tokens": tokens, "n_ctx": model.context}
        return Refusal(json_reply(400, {"error": error}))

    def wrong_kind(self, model: Model) -> Refusal:
        return self.refuse(501, "This server does not support embeddings. Start it with `--embeddings`")

    def is_open(self, request: Request) -> Reply | None:
        health = request.method == "GET" and request.path in ("/health", "/v1/health")
        return json_reply(200, {"status": "ok"}) if health else None

    def authenticate(self, request: Request) -> str:
        key = request.headers.get("x-api-key", "")
        if KEY.fullmatch(key) and not trouble(key):
            return key
        return super().authenticate(request)

    def elsewhere(self, request: Request) -> Reply:
        return json_reply(404, {"error": {"message": "File Not Found", "type": "not_found_error", "code": 404}})

    def check(self, body: Json, model: Model) -> None:
        for field in NUMBERS:
            value = body.get(field, 0)
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise self.refuse(
                    400, f"Field '{field}': [json.exception.type_error.302] type must be number, but is {type(value).__name__}"
                )
        for field, low, high in (("n", 1, SLOTS), ("max_tokens", -1, (1 << 31) - 1), ("max_completion_tokens", -1, (1 << 31) - 1)):
            if not low <= body.get(field, 1) <= high:
                raise self.refuse(400, f"Field '{field}': Value must be between {low} <= value <= {high}, but got {body[field]}")
        self.check_messages(body, model)
        kind = (body.get("response_format") or {"type": "text"}).get("type")
        if kind not in ("text", "json_object", "json_schema"):
            raise self.refuse(400, f'response_format type must be one of "text" or "json_object", but got: {kind}')
        if body.get("top_logprobs") and not body.get("logprobs"):
            raise self.refuse(400, "top_logprobs requires logprobs to be set to true")
        self.check_tools(body)

    def check_messages(self, body: Json, model: Model) -> None:
        if "messages" not in body:
            raise self.refuse(400, "'messages' is required")
        messages = body["messages"]
        if not isinstance(messages, list):
            raise self.refuse(400, "Expected 'messages' to be an array")
        for message in messages:
            if "role" not in message:
                raise self.refuse(500, "Failed to parse messages: Missing 'role' in message")
            if message["role"] != "assistant" and "content" not in message:
                raise self.refuse(400, "All non-assistant messages must contain 'content'")
            if message["role"] == "assistant" and "content" not in message and "tool_calls" not in message:
                raise self.refuse(400, "Assistant message must contain either 'content' or 'tool_calls'!")
            self.check_parts(message.get("content"), model)
        if [message["role"] for message in messages[-2:]] == ["assistant"] * 2:
            raise self.refuse(400, "Cannot have 2 or more assistant messages at the end of the list.")

    def check_parts(self, content: Any, model: Model) -> None:
        for part in content if isinstance(content, list) else ():
            kind = PARTS.get(str(part.get("type")))
            if kind is None:
                raise self.refuse(400, "unsupported content[].type")
            if kind and kind not in model.input:
                raise self.refuse(500, f"{kind} input is not supported - hint: if this is unexpected, you may need to provide the mmproj")

    def check_tools(self, body: Json) -> None:
        tools, choice = body.get("tools", []), body.get("tool_choice", "auto")
        if not isinstance(tools, list):
            raise self.refuse(500, "Failed to parse tools: Expected 'tools' to be an array")
        for tool in tools:
            if tool.get("type") != "function":
                raise self.refuse(500, f"Failed to parse tools: Unsupported tool type: {tool}")
        if isinstance(choice, str) and choice not in ("auto", "none", "required"):
            raise self.refuse(400, f"Invalid tool_choice: {choice}")
        if tools and body.get("stream") and body.get("logprobs"):
            raise self.refuse(400, "logprobs is not supported with tools + stream")

    def question(self, body: Json, model: Model, name: str) -> Question:
        """A choice by name is passed over; what is loaded answers, by its own name, and goes on with a last turn of the assistant's."""
        choice = body.get("tool_choice", "auto")
        messages = body["messages"]
        if messages and messages[-1]["role"] == "assistant" and not messages[-1].get("tool_calls"):
            messages = [*messages[:-1], {**messages[-1], "partial": True}]
        heard = {**body, "messages": messages, "tool_choice": choice if isinstance(choice, str) else "auto"}
        return super().question(heard, model, model.id)

    def thinks(self, body: Json, model: Model) -> bool:
        switch = (body.get("chat_template_kwargs") or {}).get("enable_thinking", True)
        return model.thinking not in ("", "none") and switch and body.get("reasoning_effort") != "none"

    def head(self, question: Question, number: int) -> Json:
        reply_id = f"chatcmpl-{hexed(number, question.name)[:32]}"
        return {"id": reply_id, "created": int(self.world.now()), "model": question.name, "system_fingerprint": "b0-unknown"}

    def reply(self, question: Question, answers: Sequence[Answer]) -> Json:
        choices: list[Json] = []
        for index, answer in enumerate(answers):
            message: Json = {"role": "assistant", "content": answer.text or None}
            if answer.thought:
                message["reasoning_content"] = answer.thought
            if answer.calls:
                message["tool_calls"] = openai_calls(answer.calls)
            choice: Json = {"finish_reason": answer.end.reason, "index": index, "message": message}
            if question.logprobs is not None:
                choice["logprobs"] = logprobs(answer.text, question.logprobs)
            choices.append(choice)
        ends = [answer.end for answer in answers]
        return {"choices": choices, "usage": self.usage(ends), "timings": timings(ends[0])}

    def first(self) -> Json:
        return {"role": "assistant", "content": None}

    def chunk(self, index: int, delta: Json, end: End | None = None, logprobs: Json | None = None) -> Json:
        told = {"finish_reason": end.reason if end else None, "index": index, "delta": delta}
        return {**told, "logprobs": logprobs} if logprobs else told

    def deltas(self, piece: Piece, number: int) -> list[Json]:
        return fragments(piece, number) if isinstance(piece, Call) else words_of(piece, "reasoning_content")

    def at_finish(self, question: Question) -> Json:
        """The times stand in the last event, whichever that is."""
        return {} if question.usage_told else {"timings": timings(End("stop", 1, 1))}

    def last(self, question: Question, ends: Sequence[End]) -> list[Json]:
        """Each answer tells its own usage."""
        if not question.usage_told:
            return []
        return [{"choices": [], "usage": self.usage([end]), "timings": timings(end)} for end in ends]

    def usage(self, ends: Sequence[End]) -> Json:
        """Of one answer, however many there are."""
        end = ends[0]
        told = {"completion_tokens": end.completion, "prompt_tokens": end.prompt, "total_tokens": end.total}
        return {**told, "prompt_tokens_details": {"cached_tokens": end.cached}}

    def described(self, model: Model) -> Json:
        meta = {"vocab_type": 2, "n_vocab": 128256, "n_ctx": model.context, "n_ctx_train": model.context, "n_embd": 4096}
        meta |= {"n_params": 8_030_261_312, "size": 4_912_898_304, "ftype": "Q4_K_M"}  # type: ignore[dict-item]
        told = {"id": model.id, "aliases": [model.id], "tags": [], "object": "model", "created": int(self.world.now())}
        kinds = {"input_modalities": list(model.input), "output_modalities": ["text"]}
        return {**told, "architecture": kinds, "owned_by": "llamacpp", "meta": meta}

    def listed(self) -> Json:
        """The models twice: as Ollama lists them, and as OpenAI does."""
        details = {"parent_model": "", "format": "gguf", "family": "", "families": [""], "parameter_size": "", "quantization_level": ""}
        models = [
            {
                "name": name, "model": name, "modified_at": "", "size": "", "digest": "", "type": "model", "description": "", "tags": [""],
                "capabilities": ["completion"], "parameters": "", "details": details,
            }
            for name in self.models
        ]  # fmt: skip
        return {"models": models, **super().listed()}

    def width(self, body: Json, model: Model) -> int:
        """It has no other, and passes over who asks for one."""
        return model.dimensions

    def vectors(self, body: Json, model: Model, told: list[Json], tokens: int) -> Json:
        return {"model": model.id, "object": "list", "usage": {"prompt_tokens": tokens, "total_tokens": tokens}, "data": told}


def timings(end: End) -> Json:
    """Milliseconds, made up."""
    read, written = max(end.prompt - end.cached, 1), max(end.completion, 1)
    return {
        "cache_n": end.cached, "prompt_n": read, "prompt_ms": 8.0 * read, "prompt_per_token_ms": 8.0, "prompt_per_second": 125.0,
        "predicted_n": written, "predicted_ms": 10.0 * written, "predicted_per_token_ms": 10.0, "predicted_per_second": 100.0,
    }  # fmt: skip
