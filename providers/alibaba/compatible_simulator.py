"""The compatible surface's side of the wire: OpenAI's shapes, with Model Studio's limits. See simulator.py."""

from collections.abc import AsyncIterator
from typing import Any

from providers.alibaba.simulator_answers import Budgeted, all_in_all, fragments, logprobs
from providers.alibaba.simulator_checks import EXPLANATION, NEWER, PARAMETERS, Question, Refusal, bad, read_question, unsafe
from providers.base import Json, Model, encode
from providers.simulation import (
    Answer,
    Call,
    End,
    Reply,
    Text,
    Thought,
    World,
    count,
    data,
    json_reply,
    openai_calls,
    sse_reply,
    vector,
    whole,
)

FIELDS = PARAMETERS | {"model", "messages", "stream", "stream_options"}


def error(refusal: Refusal, request_id: str) -> Json:
    """The compatible surface's error body."""
    plain = refusal.compatible in (
        "invalid_parameter_error",
        "invalid_request_error",
        "invalid_api_key",
        "model_not_found",
        "model_not_supported",
    )
    kind = "invalid_request_error" if plain else refusal.compatible
    return {
        "error": {"message": refusal.message, "type": kind, "param": None, "code": refusal.compatible},
        "request_id": request_id,
    }


class Compatible:
    def __init__(self, world: World) -> None:
        self.world = world

    def model(self, body: Json, kind: str) -> Model:
        name = body.get("model")
        if not isinstance(name, str) or not name:
            raise Refusal(400, "BadRequest.EmptyModel", "invalid_request_error", "you must provide a model parameter")
        model = self.world.models.get(name)
        if model is None or (model.surfaces and "compatible" not in model.surfaces):
            raise Refusal(404, "ModelNotFound", "model_not_found", f"The model `{name}` does not exist or you do not have access to it.")
        if model.kind != kind:
            message = f"Unsupported model `{name}` for OpenAI compatibility mode."
            raise Refusal(404, "ModelNotFound", "model_not_supported", message)
        return model

    # ---- chat ----

    async def chat(self, account: str, body: Json, request_id: str) -> Reply:
        model = self.model(body, "chat")
        stream = body.get("stream", False)
        params = self.params(body, model)
        question = read_question(params, body.get("messages"), model, stream=stream)
        head = {"id": f"chatcmpl-{request_id}", "created": int(self.world.now()), "model": model.id, "system_fingerprint": None}
        if stream:
            told = body.get("stream_options", {}).get("include_usage", False)
            return sse_reply(self.frames(account, question, head, request_id, usage_told=told))
        brain = Budgeted(self.world.brain, question)
        answers = [await whole(brain, ask) for ask in question.asks]
        if question.unsafe_output:
            raise unsafe()
        end = all_in_all([answer.end for answer in answers])
        self.world.charge("alibaba", account, model.id, end)
        choices = [spoken(answer, index, question.likely) for index, answer in enumerate(answers)]
        return json_reply(200, {**head, "object": "chat.completion", "choices": choices, "usage": usage(end)})

    def params(self, body: Json, model: Model) -> Json:
        """The fields of both surfaces. Raises Refusal for the others, and for what this surface alone has to look at."""
        params = dict(body)
        if NEWER.match(model.id) and "max_completion_tokens" in params:
            params.setdefault("max_tokens", params.pop("max_completion_tokens"))
        for field in params.keys() - FIELDS:
            raise bad(f"Unrecognized request argument supplied: {field}. {EXPLANATION}")
        options = body.get("stream_options", {})
        if not isinstance(body.get("stream", False), bool):
            raise bad("stream must be a boolean")
        if not isinstance(options, dict) or options.keys() - {"include_usage"} or not isinstance(options.get("include_usage", False), bool):
            raise bad("stream_options takes include_usage alone")
        if options and not body.get("stream"):
            raise bad("The 'stream_options' parameter is only allowed when 'stream' is enabled.")
        return {name: value for name, value in params.items() if name in PARAMETERS}

    async def frames(self, account: str, question: Question, head: Json, request_id: str, *, usage_told: bool) -> AsyncIterator[bytes]:
        """Usage only if asked for, in a chunk of its own, and null in the others. What is blocked ends in an error and no [DONE]."""
        head = {**head, "object": "chat.completion.chunk"}
        ends: list[End] = []
        for index, ask in enumerate(question.asks):
            deltas = Deltas(question)
            async for piece in Budgeted(self.world.brain, question).answer(ask):
                if isinstance(piece, End):
                    ends.append(piece)
                elif question.unsafe_output and deltas.begun:
                    yield data(error(unsafe(), request_id))
                    return
                for delta, likely in deltas.of(piece):
                    choice = {"index": index, "delta": delta, "finish_reason": None, "logprobs": likely}
                    yield data({**head, "choices": [choice], "usage": None})
            if question.unsafe_output:
                yield data(error(unsafe(), request_id))
                return
            if index + 1 == len(question.asks):
                end = all_in_all(ends)
                self.world.charge("alibaba", account, question.model.id, end)
            last = {"index": index, "delta": {"content": ""}, "finish_reason": ends[-1].reason, "logprobs": None}
            yield data({**head, "choices": [last], "usage": None})
        if usage_told:
            yield data({**head, "choices": [], "usage": usage(end)})
        yield b"data: [DONE]\n\n"

    # ---- embeddings, models ----

    def embeddings(self, account: str, body: Json, request_id: str) -> Reply:
        model = self.model(body, "embedding")
        for field in body.keys() - {"model", "input", "dimensions", "encoding_format"}:
            raise bad(f"Unrecognized request argument supplied: {field}. {EXPLANATION}")
        given = body.get("input")
        texts = check_texts([given] if isinstance(given, str) else given, model)
        if body.get("encoding_format", "float") != "float":
            raise bad("encoding_format should be float")
        width = check_width(body.get("dimensions"), model)
        end = End("stop", sum(map(count, texts)), 0)
        self.world.charge("alibaba", account, model.id, end)
        vectors = [{"object": "embedding", "index": i, "embedding": vector(text, width)} for i, text in enumerate(texts)]
        told = {"prompt_tokens": end.prompt, "total_tokens": end.total}
        return json_reply(200, {"object": "list", "data": vectors, "model": model.id, "usage": told, "id": request_id})

    def models(self) -> Reply:
        served = [{"id": name, "object": "model", "created": 1_700_000_000, "owned_by": "system"} for name in self.world.models]
        return json_reply(200, {"object": "list", "data": served})


