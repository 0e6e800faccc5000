"""What is declared to become of OpenAI's fields at each vendor, and the check that it does.

A vendor's declaration is `fidelity.yaml` in its folder; that of a preset follows from its words, see preset_fates.py.

    sources: {chat: {what: "a page, an SDK and its version", read: 2026-11-23}}
    surfaces:
      v1:
        like: v0                                # optional: what no row here names is as on that surface
        places: {messages: input.messages, "": parameters}      # optional: where fields stand that do not stand on the top level
        generations: {plain: {model: a-model, what: "those that do not think", texts: string}, eyes: {what: those of images,
            models: {images: another}}}
        chat:
          - {native: [temperature/usual, seed], source: chat}
          - {clamped: [temperature/high], to: 1.0, source: chat}

A row says one fate of some cases of openai_fields.yaml: `field` is every case of it, `field/case` one, and `for` names the generations it
holds for. The most exact row holds: one that names the case before one that names the field, then one for a generation.

    wire      the field's name at the vendor: renamed
    to        the value that is sent: clamped; $output is the most tokens of the model, $model its name at the vendor
    sends     all that the field adds to what is sent or takes away, by path: emulated. "<gone>" is what is taken away, "~a*" a pattern
    but       the same, where only some of it differs from OpenAI's own form
    work      what is left to the gateway: calls, cut, first_call, schema, whole
    kind, param    of the refusal: refused
    silent    why no change is reported, for fates other than native
    reports   the changes that are reported, field → fate, where it is not just this field with this fate
    why       for the reader; source: one of `sources`
"""

import re
from collections.abc import Callable, Iterator, Mapping
from email import message_from_bytes
from email.message import Message
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml
from msgspec import Struct, convert

from gateway.catalog import ModelsFile
from providers.base import (
    JSON_BODY,
    Copies,
    Fault,
    HoldTo,
    Json,
    Model,
    OneCall,
    Outgoing,
    StopAt,
    Target,
    Translator,
    Whole,
    decode,
    encode,
)
from tests.contract.openai_fields import ENDPOINTS, GONE, Case, Leaves, alike, cases, difference, top_of, within

ROOT = Path(__file__).parents[2]
HOST = "https://vendor.test"
FATES = ("native", "renamed", "clamped", "emulated", "dropped", "refused")
WORK: Mapping[type, str] = {Copies: "calls", StopAt: "cut", OneCall: "first_call", HoldTo: "schema", Whole: "whole"}


class Source(Struct, frozen=True, forbid_unknown_fields=True):
    what: str
    read: Any


class Generation(Struct, frozen=True, forbid_unknown_fields=True):
    """Models of which the same is true, by one of them."""

    what: str
    model: str = ""
    embedding: str = ""
    """An embedding model of theirs."""
    width: int = 256
    """Of its vectors, where the catalog does not have it; 0: not known."""
    version: str = ""
    """Of the vendor's API."""
    facts: Mapping[str, Any] = {}
    """Of a model that the catalog does not have."""
    texts: str = ""
    """How words are sent: see TEXTS."""
    models: Mapping[str, str] = {}
    """By endpoint, for those of images and sound."""

    def of(self, endpoint: str) -> str:
        """The model that the endpoint is asked with; "" where these have no such endpoint."""
        return {"chat": self.model, "embeddings": self.embedding}.get(endpoint) or self.models.get(endpoint, "")


class Row(Struct, frozen=True, forbid_unknown_fields=True):
    fate: str
    names: tuple[str, ...]
    source: str
    generations: tuple[str, ...] = ()
    wire: str = ""
    to: Any = None
    sends: Mapping[str, Any] | None = None
    but: Mapping[str, Any] = {}
    work: tuple[str, ...] = ()
    kind: str = ""
    param: str = ""
    silent: str = ""
    reports: Mapping[str, str] | None = None
    why: str = ""


class Surface(Struct, frozen=True):
    vendor: str
    name: str
    generations: Mapping[str, Generation]
    rows: Mapping[str, tuple[tuple[Row, ...], ...]]
    """By endpoint; the rows of the surface itself, then of the one it is like."""
    sources: Mapping[str, Source]
    places: Mapping[str, str] = {}
    what: str = ""

    def row(self, case: Case, generation: str) -> Row | None:
        """The row that holds for a case."""
        for rows in self.rows.get(case.endpoint, ()):
            fitting = [
                ((name == case.id) * 2 + bool(row.generations), row)
                for row in rows
                if not row.generations or generation in row.generations
                for name in row.names
                if name in (case.id, case.field)
            ]
            if fitting:
                best = max(score for score, _ in fitting)
                first, *more = [row for score, row in fitting if score == best]
                if more:
                    raise ValueError(f"{self.vendor} {self.name}: two rows for {case.id} of {generation}")
                return first
        return None


# ---- read ----


