"""POST /v1/images/generations and /v1/images/edits. Where a provider gives addresses and the client wants data, or the other way round, the
gateway turns one into the other; a stream has each image as one event, when it is whole."""

import asyncio
from base64 import b64decode, b64encode
from binascii import Error as NoBase64
from collections.abc import Mapping
from math import ceil
from time import time
from typing import Any

from gateway.api.forms import is_count, odd, text
from gateway.api.idempotency import HEADER, once
from gateway.api.media import call, fetched, fields_of
from gateway.api.multipart import form
from gateway.api.serving import Routes, Serving, received
from gateway.api.validate import Check, array, boolean, empty, integer, known, model_name, obj, one_of, string
from gateway.api.wire import Exchange, Refusal, event
from gateway.routing.asking import together
from gateway.snapshot import Key, Snapshot
from gateway.upstream import Upstream
from providers.base import Fault, Json, encode

DEFAULT = "dall-e-2"
"""The model of a request that names none, as OpenAI has it."""
IN_BASE64 = ("gpt-image", "chatgpt-image")
"""Models, as clients name them, that OpenAI gives no addresses from."""
MOST = 10
LONGEST = 32_000
LARGEST_FORM = 128 << 20
"""Bytes of an edit's form: sixteen images and a mask."""

GENERATIONS: Mapping[str, Check] = {
    "model": model_name,
    "prompt": string,
    "n": integer(1, MOST),
    "size": string,
    "quality": one_of("auto", "low", "medium", "high", "xhigh", "max", "standard", "hd"),
    "style": one_of("vivid", "natural"),
    "background": one_of("transparent", "opaque", "auto"),
    "moderation": one_of("low", "auto"),
    "output_format": one_of("png", "webp", "jpeg", "gif", "svg"),
    "output_compression": integer(0, 100),
    "response_format": one_of("url", "b64_json"),
    "stream": boolean,
    "partial_images": integer(0, 3),
    "complexity": one_of("low", "medium", "high"),
    "frame_count": integer(2, 16),
    "frame_duration_ms": integer(1, 655_350),
    "svg": obj,
    "user": string,
    "safety_identifier": string,
}
EDITS: Mapping[str, Check] = {
    **GENERATIONS,
    "image": array(obj, least=1, most=16),
    "mask": obj,
    "markup": obj,
    "input_fidelity": one_of("high", "low"),
}
KINDS: Mapping[str, type] = {
    "n": int, "output_compression": int, "partial_images": int, "frame_count": int, "frame_duration_ms": int, "stream": bool, "image": list,
}  # fmt: skip
BEGINS = {b"\x89PNG": "png", b"\xff\xd8\xff": "jpeg", b"RIFF": "webp", b"GIF8": "gif", b"<svg": "svg", b"<?xm": "svg", b"BM": "bmp"}
NO_TOKENS: Json = {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0, "input_tokens_details": {"image_tokens": 0, "text_tokens": 0}}
"""Usage where OpenAI's form wants some and the provider bills by the image."""


async def generations(exchange: Exchange, serving: Serving, deployment: str = "") -> None:
    key, snapshot = received("images", exchange, serving)
    body = await exchange.json(snapshot.max_body)
    await _checked_and_served("images", GENERATIONS, body, exchange, serving, key, snapshot, deployment)


async def edits(exchange: Exchange, serving: Serving, deployment: str = "") -> None:
    key, snapshot = received("image_edits", exchange, serving)
    with await form(exchange, max(snapshot.max_body, LARGEST_FORM)) as sent:
        body = await fields_of(sent, KINDS)
    await _checked_and_served("image_edits", EDITS, body, exchange, serving, key, snapshot, deployment)


async def _checked_and_served(
    endpoint: str,
    table: Mapping[str, Check],
    body: Json,
    exchange: Exchange,
    serving: Serving,
    key: Key,
    snapshot: Snapshot,
    deployment: str,
) -> None:
    body = {**body, "model": deployment or body.get("model") or DEFAULT}
    body = known(body, table, required=("prompt", "image") if endpoint == "image_edits" else ("prompt",))
    for name in ("image", "mask", "markup"):
        if name in body:
            body[name] = [picture(one, name) for one in body[name]] if name == "image" else picture(body[name], name)
    if not body["prompt"]:
        raise empty("prompt", "the string")
    if len(body["prompt"]) > LONGEST:
        raise Refusal(400, f"Invalid 'prompt': at most {LONGEST} characters are taken.", param="prompt", code="string_above_max_length")
    exchange.model = body["model"]
    exchange.size = len(body["prompt"].encode())  # what may become tokens; images that go in are not known to

    async def work() -> None:
        await _served(endpoint, body, exchange, serving, key, snapshot)

    if HEADER in exchange.headers and not body.get("stream"):
        await once(exchange, serving, body, work)
    else:
        await work()


