"""What the endpoints are given to serve with, and the plan with its refusals in OpenAI's words."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from msgspec import Struct, field
from msgspec.structs import replace

from gateway import usage
from gateway.accounting.books import Books
from gateway.api.auth import Ring, authenticate
from gateway.api.booking import Booking
from gateway.api.spaces import Spaces, under, why_changed
from gateway.api.weight import SMALL
from gateway.api.wire import Exchange, Record, Refusal
from gateway.blobs.opening import FileStore
from gateway.jobs.base import Run
from gateway.objects import Objects
from gateway.room import Room
from gateway.routing.constraints import longest
from gateway.routing.decision import AT_ANY_TIME, decision_of, route_told
from gateway.routing.facts import Facts, conversation_of, facts_of
from gateway.routing.health import Health
from gateway.routing.plan import Plan, Resolved, in_one_space, plan_of, resolve
from gateway.routing.preferences import DRAWN, Moment
from gateway.snapshot import Key, Snapshot
from gateway.tuning.table import PREFIX, Tuned
from gateway.upstream import Upstream
from providers.base import Json, encode


class Runs(Protocol):
    """Work that goes on when the request that asked for it has been answered. All of these raise StoreLost."""

    degraded: str
    """Why none is done at present; empty when it is."""

    async def start(self, job: str, given: Any = None, *, id: str) -> None:
        """Starts a job on one of the replicas. A second time under the same id it does nothing."""

    async def look(self, id: str) -> Run | None: ...

    async def cancel(self, id: str) -> None: ...


class Live(Protocol):
    """What work without a client looks at, so as not to be in the way of those with one."""

    room: Room
    draining: bool
    sinks: tuple[Callable[[Record], None], ...]
    """What takes the record of each finished request."""


class Serving(Struct):
    """One reference to the config of now, which a reload swaps, and the way to the providers. A request takes `snapshot` once."""

    snapshot: Snapshot
    upstream: Upstream
    health: Health
    books: Books
    ring: Ring | None = None
    objects: Objects | None = None
    """What teams keep here; None where nothing is stored."""
    jobs: Runs | None = None
    files: FileStore | None = None
    """Where the bytes of files are; None where none are kept."""
    live: "Live | None" = None
    """The requests of clients."""
    tuned: Tuned | None = None
    """Names of models that teams have had tuned."""
    spaces: Spaces = field(default_factory=Spaces)
    """Which vector space each team has begun in under a name."""


Endpoint = Callable[..., Awaitable[None]]
"""Given the exchange, what serves, and the parts of the address that stand for `{…}`."""
Routes = Mapping[str, Mapping[str, Endpoint]]
"""A surface's own: by address, as in /v1/files/{id}/content, and method."""


def received(endpoint: str, exchange: Exchange, serving: Serving) -> tuple[Key, Snapshot]:
    """Who asks, and by which config: from here on the request is in the books. Raises Refusal."""
    snapshot = serving.snapshot
    key = authenticate(exchange, snapshot, serving.ring)
    exchange.booking = Booking(serving.books, exchange, key, snapshot, endpoint)
    return key, snapshot


async def planned(endpoint: str, body: Json, exchange: Exchange, key: Key, snapshot: Snapshot, serving: Serving) -> Plan:
    """The plan for a request that has been checked, with at least one hop, and with what it may use reserved. Raises Refusal."""
    if exchange.size > SMALL:
        await exchange.others()  # it has just been checked
    facts = facts_of(endpoint, body, exchange.size)
    resolved = None
    if serving.tuned is not None and facts.model.startswith(PREFIX):
        resolved = serving.tuned.resolve(facts.model, endpoint, key, snapshot)
    if resolved is None:
        resolved = resolve(facts.model, endpoint, key, snapshot)
    if resolved is None:
        raise no_model(facts.model, f"The model `{facts.model}` is not known here, or not to this key.")
    exchange.notices = resolved.notices
    if facts.size > resolved.reads and endpoint == "chat":
        facts = await counted(facts, body, resolved)
    if resolved.route.sticky:
        facts = replace(facts, conversation=conversation_of(key.team, body))
    moment = AT_ANY_TIME if resolved.simple is not None else moment_for(resolved, facts, serving)
    if endpoint == "embeddings":
        begun = await serving.spaces.begun(serving.objects, key.team, under(facts.model, key, snapshot))
        plan, facts = in_one_space(resolved, facts, key, snapshot, moment, begun)
    else:
        plan = plan_of(resolved, facts, key, snapshot, moment)
    exchange.decision = decision_of(plan, facts, moment, snapshot.revision)
    exchange.decided = encode(exchange.decision)
    if key.show_route:
        exchange.route = route_told(plan)
    if not plan.hops:
        raise refused(plan, facts, key, snapshot)
    if exchange.booking is not None and (no := await exchange.booking.admit(body, facts, plan)):
        raise Refusal(no.status, no.message, kind=no.kind, code=no.code, headers=no.headers)
    return plan


