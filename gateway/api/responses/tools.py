"""Tools of the Responses API as chat has them, and calls told back by the names that the client knows.

Chat has functions with one name each. So a namespace's tools are flattened, and a custom tool is a function with one text as its argument.
What OpenAI hosts is left out and reported; a search of the web is asked for where a provider searches by itself.
"""

import re
from collections.abc import Sequence
from hashlib import sha256
from typing import Any

from msgspec import DecodeError, Struct

from gateway.api.validate import TOOL_NAME, array, boolean, fields, invalid, obj, one_of, string
from providers.base import Change, Json, decode, encode

MOST_TOOLS = 128
ALIAS = 55
"""Letters that are left of a name that is too long for chat; with the mark behind them it has the 64 that chat takes."""
SEARCHES = re.compile(r"web_search(_preview)?(_\d{4}_\d{2}_\d{2})?")
HOSTED = "hosted by OpenAI, and not here"
INPUT: Json = {
    "type": "object",
    "properties": {"input": {"type": "string", "description": "The whole input of the tool, as plain text."}},
    "required": ["input"],
    "additionalProperties": False,
}
"""What a custom tool takes, said as a function's parameters."""

tool = fields({"type": string}, required=("type",))
function = fields({"name": string, "description": string, "parameters": obj, "strict": boolean}, required=("name",))
custom = fields({"name": string, "description": string, "format": fields({"type": string}, required=("type",))}, required=("name",))
named = fields({"type": string, "name": string}, required=("type",))
allowed = fields({"mode": one_of("auto", "required"), "tools": array(named, least=1)}, required=("mode", "tools"))


class Known(Struct, frozen=True):
    """A tool as the client knows it."""

    name: str
    namespace: str = ""
    custom: bool = False


