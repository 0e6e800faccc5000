"""Images of SenseNova's token plan, one a call. Edits are JSON there. Facts from OpenSenseNova/SenseNova6.7 API.md, read 2026-11-23."""

from collections.abc import Mapping
from typing import Any

from providers.base import Change, Fault, Json, Target
from providers.fields import Fields, all_native, answers, native
from providers.media import EDIT_BASICS, IMAGE_BASICS, CommonImages, in_url, size
from providers.sensetime.errors import TOKEN_PLAN_ERRORS, fault_of

EDGES = size(("2048x2048", "2752x1536", "1536x2752"), least=512, most=4096, step=32)
MOST = 5


def edges(out: Json, field: str, value: Any, target: Target) -> tuple[Change, ...]:
    """The fast model has a list of its own, which is not known whole."""
    if target.model.id == "sensenova-u1-fast":
        return () if value == "auto" else (Change(field, "dropped", why="the model chooses it"),)
    return EDGES(out, field, value, target)


def pictures(out: Json, field: str, value: Any, target: Target) -> tuple[Change, ...]:
    if len(value) > MOST:
        raise Fault("unsupported", f"the provider edits at most {MOST} images at once", param=field)
    out["images"] = [{"image_url": in_url(file)} for file in value]
    return (Change(field, "renamed", "images"),)


class Images(CommonImages, frozen=True):
    def fault(self, status: int, headers: Mapping[str, str], body: bytes) -> Fault:
        return fault_of(self.errors, status, headers, body)


MADE: Fields = {"n": answers(), "size": edges, "response_format": native, **all_native("watermark", "prompt_extend")}
IMAGES = Images(fields={**IMAGE_BASICS, **MADE}, errors=TOKEN_PLAN_ERRORS)
EDITS = Images(path="/images/edits", fields={**EDIT_BASICS, **MADE, "image": pictures}, errors=TOKEN_PLAN_ERRORS)
