"""What `banjia explain` tells: the plan for a request and the fate of each of its fields at each hop. Sends nothing."""

from pathlib import Path

from msgspec import Struct, to_builtins
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from gateway.api import legacy_functions, validate
from gateway.api.wire import Refusal
from gateway.config import Settings, build, permitted
from gateway.routing.plan import Facts, Rejected, facts_of, make_plan
from gateway.snapshot import Hop, Key, Snapshot
from providers.base import Change, Fault, Json, decode, encode


class Fates(Struct):
    hop: str
    place: str
    changes: list[Change]
    refused: str = ""
    """Why the request cannot be said at this hop, if it cannot."""


class Explained(Struct):
    team: str
    model: str
    jurisdiction: str
    origin: str
    """Which entry of which file decided."""
    hops: list[Fates]
    """In the order they would be tried, by an even draw between weights."""
    rejected: list[Rejected]
    refusal: str = ""


def explain(settings: Settings, *, team: str, model: str, jurisdiction: str | None, endpoint: str, request: Path | None) -> Explained:
    """Raises ValueError for a team that does not exist or a request that OpenAI would refuse."""
    snapshot = build(settings)
    key = key_of(settings, snapshot, team, jurisdiction)
    body = request_body(request, model, endpoint)
    facts = facts_of(endpoint, body) if body else Facts(endpoint, model)
    plan = make_plan(facts, key, snapshot, 0.0)
    if plan is None:
        return Explained(team, model, key.jurisdiction, "", [], [], f"nothing is known of a model {model!r}")
    hops = [fates(hop, body) for hop in plan.hops]
    return Explained(team, model, key.jurisdiction, plan.origin, hops, list(plan.rejected), plan.refusal)


def key_of(settings: Settings, snapshot: Snapshot, team: str, jurisdiction: str | None) -> Key:
    """A key of the team, as if its caller were in `jurisdiction`."""
    known = next((t for t in settings.teams if t.team == team), None)
    if known is None:
        raise ValueError(f"there is no team {team!r}; there are: {', '.join(t.team for t in settings.teams)}")
    place = jurisdiction or known.jurisdiction
    keys = [key for key in snapshot.keys.values() if key.team == team]
    if not keys:
        raise ValueError(f"team {team!r} has no key: nobody can ask in its name")
    key = next((key for key in keys if key.jurisdiction == place), keys[0])
    return Key(key.team, key.name, place, permitted(known, place), key.strict, key.levels)


def request_body(path: Path | None, model: str, endpoint: str) -> Json | None:
    if path is None:
        return None
    try:
        body = {**decode(path.read_bytes()), "model": model}
        if endpoint == "embeddings":
            body = validate.embeddings(body)
            return {**body, "input": body["input"] if isinstance(body["input"], list) else [body["input"]]}
        body = validate.chat(body)
        return legacy_functions.as_tools(body) if legacy_functions.used(body) else body
    except Refusal as refusal:
        raise ValueError(f"{path}: {refusal}") from refusal
    except (OSError, ValueError) as exc:
        raise ValueError(f"{path}: is not a JSON object that can be read: {exc}") from exc


def fates(hop: Hop, body: Json | None) -> Fates:
    told = Fates(hop.name, hop.account.jurisdiction, [])
    if body is not None:
        try:
            told.changes = list(hop.translator.request({**hop.defaults, **body}, hop.target).changes)
        except Fault as fault:
            told.refused = fault.message
    return told


def show(told: Explained, *, as_json: bool) -> None:
    console = Console(soft_wrap=True, highlight=False)
    if as_json:
        console.out(encode(to_builtins(told)).decode())
        return
    console.print(f"model [bold]{escape(told.model)}[/], team [bold]{told.team}[/], caller in [bold]{escape(told.jurisdiction)}[/]")
    if told.origin:
        console.print(f"decided by {escape(told.origin)}")
    if told.refusal:
        console.print(f"refused: {escape(told.refusal)}")
    if told.hops:
        console.print(_hops(told))
    for rejected in told.rejected:
        console.print(f"[red]not[/] {escape(rejected.hop)}: {escape(rejected.why)}")
    if not told.hops and not told.refusal:
        console.print("no hop may serve it")


def _hops(told: Explained) -> Table:
    table = Table("#", "hop", "place", "fields that are not passed natively")
    for number, hop in enumerate(told.hops, 1):
        table.add_row(str(number), escape(hop.hop), hop.place, escape(hop.refused or "\n".join(map(_line, hop.changes)) or "-"))
    return table


def _line(change: Change) -> str:
    note = f" → {change.note}" if change.note else ""
    return f"{change.field}: {change.fate}{note}" + (f" ({change.why})" if change.why else "")
