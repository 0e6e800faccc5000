"""Every surface of every vendor, with the simulator that stands on its other side and the models that make a difference there."""

import asyncio
from collections.abc import AsyncIterator
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct

from gateway.brain.scripted import Scripted
from gateway.simulate import ACCOUNTS, ANY_KEY, DEMO_SECRETS
from providers.base import Adapter, Change, Json, Model, Outgoing, Stream, Target
from providers.load import load, presets, simulator
from providers.simulation import Ask, Piece
from tests.conftest import catalog
from tests.providers.roundtrip import HOST, Pair, read

PRESETS = presets()
A_MODEL = Model("a-model", output=1000, tools=True, input=("text", "image"), thinking="switch")
PLAIN_MODEL = Model("plain-model", output=1000, tools=True, thinking="none")
VERSIONS = {"classic": "2024-10-21"}
"""What an account says to be on a surface."""
STANDS_FOR = {"openai_compatible-v1": "openai"}
"""Whose simulator a surface without one of its own is put before."""
BASES = {
    "openai_compatible-v1": "/v1",
    "sensetime-token_plan": "/token/v1",
    **{f"openai_compatible-{name}": f"/{name}/v1" for name in ("vllm", "sglang", "ollama", "llama_cpp")},
}
"""Paths of addresses that are not the adapter's own."""
KEYS = {"baidu": "bce-v3/ALTAK-abcdefghij/0123456789abcdef", "qihoo360": "fk0123456789.abcdef"}
"""Keys of vendors whose simulators want them in a form of their own."""
BARRED = {"classic": ("gpt-6", "gpt-5.")}
"""Models that take tools with an effort of none alone, which this version of the API has no way to say; and those that want to hear."""
MOST_MODELS = 4


class Surface(Struct, frozen=True):
    adapter: Adapter
    models: tuple[Model, ...]

    @property
    def id(self) -> str:
        return f"{self.adapter.vendor}-{self.adapter.surface}"

    @property
    def version(self) -> str:
        return VERSIONS.get(self.adapter.surface, "")

    @property
    def simulated(self) -> str:
        return STANDS_FOR.get(self.id, self.adapter.vendor)

    @property
    def base(self) -> str:
        """The path of its address, as its simulator has it."""
        return BASES.get(self.id, urlsplit(self.adapter.base_url).path)

    @property
    def secrets(self) -> dict[str, str]:
        way = next(iter(self.adapter.auth.values()))
        told = dict(DEMO_SECRETS.get(self.adapter.vendor, ANY_KEY))
        if way.secrets == ("api_key",) and self.adapter.vendor in KEYS:
            return {"api_key": KEYS[self.adapter.vendor]}
        return told if set(way.secrets) <= told.keys() else dict(ANY_KEY)


def surfaces() -> tuple[Surface, ...]:
    return tuple(Surface(adapter, models_of(adapter)) for of in load().values() for adapter in of.values())


def models_of(adapter: Adapter) -> tuple[Model, ...]:
    """Chat models that differ in what they can, the first of each kind that the catalog has."""
    surface = f"{adapter.vendor}-{adapter.surface}"
    known = catalog().models.get(STANDS_FOR.get(surface, adapter.vendor), {})
    kinds: dict[Any, Model] = {}
    for model in known.values():
        if model.kind != "chat" or model.id.startswith(("gpt-audio", *BARRED.get(adapter.surface, ()))):
            continue
        if surface in STANDS_FOR and model.thinking != "none":
            continue  # what only OpenAI's own models refuse is nothing that other servers are known for
        if not model.surfaces or adapter.surface in model.surfaces:
            kinds.setdefault((model.thinking, "image" in model.input, bool(model.tools), model.json), model)
    chosen = sorted(kinds.values(), key=lambda model: (not model.tools, "image" not in model.input))
    return tuple(chosen[:MOST_MODELS]) or (A_MODEL, PLAIN_MODEL)


