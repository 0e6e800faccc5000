"""What OpenAI's models take, and how their answers read: the same at OpenAI and at Azure, which imports this.

The fields differ by generation. GPT-3.5 to 4.1 take all but an effort of reasoning. The o-series and GPT-5 and later count their reasoning
in `max_completion_tokens`, have no `stop`, and are not told how to sample; those whose reasoning can be turned off may then be told.

Facts from openai-python 3.54.0 and LiteLLM 1.109.1, read 2026-11-23.
"""

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from msgspec import Struct

from providers.base import Change, Fault, Json, Model, Outgoing, Target, encode
from providers.fields import Fields, Rule, all_dropped, all_native, apply, drop, drop_unless, kept_here, native, stops
from providers.json_mode import json_mode
from providers.messages import messages, parts, text_part
from providers.openai_like import OpenAIChat, OpenAIEmbeddings
from providers.tools import functions, one_call

# ---- generations ----

EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh")
"""In their order. `max` is for the Responses API; chat completions refuse it."""
REASONING = re.compile(r"(ft:)?(o\d|gpt-(?!35)([5-9]|\d\d)(?!-chat))")
"""Names of models that reason, where the catalog does not know the model. Azure says gpt-35 for GPT-3.5."""
NEWER = re.compile(r"(ft:)?(o\d|gpt-(?!35)([5-9]|\d\d))")
"""Names of models that know `max_completion_tokens` alone."""


class Family(Struct, frozen=True):
    """Models that take the same efforts."""

    name: re.Pattern[str]
    efforts: tuple[str, ...]
    usual: str
    """The effort of a request that says none."""


FAMILIES = (
    Family(re.compile(r"gpt-5\.1"), ("none", "low", "medium", "high"), "none"),
    Family(re.compile(r"gpt-5\.[2-4]"), ("none", "low", "medium", "high", "xhigh"), "none"),
    Family(re.compile(r"gpt-5(?!\.)"), ("minimal", "low", "medium", "high"), "medium"),
    Family(re.compile(r"gpt-"), ("none", "low", "medium", "high", "xhigh"), "medium"),
    Family(re.compile(r""), ("low", "medium", "high"), "medium"),
)
"""The first that fits."""


def reasons(model: Model) -> bool:
    return model.thinking != "none" if model.thinking else bool(REASONING.match(model.id))


def family(model: Model) -> Family:
    found = next(one for one in FAMILIES if one.name.match(model.id.removeprefix("ft:")))
    if model.thinking != "always":
        return found
    return Family(found.name, tuple(effort for effort in found.efforts if effort != "none"), found.usual)


def nearest(effort: str, efforts: tuple[str, ...]) -> str:
    """The least of `efforts` that is not below; else the highest."""
    rank = EFFORTS.index(effort) if effort in EFFORTS else len(EFFORTS)
    return next((one for one in efforts if EFFORTS.index(one) >= rank), efforts[-1])


def release(model_id: str) -> tuple[int, int]:
    """(5, 4) for gpt-5.4; (0, 0) for what is not of that line."""
    found = re.match(r"gpt-(\d+)(?:\.(\d+))?(?![\do])", model_id)
    return (int(found[1]), int(found[2] or 0)) if found else (0, 0)


# ---- single fields ----


def limit(out: Json, field: str, value: Any, target: Target) -> tuple[Change, ...]:
    """`max_tokens` and `max_completion_tokens`: the lower of the two as one, within what the model can give."""
    name = "max_completion_tokens" if NEWER.match(target.model.id) else field
    kept = min(value, target.model.output or value)
    for other in ("max_tokens", "max_completion_tokens"):
        if other in out:
            kept, name = min(kept, out.pop(other)), "max_completion_tokens"
    out[name] = kept
    if kept != value:
        return (Change(field, "clamped", str(kept)),)
    return (Change(field, "renamed", name),) if name != field else ()


def tool_choice(out: Json, field: str, value: Any, target: Target) -> tuple[Change, ...]:
    """All forms are native, but a choice wants tools to choose from."""
    if out.get("tools"):
        out[field] = value
        return ()
    return (Change(field, "dropped", why="no tool is left to choose"),) if value not in ("none", "auto") else ()


def parallel(out: Json, field: str, value: Any, target: Target) -> tuple[Change, ...]:
    """The o-series has no such field; elsewhere it wants tools too."""
    if re.match(r"(ft:)?o\d", target.model.id):
        return one_call(out, field, value, target)
    if out.get("tools"):
        out[field] = value
    return ()


def stream_options(out: Json, field: str, value: Any, target: Target) -> tuple[Change, ...]:
    """Usage is asked for in any case; padding against eavesdroppers as the client wants it."""
    if "include_obfuscation" in value:
        out[field] = {**out.get(field, {}), "include_obfuscation": value["include_obfuscation"]}
    return ()


