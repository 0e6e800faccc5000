"""Which address is served by what. The data plane's own table: looked up before any framework."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import date

from gateway.api import retired
from gateway.api.audio import ROUTES as AUDIO
from gateway.api.batches import ROUTES as BATCHES
from gateway.api.chat import chat
from gateway.api.completions.endpoint import ROUTES as COMPLETIONS
from gateway.api.completions.endpoint import completions
from gateway.api.embeddings import embeddings
from gateway.api.files import ROUTES as FILES
from gateway.api.fine_tuning import ROUTES as FINE_TUNING
from gateway.api.fine_tuning import delete_model
from gateway.api.images import ROUTES as IMAGES
from gateway.api.messages.endpoint import ROUTES as MESSAGES
from gateway.api.messages.errors import meant, speak
from gateway.api.models import list_models, one_model
from gateway.api.moderations import ROUTES as MODERATIONS
from gateway.api.rerank import ROUTES as RERANK
from gateway.api.responses.routes import ROUTES as RESPONSES
from gateway.api.serving import Endpoint, Routes, Serving
from gateway.api.uploads import ROUTES as UPLOADS
from gateway.api.wire import Exchange, Refusal

CHAT: Routes = {
    "/v1/chat/completions": {"POST": chat},
    "/v1/embeddings": {"POST": embeddings},
    "/v1/models": {"GET": list_models},
}
PARTS: tuple[Routes, ...] = (
    CHAT,
    COMPLETIONS,
    MESSAGES,
    RERANK,
    FINE_TUNING,
    RESPONSES,
    FILES,
    UPLOADS,
    BATCHES,
    IMAGES,
    AUDIO,
    MODERATIONS,
)
"""Each surface's own."""
PATHS: dict[str, Mapping[str, Endpoint]] = {path: methods for part in PARTS for path, methods in part.items() if "{" not in path}
PATTERNS: dict[tuple[str, ...], Mapping[str, Endpoint]] = {
    tuple("" if name.startswith("{") else name for name in path.split("/")): methods
    for part in PARTS
    for path, methods in part.items()
    if "{" in path
}
"""By the parts of an address, "" for any."""
DEPLOYMENTS: dict[str, Endpoint] = {
    "chat/completions": chat,
    "completions": completions,
    "embeddings": embeddings,
    **{path.removeprefix("/v1/"): methods["POST"] for part in (IMAGES, AUDIO) for path, methods in part.items()},
}
MODEL = "/v1/models/"
AZURE = "/openai/deployments/"


def endpoint_of(exchange: Exchange) -> Callable[[Exchange, Serving], Awaitable[None]]:
    """What serves the request. Raises Refusal(404) or Refusal(405): this one too, and all that come later, in the client's own form."""
    path = exchange.path
    if path != "/v1/chat/completions" and meant(exchange):
        speak(exchange)
    methods = PATHS.get(path)
    ids: tuple[str, ...] = ()
    if methods is None:
        methods, ids = _methods(canonical(exchange.path))
    if exchange.method in methods:
        endpoint = methods[exchange.method]
        return (lambda exchange, serving: endpoint(exchange, serving, *ids)) if ids else endpoint
    if not methods:
        if (gone := retired.refusal(canonical(exchange.path), date.today())) is not None:
            raise gone
        raise Refusal(
            404, f"Unknown request URL: {exchange.method} {exchange.path[:200]}. Is the base URL right? It ends in /v1.", code="unknown_url"
        )
    raise not_for(exchange, ", ".join(methods))


def not_for(exchange: Exchange, allowed: str) -> Refusal:
    """The refusal of a method that an address does not take."""
    message = f"{exchange.path[:200]} is not for {exchange.method}: it takes {allowed}."
    return Refusal(405, message, code="method_not_allowed", headers=[(b"allow", allowed.encode())])


def _methods(path: str) -> tuple[Mapping[str, Endpoint], tuple[str, ...]]:
    if path in PATHS:
        return PATHS[path], ()
    if path.startswith(MODEL):
        return {"GET": one_model, "DELETE": delete_model}, (path.removeprefix(MODEL),)
    if path.startswith(AZURE):
        deployment, _, rest = path.removeprefix(AZURE).partition("/")
        return ({"POST": DEPLOYMENTS[rest]}, (deployment,)) if deployment and rest in DEPLOYMENTS else ({}, ())
    names = path.split("/")
    for pattern, methods in PATTERNS.items():
        if len(pattern) == len(names) and all(part in ("", name) for part, name in zip(pattern, names, strict=True)):
            ids = tuple(name for part, name in zip(pattern[1:], names[1:], strict=True) if not part)
            if all(ids):
                return methods, ids
    return {}, ()


def canonical(path: str) -> str:
    """The address that people mean who join a base URL with too many or too few `/v1`, or end it with a slash."""
    path = path.rstrip("/") or "/"
    if path.startswith(("/openai/deployments/", "/v1/models/")):
        return path
    parts = path.split("/")[1:]
    if parts[:1] == ["openai"]:
        parts = parts[1:]
    while parts and parts[0] == "v1":
        parts = parts[1:]
    return "/v1/" + "/".join(parts)
