"""What `banjia config …` prints."""

import json
from pathlib import Path
from typing import Any

import click
import yaml

from gateway.compiling import build
from gateway.config import Settings, load, shown
from gateway.settings import GatewayFile, TeamFile
from gateway.yaml_file import ConfigError


def check(directory: Path, *, as_json: bool) -> int:
    """Prints every problem, a line each; the exit code."""
    try:
        settings = load(directory)
        snapshot = build(settings)
    except ConfigError as exc:
        if as_json:
            rows = [{"file": p.file, "line": p.line, "field": p.field, "message": p.message} for p in exc.problems]
            click.echo(json.dumps({"problems": rows}, ensure_ascii=False, indent=2))
        else:
            click.echo(str(exc), err=True)
        return 2
    off = [f"{account.name} ({account.off})" for account in snapshot.accounts.values() if account.off]
    if as_json:
        click.echo(json.dumps({"problems": [], "revision": snapshot.revision, "off": off}, ensure_ascii=False, indent=2))
        return 0
    keys = sum(len(team.keys) for team in settings.teams)
    click.echo(
        f"{directory} is right: {len(snapshot.accounts)} accounts, {len(settings.teams)} teams, {keys} keys; revision {snapshot.revision}"
    )
    for name in off:
        click.echo(f"  note: account {name}")
    return 0


def schema(which: str) -> str:
    model = GatewayFile if which == "gateway" else TeamFile
    made: dict[str, Any] = {"$schema": "https://json-schema.org/draft/2020-12/schema", **model.model_json_schema(by_alias=True)}
    return json.dumps(made, ensure_ascii=False, indent=2)


def show(settings: Settings, *, as_json: bool) -> str:
    told = shown(settings)
    if as_json:
        return json.dumps(told, ensure_ascii=False, indent=2)
    return yaml.safe_dump(told, allow_unicode=True, sort_keys=False, width=120).rstrip()
