"""Tokens that vendors have given: used up soonest-to-expire first, and never one over. What a request may use at most is held before it is
sent; what it has used is settled after. What a process held that died counts as used until the vendor's bill says otherwise."""

import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from math import ceil
from typing import Literal

from msgspec import Struct

from gateway.accounting.budgets import Seeding
from gateway.accounting.forecast import Forecast, Track
from gateway.accounting.limits import TOKENS
from gateway.globs import matches
from gateway.state.base import CLOSED, SHORTLY, Bucket, Held, Refused, State, Unseeded

Kinds = Literal["all", "prompt", "completion"]


class Grant(Struct, frozen=True):
    """A gift. `reserve`: the share of it that is never spent, for what the vendor may count more."""

    name: str
    account: str
    tokens: int
    expires: float
    """Unix seconds."""
    models: tuple[str, ...] = ("*",)
    kinds: Kinds = "all"
    reserve: float = 0.0

    @property
    def cap(self) -> int:
        return self.tokens - ceil(self.tokens * self.reserve)

    def pays_for(self, account: str, model: str) -> bool:
        return self.account == account and any(matches(pattern, model) for pattern in self.models)


class Drawn(Struct):
    """What is held for one attempt."""

    held: Held
    parts: tuple[Kinds, ...]
    """By bucket: which of the attempt's tokens it pays for."""
    grants: tuple[Grant, ...]
    """By bucket."""
    covered: bool
    """All that the attempt may use is held: it costs nothing."""


class Paid(Struct, frozen=True):
    """Who has paid for what an attempt used."""

    granted: dict[str, int]
    """Tokens, by grant: to be kept with the request's record, for it is what a grant is seeded from."""
    prompt: int
    completion: int
    """Tokens that no grant has paid for."""
    actual: tuple[int, ...]
    """The same as `granted`, by bucket."""


class Standing(Struct, frozen=True):
    """A grant as it stands."""

    grant: Grant
    used: int
    held: int
    doubt: int
    left: int
    """Of what may be spent, without the reserve."""
    known: bool
    forecast: Forecast


class Drift(Struct, frozen=True):
    """What the vendor has counted, and what we have."""

    grant: str
    billed: int
    used: int
    doubt: int

    @property
    def tokens(self) -> int:
        """Above 0: the vendor has counted more."""
        return self.billed - self.used