def streamed(out: Json, field: str, value: Any, target: Target) -> tuple[Change, ...]:
    out[field] = value
    if value:
        out["stream_options"] = {**out.get("stream_options", {}), "include_usage": True}
    return ()


def only_for(names: str, why: str, *, unless: Any = None) -> Rule:
    """A field that only models with such names have; it is not missed where it says what happens anyhow."""
    pattern = re.compile(names)

    def rule(out: Json, field: str, value: Any, target: Target) -> tuple[Change, ...]:
        if pattern.search(target.model.id):
            out[field] = value
            return ()
        return (Change(field, "dropped", why=why),) if value != unless else ()

    return rule


# ---- messages ----

KEYS: Mapping[str, frozenset[str]] = MappingProxyType({
    "system": frozenset({"role", "content", "name"}),
    "developer": frozenset({"role", "content", "name"}),
    "user": frozenset({"role", "content", "name"}),
    "assistant": frozenset({"role", "content", "name", "refusal", "audio", "tool_calls", "function_call"}),
    "tool": frozenset({"role", "content", "tool_call_id"}),
    "function": frozenset({"role", "content", "name"}),
})  # fmt: skip
"""Of a message, by role."""


def own_keys(message: Json, target: Target) -> tuple[Json, tuple[Change, ...]]:
    """A message with the keys of its role. What else another vendor's answer brought along is reported, unless it is empty."""
    kept = KEYS[message["role"]]
    lost = tuple(Change(f"messages[].{key}", "dropped", why="not known") for key, value in message.items() if value and key not in kept)
    told = {key: value for key, value in message.items() if key in kept and (value is not None or key == "content")}
    if calls := told.get("tool_calls"):
        told["tool_calls"] = list(map(own_call, calls))
    elif "tool_calls" in told:
        del told["tool_calls"]
    return told, lost


def own_call(call: Json) -> Json:
    if "function" not in call:
        return call
    function = call["function"]
    return {"id": call["id"], "type": "function", "function": {"name": function["name"], "arguments": function["arguments"]}}


def image_part(part: Json) -> Json:
    image = part["image_url"]
    return {"type": "image_url", "image_url": {key: image[key] for key in ("url", "detail") if image.get(key)}}


MARKS = re.compile(r"gpt-(?!35)(5\.[6-9]|[6-9]|[1-9]\d)")
"""Models with marks and options for the cache."""


def marked(form: Callable[[Json], Json]) -> Callable[[Json], Json]:
    def part_with_mark(part: Json) -> Json:
        mark = part.get("prompt_cache_breakpoint")
        return {**form(part), "prompt_cache_breakpoint": mark} if mark else form(part)

    return part_with_mark


def whole_part(part: Json) -> Json:
    """A part with what stands under its own name."""
    return {"type": part["type"], part["type"]: part[part["type"]]}


FORMS = {"text": text_part, "image_url": image_part, "input_audio": whole_part, "file": whole_part, "refusal": whole_part}
PLAIN_PARTS = parts(**FORMS)
MARKED_PARTS = parts(**{kind: marked(form) for kind, form in FORMS.items()})


def own_parts(message: Json, target: Target) -> tuple[Json, tuple[Change, ...]]:
    """Content in parts. Marks for the cache, which change no answer, go only to models that know them."""
    return (MARKED_PARTS if MARKS.search(target.model.id) else PLAIN_PARTS)(message, target)


# ---- tables ----

SAMPLING: Fields = {
    "temperature": drop_unless(1, "the model samples as it will while it reasons"),
    "top_p": drop_unless(1, "the model samples as it will while it reasons"),
    "logprobs": drop_unless(False, "not told by a model that reasons"),
    "top_logprobs": drop_unless(0, "not told by a model that reasons"),
}
EFFORTLESS = "the model does not reason"
OLDER: Fields = MappingProxyType({
    "messages": messages(own_keys, own_parts, plain_roles=("system", "developer", "user", "assistant")),
    "stream": streamed,
    "stream_options": stream_options,
    "max_tokens": limit,
    "max_completion_tokens": limit,
    "stop": stops(4),
    "tools": functions("name", "description", "parameters", "strict", kinds=("function", "custom")),
    "tool_choice": tool_choice,
    "parallel_tool_calls": parallel,
    "response_format": json_mode("schema"),
    "reasoning_effort": drop_unless("none", EFFORTLESS),
    "verbosity": drop_unless("medium", "GPT-5 and later alone have it"),
    "web_search_options": only_for("search", "models for search alone have it"),
    "prediction": only_for(r"gpt-4(o|\.1)", "GPT-4o and 4.1 alone have it"),
    "prompt_cache_options": drop("GPT-5.6 and later alone have it"),
    **all_native(
        "temperature", "top_p", "presence_penalty", "frequency_penalty", "logit_bias", "logprobs", "top_logprobs", "n", "seed", "user",
        "store", "metadata", "service_tier", "modalities", "audio", "moderation", "prompt_cache_key", "prompt_cache_retention",
        "safety_identifier", "functions", "function_call",
    ),
})  # fmt: skip
"""GPT-3.5 to 4.1, and what is made of them. `model` is the surface's own affair."""

