"""A chat or embeddings request as OpenAI's models take it, at OpenAI and at Azure: the checks of both simulators.

Written from OpenAI's OpenAPI document 2.3.0 and its error messages, without a look at the adapters. Which fields there are, the surface
says; which model has them, and with which others, stands here.
"""

import re
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from providers.base import Json, Model
from providers.openai.simulator_values import Refusal, bad
from providers.simulation import Ask, Tool, count, understand, understand_tools

CHAT = frozenset(
    "messages model audio frequency_penalty function_call functions logit_bias logprobs max_completion_tokens max_tokens metadata "
    "modalities moderation n parallel_tool_calls prediction presence_penalty prompt_cache_key prompt_cache_options prompt_cache_retention "
    "reasoning_effort response_format safety_identifier seed service_tier stop store stream stream_options temperature tool_choice tools "
    "top_logprobs top_p user verbosity web_search_options".split()
)
"""Fields of OpenAI's chat today."""
EMBEDDINGS = frozenset("input model dimensions encoding_format user".split())
MOST_INPUTS = 2048
MOST_TOKENS_OF_INPUTS = 300_000


class Question(Struct, frozen=True):
    """A chat request that has been understood."""

    model: Model
    asks: tuple[Ask, ...]
    """One for each choice."""
    text: str
    """All that was said."""
    stream: bool = False
    usage_told: bool = False
    padded: bool = True
    logprobs: int | None = None
    """How many alternatives of each token are told; None: nothing is."""


# ---- generations ----


def release(model: Model) -> tuple[int, ...]:
    """(5, 4) for gpt-5.4, (4, 0) for gpt-4o, (0, 0) for the o-series."""
    found = re.match(r"(?:ft:)?gpt-(\d+)(?:\.(\d+))?", model.id)
    return (int(found[1]), int(found[2] or 0)) if found else (0, 0)


def thinks(model: Model) -> bool:
    return model.thinking in ("effort", "always", "switch")


def efforts(model: Model) -> tuple[str, ...]:
    """The efforts that the model takes."""
    if not release(model)[0]:
        return ("low", "medium", "high")
    if release(model) == (5, 0):
        return ("minimal", "low", "medium", "high")
    middle = ("low", "medium", "high") if release(model) == (5, 1) else ("low", "medium", "high", "xhigh")
    return middle if model.thinking == "always" else ("none", *middle)


def usual_effort(model: Model) -> str:
    return "none" if thinks(model) and (5, 1) <= release(model) <= (5, 4) else "medium"


# ---- whole requests ----


def check_together(body: Json, model: Model) -> None:
    """What one field says of another, and what the model has of them."""
    for field, needed in (("tool_choice", "tools"), ("parallel_tool_calls", "tools")):
        if field in body and needed not in body:
            raise bad(f"Invalid value for '{field}': '{field}' is only allowed when 'tools' are specified.", field)
    if "stream_options" in body and not body.get("stream"):
        raise bad("The 'stream_options' parameter is only allowed when 'stream' is enabled.", "stream_options")
    if "top_logprobs" in body and not body.get("logprobs"):
        raise bad("Invalid value for 'top_logprobs': 'logprobs' must be true to use it.", "top_logprobs")
    if "max_tokens" in body and "max_completion_tokens" in body:
        raise bad(
            "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.",
            "max_tokens",
            "invalid_parameter_combination",
        )
    if body.get("response_format", {}).get("type") == "json_schema" and model.json != "schema":
        raise bad("Invalid parameter: 'response_format' of type 'json_schema' is not supported with this model.", "response_format")
    for field in ("max_tokens", "max_completion_tokens"):
        if model.output and body.get(field, 0) > model.output:
            most = f"This model supports at most {model.output} completion tokens, whereas you provided {body[field]}."
            raise bad(f"{field} is too large: {body[field]}. {most}", field, "invalid_value")


def lacking(model: Model, body: Json, calls_quietly: tuple[int, int]) -> None:
    """Fields that the model does not have, or has with its usual value alone. From `calls_quietly` on, functions want no reasoning."""
    newer = not release(model)[0] or release(model) >= (5, 0)
    if newer and "max_tokens" in body:
        raise unsupported("max_tokens", " Use 'max_completion_tokens' instead.")
    if "web_search_options" in body and "search" not in model.id:
        raise unsupported("web_search_options")
    if not thinks(model):
        if "reasoning_effort" in body:
            raise bad("Unrecognized request argument supplied: reasoning_effort")
        if body.get("verbosity", "medium") != "medium":
            raise only_usual("verbosity", body["verbosity"], "'medium'")
        return
    for field in ("stop", "logit_bias", "prediction", "audio"):
        if field in body:
            raise unsupported(field)
    if body.get("modalities", ["text"]) != ["text"]:
        raise unsupported("modalities")
    if not release(model)[0]:
        for field in ("parallel_tool_calls", "verbosity"):
            if field in body:
                raise unsupported(field)
    for field in ("presence_penalty", "frequency_penalty"):
        if body.get(field, 0) != 0:
            raise unsupported(field)
    effort = body.get("reasoning_effort", usual_effort(model))
    if effort not in efforts(model):
        known = ", ".join(f"'{one}'" for one in efforts(model))
        raise bad(
            f"Unsupported value: 'reasoning_effort' does not support '{effort}' with this model. Supported values are: {known}.",
            "reasoning_effort",
            "unsupported_value",
        )
    if effort == "none":
        return
    if release(model) >= calls_quietly and any(tool["type"] == "function" for tool in body.get("tools", ())):
        way = "To use function tools, use /v1/responses or set reasoning_effort to 'none'."
        message = f"Function tools with reasoning_effort are not supported for {model.id} in /v1/chat/completions. {way}"
        raise bad(message, "reasoning_effort")
    for field in ("temperature", "top_p"):
        if body.get(field, 1) != 1:
            raise only_usual(field, body[field], "1")
    for field in ("logprobs", "top_logprobs"):
        if body.get(field):
            raise unsupported(field)


