"""What the simulated v2 API lets pass of a chat request, and how it reads it."""

from typing import Any

from providers.baidu.checks_simulator import are_stops, functions_named, is_call, is_function, is_list, is_number, is_schema, is_words
from providers.base import Json, Model
from providers.simulation import Ask, understand, understand_tools

CHAT_FIELDS = frozenset(
    [
        "model",
        "messages",
        "stream",
        "stream_options",
        "temperature",
        "top_p",
        "penalty_score",
        "frequency_penalty",
        "presence_penalty",
        "repetition_penalty",
        "max_tokens",
        "max_completion_tokens",
        "seed",
        "stop",
        "user",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "response_format",
        "web_search",
        "thinking",
        "enable_thinking",
        "thinking_budget",
        "reasoning_effort",
        "preemptible",
        "logprobs",
        "top_logprobs",
        "extra_parameters",
    ]
)
"""`logprobs` and its kin are passed over; `extra_parameters` is where the SDK names itself."""
KINDS: dict[str, type | tuple[type, ...]] = {
    "stream": bool, "stream_options": dict, "seed": int, "user": str, "parallel_tool_calls": bool, "web_search": dict, "thinking": dict,
    "enable_thinking": bool, "thinking_budget": int, "preemptible": bool, "extra_parameters": dict,
}  # fmt: skip
OF_ERNIE, OF_OTHERS = ("penalty_score",), ("frequency_penalty", "presence_penalty", "repetition_penalty")


