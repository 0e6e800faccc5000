"""Data sets as OpenAI takes them: JSON Lines of conversations, of prompts with completions, or of answers that are preferred to others.

A line that is none makes the whole file none, and is told by its number.
"""

from collections.abc import Iterator

from msgspec import DecodeError, ValidationError

from gateway.api.weight import SMALL, heavy
from providers.base import Json, decode
from providers.tuning import Method

LEAST = 10
"""Examples, as at OpenAI."""
LONGEST = 16 << 20
"""Bytes of an example: nobody else is served while one is decoded, though that is in a thread."""
MOST_TOLD = 5
"""Lines that are named in one message."""
MARK = b"\xef\xbb\xbf"
ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function"})


class Unfit(Exception):
    """Why a file is no data set, for the client, and which field of the job names it."""

    def __init__(self, why: str, param: str = "training_file") -> None:
        super().__init__(why)
        self.param = param


def examples(data: bytes, method: Method) -> list[Json]:
    """The lines of a file. Raises Unfit."""
    found: list[Json] = []
    wrong: list[str] = []
    for number, raw in numbered(data):
        if len(raw) > LONGEST or (len(raw) > SMALL and heavy(raw)):
            wrong.append(f"Line {number}: it is longer, or has more parts, than an example may")
            continue
        try:
            line = decode(raw)
        except (DecodeError, ValidationError, UnicodeDecodeError, RecursionError):
            wrong.append(f"Line {number}: it is not a JSON object")
            continue
        if why := odd(line, method):
            wrong.append(f"Line {number}: {why}")
        else:
            found.append(line)
    if wrong:
        more = f"; and {len(wrong) - MOST_TOLD} more lines" if len(wrong) > MOST_TOLD else ""
        raise Unfit(f"Invalid file format. {'; '.join(wrong[:MOST_TOLD])}{more}")
    if len(found) < LEAST:
        raise Unfit(f"The file has {len(found)} examples, but must have at least {LEAST}")
    return found


def numbered(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Lines that say something, by number from 1; of one longer than LONGEST, the beginning."""
    start, number = len(MARK) if data.startswith(MARK) else 0, 0
    while start < len(data):  # to split all of it at once would keep other threads from running
        end = data.find(b"\n", start)
        end = len(data) if end < 0 else end
        number += 1
        raw = data[start : min(end, start + LONGEST + 1)]
        if raw.strip():
            yield number, raw
        start = end + 1


def odd(line: Json, method: Method) -> str:
    """What is wrong with a line; "" if nothing is."""
    if method == "dpo":
        return odd_preference(line)
    if "messages" in line:
        return odd_messages(line["messages"], "messages", answered=True) or odd_tools(line)
    if "prompt" in line or "completion" in line:
        if not isinstance(line.get("prompt"), str) or not isinstance(line.get("completion"), str):
            return "`prompt` and `completion` have to be strings"
        return "" if line["completion"] else "`completion` is empty"
    return "`messages` is missing"


def odd_preference(line: Json) -> str:
    given = line.get("input")
    if not isinstance(given, dict):
        return "`input` is missing, or no object"
    if why := odd_messages(given.get("messages"), "input.messages", answered=False) or odd_tools(given):
        return why
    for name in ("preferred_output", "non_preferred_output"):
        said = line.get(name)
        if why := odd_messages(said, name, answered=True):
            return why
        if any(message["role"] != "assistant" for message in said or ()):
            return f"`{name}` has a message that is not the assistant's"
    return ""


def odd_messages(messages: object, name: str, *, answered: bool) -> str:
    if not isinstance(messages, list) or not messages:
        return f"`{name}` is missing, or no list of messages"
    for at, message in enumerate(messages):
        where = f"`{name}[{at}]`"
        if not isinstance(message, dict):
            return f"{where} is no object"
        if message.get("role") not in ROLES:
            return f"{where} has no known role"
        content = message.get("content")
        called = message["role"] == "assistant" and (message.get("tool_calls") or message.get("function_call"))
        if content is None and not called:
            return f"{where} has no content"
        if content is not None and not isinstance(content, str) and not is_parts(content):
            return f"{where}.content is neither a string nor a list of parts"
        if "weight" in message and (message["role"] != "assistant" or message["weight"] not in (0, 1)):
            return f"{where}.weight has to be 0 or 1, and stands in messages of the assistant alone"
    if answered and not any(message["role"] == "assistant" for message in messages):
        return f"`{name}` has no message of the assistant's to learn from"
    return ""


def is_parts(content: object) -> bool:
    return isinstance(content, list) and all(isinstance(part, dict) and isinstance(part.get("type"), str) for part in content)


def odd_tools(line: Json) -> str:
    for name in ("tools", "functions"):
        if name in line and not isinstance(line[name], list):
            return f"`{name}` is no list"
    if not isinstance(line.get("parallel_tool_calls", True), bool):
        return "`parallel_tool_calls` is no boolean"
    return ""
