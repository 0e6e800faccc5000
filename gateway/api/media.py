"""What images and audio share: forms as requests, and a call from its plan to what has come of it."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from msgspec import Struct

from gateway.api.chat import deadline_of
from gateway.api.errands import Errands
from gateway.api.multipart import Form, Upload
from gateway.api.serving import Serving, planned
from gateway.api.validate import wrong_type
from gateway.api.wire import Exchange, refusal_of
from gateway.deadline import Deadline
from gateway.downloads import download
from gateway.routing.attempt import Attempts
from gateway.routing.plan import Plan
from gateway.snapshot import Key, Snapshot
from gateway.upstream import Upstream
from providers.base import Fault, Json

INNER = re.compile(r"\w+(\[\w+\]){1,4}")
"""How forms say a field of an object."""
TRIES = 3
"""How often a file is asked for that an answer leads to: the answer has been paid for."""


class Call(Struct):
    """One request under way."""

    plan: Plan
    attempts: Attempts
    deadline: Deadline
    errands: Errands


@asynccontextmanager
async def call(exchange: Exchange, serving: Serving, key: Key, snapshot: Snapshot, endpoint: str, body: Json) -> AsyncIterator[Call]:
    """A request that has been checked, with its plan and its clock. Faults within become Refusals."""
    plan = await planned(endpoint, body, exchange, key, snapshot, serving)
    if exchange.keep is None:  # what is kept is not in vain if the client has left
        exchange.watch(drain=plan.hops[0].drains)
    deadline = deadline_of(exchange, plan)
    errands = Errands(exchange, serving, endpoint, lambda: deadline.left())
    attempts = Attempts(serving.upstream, serving.health, deadline, exchange.trail, strict=key.strict, payer=exchange.booking, book=errands)
    try:
        yield Call(plan, attempts, deadline, errands)
    except Fault as fault:
        raise refusal_of(fault, exchange.trail) from fault
    except asyncio.CancelledError:
        fault_of_ours = None if exchange.left else deadline.expired()
        if fault_of_ours is None:
            raise
        raise refusal_of(fault_of_ours, exchange.trail) from None
    finally:
        deadline.close()
        attempts.close(exchange.usage)
        await errands.close()


async def fetched(upstream: Upstream, exchange: Exchange, url: Any) -> bytes:
    """The file that an answer leads to, asked for again where that may help. Raises Fault."""
    hop = exchange.trail.hop
    if hop is None:
        raise Fault("broken", "nobody has answered")
    for left in reversed(range(TRIES)):
        try:
            return await download(upstream, hop.account, url, connect=hop.timeouts.connect)
        except Fault as fault:
            if not left or fault.kind != "unreachable":
                raise
    raise Fault("unreachable", "the file that the provider's answer leads to cannot be had")


# ---- forms ----


async def fields_of(form: Form, kinds: Mapping[str, type]) -> Json:
    """A form as the request that JSON would say: texts as what `kinds` says they are, `name[]` as lists, `name[key]` as objects, files as
    {"name", "type", "data"}. Raises Refusal."""
    body: Json = {}
    for told, values in form.fields.items():
        if INNER.fullmatch(told):
            *outer, last = told[:-1].replace("][", "[").split("[")
            place = body
            for one in outer:
                place = place.setdefault(one, {})
                if not isinstance(place, dict):
                    raise wrong_type(outer[0], "an object", "")
            place[last] = values[-1]
            continue
        name = told.removesuffix("[]")
        kind = kinds.get(name, str)
        if kind is list:
            body[name] = [*body.get(name, ()), *values]
        elif values[-1] or kind is str:
            body[name] = _read(name, values[-1], kind)
    for told, files in form.files.items():
        name = told.removesuffix("[]")
        read = [await _file(file) for file in files]
        body[name] = [*body.get(name, ()), *read] if kinds.get(name) is list else read[-1]
    return body


def _read(name: str, text: str, kind: type) -> Any:
    if kind is bool:
        if text not in ("true", "false"):
            raise wrong_type(name, "a boolean", text)
        return text == "true"
    if kind in (int, float):
        try:
            return kind(text)
        except ValueError as exc:
            raise wrong_type(name, "an integer" if kind is int else "a number", text) from exc
    return text


async def _file(file: Upload) -> Json:
    return {"name": file.name, "type": file.type, "data": await file.read()}
