"""What a team's file says of keeping: whether anything is kept of what it asks, and how many responses it may have in the background."""

from gateway.api.wire import Refusal
from gateway.objects import Object, Objects
from gateway.snapshot import Key
from providers.base import Change, Json

QUEUED = "response_queued"
"""Beside each response in the background that has not ended."""
COUNTED = 86_400.0
"""Seconds for which one of them counts, at most: the gateway may have died before there was a job for it."""
INSTEAD = {
    "background": "wait for the answer, or have it streamed",
    "previous_response_id": "send the earlier items in 'input'",
    "conversation": "send the earlier items in 'input'",
}
"""What needs something kept, and what does the same without."""


def settled(body: Json, key: Key) -> tuple[Json, tuple[Change, ...]]:
    """The request, with `store: false` where its team keeps nothing, and what is to be told of that. Raises Refusal(400) where it needs
    something kept."""
    if key.keeping.store:
        return body, ()
    for name, instead in INSTEAD.items():
        if body.get(name):
            raise not_kept(key, f"'{name}' is not taken: {instead}", name)
    told = () if body.get("store") is False or (key.strict and "store" not in body) else (SETTLED,)
    return {**body, "store": False}, told


SETTLED = Change("store", "clamped", "false", why="the team keeps nothing of responses")


def not_kept(key: Key, what: str, param: str | None = None) -> Refusal:
    message = f"Team `{key.team}` keeps nothing of responses and conversations (`responses.store` in its file), so {what}."
    return Refusal(400, message, param=param, code="storage_not_allowed")


# ---- in the background ----


def place_of(id: str, team: str, now: float) -> Object:
    """What counts while the response of that id has not ended."""
    return Object(f"{id}.queued", QUEUED, team, {}, now, parent=id, until=now + COUNTED)


async def room(objects: Objects, key: Key, place: Object | None = None) -> bool:
    """Whether there is a place for one more; of one that has been made, whether it is among those that may be. Raises StoreError."""
    if place is None:
        return await objects.count(QUEUED, key.team) < key.keeping.background
    return await objects.count(QUEUED, key.team, up_to=place.position) <= key.keeping.background


async def over(objects: Objects, id: str, team: str) -> None:
    """Raises StoreError."""
    await objects.delete(QUEUED, team, place_of(id, team, 0.0).id)


def too_many(key: Key) -> Refusal:
    message = (
        f"Team `{key.team}` has as many responses in the background as it may, {key.keeping.background} (`responses.background` in its "
        "file): come again when some have ended, or cancel some by POST /v1/responses/{id}/cancel."
    )
    return Refusal(429, message, kind="requests", code="too_many_background_responses", headers=[(b"retry-after", b"10")])
