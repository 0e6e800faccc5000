"""openai_fields.yaml read: every field of OpenAI's requests, with pairs of requests that differ in that field alone."""

import asyncio
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from msgspec import Struct

from gateway.api import audio, images, legacy_functions, validate
from gateway.api.embeddings import texts_of
from providers.base import Json, Model

LIST = Path(__file__).with_name("openai_fields.yaml")
GONE = "<gone>"
"""In a difference: what has been there is not there any more."""

ENDPOINTS = ("chat", "embeddings", "images", "image_edits", "speech", "transcriptions")
"""Of OpenAI's, those whose fields are listed."""
TABLES: Mapping[str, tuple[Mapping[str, validate.Check], tuple[str, ...]]] = {
    "images": (images.GENERATIONS, ("model", "prompt")),
    "image_edits": (images.EDITS, ("model", "prompt", "image")),
    "speech": (audio.SPEECH, ("model", "input", "voice")),
    "transcriptions": (audio.TRANSCRIPTIONS, ("model", "file")),
}
"""What is checked of a request, and what has to be there."""

Leaves = dict[str, Any]
"""Path → value, of all values of a document that are no containers, or empty ones."""


class Case(Struct, frozen=True):
    """One way of using a field."""

    endpoint: str
    field: str
    name: str
    base: Json
    """The request without it; {}: there is none."""
    body: Json
    """The same with it."""
    same: Json | None = None
    """For fields that the gateway says in another way before any provider is asked: the request that says it so."""

    @property
    def id(self) -> str:
        return f"{self.field}/{self.name}"

    @property
    def top(self) -> str:
        return top_of(self.field)

    def served(self, model: Model) -> tuple[Json, Json]:
        """(base, body) as translators see them."""
        return as_served(self.endpoint, self.base, model), as_served(self.endpoint, self.body, model)


class Field(Struct, frozen=True):
    endpoint: str
    name: str
    cases: tuple[Case, ...]
    beyond: str = ""
    """Why it is here although OpenAI's own clients do not know it."""

    @property
    def top(self) -> str:
        return top_of(self.name)

    @property
    def newer(self) -> bool:
        """It has a newer name, by which providers are asked."""
        return all(case.same for case in self.cases)


def top_of(path: str) -> str:
    """The field on the top level that a path begins with."""
    return path.partition(".")[0].partition("[")[0]


@cache
def document() -> Json:
    told: Json = yaml.safe_load(LIST.read_text("utf-8"))
    return told


@cache
def fields() -> tuple[Field, ...]:
    return tuple(
        Field(endpoint, name, tuple(_cases(endpoint, name, row)), row.get("beyond", ""))
        for endpoint in ENDPOINTS
        for name, row in document()[endpoint].items()
    )


@cache
def cases() -> tuple[Case, ...]:
    return tuple(case for field in fields() for case in field.cases)


def _cases(endpoint: str, field: str, row: Json) -> Iterator[Case]:
    beside = document()["beside"]
    known = {} if row.get("beside") == "nothing" else {**beside[endpoint], **beside[row.get("beside", endpoint)]}
    asked = {name: {field: value} for name, value in row.get("values", {}).items()} | row.get("requests", {})
    for name, patch in asked.items():
        same = row.get("same", {}).get(name)
        yield Case(endpoint, field, name, known, {**known, **patch}, {**beside[endpoint], **same} if same else None)


# ---- as the gateway hands it on ----


def as_served(endpoint: str, body: Json, model: Model) -> Json:
    """The request as the gateway hands it to a translator: checked, without nulls, in today's words. Raises Refusal."""
    if not body:
        return {}
    body = {name: _width(value, model) if name == "dimensions" else value for name, value in body.items()}
    if endpoint in TABLES:
        table, required = TABLES[endpoint]
        return validate.known(body, table, required=required)
    if endpoint == "embeddings":
        body = validate.embeddings(body)
        return {**body, "input": asyncio.run(texts_of(body["input"]))}
    body = validate.chat(body)
    return legacy_functions.as_tools(body) if legacy_functions.used(body) else body


def _width(value: Any, model: Model) -> Any:
    """$own is the model's width, $other another that it has, if it has one."""
    if value == "$other":
        return next((width for width in model.allowed_dimensions if width != model.dimensions), 7)
    return (model.dimensions or 7) if value == "$own" else value


# ---- documents as leaves ----


def leaves(told: Any, path: str = "") -> Leaves:
    if isinstance(told, Mapping) and told:
        return {at: leaf for key, value in told.items() for at, leaf in leaves(value, f"{path}.{key}" if path else key).items()}
    if isinstance(told, list) and told:
        return {at: leaf for index, value in enumerate(told) for at, leaf in leaves(value, f"{path}[{index}]").items()}
    return {path: told} if path else {}


def difference(before: Json, after: Json) -> Leaves:
    """What `after` says that `before` does not, and what it no longer says."""
    old, new = leaves(before), leaves(after)
    changed = {path: value for path, value in new.items() if path not in old or not alike(old[path], value)}
    return changed | {path: GONE for path in old if path not in new and not any(within(at, path) or within(path, at) for at in changed)}


def within(path: str, place: str) -> bool:
    return path == place or path.startswith((f"{place}.", f"{place}["))


def alike(one: Any, other: Any) -> bool:
    """Equal, and of the same type: true is not 1."""
    return type(one) is type(other) and bool(one == other)
