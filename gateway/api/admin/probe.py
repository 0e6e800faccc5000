"""One short question to one account: does it answer, and how fast."""

import asyncio
from time import perf_counter

from msgspec.structs import replace
from pydantic import BaseModel

from gateway.api.serving import Serving
from gateway.deadline import Deadline, Ticker
from gateway.routing.attempt import Attempts
from gateway.routing.plan import Plan
from gateway.routing.trail import Trail
from gateway.scrubbing import scrub
from gateway.settings import Retry
from gateway.snapshot import Account, Hop, Route, Snapshot, own_models
from providers.base import Fault, Json

LONGEST = 60.0
QUESTION: Json = {"model": "", "messages": [{"role": "user", "content": "Answer with the word: yes"}], "max_tokens": 16}


class Probed(BaseModel):
    """What came of it."""

    account: str
    ok: bool
    model: str
    seconds: float
    error: str | None = None


async def probe(account: Account, serving: Serving) -> Probed:
    """Asks the account's first chat model of the catalog. Never raises for what the account does."""
    snapshot = serving.snapshot
    model = first_model(account, snapshot)
    if account.off or model is None or "chat" not in account.adapter.endpoints:
        why = account.off or "the catalog has no chat model of this vendor: ask it through a route of yours"
        return Probed(account=account.name, ok=False, model=model or "", seconds=0.0, error=why)
    hop: Hop = replace(snapshot.hop(account, model, "chat", Route("", "probe")), retry=Retry(max=0))
    started = perf_counter()
    deadline = Deadline(LONGEST, Ticker(asyncio.get_running_loop()))
    error: str | None = None
    try:
        await Attempts(serving.upstream, serving.health, deadline, Trail(started), strict=False).plain(
            Plan((hop,)), lambda _: [QUESTION], lambda _, answers: answers
        )
    except Fault as fault:
        error = f"{fault.kind}: {scrub(fault.message, account.secret_words)}" + (f" ({fault.code})" if fault.code else "")
    finally:
        deadline.close()
    return Probed(account=account.name, ok=error is None, model=model, seconds=round(perf_counter() - started, 3), error=error)


def first_model(account: Account, snapshot: Snapshot) -> str | None:
    """gpt-4o or what stands in for it, else the account's first chat model."""
    catalog = snapshot.catalog
    chat = [name for name in own_models(account, catalog) if catalog.facts(account.vendor, name).kind == "chat"]
    preferred = ("gpt-4o", *catalog.equivalents.get("gpt-4o", {}).get(account.vendor, ()))
    return next((name for name in (*preferred, *chat) if name in chat), None)
