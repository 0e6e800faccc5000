"""Adapters out of presets: each word of presets.yaml becomes the rule of the same name."""

from collections.abc import Callable, Mapping
from typing import Any

from providers.auth import API_KEY
from providers.base import Adapter, Auth, Change, Fault, Json, Kind, Outgoing, Stream, Target, Translator
from providers.embeddings import BASICS as EMBEDDINGS_BASICS
from providers.embeddings import dimensions
from providers.faults import Errors, Row, make_fault
from providers.fields import (
    THINKING_BUDGETS,
    Rule,
    answers,
    ask_for_usage,
    clamp,
    drop,
    drop_unless,
    kept_here,
    most_tokens,
    one_of,
    rename,
    served_model,
    stops,
)
from providers.json_mode import json_mode
from providers.messages import (
    Step,
    as_is,
    flat_text,
    image_without_detail,
    merge_systems,
    messages,
    no_null_content,
    only,
    parts,
    role,
    text_part,
)
from providers.openai_like import CHAT_BASICS, Chunks, OpenAIChat, OpenAIEmbeddings
from providers.preset import (
    Answers,
    Choice,
    Clamp,
    Dimensions,
    Drop,
    DropUnless,
    Efforts,
    Endpoint,
    Functions,
    JsonMode,
    MostTokens,
    OneOf,
    Only,
    Preset,
    Rename,
    Said,
    Stops,
)
from providers.preset_rerank import PresetRerank
from providers.rerank import BASICS as RERANK_BASICS
from providers.think_tags import Untagged, tagged, untag
from providers.tools import choice, functions, one_call

AUTH: Mapping[str, tuple[str, Auth]] = {"bearer": ("api_key", API_KEY)}
PLAIN: Mapping[str, Rule | None] = {
    "native": None,
    "served_model": served_model,
    "ask_for_usage": ask_for_usage,
    "kept_here": kept_here,
    "one_call": one_call,
}
PARTS: Mapping[str, Callable[[Json], Json | None]] = {"text_part": text_part, "image_without_detail": image_without_detail, "as_is": as_is}


def make_adapter(preset: Preset) -> Adapter:
    chat = preset.chat
    endpoints: dict[str, Translator] = {
        "chat": PresetChat(
            path=chat.path,
            fields={**CHAT_BASICS, **{field: make_rule(said) for field, said in chat.fields.items()}},
            finish=chat.finish,
            failed=chat.failed,
            reasoning="reasoning_content" if chat.reasoning == "think_tags" else chat.reasoning,
            errors=table(chat),
            words=chat.words,
            outcome=tuple(chat.outcome.split(".")) if chat.outcome else (),
            think_tags=chat.reasoning == "think_tags",
            mark=chat.goes_on.mark if chat.goes_on else None,
            beta=chat.goes_on.base if chat.goes_on else "",
        )
    }
    if preset.embeddings is not None:
        endpoints["embeddings"] = PresetEmbeddings(
            path=preset.embeddings.path,
            fields={**EMBEDDINGS_BASICS, **{field: make_rule(said) for field, said in preset.embeddings.fields.items()}},
            errors={**table(chat), **table(preset.embeddings)},
            words={**chat.words, **preset.embeddings.words},
        )
    if preset.rerank is not None:
        endpoints["rerank"] = PresetRerank(
            path=preset.rerank.path,
            fields={**RERANK_BASICS, **{field: make_rule(said) for field, said in preset.rerank.fields.items()}},
            errors={**table(chat), **table(preset.rerank)},
            words={**chat.words, **preset.rerank.words},
            judge=fault_of,
        )
    name, way = AUTH[preset.auth]
    return Adapter(preset.name, preset.surface, preset.base_url, endpoints, {name: way})


def table(endpoint: Endpoint) -> Errors:
    return {code: Row(kind, f"the provider's error {code}", 0, "docs") for code, kind in endpoint.errors.items()}


def make_rule(said: Said) -> Rule | None:
    """The rule that a word stands for; None: native."""
    match said:
        case str():
            return PLAIN[said]
        case Rename():
            return rename(said.rename)
        case Drop():
            return drop(said.drop)
        case DropUnless():
            return drop_unless(said.drop_unless, said.why)
        case Clamp():
            return clamp(*said.clamp, to=said.to)
        case MostTokens():
            return most_tokens(said.most_tokens, low=said.low, high=said.high)
        case OneOf():
            return one_of(said.one_of, otherwise=said.otherwise, why=said.why)
        case Stops():
            return stops(said.stops)
        case Answers():
            return answers(said.answers)
        case Functions():
            return functions(*said.functions, filled=said.filled, kinds=said.kinds)
        case Choice():
            return choice(*said.choice, named=said.named)
        case JsonMode():
            return json_mode(said.json_mode)
        case Efforts():
            return efforts(said)
        case Dimensions():
            return dimensions(said.dimensions)
        case Only():
            return messages_of(said)
    raise TypeError(f"no rule for {said!r}")