class Grants:
    """`read`: tokens that the records say a grant, by its name, has paid for."""

    def __init__(self, state: State, read: Callable[[str], Awaitable[int]], *, now: Callable[[], float] = time.time) -> None:
        self._state = state
        self._read = read
        self._now = now
        self._seeding = Seeding(state, now=now)
        self._grants: tuple[Grant, ...] = ()
        self._buckets: dict[str, Bucket] = {}
        self._of: dict[tuple[str, str], tuple[Grant, ...]] = {}
        self._left: dict[str, int] = {}
        """As far as is known here: only for the order in which hops are tried."""
        self._tracks: dict[str, Track] = {}

    def configure(self, grants: Iterable[Grant]) -> None:
        """The grants there are. What has been used of them stays with their names."""
        self._grants = tuple(sorted(grants, key=lambda grant: (grant.expires, grant.name)))
        self._buckets = {
            grant.name: Bucket(f"grant {grant.name}", grant.cap, TOKENS, f"grant {grant.name}", seeded=True, keep=True)
            for grant in self._grants
        }
        self._of.clear()
        self._left = {grant.name: self._left.get(grant.name, grant.cap) for grant in self._grants}
        self._tracks = {grant.name: self._tracks.get(grant.name) or Track() for grant in self._grants}

    def soonest(self, account: str, model: str) -> float | None:
        """When the first grant expires that has something left for this; None: there is none."""
        now = self._now()
        return next((grant.expires for grant in self._for(account, model) if grant.expires > now and self._left[grant.name] > 0), None)

    async def draw(self, account: str, model: str, *, prompt: int, completion: int, until: float) -> Drawn | Refused | None:
        """Holds what an attempt may use at most, as far as the grants reach. It has to be settled or released. None: no grant pays for
        any of it; refused: what they have left cannot be known now. `until`: unix seconds by which the attempt has ended; a grant that
        expires before is left alone."""
        grants = tuple(grant for grant in self._for(account, model) if grant.expires > until)
        if not grants:
            return None
        parts: list[tuple[tuple[Grant, ...], int, Kinds]]
        if all(grant.kinds == "all" for grant in grants):
            parts = [(grants, prompt + completion, "all")]
        else:
            parts = [
                (tuple(grant for grant in grants if grant.kinds != "completion"), prompt, "prompt"),
                (tuple(grant for grant in grants if grant.kinds != "prompt"), completion, "completion"),
            ]
        held = await self._draw([([self._buckets[grant.name] for grant in some], need) for some, need, _ in parts], len(grants))
        if not isinstance(held, Held):
            return held
        payers = tuple(grant for some, _, _ in parts for grant in some)
        for grant, used, amount in zip(payers, held.used, held.amounts, strict=True):
            self._left[grant.name] = grant.cap - used - amount
        covered = sum(held.amounts) == prompt + completion
        return Drawn(held, tuple(kind for some, _, kind in parts for _ in some), payers, covered)

    async def _draw(self, chains: Sequence[tuple[list[Bucket], int]], most: int) -> Held | Refused | None:
        got = await self._state.draw(chains)
        while isinstance(got, Unseeded):
            if most < 0 or not await self._seed(got.bucket):
                return Refused(got.bucket, SHORTLY, unreachable=True)
            most -= 1
            got = await self._state.draw(chains)
        if isinstance(got, Refused) or any(got.amounts):
            return got
        self._state.release(got)
        return None

    def paid(self, drawn: Drawn, *, prompt: int, completion: int) -> Paid:
        """Who pays for what was used: for the record, before it is settled. A grant that has expired meanwhile pays for nothing, and none
        for more than was held of it."""
        now = self._now()
        granted: dict[str, int] = {}
        actual: list[int] = []
        for grant, amount, kind in zip(drawn.grants, drawn.held.amounts, drawn.parts, strict=True):
            most = amount if grant.expires > now else 0
            of_prompt = min(most, prompt) if kind != "completion" else 0
            of_completion = min(most - of_prompt, completion) if kind != "prompt" else 0
            prompt -= of_prompt
            completion -= of_completion
            actual.append(of_prompt + of_completion)
            if actual[-1]:
                granted[grant.name] = granted.get(grant.name, 0) + actual[-1]
        return Paid(granted, prompt, completion, tuple(actual))

    def settle(self, drawn: Drawn, paid: Paid) -> None:
        """Once the record is durable."""
        if drawn.held.stage == CLOSED:
            return
        self._state.settle(drawn.held, paid.actual)
        for grant, amount, tokens in zip(drawn.grants, drawn.held.amounts, paid.actual, strict=True):
            if grant.name in self._left:
                self._left[grant.name] += amount - tokens

    def release(self, drawn: Drawn) -> None:
        """Nothing has been sent."""
        self.settle(drawn, self.paid(drawn, prompt=0, completion=0))

    async def standings(self) -> list[Standing]:
        """How each grant stands, and for how long it will last. To be called every few minutes: forecasts are made of what it has seen.
        Raises ConnectionError where the state cannot be reached."""
        now = self._now()
        buckets = [self._buckets[grant.name] for grant in self._grants]
        levels = await self._state.peek(buckets)
        for bucket, level in zip(buckets, levels, strict=True):
            if not level.known:
                await self._seed(bucket)
        if not all(level.known for level in levels):
            levels = await self._state.peek(buckets)
        found = []
        for grant, level in zip(self._grants, levels, strict=True):
            left = max(0, grant.cap - level.used - level.held - level.doubt)
            self._left[grant.name] = left
            track = self._tracks[grant.name]
            if level.known:
                track.saw(now, level.used)
            forecast = track.forecast(max(0, grant.cap - level.used - level.doubt), grant.expires, now)
            found.append(Standing(grant, level.used, level.held, level.doubt, left, level.known, forecast))
        return found

    async def reconcile(self, billed: Mapping[str, int], *, adopt: bool = False) -> list[Drift]:
        """Our counts beside the vendor's: tokens by grant, since it was given. `adopt`: the vendor's hold from now on, and nothing is in
        doubt any more. Raises ConnectionError where the state cannot be reached."""
        found = []
        for standing in await self.standings():
            name = standing.grant.name
            if name in billed:
                found.append(Drift(name, billed[name], standing.used, standing.doubt))
                if adopt:
                    await self._state.seed(self._buckets[name], billed[name], int(self._now() * 1000), force=True)
        return found

    async def close(self) -> None:
        await self._seeding.close()

    def _for(self, account: str, model: str) -> tuple[Grant, ...]:
        known = self._of.get((account, model))
        if known is None:
            known = tuple(grant for grant in self._grants if grant.pays_for(account, model))
            if len(self._of) >= 10_000:
                self._of.clear()
            self._of[account, model] = known
        return known

    async def _seed(self, bucket: Bucket) -> bool:
        return await self._seeding.seed(bucket, partial(self._read, bucket.key.removeprefix("grant ")))


class Billed(Struct, frozen=True):
    """A line of a vendor's bill: tokens, since the grants were given."""

    account: str
    model: str
    prompt: int
    completion: int


def by_grant(grants: Iterable[Grant], bill: Iterable[Billed]) -> tuple[dict[str, int], int]:
    """The bill of a vendor that does not tell which gift has paid: each line to the soonest-to-expire that may pay for it and has anything
    left → tokens by grant, and those that no gift has paid for."""
    ordered = sorted(grants, key=lambda grant: (grant.expires, grant.name))
    paid = {grant.name: 0 for grant in ordered}
    beyond = 0
    for line in bill:
        for kind, tokens in (("prompt", line.prompt), ("completion", line.completion)):
            for grant in ordered:
                if grant.kinds in ("all", kind) and grant.pays_for(line.account, line.model):
                    share = min(tokens, grant.tokens - paid[grant.name])
                    paid[grant.name] += share
                    tokens -= share
            beyond += tokens
    return paid, beyond
