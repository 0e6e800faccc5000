"""The configuration that is measured, with everything on, and what makes it larger."""

import json
from pathlib import Path
from typing import Any

from msgspec import Struct

MODEL = "gpt-4o"
KEY = "sk-bench"
BUDGET = [{"amount": "1000000000 CNY", "per": "month"}, {"amount": "1000000M tokens", "per": "day"}]
LIMITS = {"rpm": "1G", "tpm": "1000G", "concurrent": 100_000}
ON = (
    "Everything is on: keys; a plan that holds places, filings, abilities and context of the model against every hop; a fallback; limits "
    "and budgets, in money and tokens, of team and key; the fidelity report; prices; a durable record of each request before its answer "
    "ends (SQLite, many in one transaction); metrics; a line of JSON in the log for each request."
)
PRICE = {"currency": "CNY", "tiers": [{"input": "0.8", "cached": "0.2", "output": "2"}], "source": "bench", "as_of": "2026-11-23"}
FACTS = {"kind": "chat", "context": 1_000_000, "output": 8192, "input": ["text"], "tools": True, "json": "schema", "thinking": "none"}


class Setup(Struct, frozen=True):
    """What differs from the usual."""

    teams: int = 1
    keys: int = 1
    """Of each team."""
    routes: int = 1
    globs: bool = False
    """Their names have a star in them."""
    storage: str = ""
    """SQLite in the folder, unless it is given."""
    state: str = "memory://"


def key_of(number: int, of: Setup) -> str:
    """All are of one length, so that requests are, too."""
    return KEY if of.teams * of.keys == 1 else f"{KEY}-{number:05d}"


def model_of(number: int, of: Setup) -> str:
    return MODEL if of.routes == 1 else f"model-{number:05d}"


def write(folder: Path, provider: str, setup: Setup) -> Path:
    """The files that `banjia serve --config` reads. `provider`: its address, with /v1. JSON is YAML."""
    (folder / "teams").mkdir(parents=True)
    (folder / "catalog" / "models").mkdir(parents=True)
    (folder / "catalog" / "filings").mkdir(parents=True)
    account = {"vendor": "openai_compatible", "jurisdiction": "on-premises", "base_url": provider}
    star = "*" if setup.globs else ""
    data = folder.with_name(f"{folder.name}-data")  # not in the folder that is watched for changes of the config
    gateway = {
        "schema": "banjia/v1",
        "storage": {"url": setup.storage or f"sqlite:///{data}/usage.db", "journal": str(data / "journal")},
        "files": {"url": f"file://{data}/files"},
        "state": {"url": setup.state},
        "admin": {"key": "the-admin-key-of-the-benchmark"},
        "providers": {"bench": account, "spare": {**account, "jurisdiction": "cn-mainland"}},
        "models": {
            model_of(number, setup) + star: {"serve": "bench/constant", "fallback": "spare/constant"} for number in range(setup.routes)
        },
    }
    put(folder / "gateway.yaml", gateway)
    for number in range(setup.teams):
        put(folder / "teams" / f"team-{number:05d}.yaml", team(number, setup))
    source = {"bench": {"what": "made for the benchmark", "read": "2026-11-23"}}
    put(
        folder / "catalog" / "models" / "openai_compatible.yaml",
        {
            "schema": "banjia/models.v1",
            "vendor": "openai_compatible",
            "sources": source,
            "models": {"constant": {**FACTS, "price": PRICE}},
        },
    )
    filing = {"number": "none", "name": "bench", "company": "bench", "office": "Beijing", "date": "2026-01-01", "source": "bench"}
    filings = {"bench": {**filing, "models": {"openai_compatible": ["constant"]}}}
    put(folder / "catalog" / "filings" / "bench.yaml", {"schema": "banjia/filings.v1", "sources": source, "filings": filings})
    return folder


def team(number: int, setup: Setup) -> dict[str, Any]:
    first = number * setup.keys
    return {
        "schema": "banjia/team.v1",
        "team": f"team-{number:05d}",
        "keys": [
            {"name": f"key-{one:05d}", "key": key_of(one, setup), "limits": LIMITS, "budget": BUDGET}
            for one in range(first, first + setup.keys)
        ],
        "jurisdiction": "cn-mainland",
        "policy": {"allow": {"cn-mainland": ["cn-mainland", "on-premises"]}, "filed_models_only": True, "fidelity": "report"},
        "limits": LIMITS,
        "budget": BUDGET,
    }


def put(file: Path, what: Any) -> None:
    file.write_text(json.dumps(what))
