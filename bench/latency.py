"""What a forwarder adds to the time of an answer, at rates that are fixed: its quantile less that of the provider asked directly."""

from collections.abc import Callable, Sequence

from bench.opened import Timed, at_rate, quantile, run
from bench.options import Options
from bench.progress import over, tell
from bench.servers import Failed
from bench.subjects import Server, direct
from bench.tables import Section, spread

STREAMS_A_SECOND = 20
WARM = 1.0
Quantiles = dict[str, float]
SHARES = {"p50": 0.5, "p99": 0.99}


def latency(options: Options, servers: Sequence[Server], port: int) -> Section:
    """`port`: the provider's."""
    raw: dict[str, dict[str, list[Quantiles]]] = {}
    for rate in options.rates:
        raw[f"plain at {rate}/s"] = in_turns(f"{rate} requests/s", options, servers, port, rate, stream=False)
    rows = [[server.name, *(added(found, server.name, "whole", share) for found in raw.values() for share in SHARES)] for server in servers]
    return Section(
        "latency",
        "Milliseconds added to a plain answer",
        ["", *(f"{share} at {rate:,}/s" for rate in options.rates for share in SHARES)],
        rows,
        raw,
        [f"Over the provider asked directly: {directly(raw)}. A dash: it does not keep up, or fails."],
    )


def streams(options: Options, servers: Sequence[Server], port: int) -> Section:
    found = in_turns(f"{STREAMS_A_SECOND} streams/s", options, servers, port, STREAMS_A_SECOND, stream=True)
    rows = [
        [server.name, *(added(found, server.name, what, share) for what in ("first", "events") for share in SHARES)] for server in servers
    ]
    return Section(
        "streams",
        f"Milliseconds added to streams, at {STREAMS_A_SECOND} a second",
        ["", "first event p50", "p99", "each event p50", "p99"],
        rows,
        {"streams": found},
        [
            "first event: from when the request was due. each event: from when the provider sent it, by its own stamp.",
            f"Over the provider asked directly: {directly({'first event': found}, 'first')}, {directly({'each event': found}, 'events')}.",
        ],
    )


def in_turns(what: str, options: Options, servers: Sequence[Server], port: int, rate: float, *, stream: bool) -> dict[str, list[Quantiles]]:
    """Quantiles of each, round by round; of one that fails, none."""
    every = [direct(port), *servers]
    found: dict[str, list[Quantiles]] = {one.name: [] for one in every}
    well = {one.name: one for one in every}
    for turn in range(options.rounds + 1):
        tell(f"{what}: round {turn} of {options.rounds}" if turn else f"{what}: to warm up")
        for one in tuple(well.values()):
            try:
                timed = run(at_rate(one.port, one.request(stream=stream), rate, options.seconds if turn else WARM))
            except Failed as exc:
                over()
                tell(f"{one.name} at {rate:g}/s: {exc}")
                del well[one.name]
                found[one.name].clear()
                continue
            if turn:
                found[one.name].append(quantiles(timed))
    return found


def quantiles(timed: Timed) -> Quantiles:
    parts: dict[str, Callable[[Timed], list[float]]] = {
        "first": lambda t: t.first,
        "whole": lambda t: t.whole,
        "events": lambda t: t.events,
    }
    return {f"{part} {name}": quantile(of(timed), share) * 1000 for part, of in parts.items() for name, share in SHARES.items()}


def added(found: dict[str, list[Quantiles]], name: str, part: str, share: str) -> str:
    key = f"{part} {share}"
    return spread([one[key] - least[key] for one, least in zip(found[name], found["provider"], strict=False)], 2)


def directly(raw: dict[str, dict[str, list[Quantiles]]], part: str = "whole") -> str:
    """What the provider itself takes, the load generator's own share in it."""
    return ", ".join(
        f"{what} {' and '.join(spread([one[f'{part} {share}'] for one in found['provider']], 2) for share in SHARES)}"
        for what, found in raw.items()
    )
