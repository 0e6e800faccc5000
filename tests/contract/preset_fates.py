"""What a preset's words declare to become of OpenAI's fields: the words read once more, without a look at the rules made of them."""

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

from msgspec import convert

from providers.base import Model
from providers.load import presets
from providers.preset import (
    Answers,
    Choice,
    Clamp,
    Dimensions,
    Drop,
    DropUnless,
    Efforts,
    Functions,
    JsonMode,
    MostTokens,
    OneOf,
    Only,
    Preset,
    Rename,
    Stops,
)
from tests.contract.fidelity import Generation, Row, Source, Surface
from tests.contract.openai_fields import Case, cases

SOURCE = "words"
GENERATIONS: Mapping[str, Generation] = {
    "unknown": Generation("a-model", "models of which the catalog says nothing", "an-embedding", facts={}, texts="string"),
    "plain": Generation(
        "a-model", "models that do not think", facts={"output": 4096, "json": "object", "thinking": "none"}, texts="string"
    ),
    "always": Generation(
        "a-model", "models that always think", facts={"output": 4096, "json": "schema", "thinking": "always"}, texts="string"
    ),
}
"""No preset's models are in the catalog; a deployer's own catalog may say more of them."""
ANYHOW = "that is what happens anyhow"
GATEWAYS: Mapping[str, str] = {
    "stream_options.include_usage": "usage is asked for in any case, and told as the client wants",
    "encoding_format": "numbers are asked for; the gateway writes them in base64",
}
BEGIN = "~Be brief.*"

Told = dict[str, Any]
"""Of a Row: all but its name and its source."""


@cache
def declared_presets() -> tuple[Surface, ...]:
    return tuple(map(_surface, presets().values()))


def _surface(preset: Preset) -> Surface:
    endpoints = {"chat": preset.chat.fields, **({"embeddings": preset.embeddings.fields} if preset.embeddings else {})}
    rows = {endpoint: (tuple(_rows(preset, endpoint, words)),) for endpoint, words in endpoints.items()}
    sources = {SOURCE: Source(preset.docs.source, preset.docs.read)}
    return Surface(preset.name, preset.surface, GENERATIONS, rows, sources)


def _rows(preset: Preset, endpoint: str, words: Mapping[str, Any]) -> Iterator[Row]:
    """One row for each case and fate, with the generations it is for."""
    for case in cases():
        if case.endpoint != endpoint or case.same is not None:
            continue
        found: dict[str, tuple[Told, list[str]]] = {}
        for name, generation in GENERATIONS.items():
            if endpoint == "chat" or generation.embedding:
                kind = {"kind": "embedding", "dimensions": 256} if endpoint == "embeddings" else generation.facts
                model = convert({"id": generation.model, **kind}, Model)
                told = _told(preset, case, words, model)
                found.setdefault(repr(told), (told, []))[1].append(name)
        for told, names in found.values():
            held = () if len(found) == 1 else tuple(names)
            yield convert({"silent": "", **told, "names": (case.id,), "generations": held, "source": SOURCE}, Row)


def _told(preset: Preset, case: Case, words: Mapping[str, Any], model: Model) -> Told:
    if case.field == "model":
        path = preset.chat.path if case.endpoint == "chat" else preset.embeddings.path  # type: ignore[union-attr]
        return {"fate": "native", "but": {"url": path}}
    if case.field in GATEWAYS:
        return {"fate": "emulated", "silent": GATEWAYS[case.field]}
    if case.field == "stream_options.include_obfuscation":
        return {"fate": "dropped", "silent": "nothing is padded"}
    top = case.top
    if top == "messages":
        return _message(case, words[top], model)
    word = words.get(top)
    if word is None:
        return _unnamed(case, model)
    if isinstance(word, str):
        return _plain(word, case)
    return WORDS[type(word)](word, case, model)


