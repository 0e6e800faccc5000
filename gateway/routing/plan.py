"""Who may serve a request, in which order. Pure: the same facts, snapshot and draw give the same plan, so any plan can be explained.

Constraints come before preferences and hold for every hop: the place its data would go to, the endpoint, and what the model can take.
"""

from msgspec import Struct

from gateway.settings import When
from gateway.snapshot import ENDPOINT_OF_KIND, Account, Candidate, Hop, Key, Route, Snapshot, serves
from providers.base import Json

MOST_SEEN = 10_000


class Facts(Struct, frozen=True):
    """What routing looks at in a request."""

    endpoint: str
    model: str
    stream: bool = False
    tools: bool = False
    images: bool = False
    audio: bool = False
    dimensions: int = 0


class Rejected(Struct, frozen=True):
    """A hop that may not serve, and why."""

    hop: str
    code: str
    why: str


class Plan(Struct, frozen=True):
    hops: tuple[Hop, ...]
    rejected: tuple[Rejected, ...] = ()
    origin: str = ""
    """Which entry decided."""
    refusal: str = ""
    """The words of an entry that rejects the name."""
    on_refusal: tuple[Hop, ...] = ()
    """Where a request may go whose content a provider has refused."""


class Option(Struct, frozen=True):
    """A candidate that has passed the constraints which no request's facts can change."""

    hop: Hop
    candidate: Candidate
    fallback: bool


class Resolved(Struct, frozen=True):
    route: Route
    options: tuple[Option, ...]
    rejected: tuple[Rejected, ...]
    simple: Plan | None
    """The plan itself, where no fact and no draw can change it."""


def make_plan(facts: Facts, key: Key, snapshot: Snapshot, draw: float) -> Plan | None:
    """The plan for a request; None where nothing is known of the model's name. `draw`: a number in [0, 1) that decides between weights."""
    resolved = resolve(facts.model, facts.endpoint, key, snapshot)
    if resolved is None:
        return None
    if resolved.simple is not None and not facts.images and not facts.audio and not facts.dimensions and not facts.tools:
        return resolved.simple
    fit: list[Option] = []
    rejected = list(resolved.rejected)
    groups: set[str] = set()
    for option in resolved.options:
        if option.candidate.when and not holds(option.candidate.when, facts, key.jurisdiction):
            rejected.append(Rejected(option.hop.name, "when", "its `when` does not hold for this request"))
        elif lack := incapable(option.hop, facts):
            rejected.append(Rejected(option.hop.name, "incapable", lack))
        elif option.candidate.group and option.candidate.group in groups:
            rejected.append(Rejected(option.hop.name, "not_needed", "another model of this account is preferred"))
        else:
            groups.add(option.candidate.group)
            fit.append(option)
    return Plan(tuple(option.hop for option in in_order(fit, resolved.route, draw)), tuple(rejected), resolved.route.origin)


def resolve(model: str, endpoint: str, key: Key, snapshot: Snapshot) -> Resolved | None:
    """What a name stands for, for those who come with this key. Remembered as long as the snapshot lives."""
    seen = (key.team, key.name, endpoint, model)
    if seen in snapshot.routes_seen:
        found: Resolved | None = snapshot.routes_seen[seen]
        return found
    route = next((route for level in key.levels if (route := level.find(model)) is not None), None)
    found = _resolve(route, model, endpoint, key, snapshot) if route else None
    if len(snapshot.routes_seen) >= MOST_SEEN:
        snapshot.routes_seen.clear()
    snapshot.routes_seen[seen] = found
    return found


