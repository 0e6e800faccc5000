"""The vendor's own batch, where the team asks for it: lines that can be said there are given to it, and what it answers is cheaper. What it
cannot take, or has not answered, is left to the gateway."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from time import time

from msgspec import Struct, ValidationError

from gateway.accounting.prices import cost
from gateway.accounting.record import UsageRecord
from gateway.api import validate
from gateway.api.chat_out import complete
from gateway.api.serving import Serving, moment_for
from gateway.api.wire import Refusal, body_of, refusal_of
from gateway.batches.answering import TAG, Answer, Asker
from gateway.batches.lines import Line, answered, read
from gateway.routing.asking import error_of
from gateway.routing.facts import facts_of
from gateway.routing.plan import Resolved, plan_of, resolve
from gateway.routing.trail import Trail
from gateway.snapshot import Hop, Key
from providers.base import SHAPELESS, Fault, Json, Outgoing, decode, encode
from providers.batching import Batches, Standing

log = logging.getLogger(__name__)

CONNECT = 10.0
NOT_OFFERED = "No account that serves the model has batches of its own for this team: leave out `x-banjia-batch`."


class NotOffered(Exception):
    """Nobody has batches for what is asked."""


class Given(Struct):
    """What a vendor is given."""

    hop: Hop
    data: bytes
    numbers: list[int]


def batches_of(hop: Hop) -> Batches | None:
    return hop.account.adapter.batching


class Vendor:
    """One batch's dealings with a vendor."""

    def __init__(self, serving: Serving, key: Key, batch: str) -> None:
        self._serving = serving
        self._key = key
        self._batch = batch
        self.model = ""
        """As the client names it; all lines that are given name the same."""

    # ---- what it can be given ----

    async def given(self, lines: AsyncIterator[Line]) -> Given:
        """All lines that one hop may be given, as the first of them decides it. Raises NotOffered."""
        place: Hop | None = None
        data = bytearray()
        numbers: list[int] = []
        async for line in lines:
            found = self._said(line, place)
            if found is None:
                continue
            place, body = found
            self.model = self.model or read(line)["body"]["model"]
            batches = batches_of(place)
            assert batches is not None
            said = batches.line(line.number, body)
            if len(numbers) == batches.most_lines or len(data) + len(said) > batches.most_bytes:
                break
            data += said
            numbers.append(line.number)
        if place is None:
            raise NotOffered
        return Given(place, bytes(data), numbers)

    def _said(self, line: Line, place: Hop | None) -> tuple[Hop, Json] | None:
        """The line in the words of the hop; None for one that is left to the gateway: what it refuses, what it would have to help with."""
        try:
            body = validate.chat(read(line)["body"])
        except Refusal:
            return None
        if "functions" in body or body["model"] != (self.model or body["model"]):
            return None
        resolved = resolve(body["model"], "chat", self._key, self._serving.snapshot)
        if resolved is None:
            return None
        hop = self._hop(resolved, body, len(line.raw), place)
        if hop is None:
            return None
        try:
            outgoing = hop.translator.request({**hop.defaults, **body}, hop.target)
        except Fault:
            return None
        if any(change.work is not None for change in outgoing.changes) or (self._key.strict and outgoing.changes):
            return None
        return hop, decode(outgoing.body)

    def _hop(self, resolved: Resolved, body: Json, size: int, place: Hop | None) -> Hop | None:
        facts = facts_of("chat", body, size)
        plan = plan_of(resolved, facts, self._key, self._serving.snapshot, moment_for(resolved, facts, self._serving))
        fit = (hop for hop in plan.hops if batches_of(hop) is not None)
        return next((hop for hop in fit if place is None or hop.name == place.name), None)

    def hop(self, name: str, model: str) -> Hop:
        """The one that a batch was given to. Raises Fault where the config has it no more."""
        self.model = model
        resolved = resolve(model, "chat", self._key, self._serving.snapshot)
        for option in resolved.options if resolved is not None else ():
            if option.hop.name == name and batches_of(option.hop) is not None:
                return option.hop
        raise Fault("no_model", f"{name} serves {model} no more")

    # ---- asking ----

    async def upload(self, given: Given) -> str:
        batches = self._of(given.hop)
        return batches.id_in(await self._send(given.hop, batches.upload(self._batch, given.data, given.hop.target)))

    async def submit(self, hop: Hop, file: str, hours: int) -> str:
        """The vendor's batch of a file; the one that there is, if a crash came after it was made."""
        batches = self._of(hop)
        there = batches.found(await self._send(hop, batches.listed(hop.target)), file)
        return there or batches.id_in(await self._send(hop, batches.submit(file, hours, hop.target)))

    async def look(self, hop: Hop, job: str) -> Standing:
        batches = self._of(hop)
        return batches.standing(await self._send(hop, batches.look(job, hop.target)))

    async def cancel(self, hop: Hop, job: str) -> None:
        """One that is over stays as it is."""
        try:
            await self._send(hop, self._of(hop).cancel(job, hop.target))
        except Fault as fault:
            if fault.kind != "bad_request":
                raise

    async def content(self, hop: Hop, file: str) -> list[Json]:
        """Lines of what has come of it."""
        raw = await self._send(hop, self._of(hop).content(file, hop.target))
        return [decode(line) for line in raw.split(b"\n") if line.strip()]

    def _of(self, hop: Hop) -> Batches:
        batches = batches_of(hop)
        assert batches is not None
        return batches

    async def _send(self, hop: Hop, asked: Outgoing) -> bytes:
        """Raises Fault."""
        reply = await self._serving.upstream.send(hop.account, asked, CONNECT)
        try:
            if reply.status >= 300:
                headers = {name.lower(): value for name, value in reply.headers.items()}
                raise hop.translator.fault(reply.status, headers, await error_of(reply))
            return await reply.read()
        finally:
            reply.close()

    # ---- answers ----

    def answer(self, hop: Hop, asker: Asker, told: Json, names: Callable[[int], str]) -> Answer | None:
        """A line of the vendor's in OpenAI's words; None for one that says nothing, and so is left to the gateway."""
        try:
            number = int(told["custom_id"].removeprefix("line-"))
            response = told["response"]
            status, body = response["status_code"], encode(response["body"])
            try:
                if status != 200:
                    raise hop.translator.fault(status, {}, body)
                whole = complete(hop.translator.response(body), model=hop.target.model.id, request_id=asker.name(number), now=int(time()))
            except Fault as fault:
                if fault.kind in ("rate_limited", "overloaded", "unreachable", "timeout"):
                    return None
                refusal = refusal_of(fault, Trail(0.0))
                status, whole = refusal.status, body_of(refusal)
            request_id = f"batch_req_{asker.name(number)}"
            line = answered(request_id, names(number), status, request_id, whole)
            return Answer(number, status == 200, line, whole)
        except (*SHAPELESS, ValidationError) as exc:
            log.warning("batch %s: a line of the vendor's is of no known form: %r", self._batch, exc)
            return None

    async def book(self, hop: Hop, asker: Asker, answers: list[Answer], started: float) -> None:
        """Rows of usage, at the price of batches. What is there already is not written again. Raises what the ledger raises."""
        ledger = self._serving.books.ledger
        if ledger is None:
            return
        percent = self._of(hop).percent
        rates = self._serving.snapshot.catalog.rates(hop.account.vendor, hop.target.model.id)
        waiting: list[Awaitable[object]] = []
        for answer in answers:
            usage = answer.body.get("usage") or {}
            prompt, completion = usage.get("prompt_tokens") or 0, usage.get("completion_tokens") or 0
            cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
            reasoning = (usage.get("completion_tokens_details") or {}).get("reasoning_tokens") or 0
            now = time()
            row = UsageRecord(
                id=f"{asker.row(answer.number)}00c8", time=now, team=self._key.team, key=self._key.name, account=hop.account.name,
                model=self.model, served_model=hop.target.model.id, kind="ok", currency=rates.currency if rates else "",
                prompt_tokens=prompt, cached_tokens=cached, completion_tokens=completion, reasoning_tokens=reasoning,
                cost=cost(rates, prompt, cached, completion) * percent // 100 if rates else 0, started=started, endpoint="chat",
                jurisdiction=hop.account.jurisdiction, status=200, attempts=1, price_as_of=rates.as_of if rates else "",
                request_id=f"batch_req_{asker.name(answer.number)}", tags={TAG: self._batch, "batch_at": "vendor"},
            )  # fmt: skip
            waiting.append(ledger.write(row))
        for one in waiting:
            await one
