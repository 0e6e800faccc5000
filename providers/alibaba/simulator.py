"""Model Studio's side of the wire, as strict as its documents (read 2026-11-23) say it is: one key, two surfaces told apart by the path.

Where the documents do not say whether a field is refused or passed over, it is refused: an adapter that sends it would be wrong somewhere.
"""

import re
from uuid import NAMESPACE_URL, uuid5

from providers.alibaba import compatible_simulator, native_simulator, rerank_simulator
from providers.alibaba.compatible_simulator import Compatible
from providers.alibaba.media_simulator import Media
from providers.alibaba.native_simulator import Native
from providers.alibaba.simulator_checks import Refusal, bad
from providers.alibaba.tuning_simulator import Tuning
from providers.base import Json
from providers.batching_simulation import Batches, Rules
from providers.simulation import Reply, Request, World, json_reply, read_body, trouble

COMPATIBLE = ("/compatible-mode/v1", "/compatible-api/v1")
NATIVE = "/api/v1"
BATCHES = Rules(
    "/v1/chat/completions",
    frozenset("input_file_id endpoint completion_window metadata".split()),
    windows=(24, 336),
    most_lines=50_000,
    most_bytes=500 << 20,
    one_model=True,
)
KEY = re.compile(r"sk-[A-Za-z0-9][A-Za-z0-9._-]*")
"""Any key of this form is an account of its own."""

TROUBLES = {
    "invalid": (401, "InvalidApiKey", "invalid_api_key", "Incorrect API key provided. "),
    "expired": (401, "InvalidApiKey", "invalid_api_key", "invalid access token or token expired"),
    "arrears": (400, "Arrearage", "Arrearage", "Access denied, please make sure your account is in good standing."),
    "quota": (403, "AllocationQuota.FreeTierOnly", "AllocationQuota.FreeTierOnly", "The free tier of the model has been exhausted."),
    "limited": (429, "Throttling.RateQuota", "limit_requests", "Requests rate limit exceeded, please try again later."),
}


class Alibaba:
    def __init__(self, world: World) -> None:
        self.tuning = Tuning(world)
        self.media = Media(world)
        self.compatible = Compatible(world)
        self.native = Native(world)
        self.world = world
        self.batches = Batches(
            world, BATCHES, self.line, lambda status, message: Refusal(status, "InvalidParameter", "invalid_parameter_error", message)
        )
        self._number = 0

    async def handle(self, request: Request) -> Reply:
        if (file := self.media.shelf.get(request)) is not None:
            return file
        self._number += 1
        request_id = str(uuid5(NAMESPACE_URL, f"{self._number}"))
        try:
            account = authenticate(request)
            reply = await self.answer(account, request, request_id)
        except Refusal as refusal:
            error = compatible_simulator.error if request.path.startswith(COMPATIBLE) else native_simulator.error
            reply = json_reply(refusal.status, error(refusal, request_id))
        return Reply(reply.status, reply.body, {**reply.headers, "x-request-id": request_id})

    async def line(self, account: str, body: Json) -> Reply:
        """Of a batch."""
        self._number += 1
        request_id = str(uuid5(NAMESPACE_URL, f"{self._number}"))
        try:
            return await self.compatible.chat(account, body, request_id)
        except Refusal as refusal:
            return json_reply(refusal.status, compatible_simulator.error(refusal, request_id))

    async def answer(self, account: str, request: Request, request_id: str) -> Reply:
        if (made := self.media.answer(account, request, read, request_id)) is not None:
            return made
        match request.method, request.path:
            case "POST", "/compatible-mode/v1/chat/completions":
                return await self.compatible.chat(account, read(request), request_id)
            case "POST", "/compatible-mode/v1/embeddings":
                return self.compatible.embeddings(account, read(request), request_id)
            case "GET", "/compatible-mode/v1/models":
                return self.compatible.models()
            case "POST", "/api/v1/services/aigc/text-generation/generation" | "/api/v1/services/aigc/multimodal-generation/generation":
                refuse_tasks(request)
                segment = request.path.split("/")[5]
                return await self.native.chat(account, read(request), request_id, segment=segment, stream=streams(request))
            case "POST", "/api/v1/services/embeddings/text-embedding/text-embedding":
                refuse_tasks(request)
                return self.native.embeddings(account, read(request), request_id)
            case "POST", "/api/v1/services/rerank/text-rerank/text-rerank":
                refuse_tasks(request)
                return rerank_simulator.native(self.world, account, read(request), request_id)
            case "POST", "/compatible-api/v1/reranks":
                return rerank_simulator.compatible(self.world, account, read(request), request_id)
            case "GET", "/api/v1/models":
                return self.native.models(request_id, request.query)
        if request.path.startswith(COMPATIBLE[0]):
            batched = await self.batches.answer(account, request, request.path.removeprefix(COMPATIBLE[0]))
            if batched is not None:
                return batched
        if (tuned := self.tuning.answer(account, request, request_id)) is not None:
            return tuned
        raise Refusal(404, "NotFound", "NotFound", f"{request.method} {request.path} does not exist.")


def authenticate(request: Request) -> str:
    """The account that a key stands for. Raises Refusal."""
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        raise Refusal(401, "InvalidApiKey", "invalid_api_key", "No API-key provided.")
    key = key.strip()
    if refusal := TROUBLES.get(trouble(key) or ""):
        raise Refusal(*refusal)
    if not KEY.fullmatch(key):
        raise Refusal(*TROUBLES["invalid"])
    return key


def read(request: Request) -> Json:
    """The body without nulls: clients of OpenAI's make no difference between null and absent."""
    body = read_body(request)
    if body is None:
        raise bad("Request body format invalid: it is not a JSON object")
    return {field: value for field, value in body.items() if value is not None}


def streams(request: Request) -> bool:
    """On the native surface a header asks for a stream; either of two does."""
    return request.headers.get("x-dashscope-sse") == "enable" or "text/event-stream" in request.headers.get("accept", "")


def refuse_tasks(request: Request) -> None:
    if request.headers.get("x-dashscope-async") == "enable":
        raise Refusal(403, "AccessDenied", "access_denied", "current user api does not support asynchronous calls.")


SIMULATOR = Alibaba
