"""Odd requests to every surface, made from OpenAI's schemas and a seed: a valid body, and up to three places of it where something else is.

What is pinned, such as the name of a model that is there, is mostly kept, so that most requests come further than the first check.
"""

import json
from collections.abc import Iterator
from copy import deepcopy
from random import Random
from typing import Any
from urllib.parse import quote, urlencode

from msgspec import Struct

from tests.contract.replies import DATA_URL, PICTURE, SOUND
from tests.contract.schema import schema

Json = Any
DEEPEST = 9
"""Levels of a value beyond which only what is required is made."""
OPTIONAL = 2.5
"""Of an object's optional fields, how many are there on average."""
OFTEN = 0.9
"""How often a model is there, or whatever else is known and asked for; beside an unknown one the rest is hardly looked at."""
SAID = ("model", "messages", "input", "prompt")
"""Known or not: what a request makes no sense without."""
WORDS = (
    "Hello",
    "user",
    "get_weather",
    "gpt-4o",
    "auto",
    "日本語のテキスト",
    "naïve 🙂",
    "a" * 70,
    DATA_URL,
    "Count to 9",
    "{}",
    "UNSAFE_INPUT",
)
HOLLOW = ("", " ", "\x00", "\u202e", "null", "x" * 100_000, "../..", "%00", "\r\nx: y", "data:image/png;base64,AAAA", "data:,")
NUMBERS = (0, -1, 1, 2**31, 2**53 + 1, 2**63, 0.5, -0.0, 1e-320, 1e308)
UNREADABLE = ("\ud800", 10**40, -(2**70), float("nan"), float("inf"))
"""What no reader of JSON has to take, or has room for."""
IDS = ("none", "resp_none", "file-none", "a" * 300, "..", "%2e%2e", "é", "\x00", " ", "'--", "null", "0", "🙂", "{id}")
ASKED = {"limit", "order", "after", "include[]", "purpose", "stream", "starting_after", "before", "metadata[a]"}
TYPES = (
    "application/json",
    "text/plain",
    "",
    "application/json; charset=latin-1",
    "multipart/form-data",
    "application/x-www-form-urlencoded",
)


class Request(Struct):
    """One request, as it is sent. `route`: of the document, for the shape of the answer."""

    route: str
    method: str
    target: str
    body: bytes = b""
    type: str = "application/json"

    def told(self) -> str:
        return f"{self.method} {self.target[:200]} ({self.type}) {self.body[:600]!r}"