def _unnamed(case: Case, model: Model) -> Told:
    """Fields that every endpoint has, whether a preset names them or not; all else is dropped."""
    if case.field == "input":
        return {"fate": "native"}
    if case.field == "dimensions":
        return _dimensions(Dimensions("dimensions"), case, model)
    return {"fate": "dropped", "why": "not known to this vendor"}


# ---- words without anything to give them ----


def _plain(word: str, case: Case) -> Told:
    if word == "ask_for_usage":
        return {"fate": "native", "but": {"stream_options.include_usage": True} if case.body["stream"] else {}}
    if word == "one_call":
        if case.body["parallel_tool_calls"]:
            return {"fate": "dropped", "silent": ANYHOW}
        told = {"messages[0].content": f"{BEGIN}one function at a time*"}
        return {"fate": "emulated", "work": ["first_call"], "sends": told, "why": "the model decides"}
    return {"fate": word}


# ---- words with something to give them: (word, case, model) → what is told of the case ----


def _value(case: Case) -> Any:
    return case.body[case.field]


def _rename(word: Rename, case: Case, model: Model) -> Told:
    return {"fate": "renamed", "wire": word.rename}


def _drop(word: Drop, case: Case, model: Model) -> Told:
    return {"fate": "dropped", "why": word.drop}


def _drop_unless(word: DropUnless, case: Case, model: Model) -> Told:
    return {"fate": "dropped", "silent": ANYHOW} if _value(case) == word.drop_unless else {"fate": "dropped", "why": word.why}


def _clamp(word: Clamp, case: Case, model: Model) -> Told:
    low, high = word.clamp
    for bound, beyond in ((low, low is not None and _value(case) < low), (high, high is not None and _value(case) > high)):
        if beyond:
            return {"fate": "clamped", "to": bound, "wire": word.to, "why": f"from {low} to {high}"}
    return {"fate": "renamed", "wire": word.to} if word.to and word.to != case.field else {"fate": "native"}


def _most_tokens(word: MostTokens, case: Case, model: Model) -> Told:
    most = model.output or word.high
    wire = word.most_tokens if word.most_tokens != case.field else ""
    if most and _value(case) > most:
        return {"fate": "clamped", "to": most, "wire": wire, "why": "the most of the model"}
    if _value(case) < word.low:
        return {"fate": "clamped", "to": word.low, "wire": wire, "why": "the least there is"}
    return {"fate": "renamed", "wire": wire} if wire else {"fate": "native"}


def _one_of(word: OneOf, case: Case, model: Model) -> Told:
    if _value(case) in word.one_of:
        return {"fate": "native"}
    return {"fate": "dropped", "why": word.why} if word.otherwise is None else {"fate": "clamped", "to": word.otherwise, "why": word.why}


def _stops(word: Stops, case: Case, model: Model) -> Told:
    given = [_value(case)] if isinstance(_value(case), str) else _value(case)
    sent = {f"stop[{number}]": text for number, text in enumerate(given[: word.stops])}
    if len(given) > word.stops:
        why = f"at most {word.stops}" if word.stops else "not offered"
        return {"fate": "emulated", "work": ["cut"], "sends": sent, "why": why}
    return {"fate": "native"} if given is _value(case) else {"fate": "renamed", "sends": sent, "silent": "a list is the only form"}


def _answers(word: Answers, case: Case, model: Model) -> Told:
    if _value(case) > word.answers:
        return {"fate": "emulated", "work": ["calls"], "why": f"at most {word.answers} a call"}
    return {"fate": "native"} if word.answers > 1 else {"fate": "dropped", "silent": "one answer is what there is anyhow"}


