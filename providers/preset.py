"""A preset: a vendor that needs no code, as presets.yaml states it. Here is which words there are, and how they are read; no translation.

presets.yaml ──► read_presets ──► Preset ──► preset_adapter.py (the gateway's side) and preset_simulator.py (the vendor's)
"""

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any, Literal

from msgspec import Struct, ValidationError, convert

from providers.base import Kind

# ---- words: what becomes of a field. Each is known by its first key, which is the name of the rule it stands for ----


class Word(Struct, frozen=True, forbid_unknown_fields=True):
    pass


class Rename(Word, frozen=True):
    rename: str


class Drop(Word, frozen=True):
    drop: str


class DropUnless(Word, frozen=True):
    drop_unless: Any
    why: str


class Clamp(Word, frozen=True):
    clamp: tuple[int | float | None, int | float | None]
    to: str = ""


class MostTokens(Word, frozen=True):
    most_tokens: str
    low: int = 1
    high: int = 0


class OneOf(Word, frozen=True):
    one_of: tuple[Any, ...]
    why: str
    otherwise: Any = None


class Stops(Word, frozen=True):
    stops: int


class Answers(Word, frozen=True):
    answers: int


class Functions(Word, frozen=True):
    functions: tuple[str, ...]
    kinds: tuple[str, ...] = ("function",)
    filled: bool = False


class Choice(Word, frozen=True):
    choice: tuple[Literal["auto", "none", "required"], ...]
    named: bool = False


class JsonMode(Word, frozen=True):
    json_mode: Literal["none", "object", "schema"]


class Efforts(Word, frozen=True):
    efforts: dict[str, str]
    switch: str = ""
    budget: str = ""
    """The field for tokens of reasoning, where a vendor has that and no degrees."""
    enabled: Any = True
    disabled: Any = False


class Dimensions(Word, frozen=True):
    dimensions: str


class Only(Word, frozen=True):
    only: tuple[str, ...]
    role: dict[str, str] = {}
    parts: dict[str, Literal["text_part", "image_without_detail", "as_is"]] = {}
    flat_text: bool = True
    no_null_content: bool = False
    merge_systems: bool = False
    filled_reasoning: bool = False
    think_tags: bool = False


PLAIN_WORDS = ("native", "served_model", "ask_for_usage", "kept_here", "one_call")
WORDS: Mapping[str, type[Word]] = {
    kind.__struct_fields__[0]: kind
    for kind in (Rename, Drop, DropUnless, Clamp, MostTokens, OneOf, Stops, Answers, Functions, Choice, JsonMode, Efforts, Dimensions, Only)
}
Said = Word | str
"""A word with what it is given, or one of PLAIN_WORDS."""


# ---- a preset ----


class Block(Struct, frozen=True, forbid_unknown_fields=True):
    pass


class Docs(Block, frozen=True):
    source: str
    read: date


class Endpoint(Block, frozen=True):
    path: str
    fields: dict[str, Any] = {}
    """By field: a `Said`."""
    errors: dict[str, Kind] = {}
    """By the vendor's code, or its error type, as in faults.Errors."""
    words: dict[str, Kind] = {}
    """By words of the message, for vendors that have no other way to tell: tried where code and status say no more than that it was bad."""


class GoesOn(Block, frozen=True):
    mark: dict[str, Any]
    """Of the last turn, the assistant's: see OpenAIChat.mark."""
    base: str = ""
    """The path of the address where it is offered, if that is another."""


class Chat(Endpoint, frozen=True):
    path: str = "/chat/completions"
    finish: dict[str, str | None] = {}
    failed: dict[str, Kind] = {}
    reasoning: str = "reasoning_content"
    """The vendor's name for it, or `think_tags`: inside the text."""
    goes_on: GoesOn | None = None
    """How the vendor goes on with an answer that has broken off, if it can."""
    outcome: str = ""
    """Where a reply under HTTP 200 tells whether it failed, as in `base_resp.status_code`: anything but 0 is a failure."""


class Embeddings(Endpoint, frozen=True):
    path: str = "/embeddings"


class Rerank(Endpoint, frozen=True):
    path: str = "/rerank"


