"""What the commands print of the admin API's answers: tables, or JSON. Each returns an exit code."""

import json
import sys
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from gateway.admin_client import AdminClient

Row = dict[str, Any]
WIDE = 200
COUNTS = ("requests", "prompt_tokens", "cached_tokens", "completion_tokens", "reasoning_tokens")
"""Always shown."""
UNITS = ("images", "seconds", "characters")
"""Shown where there are any."""


def as_text(value: Any) -> str:
    """For a cell of a table."""
    if value is None:
        return "–"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else escape(printable(str(value)))


def printable(text: str) -> str:
    """Without what would steer a terminal, or turn the direction of its text."""
    return "".join(char if char.isprintable() else "\ufffd" for char in text)


def when(seconds: float | None) -> str:
    """Unix seconds in the time of this place."""
    return "–" if seconds is None else datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def print_json(value: Any) -> None:
    click.echo(json.dumps(value, ensure_ascii=False, indent=2))


def print_table(names: Iterable[str], rows: Iterable[Iterable[Any]]) -> None:
    """Numbers to the right, as they are compared."""
    lines = [tuple(row) for row in rows]
    table = Table()
    for at, name in enumerate(names):
        table.add_column(name, justify="right" if lines and all(isinstance(line[at], int) for line in lines) else "left")
    for line in lines:
        table.add_row(*map(as_text, line))
    console = Console(highlight=False)
    if not console.is_terminal:  # what goes elsewhere is not cut to a screen
        console = Console(highlight=False, width=WIDE)
    console.print(table)


# ---- keys and tokens ----


def create_key(client: AdminClient, team: str | None, name: str, jurisdiction: str | None, *, as_json: bool) -> int:
    body = {"team": team, "name": name, "jurisdiction": jurisdiction}
    made = client.ask("POST", "keys", "key", body={field: value for field, value in body.items() if value is not None})
    return told_once(made, "key", as_json=as_json)


def rotate_key(client: AdminClient, key_id: str, grace: str, *, as_json: bool) -> int:
    made = client.ask("POST", f"keys/{_path(key_id)}/rotate", "key", body={"grace": grace})
    return told_once(made, "key", as_json=as_json)


def told_once(made: Row, what: str, *, as_json: bool) -> int:
    """The secret alone goes to standard output, so that it can be piped to where it is kept."""
    if as_json:
        print_json(made)
        return 0
    click.echo(f"{made['id']}: {what} {made['name']!r} of team {made['team']}. It is not shown again:", err=True)
    click.echo(made[what])
    return 0


def list_keys(client: AdminClient, team: str | None, *, revoked: bool, as_json: bool) -> int:
    found = [key for key in client.listed("keys", team=team) if revoked or key["state"] != "revoked"]
    if as_json:
        print_json(found)
        return 0
    names = ("id", "team", "name", "jurisdiction", "state", "created", "until")
    print_table(
        names,
        ((key["id"] or "(file)", key["team"], key["name"], key["jurisdiction"], key["state"], when(key["created"]), when(key["revoked"]))
         for key in found),
    )  # fmt: skip
    return 0


def revoke_key(client: AdminClient, key_id: str, *, as_json: bool) -> int:
    return _revoked(client.ask("DELETE", f"keys/{_path(key_id)}", "id"), "key", as_json=as_json)


def create_token(client: AdminClient, team: str, name: str, *, as_json: bool) -> int:
    return told_once(client.ask("POST", "tokens", "token", body={"team": team, "name": name}), "token", as_json=as_json)


def list_tokens(client: AdminClient, *, as_json: bool) -> int:
    found = client.listed("tokens")
    if as_json:
        print_json(found)
        return 0
    rows = ((one["id"], one["team"], one["name"], one["role"], when(one["created"]), when(one["revoked"])) for one in found)
    print_table(("id", "team", "name", "role", "created", "revoked"), rows)
    return 0


def revoke_token(client: AdminClient, token_id: str, *, as_json: bool) -> int:
    return _revoked(client.ask("DELETE", f"tokens/{_path(token_id)}", "id"), "token", as_json=as_json)


