"""Azure OpenAI's side of the wire: a resource with a deployment of each model, on both surfaces, and Entra ID's issue of tokens.

Each model is deployed under its own name and, as people name such things, without dots and dashes and with `-prod` behind it: gpt-4o is
`gpt-4o` and `gpt4o-prod`. What a request may hold is OpenAI's affair, see providers/openai/simulator_checks.py; a dated version has less.
"""

import re
from collections.abc import AsyncIterator, Mapping

from providers.azure_openai.simulator_entra import Entra
from providers.azure_openai.simulator_versions import VERSIONS, check_version, fields_of, knows_developers
from providers.base import Json, Model
from providers.openai.media_simulator import Media
from providers.openai.simulator_answers import Voice, frames, head_of, reply, vectors
from providers.openai.simulator_checks import EMBEDDINGS, Question, ask_of, check_inputs, check_together, lacking, thinks
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
    data,
    json_reply,
    sse_reply,
    trouble,
)

KEY = re.compile(r"[A-Za-z0-9_-]{16,}")
"""Any key of this form is a resource of its own."""
ADDRESS = re.compile(
    r"/openai/(?:deployments/([^/]+)/|(v1)/)?(chat/completions|embeddings|models|images/(?:generations|edits)|audio/(?:speech|transcriptions))"
)
CALLS_QUIETLY = (5, 6)
SAFE = {"filtered": False, "severity": "safe"}
CATEGORIES = ("hate", "self_harm", "sexual", "violence")
CLEAN: Json = dict.fromkeys(CATEGORIES, SAFE)
UNCLEAN: Json = {**CLEAN, "violence": {"filtered": True, "severity": "medium"}}
PROMPT: Json = {**CLEAN, "jailbreak": {"filtered": False, "detected": False}}
LIMITS = {"x-ratelimit-limit-requests": "180", "x-ratelimit-limit-tokens": "30000"}
LEFT = {**LIMITS, "x-ratelimit-remaining-requests": "179", "x-ratelimit-remaining-tokens": "29000"}
BUSY = {**LIMITS, "x-ratelimit-remaining-requests": "12", "x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-requests": "1"}
WAIT = 37


class Plain(Exception):
    """An error that is only a code, most often the HTTP status as a string, and words."""

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.reply = json_reply(status, {"error": {"code": code, "message": message}}, headers)


def not_found() -> Plain:
    return Plain(404, "404", "Resource not found")


