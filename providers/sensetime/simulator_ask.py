"""What the native API and the compatible mode ask of a request alike: they serve the same models."""

from msgspec import Struct

from providers.base import Json, Model
from providers.sensetime.simulator_checks import (
    Refusal,
    bad,
    check_media,
    check_messages,
    check_own_content,
    check_safety,
    check_tools,
    equals,
    exactly,
    flag,
    tokens,
)
from providers.simulation import Ask, understand, understand_tools

USUAL_LENGTH = 1024
"""Tokens of an answer where the request sets no limit; said of the models that read text alone."""


class Question(Struct, frozen=True):
    """A request, understood."""

    ask: Ask
    unsafe: bool
    """Of the answer."""


switch = exactly(enabled=flag)
json_object = equals({"type": "json_object"})


def understood(body: Json, model: Model, *, most: int | None, choice: str) -> Question:
    """`most`: tokens of the answer, as the request limits them. Raises Refusal."""
    messages = check_messages(body.get("messages"), check_own_content(model))
    check_media(messages)
    check_tools(body, model)
    if model.output and (most or 0) > model.output:
        raise bad(f"max_new_tokens must be in [1, {model.output}]")
    if "response_format" in body and model.json not in ("object", "schema"):
        raise bad(f"response_format is not supported by {model.id}")
    if "thinking" in body and model.thinking != "switch":
        raise bad(f"thinking is not supported by {model.id}")
    told = understand(messages)
    unsafe = check_safety(told)
    if model.context and tokens(told) + (most or 0) > model.context:
        raise Refusal(400, 17, f"the input and max_new_tokens are more than {model.context} tokens")
    ask = Ask(
        told,
        understand_tools(body.get("tools")),
        choice=choice,
        schema={} if "response_format" in body else None,
        most=most or (model.output if "image" in model.input else USUAL_LENGTH) or None,
        think=model.thinking == "always" or bool(body.get("thinking", {}).get("enabled")),
        temperature=body.get("temperature"),
    )
    return Question(ask, unsafe)
