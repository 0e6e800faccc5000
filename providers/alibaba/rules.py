"""What becomes of OpenAI's chat fields at Model Studio, on either surface: a table, and the few that hang together.

Facts from the vendor's API reference, dashscope 2.0.2 and @ai-sdk/alibaba 2.0.58, read 2026-11-23.
"""

import re
from typing import Any

from providers.base import Change, Json, Target
from providers.fields import (
    THINKING_BUDGETS,
    Fields,
    all_dropped,
    all_native,
    apply,
    clamp,
    drop,
    drop_unless,
    kept_here,
    most_tokens,
    served_model,
)
from providers.fields import answers as several
from providers.json_mode import hold_to, in_words
from providers.messages import as_is, flat_text, messages, no_null_content, only, parts, role, text_of
from providers.tools import choice, functions, instruct

Changes = tuple[Change, ...]

SEVERAL = re.compile(r"qwen3|qwen-plus-character")
"""Models that give several answers to one call, if they neither think nor have tools."""

STREAM_ONLY = re.compile(r"qwq|qvq|.*(omni|deep-research)")
OPEN_QWEN3 = re.compile(r"qwen3(\.\d+)?-([a-z]+-)*\d+b")
"""The open-weight Qwen3 models: they think in streams only."""

EFFORTS = {"none": "none", "minimal": "none", "low": "low", "medium": "medium"}
"""OpenAI's efforts in Qwen 3.8's words; every higher one is `xhigh`."""

URLS = ("data:", "http://", "https://", "oss://")


def flat(message: Json, target: Target) -> tuple[Json, Changes]:
    """Text parts as one string, unless the client marks one of them for the cache."""
    content = message.get("content")
    if isinstance(content, list) and any("cache_control" in part for part in content):
        return message, ()
    return flat_text(message, target)


def marked(part: Json, **said: Any) -> Json:
    """A part with what the client may say beside its content: size limits, and the mark for the cache."""
    hints = ("min_pixels", "max_pixels", "total_pixels", "fps", "cache_control")
    return {"type": part["type"], **said, **{key: part[key] for key in hints if key in part}}


def text(part: Json) -> Json:
    return marked(part, text=part["text"])


def image(part: Json) -> Json:
    return marked(part, image_url={"url": part["image_url"]["url"]})


def sound(part: Json) -> Json:
    """OpenAI's bare base64 becomes a data URI: Model Studio takes only that, or an address."""
    given, form = part["input_audio"]["data"], part["input_audio"].get("format", "wav")
    data = given if given.startswith(URLS) else f"data:audio/{form};base64,{given}"
    return marked(part, input_audio={"data": data, "format": form})


def search(out: Json, field: str, value: Any, target: Target) -> Changes:
    out["enable_search"] = True
    return (Change(field, "emulated", "enable_search"),)


SHARED: Fields = {
    "model": served_model,
    "messages": messages(
        role("developer", "system"),
        only("role", "content", "tool_calls", "tool_call_id", "reasoning_content", "partial"),
        flat,
        no_null_content,
        parts(text=text, image_url=image, input_audio=sound, video_url=as_is, video=as_is),
    ),
    "stream_options": kept_here,
    "temperature": clamp(0.0, 1.99),
    "top_p": clamp(0.01, 1.0),
    "presence_penalty": clamp(-2.0, 2.0),
    "frequency_penalty": drop_unless(0, "not offered"),
    "max_tokens": most_tokens("max_tokens"),
    "max_completion_tokens": most_tokens("max_tokens"),
    "seed": clamp(0, 2**31 - 1),
    "top_logprobs": clamp(0, 5),
    "tools": functions("name", "description", "parameters"),
    "modalities": drop_unless(["text"], "only text is offered"),
    "store": drop_unless(False, "not offered"),
    "logit_bias": drop_unless({}, "not offered"),
    "web_search_options": search,
    **dict.fromkeys(
        ("reasoning_effort", "enable_thinking", "tool_choice", "parallel_tool_calls", "n", "response_format"), kept_here
    ),  # those of TOGETHER
    **all_native(
        "stop", "logprobs", "top_k", "repetition_penalty", "thinking_budget", "preserve_thinking", "enable_search", "search_options",
        "enable_code_interpreter", "vl_high_resolution_images",
    ),
    **all_dropped(
        "not offered", "user", "metadata", "service_tier", "prediction", "audio", "prompt_cache_key", "prompt_cache_retention",
        "prompt_cache_options", "safety_identifier", "verbosity", "moderation",
    ),
}  # fmt: skip


def prepare(fields: Fields, body: Json, target: Target) -> tuple[Json, Changes]:
    """The outgoing fields, all on one level, and every change."""
    out, changes = apply(fields, drop("not known to this vendor"), body, target)
    for rule in TOGETHER:
        changes += rule(out, body, target)
    return out, changes


def thinks(out: Json, target: Target) -> bool:
    return bool(out.get("enable_thinking")) or target.model.thinking == "always"


def streams_only(out: Json, target: Target) -> bool:
    """A plain answer is refused: one has to be gathered out of a stream."""
    model = target.model.id
    return STREAM_ONLY.match(model) is not None or (thinks(out, target) and OPEN_QWEN3.match(model) is not None)


# ---- fields that hang together: each rule looks at the whole request, and at what became of the others ----


