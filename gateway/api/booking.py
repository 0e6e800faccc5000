"""One request's place in the books: what it may use is reserved before it is sent, and it is written down before its end is seen."""

import asyncio
from collections.abc import Mapping
from math import ceil
from time import perf_counter, time
from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec import Struct

from gateway.accounting.books import Books, converted
from gateway.accounting.grants import Drawn, Paid
from gateway.accounting.limits import TOKENS, Told, headers_of, told
from gateway.accounting.prices import cost, cost_of_units, expected
from gateway.accounting.record import Kind, UsageRecord, bounded_tags, new_id, user_of
from gateway.routing.facts import Facts
from gateway.routing.plan import Plan
from gateway.routing.preferences import BYTES_OF_A_TOKEN, USUAL_ANSWER
from gateway.snapshot import Hop, Key, Snapshot
from gateway.state.base import Held, Refused
from providers.base import Json

if TYPE_CHECKING:
    from gateway.api.wire import Exchange

LEFT = 499
"""The status in the records of those who did not wait."""
LONGEST_ANSWER = 16_384
"""Tokens that are held of a grant where neither the request nor the catalog says how long an answer may be. What is longer is paid for."""


ROW = "banjia.row"
"""In the scope of a request that the gateway makes: its Row. No client can write there."""


class Row(NamedTuple):
    """What the usage row of a request is known by that may be made again, where the gateway was killed before its answer was kept: it is
    then the same row, and is not written twice."""

    id: str
    """Its beginning: what came of the request is added."""
    tags: Mapping[str, str]


class Part(Struct):
    """What one hop has given of an answer."""

    hop: Hop
    drawn: Drawn | None
    usage: Json


