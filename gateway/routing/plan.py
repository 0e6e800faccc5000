"""Who may serve a request, in which order. Pure: the same facts, snapshot and moment give the same plan, so any plan can be explained.

Constraints come before preferences and hold for every hop: the place its data would go to, filings, the endpoint, what the model can take.
"""

from collections.abc import Iterable
from functools import cached_property
from math import inf

from msgspec import Struct
from msgspec.structs import replace

from gateway.retirement import Headers
from gateway.routing.constraints import Barrier, barrier, expired, holds, incapable, unfiled
from gateway.routing.facts import Facts
from gateway.routing.preferences import Moment, Option, in_order
from gateway.snapshot import Candidate, Hop, Key, Route, Snapshot, Waiver

MOST_SEEN = 10_000


class Rejected(Struct, frozen=True):
    """A hop that may not serve, and why."""

    hop: str
    code: str
    why: str


class Plan(Struct, frozen=True, dict=True):
    hops: tuple[Hop, ...]
    rejected: tuple[Rejected, ...] = ()
    origin: str = ""
    """Which entry decided."""
    refusal: str = ""
    """The words of an entry that rejects the name."""
    on_refusal: tuple[Hop, ...] = ()
    """Where a request may go whose content a provider has refused."""

    @cached_property
    def names(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Of its hops, and of those for what was refused."""
        return tuple(hop.name for hop in self.hops), tuple(hop.name for hop in self.on_refusal)


class Resolved(Struct, frozen=True):
    """What a model's name stands for, before any request is looked at."""

    route: Route
    options: tuple[Option, ...]
    on_refusal: tuple[Option, ...]
    rejected: tuple[Rejected, ...]
    simple: Plan | None
    """The plan itself, where nothing but a request's facts can change it."""
    reads: float
    """Tokens that each of the models can read."""
    answers: float
    """Tokens that each of the models can answer."""
    notices: Headers = ()
    """What answers say of the name's end at OpenAI."""


def make_plan(facts: Facts, key: Key, snapshot: Snapshot, moment: Moment) -> Plan | None:
    """The plan for a request; None where nothing is known of the model's name."""
    resolved = resolve(facts.model, facts.endpoint, key, snapshot)
    return None if resolved is None else in_one_space(resolved, facts, key, snapshot, moment)[0]


def plan_of(resolved: Resolved, facts: Facts, key: Key, snapshot: Snapshot, moment: Moment) -> Plan:
    if resolved.simple is not None and not facts.tokens and facts.output <= resolved.answers and facts.plain():
        return resolved.simple
    rejected = list(resolved.rejected)
    fit = _fit(resolved.options, facts, key, moment, rejected)
    ordered = in_order(fit, resolved.route, facts, moment, snapshot.catalog)
    on_refusal = _fit(resolved.on_refusal, facts, key, moment, rejected)
    return Plan(_hops(ordered), tuple(rejected), resolved.route.origin, on_refusal=_hops(on_refusal))


def in_one_space(resolved: Resolved, facts: Facts, key: Key, snapshot: Snapshot, moment: Moment, begun: str = "") -> tuple[Plan, Facts]:
    """The plan, where it is for vectors with hops of one space alone: of the one that has `begun`, else of the first hop's."""
    plan = plan_of(resolved, facts, key, snapshot, moment)
    wanted = begun or (plan.hops[0].space if plan.hops else "")
    if not wanted or all(hop.space == wanted for hop in (*plan.hops, *plan.on_refusal)):
        return plan, facts
    facts = replace(facts, space=wanted)
    return plan_of(resolved, facts, key, snapshot, moment), facts


def _fit(options: Iterable[Option], facts: Facts, key: Key, moment: Moment, rejected: list[Rejected]) -> list[Option]:
    """The options that may serve this request; of the others, why not."""
    fit: list[Option] = []
    groups: set[str] = set()
    for option in options:
        hop, candidate = option.hop, option.candidate
        if barred := _barred(option, facts, key, moment):
            rejected.append(Rejected(hop.name, *barred))
        elif candidate.group and candidate.group in groups:
            rejected.append(Rejected(hop.name, "not_needed", "another model of this account is preferred"))
        else:
            groups.add(candidate.group)
            fit.append(option)
    return fit


def _barred(option: Option, facts: Facts, key: Key, moment: Moment) -> Barrier | None:
    if option.candidate.when and not holds(option.candidate.when, facts, key.jurisdiction):
        return "when", "its `when` does not hold for this request"
    return expired(option.waiver, moment.now) or incapable(option.hop, facts)


def _hops(options: Iterable[Option]) -> tuple[Hop, ...]:
    return tuple(option.hop for option in options)


def resolve(model: str, endpoint: str, key: Key, snapshot: Snapshot) -> Resolved | None:
    """What a name stands for, for those who come with this key. Remembered as long as the snapshot lives, by all of a key that it depends
    on; a key's name would not do: keys that are made later may have one that another had, and callers in another place."""
    seen = (key.team, key.jurisdiction, key.levels, endpoint, model)
    if seen in snapshot.routes_seen:
        found: Resolved | None = snapshot.routes_seen[seen]
        return found
    route = next((route for level in key.levels if (route := level.find(model)) is not None), None)
    found = resolve_route(route, model, endpoint, key, snapshot) if route else None
    if found is not None and (end := snapshot.catalog.retirements.get(model)) is not None:
        found = replace(found, notices=end.headers(model))
    if len(snapshot.routes_seen) >= MOST_SEEN:
        snapshot.routes_seen.clear()
    snapshot.routes_seen[seen] = found
    return found


def resolve_route(route: Route, model: str, endpoint: str, key: Key, snapshot: Snapshot) -> Resolved:
    """What a name stands for by this route."""
    if route.reject:
        refusal = route.reject.replace("{model}", model)
        return Resolved(route, (), (), (), Plan((), origin=route.origin, refusal=refusal), inf, inf)
    rejected: list[Rejected] = []

    def permitted(candidates: Iterable[Candidate], *, fallback: bool) -> list[Option]:
        options: list[Option] = []
        for candidate in candidates:
            account = snapshot.accounts[candidate.account]
            served = model if candidate.model == "*" else candidate.model
            waiver: Waiver | None = None
            barred = None if fallback or candidate.weight else ("weight", "its weight is 0")
            barred = barred or barrier(account, served, endpoint, key, snapshot)
            if barred is None:
                filed = unfiled(account, served, key, snapshot)
                barred, waiver = (None, filed) if isinstance(filed, Waiver) else (filed, None)
            if barred is None:
                options.append(Option(snapshot.hop(account, served, endpoint, route, model), candidate, fallback, waiver))
            else:
                rejected.append(Rejected(f"{account.name}/{served}", *barred))
        return options

    options = [*permitted(route.serve, fallback=False), *permitted(route.fallback, fallback=True)]
    on_refusal = permitted(key.on_refusal, fallback=True)
    every = [*options, *on_refusal]
    depends = route.pick != "ordered" and sum(not option.fallback for option in options) > 1
    depends = depends or any(one.candidate.when or one.candidate.prefer or one.candidate.group or one.waiver for one in every)
    plan = None if depends else Plan(_hops(options), tuple(rejected), route.origin, on_refusal=_hops(on_refusal))
    models = [option.hop.target.model for option in every]
    reads = min((one.context for one in models if one.context), default=inf)
    answers = min((one.output for one in models if one.output), default=inf)
    return Resolved(route, tuple(options), tuple(on_refusal), tuple(rejected), plan, reads, answers)
