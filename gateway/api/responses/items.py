"""Items of input as messages of chat.

What an assistant has thought, said and called in one go is one message of chat, and the results of its calls stand right behind it, as
providers want it: so results are looked up by their calls, wherever in the input they stand.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import deque
from collections.abc import Sequence
from typing import Any

from gateway.api.responses.shown import type_of
from gateway.api.responses.tools import HOSTED, Tools, arguments_of
from gateway.api.validate import fields, invalid, missing, obj, string
from gateway.api.wire import Refusal
from providers.base import Change, Json

SEALED = "banjia1."
"""What begins an `encrypted_content` of ours. It hides nothing from who has it: it is what the client has been told anyhow."""
OUTPUTS = {"function_call_output": "function call", "custom_tool_call_output": "custom tool call"}
MINE = frozenset({"message", "reasoning", "function_call", "custom_tool_call", *OUTPUTS})


def sealed(thought: str) -> str:
    return SEALED + urlsafe_b64encode(thought.encode(errors="surrogatepass")).decode()


def unsealed(given: Any) -> str:
    """The thoughts in an `encrypted_content`; "" where it is none of ours."""
    if not isinstance(given, str) or not given.startswith(SEALED):
        return ""
    try:
        return urlsafe_b64decode(given.removeprefix(SEALED)).decode()
    except ValueError:
        return ""


class Turns:
    """Takes items one after the other. All of it raises Refusal(400)."""

    def __init__(self, tools: Tools, items: Sequence[Json]) -> None:
        self.said: list[Json] = []
        """Chat's messages."""
        self._tools = tools
        self._results: dict[str, deque[tuple[int, Json]]] = {}
        """Outputs by `call_id`, which some providers give more than once in a conversation."""
        self._words: list[Json] = []
        self._thought = ""
        self._calls: list[Json] = []
        for at, item in enumerate(items):
            if type_of(item) in OUTPUTS:
                self._results.setdefault(item["call_id"], deque()).append((at, item))
        for at, item in enumerate(items):
            self._add(item, f"input[{at}]")
        self._end()
        for left in self._results.values():
            for at, item in left:
                what = OUTPUTS[item["type"]]
                message = f"No tool call found for {what} output with call_id {item['call_id'][:100]}."
                raise invalid(f"input[{at}]", message, "invalid_value")

    def _add(self, item: Json, path: str) -> None:
        kind = type_of(item)
        if kind in OUTPUTS:
            self._end()
        elif kind == "message":
            self._message(item, path)
        elif kind == "reasoning":
            self._reasoning(item)
        elif kind in ("function_call", "custom_tool_call"):
            self._call(item, custom=kind == "custom_tool_call")
        else:
            self._tools.lose(f"input[].{kind}", HOSTED)

    # ---- the assistant ----

    def _reasoning(self, item: Json) -> None:
        if self._words or self._calls:
            self._end()
        parts = item.get("content") or item.get("summary") or ()
        texts = [part.get("text") for part in parts if isinstance(part, dict)] if isinstance(parts, list) else []
        told = "\n\n".join(text for text in texts if isinstance(text, str))
        thought = unsealed(item.get("encrypted_content")) or told
        if not thought and item.get("encrypted_content"):
            self._tools.lose("input[].reasoning.encrypted_content", "sealed by somebody else")
        self._thought = "\n\n".join(filter(None, (self._thought, thought)))

    def _call(self, item: Json, *, custom: bool) -> None:
        name = self._tools.name_of(item["name"], item.get("namespace") or "")
        if custom and not self._tools.is_emulated(self._tools.called(name, "custom")):
            self._calls.append({"id": item["call_id"], "type": "custom", "custom": {"name": name, "input": item["input"]}})
        else:
            arguments = arguments_of(item["input"]) if custom else item["arguments"]
            self._calls.append({"id": item["call_id"], "type": "function", "function": {"name": name, "arguments": arguments}})

    def _end(self) -> None:
        """What the assistant has said up to here is a message, with the results of its calls behind it."""
        if not self._words and not self._calls:
            self._thought = ""  # thoughts that came to nothing
            return
        message: Json = {"role": "assistant", "content": content_of(self._words)}
        if self._calls:
            message["tool_calls"] = self._calls
        if self._thought:
            message["reasoning_content"] = self._thought
        calls, self._words, self._thought, self._calls = self._calls, [], "", []
        self.said.append(message)
        shown: list[Json] = []
        for call in calls:
            results = self._results.get(call["id"])
            if not results:
                raise invalid("input", f"No tool output found for function call {call['id'][:100]}.", "invalid_value")
            at, item = results.popleft()
            shown += self._result(item, f"input[{at}]")
        if shown:
            self.said.append({"role": "user", "content": shown})

    def _result(self, item: Json, path: str) -> list[Json]:
        """Says what a call has given; gives the parts of it that are no words, which chat does not take there."""
        output, call = item["output"], item["call_id"]
        parts = [{"type": "text", "text": output}] if isinstance(output, str) else parts_of(output, f"{path}.output")
        words = "\n".join(part["text"] for part in parts if part["type"] == "text")
        others = [part for part in parts if part["type"] != "text"]
        self.said.append({"role": "tool", "tool_call_id": call, "content": words or ("See what the user sends." if others else "")})
        if not others:
            return []
        self._tools.changes[Change("input[].output", "emulated", "pictures in a message of the user")] = None
        return [{"type": "text", "text": f"Of the result of {call}:"}, *others]

    # ---- everybody ----

    def _message(self, item: Json, path: str) -> None:
        role, given = item["role"], item["content"]
        parts = [{"type": "text", "text": given}] if isinstance(given, str) else parts_of(given, f"{path}.content")
        if role == "assistant":
            if self._calls:
                self._end()
            self._words += [part for part in parts if part["type"] in ("text", "refusal")]
            return
        self._end()
        if not parts:
            raise invalid(f"{path}.content", f"Invalid '{path}.content': the array must not be empty.", "empty_array")
        self.said.append({"role": role, "content": content_of(parts)})


