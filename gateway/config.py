"""From a folder of files to Settings: read, fill in secrets, and check everything. `compiling.py` makes a Snapshot of them."""

import os
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

from msgspec import Struct
from pydantic import BaseModel, ValidationError

from gateway import settings as files
from gateway.accounting.prices import Rates
from gateway.accounts import SECRETS
from gateway.catalog import (
    Catalog,
    EquivalentsFile,
    ExchangeFile,
    Filing,
    FilingRow,
    FilingsFile,
    ModelsFile,
    RetirementsFile,
    filings_by_vendor,
    shipped,
)
from gateway.checks import Adapters, Check
from gateway.globs import Globs
from gateway.retirement import Retirement
from gateway.yaml_file import ConfigError, Document, Place, Problem, fill_references, load_yaml
from providers.base import Model
from providers.load import load as load_shipped
from providers.load import load_with

ADDRESSES = ("base_url", "auth_url", "proxy", "url")
"""Where a name and a password may stand before an `@`."""
M = TypeVar("M", bound=BaseModel)


class Settings(Struct, frozen=True):
    """What the files say, checked."""

    gateway: files.GatewayFile
    teams: tuple[files.TeamFile, ...]
    catalog: Catalog
    adapters: Adapters
    """By vendor and surface: the shipped ones, and presets of the folder's own."""
    presets: str = ""
    """The text of the folder's own presets."""


def load(directory: Path, environment: Mapping[str, str] = os.environ) -> Settings:
    """The settings of a folder with gateway.yaml, teams/*.yaml, and perhaps catalog/ and presets.yaml. Raises ConfigError."""
    if not directory.is_dir():
        raise ConfigError([Problem(str(directory), 0, "", "there is no such folder; it should hold gateway.yaml and teams/*.yaml")])
    problems: list[Problem] = []

    def document(path: Path) -> Document | None:
        try:
            found = load_yaml(path)
        except ConfigError as exc:
            problems.extend(exc.problems)
            return None
        problems.extend(fill_references(found, environment))
        return found

    gateway = document(directory / "gateway.yaml")
    teams = [found for path in sorted((directory / "teams").glob("*.y*ml")) if (found := document(path))]
    adapters, presets = load_adapters(directory / "presets.yaml", problems)
    return read(gateway, teams, load_catalog(directory / "catalog", problems), problems, adapters, presets)


def load_adapters(own: Path, problems: list[Problem]) -> tuple[Adapters, str]:
    """The shipped adapters with those of a deployer's own presets, and the text of these."""
    try:
        return (load_with(own), own.read_text("utf-8")) if own.is_file() else (load_shipped(), "")
    except (ValueError, OSError, TypeError, LookupError, AttributeError) as exc:
        problems.append(Problem(str(own), 0, "", str(exc) or "is not of the form of presets"))
        return load_shipped(), ""


def read(
    document: Document | None,
    team_documents: list[Document],
    catalog: Catalog,
    problems: list[Problem],
    adapters: Adapters,
    presets: str = "",
) -> Settings:
    """The settings that documents with all references filled stand for. Raises ConfigError for `problems` and those it finds."""
    gateway = parse(files.GatewayFile, document, problems) if document else None
    parsed = [(parse(files.TeamFile, one, problems), one) for one in team_documents]
    teams = [(team, one) for team, one in parsed if team is not None]
    if gateway is not None and document is not None:
        problems += Check(gateway, document, teams, catalog, adapters).problems()
    if problems or gateway is None:
        raise ConfigError(sorted(set(problems)))
    return Settings(gateway, tuple(team for team, _ in teams), catalog, adapters, presets)


def parse(model: type[M], document: Document, problems: list[Problem]) -> M | None:
    """The document's data as a model. Where it has problems: what is left without them, so that the other checks can be made too."""
    data = document.data if document.data is not None else {}
    try:
        return model.model_validate(data)
    except ValidationError as exc:
        errors = exc.errors(include_url=False, include_context=False, include_input=False)
    problems += [document.problem(tuple(error["loc"]), _plain(error["type"], error["msg"])) for error in errors]
    try:
        return model.model_validate(_without(data, {tuple(error["loc"]) for error in errors}))
    except (ValidationError, TypeError, LookupError):
        return None