def _revoked(one: Row, what: str, *, as_json: bool) -> int:
    if as_json:
        print_json(one)
    else:
        click.echo(f"{one['id']}: {what} {one['name']!r} of team {one['team']} no longer holds")
    return 0


def _path(part: str) -> str:
    return quote(part, safe="")


# ---- usage ----


def show_usage(client: AdminClient, asked: Mapping[str, str | None], group_by: str, *, as_csv: bool, as_json: bool) -> int:
    if as_csv:
        return _copied(client, "usage", {**asked, "group_by": group_by, "format": "csv"}, total=None)
    answer = client.ask("GET", "usage", "data", params={**asked, "group_by": group_by})
    if as_json:
        print_json(answer)
        return 0
    rows: list[Row] = answer["data"]
    groups = [name for name in dict.fromkeys(part.strip() for part in group_by.split(",")) if name]
    currencies = sorted({currency for row in rows for currency in row["cost"]})
    counts = (*COUNTS, *(unit for unit in UNITS if any(row.get(unit) for row in rows)))
    print_table(
        (*groups, *counts, *currencies),
        ((*(row[name] for name in (*groups, *counts)), *(row["cost"].get(currency) for currency in currencies)) for row in rows),
    )
    if answer.get("has_more"):
        click.echo("There are more: ask for less at a time, or for --csv.", err=True)
    return 0


def show_retiring(client: AdminClient, asked: Mapping[str, str | None], *, as_json: bool) -> int:
    answer = client.ask("GET", "usage", "data", params={**asked, "retiring": "true"})
    if as_json:
        print_json(answer)
        return 0
    names = ("team", "key", "model", "requests", "last", "shutdown", "days_left", "served_by")
    told = ({**row, "last": when(row["last"]), "served_by": _first(row["served_by"])} for row in answer["data"])
    print_table(names, ([row[name] for name in names] for row in told))
    if answer.get("has_more"):
        click.echo("There are more: ask for one team at a time.", err=True)
    return 0


def _first(hops: list[str]) -> str:
    return " and ".join((*hops[:1], *(f"{len(hops) - 1} more" for _ in hops[1:2]))) or "nothing"


def export_requests(client: AdminClient, asked: Mapping[str, str | None], *, as_csv: bool) -> int:
    """On standard output, with the progress on standard error if somebody sees it."""
    sums = client.ask("GET", "usage", "data", params=asked)["data"]
    kind = "csv" if as_csv else "ndjson"
    return _copied(client, "usage/requests", {**asked, "format": kind}, total=sum(row["requests"] for row in sums))


def _copied(client: AdminClient, path: str, params: Mapping[str, str | None], *, total: int | None) -> int:
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=total is None or not console.is_terminal) as progress:
        task = progress.add_task("requests", total=total)
        for piece in client.pieces(path, params):
            sys.stdout.buffer.write(piece)
            progress.advance(task, piece.count(b"\n"))
        sys.stdout.buffer.flush()
    return 0


# ---- standings ----


def show_teams(client: AdminClient, team: str | None, *, as_json: bool) -> int:
    found = client.listed("teams", team=team)
    if as_json:
        print_json(found)
        return 0
    rows: list[tuple[Any, ...]] = []
    for one in found:
        for limit in one["limits"]:
            unit = "at once" if limit["unit"] == "concurrent" else f"{limit['unit']} a minute"
            rows.append((one["name"], limit["of"], unit, limit["limit"], limit["used"], None, max(0, limit["limit"] - limit["used"]), None))
        for budget in one["budgets"]:
            amounts = (budget[name] for name in ("amount", "spent", "held", "left"))
            rows.append((one["name"], budget["of"], budget["unit"], *amounts, when(budget["until"])))
        if not one["limits"] and not one["budgets"]:
            rows.append((one["name"], "team", "unlimited", None, None, None, None, None))
    print_table(("team", "of", "what", "amount", "used", "held", "left", "until"), rows)
    return 0


def show_accounts(client: AdminClient, *, as_json: bool) -> int:
    found = client.accounts()
    if as_json:
        print_json(found)
        return 0
    rows = ((one["name"], one["vendor"], one["jurisdiction"], _state(one), _limits(one), _credentials(one)) for one in found)
    print_table(("account", "vendor", "place", "state", "limits", "credentials"), rows)
    return 0


