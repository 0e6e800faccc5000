"""Rules for `tools` and `tool_choice`."""

from collections.abc import Sequence
from typing import Any

from providers.base import Change, Json, OneCall, Target
from providers.fields import Rule
from providers.messages import text_of

EMPTY_SCHEMA: Json = {"type": "object", "properties": {}}


def functions(*keys: str, filled: bool = False, kinds: Sequence[str] = ("function",)) -> Rule:
    """Function tools with the `keys` the vendor takes; `filled`: description and parameters are there even where the client left them out.

    Tools of another of the vendor's own `kinds` go through as they are; those of a kind it does not have are dropped.
    """
    kept = frozenset(keys or ("name", "description", "parameters"))
    blank = {"description": "", "parameters": EMPTY_SCHEMA} if filled else {}

    def rule(out: Json, field: str, value: Any, target: Target) -> tuple[Change, ...]:
        sent: list[Json] = []
        changes: dict[Change, None] = {}
        for tool in value:
            kind = tool["type"]
            if kind == "function":
                function = tool["function"]
                for key, given in function.items():
                    if key not in kept and given:
                        changes[Change(f"tools[].function.{key}", "dropped", why="not offered")] = None
                sent.append({"type": "function", "function": blank | {k: v for k, v in function.items() if k in kept and v is not None}})
            elif kind in kinds:
                sent.append(tool)
            else:
                changes[Change(f"tools[].{kind}", "dropped", why="this kind of tool is not offered")] = None
        if sent:
            out[field] = [*sent, *out.get(field, ())]  # beside a search that `web_search_options` may have put there
        return tuple(changes)

    return rule


def choice(*native: str, named: bool = False, as_object: bool = False) -> Rule:
    """`tool_choice` for vendors that take only some of its forms: those in `native` (auto, none, required), and naming one if `named`.

    The others are emulated: `none` by offering no tool, `required` by saying so, naming one by offering only that one and saying so.
    `as_object`: auto and none are said as {"mode": …}.
    """

    def rule(out: Json, field: str, value: Any, target: Target) -> tuple[Change, ...]:
        if not out.get("tools"):
            return (Change(field, "dropped", why="no tool is left to choose"),) if value not in ("none", "auto") else ()
        names, word = wanted(value)
        if names is not None and not (named and isinstance(value, dict) and value.get("type") == "function"):
            out["tools"] = [tool for tool in out["tools"] if tool.get("function", {}).get("name") in names]
            word = "required" if word == "named" else word
        elif names is not None:
            out[field] = value
            return ()
        if word in native:
            out[field] = {"mode": word} if as_object else word
            return () if value == word else (Change(field, "emulated", word),)
        if word == "none":
            del out["tools"]
            return (Change(field, "emulated", "none", "no tool is offered"),)
        if "auto" in native:
            out[field] = {"mode": "auto"} if as_object else "auto"
        if word == "auto":
            return () if value == word else (Change(field, "emulated", "auto"),)
        one = " or ".join(f"`{tool['function']['name']}`" for tool in out["tools"] if tool["type"] == "function")
        instruct(out, f"Answer by calling the function {one}, not in words.")
        return (Change(field, "emulated", "auto", "the model is told to call the tool"),)

    return rule


def one_call(out: Json, field: str, value: Any, target: Target) -> tuple[Change, ...]:
    """`parallel_tool_calls`, where the model decides: it is told to make one call at a time, and only the first is passed on."""
    if value or not out.get("tools"):
        return ()
    instruct(out, "Call one function at a time, never several at once.")
    return (Change(field, "emulated", "first call kept", "the model decides", OneCall()),)


def wanted(value: Any) -> tuple[set[str] | None, str]:
    """(names of the functions that `tool_choice` allows, None for all; auto, none, required or named)."""
    if isinstance(value, str):
        return None, value
    if value.get("type") == "allowed_tools":
        allowed = value["allowed_tools"]
        return {tool.get("function", {}).get("name") for tool in allowed["tools"]}, allowed["mode"]
    return {value[value["type"]]["name"]}, "named"


def instruct(out: Json, text: str) -> None:
    """Adds a sentence to the system message of the outgoing body."""
    first, *rest = out["messages"]
    if first["role"] == "system":
        out["messages"] = [{**first, "content": f"{text_of(first)}\n\n{text}"}, *rest]
    else:
        out["messages"] = [{"role": "system", "content": text}, first, *rest]
