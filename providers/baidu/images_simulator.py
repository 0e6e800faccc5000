"""Qianfan's side of images, made and edited. See simulator.py."""

from typing import Any

from providers.baidu.checks_v2_simulator import Refusal, bad
from providers.base import Json, Model
from providers.media_simulation import Shelf, edges, png
from providers.simulation import UNSAFE_INPUT, Reply, Request, World, json_reply

FIELDS = frozenset("model prompt negative_prompt n size refer_image steps seed guidance prompt_extend watermark user".split())
LONGEST = {"flux": 512, "qwen": 800, "irag": 220}
"""Characters of a prompt, by the beginning of the model's name."""


class Images:
    def __init__(self, world: World) -> None:
        self.world = world
        self.shelf = Shelf()

    def make(self, request: Request, account: str, model: Model, body: Json, reply_id: str, *, edit: bool) -> Reply:
        """POST /v2/images/generations, and /v2/images/edits"""
        for name in body.keys() - FIELDS - ({"image"} if edit else set()):
            raise bad(f"the parameter {name} is not supported")
        prompt = body.get("prompt")
        if not isinstance(prompt, str) or not prompt:
            raise bad("prompt is empty", "invalid_image_generation_prompt")
        if len(prompt) > next((most for name, most in LONGEST.items() if model.id.startswith(name)), 1 << 20):
            raise bad("the prompt is too long", "characters_too_long")
        if UNSAFE_INPUT in prompt:
            raise Refusal(403, "unsafe_request", "user_setting_unsafe", "the content of prompt is unsafe")
        if edit != ("edit" in model.id):
            raise bad("the model does not support this API")
        if edit:
            self._pictures(body.get("image"))
        number = body.get("n", 1)
        if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= (1 if model.id.startswith("qwen") else 4):
            raise bad("n is out of range")
        found = edges(body.get("size", "1024x1024"), "x")
        if found is None or not all(512 <= edge <= 2048 for edge in found):
            raise bad("size is not supported")
        self.world.charge_units("baidu", account, model.id, images=number)
        urls = [self.shelf.put(request, png(f"{prompt} {one}", *found), "image/png") for one in range(number)]
        return json_reply(200, {"id": reply_id, "created": int(self.world.now()), "data": [{"url": url} for url in urls]})

    @staticmethod
    def _pictures(told: Any) -> None:
        pictures = told if isinstance(told, list) else [told]
        if not pictures or not all(isinstance(one, str) and one.startswith(("data:image/", "https://")) for one in pictures):
            raise bad("image is neither an address nor a data URL", "invalid_image_generation_refer_image")
