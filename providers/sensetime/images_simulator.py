"""The token plan's side of images, made and edited. See simulator.py."""

from base64 import b64encode

from providers.base import Json, Model
from providers.media_simulation import Shelf, edges, png
from providers.sensetime.simulator_checks import Refusal, bad
from providers.simulation import UNSAFE_INPUT, Reply, Request, World, json_reply

FIELDS = frozenset("model prompt size n response_format watermark prompt_extend".split())
NOT_LISTED = "Errors in message queue response"
OF_FAST = ("2048x2048", "2752x1536", "1536x2752")


def make(world: World, shelf: Shelf, request: Request, account: str, model: Model, body: Json, *, edit: bool) -> Reply:
    """POST /images/generations, and /images/edits"""
    if body.keys() - FIELDS - ({"images"} if edit else set()):
        raise bad(NOT_LISTED)
    prompt, size, form = body.get("prompt"), body.get("size", "auto"), body.get("response_format", "b64_json")
    if not isinstance(prompt, str) or not prompt or body.get("n", 1) != 1 or form not in ("url", "b64_json"):
        raise bad("prompt, n or response_format is invalid")
    if UNSAFE_INPUT in prompt:
        raise Refusal(400, 18, "sensitive content")
    pictures = body.get("images", [])
    if edit and not (isinstance(pictures, list) and 0 < len(pictures) <= 5):
        raise bad("images: 1 to 5 are wanted")
    if not all(isinstance(one, dict) and str(one.get("image_url")).startswith(("data:image/", "https://")) for one in pictures):
        raise bad("image down failed")
    found = (2048, 2048) if size == "auto" else edges(size, "x")
    if found is None or (model.id == "sensenova-u1-fast" and size not in ("auto", *OF_FAST)):
        raise bad("size is invalid")
    if not all(512 <= edge <= 4096 and not edge % 32 for edge in found) or max(found) > 3 * min(found):
        raise bad("size is invalid")
    world.charge_units("sensetime", account, model.id, images=1)
    made = png(prompt, *found)
    image = {"url": shelf.put(request, made, "image/png")} if form == "url" else {"b64_json": b64encode(made).decode()}
    return json_reply(200, {"created": int(world.now()), "data": [image]})
