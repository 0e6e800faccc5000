"""How much a team, a key or a user may ask for: requests and tokens a minute, and requests at once; and what a client is told about it."""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, lru_cache
from operator import itemgetter

from msgspec import Struct

from gateway.state.base import NEVER, SLOTS, Bucket, Held, Refused, window

MINUTE = 60.0
REQUESTS, TOKENS, CONCURRENT = "requests", "tokens", "concurrent"

Headers = list[tuple[bytes, bytes]]
NAMES = {
    unit: (b"x-ratelimit-limit-" + unit.encode(), b"x-ratelimit-remaining-" + unit.encode(), b"x-ratelimit-reset-" + unit.encode())
    for unit in (REQUESTS, TOKENS)
}
"""Of the headers."""


class Limits(Struct, frozen=True):
    """None: as many as they like."""

    rpm: int | None = None
    tpm: int | None = None
    """Of prompts and answers: reckoned before, counted after."""
    concurrent: int | None = None


def buckets_of(scope: str, limits: Limits, *, period: float = MINUTE) -> list[Bucket]:
    """`scope`: whose limits they are, as in `team red`, `key red/main`, `user red/alice`. What is counted is known by it."""
    found: list[Bucket] = []
    if limits.rpm is not None:
        found.append(window(f"{scope} rpm", limits.rpm, REQUESTS, scope=scope, period=period))
    if limits.tpm is not None:
        found.append(window(f"{scope} tpm", limits.tpm, TOKENS, scope=scope, period=period))
    if limits.concurrent is not None:
        found.append(Bucket(f"{scope} concurrent", limits.concurrent, CONCURRENT, scope))
    return found


class Told(Struct, frozen=True):
    """What the client is told, in OpenAI's words."""

    status: int
    kind: str
    code: str
    message: str
    headers: Headers


def told(refused: Refused, now: float) -> Told:
    """`now`: unix time."""
    bucket = refused.bucket
    if refused.unreachable:
        message = f"What {bucket.scope} has used cannot be known at present, so nothing is spent for it; try again in a moment."
        return Told(503, "api_error", "overloaded", message, _retry(refused.wait))
    if refused.spent:
        message = f"{bucket.scope} has used up its budget ({amount(bucket.cap, bucket.unit)}), or has less left than this request may cost."
        return Told(429, "insufficient_quota", "insufficient_quota", message, [*_retry(refused.wait), (b"x-should-retry", b"false")])
    headers = _retry(refused.wait) + _told(bucket, refused.used, refused.empty_at - now * 1000)
    if refused.wait == NEVER:
        message = f"Request too large for the limit of {_limit(bucket)}: it is never below it."
        return Told(429, _kind(bucket), "rate_limit_exceeded", message, [*headers, (b"x-should-retry", b"false")])
    message = f"Rate limit reached for the {_limit(bucket)}. Please try again in {duration(refused.wait)}."
    return Told(429, _kind(bucket), "rate_limit_exceeded", message, headers)


class Buckets(tuple[Bucket, ...]):
    """What one request is counted in, with what follows from that alone."""

    @classmethod
    def of(cls, buckets: Sequence[Bucket]) -> "Buckets":
        return buckets if isinstance(buckets, Buckets) else cls(buckets)

    @cached_property
    def amounts(self) -> Callable[[Mapping[str, int]], Sequence[int]]:
        """Of amounts by unit, that of each."""
        units = [bucket.unit for bucket in self]
        return itemgetter(*units) if len(units) > 1 else lambda by_unit: [by_unit[unit] for unit in units]

    @cached_property
    def windows(self) -> list[tuple[bytes, bytes, list[tuple[int, Bucket, tuple[bytes, bytes]]]]]:
        """By unit: the headers of what remains and when it is reset; and the windows, each with its place and the header of its limit."""
        found: dict[str, list[tuple[int, Bucket, tuple[bytes, bytes]]]] = {}
        for place, bucket in enumerate(self):
            if bucket.width:
                found.setdefault(bucket.unit, []).append((place, bucket, (NAMES[bucket.unit][0], b"%d" % bucket.cap)))
        return [(*NAMES[unit][1:], windows) for unit, windows in found.items()]


