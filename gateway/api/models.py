"""GET /v1/models and /v1/models/{id}: the names that a key may use."""

from gateway.api.auth import authenticate
from gateway.api.serving import Serving, no_model
from gateway.api.validate import LONGEST_NAME
from gateway.api.wire import Exchange
from gateway.routing.plan import resolve
from gateway.snapshot import Key, Snapshot
from providers.base import Json, encode

CREATED = 1_717_200_000
"""Names here were made by nobody at any time: a fixed moment (June 2024), since clients want one."""


async def list_models(exchange: Exchange, serving: Serving) -> None:
    key = authenticate(exchange, serving.snapshot, serving.ring)
    data = [model for name in names(key) if (model := describe(name, key, serving.snapshot))]
    await exchange.answer(200, encode({"object": "list", "data": data}))


async def one_model(exchange: Exchange, serving: Serving, name: str) -> None:
    key = authenticate(exchange, serving.snapshot, serving.ring)
    model = describe(name, key, serving.snapshot) if len(name) <= LONGEST_NAME else None
    if model is None:
        raise no_model(name, f"The model `{name[:200]}` is not known here, or not to this key.")
    await exchange.answer(200, encode(model))


def names(key: Key) -> list[str]:
    """Every plain name of the key's route tables, the nearest table's first. What patterns match cannot be listed."""
    return list(dict.fromkeys(name for level in key.levels for name, _ in level.exact.items()))


def describe(name: str, key: Key, snapshot: Snapshot) -> Json | None:
    """OpenAI's model object; None for a name that nothing may serve."""
    for endpoint in ("chat", "embeddings"):
        resolved = resolve(name, endpoint, key, snapshot)
        if resolved is not None and resolved.options:
            owner = resolved.options[0].hop.account.vendor
            return {"id": name, "object": "model", "created": CREATED, "owned_by": owner}
    return None
