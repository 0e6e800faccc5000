"""Rules for `messages`: the one field that is a list of little documents. A step rewrites one message; the list as a whole is a rule."""

from collections.abc import Callable, Mapping
from typing import Any

from providers.base import Change, Fault, Json, Target, encode
from providers.fields import Rule

Step = Callable[[Json, Target], tuple[Json, tuple[Change, ...]]]
"""(message, target) → the message to send and what was changed. A message is never edited: a changed one is a new dict."""

PLAIN = len(("role", "content"))


def messages(*steps: Step, whole: tuple[Rule, ...] = (), plain_roles: tuple[str, ...] = ("system", "user", "assistant")) -> Rule:
    """Applies `steps` to each message, then the `whole` rules to the list.

    A message of role and text alone, of a role in `plain_roles`, needs no step: most are, and this is the hot path.
    """

    def rule(out: Json, field: str, value: Any, target: Target) -> tuple[Change, ...]:
        sent: list[Json] = []
        changes: dict[Change, None] = {}  # the same change of many messages is said once
        for message in value:
            if len(message) == PLAIN and message.get("role") in plain_roles and isinstance(message.get("content"), str):
                sent.append(message)
                continue
            for step in steps:
                message, changed = step(message, target)
                if changed:
                    changes |= dict.fromkeys(changed)
            sent.append(message)
        out[field] = sent
        for of_all in whole:
            changes |= dict.fromkeys(of_all(out, field, sent, target))
        return tuple(changes)

    return rule


def role(old: str, new: str) -> Step:
    """Says `new` where OpenAI says `old`."""

    def step(message: Json, target: Target) -> tuple[Json, tuple[Change, ...]]:
        if message["role"] != old:
            return message, ()
        return {**message, "role": new}, (Change(f"messages[].role:{old}", "renamed", new),)

    return step


def only(*keys: str, why: str = "not offered") -> Step:
    """Keeps the keys the vendor takes. What the client left null or empty is not missed; the rest is reported.

    A call of a custom tool becomes one of a function, the only kind there is, with its text as the one argument `input`.
    """
    kept = frozenset(keys)

    def step(message: Json, target: Target) -> tuple[Json, tuple[Change, ...]]:
        changes: tuple[Change, ...] = ()
        if any("custom" in call for call in message.get("tool_calls") or ()):
            message = {**message, "tool_calls": list(map(function_call, message["tool_calls"]))}
            changes = (Change("messages[].tool_calls[].custom", "emulated", "function"),)
        if message.keys() <= kept:
            return message, changes
        changes += tuple(Change(f"messages[].{key}", "dropped", why=why) for key, value in message.items() if value and key not in kept)
        return {key: value for key, value in message.items() if key in kept}, changes

    return step


def function_call(call: Json) -> Json:
    if "custom" not in call:
        return call
    custom = call["custom"]
    function = {"name": custom["name"], "arguments": encode({"input": custom["input"]}).decode()}
    return {"id": call["id"], "type": "function", "function": function}


def flat_text(message: Json, target: Target) -> tuple[Json, tuple[Change, ...]]:
    """Content parts that are all text become one string: the same meaning, and every model takes it. A refusal is text too."""
    parts = message.get("content")
    if not isinstance(parts, list) or any(part.get("type") not in WORDS for part in parts):
        return message, ()
    return {**message, "content": "".join(part[part["type"]] for part in parts)}, ()


WORDS = ("text", "refusal")
"""Kinds of content part that are words, under the key of their kind."""


def no_null_content(message: Json, target: Target) -> tuple[Json, tuple[Change, ...]]:
    """An assistant turn that only calls tools has no content: "" where the vendor wants a string."""
    return ({**message, "content": ""}, ()) if message.get("content") is None else (message, ())


def parts(**forms: Callable[[Json], Json | None]) -> Step:
    """Content parts by type: a function that says the part in the vendor's way. A type without one is dropped and reported.

    A function returns None for a part that the vendor cannot be given.
    """

    def step(message: Json, target: Target) -> tuple[Json, tuple[Change, ...]]:
        content = message.get("content")
        if not isinstance(content, list):
            return message, ()
        said: list[Json] = []
        lost: list[Change] = []
        for part in content:
            form = forms.get(part["type"])
            told = form(part) if form else None
            if told is None:
                lost.append(Change(f"messages[].content[].{part['type']}", "dropped", why="this kind of content is not offered"))
            else:
                said.append(told)
        if not said:
            raise Fault("unsupported", f"nothing of this message's content can be sent to model {target.model.id}", param="messages")
        return {**message, "content": said}, tuple(lost)

    return step


def as_is(part: Json) -> Json:
    return part


def text_part(part: Json) -> Json:
    return {"type": "text", "text": part["text"]}


def image_without_detail(part: Json) -> Json:
    """OpenAI's image part without `detail`, which few vendors know and none needs."""
    return {"type": "image_url", "image_url": {"url": part["image_url"]["url"]}}


def data_url(url: str) -> tuple[str, str] | None:
    """(media type, base64 text) of a `data:` URL; None for any other."""
    if not url.startswith("data:"):
        return None
    head, _, data = url.partition(",")
    return head[5:].partition(";")[0], data


def merge_systems(out: Json, field: str, value: Any, target: Target) -> tuple[Change, ...]:
    """All system messages as one, in front: for vendors that take only that."""
    systems = [message for message in value if message["role"] == "system"]
    if not systems or (len(systems) == 1 and value[0] is systems[0]):
        return ()
    text = "\n\n".join(map(text_of, systems))
    out[field] = [{"role": "system", "content": text}, *(message for message in value if message["role"] != "system")]
    return (Change("messages[].role:system", "emulated", "merged"),)


def user_speaks(out: Json, field: str, value: Any, target: Target) -> tuple[Change, ...]:
    """A conversation in which the user has said something and is to be answered, for vendors that take no other.

    A system message that comes last becomes the user's, if nobody but the assistant has spoken; after an assistant's last word, the user
    asks it to go on.
    """
    sent = out[field]
    if sent[-1]["role"] == "assistant" and not sent[-1].get("tool_calls"):
        out[field] = [*sent, {"role": "user", "content": GO_ON}]
        return (Change("messages[].role:assistant", "emulated", "asked to go on", "the vendor wants the last word to be the user's"),)
    if sent[-1]["role"] == "system" and all(message["role"] in ("system", "assistant") for message in sent):
        out[field] = [*sent[:-1], {**sent[-1], "role": "user"}]
        return (Change("messages[].role:system", "emulated", "user", "the vendor wants the user to have said something"),)
    return ()


GO_ON = "继续"


def no_blanks(filler: str) -> Rule:
    """Puts `filler` where a vendor refuses a turn without words; beside a call there need be none."""

    def rule(out: Json, field: str, value: Any, target: Target) -> tuple[Change, ...]:
        if not any(map(is_blank, out[field])):
            return ()
        out[field] = [{**message, "content": filler} if is_blank(message) else message for message in out[field]]
        return (Change("messages[].content", "emulated", filler, "an empty text is refused"),)

    return rule


def is_blank(message: Json) -> bool:
    content = message.get("content")
    return not message.get("tool_calls") and (not content or (isinstance(content, str) and not content.strip()))


def text_of(message: Mapping[str, Any]) -> str:
    """A message's words, whether it has a string or parts."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    return "".join(part["text"] for part in content or () if part.get("type") == "text")
