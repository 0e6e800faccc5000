"""Refusals in Anthropic's envelope: {"type": "error", "error": {"type", "message"}, "request_id"}."""

from collections.abc import Callable

from gateway.api.messages.models import VERSION
from gateway.api.wire import Exchange, Refusal
from providers.base import Json

TYPES = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}
"""Anthropic's word by the status; other failures of a caller are invalid_request_error, all else is api_error."""
PATHS = ("/v1/messages", "/v1/v1/messages")
"""What addresses of this surface begin with, also where a base URL has a `/v1` too many."""
TOO_LONG = "prompt is too long: "
"""What Claude Code looks for in a message, to make the conversation shorter."""


def body_for(request_id: str) -> Callable[[Refusal], Json]:
    """How the refusals of a request are told."""

    def body(refusal: Refusal) -> Json:
        status, error = refusal.status, refusal.body["error"]
        kind = TYPES.get(status) or ("invalid_request_error" if status < 500 else "api_error")
        message = f"{TOO_LONG}{error['message']}" if error["code"] == "context_length_exceeded" else error["message"]
        told: Json = {"type": kind, "message": message}
        if details := error.get("details"):
            told["details"] = details
        return {"type": "error", "error": told, "request_id": request_id}

    return body


def meant(exchange: Exchange) -> bool:
    """Whether a client of Anthropic's asks, as far as can be told before anything else is looked at."""
    return exchange.path.startswith(PATHS) or (VERSION in exchange.headers and exchange.path.startswith("/v1/models"))


def speak(exchange: Exchange) -> None:
    """From here on the exchange speaks as Anthropic does."""
    exchange.says_no = body_for(exchange.request_id)
    exchange.more = [(b"request-id", exchange.request_id.encode())]