class Booking:
    """Made when the key is known; `settle` is called by whatever sends the end of the answer, and once more when all is over."""

    __slots__ = (
        "_books", "_copies", "_currency", "_done", "_drawn", "_endpoint", "_exchange", "_facts", "_given_up", "_granted", "_held", "_key",
        "_nano", "_paid", "_parts", "_snapshot", "_tags", "_user", "_written", "id",
    )  # fmt: skip

    def __init__(self, books: Books, exchange: "Exchange", key: Key, snapshot: Snapshot, endpoint: str) -> None:
        self._books = books
        self._exchange = exchange
        self._key = key
        self._snapshot = snapshot
        self._endpoint = endpoint
        self._user = ""
        self._copies = 1
        """Answers that are asked for."""
        self._tags: dict[str, str] = {}
        self._facts: Facts | None = None
        self._held: Held | None = None
        self._drawn: Drawn | None = None
        self._parts: list[Part] = []
        self._given_up: list[Hop] = []
        self._granted: dict[str, int] = {}
        """Tokens that grants pay for."""
        self._paid: list[tuple[Drawn, Paid]] = []
        """What is settled with the grants once the record is there."""
        self._nano = 0
        self._currency = ""
        self._done: asyncio.Future[Any] | None = None
        """Done when the record is durable; None where nothing is stored."""
        self._written: UsageRecord | None = None
        self.id = ""
        """Of the record, where somebody else might write the same one; "": a new one."""

    # ---- before ----

    async def admit(self, body: Json, facts: Facts, plan: Plan) -> Told | None:
        """Takes what the request may use at most. None: it may go on; else what the client is told."""
        self._facts = facts
        if "user" in body:
            self._user = user_of(body["user"])
        if "metadata" in body:
            self._tags = bounded_tags(body["metadata"])
        self._copies = body.get("n") or 1
        key, books = self._key, self._books
        if key.required and books.ledger is not None and books.ledger.degraded:
            return Told(503, "api_error", "usage_unavailable", "Usage cannot be written at present, and this team requires it.", [])
        if key.bounds is None:
            return None
        chat = facts.endpoint == "chat"
        answer = (facts.output or USUAL_ANSWER) * self._copies if chat else 0
        prompt = facts.size // BYTES_OF_A_TOKEN
        upper = {TOKENS: prompt + answer}
        units: Mapping[str, int] = {} if chat else units_of(facts.endpoint, body)
        for currency in key.currencies:
            upper[currency] = max([self._price(hop, currency, prompt, answer, units) for hop in plan.hops], default=0)
        got = await books.admission.admit(key.bounds, upper, self._user)
        if isinstance(got, Refused):
            return told(got, time())
        if got is not None:
            self._held = got
            self._exchange.limits = headers_of(got)
        return None

    def _price(self, hop: Hop, currency: str, prompt: int, answer: int, units: Mapping[str, int]) -> int:
        rates = hop.rates
        if rates is None:
            return 0
        nano = cost(rates, prompt, 0, answer)
        if rates.units:
            nano += cost_of_units(rates, units)
        return nano if rates.currency == currency else converted(nano, rates.currency, currency, self._snapshot.catalog)

    # ---- at each attempt ----

    def gifted(self, hop: Hop) -> bool:
        """Whether a grant may pay for what the hop uses."""
        return bool(self._snapshot.grants) and self._books.grants.soonest(hop.account.name, hop.target.model.id) is not None

    async def draw(self, hop: Hop, until: float) -> Drawn | None:
        """Holds what an attempt may use of the account's grants."""
        facts = self._facts
        if facts is None:
            return None
        answer = (facts.output or hop.target.model.output or LONGEST_ANSWER) * self._copies
        drawn = await self._books.grants.draw(hop.account.name, hop.target.model.id, prompt=facts.size, completion=answer, until=until)
        return drawn if isinstance(drawn, Drawn) else None

    def serves(self, drawn: Drawn | None) -> None:
        """The attempt that `drawn` is held for is the one that answers."""
        self._drawn = drawn

    def give_back(self, drawn: Drawn) -> None:
        """The attempt has come to nothing."""
        self._books.grants.release(drawn)

    def given_up(self, hop: Hop) -> None:
        """An attempt beside the one that answers was cut off. Its provider has read the prompt, and tells nobody what that costs."""
        self._given_up.append(hop)

    def broke_off(self, hop: Hop, usage: Json) -> None:
        """An answer has broken off, and another hop goes on with it."""
        self._parts.append(Part(hop, self._drawn, usage))
        self._drawn = None

    # ---- after ----

    async def settle(self) -> None:
        """Returns when the request is written down. A second time it only waits for the first."""
        ledger = self._books.ledger
        if self._written is None:
            self._write()
        elif ledger is not None and self._done is not None and self._done.cancelled():
            self._done = ledger.write(self._written)  # who waited was cancelled, the writing was not: the record's id makes the two one
        if self._done is not None and not self._done.done():
            await self._done
        if self._held is not None or self._paid or self._drawn is not None:
            self._give_free()

    def close(self) -> None:
        """All is over, whatever has come of it. What has not been written down is written now, and nobody waits for it."""
        if self._written is None:
            self._write()
        if self._held is not None or self._paid or self._drawn is not None:
            self._give_free()

    def _write(self) -> None:
        exchange = self._exchange
        usage = exchange.usage or {}
        if usage and exchange.trail.hop is not None:
            own = less(usage, [part.usage for part in self._parts]) if self._parts else usage
            self._parts.append(Part(exchange.trail.hop, self._drawn, own))
            self._drawn = None
        record = self._record(usage)
        ledger = self._books.ledger
        if ledger is not None:
            for hop in self._given_up:
                ledger.write(self._attempt(record, hop))
        self._written = record
        self._done = None if ledger is None else ledger.write(record)

    def _record(self, usage: Json) -> UsageRecord:
        """What is written down; what it cost and who pays is known from then on."""
        exchange, trail = self._exchange, self._exchange.trail
        now, ended = time(), perf_counter()
        hop = trail.hop
        nano, currency, as_of = self._costs()
        prompt_details, answer_details = usage.get("prompt_tokens_details") or {}, usage.get("completion_tokens_details") or {}
        row: Row | None = exchange.scope.get(ROW)
        return UsageRecord(  # by place: with names it takes twice as long
            self.id or (new_id(now) if row is None else f"{row.id}{exchange.status:04x}"),
            now,
            exchange.team,
            exchange.key,
            self._user,
            hop.account.name if hop else "",
            exchange.model,
            hop.target.model.id if hop else "",
            self._kind(),
            currency,
            usage.get("prompt_tokens") or 0,
            prompt_details.get("cached_tokens") or 0,
            usage.get("completion_tokens") or 0,
            answer_details.get("reasoning_tokens") or 0,
            nano,
            bool(usage.get("estimated")),
            now - (ended - exchange.started),
            self._endpoint,
            hop.account.jurisdiction if hop else "",
            exchange.status,
            trail.attempts,
            as_of,
            ((exchange.first_byte or ended) - exchange.started) * 1000,
            (ended - exchange.started) * 1000,
            (ended - exchange.started - trail.waited) * 1000 if not exchange.stream else 0.0,
            exchange.finish,
            exchange.request_id,
            exchange.changes,
            exchange.decided.decode(),
            self._granted,
            self._tags if row is None else {**self._tags, **row.tags},
            usage.get("images") or 0,
            ceil(usage.get("seconds") or 0),
            usage.get("characters") or 0,
        )

    def _attempt(self, of: UsageRecord, hop: Hop) -> UsageRecord:
        """What an attempt that was given up is likely to cost: its prompt."""
        prompt = self._facts.size // BYTES_OF_A_TOKEN if self._facts is not None else 0
        rates = hop.rates
        return UsageRecord(
            id=new_id(of.time),
            time=of.time,
            team=of.team,
            key=of.key,
            user=of.user,
            account=hop.account.name,
            model=of.model,
            served_model=hop.target.model.id,
            kind="attempt",
            currency=rates.currency if rates else "",
            prompt_tokens=prompt,
            cost=expected(rates, prompt, 0) if rates else 0,
            estimated=True,
            started=of.started,
            endpoint=of.endpoint,
            jurisdiction=hop.account.jurisdiction,
            attempts=1,
            price_as_of=rates.as_of if rates else "",
            request_id=of.request_id,
        )

    def _kind(self) -> Kind:
        exchange, trail = self._exchange, self._exchange.trail
        if exchange.left or exchange.status == LEFT:
            return "aborted"
        if exchange.refused:
            return "failed" if trail.attempts else "refused"
        if len(self._parts) > 1:
            return "continued"
        first = exchange.decision.hops[:1] if exchange.decision else ()
        return "ok" if trail.hop is None or first == (trail.hop.name,) else "failed_over"

    def _costs(self) -> tuple[int, str, str]:
        """(nano units, the currency, the day of the prices) of what no grant pays for. What is in other currencies becomes the last's."""
        total, currency, as_of = 0, "", ""
        for part in reversed(self._parts):
            prompt, completion = part.usage.get("prompt_tokens") or 0, part.usage.get("completion_tokens") or 0
            cached = (part.usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
            if part.drawn is not None:
                paid = self._books.grants.paid(part.drawn, prompt=prompt, completion=completion)
                self._paid.append((part.drawn, paid))
                for grant, tokens in paid.granted.items():
                    self._granted[grant] = self._granted.get(grant, 0) + tokens
                prompt, completion = paid.prompt, paid.completion
            rates = part.hop.rates
            if rates is not None:
                nano = cost(rates, prompt, min(cached, prompt), completion)
                if rates.units:
                    nano += cost_of_units(rates, {unit: ceil(part.usage[unit] or 0) for unit in rates.units if unit in part.usage})
                currency, as_of = currency or rates.currency, as_of or rates.as_of
                total += nano if rates.currency == currency else converted(nano, rates.currency, currency, self._snapshot.catalog)
        self._nano, self._currency = total, currency
        return total, currency, as_of

    def _give_free(self) -> None:
        """Once the record is there: what was reserved and not used is free again."""
        if self._held is not None:
            tokens = 0
            for part in self._parts:
                tokens += (part.usage.get("prompt_tokens") or 0) + (part.usage.get("completion_tokens") or 0)
            used = {TOKENS: tokens}
            for currency in self._key.currencies:
                same = currency == self._currency
                used[currency] = self._nano if same else converted(self._nano, self._currency, currency, self._snapshot.catalog)
            self._books.admission.settle(self._held, used)
            self._held = None
        for drawn, paid in self._paid:
            self._books.grants.settle(drawn, paid)
        self._paid.clear()
        if self._drawn is not None:
            self._books.grants.release(self._drawn)
            self._drawn = None


def units_of(endpoint: str, body: Json) -> Mapping[str, int]:
    """What a request asks for of that which is not billed by tokens, as far as it says so itself."""
    if endpoint in ("images", "image_edits"):
        return {"images": body.get("n") or 1}
    if endpoint == "moderations" and isinstance(body["input"], list) and isinstance(body["input"][0], str):
        return {"calls": len(body["input"])}
    return {"characters": len(body["input"])} if endpoint == "speech" else {}


def less(total: Json, earlier: list[Json]) -> Json:
    """What the last part has used: the sum of all less the others."""

    def rest(*path: str) -> int:
        return max(0, _at(total, path) - sum(_at(one, path) for one in earlier))

    return {
        "prompt_tokens": rest("prompt_tokens"),
        "completion_tokens": rest("completion_tokens"),
        "prompt_tokens_details": {"cached_tokens": rest("prompt_tokens_details", "cached_tokens")},
    }


def _at(usage: Json, path: tuple[str, ...]) -> int:
    value: Any = usage
    for name in path:
        value = (value or {}).get(name)
    return value or 0