class AzureOpenAI:
    def __init__(self, world: World) -> None:
        self.world = world
        self.entra = Entra(world)
        self.media = Media(world, "azure_openai")
        self._number = 0

    async def handle(self, request: Request) -> Reply:
        if (file := self.media.shelf.get(request)) is not None:
            return file
        self._number += 1
        more = {"apim-request-id": f"{self._number:032x}", "x-ms-region": "Japan East", "x-request-id": f"{self._number:032x}"}
        if tenant := re.fullmatch(r"/([^/]+)/oauth2/v2\.0/token", request.path):
            return self.entra.token(request, tenant[1])
        try:
            answer = await self.answer(request)
        except Plain as plain:
            answer = plain.reply
        except Refusal as refusal:
            error: Json = {"message": refusal.message, "type": refusal.kind, "param": refusal.param, "code": refusal.code}
            if refusal.code == "content_filter":
                error |= {"type": None, "status": 400}
                error["innererror"] = {"code": "ResponsibleAIPolicyViolation", "content_filter_result": UNCLEAN}
            answer = json_reply(refusal.status, {"error": error})
        return Reply(answer.status, answer.body, {**more, **answer.headers})

    async def answer(self, request: Request) -> Reply:
        account = self.authenticate(request)
        path = ADDRESS.fullmatch(request.path)
        if path is None or request.method != ("GET" if path[3] == "models" else "POST") or (path[1] and path[3] == "models"):
            raise not_found()
        version = self.version(request, v1=bool(path[2]))
        if path[3] == "models":
            listed = [
                {"id": name, "object": "model", "status": "succeeded", "lifecycle_status": "generally-available"}
                for name in self.world.models
            ]
            return json_reply(200, {"object": "list", "data": listed})
        body, files = self.media.read(request, path[3])
        if not path[1] and not path[2]:
            raise not_found()
        name = path[1] or body.get("model")
        if not isinstance(name, str):
            raise bad("Missing required parameter: 'model'.", "model", "missing_required_parameter")
        model = self.deployed(name)
        if path[3].startswith(("images/", "audio/")):
            return self.media.answer(request, path[3], account, model, body, files)
        if path[3] == "embeddings":
            return self.embeddings(account, model, body)
        return await self.chat(account, model, body, version, name)

    def version(self, request: Request, *, v1: bool) -> str:
        """The dated version; "" on v1, which takes `preview` and `latest` and needs none."""
        asked = request.query.get("api-version", "")
        if v1:
            if asked not in ("", "v1", "latest", "preview"):
                raise Plain(400, "BadRequest", "API version not supported")
            return ""
        if asked not in VERSIONS:
            raise not_found()
        return asked

    def authenticate(self, request: Request) -> str:
        """The resource, by its key or by the application that has a token. Raises Plain."""
        key = request.headers.get("api-key", "")
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        account = key
        if not key and scheme.lower() == "bearer":
            shown = KEY.fullmatch(token) and not token.startswith("eyJ") and request.path.startswith("/openai/v1/")
            account = self.entra.holder(token) or (token if shown else "")
            if not account or trouble(account) == "expired":
                words = "Access token is missing, invalid, audience is incorrect (https://cognitiveservices.azure.com), or have expired."
                raise Plain(401, "401", f"Unauthorized. {words}")
        elif not KEY.fullmatch(key):
            raise wrong_key()
        match trouble(account):
            case "invalid" | "expired":
                raise wrong_key()
            case "quota" | "arrears":
                raise Plain(429, "insufficient_quota", "You exceeded your current quota, please check your plan and billing details.")
            case "limited":
                words = f"have exceeded call rate limit of your current OpenAI S0 pricing tier. Please retry after {WAIT} seconds."
                headers = {**BUSY, "retry-after": str(WAIT), "retry-after-ms": str(WAIT * 1000)}
                raise Plain(429, "429", f"Requests to the ChatCompletions_Create Operation under Azure OpenAI API {words}", headers)
        return account

    def deployed(self, name: str) -> Model:
        for model in self.world.models.values():
            if name in (model.id, re.sub(r"[.-]", "", model.id) + "-prod"):
                return model
        message = (
            "The API deployment for this resource does not exist. If you created the deployment within the last 5 minutes, please wait."
        )
        raise Plain(404, "DeploymentNotFound", message)

    # ---- chat ----

    async def chat(self, account: str, model: Model, body: Json, version: str, deployment: str) -> Reply:
        if model.kind != "chat":
            raise bad("The chatCompletion operation does not work with the specified model.", code="OperationNotSupported")
        for field in body.keys() - fields_of(version):
            raise bad(f"Unrecognized request argument supplied: {field}")
        given = check_values({**body, "model": deployment})
        for field in ("data_sources", "user_security_context"):
            if field in given and not isinstance(given[field], list if field == "data_sources" else dict):
                raise bad(f"Invalid type for '{field}'.", field, "invalid_type")
        check_version(given, version)
        check_messages(given.get("messages"), model, developer=thinks(model) and knows_developers(version))
        check_together(given, model)
        lacking(model, given, CALLS_QUIETLY)
        question = ask_of(given, model)
        if UNSAFE_INPUT in question.text:
            words = (
                "The response was filtered due to the prompt triggering the content management policy. Please modify your prompt and retry."
            )
            raise bad(words, "prompt", "content_filter")
        filtered = UNSAFE_OUTPUT in question.text
        head = head_of(question, self._number, self.world.now())
        voice = Voice(self.world, "azure_openai", account, head, unclean if filtered else clean, padding=False)
        headers = {**LEFT, "x-ms-deployment-name": deployment}
        if question.stream:
            return sse_reply(self.frames(voice, question, filtered=filtered), headers)
        answer = await reply(voice, question, filtered=filtered)
        return json_reply(200, {**answer, "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": PROMPT}]}, headers)

    async def frames(self, voice: Voice, question: Question, *, filtered: bool) -> AsyncIterator[bytes]:
        """First a chunk of remarks on the prompt, without id and choices; and, as in asynchronous mode, one on the answer without delta."""
        remarks = [{"prompt_index": 0, "content_filter_results": PROMPT}]
        yield data({"choices": [], "created": 0, "id": "", "model": "", "object": "", "prompt_filter_results": remarks})
        late: Json = {"index": 0, "finish_reason": None, "content_filter_results": CLEAN}
        late["content_filter_offsets"] = {"check_offset": 0, "start_offset": 0, "end_offset": 1}
        number = 0
        async for frame in frames(voice, question, filtered=filtered):
            yield frame
            number += 1
            if number == 2:
                yield data({**voice.head, "object": "chat.completion.chunk", "choices": [late]})

    # ---- embeddings ----

    def embeddings(self, account: str, model: Model, body: Json) -> Reply:
        if model.kind != "embedding":
            raise bad("The embeddings operation does not work with the specified model.", code="OperationNotSupported")
        for field in body.keys() - EMBEDDINGS:
            raise bad(f"Unrecognized request argument supplied: {field}")
        given = check_values(body)
        texts, width = check_inputs(given, model)
        end = End("stop", sum(map(count, texts)), 0)
        self.world.charge("azure_openai", account, model.id, end)
        told = vectors(texts, width, in_base64=given.get("encoding_format") == "base64")
        usage = {"prompt_tokens": end.prompt, "total_tokens": end.total}
        return json_reply(200, {"object": "list", "data": told, "model": model.id, "usage": usage}, LEFT)


def wrong_key() -> Plain:
    return Plain(
        401, "401", "Access denied due to invalid subscription key or wrong API endpoint. Provide a valid key for an active subscription."
    )


def clean(choice: Json) -> Json:
    said = choice.get("message", choice.get("delta")) or {}
    return {**choice, "content_filter_results": CLEAN if said.get("content") else {}}


def unclean(choice: Json) -> Json:
    return {**choice, "content_filter_results": UNCLEAN if choice["finish_reason"] else {}}


SIMULATOR = AzureOpenAI