def moment_for(resolved: Resolved, facts: Facts, serving: Serving) -> Moment:
    """What a plan that is not simple depends on beside the request."""
    paces: dict[str, float] = {}
    grants: dict[str, float] = {}
    if resolved.route.pick == "fastest":
        hops = [option.hop.name for option in resolved.options]
        paces = {hop: pace for hop in hops if (pace := serving.health.pace.of(hop, stream=facts.stream))}
    elif resolved.route.pick == "grants_first":
        soonest = serving.books.grants.soonest
        asked = [option.hop for option in resolved.options]
        grants = {hop.name: until for hop in asked if (until := soonest(hop.account.name, hop.target.model.id)) is not None}
    waived = any(option.waiver for option in (*resolved.options, *resolved.on_refusal))
    return Moment(random.random() if resolved.route.pick in DRAWN else 0.0, time.time() if waived else 0.0, paces, grants)


async def counted(facts: Facts, body: Json, resolved: Resolved) -> Facts:
    """The facts with the prompt's tokens: counted off the event loop, for what may be more than one of the models reads."""
    return replace(facts, tokens=await asyncio.to_thread(tokens_of, facts, body, resolved))


def tokens_of(facts: Facts, body: Json, resolved: Resolved) -> dict[str, int]:
    """A prompt's tokens by the tokenizers of the models that it may be too long for."""
    contexts: dict[str, list[int]] = {}
    for option in (*resolved.options, *resolved.on_refusal):
        model = option.hop.target.model
        if model.context and facts.size > model.context:
            contexts.setdefault(model.tokenizer, []).append(longest(option.hop))
    return {name: usage.prompt_tokens(body, name, of) for name, of in contexts.items()}


def refused(plan: Plan, facts: Facts, key: Key, snapshot: Snapshot) -> Refusal:
    """Why a plan has no hop."""
    model = facts.model
    if plan.refusal:
        return no_model(model, plan.refusal)
    codes = {rejected.code for rejected in plan.rejected}
    why = "; ".join(f"{rejected.hop}: {rejected.why}" for rejected in plan.rejected)
    if "too_long" in codes:
        return Refusal(400, f"The prompt is too long for what serves `{model}` ({why}).", param="messages", code="context_length_exceeded")
    if "incapable" in codes:
        return Refusal(400, f"No model that serves `{model}` can take this request ({why}).", param="model", code="unsupported_parameter")
    if "not_filed" in codes:
        message = (
            f"Team `{key.team}` uses filed models only, and none that serves `{model}` is one ({why}): "
            "add a filing under catalog/filings, or an exception under policy.exceptions"
        )
        return Refusal(403, message, kind="permission_error", param="model", code="model_not_filed")
    if "space" in codes:
        told = why_changed(under(model, key, snapshot), key.team, facts.space, why)
        return Refusal(409, told, param="model", code="embedding_space_changed")
    if "jurisdiction" in codes:
        message = (
            f"model `{model}` of team `{key.team}` has no hop that data of callers in {key.jurisdiction} may go to ({why}): "
            f"add one under models.{model}.serve, or allow another place in policy.allow"
        )
        return Refusal(403, message, kind="permission_error", param="model", code="jurisdiction_not_allowed")
    if "endpoint" in codes:
        return no_model(model, f"The model `{model}` has no {facts.endpoint} ({why}).")
    return no_model(model, f"No account serves the model `{model}` at present ({why}).")


def no_model(model: str, message: str) -> Refusal:
    return Refusal(404, message, param="model", code="model_not_found")