def _without(data: Any, places: set[Place], at: Place = ()) -> Any:
    """The data less the values at those places."""
    if isinstance(data, dict):
        return {key: _without(value, places, (*at, key)) for key, value in data.items() if (*at, key) not in places}
    if isinstance(data, list):
        return [_without(value, places, (*at, index)) for index, value in enumerate(data) if (*at, index) not in places]
    return data


def _plain(kind: str, message: str) -> str:
    if kind == "extra_forbidden":
        return "is not a known key"
    if kind == "missing":
        return "is missing"
    return message.removeprefix("Value error, ")


def load_catalog(own: Path, problems: list[Problem]) -> Catalog:
    """The shipped catalog with a deployer's own rows over it."""
    today = date.today()
    models: dict[str, dict[str, Model]] = {}
    prices: dict[str, dict[str, Rates]] = {}
    equivalents: dict[str, Mapping[str, tuple[str, ...]]] = {}
    defaults: dict[str, Mapping[str, Any]] = {}
    common, exchange = "", dict[str, int]()
    filings: dict[str, tuple[FilingRow, Filing]] = {}
    retirements: dict[str, Retirement] = {}
    spaces: dict[str, str] = {}
    for folder in (shipped() / "catalog", own):
        for path in sorted(folder.glob("models/*.y*ml")):
            if row := _file(ModelsFile, path, problems):
                known, costs = models.setdefault(row.vendor, {}), prices.setdefault(row.vendor, {})
                for name, facts in row.models.items():
                    if facts.live(today):
                        known[name] = facts.facts(name, row.tokenizer(name))
                    else:
                        known.pop(name, None)
                    if facts.price:
                        costs[name] = facts.price.rates()
                    else:
                        costs.pop(name, None)
        for path in sorted(folder.glob("equivalents.y*ml")):
            if found := _file(EquivalentsFile, path, problems):
                equivalents |= {
                    name: {vendor: tuple(ids) for vendor, ids in entry.items() if isinstance(ids, list)}
                    for name, entry in found.models.items()
                }
                defaults |= {name: entry["defaults"] for name, entry in found.models.items() if entry.get("defaults")}
                spaces |= {name: entry["space"] for name, entry in found.models.items() if "space" in entry}
        for path in sorted(folder.glob("exchange.y*ml")):
            if rates := _file(ExchangeFile, path, problems):
                exchange = rates.in_nano() if rates.common != common else exchange | rates.in_nano()
                common = rates.common
        for path in sorted(folder.glob("filings/*.y*ml")):
            if register := _file(FilingsFile, path, problems):
                filings |= {name: (filing, filing.compiled(register.sources)) for name, filing in register.filings.items()}
        for path in sorted(folder.glob("retirements.y*ml")):
            if ends := _file(RetirementsFile, path, problems):
                retirements |= ends.compiled()
    by_vendor = filings_by_vendor(filings.values())
    return Catalog(models, equivalents, Globs(defaults.items()), prices, exchange, by_vendor, retirements, Globs(spaces.items()))


def _file(model: type[M], path: Path, problems: list[Problem]) -> M | None:
    try:
        return parse(model, load_yaml(path), problems)
    except ConfigError as exc:
        problems += exc.problems
        return None


def shown(settings: Settings) -> dict[str, Any]:
    """The effective settings for people to read, with secrets masked."""
    gateway = settings.gateway.model_dump(mode="json", by_alias=True, exclude_none=True)
    teams = [team.model_dump(mode="json", by_alias=True, exclude_none=True) for team in settings.teams]
    return {"gateway": _masked(gateway), "teams": _masked(teams)}


def _masked(value: Any, name: str = "") -> Any:
    if isinstance(value, dict):
        return {key: _masked(item, key if name != "headers" else "headers") for key, item in value.items()}
    if isinstance(value, list):
        return [_masked(item) for item in value]
    if isinstance(value, str) and value and name in (*SECRETS, "key", "headers"):
        return value[:3] + "…" if len(value) > 12 else "…"
    if isinstance(value, str) and name in ADDRESSES and "@" in value:
        scheme, _, rest = value.partition("://")
        return f"{scheme}://…@{rest.rpartition('@')[2]}"
    return value
