"""What clients ask, with all that they may try in order to be sent elsewhere."""

import json
from random import Random

from msgspec import Struct

from providers.base import Json
from tests.properties.border_hosts import PLACES
from tests.properties.border_world import TEAMS, often

ASKED = ("m", "m", "n", "m-7", "gpt-4o", "qwen3.7-plus", "kimi-k3", "c/s1")


class Wish(Struct):
    """A request, and how it is made."""

    mark: str
    key: str
    head: bytes
    body: bytes
    late: bool
    leaves: bool


def wish_of(rng: Random, mark: str, urls: dict[str, str]) -> Wish:
    team, elsewhere = rng.choice(TEAMS), urls[rng.choice(PLACES)]
    key = f"sk-made/{team}/{rng.choice(PLACES)}" if often(rng, 20) else f"sk-file/{team}/{rng.randrange(2)}"
    model = rng.choice(ASKED)
    vectors = often(rng, 10)
    body: Json = {"model": model, "user": f"user-{mark}", **(texts(rng, mark) if vectors else chat(rng, mark, elsewhere))}
    path = "/v1/embeddings" if vectors else "/v1/chat/completions"
    if often(rng, 10):
        path = f"/openai/deployments/{model.replace('/', '%2F')}{path.removeprefix('/v1')}?api-version=2024-10-21"
    if often(rng, 5):
        path = elsewhere + path
    if often(rng, 30):
        body |= rng.choice(body_tricks(elsewhere, mark))
    raw = json.dumps(body).encode()
    if often(rng, 10):
        raw = b'{"model": "c/s1", ' + raw[1:]
    late = often(rng, 20)
    headers = ["connection: close", f"authorization: Bearer {key}", f"x-request-id: {mark}", f"content-length: {len(raw)}"]
    headers += ["expect: 100-continue"] * late + rng.sample(header_tricks(elsewhere, mark), rng.randrange(3))
    if not any(header.startswith("host:") for header in headers):
        headers.append("host: gateway.example")
    head = "\r\n".join([f"POST {path} HTTP/1.1", *headers, "", ""]).encode()
    return Wish(mark, key, head, raw, late, often(rng, 4))


def texts(rng: Random, mark: str) -> Json:
    return {"input": rng.choice((mark, [mark], [f"{mark} {n}" for n in range(30)]))}


NOTHING = {"type": "object", "properties": {}}


def chat(rng: Random, mark: str, elsewhere: str) -> Json:
    said = rng.choice((
        f"Say {mark}", f"Say {mark}", [{"type": "text", "text": mark}],
        [{"type": "text", "text": "See"}, {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{mark}"}}],
        [{"type": "text", "text": "See"}, {"type": "image_url", "image_url": {"url": f"{elsewhere}/{mark}.png"}}],
    ))  # fmt: skip
    more: Json = rng.choice((
        {}, {}, {}, {"n": 2}, {"stop": ["words"]}, {"max_tokens": 50}, {"prompt_cache_key": mark},
        {"tools": [{"type": "function", "function": {"name": "f", "description": mark, "parameters": NOTHING}}]},
        {"response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": {"type": "object"}}}},
    ))  # fmt: skip
    if often(rng, 60):
        more = {**more, "stream": True}
    return {"messages": [{"role": "system", "content": mark}, {"role": "user", "content": said}], **more}


def body_tricks(elsewhere: str, mark: str) -> list[Json]:
    return [
        {"base_url": elsewhere}, {"api_base": elsewhere, "api_key": mark}, {"provider": {"order": ["c"], "allow_fallbacks": True}},
        {"jurisdiction": "us"}, {"models": ["c/s1"], "route": "fallback"}, {"account": "c"}, {"metadata": {"to": elsewhere, "what": mark}},
        {"extra_body": {"base_url": elsewhere}, "extra_headers": {"host": elsewhere}},
    ]  # fmt: skip


def header_tricks(elsewhere: str, mark: str) -> list[str]:
    at = elsewhere.removeprefix("http://")
    return [
        f"host: {at}", f"x-forwarded-host: {at}", f"x-forwarded-for: 203.0.113.9, {mark}", f"forwarded: host={at};for={mark}",
        "x-banjia-provider: c", "x-banjia-model: c/s1", "x-banjia-jurisdiction: us", "x-jurisdiction: us", f"x-base-url: {elsewhere}",
        f"x-original-url: {elsewhere}/c/v1/chat/completions", "x-http-method-override: CONNECT", f"openai-organization: {mark}",
        f"referer: {elsewhere}/{mark}", f"cookie: session={mark}", f"traceparent: 00-{mark}", f"proxy: {elsewhere}",
    ]  # fmt: skip