def picture(file: Json, name: str) -> Json:
    """An image with the type that it has, whatever the client says. Raises Refusal."""
    kind = kind_of(file["data"]) if isinstance(file.get("data"), bytes) else None
    if kind is None:
        raise Refusal(400, "Invalid image: a PNG, JPEG, WebP, GIF or BMP file is wanted.", param=name, code="invalid_image_format")
    return {**file, "type": f"image/{kind}"}


async def _served(endpoint: str, body: Json, exchange: Exchange, serving: Serving, key: Key, snapshot: Snapshot) -> None:
    usual = "b64_json" if body["model"].startswith(IN_BASE64) else "url"
    wanted = "b64_json" if body.get("stream") else body.get("response_format") or usual  # a stream's events have no place for an address
    async with call(exchange, serving, key, snapshot, endpoint, body) as asked:
        answer = await asked.attempts.plain(asked.plan, lambda hop: [body], lambda hop, answers: checked(answers[0]))
        exchange.usage = used(answer)
        asked.errands.served()
        asked.deadline.stage("total", asked.deadline.left())
        images = await together(shown(image, wanted, serving.upstream, exchange) for image in answer["data"])
        if body.get("stream"):
            exchange.stream = True
            await exchange.begin()
            await exchange.end(b"".join(events(endpoint, answer, images, body)) + b"data: [DONE]\n\n")
        else:
            await exchange.answer(200, encode({**answer, "created": created(answer), "data": images}))


ROUTES: Routes = {"/v1/images/generations": {"POST": generations}, "/v1/images/edits": {"POST": edits}}


def checked(answer: Json) -> Json:
    """An answer with at least one image; of what stands beside them what OpenAI has there. Raises Fault("broken")."""
    images = answer.get("data")
    if not isinstance(images, list) or not images:
        raise odd("images")
    for image in images:
        text(image.get("revised_prompt"), "an image")
        if not isinstance(image.get("url") or image.get("b64_json"), str):
            raise odd("an image")
    kept = {
        name: answer[name]
        for name in ("created", "background", "output_format", "quality", "size", "usage")
        if answer.get(name) is not None
    }
    return {**kept, "data": images}


def created(answer: Json) -> int:
    told = answer.get("created")
    return told if is_count(told) and told else int(time())


def used(answer: Json) -> Json:
    """What is put in the books; tokens, where the provider counts them, stay in the answer too."""
    told = answer.get("usage")
    usage: Json = {"images": len(answer["data"])}
    if isinstance(told, dict):
        usage["images"] = ceil(count) if isinstance(count := told.get("images"), int | float) else usage["images"]
        tokens = {"prompt_tokens": told.get("input_tokens"), "completion_tokens": told.get("output_tokens")}
        usage |= {name: count for name, count in tokens.items() if is_count(count)}
    if not isinstance(told, dict) or "input_tokens" not in told:
        answer.pop("usage", None)
    return usage


async def shown(image: Json, wanted: str, upstream: Upstream, exchange: Exchange) -> Json:
    """An image in the form that the client wants. Raises Fault."""
    told = {"revised_prompt": image["revised_prompt"]} if image.get("revised_prompt") else {}
    given, data = image.get("url"), image.get("b64_json")
    if wanted == "url":
        if given:
            return {**told, "url": given}
        kind = await asyncio.to_thread(_kind_of_base64, data)
        return {**told, "url": f"data:image/{kind};base64,{data}"}
    if data is None:
        raw = await fetched(upstream, exchange, given)
        if kind_of(raw) is None:
            raise Fault("broken", "what the provider's answer leads to is no image")
        data = await asyncio.to_thread(lambda: b64encode(raw).decode())
    return {**told, "b64_json": data}


def _kind_of_base64(data: Any) -> str:
    try:
        return kind_of(b64decode(data[:64], validate=True)) or "png"
    except (NoBase64, TypeError, ValueError) as exc:
        raise odd("an image") from exc


def kind_of(data: bytes) -> str | None:
    """The form of an image by how it begins."""
    return next((kind for begins, kind in BEGINS.items() if data.startswith(begins)), None)


def events(endpoint: str, answer: Json, images: list[Json], body: Json) -> list[bytes]:
    """The images of an answer as OpenAI streams them."""
    kind = "image_edit.completed" if endpoint == "image_edits" else "image_generation.completed"
    beside = {
        "created_at": created(answer),
        "background": answer.get("background") or "auto",
        "output_format": answer.get("output_format") or "png",
        "quality": answer.get("quality") or "auto",
        "size": answer.get("size") or body.get("size") or "auto",
        "usage": answer.get("usage") or NO_TOKENS,
    }
    return [b"event: " + kind.encode() + b"\n" + event({"type": kind, **image, **beside}) for image in images]
