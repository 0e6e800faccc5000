"""What servers of OpenAI's format have in common on the wire, and the rules that several of them share."""

from collections.abc import Mapping
from typing import Any

from providers.base import Change, Fault, Json, Target
from providers.embeddings import dimensions
from providers.messages import Step
from providers.openai_compatible.errors import PHRASES, Phrases, fault_of
from providers.openai_like import OpenAIChat, OpenAIEmbeddings

NAMED_TWICE = ("reasoning", "reasoning_content")


class CompatibleChat(OpenAIChat, frozen=True):
    phrases: Phrases = PHRASES["v1"]

    def fault(self, status: int, headers: Mapping[str, str], body: bytes) -> Fault:
        return fault_of(self.errors, self.phrases, status, headers, body)

    def chunk(self, event: Json) -> Json | None:
        if event.get("error") or event.get("object") == "error":
            raise fault_of(self.errors, self.phrases, 200, {}, event)
        return super().chunk(event)

    def settle(self, choice: Json, said: Json) -> None:
        """Reasoning is `reasoning` at vLLM and Ollama, `reasoning_content` at the others; some send both, one of them null."""
        super().settle(choice, said)
        if "reasoning" in said:
            reasoning = said.pop("reasoning")
            if isinstance(reasoning, str) and not said.get("reasoning_content"):
                said["reasoning_content"] = reasoning


class KnownChat(CompatibleChat, frozen=True):
    """Of a server whose make is known: what it adds to OpenAI's reply is taken out. They send `[DONE]` after a failure too."""

    done_ends: bool = False
    always: frozenset[str] = frozenset()
    """Keys that come unasked."""
    asked: frozenset[str] = frozenset()
    """Keys that say something only where the client has asked for it, and are null elsewhere."""

    def response(self, body: bytes) -> Json:
        return self.bare(super().response(body))

    def chunk(self, event: Json) -> Json | None:
        kept = super().chunk(event)
        return None if kept is None else self.bare(kept)

    def settle(self, choice: Json, said: Json) -> None:
        super().settle(choice, said)
        self.bare(choice)

    def bare(self, told: Json) -> Json:
        """Without the keys that are the server's own. Edits what it is given."""
        for key in [key for key, value in told.items() if key in self.always or (value is None and key in self.asked)]:
            del told[key]
        return told


class CompatibleEmbeddings(OpenAIEmbeddings, frozen=True):
    phrases: Phrases = PHRASES["v1"]

    def fault(self, status: int, headers: Mapping[str, str], body: bytes) -> Fault:
        return fault_of(self.errors, self.phrases, status, headers, body)


# ---- rules ----


def reasoning_as(name: str) -> Step:
    """The reasoning of earlier turns under the server's name for it."""
    (other,) = (one for one in NAMED_TWICE if one != name)

    def step(message: Json, target: Target) -> tuple[Json, tuple[Change, ...]]:
        if not message.get(other):
            return message, ()
        told = {key: value for key, value in message.items() if key != other}
        return {name: message[other], **told}, (Change(f"messages[].{other}", "renamed", name),) if name not in message else ()

    return step


def switched_effort(out: Json, field: str, value: Any, target: Target) -> tuple[Change, ...]:
    """Where the template of a model only has a switch, `enable_thinking`, an effort turns it on or off; else the server has degrees."""
    thinking = target.model.thinking
    if thinking == "none":
        return (Change(field, "dropped", why="the model does not think"),) if value != "none" else ()
    if thinking != "switch":
        out[field] = value
        return ()
    switch = {"enable_thinking": value not in ("none", "minimal")}
    out["chat_template_kwargs"] = {**switch, **out.get("chat_template_kwargs", {})}
    return (Change(field, "emulated", "chat_template_kwargs"),)


def template_kwargs(out: Json, field: str, value: Any, target: Target) -> tuple[Change, ...]:
    """The client's own go before what an effort has become."""
    out[field] = {**out.get(field, {}), **value}
    return ()


def room(out: Json, field: str, value: Any, target: Target) -> tuple[Change, ...]:
    """A limit that the context could never hold is refused by the server, and means none: the room that is left is the limit."""
    if target.model.context and value >= target.model.context:
        return (Change(field, "clamped", "context", "no answer can be longer than the room that is left"),)
    out[field] = value
    return ()


def width(out: Json, field: str, value: Any, target: Target) -> tuple[Change, ...]:
    """`dimensions`: known models have those of the catalog; of others the server says itself what it has."""
    if target.model.dimensions:
        return known_width(out, field, value, target)
    out[field] = value
    return ()


known_width = dimensions("dimensions")