def _functions(word: Functions, case: Case, model: Model) -> Told:
    if case.field == "tools[].custom":
        if "custom" in word.kinds:
            return {"fate": "native"}
        return {"fate": "dropped", "why": "this kind of tool is not offered"}
    if case.field == "tools[].function.strict":
        if "strict" in word.functions:
            return {"fate": "native"}
        return {"fate": "dropped", "why": "not offered"} if case.name == "on" else {"fate": "dropped", "silent": ANYHOW}
    if case.name == "bare" and word.filled:
        function = "tools[0].function"
        filled = {f"{function}.description": "", f"{function}.parameters.type": "object", f"{function}.parameters.properties": {}}
        return {"fate": "renamed", "but": filled, "silent": "what is left out has to be there here"}
    return {"fate": "native"}


def _choice(word: Choice, case: Case, model: Model) -> Told:
    if case.name == "named" and word.named:
        return {"fate": "native"}
    wanted = {"named": "required", "custom": "required", "allowed": "auto", "allowed_required": "required"}.get(case.name, case.name)
    told: Told = {} if case.name == wanted else {"tools[1]": "<gone>"}
    if wanted in word.choice:
        return {"fate": "native"} if case.name == wanted else {"fate": "emulated", "sends": {**told, "tool_choice": wanted}}
    if wanted == "none":
        return {"fate": "emulated", "sends": {"tools": "<gone>"}, "why": "no tool is offered"}
    told |= {"tool_choice": "auto"} if "auto" in word.choice else {}
    if wanted == "auto":
        return {"fate": "emulated", "sends": told} if case.name != "auto" else {"fate": "dropped", "silent": ANYHOW}
    names = "`weather`,*" if "tools[1]" in told else "`weather` or `clock`*"
    return {"fate": "emulated", "sends": {**told, "messages[0].content": BEGIN + names}, "why": "the model is told to call the tool"}


def _json_mode(word: JsonMode, case: Case, model: Model) -> Told:
    able, wanted = model.json or word.json_mode, case.name
    if wanted == "text":
        return {"fate": "dropped", "silent": ANYHOW}
    if able == "schema" or (able, wanted) == ("object", "json_object"):
        return {"fate": "native"}
    words = "additionalProperties*" if wanted == "json_schema" else "JSON object*"
    told = {"messages[0].content": BEGIN + words, **({"response_format.type": "json_object"} if able == "object" else {})}
    return {"fate": "emulated", "work": ["schema"], "sends": told}


def _efforts(word: Efforts, case: Case, model: Model) -> Told:
    idle = case.name in ("none", "minimal")
    if model.thinking == "none":
        return {"fate": "dropped", **({"silent": "the model does not think"} if idle else {"why": "the model does not think"})}
    switch = _switch(word, idle=idle) if model.thinking != "always" else {}
    degree = word.efforts.get(case.name)
    if degree is not None and not (idle and switch):
        if degree == case.name:
            return {"fate": "native", "but": switch}
        return {"fate": "clamped", "but": {**switch, "reasoning_effort": degree}, "why": "there are fewer degrees"}
    if switch and word.budget and case.name in ("low", "medium"):
        return {"fate": "emulated", "sends": {**switch, word.budget: 2048 if case.name == "low" else 8192}}
    if switch:
        return {"fate": "emulated", "sends": switch}
    return {"fate": "dropped", "why": "the model always thinks" if model.thinking == "always" else "not offered"}


def _switch(word: Efforts, *, idle: bool) -> Told:
    if not word.switch:
        return {}
    told = word.disabled if idle else word.enabled
    return {f"{word.switch}.{key}": value for key, value in told.items()} if isinstance(told, dict) else {word.switch: told}


def _dimensions(word: Dimensions, case: Case, model: Model) -> Told:
    if case.name == "own":
        return {"fate": "dropped", "silent": "it is the width of its vectors"}
    why = "a width that the model does not have is refused, never faked"
    return {"fate": "refused", "kind": "unsupported", "param": "dimensions", "why": why}


WORDS: Mapping[type, Callable[[Any, Case, Model], Told]] = {
    Rename: _rename,
    Drop: _drop,
    DropUnless: _drop_unless,
    Clamp: _clamp,
    MostTokens: _most_tokens,
    OneOf: _one_of,
    Stops: _stops,
    Answers: _answers,
    Functions: _functions,
    Choice: _choice,
    JsonMode: _json_mode,
    Efforts: _efforts,
    Dimensions: _dimensions,
}