class Deltas:
    """What has been said of one streamed answer: the role comes once, thoughts before words, and a call in fragments without its id."""

    def __init__(self, question: Question) -> None:
        self.question = question
        self.begun = False
        self.calls = 0

    def of(self, piece: Thought | Text | Call | End) -> list[tuple[Json, Json | None]]:
        """The deltas that a piece comes in, each with its log probabilities."""
        deltas = self._deltas(piece)
        if not self.begun:
            self.begun = True
            if "tool_calls" in (deltas[0][0] if deltas else {}):
                return [({"role": "assistant", **deltas[0][0]}, None), *deltas[1:]]
            blank = {"content": None, "reasoning_content": ""} if self.question.thinks else {"content": ""}
            return [({**blank, "role": "assistant"}, None), *deltas]
        return deltas

    def _deltas(self, piece: Thought | Text | Call | End) -> list[tuple[Json, Json | None]]:
        match piece:
            case Thought():
                return [({"content": None, "reasoning_content": piece.text}, None)]
            case Text():
                delta = {"content": piece.text, "reasoning_content": None} if self.question.thinks else {"content": piece.text}
                return [(delta, logprobs(piece.text, self.question.likely))]
            case Call():
                number, self.calls = self.calls, self.calls + 1
                first = {"index": number, "id": piece.id, "type": "function", "function": {"name": piece.name, "arguments": ""}}
                later = [
                    {"index": number, "id": "", "type": "function", "function": {"arguments": part}} for part in fragments(piece.arguments)
                ]
                return [({"content": None, "tool_calls": [call]}, None) for call in (first, *later)]
        return []


def spoken(answer: Answer, index: int, likely: int | None) -> Json:
    message: Json = {"role": "assistant", "content": answer.text}
    if answer.thought:
        message["reasoning_content"] = answer.thought
    if answer.calls:
        message["tool_calls"] = [{**call, "index": i} for i, call in enumerate(openai_calls(answer.calls))]
    return {"index": index, "finish_reason": answer.end.reason, "logprobs": logprobs(answer.text, likely), "message": message}


def usage(end: End) -> Json:
    told: Json = {"prompt_tokens": end.prompt, "completion_tokens": end.completion, "total_tokens": end.total}
    told["prompt_tokens_details"] = {"cached_tokens": end.cached}
    if end.reasoning:
        told["completion_tokens_details"] = {"reasoning_tokens": end.reasoning, "text_tokens": end.completion - end.reasoning}
    return told


# ---- what both surfaces' embeddings are held to ----


def check_texts(texts: Any, model: Model) -> list[str]:
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) and text for text in texts):
        raise bad("Value error, contents is neither str nor list of str.: input.contents")
    batch = model.batch or 10
    if len(texts) > batch:
        raise bad(f"Value error, batch size is invalid, it should not be larger than {batch}.: input.contents")
    if model.context and any(count(text) > model.context for text in texts):
        raise bad(f"Range of input length should be [1, {model.context}]")
    return texts


def check_width(width: Any, model: Model) -> int:
    if width is None or (isinstance(width, int) and not isinstance(width, bool) and width in (model.dimensions, *model.allowed_dimensions)):
        return width or model.dimensions
    allowed = encode(sorted(model.allowed_dimensions or (model.dimensions,), reverse=True)).decode()
    raise bad(f"Value error, dimension should be in {allowed}")
