"""A request of the Responses API: checked, and said in chat's words. What chat has no words for is left out, and reported."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from gateway.api import validate
from gateway.api.responses.items import Turns
from gateway.api.responses.tools import Tools
from gateway.api.validate import CHAT, MOST_TOKENS, Check, array, boolean, either, fields, integer, invalid, known, obj, one_of, string
from gateway.api.wire import Refusal
from providers.base import Change, Json

MOVED = {
    "messages": "input",
    "max_tokens": "max_output_tokens",
    "max_completion_tokens": "max_output_tokens",
    "response_format": "text.format",
    "reasoning_effort": "reasoning.effort",
    "verbosity": "text.verbosity",
    "functions": "tools",
    "function_call": "tool_choice",
    "logprobs": "include",
    "web_search_options": "tools",
}
"""What chat calls otherwise: taken silently, it would not do what was meant."""


def pairs(value: Any, path: str) -> None:
    obj(value, path)
    for name, item in value.items():
        string(item, f"{path}.{name}"[:200])


json_schema = fields({"name": string, "schema": obj, "strict": boolean, "description": string}, required=("name", "schema"))


def shape(value: Any, path: str) -> None:
    fields({"type": one_of("text", "json_object", "json_schema")}, required=("type",))(value, path)
    if value["type"] == "json_schema":
        json_schema(value, path)


OWN: Mapping[str, Check] = {
    "input": either(string, array(obj)),
    "instructions": string,
    "max_output_tokens": integer(1, MOST_TOKENS),
    "max_tool_calls": integer(1, MOST_TOKENS),
    "metadata": pairs,
    "previous_response_id": string,
    "conversation": either(string, fields({"id": string}, required=("id",))),
    "background": boolean,
    "include": array(string),
    "reasoning": fields({"effort": CHAT["reasoning_effort"], "summary": string, "generate_summary": string}),
    "text": fields({"format": shape, "verbosity": string}),
    "tools": array(obj),
    "tool_choice": either(string, obj),
    "truncation": one_of("auto", "disabled"),
    "stream_options": fields({"include_obfuscation": boolean}),
    "client_metadata": obj,
}
TAKEN: Mapping[str, Check] = {**{name: check for name, check in CHAT.items() if name not in MOVED}, **OWN}
AS_THEY_ARE = frozenset(TAKEN) - frozenset(OWN) - {"store", "stream_options", "tools", "tool_choice", "parallel_tool_calls"}
"""What chat has by the same name."""
LOST = {
    "max_tool_calls": "no tool is run here",
    "client_metadata": "for OpenAI alone",
    "context_management": "not offered",
    "moderation": "not offered",
    "background_options": "not offered",
    "access_programs": "not offered",
    "image": "not offered",
}
ENCRYPTED, LOGPROBS = "reasoning.encrypted_content", "message.output_text.logprobs"


class Asked(Struct, frozen=True):
    """What is asked, in chat's words."""

    body: Json
    tools: Tools
    changes: tuple[Change, ...] = ()


def checked(body: Json) -> Json:
    """The request without nulls. `input` is checked by its items, and `tools` where they are said to chat. Raises Refusal(400)."""
    for name, now in MOVED.items():
        if body.get(name) is not None:
            message = f"Unsupported parameter: '{name}'. In the Responses API this is '{now}': try again with that."
            raise invalid(name, message, "unsupported_parameter")
    body = known(body, TAKEN, required=("model",))
    if body.get("n", 1) != 1:
        raise invalid("n", "Unsupported parameter: 'n'. A response has one answer: ask several times.", "unsupported_parameter")
    if "prompt" in body:
        message = "Unsupported parameter: 'prompt'. No prompts are kept here: send their text as 'instructions' and 'input'."
        raise invalid("prompt", message, "unsupported_parameter")
    return body


def asked_of(body: Json, items: Sequence[Json], *, strict: bool = False) -> Asked:
    """A checked request with all of its items, as one of chat. `strict`: nothing may be emulated. Raises Refusal(400)."""
    tools = Tools(body.get("tools") or (), strict=strict)
    told = Turns(tools, items).said
    if not told:
        raise nothing_said()
    if instructions := body.get("instructions"):
        told = [{"role": "system", "content": instructions}, *told]
    said: Json = {"model": body["model"], "messages": told}
    for name, value in body.items():
        if name in AS_THEY_ARE or (name not in TAKEN and name not in LOST):
            said[name] = value
        elif name in LOST:
            tools.lose(name, LOST[name])
    said.pop("n", None)
    _tools(body, said, tools)
    _answer(body, said)
    if body.get("truncation") == "auto":
        tools.lose("truncation", "what is too long is refused")
    return Asked(validate.chat(said), tools, tuple(tools.changes))


def in_own_words(refusal: Refusal) -> Json:
    """A refusal of what was asked of chat, with the field that the client knows."""
    error = refusal.body["error"]
    own = MOVED.get(re.split(r"[.\[]", error["param"] or "", maxsplit=1)[0])
    return {**refusal.body, "error": {**error, "param": own}} if own else refusal.body


def nothing_said() -> Refusal:
    message = (
        "Missing required parameter: 'input'. There has to be an 'input', a 'previous_response_id' or a 'conversation' with words in it."
    )
    return invalid("input", message, "missing_required_parameter")


def _tools(body: Json, said: Json, tools: Tools) -> None:
    if tools.search is not None:
        said["web_search_options"] = tools.search
    if (choice := body.get("tool_choice")) is not None:
        chosen = tools.choice(choice)
        if chosen is not None:
            said["tool_choice"] = chosen
    if tools.said:
        said["tools"] = tools.said
        if "parallel_tool_calls" in body:
            said["parallel_tool_calls"] = body["parallel_tool_calls"]


def _answer(body: Json, said: Json) -> None:
    """What the answer is to be like."""
    if "max_output_tokens" in body:
        said["max_completion_tokens"] = body["max_output_tokens"]
    if effort := body.get("reasoning", {}).get("effort"):
        said["reasoning_effort"] = effort
    text = body.get("text", {})
    if verbosity := text.get("verbosity"):
        said["verbosity"] = verbosity
    form = text.get("format") or {}
    if form.get("type") == "json_object":
        said["response_format"] = {"type": "json_object"}
    elif form.get("type") == "json_schema":
        schema = {key: form[key] for key in ("name", "description", "schema", "strict") if form.get(key) is not None}
        said["response_format"] = {"type": "json_schema", "json_schema": schema}
    if LOGPROBS in body.get("include", ()) or body.get("top_logprobs"):
        said["logprobs"] = True
    if not said.get("top_logprobs"):
        said.pop("top_logprobs", None)
