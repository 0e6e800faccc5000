"""What becomes of OpenAI's fields at SenseNova where its surfaces agree: numbers, thinking and the messages of V6.

Facts from the SenseCore help centre, sensenova 1.0.6 and the adaptors of LobeHub chat 1.143.3 and lagent, read 2026-11-23.
"""

from typing import Any

from providers.base import Change, Fault, Json, Target
from providers.fields import Rule
from providers.messages import data_url, flat_text, merge_systems, messages, no_null_content, only, parts, role, text_part, user_speaks

Changes = tuple[Change, ...]

IMAGES = 6
"""Most images of one request; beside a video there may be none, and of those there is one."""
DECIMALS = 6


def within(low: float, high: float) -> Rule:
    """Keeps a number within [low, high], with as many decimals as SenseNova reads."""

    def rule(out: Json, field: str, value: Any, target: Target) -> Changes:
        kept = out[field] = round(min(max(value, low), high), DECIMALS)
        return () if kept == value else (Change(field, "clamped", f"{kept:g}"),)

    return rule


def thinking(out: Json, field: str, value: Any, target: Target) -> Changes:
    """`reasoning_effort` as the switch that V6.5 and the reasoners have: there are no degrees."""
    if target.model.thinking == "switch":
        out["thinking"] = {"enabled": value != "none"}
        return (Change(field, "emulated", "thinking"),)
    if target.model.thinking == "none" and value == "none":
        return ()
    why = "the model always thinks" if target.model.thinking == "always" else "the model does not think"
    return (Change(field, "dropped", why=why),)


# ---- messages of native and compatible ----


def image(part: Json) -> Json | None:
    """An address is a bare string, and an image in the request is base64 without a `data:` head."""
    url: str = part["image_url"]["url"]
    if held := data_url(url):
        return {"type": "image_base64", "image_base64": held[1]}
    return {"type": "image_url", "image_url": url}


def own_kind(part: Json) -> Json:
    """A part in SenseNova's own form; a video may come as OpenAI would write one."""
    kind = part["type"]
    told = part.get(kind)
    return {"type": kind, kind: told["url"] if isinstance(told, dict) and "url" in told else told}


def refusal_part(part: Json) -> Json:
    """An assistant's refusal is what it said."""
    return {"type": "text", "text": part["refusal"]}


def parts_of_the_user(message: Json, target: Target) -> tuple[Json, Changes]:
    """Models that see want the user's words as a part too."""
    content = message["content"]
    if message["role"] != "user" or not isinstance(content, str) or "image" not in target.model.input:
        return message, ()
    return {**message, "content": [{"type": "text", "text": content}]}, ()


def all_in_parts(out: Json, field: str, value: Any, target: Target) -> Changes:
    """The same for a turn that the rules before this one have put in."""
    out[field] = [parts_of_the_user(message, target)[0] for message in out[field]]
    return ()


def few_images(out: Json, field: str, value: Any, target: Target) -> Changes:
    """Refused before it is sent, so that another model may have it."""
    kinds = [part["type"].partition("_")[0] for message in value if isinstance(message["content"], list) for part in message["content"]]
    images, videos = kinds.count("image"), kinds.count("video")
    if images > IMAGES or videos > 1 or (images and videos):
        raise Fault("unsupported", f"model {target.model.id} takes {IMAGES} images or one video", param="messages")
    return ()


MESSAGES = messages(
    role("developer", "system"),
    only("role", "content", "tool_calls", "tool_call_id"),
    no_null_content,
    parts(
        text=text_part, refusal=refusal_part, image_url=image, image_base64=own_kind, image_file_id=own_kind,
        video_url=own_kind, video_base64=own_kind, video_file_id=own_kind,
    ),
    flat_text,
    parts_of_the_user,
    whole=(merge_systems, user_speaks, all_in_parts, few_images),
    plain_roles=("system", "assistant"),
)  # fmt: skip
