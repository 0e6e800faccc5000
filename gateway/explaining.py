"""What `banjia explain` tells: the plan for a request and the fate of each of its fields at each hop. Sends nothing."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from msgspec import Struct, to_builtins
from msgspec.structs import replace
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from gateway.api import legacy_functions, validate
from gateway.api.serving import tokens_of
from gateway.api.wire import Refusal
from gateway.compiling import build
from gateway.config import Settings
from gateway.routing.facts import Facts, conversation_of, facts_of
from gateway.routing.plan import Plan, Rejected, plan_of, resolve
from gateway.routing.preferences import Moment
from gateway.snapshot import Hop, Key, Snapshot
from providers.base import Change, Copies, Fault, HoldTo, Json, OneCall, Outgoing, StopAt, Whole, decode, encode

WORK: Mapping[type, str] = {
    Copies: "makes as many calls",
    StopAt: "ends the answer there",
    OneCall: "passes on the first call alone",
    HoldTo: "holds the answer to the schema",
    Whole: "streams the answer when it is whole",
}
"""What the gateway does itself, in a few words."""


ELSEWHERE = ("model", "stream")
"""Fields that some providers are told by an address or a header."""


class FieldFate(Struct):
    """What becomes of one field, or of one kind of part of a list."""

    field: str
    fate: str
    """native, renamed, clamped, emulated or dropped."""
    note: str = ""
    why: str = ""
    work: str = ""
    """What the gateway does itself, so that the field keeps its meaning."""


class Fates(Struct):
    hop: str
    place: str
    changes: list[FieldFate]
    refused: str = ""
    """Why the request cannot be said at this hop, if it cannot."""
    fields: list[FieldFate] = []
    """Every field of the request in its order, those that are passed natively too."""


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
    on_refusal: list[Fates] = []
    """Where a request goes whose content a provider has refused."""


def explain(settings: Settings, team: str, model: str, *, jurisdiction: str | None, endpoint: str, request: Path | None) -> Explained:
    """Raises ValueError for a team that does not exist or a request that OpenAI would refuse."""
    snapshot = build(settings)
    key = key_of(snapshot, team, jurisdiction)
    body = request_body(request, model, endpoint)
    resolved = resolve(model, endpoint, key, snapshot)
    if resolved is None:
        return Explained(team, model, key.jurisdiction, "", [], [], f"nothing is known of a model {model!r}")
    facts = Facts(endpoint, model)
    if body is not None:
        facts = facts_of(endpoint, body, len(encode(body)))
        facts = replace(facts, conversation=conversation_of(team, body) if resolved.route.sticky else "")
        if endpoint == "chat" and facts.size > resolved.reads:
            facts = replace(facts, tokens=tokens_of(facts, body, resolved))
    return explained(plan_of(resolved, facts, key, snapshot, Moment(now=snapshot.made)), key, model, body)


def explained(plan: Plan, key: Key, model: str, body: Json | None) -> Explained:
    hops = [fates(hop, body) for hop in plan.hops]
    after = [fates(hop, body) for hop in plan.on_refusal]
    return Explained(key.team, model, key.jurisdiction, plan.origin, hops, list(plan.rejected), plan.refusal, after)


def key_of(snapshot: Snapshot, team: str, jurisdiction: str | None) -> Key:
    """A key of the team, as if its caller were in `jurisdiction`."""
    known = snapshot.teams.get(team)
    if known is None:
        raise ValueError(f"there is no team {team!r}; there are: {', '.join(snapshot.teams)}")
    place = jurisdiction or known.jurisdiction
    return next((key for key in snapshot.keys.values() if key.team == team and key.jurisdiction == place), known.key("", place))


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
        body = {**hop.defaults, **body}
        try:
            sent = hop.translator.request(body, hop.target)
        except Fault as fault:
            told.refused = fault.message
        else:
            told.changes = list(map(changed, sent.changes))
            told.fields = list(every_field(body, sent, told.changes))
    return told


def changed(change: Change) -> FieldFate:
    return FieldFate(change.field, change.fate, change.note, change.why, WORK[type(change.work)] if change.work else "")


def every_field(body: Json, sent: Outgoing, changes: list[FieldFate]) -> Iterator[FieldFate]:
    """Each field of `body` with its change or as native, then the changes that are about several of them."""
    scopes = [told := decode(sent.body), *(value for value in told.values() if isinstance(value, dict))]
    left = dict.fromkeys(range(len(changes)))
    for path in dict.fromkeys(paths(body)):
        known = [number for number in left if changes[number].field == path or changes[number].field.startswith((f"{path}.", f"{path}["))]
        if not any(changes[number].field == path for number in known):
            there = path not in body or path in ELSEWHERE or any(path in scope for scope in scopes)
            yield FieldFate(path, "native", "" if there else "left out: it is what happens anyhow")
        for number in known:
            del left[number]
            yield changes[number]
    yield from (changes[number] for number in left)


def paths(body: Json) -> Iterator[str]:
    """The fields of a request by the names that changes have; of lists, the kinds of parts there are."""
    for name, value in body.items():
        if name == "messages":
            for message in value:
                yield f"messages[].role:{message['role']}"
                yield from (f"messages[].{key}" for key, said in message.items() if key not in ("role", "content") and said)
                if isinstance(message.get("content"), list):
                    yield from (f"messages[].content[].{part['type']}" for part in message["content"])
        elif name == "tools":
            for tool in value:
                yield f"tools[].{tool['type']}"
        elif name == "stream_options":
            yield from (f"{name}.{key}" for key in value)
        else:
            yield name


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
        console.print(_hops(told.hops))
    if told.on_refusal:
        console.print("where a provider refuses the content:")
        console.print(_hops(told.on_refusal))
    for rejected in told.rejected:
        console.print(f"[red]not[/] {escape(rejected.hop)}: {escape(rejected.why)}")
    if not told.hops and not told.refusal:
        console.print("no hop may serve it")


def _hops(hops: list[Fates]) -> Table:
    table = Table("#", "hop", "place", "what becomes of the fields")
    for number, hop in enumerate(hops, 1):
        table.add_row(str(number), escape(hop.hop), hop.place, escape(hop.refused or "\n".join(_lines(hop)) or "-"))
    return table


def _lines(hop: Fates) -> Iterator[str]:
    native = [one.field for one in hop.fields if one.fate == "native"]
    if native:
        yield f"native ({len(native)}): {', '.join(native)}"
    yield from map(_line, hop.changes)


def _line(change: FieldFate) -> str:
    note = f" → {change.note}" if change.note else ""
    why = "; ".join(filter(None, (change.why, change.work and f"the gateway {change.work}")))
    return f"{change.field}: {change.fate}{note}" + (f" ({why})" if why else "")
