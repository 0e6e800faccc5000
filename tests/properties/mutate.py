"""Things made wrong: JSON and bytes changed at random places, always the same way for the same Random."""

import json
import math
from random import Random
from typing import Any

from providers.base import Json

DEEP = 2000
ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2, 1.5, -0.0, 1e300, -1e300, 10**18, 10**30, 10**400, math.nan, math.inf, "", " ", "x", "0", "null",
    "é\u2028🙂", "\x00\x1b", "\ud83d", "stop", "length", "error", "tool_calls", "data: [DONE]\n\n", [], {}, [[]], [None], [1], ["a"], [{}],
    {"a": 1}, {"": None}, {"index": -1}, {"type": "text", "text": "x"}, [{"type": "text", "text": "x"}], {"url": 1},
    {"error": {"message": "no", "code": "x"}},
)  # fmt: skip
"""What may stand where something else should."""
KEYS = (
    "error", "code", "type", "name", "index", "id", "content", "role", "usage", "choices", "stream", "n", "logprobs", "refusal", "delta",
    "message", "finish_reason", "object", "created", "model", "tool_calls", "function_call", "function", "arguments", "data", "status",
    "audio", "annotations", "service_tier", "system_fingerprint", "reasoning_content", "prompt_tokens", "total_tokens", "x-unknown", "",
)  # fmt: skip
JUNK = (
    b"\xff", b"\xed\xa0\x80", b"\x00", b"\r", b"\n", b"\n\n", b"\xef\xbb\xbf", b"{", b"}", b"]", b'"', b",", b"NaN", b"null", b"\\u",
    b"1e999", b"data:", b":",
)  # fmt: skip


def mutated(rng: Random, value: Any) -> Any:
    """JSON with one to three things in it made wrong. The given value is not edited."""
    changed = json.loads(json.dumps(value))
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        changed = _once(rng, changed)
    return changed


def _once(rng: Random, root: Any) -> Any:
    places = list(_places(root))
    if not places or rng.random() < 0.01:
        return rng.choice(ODD)
    holder, key = rng.choice(places)
    match rng.randrange(8):
        case 0 | 1 | 2 | 3:
            holder[key] = _odd(rng)
        case 4:
            del holder[key]
        case 5:
            holder[key] = rng.choice(([holder[key]], {"a": holder[key]}, str(holder[key]), [holder[key]] * 2))
        case 6:
            other, at = rng.choice(places)
            if at in other if isinstance(other, dict) else at < len(other):
                holder[key], other[at] = other[at], _copy(holder[key])
        case _:
            if isinstance(holder, dict):
                holder[rng.choice(KEYS)] = _odd(rng)
            else:
                holder.insert(key, _odd(rng))
    return root


def _odd(rng: Random) -> Any:
    roll = rng.random()
    if roll < 0.01:
        return "长" * 70_000
    if roll < 0.02:
        deep: Any = 0
        for _ in range(rng.choice((20, 100, 180))):
            deep = [deep] if rng.random() < 0.5 else {"a": deep}
        return deep
    return _copy(rng.choice(ODD))


def _copy(value: Any) -> Any:
    return json.loads(json.dumps(value))


def _places(value: Any) -> Any:
    """(container, key or index) of everything in it."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield value, key
            yield from _places(item)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield value, index
            yield from _places(item)


def dumped(rng: Random, value: Any) -> bytes:
    """JSON as bytes, now and then of a kind that is not quite JSON: NaN, halves of a sign, a key that stands twice."""
    raw = json.dumps(value, ensure_ascii=rng.random() < 0.5).encode("utf-8", "surrogatepass")
    if rng.random() < 0.03 and raw.startswith(b"{"):
        raw = b'{"%s":%s,' % (rng.choice(KEYS).encode(), json.dumps(_odd(rng)).encode()) + raw[1:]
    if rng.random() < 0.005:
        raw = raw.replace(b":", b":" + b"[" * DEEP, 1)
    return raw


def damaged(rng: Random, raw: bytes) -> bytes:
    """Bytes with something cut out, put in, doubled or turned."""
    for _ in range(rng.choice((1, 1, 2, 4))):
        at = rng.randrange(len(raw) + 1)
        to = min(len(raw), at + rng.choice((1, 1, 2, 5, 40)))
        match rng.randrange(6):
            case 0:
                raw = raw[:at] + raw[to:]
            case 1:
                raw = raw[:to] + raw[at:]
            case 2:
                raw = raw[:at] + bytes(byte ^ (1 << rng.randrange(8)) for byte in raw[at:to]) + raw[to:]
            case 3 | 4:
                raw = raw[:at] + rng.choice(JUNK) + raw[at:]
            case _:
                raw = raw[:at]
    return raw


ERRORS: tuple[Json, ...] = (
    {"error": {"message": "overloaded", "type": "server_error", "code": "1305"}}, {"error": "no"},
    {"code": "Throttling", "message": "slow"},
    {"error_code": 336100, "error_msg": "busy"}, {"base_resp": {"status_code": 1002, "status_msg": "limit"}}, {"error": {}}, {"error": 1},
)  # fmt: skip


def unsettled(rng: Random, raw: bytes) -> bytes:
    """A stream with an event lost, doubled, moved, broken, put in, or with odd types in it."""
    events = raw.split(b"\n\n")
    for _ in range(rng.choice((1, 1, 2, 3))):
        at = rng.randrange(len(events))
        match rng.randrange(10):
            case 0:
                del events[at]
            case 1:
                events.insert(at, events[at])
            case 2:
                events.insert(rng.randrange(len(events)), events.pop(at))
            case 3:
                told = rng.choice((*ERRORS, *ODD, "<html>"))
                events.insert(at, b"data: " + json.dumps(told).encode("utf-8", "surrogatepass"))
            case 4:
                events.insert(
                    at, rng.choice((b"data: [DONE]", b"<html>502</html>", b": ping", b"event: error\ndata: {}", b"data:", b"{}", b"id:1"))
                )
            case 5:
                del events[at:]
            case _:
                events[at] = _event(rng, events[at])
        if not events:
            return b""
    return b"\n\n".join(events)


def _event(rng: Random, event: bytes) -> bytes:
    """One event with its JSON made wrong."""
    head, mark, payload = event.rpartition(b"data:")
    try:
        told = json.loads(payload)
    except ValueError:
        return damaged(rng, event)
    return head + mark + dumped(rng, mutated(rng, told))
