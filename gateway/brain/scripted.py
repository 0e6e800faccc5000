"""The scripted brain: the same question has the same answer, and the answer does what the question asks for.

- Where tools are offered and the last word is the user's, it calls them: the forced one; else those the user names; else the one whose name
  and description share most words with the question. Several values for one argument ("Paris and Tokyo") make parallel calls.
- After tool results it calls what the question names and is not called yet, and what it has to call; else it tells the results.
- A JSON schema is filled, with numbers and names from the question where they fit; also one that stands in words of the prompt, behind
  "schema". Where only some JSON is asked for, "with 'a' and 'b' keys" names its keys.
- "Say …" and "Repeat …" are obeyed, "Count to N" counts; anything else is quoted back.
- `stop`, the token limit and several answers (`index`) are honoured.
"""

import json
import re
import zlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

from providers.base import Json
from providers.simulation import Ask, Call, End, Message, Piece, Text, Thought, Tool, count, cut

CACHED_FROM = 16
"""A system message of this many tokens is billed as cached: that is what vendors' caches hit first."""
TOKENS_OF_AN_IMAGE = 85
TOKENS_OF_A_TURN = 3


class Scripted:
    """See the module's words."""

    async def answer(self, ask: Ask) -> AsyncIterator[Piece]:
        for piece in script(ask):
            yield piece


def script(ask: Ask) -> Iterator[Piece]:
    prompt, cached = price_of_prompt(ask)
    thought = f"The question is: {question(ask)} I shall answer it plainly." if ask.think else ""
    for part in pieces(thought):
        yield Thought(part)
    reasoning = count(thought)
    if calls := list(choose_calls(ask)):
        yield from calls
        spent = sum(count(call.name) + count(call.arguments) for call in calls)
        yield End("tool_calls", prompt, reasoning + spent, reasoning, cached)
        return
    text, ended = limit(rest(speak(ask), ask), ask, reasoning)
    for part in pieces(text):
        yield Text(part)
    yield End("length" if ended else "stop", prompt, reasoning + count(text), reasoning, cached)


def price_of_prompt(ask: Ask) -> tuple[int, int]:
    """(tokens of the prompt, those of them that count as cached)."""
    turns = sum(count(m.text) + TOKENS_OF_A_TURN + TOKENS_OF_AN_IMAGE * m.images for m in ask.messages)
    calls = sum(count(call.name) + count(call.arguments) for m in ask.messages for call in m.calls)
    tools = sum(count(tool.name + tool.description + json.dumps(tool.parameters)) for tool in ask.tools)
    first = count(ask.messages[0].text) if ask.messages and ask.messages[0].role == "system" else 0
    return turns + calls + tools, first if first >= CACHED_FROM else 0


def question(ask: Ask) -> str:
    return next((m.text for m in reversed(ask.messages) if m.role == "user"), "")


def pieces(text: str) -> Iterator[str]:
    """A text in pieces about as long as tokens are: a few letters, or a sign of Chinese."""
    yield from re.findall(r"\s*[A-Za-z0-9]{1,6}|\s*\S|\s+$", text)


# ---- words ----


def speak(ask: Ask) -> str:
    if (schema := ask.schema or schema_in_words(ask)) is not None:
        return json.dumps(fill(schema or any_object(question(ask)), question(ask)), ensure_ascii=False)
    results = trailing_results(ask.messages)
    if results:
        return f"The tools say: {'; '.join(results)}."
    asked = question(ask)
    if said := re.match(
        r"\s*(?:please\s+)?(?:say|repeat|echo|reply with|answer with)(?:\s+(?:only|exactly))?\s*:?\s+(.+)", asked, re.I | re.S
    ):
        return said[1].strip().strip('"“”')
    if number := re.search(r"count (?:up )?(?:from \d+ )?to (\d{1,5})", asked, re.I):
        return " ".join(map(str, range(1, int(number[1]) + 1)))
    images = sum(m.images for m in ask.messages)
    seen = f" I see {images} image{'s' if images > 1 else ''}." if images else ""
    which = f" (answer {ask.index + 1})" if ask.index else ""
    return f"You asked: {asked}{seen} 这是模拟的回答, naïve but honest 🙂.{which}"