# ---- messages, which have a word of their own ----

NOT_OFFERED = {"fate": "dropped", "why": "not offered"}


def _message(case: Case, word: Only, model: Model) -> Told:
    """What is told of a case of `messages`. Blank reasoning, where a vendor wants it, goes with every turn of the assistant's."""
    told = _of_message(case, word)
    if word.filled_reasoning and model.thinking != "none" and case.name != "given":
        before = len(case.base["messages"])
        turns = list(enumerate(case.body["messages"]))[before if before < len(case.body["messages"]) else 0 :]
        blanks = {f"messages[{at}].reasoning_content": " " for at, turn in turns if turn["role"] == "assistant"}
        if blanks and before < len(case.body["messages"]):
            told = {**told, "but": {**told.get("but", {}), **blanks}}
    return told


def _of_message(case: Case, word: Only) -> Told:
    _, _, name = case.field.partition("[].")
    if name in ("role:developer", "role:system", "role:user", "role:assistant", "content", "content[].text"):
        return _role(case, word)
    if name == "tool_calls":
        return _calls(case, word)
    if name == "tool_calls[].custom":
        called = "messages[2].tool_calls[0]"
        told = {f"{called}.type": "function", f"{called}.function.name": "note", f"{called}.function.arguments": '{"input":"x"}'}
        return {"fate": "emulated", "but": {**told, f"{called}.custom": "<gone>"}, "why": "a call of a function"}
    if name in ("name", "refusal", "audio"):
        return {"fate": "native"} if name in word.only else NOT_OFFERED
    if name == "reasoning_content":
        if word.think_tags:
            return {"fate": "renamed", "sends": {"messages[1].content": "<think>\nWell.\n</think>\n\nHi"}, "silent": "in the text"}
        return {"fate": "native"} if name in word.only else NOT_OFFERED
    return _part(case, word, name)


def _role(case: Case, word: Only) -> Told:
    if case.field.endswith(":developer"):
        told = word.role.get("developer")
        return {"fate": "renamed", "but": {"messages[0].role": told}} if told else {"fate": "native"}
    if case.id == "messages[].role:system/later" and word.merge_systems:
        return {"fate": "emulated", "why": "merged", "sends": {"messages[0].role": "system", "messages[0].content": "Be brief.",
            "messages[1].role": "user", "messages[1].content": "Hello"}}  # fmt: skip
    return {"fate": "native"}


def _calls(case: Case, word: Only) -> Told:
    if case.name == "one" and word.no_null_content:
        return {"fate": "renamed", "but": {"messages[2].content": ""}, "silent": 'no words are "" here'}
    return {"fate": "native"}


def _part(case: Case, word: Only, name: str) -> Told:
    kind = name.removeprefix("content[].").partition(".")[0]
    if kind == "prompt_cache_breakpoint":
        return {"fate": "dropped", "silent": "a hint on cost, which changes no answer"}
    if kind == "refusal":
        text = "I would not." if case.name == "alone" else "HiI would not."
        return {"fate": "renamed", "sends": {"messages[1].content": text}, "silent": "a refusal is what the assistant said"}
    form = word.parts.get(kind, None if word.parts else "as_is")
    if name.endswith(".detail"):
        if form == "image_without_detail":
            return {"fate": "dropped", "silent": "there is no choice of it"}
        # where there are no images, nothing is left whose details could be said
        return {"fate": "native"} if form else {"fate": "dropped", "silent": "images are not offered"}
    if form is None:
        words = {"messages[0].content[0].type": "text", "messages[0].content[0].text": "Hello"}
        return {"fate": "dropped", "why": "this kind of content is not offered", "sends": words}
    return {"fate": "native"}