def _resolve(route: Route, model: str, endpoint: str, key: Key, snapshot: Snapshot) -> Resolved:
    if route.reject:
        refusal = route.reject.replace("{model}", model)
        return Resolved(route, (), (), Plan((), origin=route.origin, refusal=refusal))
    options: list[Option] = []
    rejected: list[Rejected] = []
    for candidates, fallback in ((route.serve, False), (route.fallback, True)):
        for candidate in candidates:
            account = snapshot.accounts[candidate.account]
            served = model if candidate.model == "*" else candidate.model
            if not fallback and not candidate.weight:
                rejected.append(Rejected(f"{account.name}/{served}", "weight", "its weight is 0"))
            elif barred := barrier(account, served, endpoint, key, snapshot):
                rejected.append(Rejected(f"{account.name}/{served}", *barred))
            else:
                options.append(Option(snapshot.hop(account, served, endpoint, route, model), candidate, fallback))
    drawn = route.weighted and sum(not option.fallback for option in options) > 1
    fixed = drawn or any(option.candidate.when or option.candidate.prefer or option.candidate.group for option in options)
    hops = tuple(option.hop for option in in_order(options, route, 0.0))  # without those of no weight
    return Resolved(route, tuple(options), tuple(rejected), None if fixed else Plan(hops, tuple(rejected), route.origin))


def barrier(account: Account, model: str, endpoint: str, key: Key, snapshot: Snapshot) -> tuple[str, str] | None:
    """(code, why) of a constraint that bars an account's model from all who come with this key."""
    if account.jurisdiction not in key.permitted:
        return "jurisdiction", f"data of callers in {key.jurisdiction} may not go to {account.jurisdiction}"
    if account.off:
        return "off", account.off
    if endpoint not in account.adapter.endpoints:
        return "endpoint", f"{account.vendor}'s surface {account.adapter.surface} has no {endpoint}"
    facts = snapshot.catalog.facts(account.vendor, model)
    if not serves(account, facts):
        return "surface", f"the model is served on {', '.join(facts.surfaces)}, not on {account.adapter.surface}"
    if model in snapshot.catalog.models.get(account.vendor, {}) and ENDPOINT_OF_KIND[facts.kind] != endpoint:
        return "endpoint", f"the model is of kind {facts.kind}"
    return None


def holds(when: When, facts: Facts, jurisdiction: str) -> bool:
    if when.jurisdiction is not None:
        places = [when.jurisdiction] if isinstance(when.jurisdiction, str) else when.jurisdiction
        if jurisdiction not in places:
            return False
    return all(
        wanted is None or wanted == given
        for wanted, given in (
            (when.stream, facts.stream),
            (when.tools, facts.tools),
            (when.images, facts.images),
            (when.endpoint, facts.endpoint),
        )
    )


def incapable(hop: Hop, facts: Facts) -> str:
    """What the hop's model cannot take of the request, as far as the catalog knows."""
    model = hop.target.model
    if facts.images and "image" not in model.input and model.context:
        return "the model takes no images"
    if facts.audio and "audio" not in model.input and model.context:
        return "the model takes no audio"
    if facts.tools and model.tools is False:
        return "the model calls no tools"
    if facts.dimensions and model.dimensions and facts.dimensions not in (model.dimensions, *model.allowed_dimensions):
        return f"the model has no vectors of {facts.dimensions} dimensions"
    return ""


def in_order(options: list[Option], route: Route, draw: float) -> list[Option]:
    """Preferred ones first, then one of `serve` by weight and the rest of them, then the fallbacks as they stand."""
    preferred = [option for option in options if option.candidate.prefer]
    serve = [option for option in options if not option.candidate.prefer and not option.fallback]
    fallback = [option for option in options if not option.candidate.prefer and option.fallback]
    if route.weighted and len(serve) > 1:
        mark = draw * sum(option.candidate.weight for option in serve)
        for option in serve:
            mark -= option.candidate.weight
            if mark < 0:
                serve = [option, *(other for other in serve if other is not option)]
                break
    return preferred + serve + fallback


def facts_of(endpoint: str, body: Json) -> Facts:
    """The facts of a request that has been checked."""
    kinds: set[str] = set()
    for message in body.get("messages") or ():
        content = message.get("content")
        if content.__class__ is list:
            kinds |= {part["type"] for part in content}
    stream, tools = bool(body.get("stream")), bool(body.get("tools"))
    return Facts(endpoint, body["model"], stream, tools, "image_url" in kinds, "input_audio" in kinds, body.get("dimensions") or 0)
