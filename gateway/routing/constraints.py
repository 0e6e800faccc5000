"""What bars a hop, whatever is preferred. Each constraint gives (code, why); none is asked about the hop's health."""

from datetime import date, datetime, timedelta, timezone

from gateway.globs import matches
from gateway.routing.facts import Facts
from gateway.settings import When
from gateway.snapshot import ENDPOINTS_OF_KIND, Account, Hop, Key, Snapshot, Waiver, serves

CHINA = timezone(timedelta(hours=8))
"""Filings and their exceptions go by the days of the office that keeps the register."""
MARGIN = 1.25
"""How far above a model's context a count may be that was made with another tokenizer than the model's own."""

Barrier = tuple[str, str]


def barrier(account: Account, model: str, endpoint: str, key: Key, snapshot: Snapshot) -> Barrier | None:
    """What bars an account's model from all who come with this key, at any time."""
    if account.jurisdiction not in key.permitted:
        return "jurisdiction", f"data of callers in {key.jurisdiction} may not go to {account.jurisdiction}"
    if account.off:
        return "off", account.off
    if endpoint not in account.adapter.endpoints:
        return "endpoint", f"{account.vendor}'s surface {account.adapter.surface} has no {endpoint}"
    facts = snapshot.catalog.facts(account.vendor, model)
    if not serves(account, facts):
        return "surface", f"the model is served on {', '.join(facts.surfaces)}, not on {account.adapter.surface}"
    if model in snapshot.catalog.models.get(account.vendor, {}) and endpoint not in ENDPOINTS_OF_KIND[facts.kind]:
        return "endpoint", f"the model is of kind {facts.kind}"
    needs = {"images": "text", "image_edits": "image"}.get(endpoint)
    if facts.kind == "image" and needs and needs not in facts.input:
        return "endpoint", f"the model makes its images of {' and '.join(facts.input)} alone"
    return None


def unfiled(account: Account, model: str, key: Key, snapshot: Snapshot) -> Barrier | Waiver | None:
    """What bars an account's model from those who may use filed models only; or the waiver it is used by, for as long as that lasts."""
    if not key.filed_only or snapshot.catalog.filed(account.vendor, model, day_of(snapshot.made)) is not None:
        return None
    name = f"{account.name}/{model}"
    waivers = [waiver for waiver in key.waivers if matches(waiver.model, name)]
    return max(waivers, key=lambda waiver: waiver.until) if waivers else ("not_filed", f"no filing of {account.vendor}'s {model} is known")


def expired(waiver: Waiver | None, now: float) -> Barrier | None:
    if waiver is None or day_of(now) <= waiver.until:
        return None
    return "not_filed", f"it is not filed, and the team's exception for it ended on {waiver.until}"


def day_of(now: float) -> date:
    return datetime.fromtimestamp(now, CHINA).date()


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


def incapable(hop: Hop, facts: Facts) -> Barrier | None:
    """What the hop's model cannot take of the request, as far as the catalog knows."""
    model = hop.target.model
    if facts.space and hop.space != facts.space:
        return "space", f"its vectors are of the space {hop.space}, not of {facts.space}"
    if facts.images and "image" not in model.input and model.context:
        return "incapable", "the model takes no images"
    if facts.audio and "audio" not in model.input and model.context:
        return "incapable", "the model takes no audio"
    if facts.tools and model.tools is False:
        return "incapable", "the model calls no tools"
    if facts.dimensions and model.dimensions and facts.dimensions not in (model.dimensions, *model.allowed_dimensions):
        return "incapable", f"the model has no vectors of {facts.dimensions} dimensions"
    if (length := facts.tokens.get(model.tokenizer, 0)) and model.context and length > longest(hop):
        return "too_long", f"the model reads {model.context} tokens, and the prompt has about {length}"
    return None


def longest(hop: Hop) -> int:
    """The longest prompt that is tried: what is not counted as the model counts it has the benefit of the doubt."""
    model = hop.target.model
    return model.context if model.tokenizer else int(model.context * MARGIN)
