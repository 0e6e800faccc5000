"""What the tests of SenseNova share: its models, an account on each surface, and a bare request to its simulator."""

import asyncio
import hmac
from base64 import urlsafe_b64encode
from typing import Any

from msgspec.structs import replace

from providers.base import Adapter, Json, Model, Target, decode, encode
from providers.sensetime.adapter import COMPATIBLE, NATIVE, TOKEN_PLAN
from providers.sensetime.simulator import SIMULATOR
from providers.simulation import Bill, Request, World
from tests.providers.roundtrip import NOW, Pair, read

SENSECORE = ("native", "compatible")
MODELS = (
    Model("SenseNova-V6-5-Pro", context=131072, output=16384, input=("text", "image", "video"), thinking="switch", tools=True,
          json="object"),
    Model("SenseChat-5-1202", context=32768, output=2048, thinking="none", tools=True, json="object"),
    Model("SenseChat", context=4096, output=2048, thinking="none"),
    Model("DeepSeek-R1", context=32768, thinking="always"),
    Model("nova-embedding-stable", kind="embedding", context=512, dimensions=768, batch=32, surfaces=("native",)),
    Model("sensenova-6.8-flash-lite", context=262144, output=65536, input=("text", "image"), thinking="effort", tools=True, json="none",
          surfaces=("token_plan",)),
    Model("glm-5.2", output=131072, thinking="effort", tools=True, surfaces=("token_plan",)),
    Model("kimi-k3", input=("text", "image"), tools=True, surfaces=("token_plan",)),
)  # fmt: skip
V6, TEXT, FLASH = "SenseNova-V6-5-Pro", "SenseChat-5-1202", "sensenova-6.8-flash-lite"
ADAPTERS: dict[str, Adapter] = {
    "native": NATIVE,
    "compatible": COMPATIBLE,
    "token_plan": replace(TOKEN_PLAN, base_url="https://vendor.test/token/v1"),  # where the simulator has it
}
ON_EACH = [("native", V6), ("native", TEXT), ("compatible", V6), ("compatible", TEXT), ("token_plan", FLASH), ("token_plan", "glm-5.2")]
WEATHER: Json = {"type": "function", "function": {"name": "get_weather", "strict": True, "parameters": {
    "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}  # fmt: skip
SYSTEM: Json = {"role": "system", "content": "Be brief."}
DEVELOPER: Json = {"role": "developer", "content": [{"type": "text", "text": "Be kind."}]}
USER: Json = {"role": "user", "content": "hi"}
NAMED: Json = {"type": "function", "function": {"name": "get_weather"}}
PIXEL = "iVBORw0KGgo="


def pair(surface: str = "native", key: str = "", **more: Any) -> Pair:
    """`key`: an access key id, or on the token plan a key."""
    signed = {"access_key_id": key or "ak", "access_key_secret": "sk"}
    secrets = {"api_key": key or "sk-0123"} if surface == "token_plan" else signed
    return Pair(ADAPTERS[surface], SIMULATOR, more.pop("secrets", secrets), *MODELS, accounts={"ak": "sk"}, **more)


def ask(text: str, **more: Any) -> Json:
    return {"messages": [{"role": "user", "content": text}], **more}


def sent(surface: str, body: Json, model: str) -> tuple[Json, dict[str, str]]:
    """(the body that goes out, fate by field)"""
    known = next(known for known in MODELS if known.id == model)
    outgoing = ADAPTERS[surface].endpoints["chat"].request({"model": "gpt-4o", **body}, Target("https://vendor.test", known))
    return decode(outgoing.body), {change.field: change.fate for change in outgoing.changes}


def knock(path: str, body: Any = None, *, key: str = "", method: str = "POST", bill: Bill | None = None) -> tuple[int, Json]:
    """What the simulator says to a bare request: status and body; of a stream, which is read to its end, the status alone."""
    world = World(pair().world.brain, {"ak": "sk"}, {model.id: model for model in MODELS}, lambda: NOW, {} if bill is None else bill)
    headers = {"authorization": f"Bearer {key or token()}"}
    reply = asyncio.run(SIMULATOR(world).handle(Request(method, path, {}, headers, b"" if body is None else encode(body))))
    assert reply.headers["x-request-id"]
    told = asyncio.run(read(reply))
    return reply.status, decode(told) if reply.headers["content-type"] == "application/json" else {}


def token(account: str = "ak", secret: str = "sk", alg: str = "HS256", **claims: Any) -> str:
    """A signed token by other means than the adapter's, with its keys in another order."""
    held = {"nbf": int(NOW) - 5, "exp": int(NOW) + 1800, "iss": account, **claims}
    parts = ({"typ": "JWT", "alg": alg}, {name: value for name, value in held.items() if value is not None})
    signed = b".".join(urlsafe_b64encode(encode(part)).rstrip(b"=") for part in parts)
    return (signed + b"." + urlsafe_b64encode(hmac.digest(secret.encode(), signed, "sha256")).rstrip(b"=")).decode()