class Noting(Scripted):
    """The scripted brain, which remembers what it was asked."""

    def __init__(self) -> None:
        self.asks: list[Ask] = []

    async def answer(self, ask: Ask) -> AsyncIterator[Piece]:
        self.asks.append(ask)
        async for piece in super().answer(ask):
            yield piece


class Told(Struct):
    """What a vendor made of a request."""

    changes: tuple[Change, ...]
    asks: list[Ask]
    raw: bytes


class Refused(Exception):
    """The simulator did not take what the adapter made of a request."""


def stream_of(surface: Surface) -> Stream:
    return surface.adapter.endpoints["chat"].stream()


@cache
def pair_of(surface_id: str) -> tuple[Pair, Noting]:
    """One account at the surface's simulator, kept for all examples."""
    surface = BY_ID[surface_id]
    accounts = dict(ACCOUNTS.get(surface.simulated, {}))
    pair = Pair(surface.adapter, simulator(surface.simulated), surface.secrets, *surface.models, accounts=accounts, version=surface.version)
    noting = Noting()
    pair.world.brain = noting
    return pair, noting


def ask(surface: Surface, model: Model, body: Json) -> Told:
    """The vendor's answer to an OpenAI request. Raises Fault if the adapter will not say it, Refused if the vendor will not take it."""
    pair, noting = pair_of(surface.id)
    noting.asks.clear()
    outgoing = surface.adapter.endpoints["chat"].request({"model": "gpt-4o", **body}, Target(HOST + surface.base, model, surface.version))

    async def go() -> tuple[int, bytes]:
        reply = await pair.send(outgoing, await pair.prove())
        return reply.status, await read(reply)

    status, raw = asyncio.run(go())
    if status != 200 or not noting.asks:  # the older vendors say all under HTTP 200
        raise Refused(refusal(outgoing, status, raw))
    return Told(outgoing.changes, list(noting.asks), raw)


def refusal(outgoing: Outgoing, status: int, raw: bytes) -> str:
    return f"{status} {raw[:300]!r} for {outgoing.body.decode()[:1500]}"


def gateway_yaml(address: str) -> Json:
    """A gateway with an account on every surface, at the simulators under `address`. A model is called as `model_name` says."""
    providers = {surface.id: account_of(surface, address) for surface in ALL}
    models = {model_name(surface, model): f"{surface.id}/{model.id}" for surface in ALL for model in served(surface)}
    vectors = {f"{surface.id}:vectors": f"{surface.id}/{model.id}" for surface in ALL if (model := vector_model(surface))}
    retry = {"retry": {"max": 0}}
    return {"providers": providers, "models": {**models, **vectors}, "defaults": retry}


def account_of(surface: Surface, address: str) -> Json:
    """Its account in a gateway.yaml."""
    told: Json = {"vendor": surface.adapter.vendor, "jurisdiction": "cn-mainland", "surface": surface.adapter.surface, **surface.secrets}
    if surface.version:
        told["api_version"] = surface.version
    return {**told, "base_url": f"{address}/{surface.simulated}{surface.base}"}


def served(surface: Surface) -> tuple[Model, ...]:
    """The chat models that the surface's simulator has when nobody tells it others."""
    if surface.models[0] is not A_MODEL:
        return surface.models
    return (Model(PRESETS[surface.adapter.vendor].simulator.models[0]),)


def model_name(surface: Surface, model: Model) -> str:
    return f"{surface.id}:{model.id}"


def vector_model(surface: Surface) -> Model | None:
    """A model for embeddings that the simulator knows."""
    if "embeddings" not in surface.adapter.endpoints:
        return None
    known = catalog().models.get(surface.simulated)
    if known is None:
        widths = PRESETS[surface.adapter.vendor].simulator.embeddings
        return next((Model(name, kind="embedding", dimensions=width) for name, width in widths.items()), None)
    return next((m for m in known.values() if m.kind == "embedding" and (not m.surfaces or surface.adapter.surface in m.surfaces)), None)


ALL = surfaces()
BY_ID = {surface.id: surface for surface in ALL}