QUIET: Fields = MappingProxyType({
    **OLDER,
    "stop": stops(0),
    "reasoning_effort": native,
    "verbosity": native,
    "prompt_cache_options": only_for(MARKS.pattern, "GPT-5.6 and later alone have it"),
    "presence_penalty": drop_unless(0, "the model has none"),
    "frequency_penalty": drop_unless(0, "the model has none"),
    "modalities": drop_unless(["text"], "the model answers in text"),
    "logit_bias": drop_unless({}, "the model takes none"),
    **all_dropped("not offered by models that reason", "prediction", "audio"),
})  # fmt: skip
"""Models that could reason, and do not for this request."""

THINKING: Fields = MappingProxyType({**QUIET, **SAMPLING, "verbosity": only_for("gpt-", "the o-series has none", unless="medium")})


class Generations(Struct, frozen=True):
    """What becomes of a field, by what the model is."""

    older: Fields = OLDER
    quiet: Fields = QUIET
    thinking: Fields = THINKING
    efforts: bool = True
    """Whether a request can say `reasoning_effort`."""

    def under(self, rules: Fields, *, efforts: bool = True) -> "Generations":
        """The same with other rules over all three."""
        return Generations({**self.older, **rules}, {**self.quiet, **rules}, {**self.thinking, **rules}, self.efforts and efforts)


# ---- endpoints ----

Judge = Callable[[int, Mapping[str, str], bytes | Json], Fault]
"""(HTTP status, headers in lower case, body) → what went wrong."""


class Chat(OpenAIChat, frozen=True, kw_only=True):
    """Chat completions of OpenAI's models."""

    url: Callable[[Target, str], str]
    """(target, the endpoint's path) → where to."""
    generations: Callable[[str], Generations]
    """By the API's version."""
    judge: Judge
    calls_quietly: tuple[int, int] = (5, 4)
    """From this release on, functions are called only by a model that does not reason."""

    def request(self, body: Json, target: Target) -> Outgoing:
        generations = self.generations(target.version)
        if not reasons(target.model):
            return self._outgoing(generations.older, body, (), target)
        known = family(target.model)
        asked = body.get("reasoning_effort")
        effort = nearest(asked, known.efforts) if asked and generations.efforts else None
        if "none" in known.efforts and release(target.model.id) >= self.calls_quietly and calls_functions(body):
            if not generations.efforts and known.usual != "none":
                raise Fault("unsupported", "it calls functions with no effort alone, which the API version cannot say", param="tools")
            effort = "none" if generations.efforts else effort
        fields = generations.quiet if (effort or known.usual) == "none" else generations.thinking
        changes: tuple[Change, ...] = ()
        if effort and effort != asked:
            body = {**body, "reasoning_effort": effort}
            if asked:
                changes = (Change("reasoning_effort", "clamped", effort),)
        return self._outgoing(fields, body, changes, target)

    def _outgoing(self, fields: Fields, body: Json, changes: tuple[Change, ...], target: Target) -> Outgoing:
        out, more = apply(fields, self.others, body, target)
        return Outgoing(self.url(target, self.path), encode(out), changes=changes + more)

    def fault(self, status: int, headers: Mapping[str, str], body: bytes) -> Fault:
        return self.judge(status, headers, body)

    def chunk(self, event: Json) -> Json | None:
        if event.get("error"):
            raise self.judge(200, {}, event)
        event.pop("obfuscation", None)  # padding of a frame that ends here
        return super().chunk(event)


def calls_functions(body: Json) -> bool:
    return any(tool["type"] == "function" for tool in body.get("tools") or ()) or "functions" in body


class Embeddings(OpenAIEmbeddings, frozen=True, kw_only=True):
    url: Callable[[Target, str], str]
    judge: Judge

    def request(self, body: Json, target: Target) -> Outgoing:
        out, changes = apply(self.fields, self.others, body, target)
        return Outgoing(self.url(target, self.path), encode(out), changes=changes)

    def fault(self, status: int, headers: Mapping[str, str], body: bytes) -> Fault:
        return self.judge(status, headers, body)


VECTORS: Fields = {"encoding_format": kept_here, **all_native("input", "dimensions", "user")}
"""Of an embeddings request. Base64 is the gateway's own work: numbers are asked for."""