class ByUnit(dict[str, int]):
    """Amounts by unit. What is not named is nothing."""

    def __missing__(self, unit: str) -> int:
        return 0


def headers_of(held: Held) -> Headers:
    """`x-ratelimit-*`: of several limits on the same, the one with the least left."""
    headers: Headers = []
    used = held.used
    for remaining, reset, windows in Buckets.of(held.buckets).windows:
        place, bucket, limit = windows[0]
        left = bucket.cap - used[place]
        for one in windows[1:]:
            if (less := one[1].cap - used[one[0]]) < left:
                place, bucket, limit = one
                left = less
        ms = (held.slots[place] + SLOTS + 1) * bucket.width - held.at
        headers += (limit, (remaining, b"%d" % (left if left > 0 else 0)), (reset, _reset(ms)))
    return headers


def _told(bucket: Bucket, used: int, ms: float) -> Headers:
    """Requests at once and budgets have no such headers."""
    if not bucket.width:
        return []
    limit, remaining, reset = NAMES[bucket.unit]
    return [(limit, b"%d" % bucket.cap), (remaining, b"%d" % max(0, bucket.cap - used)), (reset, _reset(int(ms)))]


@lru_cache(1024)
def _reset(ms: int) -> bytes:
    """Remembered, since what has just been counted is gone after a period and a part of a slot."""
    return duration(max(0, ms)).encode()


def _retry(ms: int) -> Headers:
    """Whole seconds, never too few; and the exact time, which OpenAI's SDKs look at first."""
    if ms == NEVER:
        return []
    return [(b"retry-after", b"%d" % -(-ms // 1000)), (b"retry-after-ms", b"%d" % ms)]


def _kind(bucket: Bucket) -> str:
    return bucket.unit if bucket.width else "requests"


def _limit(bucket: Bucket) -> str:
    if bucket.width:
        return f"{bucket.unit} a minute of {bucket.scope} ({bucket.cap})"
    if bucket.seeded:
        return f"budget of {bucket.scope} ({amount(bucket.cap, bucket.unit)}), which requests under way may use up"
    return f"requests at once of {bucket.scope} ({bucket.cap})"


def duration(ms: int) -> str:
    """As OpenAI writes it: `20ms`, `1.5s`, `6m0s`, `1h0m0s`."""
    if ms < 1000:
        return f"{ms}ms" if ms else "0s"
    seconds = f"{ms % 60_000 / 1000:.3f}".rstrip("0").rstrip(".")
    minutes = ms // 60_000
    if not minutes:
        return f"{seconds}s"
    return f"{minutes // 60}h{minutes % 60}m{seconds}s" if minutes >= 60 else f"{minutes}m{seconds}s"


def amount(value: int, unit: str) -> str:
    """`3000 CNY`, `50000000 tokens`. Currencies are counted in nano units."""
    if unit == TOKENS:
        return f"{value} tokens"
    whole, nano = divmod(value, 10**9)
    return f"{whole}{f'.{nano:09d}'.rstrip('0') if nano else ''} {unit}"


def asked(buckets: Buckets, upper: Mapping[str, int]) -> Sequence[int]:
    """What one request takes of each bucket, given what it may use at most, by unit: `{"tokens": 1200, "CNY": 30_000_000}`."""
    return buckets.amounts(ByUnit(upper, requests=1, concurrent=1))


def came_of(buckets: Sequence[Bucket], actual: Mapping[str, int]) -> Sequence[int]:
    """The same for what it has used. It stays one request, and is under way no more."""
    return Buckets.of(buckets).amounts(ByUnit(actual, requests=1, concurrent=0))
