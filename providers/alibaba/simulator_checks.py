"""What Model Studio refuses on both of its surfaces, and what it understands of the rest. See simulator.py.

Limits and texts are those of the vendor's API reference and error pages (read 2026-11-23). Fields that these do not name are refused.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct

from providers.base import Json, Model
from providers.simulation import UNSAFE_INPUT, UNSAFE_OUTPUT, Ask, count, understand, understand_tools

PARAMETERS = frozenset({
    "temperature", "top_p", "top_k", "presence_penalty", "repetition_penalty", "max_tokens", "n", "stop", "seed", "logprobs",
    "top_logprobs", "tools", "tool_choice", "parallel_tool_calls", "response_format", "enable_thinking", "thinking_budget",
    "reasoning_effort", "preserve_thinking", "enable_search", "search_options", "enable_code_interpreter", "vl_high_resolution_images",
})  # fmt: skip
"""Fields that both surfaces have."""

NEWER = re.compile(r"qwen3\.[5-9]")
"""Generations of 2026: they think by default, and know `required` and `max_completion_tokens`."""
OPEN_QWEN3 = re.compile(r"qwen3(\.\d+)?-([a-z]+-)*\d+b")
STREAM_ONLY = re.compile(r"qwq|qvq|.*(omni|deep-research)")
SEVERAL = re.compile(r"qwen3|qwen-plus-character")

ROLES: Mapping[str, frozenset[str]] = {
    "system": frozenset({"role", "content"}),
    "user": frozenset({"role", "content"}),
    "assistant": frozenset({"role", "content", "tool_calls", "partial", "reasoning_content"}),
    "tool": frozenset({"role", "content", "tool_call_id", "name"}),
}
"""Which keys a message may have."""

EXPLANATION = "For details, see: https://help.aliyun.com/zh/model-studio/error-code"


class Refusal(Exception):
    """What Model Studio answers instead; the surface decides which of the two codes is said, and in which shape."""

    def __init__(self, status: int, native: str, compatible: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.native = native
        self.compatible = compatible
        self.message = message


def bad(message: str) -> Refusal:
    return Refusal(400, "InvalidParameter", "invalid_parameter_error", message)


def unsafe() -> Refusal:
    return Refusal(400, "DataInspectionFailed", "data_inspection_failed", "Input or output data may contain inappropriate content.")


class Question(Struct, frozen=True):
    """A request as it was understood."""

    model: Model
    asks: tuple[Ask, ...]
    """One for each answer wanted."""
    most: int | None
    """Most tokens of the visible answer: reasoning has a budget of its own."""
    budget: int | None
    unsafe_output: bool
    likely: int | None
    """How many likely tokens to tell beside each token; None: no log probabilities."""

    @property
    def thinks(self) -> bool:
        return self.asks[0].think


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


Check = tuple[Callable[[Any], bool], str]

CHECKS: Mapping[str, Check] = {
    "temperature": (lambda v: is_number(v) and 0 <= v < 2, "Temperature should be in [0.0, 2.0)"),
    "top_p": (lambda v: is_number(v) and 0 < v <= 1, "Range of top_p should be (0.0, 1.0]"),
    "top_k": (lambda v: is_count(v) and v >= 0, "Parameter top_k be greater than or equal to 0"),
    "presence_penalty": (lambda v: is_number(v) and -2 <= v <= 2, "Presence_penalty should be in [-2.0, 2.0]"),
    "repetition_penalty": (lambda v: is_number(v) and v > 0, "Repetition_penalty should be greater than 0.0"),
    "n": (lambda v: is_count(v) and 1 <= v <= 4, "Range of n should be [1, 4]"),
    "seed": (lambda v: is_count(v) and 0 <= v < 2**31, "Range of seed should be [0, 2147483647]"),
    "top_logprobs": (lambda v: is_count(v) and 0 <= v <= 5, "Range of top_logprobs should be [0, 5]"),
    "thinking_budget": (lambda v: is_count(v) and v >= 1, "thinking_budget should be a positive integer"),
    "stop": (lambda v: isinstance(v, str) or (isinstance(v, list) and all(isinstance(s, str) or is_count(s) for s in v)),
             "stop must be a string or a list"),
    "search_options": (lambda v: isinstance(v, dict), "search_options must be an object"),
    **{
        name: (lambda v: isinstance(v, bool), f"{name} must be a boolean")
        for name in ("logprobs", "parallel_tool_calls", "enable_thinking", "preserve_thinking", "enable_search", "enable_code_interpreter",
                     "vl_high_resolution_images")
    },
}  # fmt: skip


def read_question(params: Json, messages: Any, model: Model, *, stream: bool) -> Question:
    """`params` without nulls and without the surface's own fields; `messages` in the compatible surface's shape. Raises Refusal."""
    check_numbers(params, model)
    check_messages(messages, model)
    tools = check_tools(params.get("tools"), model)
    think = decide_thinking(params, model)
    if not stream and STREAM_ONLY.match(model.id):
        raise bad("This model only support stream mode, please enable the stream parameter to access the model.")
    if not stream and think and OPEN_QWEN3.match(model.id):
        raise bad("parameter.enable_thinking must be set to false for non-streaming calls")
    schema = check_form(params, messages, model, think)
    choice = check_choice(params, tools, model, think)
    answers = check_answers(params, model, think)
    asked = understand(messages)
    words = "".join(message.text for message in asked)
    if model.context and count(words) > model.context:
        raise bad(f"Range of input length should be [1, {model.context}]")
    if UNSAFE_INPUT in words:
        raise unsafe()
    stop = params.get("stop", ())
    asks = tuple(
        Ask(
            asked,
            understand_tools(tools),
            choice=choice,
            parallel=params.get("parallel_tool_calls", False),
            schema=schema,
            most=bound(params, think),
            stop=(stop,) if isinstance(stop, str) else tuple(word for word in stop if isinstance(word, str)),
            think=think,
            temperature=params.get("temperature"),
            index=index,
        )
        for index in range(answers)
    )
    likely = params.get("top_logprobs", 0) if params.get("logprobs") else None
    return Question(model, asks, params.get("max_tokens"), params.get("thinking_budget"), UNSAFE_OUTPUT in words, likely)


def check_numbers(params: Json, model: Model) -> None:
    most = params.get("max_tokens")
    if most is not None and not (is_count(most) and 1 <= most <= (model.output or most)):
        raise bad(f"Range of max_tokens should be [1, {model.output or 2**31 - 1}]")
    for name, value in params.items():
        is_right, refusal = CHECKS.get(name, (None, ""))
        if is_right and not is_right(value):
            raise bad(refusal)


def decide_thinking(params: Json, model: Model) -> bool:
    wanted, effort = params.get("enable_thinking"), params.get("reasoning_effort")
    if effort is not None and (
        not isinstance(effort, str) or (model.thinking == "effort" and effort not in ("none", "low", "medium", "xhigh"))
    ):
        raise bad("reasoning_effort must be one of none, low, medium, xhigh")
    if model.thinking == "always":
        if wanted is False:
            raise bad("The value of the enable_thinking parameter is restricted to True.")
        return True
    if model.thinking not in ("switch", "effort"):
        if wanted:
            raise Refusal(
                400, "InvalidParameter.NotSupportEnableThinking", "invalid_parameter_error", "The model does not support enable_thinking."
            )
        return False
    if wanted is None:
        by_default = NEWER.match(model.id) or OPEN_QWEN3.match(model.id)
        return by_default is not None and not (model.thinking == "effort" and effort == "none")
    return bool(wanted)


def check_form(params: Json, messages: list[Json], model: Model, think: bool) -> Json | None:
    """The schema to fill: {} for any JSON object, None for free text."""
    form = params.get("response_format", {"type": "text"})
    kind = form.get("type") if isinstance(form, dict) else None
    if kind == "text":
        return None
    if kind not in ("json_object", "json_schema") or model.json == "none" or (kind == "json_schema" and model.json != "schema"):
        raise bad(f"'response_format' of type {kind!r} is not supported by this model.")
    if think:
        raise bad("Json mode response is not supported when enable_thinking is true")
    if kind == "json_object":
        if not any("json" in message.text.lower() for message in understand(messages)):
            raise bad("'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'.")
        return {}
    given = form.get("json_schema")
    if not isinstance(given, dict) or not isinstance(given.get("name"), str) or not is_schema(given.get("schema")):
        raise Refusal(400, "InvalidSchema", "invalid_parameter_error", "response_format.json_schema is not a valid JSON schema.")
    schema: Json = given["schema"]
    return schema


def check_choice(params: Json, tools: list[Json], model: Model, think: bool) -> str:
    """auto, none, required, or the name of the tool to call."""
    choice = params.get("tool_choice", "auto")
    if choice in ("auto", "none"):
        return str(choice)
    if think:
        raise bad("The tool_choice parameter does not support being set to required or object in thinking mode")
    if choice == "required" and NEWER.match(model.id) and tools:
        return "required"
    function = choice.get("function") if isinstance(choice, dict) and choice.get("type") == "function" else None
    name = function.get("name") if isinstance(function, dict) else None
    if not isinstance(name, str) or name not in [tool["function"]["name"] for tool in tools]:
        raise bad("tool_choice must be auto, none, or name one of the tools")
    return name


def check_answers(params: Json, model: Model, think: bool) -> int:
    answers: int = params.get("n", 1)
    if answers > 1 and (think or params.get("tools") or not SEVERAL.match(model.id)):
        raise bad("Range of n should be [1, 1] for this model, with tools, or in thinking mode")
    return answers


# ---- messages ----


def check_messages(messages: Any, model: Model) -> None:
    if not isinstance(messages, list) or not messages:
        raise bad("[] is too short - 'messages'")
    waiting: list[str] = []
    for number, message in enumerate(messages):
        role = message.get("role") if isinstance(message, dict) else None
        if not isinstance(role, str) or role not in ROLES:
            raise bad(f"messages.[{number}].role must be one of {', '.join(ROLES)}")
        for key, value in message.items():
            if key not in ROLES[role] and value is not None:
                raise bad(f"messages.[{number}].{key} is not expected")
        check_content(message, number, model)
        waiting = check_round(message, number, waiting)
        if message.get("partial") and (message["partial"] is not True or number != len(messages) - 1):
            raise bad("partial is for the last message")
    if waiting:
        raise bad(unanswered(len(messages)))


def unanswered(number: int) -> str:
    return (
        'An assistant message with "tool_calls" must be followed by tool messages responding to each "tool_call_id". '
        f"The following tool_call_ids did not have response messages: message[{number}].role"
    )


def check_round(message: Json, number: int, waiting: list[str]) -> list[str]:
    """The calls that wait for a result after this message: results come one for each, at once, and for nothing else."""
    if message["role"] == "tool":
        if message.get("tool_call_id") not in waiting:
            raise bad('messages with role "tool" must be a response to a preceeding message with "tool_calls".')
        return [call for call in waiting if call != message["tool_call_id"]]
    if waiting:
        raise bad(unanswered(number))
    calls = message.get("tool_calls") or []
    if not isinstance(calls, list) or not all(map(is_call, calls)):
        raise bad(f"messages.[{number}].tool_calls is not valid")
    return [call["id"] for call in calls]


def is_call(call: Any) -> bool:
    if not isinstance(call, dict) or not isinstance(call.get("id"), str) or not call["id"] or call.get("type") != "function":
        return False
    function = call.get("function")
    return isinstance(function, dict) and isinstance(function.get("name"), str) and isinstance(function.get("arguments"), str)


def check_content(message: Json, number: int, model: Model) -> None:
    content = message.get("content")
    if isinstance(content, list) and content:
        for part in content:
            check_part(part, message["role"], number, model)
    elif content is None and message["role"] == "assistant" and message.get("tool_calls"):
        return
    elif not isinstance(content, str):
        raise bad(f"messages.[{number}].content must be a string or a list of parts")
    if not isinstance(message.get("reasoning_content") or "", str):
        raise bad(f"messages.[{number}].reasoning_content must be a string")


HINTS = frozenset({"cache_control", "min_pixels", "max_pixels", "total_pixels", "fps", "max_frames"})


def check_part(part: Any, role: str, number: int, model: Model) -> None:
    kind = part.get("type") if isinstance(part, dict) else None
    if not isinstance(kind, str) or kind not in ("text", "image_url", "video_url", "video", "input_audio"):
        raise bad(f"messages.[{number}].content.type must be one of text, image_url, video_url, video, input_audio")
    if part.keys() - HINTS - {"type", kind}:
        raise bad(f"messages.[{number}].content: unexpected key")
    if kind == "text":
        if not isinstance(part.get("text"), str):
            raise bad(f"messages.[{number}].content.text must be a string")
        return
    medium = {"image_url": "image", "input_audio": "audio"}.get(kind, "video")
    if role != "user" or medium not in model.input:
        raise bad(f"messages.[{number}].content: this model does not take {medium}")
    given = part.get(kind)
    if kind in ("image_url", "video_url"):
        given = given.get("url") if isinstance(given, dict) and given.keys() <= {"url", "detail"} else None
    elif kind == "input_audio":
        given = given.get("data") if isinstance(given, dict) and given.keys() <= {"data", "format"} else None
    places = given if kind == "video" and isinstance(given, list) and given else [given]
    if not all(isinstance(place, str) and re.match(r"https?://.|oss://.|data:[^,]*;base64,.", place) for place in places):
        raise bad("The provided URL does not appear to be valid. Ensure it is correctly formatted.")


# ---- tools and schemas ----


def check_tools(tools: Any, model: Model) -> list[Json]:
    if tools is None:
        return []
    if model.tools is False:
        raise bad("This model does not support tools.")
    if not isinstance(tools, list) or not tools:
        raise bad("[] is too short - 'tools'")
    for number, tool in enumerate(tools):
        function = tool.get("function") if isinstance(tool, dict) and tool.get("type") == "function" else None
        if not isinstance(function, dict) or function.keys() - {"name", "description", "parameters"}:
            raise bad(f"tools.[{number}] is not a valid function")
        name, description = function.get("name"), function.get("description", "")
        if not isinstance(name, str) or not re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", name) or not isinstance(description, str):
            raise bad(f"tools.[{number}].function.name or description is not valid")
        if not is_schema(function.get("parameters", {})):
            raise bad(f"tools.[{number}].function.parameters is not a JSON schema")
    return tools


def is_schema(value: Any, depth: int = 0) -> bool:
    """Whether a value has the shape of a JSON schema, as far as anyone here looks at it."""
    if not isinstance(value, dict) or depth > 32:
        return False
    return all(SCHEMA_SHAPES[key](part, depth + 1) for key, part in value.items() if key in SCHEMA_SHAPES)


def _schemas(value: Any, depth: int) -> bool:
    return isinstance(value, list) and bool(value) and all(is_schema(part, depth) for part in value)


def _words(value: Any, depth: int) -> bool:
    return isinstance(value, list) and all(isinstance(word, str) for word in value)


def _size(value: Any, depth: int) -> bool:
    return is_count(value) and 0 <= value <= 1000


def _named(value: Any, depth: int) -> bool:
    return isinstance(value, dict) and all(is_schema(part, depth) for part in value.values())


SCHEMA_SHAPES: Mapping[str, Callable[[Any, int], bool]] = {
    "type": lambda value, depth: isinstance(value, str) or _words(value, depth),
    "enum": lambda value, depth: isinstance(value, list) and bool(value),
    "required": _words,
    "properties": _named,
    "$defs": _named,
    "items": is_schema,
    "anyOf": _schemas,
    "oneOf": _schemas,
    "allOf": _schemas,
    "$ref": lambda value, depth: isinstance(value, str),
    "format": lambda value, depth: isinstance(value, str),
    "minItems": _size,
    "minLength": _size,
    "maxLength": lambda value, depth: is_count(value) and value >= 0,
    "minimum": lambda value, depth: is_number(value),
    "maximum": lambda value, depth: is_number(value),
}


LONGEST_THOUGHT = 2048


def bound(params: Json, think: bool) -> int | None:
    """The most that the brain need say: the answer's limit, and room for the reasoning before it, which the limit says nothing of."""
    most: int | None = params.get("max_tokens")
    if most is None or not think:
        return most
    return most + (params.get("thinking_budget") or LONGEST_THOUGHT)