class Odd:
    """Makes requests. `known`: what there is under a field's name or a path's; all by the surface's own `route`, or for any under ""."""

    def __init__(self, seed: int, known: dict[str, dict[str, list[Json]]]) -> None:
        self.random = Random(seed)
        self.known = known
        self.routes = {route: told for route, told in schema()["routes"].items() if route != "errors"}

    def requests(self, routes: list[str]) -> Iterator[Request]:
        """Without an end, the routes in turn."""
        while True:
            for route in routes:
                yield self.request(route)

    def request(self, route: str) -> Request:
        method, _, path = route.partition(" ")
        target = "/v1" + "/".join(self._part(part) for part in path.split("/"))
        told = self.routes[route]
        if self._chance(0.8 if "query" in told else 0.1):
            target += "?" + self._query(told.get("query", {}))
        bodies: dict[str, Json] = told.get("body", {})
        if not bodies:
            return Request(route, method, target)
        media = self.random.choice(sorted(bodies))
        value = self._pinned(route, self.valid(bodies[media]))
        for _ in range(self.random.choice((0, 1, 1, 1, 2, 3))):
            value = self.bent(value)
        if media == "application/json":
            body = json.dumps(value).encode()
        else:
            body, media = self._form(value, route)
        if self._chance(0.03):
            body = self._torn(body)
        return Request(route, method, target, body, media if self._chance(0.97) else self.random.choice(TYPES))

    def _chance(self, of: float) -> bool:
        return self.random.random() < of

    # ---- values ----

    def valid(self, of: Json, depth: int = 0) -> Json:
        """A value of the schema, mostly: patterns and lengths are not looked at."""
        if "$ref" in of:
            return self.valid(schema()["$defs"][of["$ref"].removeprefix("#/$defs/")], depth + 1)
        if "anyOf" in of:
            forms = of["anyOf"]
            return self.valid(forms[0] if depth > DEEPEST else self.random.choice(forms), depth + 1)
        if "allOf" in of:
            parts = [self.valid(part, depth) for part in of["allOf"]]
            return {name: value for part in parts for name, value in part.items()} if all(isinstance(p, dict) for p in parts) else parts[0]
        if "enum" in of:
            return self.random.choice(of["enum"])
        if "const" in of:
            return of["const"]
        return self._of_kind(of, of.get("type", "object" if "properties" in of else "string"), depth)

    def _of_kind(self, of: Json, kind: Any, depth: int) -> Json:
        if isinstance(kind, list):
            kind = self.random.choice(kind)
        if kind == "object":
            wanted, parts = set(of.get("required", ())), of.get("properties", {})
            chance = min(0.3, OPTIONAL / (len(parts) or 1)) if depth < DEEPEST else 0
            made = {name: self.valid(part, depth + 1) for name, part in parts.items() if name in wanted or self._chance(chance)}
            return made or ({} if parts else {"a": "b"})
        if kind == "array":
            least, most = of.get("minItems", 0), min(of.get("maxItems", 3), 3)
            return [
                self.valid(of.get("items", {}), depth + 1)
                for _ in range(self.random.randint(max(least, depth < DEEPEST), max(least, most)))
            ]
        if kind in ("integer", "number"):
            low, high = of.get("minimum", 0), of.get("maximum", 100)
            return (
                self.random.randint(int(low), max(int(low), int(high))) if kind == "integer" else self.random.uniform(low, max(low, high))
            )
        return {"boolean": self._chance(0.5), "null": None}.get(kind, self.random.choice(WORDS))

    def odd(self) -> Json:
        choose = self.random.choice
        kind = self.random.randrange(8)
        if kind == 0:
            return None
        if kind == 1:
            return choose((True, False, [], {}, [[]], [None], {"": None}, [{}], [""], {"type": None}, {"type": "text"}))
        if kind == 2:
            return choose(NUMBERS)
        if kind == 3:
            return self._deep(choose((3, 60, 60, 400))) if self._chance(0.5) else choose(UNREADABLE) if self._chance(0.3) else {}
        if kind == 4:
            return [choose(WORDS)] * choose((1, 5, 3000))
        return choose(HOLLOW if kind < 7 else WORDS)

    def _deep(self, levels: int) -> Json:
        made: Json = "deep"
        for _ in range(levels):
            made = [made] if levels % 2 else {"a": made}
        return made

    def bent(self, value: Json) -> Json:
        """The value with one thing changed somewhere: put, left out, added or doubled."""
        places = list(_places(value))
        if not places or self._chance(0.02):
            return self.odd()
        holder, name = self.random.choice(places)
        kind = self.random.randrange(6)
        if kind < 3:
            holder[name] = self.odd()
        elif kind == 3:
            del holder[name]
        elif isinstance(holder, dict):
            holder[self.random.choice((*HOLLOW, "unknown", "type", "id", "role", "content", "stream", "n"))] = self.odd()
        else:
            holder.append(holder[name] if kind == 4 else self.odd())
        return value

    def _pinned(self, route: str, value: Json) -> Json:
        if isinstance(value, dict):
            for name, there in {**self.known.get("", {}), **self.known.get(route, {})}.items():
                asked = name in value or (name in SAID and name in self.known.get(route, {}))
                if asked and self._chance(OFTEN):
                    value[name] = deepcopy(self.random.choice(there))
        return value

    # ---- the address, forms, bytes ----

    def _part(self, part: str) -> str:
        if not part.startswith("{"):
            return part
        there = self.known.get("", {}).get(part, [])
        return quote(str(self.random.choice(there if there and self._chance(0.6) else IDS)), safe="")

    def _query(self, of: dict[str, Json]) -> str:
        pairs = [(name, self.valid(part)) for name, part in of.items() if self._chance(0.5)]
        if self._chance(0.5):
            pairs.append((self.random.choice(sorted(ASKED)), self.odd()))
        there = self.known.get("", {}).get("after", [])
        pairs = [(name, self.random.choice(there) if name == "after" and there and self._chance(0.5) else value) for name, value in pairs]
        flat = [(name, one) for name, value in pairs for one in (value[:9] if isinstance(value, list) else [value])]
        return urlencode([(name, str(one)[:2000].encode(errors="replace")) for name, one in flat])

    def _form(self, value: Json, route: str) -> tuple[bytes, str]:
        """(the body, its type)."""
        mark = "a-line-between"
        parts: list[bytes] = []
        for name, text in _flat(value) if isinstance(value, dict) else ():
            binary = name.removesuffix("[]") in ("file", "image", "mask", "data") and self._chance(0.9)
            data = self._file(route) if binary else text.encode(errors="replace")
            file = f'; filename="{self.random.choice(("a.png", "a.jsonl", "a.wav", "", "größe.bin"))}"' if binary else ""
            shown = name.encode(errors="replace").replace(b"\r\n", b"").replace(b'"', b"%22").decode()
            parts.append(f'--{mark}\r\ncontent-disposition: form-data; name="{shown}"{file}\r\n\r\n'.encode() + data + b"\r\n")
        return b"".join(parts) + f"--{mark}--\r\n".encode(), f"multipart/form-data; boundary={mark}"

    def _file(self, route: str) -> bytes:
        usual = SOUND if "audio" in route else PICTURE if "images" in route else b'{"custom_id":"a"}\n'
        return usual if self._chance(0.7) else self.random.choice((b"", b"\x00", b"{", usual[:30], b"RIFF", usual * 3))

    def _torn(self, body: bytes) -> bytes:
        at = self.random.randrange(len(body) + 1)
        return self.random.choice((body[:at], b"\xef\xbb\xbf" + body, body[:at] + b"\xff\xfe" + body[at:], b"", b"[" * 5000, body + b"}"))


def _places(value: Json) -> Iterator[tuple[Any, Any]]:
    """(what holds it, its name or number) of everything inside."""
    todo = [value]
    while todo:
        at = todo.pop()
        for name, one in at.items() if isinstance(at, dict) else enumerate(at) if isinstance(at, list) else ():
            yield at, name
            todo.append(one)


def _flat(value: Json, prefix: str = "") -> Iterator[tuple[str, str]]:
    """The fields of a form: `a[b]` for what is in an object, `a[]` for each of a list."""
    for name, one in value.items():
        name = f"{prefix}[{name}]" if prefix else name
        if isinstance(one, dict) and len(prefix) < 60:
            yield from _flat(one, name)
        elif isinstance(one, list):
            yield from ((f"{name}[]", str(part)) for part in one[:20])
        else:
            yield name, "true" if one is True else "false" if one is False else str(one)