@cache
def declared(vendor: str) -> Mapping[str, Surface]:
    """By name, of a vendor with a folder."""
    told = yaml.safe_load((ROOT / "providers" / vendor / "fidelity.yaml").read_text("utf-8"))
    sources = convert(told["sources"], dict[str, Source])
    surfaces: dict[str, Surface] = {}
    for name, surface in told["surfaces"].items():
        below = surfaces.get(surface.get("like", ""))
        rows = {
            endpoint: (tuple(map(_row, surface.get(endpoint, ()))), *(below.rows.get(endpoint, ()) if below else ()))
            for endpoint in ENDPOINTS
            if endpoint in surface
        }
        generations = convert(surface.get("generations") or told.get("generations"), dict[str, Generation])
        surfaces[name] = Surface(vendor, name, generations, rows, sources, surface.get("places", {}), surface.get("what", ""))
    return surfaces


def _row(told: Json) -> Row:
    fate = next(iter(told))
    if fate not in FATES:
        raise ValueError(f"a row begins with its fate, not with {fate!r}")
    rest = {name: value for name, value in told.items() if name not in (fate, "for", "work")}
    work = told.get("work", [])
    return convert(
        {**rest, "fate": fate, "names": told[fate], "generations": told.get("for", ()), "work": [work] if isinstance(work, str) else work},
        Row,
    )


@cache
def catalog(vendor: str) -> Mapping[str, Model]:
    path = ROOT / "config" / "catalog" / "models" / f"{vendor}.yaml"
    if not path.exists():
        return {}
    told = ModelsFile.model_validate(yaml.safe_load(path.read_text("utf-8")))
    return {name: row.facts(name) for name, row in told.models.items()}


def target(surface: Surface, generation: str, endpoint: str) -> Target:
    told = surface.generations[generation]
    if endpoint == "chat":
        known = catalog(surface.vendor).get(told.model) if not told.facts else None
        model = known or convert({"id": told.model, **told.facts}, Model)
    elif endpoint in told.models:
        name = told.models[endpoint]
        model = catalog(surface.vendor).get(name) or Model(name)
    else:
        model = catalog(surface.vendor).get(told.embedding) or Model(told.embedding, kind="embedding", dimensions=told.width)
    return Target(HOST, model, told.version)


def spoken(surface: Surface) -> Iterator[tuple[str, Case]]:
    """(generation, case) for all that a surface has to say something about."""
    for generation, told in surface.generations.items():
        for case in cases():
            if case.same is None and case.endpoint in surface.rows and told.of(case.endpoint):
                yield generation, case


# ---- check ----


def problems(surface: Surface, generation: str, case: Case, translator: Translator) -> list[str]:
    """What is not as it is declared."""
    row = surface.row(case, generation)
    if row is None:
        return ["no row says what becomes of it"]
    wanted = target(surface, generation, case.endpoint)
    before, after = case.served(wanted.model)
    try:
        sent = translator.request(after, wanted)
    except Fault as fault:
        return _unrefused(row, fault)
    if row.fate == "refused":
        return ["it is not refused"]
    base = translator.request(before, wanted) if before else None
    actual = difference(document_of(base) if base else {}, document_of(sent))
    asked = difference(*(in_texts(body, surface.generations[generation].texts) for body in (before, after)))
    told = expected(row, case, asked, surface.places, wanted)
    return [*_differences(told, actual), *_unreported(row, case, base, sent, after)]


def in_texts(body: Json, form: str) -> Json:
    """The request with its words as the vendor takes them."""
    if not form or "messages" not in body:
        return body
    return {**body, "messages": [TEXTS[form]({**message, "content": one_text(message.get("content"))}) for message in body["messages"]]}


def one_text(content: Any) -> Any:
    if isinstance(content, list) and all(part.keys() == {"type", "text"} for part in content):
        return "".join(part["text"] for part in content)
    return content


def parted(message: Json, **part: str) -> Json:
    text = message["content"]
    return {**message, "content": [{**part, "text": text}]} if isinstance(text, str) else message


TEXTS: Mapping[str, Callable[[Json], Json]] = {
    "string": lambda message: message,
    "parts_of_the_user": lambda message: parted(message, type="text") if message["role"] == "user" else message,
    "untyped_parts": parted,
}
"""Words of a message: `string`, as one string, even if they came as parts; `parts_of_the_user`, the user's as one part; `untyped_parts`,
everybody's as one part without a type."""


def document_of(sent: Outgoing) -> Json:
    """The body, and beside it what else of a request a field may change."""
    url = urlsplit(sent.url)
    headers = {f"header {name}": value for name, value in headers_of(sent).items() if name != "content-type"}
    return {
        **(in_form(sent) if "content-type" in headers_of(sent) else decode(sent.body)),
        "url": url.path + (f"?{url.query}" if url.query else ""),
        **headers,
    }


def headers_of(sent: Outgoing) -> Mapping[str, str]:
    """Those that are not every request's."""
    return {name: value for name, value in sent.headers.items() if JSON_BODY.get(name) != value}


