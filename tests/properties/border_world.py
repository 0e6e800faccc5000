"""Worlds for the borders: configs with policies of all kinds, what providers do wrong, what clients try; and an oracle of what may be.

The oracle reads the same files as the gateway and shares none of its code.
"""

import json
from collections.abc import Iterator
from datetime import date, timedelta
from fnmatch import fnmatchcase
from random import Random
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from gateway.catalog import Filing, Filings
from gateway.snapshot import Snapshot
from providers.base import Json
from tests.conftest import snapshot_of
from tests.gateway.provider import DONE, END, HOLD, RESET, ROLE, STREAM, answer, failed, said, word
from tests.properties.border_hosts import PLACES, Gate, Heard, Step

ACCOUNTS = tuple("abcdef")
VENDORS = ("openai_compatible", "openai_compatible", "moonshot", "deepseek", "alibaba")
TEAMS = ("red", "blue")
NAMES = ("m", "n", "m-*", "*", "gpt-4o")
QUICK = {"first_token": "40ms", "idle": "40ms", "total": "2s"}
ALWAYS, NEVER = "2099-01-01", "2020-01-01"
Refused = tuple[str, str]
"""The file and the field of a problem."""


class Version(Struct):
    """What the files say at a time."""

    gateway: Json
    teams: list[Json]
    filings: dict[str, list[tuple[str, int, bool]]]
    """By vendor: a glob, in how many days from now it is filed, and whether it has ended."""

    def snapshot(self) -> Snapshot:
        """Raises ConfigError."""
        made = snapshot_of(self.gateway, *self.teams)
        filings: dict[str, Filings] = {
            vendor: tuple((glob, filing(days, ended)) for glob, days, ended in some) for vendor, some in self.filings.items()
        }
        return replace(made, catalog=replace(made.catalog, filings=filings))

    def place(self, account: str) -> str:
        place: str = self.gateway["providers"][account]["jurisdiction"]
        return place


def filing(days: int, ended: bool) -> Filing:
    since = date.today() + timedelta(days)
    return Filing("1", "n", "Beijing", since, since + timedelta(3) if ended else date.max, "filing", "s")


# ---- what may be ----


def may_go(team: Json, place: str) -> set[str]:
    """Places that the data of a team's callers in `place` may go."""
    allow = team["policy"].get("allow")
    return {place, "on-premises"} if allow is None else set(allow.get(place, ()))


def caller(version: Version, key: str) -> tuple[Json, str] | None:
    """Whose key it is, and where they are; None for nobody's."""
    for team in version.teams:
        for one in team["keys"]:
            if one["key"] == key:
                return team, one.get("jurisdiction", team["jurisdiction"])
        if key.startswith(f"sk-made/{team['team']}/"):
            return team, key.rpartition("/")[2]
    return None


def may_use(version: Version, team: Json, account: str, model: str) -> bool:
    """Whether a team may use the model as to its filing."""
    if not team["policy"].get("filed_models_only"):
        return True
    vendor = version.gateway["providers"][account]["vendor"]
    filed = any(fnmatchcase(model, glob) for glob, days, ended in version.filings.get(vendor, ()) if days < 0 and not ended)
    return filed or any(
        fnmatchcase(f"{account}/{model}", one["model"]) and one["until"] == ALWAYS for one in team["policy"].get("exceptions", ())
    )


def mistakes(version: Version) -> Iterator[tuple[Refused, Any, Any]]:
    """Hops of use to nobody, and routes of no use to some caller: where they stand, and what to take from what to be rid of them."""
    callers = [
        (team, {team["jurisdiction"], *(key.get("jurisdiction", team["jurisdiction"]) for key in team["keys"])}) for team in version.teams
    ]
    yield from in_routes(version, version.gateway["models"], callers, "gateway.yaml", "models")
    for number, (team, places) in enumerate(callers):
        file = f"teams/{number}.yaml"
        yield from in_routes(version, team["models"], [(team, places)], file, "models", every=True)
        on_refusal = team["policy"].get("on_refusal", [])
        yield from in_hops(version, on_refusal, [(team, places)], file, "policy.on_refusal", set())
        for at, key in enumerate(team["keys"]):
            place = key.get("jurisdiction", team["jurisdiction"])
            yield from in_routes(version, key["models"], [(team, {place})], file, f"keys[{at}].models", every=True)


def in_routes(
    version: Version, routes: Json, callers: list[tuple[Json, set[str]]], file: str, where: str, *, every: bool = False
) -> Iterator[tuple[Refused, Any, Any]]:
    for name, route in routes.items():
        served: set[str] = set()
        for part in ("serve", "fallback"):
            yield from in_hops(version, route.get(part, []), callers, file, f"{where}.{name}.{part}", served)
        if every and "serve" in route and not {place for _, places in callers for place in places} <= served:
            yield (file, f"{where}.{name}"), routes, name


