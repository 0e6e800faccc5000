"""Images of Wan and Qwen, made and edited. The catalog's endpoint says which of DashScope's addresses a model is served at:

    text2image, image2image    as a task: input {prompt, images}, parameters {size, n}
    multimodal-generation      at once: input.messages with images and the prompt as parts

Facts from the vendor's API reference and dashscope 2.0.2, read 2026-11-23.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from msgspec import Struct

from providers.alibaba.errors import fault_of
from providers.base import JSON_BODY, Change, Fault, Json, Outgoing, Target, encode
from providers.fields import Fields, all_native, answers, apply
from providers.media import EDIT_BASICS, IMAGE_BASICS, Whole, in_url, size
from providers.openai_like import UNKNOWN, read_json

MODE, OWN = "/compatible-mode/v1", "/api/v1"
TASK: Mapping[str, str] = {**JSON_BODY, "x-dashscope-async": "enable"}
OF_WAN = size(("1024x1024", "1280x720", "720x1280", "1440x960", "960x1440"), least=512, most=1440, by="*")
OF_QWEN = size(("1328x1328", "1664x928", "928x1664", "1472x1140", "1140x1472"), by="*")
OF_QWEN_2 = size(("1024x1024", "1536x1024", "1024x1536"), least=512, most=2048, by="*")
INPUT = ("prompt", "negative_prompt", "images", "function", "base_image_url", "mask_image_url")
MOST_EDITED = 3
"""Images that an edit of Qwen's takes."""


def edges(out: Json, field: str, value: Any, target: Target) -> tuple[Change, ...]:
    name = target.model.id
    rule = OF_WAN if name.startswith("wan") else OF_QWEN_2 if name.startswith(("qwen-image-2", "qwen-image-3")) else OF_QWEN
    return rule(out, field, value, target)


def number(out: Json, field: str, value: Any, target: Target) -> tuple[Change, ...]:
    """Four of Wan's a call; of Qwen's one."""
    return answers(4 if target.model.id.startswith("wan") else 1)(out, field, value, target)


def pictures(out: Json, field: str, value: Any, target: Target) -> tuple[Change, ...]:
    if len(value) > MOST_EDITED:
        raise Fault("unsupported", f"the provider edits at most {MOST_EDITED} images at once", param=field)
    out["images"] = [in_url(file) for file in value]
    return (Change(field, "renamed", "images"),)


OWN_FIELDS = all_native("negative_prompt", "prompt_extend", "watermark", "seed")
FIELDS: Fields = {**IMAGE_BASICS, **OWN_FIELDS, "n": number, "size": edges}
EDIT_FIELDS: Fields = {**EDIT_BASICS, **OWN_FIELDS, "n": number, "size": edges, "image": pictures}


class Images(Struct, Whole, frozen=True):
    fields: Fields

    def request(self, body: Json, target: Target) -> Outgoing:
        out, changes = apply(self.fields, UNKNOWN, body, target)
        base = target.base_url.replace(MODE, OWN) + "/services/aigc/"
        out.setdefault("n", 1)  # left out, it is four, and four are paid for
        model, given = out.pop("model"), {name: out.pop(name) for name in INPUT if name in out}
        if target.model.endpoint in ("text2image", "image2image"):
            sent = {"model": model, "input": given, "parameters": out}
            return Outgoing(f"{base}{target.model.endpoint}/image-synthesis", encode(sent), TASK, changes)
        content = [*({"image": url} for url in given.pop("images", ())), {"text": given.pop("prompt")}]
        sent = {"model": model, "input": {"messages": [{"role": "user", "content": content}]}, "parameters": {**given, **out}}
        return Outgoing(f"{base}multimodal-generation/generation", encode(sent), changes=changes)

    def response(self, body: bytes) -> Json:
        answer = read_json(body)
        choices = (answer.get("output") or {}).get("choices")
        if answer.get("code") or not choices:
            raise fault_of(200, {}, answer)
        urls = [part["image"] for choice in choices for part in choice["message"]["content"] if part.get("image")]
        return told([{"url": url} for url in urls], answer)

    def task(self, body: bytes) -> str:
        answer = read_json(body)
        return str((answer.get("output") or {}).get("task_id") or "")

    def poll(self, task: str, target: Target) -> Outgoing:
        return Outgoing(f"{target.base_url.replace(MODE, OWN)}/tasks/{quote(task, safe='')}", method="GET")

    def result(self, body: bytes) -> Json | None:
        answer = read_json(body)
        output = answer.get("output") or {}
        match output.get("task_status"):
            case "PENDING" | "RUNNING" | "SUSPENDED":
                return None
            case "SUCCEEDED":
                results = output.get("results") or []
                images = [
                    {"url": one["url"], **({"revised_prompt": one["actual_prompt"]} if one.get("actual_prompt") else {})}
                    for one in results
                    if one.get("url")
                ]
                if not images and results:  # each was stopped for itself
                    raise fault_of(200, {}, results[0])
                return told(images, answer)
            case "FAILED":
                raise fault_of(400, {}, {"code": output.get("code"), "message": output.get("message")})
            case "CANCELED":
                raise Fault("overloaded", "the provider's task was cancelled", code="CANCELED")
            case "UNKNOWN":  # also of an id that it has never given
                raise Fault("broken", "the provider does not know its task any more", code="UNKNOWN")
        raise fault_of(200, {}, answer)

    def cancel(self, task: str, target: Target) -> Outgoing | None:
        return Outgoing(f"{target.base_url.replace(MODE, OWN)}/tasks/{quote(task, safe='')}/cancel")

    def fault(self, status: int, headers: Mapping[str, str], body: bytes) -> Fault:
        return fault_of(status, headers, body)


def told(images: list[Json], answer: Json) -> Json:
    count = (answer.get("usage") or {}).get("image_count")
    return {"data": images, "usage": {"images": count if isinstance(count, int) else len(images)}}


IMAGES = Images(FIELDS)
EDITS = Images(EDIT_FIELDS)
