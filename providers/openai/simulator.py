"""OpenAI's side of the wire, as strict as OpenAI: chat completions, embeddings and models."""

import re

from providers.base import Json, Model
from providers.openai.media_simulator import Media
from providers.openai.moderations_simulator import MODERATIONS, moderate
from providers.openai.simulator_answers import Voice, frames, head_of, reply, vectors
from providers.openai.simulator_checks import CHAT, EMBEDDINGS, ask_of, check_inputs, check_together, lacking
from providers.openai.simulator_messages import check_messages
from providers.openai.simulator_values import Refusal, bad, check_values
from providers.simulation import (
    UNSAFE_INPUT,
    UNSAFE_OUTPUT,
    End,
    Reply,
    Request,
    World,
    count,
    json_reply,
    read_body,
    sse_reply,
    trouble,
)

KEY = re.compile(r"sk-[A-Za-z0-9_-]{4,}")
"""Any key of this form is an account of its own."""
CALLS_QUIETLY = (5, 4)
LIMITS = {
    "x-ratelimit-limit-requests": "500",
    "x-ratelimit-limit-tokens": "30000",
    "x-ratelimit-remaining-requests": "499",
    "x-ratelimit-remaining-tokens": "29000",
    "x-ratelimit-reset-requests": "120ms",
    "x-ratelimit-reset-tokens": "2s",
}
BUSY = {**LIMITS, "x-ratelimit-remaining-requests": "0", "retry-after-ms": "120", "retry-after": "1"}


class OpenAI:
    def __init__(self, world: World) -> None:
        self.world = world
        self.media = Media(world, "openai")
        self._number = 0

    async def handle(self, request: Request) -> Reply:
        if (file := self.media.shelf.get(request)) is not None:
            return file
        self._number += 1
        more = {"x-request-id": f"req_{self._number:032x}", "openai-version": "2020-10-01", "openai-processing-ms": "7", **LIMITS}
        try:
            answer = await self.answer(request)
        except Refusal as refusal:
            error = {"message": refusal.message, "type": refusal.kind, "param": refusal.param, "code": refusal.code}
            answer = json_reply(refusal.status, {"error": error}, BUSY if refusal.code == "rate_limit_exceeded" else {})
        return Reply(answer.status, answer.body, {**more, **answer.headers})

    async def answer(self, request: Request) -> Reply:
        account = authenticate(request)
        match request.method, request.path:
            case "POST", "/v1/chat/completions":
                return await self.chat(account, read(request, CHAT))
            case "POST", "/v1/embeddings":
                return self.embeddings(account, read(request, EMBEDDINGS))
            case "POST", "/v1/images/generations" | "/v1/images/edits" | "/v1/audio/speech" | "/v1/audio/transcriptions":
                path = request.path.removeprefix("/v1/")
                body, files = self.media.read(request, path)
                return self.media.answer(request, path, account, self.known(body), body, files)
            case "POST", "/v1/moderations":
                body = read(request, MODERATIONS)
                asked = self.model({"model": "omni-moderation-latest", **body}, "moderation")
                return json_reply(200, moderate(self.world, account, asked, body, self._number))
            case "GET", "/v1/models":
                return json_reply(200, {"object": "list", "data": list(map(described, self.world.models))})
            case "GET", path if path.startswith("/v1/models/"):
                name = path.removeprefix("/v1/models/")
                if name not in self.world.models:
                    raise no_model(name)
                return json_reply(200, described(name))
        raise Refusal(404, f"Invalid URL ({request.method} {request.path})")

    def known(self, body: Json) -> Model:
        name = body.get("model")
        if name is None:
            raise bad("you must provide a model parameter")
        if not isinstance(name, str):
            raise bad("Invalid type for 'model': expected a string.", "model", "invalid_type")
        model = self.world.models.get(name)
        if model is None:
            raise no_model(name)
        return model

    def model(self, body: Json, kind: str) -> Model:
        model = self.known(body)
        if model.kind != kind and kind == "chat":
            raise Refusal(404, "This is not a chat model and thus not supported in the v1/chat/completions endpoint.", param="model")
        if model.kind != kind:
            raise Refusal(403, "You are not allowed to generate embeddings from this model.")
        return model

    async def chat(self, account: str, body: Json) -> Reply:
        model = self.model(body, "chat")
        given = check_values(body)
        check_messages(given.get("messages"), model)
        check_together(given, model)
        lacking(model, given, CALLS_QUIETLY)
        question = ask_of(given, model)
        if UNSAFE_INPUT in question.text:
            raise bad("Invalid prompt: your prompt was flagged as potentially violating our usage policy.", code="invalid_prompt")
        head = {**head_of(question, self._number, self.world.now()), "service_tier": "default"}
        voice = Voice(self.world, "openai", account, head)
        filtered = UNSAFE_OUTPUT in question.text
        if question.stream:
            return sse_reply(frames(voice, question, filtered=filtered))
        return json_reply(200, await reply(voice, question, filtered=filtered))

    def embeddings(self, account: str, body: Json) -> Reply:
        model = self.model(body, "embedding")
        given = check_values(body)
        texts, width = check_inputs(given, model)
        end = End("stop", sum(map(count, texts)), 0)
        self.world.charge("openai", account, model.id, end)
        told = vectors(texts, width, in_base64=given.get("encoding_format") == "base64")
        usage = {"prompt_tokens": end.prompt, "total_tokens": end.total}
        return json_reply(200, {"object": "list", "data": told, "model": model.id, "usage": usage})


def read(request: Request, fields: frozenset[str]) -> Json:
    """The body, of known fields. Raises Refusal."""
    body = read_body(request)
    if body is None:
        raise bad(
            "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your HTTP library correctly.)"
        )
    for field in body.keys() - fields:
        raise bad(f"Unknown parameter: '{field}'.", field, "unknown_parameter")
    return body


def authenticate(request: Request) -> str:
    """The key, which is the account. Raises Refusal."""
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not key:
        raise Refusal(401, "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth.")
    shown = f"{key[:7]}***{key[-4:]}"
    match trouble(key):
        case "expired":
            raise Refusal(401, "The OpenAI account associated with this API key has been deactivated.", code="account_deactivated")
        case "arrears":
            message = "Your account is not active, please check your billing details on our website."
            raise Refusal(429, message, code="billing_not_active", kind="billing_not_active")
        case "quota":
            message = "You exceeded your current quota, please check your plan and billing details."
            raise Refusal(429, message, code="insufficient_quota", kind="insufficient_quota")
        case "limited":
            message = "Rate limit reached on requests per min (RPM): Limit 500, Used 500, Requested 1. Please try again in 120ms."
            raise Refusal(429, message, code="rate_limit_exceeded", kind="requests")
    if trouble(key) or not KEY.fullmatch(key):
        raise Refusal(401, f"Incorrect API key provided: {shown}.", code="invalid_api_key")
    return key


def no_model(name: str) -> Refusal:
    message = f"The model `{name}` does not exist or you do not have access to it."
    return Refusal(404, message, code="model_not_found")


def described(name: str) -> Json:
    return {"id": name, "object": "model", "created": 1_715_367_049, "owned_by": "system"}


SIMULATOR = OpenAI
