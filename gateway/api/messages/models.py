"""Models in Anthropic's form, for who asks with its version."""

from datetime import UTC, datetime

from gateway.api.wire import Exchange
from providers.base import Json

VERSION = b"anthropic-version"


def wanted(exchange: Exchange) -> bool:
    return VERSION in exchange.headers


def model_of(model: Json) -> Json:
    """Of OpenAI's form."""
    made = datetime.fromtimestamp(model["created"], UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"type": "model", "id": model["id"], "display_name": model["id"], "created_at": made, "lifecycle": "active"}


def list_of(models: list[Json]) -> Json:
    """All of them on one page."""
    ids = [model["id"] for model in models]
    return {
        "data": list(map(model_of, models)),
        "has_more": False,
        "first_id": ids[0] if ids else None,
        "last_id": ids[-1] if ids else None,
    }
