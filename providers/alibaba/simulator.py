"""Model Studio's side of the wire, as strict as its documents (read 2026-11-23) say it is: one key, two surfaces told apart by the path.

Where the documents do not say whether a field is refused or passed over, it is refused: an adapter that sends it would be wrong somewhere.
"""

import re
from uuid import NAMESPACE_URL, uuid5

from providers.alibaba import compatible_simulator, native_simulator
from providers.alibaba.compatible_simulator import Compatible
from providers.alibaba.native_simulator import Native
from providers.alibaba.simulator_checks import Refusal, bad
from providers.base import Json
from providers.simulation import Reply, Request, World, json_reply, read_body, trouble

COMPATIBLE = "/compatible-mode/v1"
NATIVE = "/api/v1"
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
        self.compatible = Compatible(world)
        self.native = Native(world)
        self._number = 0

    async def handle(self, request: Request) -> Reply:
        self._number += 1
        request_id = str(uuid5(NAMESPACE_URL, f"{self._number}"))
        try:
            account = authenticate(request)
            reply = await self.answer(account, request, request_id)
        except Refusal as refusal:
            error = compatible_simulator.error if request.path.startswith(COMPATIBLE) else native_simulator.error
            reply = json_reply(refusal.status, error(refusal, request_id))
        return Reply(reply.status, reply.body, {**reply.headers, "x-request-id": request_id})

    async def answer(self, account: str, request: Request, request_id: str) -> Reply:
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
            case "GET", "/api/v1/models":
                return self.native.models(request_id, request.query)
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