def in_hops(
    version: Version, hops: list[Json], callers: list[tuple[Json, set[str]]], file: str, where: str, served: set[str]
) -> Iterator[tuple[Refused, Any, Any]]:
    """Notes in `served` whom the hops are of use to."""
    for number, hop in enumerate(hops):
        to = version.place(hop["use"][0])
        meant = hop.get("when", {}).get("jurisdiction", PLACES)
        users = {place for team, places in callers for place in places if place in meant and to in may_go(team, place)}
        if not users:
            yield (file, f"{where}[{number}]"), hops, hop
        served |= users


def mend(version: Version) -> None:
    """Takes away what the load would refuse."""
    while found := list(mistakes(version)):
        for _, of, what in found:
            if isinstance(of, dict):
                of.pop(what, None)
            else:
                of[:] = [one for one in of if one is not what]
        for routes in (version.gateway["models"], *(of["models"] for team in version.teams for of in (team, *team["keys"]))):
            for name in [name for name, route in routes.items() if "serve" in route and not any(hop["weight"] for hop in route["serve"])]:
                del routes[name]


# ---- configs ----


def some(rng: Random, of: tuple[str, ...], most: int) -> list[str]:
    return [rng.choice(of) for _ in range(rng.randrange(most + 1))]


def often(rng: Random, percent: int) -> bool:
    return rng.randrange(100) < percent


def version_of(rng: Random, urls: dict[str, str], homes: dict[str, str]) -> Version:
    """`homes`: where the accounts are; a reload moves some."""
    places = {name: rng.choice(PLACES) if often(rng, 20) else home for name, home in homes.items()}
    providers = {name: account(rng, name, place, urls[place]) for name, place in places.items()}
    gateway = {
        "providers": providers,
        "models": {**routes(rng, 3), "*": route(rng)},
        "defaults": {"timeouts": QUICK, "breaker": {"failures": rng.choice((1, 2, 5))}},
    }
    globs = ("s1", "s*", "f*", "r1", "*1", "*", "qwen*", "kimi-*", "m-?")[: rng.randrange(10)]
    filings = {
        vendor: [(glob, rng.choice((-9, -9, -9, 2)), often(rng, 20)) for glob in some(rng, globs, 2)] if globs else []
        for vendor in dict.fromkeys(VENDORS)
    }
    return Version(gateway, [team_of(rng, name) for name in TEAMS], filings)


def account(rng: Random, name: str, place: str, url: str) -> Json:
    made: Json = {"vendor": rng.choice(VENDORS), "jurisdiction": place, "base_url": f"{url}/{name}/v1", "api_key": "provider-key"}
    if often(rng, 10):
        made["credentials"] = [{"api_key": "another-key"}]
    return made


def team_of(rng: Random, name: str) -> Json:
    policy: Json = {"show_route": often(rng, 20)}
    if often(rng, 75):
        policy["allow"] = {
            place: sorted({place} | set(some(rng, PLACES, 3)) if often(rng, 80) else some(rng, PLACES, 2)) for place in PLACES
        }
        if often(rng, 30):
            del policy["allow"][rng.choice(PLACES)]
    if often(rng, 30):
        policy["filed_models_only"] = True
    if often(rng, 40):
        waived = ("*/*", "a/*", "b/s1", "*/f1", "c/r*", "?/s1")
        policy["exceptions"] = [{"model": one, "until": rng.choice((ALWAYS, NEVER)), "reason": "pilot"} for one in some(rng, waived[:5], 2)]
    if often(rng, 60):
        policy["on_refusal"] = hops(rng, "r", 1 + rng.randrange(3))
    if often(rng, 10):
        policy["fidelity"] = "strict"
    keys = [{"name": f"k{n}", "key": f"sk-file/{name}/{n}", "models": routes(rng, 1) if often(rng, 30) else {}} for n in range(2)]
    for key in keys:
        if often(rng, 70):
            key["jurisdiction"] = rng.choice(PLACES)
    return {
        "team": name,
        "jurisdiction": rng.choice(PLACES),
        "policy": policy,
        "keys": keys,
        "models": routes(rng, 1) if often(rng, 30) else {},
    }


def routes(rng: Random, most: int) -> Json:
    return {name: route(rng) for name in ("m", *some(rng, NAMES, most))[: most + 1]}


