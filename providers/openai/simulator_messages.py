"""Messages as OpenAI takes them: roles and their keys, parts of content, and calls that are answered."""

from typing import Any

from providers.base import Json, Model
from providers.openai.simulator_checks import release
from providers.openai.simulator_values import array, bad, keys, obj, one_of, text, wrong_type

ROLES = ("system", "assistant", "user", "function", "tool", "developer")
CALL = keys({"name": text, "arguments": text}, "name", "arguments")
INPUT = keys({"name": text, "input": text}, "name", "input")
KEYS = {
    "system": {"role", "content", "name"},
    "developer": {"role", "content", "name"},
    "user": {"role", "content", "name"},
    "assistant": {"role", "content", "name", "refusal", "audio", "function_call", "tool_calls"},
    "tool": {"role", "content", "tool_call_id"},
    "function": {"role", "content", "name"},
}
PARTS = {
    "text": ("text", text),
    "image_url": ("image_url", keys({"url": text, "detail": one_of("auto", "low", "high", "original")}, "url")),
    "input_audio": ("input_audio", keys({"data": text, "format": one_of("wav", "mp3")}, "data", "format")),
    "file": ("file", keys({"file_data": text, "file_id": text, "filename": text})),
    "refusal": ("refusal", text),
}
TAKES = {
    "system": ("text",),
    "developer": ("text",),
    "user": ("text", "image_url", "input_audio", "file"),
    "assistant": ("text", "refusal"),
    "tool": ("text",),
    "function": (),
}


def check_messages(messages: Any, model: Model, *, developer: bool = True) -> None:
    """Raises Refusal. `developer`: whether there is such a role."""
    if messages is None:
        raise bad("Missing required parameter: 'messages'.", "messages", "missing_required_parameter")
    array(obj)(messages, "messages")
    pending: dict[str, None] = {}
    asked = ""
    for index, message in enumerate(messages):
        path = f"messages[{index}]"
        one_of(*(ROLES if developer else ROLES[:-1]))(message.get("role"), f"{path}.role")
        role = message["role"]
        for key in message.keys() - KEYS[role]:
            raise bad(f"Additional properties are not allowed ('{key}' was unexpected) - 'messages.{index}'", None)
        if role == "tool":
            call_id = message.get("tool_call_id")
            text(call_id, f"{path}.tool_call_id")
            if call_id not in pending:
                raise bad(
                    "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with 'tool_calls'.",
                    f"messages.[{index}].role",
                )
            del pending[call_id]
        elif pending:
            raise unanswered(asked, pending)
        check_content(message, path, model)
        if role == "assistant":
            pending = check_calls(message, path)
            asked = f"messages.[{index}].role"
    if pending:
        raise unanswered(asked, pending)


def unanswered(param: str, pending: dict[str, None]) -> Exception:
    told = "The following tool_call_ids did not have response messages: " + ", ".join(pending)
    return bad(f"An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. {told}", param)


def check_content(message: Json, path: str, model: Model) -> None:
    content, role = message.get("content"), message["role"]
    if content is None:
        if role != "assistant" or not any(message.get(key) for key in ("tool_calls", "function_call", "refusal", "audio")):
            raise bad(f"Invalid value for 'content': expected a string, got null. ({path}.content)", f"{path}.content")
        return
    if isinstance(content, str):
        return
    if not isinstance(content, list):
        raise wrong_type(f"{path}.content", "one of a string or array of objects", content)
    array(obj)(content, f"{path}.content")
    for number, part in enumerate(content):
        at = f"{path}.content[{number}]"
        one_of(*TAKES[role])(part.get("type"), f"{at}.type")
        key, check = PARTS[part["type"]]
        marks = {"prompt_cache_breakpoint": obj} if release(model) >= (5, 6) else {}
        keys({"type": text, key: check, **marks}, key)(part, at)
        needed = {"image_url": "image", "input_audio": "audio"}.get(part["type"], "text")
        if needed not in model.input:
            raise bad(f"Invalid content type. {part['type']} is only supported by certain models.", at, "invalid_value")
        url = part.get("image_url", {}).get("url", "https:")
        if not url.startswith(("https:", "http:", "data:image/")):
            raise bad(
                f"Failed to download image from {url[:40]}. Expected a base64-encoded data URL with an image MIME type.",
                at,
                "invalid_image_url",
            )


def check_calls(message: Json, path: str) -> dict[str, None]:
    """The ids that have to be answered."""
    if "function_call" in message and message["function_call"] is not None:
        CALL(message["function_call"], f"{path}.function_call")
    calls = message.get("tool_calls")
    if calls is None:
        return {}
    array(obj)(calls, f"{path}.tool_calls")
    for number, call in enumerate(calls):
        at = f"{path}.tool_calls[{number}]"
        one_of("function", "custom")(call.get("type"), f"{at}.type")
        keys({"id": text, "type": text, call["type"]: CALL if call["type"] == "function" else INPUT}, "id", call["type"])(call, at)
    return {call["id"]: None for call in calls}
