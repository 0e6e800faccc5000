"""The catalog: what is known of models, what they cost, how they are filed, and which stand in for OpenAI's names. It is shipped; a
deployer's rows come on top."""

from collections.abc import Iterable, Mapping
from datetime import date
from fnmatch import fnmatchcase
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from msgspec import Struct
from pydantic import AfterValidator, Field, model_validator

from gateway.accounting.prices import NANO, Rate, Rates, nano
from gateway.globs import Globs, matches, specificity
from gateway.retirement import Retirement
from gateway.settings import Block
from gateway.space import OWN, same
from providers.base import Model


def _amount(value: str) -> str:
    nano(value)
    return value


Amount = Annotated[str, AfterValidator(_amount)]
"""Of money: quoted text, so that nothing rounds it."""
Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
UNIT = 10**NANO
Day = date
"""For what has a field called date."""


class Source(Block):
    what: str
    read: date


class Tier(Block):
    up_to: Annotated[int, Field(gt=0)] | None = None
    """Most tokens of prompt that this tier is for."""
    input: Amount
    """Per million tokens, as are the others."""
    output: Amount | None = None
    """Left out where there is none: of embeddings."""
    cached: Amount | None = None
    """Left out where it costs as much as any other input, or where that is not known."""


class Price(Block):
    """What a model costs: by tokens, by units, or by both."""

    currency: Currency
    tiers: list[Tier] = []
    units: dict[Literal["images", "seconds", "characters", "calls"], Amount] = {}
    """For one of them. `calls`: of the provider, of which a long text to moderate takes several."""
    source: str
    as_of: date
    note: str | None = None

    @model_validator(mode="after")
    def _rising(self) -> "Price":
        if not self.tiers and not self.units:
            raise ValueError("a price has tiers, for tokens, or units")
        bounds = [tier.up_to for tier in self.tiers]
        if bounds and bounds[-1] is not None:
            raise ValueError("the last tier prices whatever is longer: leave out its up_to")
        if any(one is None or (other is not None and one >= other) for one, other in pairwise(bounds)):
            raise ValueError("each tier needs a larger up_to than the one before it")
        return self

    def rates(self) -> Rates:
        """What is computed with."""
        tiers = (Rate(one.up_to or 0, nano(one.input), nano(one.output or "0"), nano(one.cached or one.input)) for one in self.tiers)
        units: dict[str, int] = {name: nano(amount) for name, amount in self.units.items()}
        return Rates(self.currency, tuple(tiers), self.as_of.isoformat(), units)


class Dimensions(Block):
    default: int
    allowed: list[int] = []
    any: bool = False
    """Any width up to the default."""

    def all(self) -> tuple[int, ...]:
        return tuple(range(1, self.default + 1)) if self.any else tuple(self.allowed)


class ModelRow(Block):
    kind: Literal["chat", "embedding", "image", "speech", "transcription", "moderation", "rerank"]
    surfaces: list[str] = []
    context: int = 0
    output: int = 0
    input: list[str] = ["text"]
    tools: bool | None = None
    json_: Literal["none", "object", "schema"] | None = Field(None, alias="json")
    thinking: Literal["none", "switch", "effort", "always"] | None = None
    dimensions: Dimensions | None = None
    batch: int = 0
    endpoint: str = ""
    native_path: str = ""
    retired: date | None = None
    unconfirmed: list[str] = []
    price: Price | None = None
    source: str | None = None
    as_of: date | None = None
    note: str | None = None

    @model_validator(mode="after")
    def _priced(self) -> "ModelRow":
        if self.kind == "chat" and self.price and not self.price.tiers:
            raise ValueError("the price of a chat model is of tokens")
        if self.kind == "chat" and self.price and any(tier.output is None for tier in self.price.tiers):
            raise ValueError("the price of a chat model says what its output costs")
        return self

    def live(self, today: date) -> bool:
        return self.retired is None or self.retired > today

    def facts(self, model_id: str, tokenizer: str = "") -> Model:
        """What translators and simulators are told of it."""
        return Model(
            model_id,
            kind=self.kind,
            context=self.context,
            output=self.output,
            input=tuple(self.input),
            tools=self.tools,
            json=self.json_ or "",
            thinking=self.thinking or "",
            dimensions=self.dimensions.default if self.dimensions else 0,
            allowed_dimensions=self.dimensions.all() if self.dimensions else (),
            batch=self.batch,
            endpoint=self.endpoint or self.native_path,
            surfaces=tuple(self.surfaces),
            tokenizer=tokenizer,
        )


