"""Anthropic's turns as messages of chat.

A user's turn may hold the results of calls, which chat has as messages of their own, in front of what else the user says. They can only be
words there: images of results go to the user's message. A last turn of the assistant's is the beginning of its answer.
"""

import re
from collections.abc import Callable
from hashlib import sha256
from typing import Any

from gateway.api.validate import LONGEST_NAME, TOOL_NAME, array, boolean, either, empty, fields, invalid, missing, obj, one_of, string
from providers.base import Change, Json, encode

role = one_of("user", "assistant", "system")
blocks = array(fields({"type": string}, required=("type",)))
content = either(string, blocks)
source = fields({"type": string, "data": string, "url": string, "media_type": string}, required=("type",))
CHECKS = {
    "text": fields({"text": string}, required=("text",)),
    "image": fields({"source": source}, required=("source",)),
    "document": fields({"source": source, "title": string, "context": string}, required=("source",)),
    "search_result": fields({"source": string, "title": string, "content": blocks}, required=("content",)),
    "thinking": fields({"thinking": string}, required=("thinking",)),
    "tool_use": fields({"id": string, "name": string, "input": obj}, required=("id", "name", "input")),
    "tool_result": fields({"tool_use_id": string, "content": content, "is_error": boolean}, required=("tool_use_id",)),
}
KEYS = {
    "text": frozenset({"text"}),
    "image": frozenset({"source"}),
    "document": frozenset({"source", "title", "context"}),
    "search_result": frozenset({"source", "title", "content"}),
    "thinking": frozenset({"thinking", "signature"}),
    "tool_use": frozenset({"id", "name", "input", "caller"}),
    "tool_result": frozenset({"tool_use_id", "content", "is_error"}),
}
"""Of a block, by its type: what can be said in chat."""
GO_ON = "Your last message is the beginning of your answer. Go on exactly where it ends, and do not repeat any of it."
ALIAS = 55
"""Letters that are left of a name too long for chat; with the mark behind them it has the 64 that chat takes."""