def route(rng: Random) -> Json:
    if often(rng, 3):
        return {"reject": "There is no {model} here."}
    made: Json = {"serve": hops(rng, "s", 1 + rng.randrange(3)), "fallback": hops(rng, "f", rng.randrange(4))}
    made["serve"][0]["weight"] = 1.5
    made["pick"] = rng.choice(("weighted", "ordered", "cheapest", "fastest"))
    made["sticky"] = made["pick"] == "weighted" and often(rng, 30)
    made["retry"] = {"max": rng.choice((0, 0, 1, 2))}
    if often(rng, 60):
        made["stream"] = {"on_cut": "continue"}
    if often(rng, 40):
        made["hedge"] = "5ms"
    return made


def hops(rng: Random, kind: str, count: int) -> list[Json]:
    """The model's name tells what the hop is there for: s to serve, f to fall back, r for refused content."""
    return [hop(rng, kind) for _ in range(count)]


def hop(rng: Random, kind: str) -> Json:
    model = rng.choice((f"{kind}1", f"{kind}1", f"{kind}2", "*", "qwen3.7-plus"))
    made: Json = {"use": f"{rng.choice(ACCOUNTS)}/{model}", "weight": rng.choice((1, 1, 1, 1, 3, 0)), "prefer": often(rng, 10)}
    if often(rng, 15):
        made["when"] = rng.choice(
            ({"jurisdiction": list(PLACES[:3])}, {"jurisdiction": ["us", "eu"]}, {"stream": True}, {"endpoint": "chat"})
        )
    return made


# ---- what providers do ----

FAULTS = (
    "good", "good", "status", "refused", "refused", "refused", "refused late", "too long", "error under 200", "reset", "hang", "half",
    "cut", "cut, reset", "cut, silent", "cut, silent", "moved", "limited", "limited long", "nonsense",
)  # fmt: skip
REFUSAL = {"error": {"message": "no", "type": "t", "code": "content_filter"}}
STATUSES = (401, 500, 403, 404, 502, 409, 410, 429, 400, 503, 451, 504, 529, 408, 422, 413, 501)


def script_of(rng: Random) -> list[str]:
    """What an account does for the first request of a mark, for its second, and so on in turn; a + waits for the reload before it."""
    return [rng.choice(FAULTS) + "+" * often(rng, 30) for _ in range(1 + rng.randrange(3))]


def step_of(fault: str, heard: Heard, elsewhere: str, number: int) -> Step:
    """`elsewhere`: the address of another place."""
    gate: Step = (Gate.RELOAD,) if fault.endswith("+") else ()
    asked = heard.body
    stream = bool(asked.get("stream"))
    begun: Step = (STREAM, ROLE, word("some "), word("words "), *gate) if stream else (*gate, said()[0][:-9])  # type: ignore[index]
    code = ("context_length_exceeded", "insufficient_quota", None, "model_not_found")[number % 4]
    match fault.rstrip("+"):
        case "good":
            return (*gate, *good(asked, stream=stream))
        case "status":
            return (*gate, *failed(STATUSES[number % len(STATUSES)], "no", "retry-after: 0", code=code))
        case "refused":
            code = "data_inspection_failed" if "qwen" in str(asked.get("model")) else "content_filter"
            return (*gate, *failed(400, "no", code=code))
        case "refused late":
            return (*gate, STREAM, b"data: " + json.dumps(REFUSAL).encode() + b"\n\n") if stream else (*gate, *answer(200, REFUSAL))
        case "too long":
            return (*gate, *failed(400, "too long", code="context_length_exceeded"))
        case "error under 200":
            return (*gate, *answer(200, {"error": {"message": "no", "code": code}}))
        case "reset":
            return (*gate, RESET)
        case "hang":
            return (HOLD,)
        case "half" | "cut":
            return begun
        case "cut, reset":
            return (*begun, RESET)
        case "cut, silent":
            return (*begun, HOLD)
        case "moved":
            return (*gate, *answer((301, 302, 303, 307, 308)[number % 5], b"", f"location: {elsewhere}{heard.path}"))
        case "limited":
            return (*gate, *failed(429, "slowly", "retry-after: 0", f"location: {elsewhere}{heard.path}"))
        case "limited long":
            return (*gate, *failed(503, "later", "retry-after: 3600"))
    return (*gate, b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nrefresh: 0; url=" + elsewhere.encode() + b"\r\n\r\n<htm>")


def good(asked: Json, *, stream: bool) -> Step:
    if "input" in asked:
        inputs = asked["input"] if isinstance(asked["input"], list) else [asked["input"]]
        vectors = [{"object": "embedding", "index": index, "embedding": [0.5, 1]} for index in range(len(inputs))]
        return answer(200, {"object": "list", "data": vectors, "usage": {"prompt_tokens": 1, "total_tokens": 1}})
    if stream:
        return (STREAM, ROLE, word("rest"), END, DONE)
    (raw,) = said()
    assert isinstance(raw, bytes)
    return (raw.replace(b"connection: close", b"connection: keep-alive"),)