class Tools:
    """The tools of one request. All of it raises Refusal(400)."""

    def __init__(self, given: Sequence[Json] = (), *, strict: bool = False) -> None:
        """`strict`: nothing may be emulated, so that a custom tool is sent as chat's own kind."""
        self.said: list[Json] = []
        """As chat has them."""
        self.known: dict[str, Known] = {}
        """By their names in chat."""
        self.search: Json | None = None
        """`web_search_options`, if the client lets the model search the web."""
        self.changes: dict[Change, None] = {}
        self._strict = strict
        for index, one in enumerate(given):
            self._add(one, f"tools[{index}]")
        if len(self.said) > MOST_TOOLS:
            message = (
                f"Invalid 'tools': at most {MOST_TOOLS} functions are taken, those of namespaces among them, but got {len(self.said)}."
            )
            raise invalid("tools", message, "array_above_max_length")

    def _add(self, one: Any, path: str, namespace: str = "", about: str = "") -> None:
        tool(one, path)
        kind = one["type"]
        if kind == "function":
            function(one, path)
            self._function(one, path, namespace, about)
        elif kind == "custom":
            custom(one, path)
            self._custom(one, path, namespace, about)
        elif kind == "namespace" and not namespace:
            fields({"name": string, "description": string, "tools": array(obj)}, required=("name", "tools"))(one, path)
            for index, inner in enumerate(one["tools"]):
                self._add(inner, f"{path}.tools[{index}]", one["name"], one.get("description") or "")
        elif SEARCHES.fullmatch(kind):
            self.search = search_of(one)
        else:
            self.lose(f"tools[].{kind}", HOSTED)

    def lose(self, field: str, why: str) -> None:
        self.changes[Change(field[:100], "dropped", why=why)] = None

    def _function(self, one: Json, path: str, namespace: str, about: str) -> None:
        told: Json = {"name": self._name(Known(one["name"], namespace), path)}
        if words := described(about, one.get("description")):
            told["description"] = words
        told["parameters"] = one.get("parameters") or {"type": "object", "properties": {}}
        if one.get("strict"):
            told["strict"] = True
        self.said.append({"type": "function", "function": told})

    def _custom(self, one: Json, path: str, namespace: str, about: str) -> None:
        name = self._name(Known(one["name"], namespace, custom=True), path)
        shape = one.get("format") or {}
        words = described(about, one.get("description"))
        if self._strict:
            told: Json = {"name": name, **({"description": words} if words else {})}
            if shape:
                kept = {key: shape[key] for key in ("syntax", "definition") if key in shape}
                told["format"] = {"type": "grammar", "grammar": kept} if shape["type"] == "grammar" else {"type": shape["type"]}
            self.said.append({"type": "custom", "custom": told})
            return
        if shape.get("type") == "grammar":
            rule = f"The input has to follow this grammar ({shape.get('syntax') or 'lark'}):\n{shape.get('definition') or ''}"
            words = described(words, rule)
        self.changes[Change("tools[].custom", "emulated", "function")] = None
        self.said.append({"type": "function", "function": {"name": name, "description": words, "parameters": INPUT}})

    def _name(self, one: Known, path: str) -> str:
        name = self.name_of(one.name, one.namespace)
        if name in self.known:
            raise invalid(f"{path}.name", f"Invalid '{path}.name': there are two tools of the name '{one.name[:100]}'.", "invalid_value")
        self.known[name] = one
        if one.namespace:
            self.changes[Change("tools[].namespace", "emulated", "functions")] = None
        return name

    def name_of(self, name: str, namespace: str = "") -> str:
        """What chat is told for a client's name, also for one in a call of earlier turns."""
        joined = f"{namespace}__{name}" if namespace else name
        if TOOL_NAME.fullmatch(joined):
            return joined
        mark = sha256(joined.encode(errors="surrogatepass")).hexdigest()[:8]
        return f"{re.sub('[^a-zA-Z0-9_-]', '_', joined)[:ALIAS]}_{mark}"

    def called(self, name: str, kind: str) -> Known:
        """The tool that a model calls by a name of chat."""
        return self.known.get(name) or Known(name, custom=kind == "custom")

    def is_emulated(self, one: Known) -> bool:
        """Whether its input is in a function's arguments."""
        return one.custom and not self._strict

    def choice(self, given: Any) -> Any:
        """`tool_choice` in chat's words; None for none, or for what is left out with a report."""
        if isinstance(given, str):
            one_of("none", "auto", "required")(given, "tool_choice")
            if given == "required" and not self.said:
                self.lose("tool_choice", "no tool is left to choose")
            return given if self.said else None
        fields({"type": string}, required=("type",))(given, "tool_choice")
        if given["type"] == "allowed_tools":
            allowed(given, "tool_choice")
            left = [at for index, one in enumerate(given["tools"]) for at in self._allowed(one, f"tool_choice.tools[{index}]")]
            if not left:
                return "none" if self.said else None
            return {"type": "allowed_tools", "allowed_tools": {"mode": given["mode"], "tools": left}}
        if given["type"] in ("function", "custom"):
            return self._one(given, "tool_choice")
        self.lose(f"tool_choice.{given['type']}", HOSTED)
        return None

    def _allowed(self, one: Json, path: str) -> list[Json]:
        if one["type"] in ("function", "custom"):
            return [self._one(one, path)]
        if one["type"] == "namespace":
            return [chosen(said) for said in self.said if self.known[said[said["type"]]["name"]].namespace == one.get("name")]
        return []

    def _one(self, given: Json, path: str) -> Json:
        fields({"name": string, "namespace": string}, required=("name",))(given, path)
        name = self.name_of(given["name"], given.get("namespace") or "")
        found = [said for said in self.said if said[said["type"]]["name"] == name]
        if not found:
            message = f"Invalid '{path}.name': there is no tool '{given['name'][:100]}' in 'tools'."
            raise invalid(f"{path}.name", message, "invalid_value")
        return chosen(found[0])


def chosen(said: Json) -> Json:
    return {"type": said["type"], said["type"]: {"name": said[said["type"]]["name"]}}


def described(*texts: str | None) -> str:
    return "\n\n".join(filter(None, texts))


def search_of(one: Json) -> Json:
    """A search tool as chat's `web_search_options`."""
    options: Json = {}
    if size := one.get("search_context_size"):
        options["search_context_size"] = size
    if isinstance(place := one.get("user_location"), dict):
        near = {key: value for key, value in place.items() if key != "type" and value}
        options["user_location"] = {"type": "approximate", "approximate": near}
    return options


def arguments_of(text: str) -> str:
    """A custom tool's input as the arguments of the function that stands for it."""
    return encode({"input": text}).decode()


def input_of(arguments: str) -> str:
    """The input in a function's arguments; what is none of ours is the input itself."""
    try:
        given = decode(arguments)
    except (DecodeError, RecursionError):
        return arguments
    return given["input"] if isinstance(given.get("input"), str) else arguments
