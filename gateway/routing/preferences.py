"""In which order the hops that may serve a request are tried."""

from collections.abc import Callable, Mapping
from hashlib import sha256
from math import inf, log

from msgspec import Struct

from gateway.accounting.prices import expected
from gateway.catalog import Catalog
from gateway.routing.facts import Facts
from gateway.snapshot import Candidate, Hop, Route, Waiver

USUAL_ANSWER = 500
"""Tokens, where the request sets no limit."""
BYTES_OF_A_TOKEN = 4


class Option(Struct, frozen=True):
    """A candidate that has passed the constraints which no request's facts can change."""

    hop: Hop
    candidate: Candidate
    fallback: bool
    waiver: Waiver | None = None
    """What lets it serve though its model is not filed."""


class Moment(Struct, frozen=True, omit_defaults=True):
    """What a plan depends on beside the request and the config: with it, any plan can be made again."""

    draw: float = 0.0
    """In [0, 1)."""
    now: float = 0.0
    """By the wall clock: exceptions and grants expire."""
    pace: Mapping[str, float] = {}
    """Seconds that a first token is awaited, by hop, as far as it is known."""
    grants: Mapping[str, float] = {}
    """When the first grant expires that a hop can be paid with, by hop."""


def in_order(options: list[Option], route: Route, facts: Facts, moment: Moment, catalog: Catalog) -> list[Option]:
    """Preferred ones first, then those of `serve` as the route picks them, then the fallbacks as they stand. Of all these, those whose
    model's answers are too short for what is asked come last."""
    preferred = [option for option in options if option.candidate.prefer]
    serve = [option for option in options if not option.candidate.prefer and not option.fallback]
    fallback = [option for option in options if not option.candidate.prefer and option.fallback]
    if len(serve) > 1:
        serve = PICKS[route.pick](serve, route, facts, moment, catalog)
    ordered = preferred + serve + fallback
    if facts.output and any(short(option.hop, facts) for option in ordered):
        ordered.sort(key=lambda option: short(option.hop, facts))
    return ordered


def short(hop: Hop, facts: Facts) -> bool:
    """Whether the hop's model cannot answer at the length that is asked for."""
    return 0 < hop.target.model.output < facts.output


def _ordered(serve: list[Option], route: Route, facts: Facts, moment: Moment, catalog: Catalog) -> list[Option]:
    return serve


def _weighted(serve: list[Option], route: Route, facts: Facts, moment: Moment, catalog: Catalog) -> list[Option]:
    """One by weight, then the others as they stand. A conversation keeps its hop for as long as it may serve, whatever else comes and goes:
    the hop with the best lot of the conversation's own."""
    if route.sticky and facts.conversation:
        return sorted(serve, key=lambda option: log(lot(facts.conversation, option.hop.name)) / option.candidate.weight, reverse=True)
    mark = moment.draw * sum(option.candidate.weight for option in serve)
    for option in serve:
        mark -= option.candidate.weight
        if mark < 0:
            return [option, *(other for other in serve if other is not option)]
    return serve


def lot(conversation: str, hop: str) -> float:
    """A number in (0, 1) that is always the same for the two."""
    return (int.from_bytes(sha256(f"{conversation}\0{hop}".encode()).digest()[:6]) + 0.5) / (1 << 48)


def _cheapest(serve: list[Option], route: Route, facts: Facts, moment: Moment, catalog: Catalog) -> list[Option]:
    """By what the request is likely to cost; what has no known price comes last."""
    return sorted(serve, key=lambda option: likely_cost(option.hop, facts, catalog))


def likely_cost(hop: Hop, facts: Facts, catalog: Catalog) -> float:
    """In nano units of the common currency; infinite where nobody knows."""
    account, model = hop.account, hop.target.model
    rates = catalog.rates(account.vendor, model.id)
    if rates is None:
        return inf
    answer = min(facts.output or USUAL_ANSWER, model.output or inf) if facts.endpoint == "chat" else 0
    prompt = facts.tokens.get(model.tokenizer) or facts.size // BYTES_OF_A_TOKEN
    common = catalog.in_common(expected(rates, prompt, int(answer)), rates.currency)
    return inf if common is None else common


def _fastest(serve: list[Option], route: Route, facts: Facts, moment: Moment, catalog: Catalog) -> list[Option]:
    """Of two that are drawn, the faster; then the others by their pace. All going to the fastest of all would make it the slowest."""
    first = int(moment.draw * len(serve) * (len(serve) - 1))
    one, other = divmod(first, len(serve) - 1)
    other += other >= one
    paces = {option.hop.name: moment.pace.get(option.hop.name, 0.0) for option in serve}
    chosen = min((serve[one], serve[other]), key=lambda option: paces[option.hop.name])
    return [chosen, *sorted((option for option in serve if option is not chosen), key=lambda option: paces[option.hop.name])]


def _grants_first(serve: list[Option], route: Route, facts: Facts, moment: Moment, catalog: Catalog) -> list[Option]:
    """Those first that a grant pays for, the soonest to expire before the others."""
    return sorted(serve, key=lambda option: moment.grants.get(option.hop.name, inf))


DRAWN = frozenset({"weighted", "fastest"})
"""Ways of picking that a draw decides."""
PICKS: Mapping[str, Callable[[list[Option], Route, Facts, Moment, Catalog], list[Option]]] = {
    "weighted": _weighted,
    "ordered": _ordered,
    "cheapest": _cheapest,
    "fastest": _fastest,
    "grants_first": _grants_first,
}