class ModelsFile(Block):
    """catalog/models/*.yaml"""

    schema_: Literal["banjia/models.v1"] = Field(alias="schema")
    vendor: str
    sources: dict[str, Source] = {}
    tokenizers: dict[str, Literal["cl100k", "o200k", "qwen", "qwen3.5"]] = {}
    """By glob of the model's id, the first that fits: what counts its tokens, where that is known."""
    models: dict[str, ModelRow]

    def tokenizer(self, model_id: str) -> str:
        return next((name for glob, name in self.tokenizers.items() if fnmatchcase(model_id, glob)), "")


KINDS = get_args(ModelRow.model_fields["kind"].annotation)


def _entry(value: dict[str, Any]) -> dict[str, Any]:
    for name, said in value.items():
        if name == "defaults":
            right, wanted = isinstance(said, dict), "fields and their values"
        elif name == "kind":
            right, wanted = said in KINDS, " or ".join(KINDS)
        elif name == "space":
            right, wanted = isinstance(said, str) and bool(said), "a name, or own"
        else:
            right, wanted = isinstance(said, list) and all(isinstance(one, str) for one in said), "a list of models"
        if not right:
            raise ValueError(f"{name}: expected {wanted}")
    space = value.get("space")
    if (value.get("kind") == "embedding") != (space is not None):
        raise ValueError("space: an embedding's row says which space its vectors are in, and no other does: `own`, or a name")
    models = sorted({same(model) for said in value.values() if isinstance(said, list) for model in said})
    if space not in (None, OWN) and len(models) > 1:
        raise ValueError(f"space: vectors of different models are not of one space: {', '.join(models)}")
    return value


class EquivalentsFile(Block):
    """catalog/equivalents.yaml: OpenAI's name → kind, defaults, space, and for each vendor the models that stand in for it, the best
    first."""

    schema_: Literal["banjia/equivalents.v1"] = Field(alias="schema")
    models: dict[str, Annotated[dict[str, Any], AfterValidator(_entry)]]


def _known(used: set[str], sources: Mapping[str, Source]) -> None:
    if unknown := sorted(used - set(sources)):
        raise ValueError(f"a row's source is not under sources: {', '.join(unknown)}")


class ExchangeRate(Block):
    rate: Amount
    """Of the common currency, for one unit of this one."""
    source: str
    as_of: date
    unconfirmed: list[str] = []

    @model_validator(mode="after")
    def _positive(self) -> "ExchangeRate":
        if not nano(self.rate):
            raise ValueError("a rate of 0 compares nothing")
        return self


class ExchangeFile(Block):
    """catalog/exchange.yaml: what prices in different currencies are compared by. Nobody is charged by it."""

    schema_: Literal["banjia/exchange.v1"] = Field(alias="schema")
    common: Currency
    sources: dict[str, Source] = {}
    rates: dict[Currency, ExchangeRate] = {}

    @model_validator(mode="after")
    def _sourced(self) -> "ExchangeFile":
        _known({row.source for row in self.rates.values()}, self.sources)
        return self

    def in_nano(self) -> dict[str, int]:
        """What a unit of each currency is worth, in nano units of the common one."""
        return {currency: nano(one.rate) for currency, one in self.rates.items()} | {self.common: nano("1")}


class FilingRow(Block):
    """A service that is in a register of generative AI services of mainland China, and the models that we take it to cover."""

    number: str = ""
    """As the register gives it; empty where it is not known."""
    name: str
    """Of the model or service, as in the register."""
    office: str
    """The place whose office of cyberspace affairs keeps it: a province, or a city of that rank."""
    date: Day
    until: Day | None = None
    """The last day, of a filing that has been withdrawn."""
    scope: Literal["filing", "registration"] = "filing"
    """Filing (备案) under the Interim Measures, or registration (登记) of a service that calls a filed model by its API."""
    company: str
    source: str
    models: dict[str, list[str]] = {}
    """By vendor: the ids, or globs of ids. Which models a filing covers is a reading; the registers know no API."""
    unconfirmed: list[str] = []
    note: str | None = None

    @model_validator(mode="after")
    def _in_order(self) -> "FilingRow":
        if self.until and self.until < self.date:
            raise ValueError("until is before its date")
        return self

    def compiled(self, sources: Mapping[str, Source]) -> "Filing":
        return Filing(self.number, self.name, self.office, self.date, self.until or Day.max, self.scope, sources[self.source].what)


