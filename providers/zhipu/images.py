"""Zhipu's images. One a call; glm-image as a task that is asked for again, for which the catalog gives it the endpoint `async`.

Facts from docs.bigmodel.cn and zai-sdk 0.2.3, read 2026-11-23.
"""

from typing import Any
from urllib.parse import quote

from providers.base import Change, Fault, Json, Outgoing, Target, encode
from providers.fields import Fields, Rule, all_native, answers, apply
from providers.media import IMAGE_BASICS, CommonImages, size
from providers.openai_like import read_json
from providers.zhipu.errors import ERRORS

PATH, TASKS, RESULTS = "/images/generations", "/async/images/generations", "/async-result/"
OF_IMAGE = size(
    ("1280x1280", "1568x1056", "1056x1568", "1472x1088", "1088x1472", "1728x960", "960x1728"), least=1024, most=2048, step=32, pixels=2**22
)
OF_VIEW = size(
    ("1024x1024", "768x1344", "864x1152", "1344x768", "1152x864", "1440x720", "720x1440"), least=512, most=2048, step=16, pixels=2**21
)
QUALITIES = {"standard": "standard", "low": "standard", "medium": "standard", "hd": "hd", "high": "hd", "xhigh": "hd", "max": "hd"}


def edges(out: Json, field: str, value: Any, target: Target) -> tuple[Change, ...]:
    return (OF_IMAGE if target.model.id.startswith("glm-image") else OF_VIEW)(out, field, value, target)


def quality(out: Json, field: str, value: Any, target: Target) -> tuple[Change, ...]:
    """`standard` or `hd`; of glm-image `hd` alone. `auto` is the vendor's own."""
    if value == "auto":
        return ()
    kept = QUALITIES.get(value, "standard") if not target.model.id.startswith("glm-image") else "hd"
    out[field] = kept
    return () if kept == value else (Change(field, "clamped", kept),)


def fields(user: Rule) -> Fields:
    return {
        **IMAGE_BASICS,
        "n": answers(),
        "size": edges,
        "quality": quality,
        "user": user,
        **all_native("watermark_enabled", "request_id", "user_id"),
    }


class Images(CommonImages, frozen=True):
    def request(self, body: Json, target: Target) -> Outgoing:
        out, changes = apply(self.fields, self.others, body, target)
        path = TASKS if target.model.endpoint == "async" else PATH
        return Outgoing(target.base_url + path, encode(out), changes=changes)

    def task(self, body: bytes) -> str:
        answer = read_json(body)
        return str(answer.get("id") or "") if "task_status" in answer else ""

    def poll(self, task: str, target: Target) -> Outgoing:
        return Outgoing(target.base_url + RESULTS + quote(task, safe=""), method="GET")

    def result(self, body: bytes) -> Json | None:
        answer = read_json(body)
        match answer.get("task_status"):
            case "PROCESSING":
                return None
            case "SUCCESS" if answer.get("image_result"):
                return {"created": answer.get("created"), "data": answer["image_result"]}
        if answer.get("error"):
            raise self.fault(200, {}, body)
        raise Fault("overloaded", "the provider's task has failed", code=str(answer.get("task_status") or ""))

    def cancel(self, task: str, target: Target) -> Outgoing | None:
        return None


def images(user: Rule) -> Images:
    """`user`: how a user is told."""
    return Images(fields=fields(user), errors=ERRORS)
