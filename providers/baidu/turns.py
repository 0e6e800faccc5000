"""A conversation as the older API wants it: the system's words beside it, and turns that alternate strictly, user first and user last.

It knows one call a turn, as `function_call`, and its result as a turn of role `function` on the user's side:

    user, assistant(A, B), tool A, tool B   ──►   user, assistant(A), function A, assistant(B), function B
"""

from collections.abc import Sequence
from itertools import takewhile

from msgspec import DecodeError, ValidationError

from providers.baidu.rules import BLANK
from providers.base import Change, Fault, Json, decode, encode
from providers.messages import text_of

CONTINUE = "继续"
"""Asks an assistant that spoke last to go on; the SDK's own word for it."""


def turns(messages: Sequence[Json]) -> tuple[str, list[Json], tuple[Change, ...]]:
    """(the system's words, the turns, what was changed). Raises Fault("bad_request") for calls and results that do not belong together."""
    system = "\n\n".join(text_of(message) for message in messages if message["role"] == "system")
    spoken = [message for message in messages if message["role"] != "system"]
    if not spoken:
        return "", [{"role": "user", "content": system}], (Change("messages[].role:system", "renamed", "user"),)
    one_by_one, changes = unrolled(spoken)
    alternating, filled = alternate(one_by_one)
    if system:
        changes = (Change("messages[].role:system", "renamed", "system"), *changes)
    return system, alternating, changes + filled


def unrolled(messages: Sequence[Json]) -> tuple[list[Json], tuple[Change, ...]]:
    """Each call followed by its own result."""
    said: list[Json] = []
    changes: dict[Change, None] = {}
    awaited: set[str] = set()
    for number, message in enumerate(messages):
        calls = message.get("tool_calls")
        if message["role"] == "tool":
            if message["tool_call_id"] not in awaited:
                raise Fault(
                    "bad_request", f"tool result {message['tool_call_id']} answers no call", param=f"messages[{number}].tool_call_id"
                )
            continue  # it was said with its call
        awaited = {call["id"] for call in calls or ()}
        if not calls:
            said.append(message)
            continue
        results = {result["tool_call_id"]: result for result in takewhile(lambda later: later["role"] == "tool", messages[number + 1 :])}
        for call in calls:
            if call["id"] not in results or "function" not in call:
                raise Fault("bad_request", f"tool call {call['id']} has no result", param=f"messages[{number}].tool_calls")
            said.extend(call_and_result(call["function"], results[call["id"]], message["content"] if call is calls[0] else ""))
        changes[Change("messages[].tool_calls", "renamed", "function_call")] = None
        changes[Change("messages[].role:tool", "renamed", "function")] = None
        if len(calls) > 1:
            changes[Change("messages[].tool_calls", "emulated", "one by one", "one call a turn")] = None
    return said, tuple(changes)


def call_and_result(function: Json, result: Json, words: str) -> tuple[Json, Json]:
    called = {"name": function["name"], "arguments": function["arguments"]}
    return (
        {"role": "assistant", "content": words, "function_call": called},
        {"role": "function", "name": function["name"], "content": as_object(text_of(result))},
    )


def as_object(text: str) -> str:
    """A JSON object as it is, any other text inside of one: a result has to be an object."""
    try:
        decode(text)
    except (DecodeError, ValidationError, RecursionError):
        return encode({"result": text}).decode()
    return text


def alternate(said: Sequence[Json]) -> tuple[list[Json], tuple[Change, ...]]:
    """The same turns with blank ones between those of the same side."""
    out: list[Json] = []
    for turn in said:
        awaited = "assistant" if len(out) % 2 else "user"
        if (turn["role"] == "assistant") != (awaited == "assistant"):
            out.append({"role": awaited, "content": BLANK})
        out.append(turn)
    if len(out) % 2 == 0:
        out.append({"role": "user", "content": CONTINUE})
    return out, (Change("messages", "emulated", "filled", "speakers must take turns"),) if len(out) > len(said) else ()
