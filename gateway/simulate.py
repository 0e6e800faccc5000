"""The HTTP shell around all vendors' simulators: each under its name, followed by the vendor's own path. `GET /bill` tells what is owed."""

import logging
import time
from collections.abc import AsyncIterator, Mapping
from urllib.parse import parse_qsl, unquote

from gateway.api.wire import Receive, Scope
from gateway.catalog import Catalog
from gateway.sending import Send
from providers.base import encode
from providers.load import simulator
from providers.simulation import Bill, Brain, Reply, Request, Simulator, World

log = logging.getLogger(__name__)

ACCOUNTS: Mapping[str, Mapping[str, str]] = {
    "zhipu": {"id": "secret"},
    "baidu": {"ak": "sk"},
    "sensetime": {"ak": "sk"},
    "azure_openai": {"client": "secret"},
}
"""Accounts that are there from the start, secret by id; vendors without an entry take any well-formed key."""
DEMO_SECRETS: Mapping[str, Mapping[str, str]] = {
    "zhipu": {"api_key": "id.secret"},
    "baidu": {"access_key_id": "ak", "access_key_secret": "sk"},
    "sensetime": {"access_key_id": "ak", "access_key_secret": "sk"},
}
"""What a gateway's account needs to be one of those."""
ANY_KEY = {"api_key": "sk-simulated-0123456789abcdef0123456789abcdef"}
LARGEST_BODY = 64 << 20


class Simulators:
    """An ASGI application. `drip`: every byte of a reply is sent on its own, which is the hardest weather for a reader of streams."""

    def __init__(
        self, brain: Brain, catalog: Catalog, *, accounts: Mapping[str, Mapping[str, str]] | None = None, drip: bool = False
    ) -> None:
        self.brain = brain
        self.catalog = catalog
        self.accounts = {vendor: dict(known) for vendor, known in ACCOUNTS.items()}
        for vendor, more in (accounts or {}).items():
            self.accounts.setdefault(vendor, {}).update(more)
        self.drip = drip
        self.bill: Bill = {}
        self._made: dict[str, Simulator] = {}

    def of(self, vendor: str) -> Simulator:
        """The vendor's simulator. Raises KeyError for one that has none."""
        if vendor not in self._made:
            world = World(self.brain, self.accounts.get(vendor, {}), self.catalog.models.get(vendor, {}), time.time, self.bill)
            self._made[vendor] = simulator(vendor)(world)
        return self._made[vendor]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        body = bytearray()
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body") or len(body) > LARGEST_BODY:
                break
        await self._answer(await self._reply(scope, bytes(body)), send)

    async def _reply(self, scope: Scope, body: bytes) -> Reply:
        vendor, _, path = scope["path"].removeprefix("/").partition("/")
        if vendor == "bill" and not path and scope["method"] == "GET":
            return Reply(200, encode(self.owed()), {"content-type": "application/json"})
        try:
            stands_for = self.of(vendor)
        except KeyError:
            return Reply(404, b'{"error":"there is no simulator of this name"}', {"content-type": "application/json"})
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        query = dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))
        try:
            return await stands_for.handle(Request(scope["method"], f"/{unquote(path)}", query, headers, body, f"/{vendor}"))
        except Exception:
            log.exception("the simulator of %s failed", vendor)
            return Reply(500, b'{"error":"the simulator failed; see its log"}', {"content-type": "application/json"})

    def owed(self) -> list[dict[str, object]]:
        return [
            {
                "vendor": vendor,
                "account": account,
                "model": model,
                "requests": charge.requests,
                "prompt_tokens": charge.prompt_tokens,
                "cached_tokens": charge.cached_tokens,
                "completion_tokens": charge.completion_tokens,
                "reasoning_tokens": charge.reasoning_tokens,
                "images": charge.images,
                "seconds": charge.seconds,
                "characters": charge.characters,
            }
            for (vendor, account, model), charge in self.bill.items()
        ]

    async def _answer(self, reply: Reply, send: Send) -> None:
        headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in reply.headers.items()]
        if isinstance(reply.body, bytes):
            if not self.drip:
                headers.append((b"content-length", b"%d" % len(reply.body)))
            await send({"type": "http.response.start", "status": reply.status, "headers": headers})
            for piece in self._cut(reply.body):
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        else:
            await send({"type": "http.response.start", "status": reply.status, "headers": headers})
            await self._stream(reply.body, send)
        await send({"type": "http.response.body", "body": b""})

    async def _stream(self, frames: AsyncIterator[bytes], send: Send) -> None:
        async for frame in frames:
            for piece in self._cut(frame):
                await send({"type": "http.response.body", "body": piece, "more_body": True})

    def _cut(self, data: bytes) -> list[bytes]:
        return [data[at : at + 1] for at in range(len(data))] if self.drip else [data]


def parse_account(text: str) -> tuple[str, str, str]:
    """`VENDOR:ID:SECRET`. Raises ValueError."""
    vendor, _, rest = text.partition(":")
    account, _, secret = rest.partition(":")
    if not (vendor and account and secret):
        raise ValueError(f"{text!r} is not of the form VENDOR:ID:SECRET")
    return vendor, account, secret