def thinking(out: Json, body: Json, target: Target) -> Changes:
    """Whether the model thinks, said in any case where it can be said: the default differs from one generation to the next."""
    effort, switch = body.get("reasoning_effort"), body.get("enable_thinking")
    if target.model.thinking not in ("switch", "effort"):
        return unswitched(out, effort, switch, target.model.thinking)
    wanted = bool(switch) if switch is not None else effort not in (None, "none", "minimal")
    out["enable_thinking"] = wanted and not wants_json(body, target)
    if wanted and not out["enable_thinking"]:
        return tuple(
            Change(field, "dropped", why="not together with JSON") for field in ("reasoning_effort", "enable_thinking") if field in body
        )
    if effort is None:
        return ()
    if target.model.thinking == "switch":
        if wanted and effort in THINKING_BUDGETS:
            out.setdefault("thinking_budget", THINKING_BUDGETS[effort])
            return (Change("reasoning_effort", "emulated", "thinking_budget"),)
        return (Change("reasoning_effort", "emulated", "enable_thinking"),)
    kept = EFFORTS.get(effort, "xhigh")
    out["reasoning_effort"] = kept
    return () if kept == effort else (Change("reasoning_effort", "clamped", kept),)


def within_the_limit(out: Json, body: Json, target: Target) -> Changes:
    """OpenAI's newer limit counts the reasoning too, this vendor's only the answer: so the reasoning gets no more than that either."""
    most = body.get("max_completion_tokens")
    if most is not None and out.get("enable_thinking"):
        out["thinking_budget"] = min(most, out.get("thinking_budget", most))
    return ()


def unswitched(out: Json, effort: Any, switch: Any, kind: str) -> Changes:
    """For models that never think, always do, or of which it is not known. A client's own `enable_thinking` goes to the vendor."""
    changes: Changes = ()
    if switch is not None and kind != "none":
        out["enable_thinking"] = switch
    elif switch:
        changes += (Change("enable_thinking", "dropped", why="the model does not think"),)
    if effort is not None and not (kind == "none" and effort in ("none", "minimal")):
        why = {"none": "the model does not think", "always": "the model always thinks"}.get(kind, "not known of the model")
        changes += (Change("reasoning_effort", "dropped", why=why),)
    return changes


def wants_json(body: Json, target: Target) -> bool:
    """JSON mode is to be used: it is refused while thinking, and an answer that is no JSON hurts more than one without thought."""
    return body.get("response_format", {}).get("type") in ("json_object", "json_schema") and target.model.json != "none"


UNTHINKING_CHOICE = choice("auto", "none", named=True)
THINKING_CHOICE = choice("auto", "none")


def tool_choice(out: Json, body: Json, target: Target) -> Changes:
    """A forced function is refused while thinking. `required` is refused by older models: with one tool it is the same as naming it."""
    value = body.get("tool_choice")
    if value is None:
        return ()
    if thinks(out, target):
        return THINKING_CHOICE(out, "tool_choice", value, target)
    if value == "required" and len(out.get("tools", ())) == 1:
        out["tool_choice"] = {"type": "function", "function": {"name": out["tools"][0]["function"]["name"]}}
        return (Change("tool_choice", "emulated", "named"),)
    return UNTHINKING_CHOICE(out, "tool_choice", value, target)


def parallel_calls(out: Json, body: Json, target: Target) -> Changes:
    """OpenAI's default is to allow them, this vendor's is not."""
    if out.get("tools"):
        out["parallel_tool_calls"] = body.get("parallel_tool_calls", True)
    return ()


def answers(out: Json, body: Json, target: Target) -> Changes:
    wanted = body.get("n", 1)
    if wanted == 1:
        return ()
    most = 1 if out.get("tools") or thinks(out, target) or not SEVERAL.match(target.model.id) else 4
    return several(most)(out, "n", wanted, target)


def json_mode(out: Json, body: Json, target: Target) -> Changes:
    """JSON as far as the model can be held to it. In JSON mode some message has to say "json"."""
    form = body.get("response_format")
    if form is None:
        return ()
    kind, able = form["type"], target.model.json or "object"
    if target.model.thinking == "always":
        able = "none"
    if kind not in ("json_object", "json_schema") or (kind == "json_schema" and able == "schema"):
        out["response_format"] = form
        return ()
    if able != "none":
        out["response_format"] = {"type": "json_object"}
        if kind == "json_object" and any("json" in text_of(message).lower() for message in out["messages"]):
            return ()
    instruct(out, in_words(form))
    how = "prompt" if able == "none" else "json_object"
    return (Change("response_format", "emulated", how, "held to the schema here", hold_to(form)),)


def old_thoughts(out: Json, body: Json, target: Target) -> Changes:
    """Reasoning of earlier turns is only taken back with `preserve_thinking`."""
    if body.get("preserve_thinking") or not any("reasoning_content" in message for message in out["messages"]):
        return ()
    out["messages"] = [{key: value for key, value in message.items() if key != "reasoning_content"} for message in out["messages"]]
    return (Change("messages[].reasoning_content", "dropped", why="only with preserve_thinking"),)


TOGETHER = (thinking, within_the_limit, tool_choice, parallel_calls, answers, json_mode, old_thoughts)
"""In this order: what comes later looks at what came before."""