def _state(account: Row) -> str:
    if account["off"]:
        return str(account["off"])
    told = []
    for hop in account["models"]:
        if hop["state"] == "resting":
            told.append(f"{hop['model']}: rests until {when(hop['resting_until'])}")
        elif hop["state"] == "proving" or hop["failed"]:
            told.append(f"{hop['model']}: {hop['state']}, {hop['failed']} failed")
    return "; ".join(told) or "well"


def _limits(account: Row) -> str | None:
    return ", ".join(f"{name} {one['used']}/{one['limit']}" for name, one in account["limits"].items()) or None


def _credentials(account: Row) -> str:
    tired = "".join(f"; {one['credential']} is left alone until {when(one['until'])}" for one in account["cooling"])
    return f"{account['credentials']}{tired}"


def show_grants(client: AdminClient, *, as_json: bool) -> int:
    found = client.listed("grants")
    if as_json:
        print_json(found)
        return 0
    rows = (
        (one["name"], one["account"], " ".join(one["models"]), one["tokens"], one["used"], one["held"], one["doubt"], one["left"],
         when(one["expires"]), _forecast(one))
        for one in found
    )  # fmt: skip
    print_table(("grant", "account", "models", "tokens", "used", "held", "doubt", "left", "expires", "forecast"), rows)
    return 0


def _forecast(grant: Row) -> str:
    if grant["exhausted"] is not None:
        return f"used up {when(grant['exhausted'])}"
    return f"{grant['unused']:,} will be left over"


def reconcile(client: AdminClient, name: str, billed: int, *, adopt: bool, as_json: bool) -> int:
    found = client.ask("POST", f"grants/{_path(name)}/reconcile", "drift", body={"billed": billed, "adopt": adopt})
    if as_json:
        print_json(found)
    else:
        doubt = f", {found['doubt']:,} in doubt" if found["doubt"] else ""
        click.echo(f"{name}: billed {found['billed']:,}, counted {found['used']:,}{doubt}: a drift of {found['drift']:+,}")
        if found["adopted"]:
            click.echo("The vendor's count holds from now on.")
    return 1 if found["drift"] and not found["adopted"] else 0


# ---- spaces ----


def list_spaces(client: AdminClient, team: str | None, *, as_json: bool) -> int:
    found = client.listed("spaces", team=team)
    if as_json:
        print_json(found)
        return 0
    print_table(("team", "name", "space", "since"), ((one["team"], one["name"], one["space"], when(one["since"])) for one in found))
    return 0


def reset_space(client: AdminClient, team: str, name: str, *, as_json: bool) -> int:
    found = client.ask("DELETE", f"spaces/{_path(team)}/{_path(name)}", "space")
    if as_json:
        print_json(found)
    else:
        click.echo(f"{name} of team {team} was of the space {found['space']}, and begins anew")
    return 0


# ---- changes ----


def show_audit(client: AdminClient, after: int, limit: int, *, as_json: bool) -> int:
    answer = client.ask("GET", "audit", "data", params={"after": after, "limit": limit})
    if as_json:
        print_json(answer)
        return 0
    rows = (
        (one["number"], when(one["time"]), one["actor"], one["action"], one["target"], json.dumps(one["detail"], ensure_ascii=False))
        for one in answer["data"]
    )
    print_table(("#", "time", "actor", "action", "target", "detail"), rows)
    if answer["has_more"]:
        click.echo(f"There are more: --after {answer['data'][-1]['number']}", err=True)
    return 0


def verify_audit(client: AdminClient, head: str, *, as_json: bool) -> int:
    found = client.ask("GET", "audit/verify", "ok", params={"head": head})
    if as_json:
        print_json(found)
    elif found["ok"]:
        click.echo(f"{found['entries']} entries, all as they were written\nhead {found['head']}")
    else:
        click.echo(f"entry {found['broken']}: {found['why']}; the {found['entries']} before it are as they were written", err=True)
    return 0 if found["ok"] else 1