def messages_of(said: Only) -> Rule:
    steps: list[Step] = [role(old, new) for old, new in said.role.items()]
    steps += [tagged] if said.think_tags else []
    steps.append(only(*said.only))
    steps += [flat_text] if said.flat_text else []
    steps += [no_null_content] if said.no_null_content else []
    steps += [filled_reasoning] if said.filled_reasoning else []
    steps += [parts(**{kind: PARTS[form] for kind, form in said.parts.items()})] if said.parts else []
    plain = ("system", "user") if said.filled_reasoning else ("system", "user", "assistant")
    return messages(*steps, whole=(merge_systems,) if said.merge_systems else (), plain_roles=plain)


def filled_reasoning(message: Json, target: Target) -> tuple[Json, tuple[Change, ...]]:
    """For vendors that refuse an earlier answer whose reasoning has got lost: a blank stands for it."""
    if message["role"] != "assistant" or message.get("reasoning_content") or target.model.thinking == "none":
        return message, ()
    return {**message, "reasoning_content": " "}, ()


def efforts(said: Efforts) -> Rule:
    """`reasoning_effort` in the vendor's degrees, by its switch, or both; as far as the model is known to have either."""

    def rule(out: Json, field: str, value: Any, target: Target) -> tuple[Change, ...]:
        thinking, idle = target.model.thinking, value in ("none", "minimal")
        if thinking == "none":
            return () if idle else (Change(field, "dropped", why="the model does not think"),)
        switched = bool(said.switch) and thinking != "always"
        if switched:
            out.setdefault(said.switch, said.disabled if idle else said.enabled)
        degree = None if (idle and switched) or thinking == "switch" else said.efforts.get(value)
        if degree is not None:
            out[field] = degree
            return () if degree == value else (Change(field, "clamped", degree),)
        if switched and said.budget and value in THINKING_BUDGETS:
            out.setdefault(said.budget, THINKING_BUDGETS[value])
            return (Change(field, "emulated", said.budget),)
        if switched:
            return (Change(field, "emulated", said.switch),)
        return (Change(field, "dropped", why="the model always thinks" if thinking == "always" else "not offered"),)

    return rule


class PresetChat(OpenAIChat, frozen=True):
    """OpenAI's chat with what presets may say beyond its differences in fields and codes."""

    words: Mapping[str, Kind] = {}
    outcome: tuple[str, ...] = ()
    think_tags: bool = False
    beta: str = ""
    """The path of the base where a marked turn is gone on with, in place of the usual one's."""

    def request(self, body: Json, target: Target) -> Outgoing:
        if self.beta and self.mark and self.mark.items() <= body["messages"][-1].items():
            target = Target(target.base_url.rpartition("/")[0] + self.beta, target.model)
        return super().request(body, target)

    def response(self, body: bytes) -> Json:
        answer = super().response(body)
        if self.outcome and failed(answer, self.outcome):
            raise self.fault(200, {}, body)
        if self.think_tags:
            for said in answer["choices"]:
                untag(said.get("message") or {})
        return answer

    def stream(self) -> Stream:
        return Untagged(Chunks(self)) if self.think_tags else Chunks(self)

    def fault(self, status: int, headers: Mapping[str, str], body: bytes) -> Fault:
        return fault_of(self.errors, self.words, status, headers, body)

    def chunk(self, event: Json) -> Json | None:
        if event.get("error") or (self.outcome and failed(event, self.outcome)) or ("choices" not in event and "usage" not in event):
            raise fault_of(self.errors, self.words, 200, {}, event)
        for said in event.get("choices") or ():
            if said.get("usage") and not event.get("usage"):
                event["usage"] = said.pop("usage")  # where Kimi's older streams have it
        return super().chunk(event)

    def settle(self, choice: Json, said: Json) -> None:
        if isinstance(said.get("tool_calls"), dict):
            said["tool_calls"] = [said["tool_calls"]]  # a single call of Spark's
        super().settle(choice, said)


class PresetEmbeddings(OpenAIEmbeddings, frozen=True):
    words: Mapping[str, Kind] = {}

    def fault(self, status: int, headers: Mapping[str, str], body: bytes) -> Fault:
        return fault_of(self.errors, self.words, status, headers, body)


def failed(answer: Json, outcome: tuple[str, ...]) -> bool:
    told: Any = answer
    for key in outcome:
        told = told.get(key) if isinstance(told, dict) else None
    return told not in (None, 0, "", "0")


def fault_of(errors: Errors, words: Mapping[str, Kind], status: int, headers: Mapping[str, str], body: bytes | Json) -> Fault:
    """As `make_fault`, and by the preset's words where neither code nor status says more than that something was bad."""
    fault = make_fault(errors, status, headers, body)
    if words and fault.kind in ("bad_request", "broken"):
        message = fault.message.lower()
        fault.kind = next((kind for text, kind in words.items() if text.lower() in message), fault.kind)
    return fault