class Simulated(Block, frozen=True):
    """What only the simulator needs to know."""

    envelope: Any = None
    """How the vendor writes an error, with $message, $code, $number (the code as a number) and $status in their places."""
    status: int = 0
    """The HTTP status of all its errors; 0: as usual for each."""
    reply: dict[str, Any] = {}
    """What it puts into every reply beside OpenAI's keys."""
    models: tuple[str, ...] = ()
    """Its chat models, where the catalog has none."""
    embeddings: dict[str, int] = {}
    """Its embedding models and their widths, likewise."""
    rerank: tuple[str, ...] = ()
    """Its reranking models, likewise."""
    done_alone: bool = False
    """`[DONE]` ends an answer, without a finish reason."""
    call_alone: bool = False
    """A single tool call of a plain reply is an object, not a list."""


class Preset(Block, frozen=True):
    name: str
    base_url: str
    docs: Docs
    chat: Chat
    surface: str = "v1"
    auth: Literal["bearer"] = "bearer"
    embeddings: Embeddings | None = None
    rerank: Rerank | None = None
    simulator: Simulated = Simulated()


BLOCKS = ("chat", "embeddings", "rerank", "simulator")
MERGED = ("fields", "finish", "failed", "errors", "words")
"""Keys of a block that a preset adds to, key by key, where it is `like` another; what else it says replaces the other's."""


def read_presets(document: Any) -> dict[str, Preset]:
    """The presets of a file. Raises ValueError that names the preset and the field."""
    if not isinstance(document, dict) or document.keys() - {"common", "presets"} or not isinstance(document.get("presets"), dict):
        raise ValueError("the file of presets has two keys: common and presets")
    rows = {**document["presets"], "common": document.get("common") or {}}
    return {name: _preset(name, rows) for name in document["presets"] if name != "common"}


def _preset(name: str, rows: Mapping[str, Any]) -> Preset:
    raw = _whole(name, rows, ())
    raw.pop("like", None)
    try:
        return convert({**raw, "name": name}, Preset)
    except ValidationError as exc:
        raise ValueError(f"preset `{name}`: {str(exc).replace('$.', '')}") from exc


def _whole(name: str, rows: Mapping[str, Any], seen: tuple[str, ...]) -> dict[str, Any]:
    """A row together with those it is `like`, fields told as words."""
    row = rows.get(name)
    if not isinstance(row, dict):
        raise ValueError(f"preset `{seen[-1] if seen else name}`: like: there is no preset `{name}`")
    if name in seen:
        raise ValueError(f"preset `{name}`: like: it is like itself")
    below = _whole(row["like"], rows, (*seen, name)) if "like" in row else {}
    raw = {**below, **row}
    for block in BLOCKS:
        if isinstance(row.get(block), dict):
            own = _block(f"preset `{name}`: {block}", row[block])
            before = below.get(block) or {}
            # its own come first: of several codes for one thing, the simulator says the first
            added = {
                key: {**own[key], **{k: v for k, v in before.get(key, {}).items() if k not in own[key]}} for key in MERGED if key in own
            }
            raw[block] = {**before, **own, **added}
    return raw


def _block(where: str, block: dict[str, Any]) -> dict[str, Any]:
    """A block whose `fields`, `all_native` and `all_dropped` have become one table of words."""
    rest = {key: value for key, value in block.items() if key not in ("fields", "all_native", "all_dropped")}
    for key in MERGED:
        if not isinstance(block.get(key, {}), dict):
            raise ValueError(f"{where}.{key}: is not a map")
    fields = dict(_fields(where, block))
    return {**rest, "fields": fields} if fields else rest


def _fields(where: str, block: dict[str, Any]) -> Iterator[tuple[str, Said]]:
    dropped, natives = block.get("all_dropped", {}), block.get("all_native", [])
    if not isinstance(dropped, dict) or not all(isinstance(names, list) for names in dropped.values()):
        raise ValueError(f"{where}.all_dropped: is not a map of reasons to lists of fields")
    if not isinstance(natives, list):
        raise ValueError(f"{where}.all_native: is not a list of fields")
    yield from ((field, Drop(why)) for why, names in dropped.items() for field in names)
    yield from ((field, "native") for field in natives)
    yield from ((field, _word(f"{where}.fields.{field}", told)) for field, told in block.get("fields", {}).items())


def _word(where: str, told: Any) -> Said:
    if isinstance(told, str) and told in PLAIN_WORDS:
        return told
    name = next(iter(told), "") if isinstance(told, dict) else told
    if not isinstance(told, dict) or name not in WORDS:
        raise ValueError(f"{where}: there is no word `{name}`; there are: {', '.join((*PLAIN_WORDS, *WORDS))}")
    try:
        return convert(told, WORDS[name])
    except ValidationError as exc:
        raise ValueError(f"{where}: {name}: {str(exc).replace('$.', '')}") from exc