def unsupported(field: str, more: str = "") -> Refusal:
    return bad(f"Unsupported parameter: '{field}' is not supported with this model.{more}", field, "unsupported_parameter")


def only_usual(field: str, value: Any, usual: str) -> Refusal:
    message = f"Unsupported value: '{field}' does not support {value} with this model. Only the default ({usual}) value is supported."
    return bad(message, field, "unsupported_value")


def ask_of(body: Json, model: Model) -> Question:
    """The request as a question to a brain. `body` has been checked."""
    tools = understand_tools(body.get("tools"))
    choice, allowed = chosen(body.get("tool_choice", "auto"))
    if allowed is not None:
        tools = tuple(tool for tool in tools if tool.name in allowed)
    if "functions" in body:
        tools = tuple(Tool(one["name"], one.get("description") or "", one.get("parameters") or {}) for one in body["functions"])
    form = body.get("response_format", {"type": "text"})
    heard = understand([{**message, "role": "system"} if message["role"] == "developer" else message for message in body["messages"]])
    given = body.get("stop", [])
    ask = Ask(
        heard,
        tools,
        choice=choice,
        parallel=body.get("parallel_tool_calls", True),
        schema=None if form["type"] == "text" else form.get("json_schema", {}).get("schema") or {},
        stop=(given,) if isinstance(given, str) else tuple(given),
        most=body.get("max_completion_tokens", body.get("max_tokens")),
        think=thinks(model) and body.get("reasoning_effort", usual_effort(model)) != "none",
        temperature=body.get("temperature"),
    )
    told = "".join(message.text for message in heard)
    if model.context and count(told) > model.context:
        message = f"This model's maximum context length is {model.context} tokens. However, your messages resulted in {count(told)} tokens."
        raise bad(f"{message} Please reduce the length of the messages.", "messages", "context_length_exceeded")
    if form["type"] == "json_object" and "json" not in told.lower():
        raise bad("'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'.", "messages")
    options = body.get("stream_options", {})
    asks = tuple(replace(ask, index=index) for index in range(body.get("n", 1)))
    likely = body.get("top_logprobs", 0) if body.get("logprobs") else None
    return Question(
        model,
        asks,
        told,
        body.get("stream", False),
        bool(options.get("include_usage")),
        options.get("include_obfuscation") is not False,
        likely,
    )


def chosen(value: Any) -> tuple[str, set[str] | None]:
    """(how the choice is to be made, the names among which it is, None for all)."""
    if isinstance(value, str):
        return value, None
    if value["type"] == "allowed_tools":
        allowed = value["allowed_tools"]
        return allowed["mode"], {one[one["type"]]["name"] for one in allowed["tools"]}
    return value[value["type"]]["name"], None


def check_inputs(body: Json, model: Model) -> tuple[list[str], int]:
    """(texts, width) of an embeddings request. Tokens are counted, and nothing else is known of them."""
    given = body.get("input")
    if given is None:
        raise bad("Missing required parameter: 'input'.", "input", "missing_required_parameter")
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not all(isinstance(one, str) for one in texts):
        raise bad("'$.input' is invalid. Please check the API reference: https://platform.openai.com/docs/api-reference.")
    if not texts or not all(texts):
        raise bad("'$.input' is invalid. An input must not be empty.")
    if len(texts) > MOST_INPUTS:
        raise bad(f"'$.input' is invalid. Array of at most {MOST_INPUTS} inputs is expected.")
    lengths = list(map(count, texts))
    if model.context and max(lengths) > model.context:
        message = f"This model's maximum context length is {model.context} tokens, however you requested {max(lengths)} tokens."
        raise bad(message, "input", "context_length_exceeded")
    if sum(lengths) > MOST_TOKENS_OF_INPUTS:
        raise bad(
            f"Invalid 'input': maximum request size is {MOST_TOKENS_OF_INPUTS} tokens per request.", "input", "max_tokens_per_request"
        )
    width = body.get("dimensions")
    if width is not None and not model.allowed_dimensions:
        raise bad("This model does not support specifying dimensions.", "dimensions")
    if width is not None and width > model.dimensions:
        raise bad(f"Invalid value for 'dimensions' = {width}. Must be less than or equal to {model.dimensions}.", "dimensions")
    return texts, width or model.dimensions
