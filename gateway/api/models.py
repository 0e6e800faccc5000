"""GET /v1/models and /v1/models/{id}: the names that a key may use."""

import asyncio

from gateway.api.auth import authenticate
from gateway.api.messages import models as anthropic
from gateway.api.serving import Serving, no_model
from gateway.api.validate import LONGEST_NAME
from gateway.api.wire import Exchange
from gateway.routing.plan import Resolved, resolve
from gateway.snapshot import ENDPOINTS_OF_KIND, Key, Snapshot
from gateway.tuning.table import PREFIX, Tuned
from providers.base import Json, encode

CREATED = 1_717_200_000
"""Names here were made by nobody at any time: a fixed moment (June 2024), since clients want one."""
AT_ONCE = 100
"""Names that are looked up before others have their turn."""
ENDPOINTS = tuple(endpoint for endpoints in ENDPOINTS_OF_KIND.values() for endpoint in endpoints)


async def list_models(exchange: Exchange, serving: Serving) -> None:
    key = authenticate(exchange, serving.snapshot, serving.ring)
    tuned = serving.tuned.of(key.team) if serving.tuned is not None else []
    snapshot = serving.snapshot
    data: list[Json] = []
    for count, name in enumerate((*names(key), *tuned), 1):
        if model := describe(name, key, snapshot, serving.tuned):
            data.append(model)
        if not count % AT_ONCE:
            await asyncio.sleep(0)
    await exchange.answer(200, encode(anthropic.list_of(data) if anthropic.wanted(exchange) else {"object": "list", "data": data}))


async def one_model(exchange: Exchange, serving: Serving, name: str) -> None:
    """With what serves it: where `Link` of an answer under a name that OpenAI ends leads to."""
    key = authenticate(exchange, serving.snapshot, serving.ring)
    model = describe(name, key, serving.snapshot, serving.tuned) if len(name) <= LONGEST_NAME else None
    if model is None:
        raise no_model(name, f"The model `{name[:200]}` is not known here, or not to this key.")
    told = anthropic.model_of(model) if anthropic.wanted(exchange) else model
    await exchange.answer(200, encode({**told, "served_by": served_by(name, key, serving.snapshot, serving.tuned)}))


def names(key: Key) -> list[str]:
    """Every plain name of the key's route tables, the nearest table's first. What patterns match cannot be listed."""
    return list(dict.fromkeys(name for level in key.levels for name, _ in level.exact.items()))


def describe(name: str, key: Key, snapshot: Snapshot, tuned: Tuned | None = None) -> Json | None:
    """OpenAI's model object; None for a name that nothing may serve. `shutdown_date`: from when OpenAI itself no longer serves the name."""
    resolved = served(name, key, snapshot, tuned)
    if resolved is None:
        return None
    model: Json = {"id": name, "object": "model", "created": CREATED, "owned_by": resolved.options[0].hop.account.vendor}
    if (end := snapshot.catalog.retirements.get(name)) is not None:
        model["shutdown_date"] = end.shutdown.isoformat()
    return model


def served(name: str, key: Key, snapshot: Snapshot, tuned: Tuned | None = None) -> Resolved | None:
    """What the name stands for at the first endpoint that has something to serve it with."""
    if tuned is not None and name.startswith(PREFIX) and (own := tuned.resolve(name, "chat", key, snapshot)) is not None:
        return own if own.options else None
    for endpoint in ENDPOINTS:
        resolved = resolve(name, endpoint, key, snapshot)
        if resolved is not None and resolved.options:
            return resolved
        if resolved is None or all(rejected.code != "endpoint" for rejected in resolved.rejected):
            return None  # no other endpoint would help
    return None


def served_by(name: str, key: Key, snapshot: Snapshot, tuned: Tuned | None = None) -> list[str]:
    """Accounts and models, in the order in which they are named."""
    resolved = served(name, key, snapshot, tuned)
    return list(dict.fromkeys(option.hop.name for option in resolved.options)) if resolved else []