def in_form(sent: Outgoing) -> Json:
    """A form as the JSON that it says: numbers and truths as such, `name[]` as lists, `name[key]` as objects."""
    parts = message_from_bytes(f"Content-Type: {sent.headers['content-type']}\r\n\r\n".encode() + sent.body).get_payload()
    told: Json = {}
    for part in parts:
        assert isinstance(part, Message)
        name, file, data = str(part.get_param("name", header="content-disposition")), part.get_filename(), part.get_payload(decode=True)
        assert isinstance(data, bytes)
        value = {"name": file, "type": part.get_content_type(), "data": data} if file else plain(data.decode())
        if name.endswith("[]"):
            told.setdefault(name[:-2], []).append(value)
        elif name.endswith("]"):
            *outer, last = name[:-1].replace("][", "[").split("[")
            place = told
            for one in outer:
                place = place.setdefault(one, {})
            place[last] = data.decode()
        else:
            told[name] = value
    return told


def plain(text: str) -> Any:
    return yaml.safe_load(text) if re.fullmatch(r"true|false|-?[0-9.]+", text) else text


def expected(row: Row, case: Case, asked: Leaves, places: Mapping[str, str], wanted: Target) -> Leaves:
    """What the field is declared to change in what is sent."""
    if row.sends is not None:
        told = dict(row.sends)
    elif row.fate in ("dropped", "emulated") and not row.but:
        told = {}
    else:
        top = case.top
        told = {moved(path, top, row.wire, places): value for path, value in asked.items()}
    if row.to is not None:
        told = dict.fromkeys(told, row.to)
    gone = [path for path, value in row.but.items() if value == GONE]
    told = {at: kept for at, kept in told.items() if not any(within(at, path) for path in gone)}
    told |= {path: value for path, value in row.but.items() if value != GONE}
    if not case.base:
        told["model"] = told.get("model") and "$model"
        told = {path: value for path, value in told.items() if value is not None}
    names = {"$output": wanted.model.output, "$model": wanted.model.id, "$value": next(iter(asked.values()), None)}
    return {path: names.get(value, value) if isinstance(value, str) else value for path, value in told.items()}


def moved(path: str, top: str, wire: str, places: Mapping[str, str]) -> str:
    """The vendor's place for a place of OpenAI's."""
    head = top_of(path)
    place = places.get(head) or (f"{places['']}.{head}" if "" in places else head)
    if head == top and wire:
        place = wire
    return place + path[len(head) :]


def _differences(told: Leaves, actual: Leaves) -> Iterator[str]:
    gone = [path for path, value in told.items() if value == GONE]
    for path, value in actual.items():
        if value == GONE and any(within(path, place) for place in gone):
            continue
        if path not in told:
            yield f"{path}: {value!r} is not declared"
        elif not fits(told[path], value):
            yield f"{path}: {value!r} is sent, {told[path]!r} is declared"
    for path in told.keys() - actual.keys():
        if told[path] != GONE or not any(within(at, path) for at in actual):
            yield f"{path}: {told[path]!r} is declared and not sent"


def fits(told: Any, value: Any) -> bool:
    if isinstance(told, str) and told.startswith("~"):
        return isinstance(value, str) and fnmatchcase(value, told[1:])
    return alike(told, value)


def _unrefused(row: Row, fault: Fault) -> list[str]:
    if row.fate != "refused":
        return [f"it is refused: {fault.message}"]
    found = [] if (fault.kind, fault.param) == (row.kind, row.param or None) else [f"refused as {fault.kind} of {fault.param}"]
    return found if row.kind and row.why else [*found, "a refusal has a kind and says why"]


def _unreported(row: Row, case: Case, base: Outgoing | None, sent: Outgoing, body: Json) -> Iterator[str]:
    known = set(base.changes) if base else set()
    new = [change for change in sent.changes if change not in known]
    wanted = {} if row.fate == "native" or row.silent else {case.field: row.fate}
    if row.reports is not None:
        wanted = dict(row.reports)
    reported = {change.field: change.fate for change in new}
    if reported != wanted:
        yield f"reported {reported}, to be reported {wanted}"
    works = {WORK[type(change.work)]: change.work for change in new if change.work is not None}
    if set(works) != set(row.work):
        yield f"left to the gateway: {sorted(works)}, declared {sorted(row.work)}"
    for name, work in works.items():
        if work != (due := WORK_OF[name](body)):
            yield f"left to the gateway: {work}, due {due}"


def _schema(body: Json) -> HoldTo:
    return HoldTo(encode(body["response_format"].get("json_schema", {}).get("schema", {"type": "object"})))


WORK_OF: Mapping[str, Any] = {
    "calls": lambda body: Copies(body["n"]),
    "cut": lambda body: StopAt((body["stop"],) if isinstance(body["stop"], str) else tuple(body["stop"])),
    "first_call": lambda body: OneCall(),
    "schema": _schema,
    "whole": lambda body: Whole(),
}
"""What each work is about, by the request alone."""
