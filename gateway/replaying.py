"""What `banjia explain --replay` tells: the plans that the log says were made, made again from the config."""

import sys
from pathlib import Path

from msgspec import DecodeError, Struct, ValidationError, json
from rich.console import Console
from rich.markup import escape

from gateway.compiling import build
from gateway.config import Settings
from gateway.routing.decision import Decision, replayed, route_told
from gateway.snapshot import Key, Snapshot


class Line(Struct):
    """What is read of a line of the log."""

    request_id: str = ""
    team: str = ""
    key: str = ""
    decision: Decision | None = None


class Replay(Struct):
    request_id: str
    config: str
    same_config: bool
    """Whether the config is of the revision that decided then."""
    same: bool
    """Whether the plan is the one that was made."""
    then: tuple[str, ...]
    now: tuple[str, ...]
    route: str
    """The plan of now, with the hops that it rejects."""


def replay(settings: Settings, path: Path) -> list[Replay]:
    """Each line of the log that has a decision; `-` is standard input. Raises ValueError for what is no such log."""
    snapshot = build(settings)
    try:
        lines = (sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()).splitlines()
    except OSError as exc:
        raise ValueError(f"{path}: {exc.strerror}") from exc
    found = [told for number, line in enumerate(lines, 1) if line.strip() and (told := _again(_read(line, path, number), snapshot))]
    if not found:
        raise ValueError(f"{path}: no line has a `decision`; expected lines of the log that `banjia serve` writes to standard output")
    return found


def _read(line: bytes, path: Path, number: int) -> Line:
    try:
        return json.decode(line, type=Line)
    except (DecodeError, ValidationError) as exc:
        raise ValueError(f"{path}:{number}: is no line of the log: {exc}") from exc


def _again(line: Line, snapshot: Snapshot) -> Replay | None:
    decision = line.decision
    if decision is None:
        return None
    key = _key(line, snapshot)
    plan = replayed(decision, key, snapshot) if key else None
    now = plan.names[0] if plan else ()
    same = plan is not None and plan.names == (decision.hops, decision.on_refusal)
    route = route_told(plan) if plan else f"key {line.key!r} of team {line.team!r} is not in this config" if key is None else "no plan"
    return Replay(line.request_id, decision.config, decision.config == snapshot.revision, same, decision.hops, now, route)


def _key(line: Line, snapshot: Snapshot) -> Key | None:
    return next((key for key in snapshot.keys.values() if (key.team, key.name) == (line.team, line.key)), None)


def show(replays: list[Replay], *, as_json: bool) -> int:
    """Prints them; 1 if a plan is not the one of then."""
    console = Console(soft_wrap=True, highlight=False)
    for told in replays:
        if as_json:
            console.out(json.encode(told).decode())
            continue
        mark = "[green]same[/]" if told.same else "[red]differs[/]"
        other = "" if told.same_config else f" (decided by config {told.config}, which is not this one)"
        console.print(f"{escape(told.request_id)}  {mark}{other}")
        if not told.same:
            console.print(f"  then  {escape(', '.join(told.then) or 'none')}")
        console.print(f"  now   {escape(told.route)}")
    return 0 if all(told.same for told in replays) else 1
