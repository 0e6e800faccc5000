"""Tasks at vendors that nobody waits for any more: the gateway was ended, the client left, or the call took too long. What they have used
is put in the books once; should the request come again after all, it finds its task, and writes the same record."""

import logging
import time
from collections.abc import Callable
from math import ceil
from typing import Any

from gateway.accounting.prices import CALLS, cost, cost_of_units
from gateway.accounting.record import UsageRecord
from gateway.api.errands import BOOKED, KEPT, KIND, OPEN
from gateway.api.images import used
from gateway.api.serving import Serving
from gateway.emulation.whole import added
from gateway.jobs.base import Job, Steps
from gateway.objects import Object, changed
from gateway.routing.asking import OK
from gateway.routing.tasks import PASSING
from gateway.snapshot import Account, Hop, Route, Snapshot
from providers.base import SHAPELESS, Deferred, Fault, Json

log = logging.getLogger(__name__)

AT_ONCE = 100
"""Requests with such tasks that are looked at in one run."""
BY_NOBODY = Route("", "orphans")


def orphans(serving: Callable[[], Serving]) -> Job:
    async def run(steps: Steps, _: Any) -> Any:
        return await steps.do("settle", lambda: settle(serving()))

    return Job("vendor_tasks", run, "* * * * *")


async def settle(serving: Serving, *, now: Callable[[], float] = time.time) -> int:
    """How many requests' tasks are settled now. Raises StoreError."""
    if serving.objects is None:
        return 0
    page = await serving.objects.list(KIND, None, tag=OPEN, limit=AT_ONCE, newest_first=False)
    return sum([await _settled(serving, one, now()) for one in page.objects if one.body["due"] < now()])


async def _settled(serving: Serving, one: Object, now: float) -> bool:
    """Whether all is known of a request's tasks."""
    assert serving.objects is not None
    rest: list[Json] = []
    told: list[Json] = list(one.body.get("told", ()))
    for task in one.body["tasks"]:
        if any((known["account"], known["task"]) == (task["account"], task["task"]) for known in told):
            continue
        hop = _hop(serving.snapshot, task, one.body["endpoint"])
        if hop is None:
            log.warning("task %s of account %s cannot be settled: the account is no more", task["task"], task["account"])
            continue
        found = await _looked_at(serving, hop, task["task"])
        if found is None:
            rest.append(task)
        elif found:
            told.append({**task, "usage": found})
    if rest and now < one.created + KEPT / 2:
        await changed(serving.objects, KIND, one.team, one.id, lambda body: {**body, "told": told})
        return False
    if told and serving.books.ledger is not None:
        for number, group in enumerate(_groups(told)):
            await serving.books.ledger.write(_record(serving.snapshot, one, group, number, now))
    await serving.objects.change(one, {**one.body, "told": told}, tag=BOOKED)
    return True


async def _looked_at(serving: Serving, hop: Hop, task: str) -> Json | None:
    """What the task has used; {} for nothing, None while it is under way or cannot be asked for."""
    translator = hop.translator
    assert isinstance(translator, Deferred)
    try:
        reply = await serving.upstream.send(hop.account, translator.poll(task, hop.target), hop.timeouts.connect)
        try:
            raw = await reply.read()
            if reply.status not in OK:
                raise hop.translator.fault(reply.status, {}, raw)
        finally:
            reply.close()
    except Fault as fault:
        return None if fault.kind in PASSING else {}
    try:
        answer = translator.result(raw)
        return None if answer is None else used({**answer})
    except (Fault, *SHAPELESS):
        return {}


def _hop(snapshot: Snapshot, task: Json, endpoint: str) -> Hop | None:
    account: Account | None = snapshot.accounts.get(task["account"])
    if account is None or not isinstance(account.adapter.endpoints.get(endpoint), Deferred):
        return None
    return snapshot.hop(account, task["model"], endpoint, BY_NOBODY)


def _groups(told: list[Json]) -> list[list[Json]]:
    """By account and model: each has its own price."""
    groups: dict[tuple[str, str], list[Json]] = {}
    for one in told:
        groups.setdefault((one["account"], one["model"]), []).append(one)
    return list(groups.values())


def _record(snapshot: Snapshot, one: Object, group: list[Json], number: int, now: float) -> UsageRecord:
    body, (first, *_) = one.body, group
    usage = added([task["usage"] for task in group]) or {}
    account = snapshot.accounts.get(first["account"])
    rates = snapshot.catalog.rates(account.vendor, first["model"]) if account else None
    prompt, completion = usage.get("prompt_tokens") or 0, usage.get("completion_tokens") or 0
    nano = 0
    if rates is not None:
        units = {unit: ceil(usage.get(unit) or 0) for unit in rates.units} | {CALLS: len(group)}
        nano = cost(rates, prompt, 0, completion) + cost_of_units(rates, units)
    return UsageRecord(
        id=body["record"] if not number else f"{body['record'][:-2]}{number:02x}",
        time=now,
        team=one.team,
        key=body["key"],
        account=first["account"],
        model=body["model"],
        served_model=first["model"],
        kind="attempt",
        currency=rates.currency if rates else "",
        prompt_tokens=prompt,
        completion_tokens=completion,
        cost=nano,
        started=one.created,
        endpoint=body["endpoint"],
        jurisdiction=account.jurisdiction if account else "",
        attempts=1,
        price_as_of=rates.as_of if rates else "",
        request_id=body["request_id"],
        images=usage.get("images") or 0,
    )