class Turns:
    """Takes Anthropic's turns one after the other. All of it raises Refusal(400)."""

    def __init__(self) -> None:
        self.said: list[Json] = []
        """Chat's messages."""
        self.changes: dict[Change, None] = {}
        """What became of what chat has no words for; the same of many blocks is said once."""
        self.names: dict[str, str] = {}
        """The client's names of tools, by those that are told in their place."""
        self._pending: dict[str, None] = {}
        """Calls of the last turn, which the next has to answer."""

    def lose(self, field: str, why: str = "chat has nothing like it") -> None:
        self.changes[Change(field[:LONGEST_NAME], "dropped", why=why)] = None

    def lose_key(self, where: str, key: str, value: Any) -> None:
        if value:
            self.lose("cache_control" if key == "cache_control" else where + key)

    def name_of(self, name: str) -> str:
        """A tool's name as chat takes it: Anthropic's may have 128 letters."""
        if TOOL_NAME.fullmatch(name):
            return name
        alias = f"{re.sub('[^a-zA-Z0-9_-]', '_', name)[:ALIAS]}_{sha256(name.encode(errors='surrogatepass')).hexdigest()[:8]}"
        self.names[alias] = name
        self.changes[Change("tools[].name", "renamed", alias)] = None
        return alias

    def system(self, told: Any) -> None:
        texts = [told] if isinstance(told, str) else []
        for block in () if texts else told or ():
            if block["type"] == "text":
                texts.append(self._text(block, "system[]."))
            else:
                self.lose(f"system[].{block['type']}")
        if text := "\n\n".join(texts):
            self.said.append({"role": "system", "content": text})

    def add(self, message: Json, path: str) -> None:
        if message.get("role") is None:
            raise missing(f"{path}.role")
        role(message["role"], f"{path}.role")
        if message.get("content") is None:
            raise missing(f"{path}.content")
        told = blocks_of(message["content"], f"{path}.content")
        if message["role"] == "assistant":
            self._all_answered(path)
            self._assistant(told)
        elif message["role"] == "system":
            self._all_answered(path)
            self.system(told)
        else:
            self._user(told, path)

    def end(self, path: str) -> None:
        """After the last turn, which stands at `path`."""
        self._all_answered(path)
        if all(message["role"] == "system" for message in self.said):
            raise empty("messages", "the array")
        if self.said[-1]["role"] == "assistant":
            self.said.append({"role": "user", "content": GO_ON})
            self.changes[Change("messages[].role:assistant", "emulated", "asked to go on")] = None

    # ---- the assistant ----

    def _assistant(self, told: list[Json]) -> None:
        words = thought = ""
        calls: list[Json] = []
        for block in told:
            match block["type"]:
                case "text":
                    words += self._text(block, "messages[].content[].")
                case "thinking":
                    thought += block["thinking"]
                case "tool_use":
                    self._keys(block, "messages[].content[].")
                    function = {"name": self.name_of(block["name"]), "arguments": encode(block["input"]).decode()}
                    calls.append({"id": block["id"], "type": "function", "function": function})
                    self._pending[block["id"]] = None
                case kind:
                    self.lose(f"messages[].content[].{kind}")
        if not words and not calls:
            return
        message: Json = {"role": "assistant", "content": words or None}
        if calls:
            message["tool_calls"] = calls
        if thought:
            message["reasoning_content"] = thought
        self.said.append(message)

    # ---- the user ----

    def _user(self, told: list[Json], path: str) -> None:
        if not told:
            raise empty(f"{path}.content", "the array")
        parts: list[Json] = []
        for index, block in enumerate(told):
            if block["type"] == "tool_result":
                parts += self._result(block, f"{path}.content[{index}]")
        self._all_answered(path)
        for index, block in enumerate(told):
            if block["type"] != "tool_result":
                parts += self._part(block, f"{path}.content[{index}]")
        if len(parts) == 1 and parts[0]["type"] == "text":
            self.said.append({"role": "user", "content": parts[0]["text"]})
        elif parts:
            self.said.append({"role": "user", "content": parts})

    def _result(self, block: Json, path: str) -> list[Json]:
        """Says a call's result; gives the parts of it that are no words."""
        self._keys(block, "messages[].content[].")
        call = block["tool_use_id"]
        if call not in self._pending:
            message = f"Invalid '{path}.tool_use_id': no 'tool_use' block of the turn before has the id '{call[:100]}', or it has a result."
            raise invalid(f"{path}.tool_use_id", message, "invalid_value")
        del self._pending[call]
        parts = self._parts(block.get("content") or "", f"{path}.content")
        text = "\n".join(part["text"] for part in parts if part["type"] == "text")
        others = [part for part in parts if part["type"] != "text"]
        if others and not text:
            text = "See what the user sends."
        if block.get("is_error"):
            text = f"Error: {text}"
        self.said.append({"role": "tool", "tool_call_id": call, "content": text})
        if others:
            self.changes[Change("messages[].content[].tool_result", "emulated", "images in the user's message")] = None
            return [{"type": "text", "text": f"Of the result of {call}:"}, *others]
        return []

    def _parts(self, given: Any, path: str) -> list[Json]:
        return [part for index, block in enumerate(blocks_of(given, path)) for part in self._part(block, f"{path}[{index}]")]

    def _part(self, block: Json, path: str) -> list[Json]:
        kind = block["type"]
        if kind not in PARTS:
            self.lose(f"messages[].content[].{kind}")
            return []
        self._keys(block, "messages[].content[].")
        return PARTS[kind](self, block, path)

    def _text_part(self, block: Json, path: str) -> list[Json]:
        return [{"type": "text", "text": block["text"]}] if block["text"] else []

    def _image(self, block: Json, path: str) -> list[Json]:
        url = _address(block["source"], f"{path}.source")
        return [{"type": "image_url", "image_url": {"url": url}}]

    def _document(self, block: Json, path: str) -> list[Json]:
        """Words, as far as it is made of them; a PDF is a file of chat's."""
        head = "\n".join(filter(None, (block.get("title"), block.get("context"))))
        told = block["source"]
        match told["type"]:
            case "text":
                parts = [{"type": "text", "text": told.get("data") or ""}]
            case "content":
                parts = self._parts(told.get("content") or "", f"{path}.source.content")
            case "base64":
                file = {"filename": block.get("title") or "document.pdf", "file_data": _address(told, f"{path}.source")}
                parts = [{"type": "file", "file": file}]
            case kind:
                raise _no_source(kind, path, "'text', 'content', 'base64'")
        return ([{"type": "text", "text": head}] if head else []) + parts

    def _search_result(self, block: Json, path: str) -> list[Json]:
        head = [block[key] for key in ("title", "source") if block.get(key)]
        words = [inner["text"] for inner in block["content"] if isinstance(inner.get("text"), str)]
        return [{"type": "text", "text": "\n".join([*head, *words])}]

    # ---- what they share ----

    def _text(self, block: Json, where: str) -> str:
        self._keys(block, where)
        text: str = block["text"]
        return text

    def _keys(self, block: Json, where: str) -> None:
        for key in block:
            if key != "type" and key not in KEYS[block["type"]]:
                self.lose_key(where, key, block[key])

    def _all_answered(self, path: str) -> None:
        if self._pending:
            calls = ", ".join(self._pending)[:500]
            message = f"The turn after a 'tool_use' block has to have a 'tool_result' block for it; without one at '{path}': {calls}."
            raise invalid(path, message, "invalid_value")


PARTS: dict[str, Callable[[Turns, Json, str], list[Json]]] = {
    "text": Turns._text_part,
    "image": Turns._image,
    "document": Turns._document,
    "search_result": Turns._search_result,
}


def blocks_of(given: Any, path: str) -> list[Json]:
    """Content as a list of blocks that are each in order."""
    content(given, path)
    told: list[Json] = [{"type": "text", "text": given}] if isinstance(given, str) else given
    for index, block in enumerate(told):
        if check := CHECKS.get(block["type"]):
            check(block, f"{path}[{index}]")
    return told


def _address(told: Json, path: str) -> str:
    """Where the bytes of a source are, or they themselves."""
    match told["type"]:
        case "base64":
            fields({}, required=("media_type", "data"))(told, path)
            return f"data:{told['media_type']};base64,{told['data']}"
        case "url":
            fields({}, required=("url",))(told, path)
            url: str = told["url"]
            return url
        case kind:
            raise _no_source(kind, path, "'base64', 'url'")


def _no_source(kind: str, path: str, taken: str) -> Exception:
    return invalid(f"{path}.type", f"Invalid value: '{kind[:100]}'. Sources that are taken here: {taken}.", "invalid_value")