def schema_in_words(ask: Ask) -> Json | None:
    """The JSON schema that the prompt tells, the last of several; {} where it only asks for a JSON object."""
    prompts = [m.text for m in reversed(ask.messages) if m.role in ("system", "user")]
    for text in prompts:
        for found in re.finditer(r"schema\b[^{]{0,40}(?={)", text, re.I):
            try:
                schema, _ = json.JSONDecoder().raw_decode(text, found.end())
            except ValueError:
                continue
            return dict(schema)
    return ask.schema if ask.schema is not None else {} if any("JSON object" in text for text in prompts) else None


def any_object(asked: str) -> Json:
    """A schema with the keys that the question names, if it does."""
    named = re.search(r"with ((?:(?:\s|,|and)*['\"`]\w+['\"`])+) (?:keys?|fields?)", asked)
    keys = re.findall(r"\w+(?=['\"`])", named[1]) if named else ["answer"]
    return {"type": "object", "properties": {key: {"type": "string"} for key in keys}}


def rest(text: str, ask: Ask) -> str:
    """What is left to say of `text` after a turn that was left unfinished."""
    last = ask.messages[-1] if ask.messages else None
    return text[len(last.text) :] if last and last.unfinished and text.startswith(last.text) else text


def trailing_results(messages: tuple[Message, ...]) -> list[str]:
    results: list[str] = []
    for message in reversed(messages):
        if message.role not in ("tool", "function"):
            break
        results.insert(0, message.text)
    return results


def limit(text: str, ask: Ask, spent: int) -> tuple[str, bool]:
    """(what is said of `text`, whether the token limit ended it)."""
    ends = [at for stop in ask.stop if stop and (at := text.find(stop)) >= 0]
    text = text[: min(ends)] if ends else text
    if ask.most is None:
        return text, False
    kept = cut(text, max(ask.most - spent, 0))
    return kept, len(kept) < len(text)


# ---- tools ----


def choose_calls(ask: Ask) -> Iterator[Call]:
    asked = question(ask)
    calls = [(tool, arguments) for tool in choose_tools(ask, asked) for arguments in arguments_for(tool, asked)]
    for number, (tool, arguments) in enumerate(calls if ask.parallel else calls[:1]):
        text = json.dumps(arguments, ensure_ascii=False, separators=(",", ":"))
        mark = zlib.crc32(f"{len(ask.messages)}/{ask.index}/{number}/{tool.name}/{text}".encode())
        yield Call(f"call_{mark:08x}", tool.name, text)


def choose_tools(ask: Ask, asked: str) -> list[Tool]:
    last = ask.messages[-1].role if ask.messages else ""
    if not ask.tools or ask.choice == "none" or last not in ("user", "system", "tool", "function"):
        return []
    forced = [tool for tool in ask.tools if tool.name == ask.choice]
    named = [tool for tool in ask.tools if re.search(rf"(?<!\w){re.escape(tool.name)}(?!\w)", asked)]
    if last in ("tool", "function"):
        called = called_since_question(ask)
        left = [tool for tool in named if tool.name not in called]
        if left or not has_to_call(ask):
            return left
        return forced or sorted(ask.tools, key=lambda tool: tool.name in called)[:1]
    if not forced and not named and re.search(r"\b(both|all|each|every|parallel)\b|同时|分别|都", asked):
        return list(ask.tools)
    return forced or named or [max(ask.tools, key=lambda tool: kinship(tool, asked))]


def has_to_call(ask: Ask) -> bool:
    """By its setting, or by words in a system message."""
    return ask.choice != "auto" or any(m.role == "system" and "by calling the function" in m.text for m in ask.messages)


def called_since_question(ask: Ask) -> set[str]:
    """The tools that were called for the last question."""
    called: set[str] = set()
    for message in reversed(ask.messages):
        if message.role == "user":
            break
        called |= {call.name for call in message.calls}
    return called


def kinship(tool: Tool, asked: str) -> int:
    """How many words, or pairs of Chinese signs, a tool's name and description share with the question."""
    return len(words(f"{tool.name} {tool.description}") & words(asked))


def words(text: str) -> set[str]:
    latin = {word.lower() for word in re.findall(r"[A-Z]?[a-z]{2,}|[A-Z]{2,}", text)}
    chinese = re.findall(r"[\u4e00-\u9fff]+", text)
    return latin | {run[i : i + 2] for run in chinese for i in range(len(run) - 1)}