class Refusal(Exception):
    """What v2 answers instead: HTTP status, type, code, message."""

    def __init__(self, status: int, kind: str, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.error = {"code": code, "message": message, "type": kind}


def bad(message: str, code: str = "invalid_argument") -> Refusal:
    return Refusal(400, "invalid_request_error", code, message)


def bad_messages(message: str) -> Refusal:
    return bad(message, "invalid_messages")


def is_ernie(model: Model) -> bool:
    return model.id.startswith("ernie")


def check_chat(body: Json, model: Model) -> Ask:
    """The request as Baidu reads it. Raises Refusal."""
    for field in body.keys() - CHAT_FIELDS:
        raise bad(f"{field} is not supported")
    for field, kind in KINDS.items():
        if field in body and not isinstance(body[field], kind):
            raise bad(f"{field} has a wrong type")
    check_numbers(body, model)
    if not are_stops(body.get("stop", [])):
        raise bad("stop: at most 4 items of at most 20 characters")
    messages = check_messages(body.get("messages"), model)
    tools = check_tools(body.get("tools", []), model)
    limits = [body[field] for field in ("max_tokens", "max_completion_tokens") if field in body]
    return Ask(
        understand(messages),
        understand_tools(tools),
        choice=check_choice(body.get("tool_choice", "auto"), functions_named([tool["function"] for tool in tools])),
        parallel=body.get("parallel_tool_calls", True),
        schema=check_form(body.get("response_format", {"type": "text"}), model),
        stop=tuple(body.get("stop", ())),
        most=min(limits) if limits else None,
        think=thinks(body, model),
        temperature=body.get("temperature"),
    )


def check_numbers(body: Json, model: Model) -> None:
    for field in OF_OTHERS if is_ernie(model) else OF_ERNIE:
        if field in body:
            raise bad(f"{field} is not supported by the model")
    ranges = (
        ("temperature", 1e-9 if is_ernie(model) else 0.0, 1.0 if is_ernie(model) else 2.0),
        ("top_p", 0.0, 1.0),
        ("penalty_score", 1.0, 2.0),
        ("frequency_penalty", -2.0, 2.0),
        ("presence_penalty", -2.0, 2.0),
        ("repetition_penalty", 1e-9, 10.0),
    )
    for field, low, high in ranges:
        if field in body and not is_number(body[field], low, high):
            raise bad(f"{field} must be within [{low}, {high}]")
    for field in ("max_tokens", "max_completion_tokens"):
        if field in body and not is_number(body[field], 2, model.output or 1 << 31, whole=True):
            raise bad(f"{field} must be within [2, {model.output}]")


# ---- messages ----


def check_messages(messages: Any, model: Model) -> list[Json]:
    if not is_list(messages, of=dict, least=1):
        raise bad_messages("messages must not be empty")
    cleaned = [{key: value for key, value in message.items() if value is not None} for message in messages]
    called: set[str] = set()
    for number, message in enumerate(cleaned):
        check_message(number, message, model, called)
        before = cleaned[number - 1] if number else {}
        if is_ernie(model) and message["role"] == before.get("role") in ("user", "assistant") and not before.get("tool_calls"):
            raise bad_messages(f"invalid role in message {number}")
    return cleaned


def check_message(number: int, message: Json, model: Model, called: set[str]) -> None:
    role, content, calls = message.get("role"), message.get("content"), message.get("tool_calls")
    if role not in ("system", "user", "assistant", "tool") or (role == "system" and number):
        raise bad_messages(f"invalid role in message {number}")
    if message.keys() - {"role", "content", "name", "tool_calls", "tool_call_id"} or not isinstance(message.get("name", ""), str):
        raise bad_messages(f"message {number} has unknown fields")
    if role == "tool" and not (isinstance(message.get("tool_call_id"), str) and message["tool_call_id"] in called):
        raise bad_messages(f"tool_call_id of message {number} is missing or unknown")
    if role != "tool" and "tool_call_id" in message:
        raise bad_messages(f"message {number} cannot have a tool_call_id")
    if calls is not None:
        if role != "assistant" or not is_list(calls, of=dict, least=1) or not all(map(is_tool_call, calls)):
            raise bad_messages(f"invalid tool_calls in message {number}")
        called.update(call["id"] for call in calls)
    if isinstance(content, list) and role == "user":
        check_parts(content, model)
    elif not is_words(content) and not (calls and content in (None, "")):
        raise bad_messages(f"content of message {number} must not be empty")


def is_tool_call(call: Json) -> bool:
    known = call.keys() <= {"id", "type", "function", "index"}
    return known and isinstance(call.get("id"), str) and call.get("type") == "function" and is_call(call.get("function"))


def check_parts(parts: list[Any], model: Model) -> None:
    if not is_list(parts, of=dict, least=1):
        raise bad_messages("content must not be empty")
    for part in parts:
        kind = part.get("type")
        if kind == "text" and isinstance(part.get("text"), str):
            continue
        if kind not in ("image_url", "video_url") or str(kind).removesuffix("_url") not in model.input:
            raise bad_messages(f"content of type {kind} is not supported by the model")
        there = part.get(kind)
        url = there.get("url") if isinstance(there, dict) and there.keys() <= {"url", "detail", "fps"} else None
        if not isinstance(url, str) or not url.startswith(("https://", "http://", "data:")):
            raise bad("invalid url of an image", "invalid_image_url")


# ---- the rest ----


def check_tools(tools: Any, model: Model) -> list[Json]:
    if not is_list(tools, of=dict) or (tools and model.tools is False):
        raise bad("tools are not supported, or are no list")
    for tool in tools:
        if tool.keys() != {"type", "function"} or tool["type"] != "function":
            raise bad("tools: only functions are supported")
        if not is_function(tool["function"], required=frozenset({"name"})):
            raise bad("tools: invalid function")
    if len(functions_named([tool["function"] for tool in tools])) < len(tools):
        raise bad("tools: names must differ")
    return list(tools)


def check_choice(choice: Any, names: set[str]) -> str:
    if isinstance(choice, str) and choice in ("auto", "none", "required") and (names or choice != "required"):
        return choice
    function = choice.get("function") if isinstance(choice, dict) and choice.get("type") == "function" else None
    name = function.get("name") if isinstance(function, dict) else None
    if not isinstance(name, str) or name not in names:
        raise bad("invalid tool_choice")
    return name


def check_form(form: Any, model: Model) -> Json | None:
    """The schema to fill; None for free text."""
    kind = form.get("type") if isinstance(form, dict) else None
    if kind == "text":
        return None
    if kind == "json_object" and model.json != "none":
        return {}
    named = form.get("json_schema") if kind == "json_schema" and model.json == "schema" else None
    schema = named.get("schema") if isinstance(named, dict) else None
    if not isinstance(schema, dict) or not is_schema(schema):
        raise bad("invalid response_format")
    return schema


def thinks(body: Json, model: Model) -> bool:
    """ERNIE and Qwen have one switch, on unless turned off; other makers' models another, off unless turned on; some have an effort."""
    named = model.id.startswith(("ernie", "qwen"))
    if "thinking" in body and (
        named or body["thinking"].get("type") not in ("enabled", "disabled") or model.thinking not in ("switch", "effort")
    ):
        raise bad("thinking is not supported by the model")
    if "enable_thinking" in body and not (named and model.thinking == "switch"):
        raise bad("enable_thinking is not supported by the model")
    if "reasoning_effort" in body and (model.thinking != "effort" or body["reasoning_effort"] not in ("high", "max")):
        raise bad("reasoning_effort is not supported by the model, or is neither high nor max")
    if model.thinking == "effort":
        return "reasoning_effort" in body or body.get("thinking") == {"type": "enabled"}
    if model.thinking == "switch":
        return bool(body.get("enable_thinking", True)) if named else body.get("thinking") == {"type": "enabled"}
    return model.thinking == "always"
