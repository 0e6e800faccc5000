"""An adapter and its vendor's simulator, face to face without a socket."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from gateway.brain.scripted import Scripted
from providers.base import Adapter, Credential, Fault, Json, Model, Outgoing, Target
from providers.simulation import Bill, Reply, Request, Simulator, World

NOW = 1_795_400_102.0
HOST = "https://vendor.test"


class Pair:
    """One account at a simulated vendor, used through an adapter."""

    def __init__(
        self,
        adapter: Adapter,
        simulator: Any,
        secrets: dict[str, str],
        *models: Model,
        accounts: dict[str, str],
        auth: str = "",
        version: str = "",
    ) -> None:
        self.adapter = adapter
        self.version = version
        self.bill: Bill = {}
        self.now = NOW
        self.world = World(Scripted(), accounts, {model.id: model for model in models}, lambda: self.now, self.bill)
        self.simulator: Simulator = simulator(self.world)
        self.secrets = secrets
        self.auth = adapter.auth[auth] if auth else next(a for a in adapter.auth.values() if set(a.secrets) <= set(secrets))
        self.sent: list[Outgoing] = []
        self.credential: Credential | None = None

    async def chat(self, body: Json, model: str = "") -> Json:
        return self.adapter.endpoints["chat"].response(await self._post("chat", body, model))

    async def embed(self, body: Json, model: str = "") -> Json:
        return self.adapter.endpoints["embeddings"].response(await self._post("embeddings", body, model))

    async def stream(self, body: Json, model: str = "", *, size: int = 0) -> list[Json]:
        """The chunks of a streamed answer, whose bytes arrive `size` at a time (0: frame by frame)."""
        raw = await self._post("chat", {**body, "stream": True}, model)
        stream = self.adapter.endpoints["chat"].stream()
        chunks = [chunk for piece in cut(raw, size or len(raw)) for chunk in stream.feed(piece)]
        return chunks + stream.end()

    async def _post(self, endpoint: str, body: Json, model: str) -> bytes:
        translator = self.adapter.endpoints[endpoint]
        known = self.world.models.get(model) or (Model(model) if model else next(iter(self.world.models.values())))
        base = HOST + urlsplit(self.adapter.base_url).path
        outgoing = translator.request({"model": "gpt-4o", **body}, Target(base, known, self.version))
        self.sent.append(outgoing)
        reply = await self.send(outgoing, await self.prove())
        raw = await read(reply)
        if reply.status != 200:
            raise translator.fault(reply.status, reply.headers, raw)
        return raw

    async def prove(self) -> Credential:
        if self.credential is None or self.credential.renew <= self.now:
            exchange = self.auth.exchange(self.secrets, self.now)
            try:
                asked = next(exchange)
                while True:
                    asked = exchange.send(await read(await self.send(asked, Credential())))
            except StopIteration as done:
                self.credential = done.value
        assert self.credential is not None
        return self.credential

    async def send(self, outgoing: Outgoing, credential: Credential) -> Reply:
        url = urlsplit(outgoing.url)
        query = dict(parse_qsl("&".join(filter(None, (url.query, credential.query)))))
        headers = {**outgoing.headers, **credential.headers, "host": url.netloc}
        return await self.simulator.handle(
            Request(outgoing.method, url.path, query, {k.lower(): v for k, v in headers.items()}, outgoing.body)
        )


async def read(reply: Reply) -> bytes:
    return reply.body if isinstance(reply.body, bytes) else b"".join([frame async for frame in reply.body])


def cut(raw: bytes, size: int) -> Iterator[bytes]:
    return (raw[at : at + size] for at in range(0, len(raw), size))


def said(chunks: list[Json]) -> Json:
    """What a list of chunks says in all: content, reasoning, calls, finish and usage of its first choice."""
    told: Json = {"content": "", "reasoning_content": "", "calls": {}, "finish_reason": None, "usage": None}
    for chunk in chunks:
        told["usage"] = chunk.get("usage") or told["usage"]
        for choice in chunk.get("choices") or ():
            delta = choice.get("delta") or {}
            told["content"] += delta.get("content") or ""
            told["reasoning_content"] += delta.get("reasoning_content") or ""
            told["finish_reason"] = choice.get("finish_reason") or told["finish_reason"]
            for call in delta.get("tool_calls") or ():
                at = told["calls"].setdefault(call["index"], {"id": "", "name": "", "arguments": ""})
                at["id"] = at["id"] or call.get("id") or ""
                at["name"] += call["function"].get("name") or ""
                at["arguments"] += call["function"].get("arguments") or ""
    return told


async def fault(call: Any) -> Fault:
    """The Fault that an awaitable ends in."""
    try:
        await call
    except Fault as raised:
        return raised
    raise AssertionError("no fault was raised")