class FilingsFile(Block):
    """catalog/filings/*.yaml"""

    schema_: Literal["banjia/filings.v1"] = Field(alias="schema")
    sources: dict[str, Source] = {}
    filings: dict[str, FilingRow]
    """By a name of ours, by which a deployer's row takes the place of a shipped one."""

    @model_validator(mode="after")
    def _sourced(self) -> "FilingsFile":
        _known({row.source for row in self.filings.values()}, self.sources)
        return self


class Filing(Struct, frozen=True):
    """What lets a model serve where only filed models may."""

    number: str
    name: str
    office: str
    date: Day
    until: Day
    scope: str
    source: str

    def holds(self, today: Day) -> bool:
        return self.date <= today <= self.until


class RetirementRow(Block):
    """The end of one of OpenAI's names."""

    announced: date
    """When OpenAI gave notice."""
    shutdown: date
    """From when OpenAI no longer serves it."""
    source: str
    unconfirmed: list[str] = []
    note: str | None = None

    @model_validator(mode="after")
    def _in_order(self) -> "RetirementRow":
        if self.shutdown < self.announced:
            raise ValueError("shutdown is before the day it was announced")
        return self


class RetirementsFile(Block):
    """catalog/retirements.yaml"""

    schema_: Literal["banjia/retirements.v1"] = Field(alias="schema")
    sources: dict[str, Source] = {}
    models: dict[str, RetirementRow]

    @model_validator(mode="after")
    def _sourced(self) -> "RetirementsFile":
        _known({row.source for row in self.models.values()}, self.sources)
        return self

    def compiled(self) -> dict[str, Retirement]:
        return {name: Retirement(row.announced, row.shutdown) for name, row in self.models.items()}


Filings = tuple[tuple[str, Filing], ...]
"""Globs of a vendor's model ids with their filings, the most specific first."""


def filings_by_vendor(rows: Iterable[tuple[FilingRow, Filing]]) -> dict[str, Filings]:
    found: dict[str, list[tuple[str, Filing]]] = {}
    for row, filing in rows:
        for vendor, globs in row.models.items():
            found.setdefault(vendor, []).extend((glob, filing) for glob in globs)
    return {vendor: tuple(sorted(some, key=lambda one: specificity(one[0]), reverse=True)) for vendor, some in found.items()}


class Catalog(Struct, frozen=True):
    models: Mapping[str, Mapping[str, Model]]
    """By vendor and id."""
    equivalents: Mapping[str, Mapping[str, tuple[str, ...]]]
    """OpenAI's name or glob → vendor → models."""
    defaults: Globs[Mapping[str, Any]]
    """OpenAI's name or glob → fields that its requests get where the client leaves them out. GPT-4o does not think before it answers; what
    stands in for it should not either, unless it is asked to."""
    prices: Mapping[str, Mapping[str, Rates]] = {}
    """By vendor and id, where the price is known; of models that are gone too, since some of them still answer."""
    exchange: Mapping[str, int] = {}
    """What a unit of a currency is worth, in nano units of the common one."""
    filings: Mapping[str, Filings] = {}
    """By vendor."""
    retirements: Mapping[str, Retirement] = {}
    """By OpenAI's name."""
    spaces: Globs[str] = Globs(())
    """OpenAI's names of embeddings, or globs of them → the space that their row declares."""

    def facts(self, vendor: str, model_id: str) -> Model:
        """What is known of the model, if only its name."""
        return self.models.get(vendor, {}).get(model_id) or Model(model_id)

    def rates(self, vendor: str, model_id: str) -> Rates | None:
        """What the model costs, where that is known."""
        return self.prices.get(vendor, {}).get(model_id)

    def in_common(self, amount: int, currency: str) -> int | None:
        """Nano units of a currency in those of the common one, rounded half up; None for a currency of which no rate is known."""
        rate = self.exchange.get(currency)
        return None if rate is None else (amount * rate + UNIT // 2) // UNIT

    def filed(self, vendor: str, model_id: str, today: date) -> Filing | None:
        """The filing that a vendor's model is covered by on that day."""
        return next((filing for glob, filing in self.filings.get(vendor, ()) if filing.holds(today) and matches(glob, model_id)), None)


def shipped() -> Path:
    """The folder of what is shipped: in the wheel inside the package, in a checkout beside it."""
    inside = Path(__file__).parent / "_config"
    return inside if inside.is_dir() else Path(__file__).parent.parent / "config"
