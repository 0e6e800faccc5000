"""Which address is served by what. The data plane's own table: looked up before any framework."""

from collections.abc import Awaitable, Callable

from gateway.api.chat import chat
from gateway.api.embeddings import embeddings
from gateway.api.models import list_models, one_model
from gateway.api.serving import Serving
from gateway.api.wire import Exchange, Refusal

Endpoint = Callable[[Exchange, Serving], Awaitable[None]]

PATHS: dict[str, dict[str, Endpoint]] = {
    "/v1/chat/completions": {"POST": chat},
    "/v1/embeddings": {"POST": embeddings},
    "/v1/models": {"GET": list_models},
}
DEPLOYMENTS = {"chat/completions": chat, "embeddings": embeddings}
MODEL = "/v1/models/"
AZURE = "/openai/deployments/"


def endpoint_of(exchange: Exchange) -> Endpoint:
    """What serves the request. Raises Refusal(404) or Refusal(405)."""
    methods = PATHS.get(exchange.path)
    if methods is None:
        methods = _methods(canonical(exchange.path))
    if exchange.method in methods:
        return methods[exchange.method]
    if not methods:
        raise Refusal(
            404, f"Unknown request URL: {exchange.method} {exchange.path[:200]}. Is the base URL right? It ends in /v1.", code="unknown_url"
        )
    raise not_for(exchange, ", ".join(methods))


def not_for(exchange: Exchange, allowed: str) -> Refusal:
    """The refusal of a method that an address does not take."""
    message = f"{exchange.path[:200]} is not for {exchange.method}: it takes {allowed}."
    return Refusal(405, message, code="method_not_allowed", headers=[(b"allow", allowed.encode())])


def _methods(path: str) -> dict[str, Endpoint]:
    if path in PATHS:
        return PATHS[path]
    if path.startswith(MODEL):
        name = path.removeprefix(MODEL)
        return {"GET": lambda exchange, serving: one_model(exchange, serving, name)}
    if path.startswith(AZURE):
        deployment, _, rest = path.removeprefix(AZURE).partition("/")
        if deployment and rest in DEPLOYMENTS:
            return {"POST": lambda exchange, serving: DEPLOYMENTS[rest](exchange, serving, deployment)}
    return {}


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
