"""Qianfan's images. Edits are JSON there, with the image as a data URL. Facts from cloud.baidu.com doc/qianfan-api, read 2026-11-23."""

from typing import Any

from providers.baidu.errors import ERRORS
from providers.base import Change, Json, Target
from providers.fields import Fields, all_native, answers, native
from providers.media import EDIT_BASICS, IMAGE_BASICS, CommonImages, in_url, size

SIZES = (
    "1024x1024", "768x768", "1536x1536", "2048x2048", "1024x768", "2048x1536", "768x1024", "1536x2048", "1024x576", "2048x1152", "576x1024",
    "1152x2048",
)  # fmt: skip
OWN = all_native("negative_prompt", "refer_image", "steps", "seed", "guidance", "prompt_extend", "watermark")


def number(out: Json, field: str, value: Any, target: Target) -> tuple[Change, ...]:
    """Four a call; of the Qwen models one."""
    return answers(1 if target.model.id.startswith("qwen") else 4)(out, field, value, target)


def pictures(out: Json, field: str, value: Any, target: Target) -> tuple[Change, ...]:
    urls = [in_url(file) for file in value]
    out[field] = urls[0] if len(urls) == 1 else urls
    return ()


MADE: Fields = {"n": number, "size": size(SIZES, least=512, most=2048), "user": native}
IMAGES = CommonImages(fields={**IMAGE_BASICS, **OWN, **MADE}, errors=ERRORS)
EDITS = CommonImages(path="/images/edits", fields={**EDIT_BASICS, **OWN, **MADE, "image": pictures}, errors=ERRORS)