def content_of(parts: list[Json]) -> Any:
    """Parts as chat's content: a mere text where there is no more to it."""
    if all(part["type"] == "text" for part in parts):
        return "".join(part["text"] for part in parts) if len(parts) < 2 else parts
    return parts


def parts_of(given: list[Json], path: str) -> list[Json]:
    return [part_of(part, f"{path}[{index}]") for index, part in enumerate(given)]


image = fields({"image_url": string, "detail": string, "file_id": string})
file = fields({"file_data": string, "filename": string, "file_id": string, "file_url": string})


def part_of(part: Json, path: str) -> Json:
    """A part of content in chat's words."""
    kind = part["type"]
    if kind in ("input_text", "output_text", "text", "summary_text", "reasoning_text"):
        if part.get("text") is None:
            raise missing(f"{path}.text")
        return {"type": "text", "text": part["text"]}
    if kind == "refusal":
        if part.get("refusal") is None:
            raise missing(f"{path}.refusal")
        return {"type": "refusal", "refusal": part["refusal"]}
    if kind == "input_image":
        image(part, path)
        if not part.get("image_url"):
            raise only_inline(f"{path}.image_url", "send the picture as 'image_url', an address or a data: URL", "file_id" in part)
        detail = {"detail": part["detail"]} if part.get("detail") else {}
        return {"type": "image_url", "image_url": {"url": part["image_url"], **detail}}
    if kind == "input_file":
        file(part, path)
        if not part.get("file_data"):
            raise only_inline(
                f"{path}.file_data", "send the file as 'file_data' with its 'filename'", "file_id" in part or "file_url" in part
            )
        name = {"filename": part["filename"]} if part.get("filename") else {}
        return {"type": "file", "file": {"file_data": part["file_data"], **name}}
    if kind == "input_audio":
        obj(part.get("input_audio"), f"{path}.input_audio")
        return {"type": "input_audio", "input_audio": part["input_audio"]}
    known = "'input_text', 'input_image', 'input_file', 'input_audio', 'output_text', 'refusal'"
    raise invalid(f"{path}.type", f"Invalid value: '{kind[:100]}'. Supported values are: {known}.", "invalid_value")


def only_inline(path: str, what: str, elsewhere: bool) -> Refusal:
    if not elsewhere:
        return missing(path)
    return invalid(path, f"Missing '{path}': models here are not given files by id or address: {what}.", "unsupported_parameter")
