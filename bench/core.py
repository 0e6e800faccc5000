"""The core table: CPU per plain request, per stream and per event, and what one core serves; everybody measured in turns."""

from collections.abc import Sequence
from pathlib import Path

from bench.closed import Found, in_turns, load
from bench.options import Options
from bench.subjects import Server
from bench.tables import Section, ratios, spread
from bench.upstream import EVENTS


def core(options: Options, folder: Path, servers: Sequence[Server]) -> Section:
    """Ratios are to the floor, where it is among them."""
    base = next((number for number, one in enumerate(servers) if one.name == "floor"), None)
    plain = measured("plain requests", options, folder, servers, stream=False)
    streams = measured(f"streams of {EVENTS} events", options, folder, servers, stream=True)
    costs = {
        "plain": [found.cpu for found in plain],
        "stream": [found.cpu for found in streams],
    }
    costs["event"] = [
        [(stream - request) / EVENTS for stream, request in zip(*both, strict=False)]
        for both in zip(costs["stream"], costs["plain"], strict=True)
    ]
    rows = []
    for number, server in enumerate(servers):
        row = [server.name]
        for kind, decimals in (("plain", 0), ("stream", 0), ("event", 1)):
            row.append(spread(costs[kind][number], decimals))
            row.append("-" if base is None else "1" if number == base else spread(ratios(costs[kind][number], costs[kind][base]), 2))
        rows.append([*row, spread(plain[number].rate), f"{server.ready:.1f} s"])
    return Section(
        "core",
        "CPU µs per request",
        ["", "plain", "× floor", f"stream of {EVENTS}", "× floor", "event", "× floor", "plain/s on one core", "ready after"],
        rows,
        {
            kind: {server.name: values for server, values in zip(servers, found, strict=True)}
            for kind, found in (*costs.items(), ("rate", [found.rate for found in plain]))
        },
        [
            f"The median of {options.rounds} rounds of {options.seconds:g} s (lowest-highest); ratios are taken round by round.",
            f"event: what a stream costs more than a plain request, over its {EVENTS} events.",
        ],
    )


def measured(what: str, options: Options, folder: Path, servers: Sequence[Server], *, stream: bool) -> list[Found]:
    return in_turns(what, [load(folder, one, [one.request(stream=stream)]) for one in servers], options.rounds, options.seconds)