def arguments_for(tool: Tool, asked: str) -> list[Json]:
    """One set of arguments, or one for each name in the question where the first required argument is a free string."""
    properties: Json = tool.parameters.get("properties") or {}
    required = tool.parameters.get("required") or list(properties)
    found = names(asked)
    free = next((n for n in required if properties.get(n, {}).get("type") == "string" and "enum" not in properties[n]), None)
    if free is None or len(found) < 2:
        return [fill(tool.parameters or {"type": "object"}, asked)]
    return [{**fill(tool.parameters, asked), free: name} for name in found]


DEEPEST = 24
_NAME = "(?:(?![和与及的天今])[\\u4e00-\\u9fff]){2,4}"


def names(text: str) -> list[str]:
    """What a question seems to be about: quoted words, else proper names, else Chinese names before 的 or 天气."""
    found = re.findall(r"[\"“「『]([^\"”」』]+)[\"”」』]", text) or re.findall(r"(?<!\w)'([^']+)'(?!\w)", text)
    if not found:
        proper = list(re.finditer(r"(?<![\w'])[A-Z][\w'’-]*(?:\s[A-Z][\w'’-]*)*(?:,\s[A-Z]{2}\b)?", text))
        inner = [m[0] for m in proper if not re.search(r"(?:^|[.?!:]\s*)$", text[: m.start()])]
        found = inner or [m[0] for m in proper if m[0] not in ("What", "How", "Please", "Use", "Call", "Is", "I", "The")]
    if not found and (before := re.search(rf"({_NAME}(?:[和、与及，,]{_NAME})*)(?:的|天气|今天)", text)):
        found = re.split(r"[和、与及，,]", before[1])
    return list(dict.fromkeys(name.strip() for name in found))


# ---- JSON schemas ----


def fill(schema: Json, asked: str, root: Json | None = None, name: str = "", depth: int = 0) -> Any:
    """The plainest value that the schema allows, taken from the question where that fits."""
    root = schema if root is None else root
    if depth > DEEPEST:  # a schema that refers to itself
        return None
    if "$ref" in schema:
        return fill(resolve(schema["$ref"], root), asked, root, name, depth + 1)
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return next((v for v in schema["enum"] if isinstance(v, str) and v.lower() in asked.lower()), schema["enum"][0])
    for union in ("anyOf", "oneOf"):
        if schema.get(union):
            real = [s for s in schema[union] if s.get("type") != "null"]
            return fill((real or schema[union])[0], asked, root, name, depth + 1)
    if schema.get("allOf"):
        merged: Json = {}
        for part in schema["allOf"]:
            part = resolve(part["$ref"], root) if "$ref" in part else part
            merged |= part | {"properties": merged.get("properties", {}) | part.get("properties", {})}
        return fill(merged, asked, root, name, depth + 1)
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((k for k in kind if k != "null"), "null")
    return _fill_kind(kind or ("object" if "properties" in schema else "string"), schema, asked, root, name, depth)


def _fill_kind(kind: str, schema: Json, asked: str, root: Json, name: str, depth: int) -> Any:
    match kind:
        case "object":
            wanted = schema.get("properties") or {}
            kept = wanted if depth < 8 else {key: wanted[key] for key in schema.get("required") or () if key in wanted}
            return {key: fill(part, asked, root, key, depth + 1) for key, part in kept.items()}
        case "array":
            least = schema.get("minItems", 1 if depth < 8 else 0)
            return [fill(schema.get("items") or {}, asked, root, name, depth + 1) for _ in range(least)]
        case "integer" | "number":
            return _number(schema, asked, whole=kind == "integer")
        case "boolean":
            return True
        case "null":
            return None
    return _string(schema, asked, name)


def _number(schema: Json, asked: str, *, whole: bool) -> int | float:
    found = re.search(r"-?\d+(?:\.\d+)?", asked)
    value = float(found[0]) if found else float(schema.get("minimum", 1))
    value = max(value, schema.get("minimum", value))
    value = min(value, schema.get("maximum", value))
    return int(value) if whole or value.is_integer() else value


def _string(schema: Json, asked: str, name: str) -> str:
    formats = {"date": "2026-11-23", "date-time": "2026-11-23T10:00:00Z", "time": "10:00:00Z", "email": "a@example.com"}
    if schema.get("format") in formats:
        return formats[schema["format"]]
    found = names(asked)
    text = found[0] if found else name or "text"
    return text[: schema.get("maxLength", len(text))].ljust(schema.get("minLength", 0), "x")


def resolve(ref: str, root: Json) -> Json:
    at: Any = root
    for part in ref.removeprefix("#").strip("/").split("/"):
        at = at.get(part, {}) if part else at
    return at if isinstance(at, dict) else {}
