"""Gives a batch to a vendor and fetches what comes of it: one step after the other, each written down before the next."""

import logging
from collections.abc import AsyncIterator
from contextlib import aclosing
from time import time

from gateway.api.files import blob_of
from gateway.api.wire import refusal_of
from gateway.batches.answering import Answer, Asker
from gateway.batches.lines import error, read
from gateway.batches.state import counted
from gateway.batches.vendor import NOT_OFFERED, NotOffered, Vendor
from gateway.batches.window import Window
from gateway.batches.work import Work, errors, summed
from gateway.routing.trail import Trail
from gateway.routing.verdicts import VERDICTS
from gateway.snapshot import Hop
from providers.base import Fault, Json, encode
from providers.batching import Standing

log = logging.getLogger(__name__)


async def handed(work: Work) -> bool:
    """Whether the vendor's part is over, so that the gateway may go on. Until then it is looked at each minute."""
    asker = work.asker()
    key = asker.holder()
    if key is None or work.body["vendor"]["stage"] == "done":
        return True
    vendor = Vendor(work.serving, key, work.id)
    try:
        return await _stage(work, vendor, asker)
    except NotOffered:
        await work.over("failed", errors=errors([error("vendor_batch_not_offered", NOT_OFFERED)]))
    except Fault as fault:
        if VERDICTS[fault.kind].again or fault.kind in ("timeout", "quota"):
            log.warning("batch %s: the vendor's own waits: %s", work.id, fault)
            return False
        message = str(refusal_of(fault, Trail(0.0)))
        await work.over("failed", errors=errors([error("vendor_batch_refused", message)]))
    return False


async def _stage(work: Work, vendor: Vendor, asker: Asker) -> bool:
    """One step after the other, each written down before the next, as far as it goes now. Raises NotOffered, Fault."""
    state = work.body["vendor"]
    told = work.body["told"]
    ended = told["status"] == "cancelling" or time() >= told["expires_at"]
    if state["stage"] == "new":
        if ended:
            return await _at(work, {**state, "stage": "done"})
        async with aclosing(work.lines()) as lines:
            given = await vendor.given(lines)
        file = await vendor.upload(given)
        state = {**state, "stage": "uploaded", "hop": given.hop.name, "model": vendor.model, "file": file}
        if not await _at(work, state):
            return False
    hop = vendor.hop(state["hop"], state["model"])
    if state["stage"] == "uploaded":
        state = {**state, "stage": "submitted", "job": await vendor.submit(hop, state["file"], state["hours"])}
        if not await _at(work, state):
            return False
    if ended and not state.get("cancelled"):
        await vendor.cancel(hop, state["job"])
        if not await _at(work, {**state, "cancelled": True}):
            return False
    standing = await vendor.look(hop, state["job"])
    if not standing.over:
        return False
    if standing.state == "failed":
        await work.over("failed", errors=errors([error("vendor_batch_failed", standing.why or "The vendor's batch has failed.")]))
        return False
    return await _fetched(work, vendor, asker, hop, standing)


async def _at(work: Work, state: Json) -> bool:
    return await work.mine(lambda body: {**body, "vendor": state})


async def _fetched(work: Work, vendor: Vendor, asker: Asker, hop: Hop, standing: Standing) -> bool:
    """What the vendor has answered becomes a part of the output; the other lines are left to the gateway."""
    names: dict[int, str] = {}
    async with aclosing(work.lines()) as lines:
        async for line in lines:
            names[line.number] = read(line)["custom_id"]
    answers: dict[int, Answer] = {}
    for file in filter(None, (standing.output, standing.errors)):
        for said in await vendor.content(hop, file):
            answer = vendor.answer(hop, asker, said, names.__getitem__)
            if answer is not None:
                answers.setdefault(answer.number, answer)
    await vendor.book(hop, asker, [answer for answer in answers.values() if answer.good], work.body["started"])

    async def rest() -> AsyncIterator[bytes]:
        async for line in work.lines():
            if line.number not in answers:
                yield encode(read(line)) + b"\n"

    left = f"{work.id}.rest"
    await work.blobs.put(blob_of(work.team, left), rest())
    window = Window(work.objects, work.team, f"{work.id}.vendor", 0, answers=answers)
    part, sums = await work.part(window), summed(work.body, window)
    state = {**work.body["vendor"], "stage": "done"}
    place = {"input": left, "next": len(names), "offset": 0, "sums": sums, "vendor": state}
    return await work.mine(lambda now: counted({**now, **place, "parts": [*now["parts"], part]}, sums))
