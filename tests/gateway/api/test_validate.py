"""Requests checked as OpenAI checks them."""

from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.api import legacy_functions, validate
from gateway.api.wire import Refusal
from providers.base import Fault, Json, Model, Target
from providers.zhipu.adapter import ADAPTER

USER: Json = {"role": "user", "content": "x"}
CALLS: Json = {
    "role": "assistant",
    "content": None,
    "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
}
RESULT: Json = {"role": "tool", "tool_call_id": "a", "content": "1"}
FUNCTION: Json = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}


def refused(body: Json) -> tuple[str, str]:
    """(param, code) of the refusal."""
    with pytest.raises(Refusal) as raised:
        validate.chat({"model": "m", "messages": [USER], **body})
    assert raised.value.status == 400
    error = raised.value.body["error"]
    return error["param"], error["code"]


GOOD: list[Json] = [
    {},
    {"temperature": 0},
    {"temperature": 2.0, "top_p": 1, "n": 128, "seed": -5, "max_tokens": 1},
    {"n": 2.0},
    {"stop": "x"},
    {"stop": ["a", "b", "c", "d"]},
    {"stream": True, "stream_options": {"include_usage": True}},
    {"stream_options": None},
    {"tools": [FUNCTION]},
    {"tools": [{"type": "web_search", "web_search": {"enable": True}}]},
    {"tools": [FUNCTION], "tool_choice": {"type": "function", "function": {"name": "f"}}},
    {"tools": [FUNCTION], "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [FUNCTION]}}},
    {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {}}}},
    {"messages": [USER, CALLS, RESULT, USER]},
    {"messages": [{"role": "developer", "content": [{"type": "text", "text": "x"}]}, USER]},
    {"messages": [{"role": "user", "content": [{"type": "video_url", "video_url": {"url": "x"}}]}]},
    {"functions": [{"name": "f"}], "function_call": "auto"},
    {"thinking": {"type": "enabled"}, "top_k": 5, "do_sample": "anything"},
]


@pytest.mark.parametrize("body", GOOD, ids=str)
def test_what_openai_takes_is_taken_as_it_is(body: Json) -> None:
    whole = {"model": "m", "messages": [USER], **body}

    assert validate.chat(whole) == {name: value for name, value in whole.items() if value is not None}


def test_a_body_is_not_edited() -> None:
    body = {"model": "m", "messages": [USER], "temperature": None}

    validate.chat(body)

    assert body == {"model": "m", "messages": [USER], "temperature": None}


BAD: list[tuple[Json, str, str]] = [
    ({"model": None}, "model", "missing_required_parameter"),
    ({"model": 5}, "model", "invalid_type"),
    ({"messages": None}, "messages", "missing_required_parameter"),
    ({"messages": []}, "messages", "empty_array"),
    ({"messages": "x"}, "messages", "invalid_type"),
    ({"messages": ["x"]}, "messages[0]", "invalid_type"),
    ({"messages": [{}]}, "messages[0].role", "missing_required_parameter"),
    ({"messages": [{"role": "boss", "content": "x"}]}, "messages[0].role", "invalid_value"),
    ({"messages": [{"role": [], "content": "x"}]}, "messages[0].role", "invalid_type"),
    ({"messages": [{"role": "user"}]}, "messages[0].content", "missing_required_parameter"),
    ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content", "invalid_type"),
    ({"messages": [{"role": "user", "content": []}]}, "messages[0].content", "empty_array"),
    ({"messages": [{"role": "user", "content": ["x"]}]}, "messages[0].content[0]", "invalid_type"),
    ({"messages": [{"role": "user", "content": [{}]}]}, "messages[0].content[0].type", "missing_required_parameter"),
    ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0].content[0].text", "missing_required_parameter"),
    (
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": "http://x"}]}]},
        "messages[0].content[0].image_url",
        "invalid_type",
    ),
    ({"messages": [USER, CALLS]}, "messages[1]", "invalid_value"),
    ({"messages": [USER, CALLS, USER]}, "messages[2]", "invalid_value"),
    ({"messages": [USER, RESULT]}, "messages[1].role", "invalid_value"),
    ({"messages": [USER, CALLS, RESULT, RESULT]}, "messages[3].role", "invalid_value"),
    ({"messages": [USER, {"role": "assistant", "tool_calls": [{}]}]}, "messages[1].tool_calls[0].id", "missing_required_parameter"),
    ({"messages": [USER, {"role": "assistant", "tool_calls": "x"}]}, "messages[1].tool_calls", "invalid_type"),
    ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].tool_call_id", "missing_required_parameter"),
    ({"temperature": "hot"}, "temperature", "invalid_type"),
    ({"temperature": True}, "temperature", "invalid_type"),
    ({"temperature": 2.1}, "temperature", "decimal_above_max_value"),
    ({"temperature": -0.1}, "temperature", "decimal_below_min_value"),
    ({"top_p": 1.5}, "top_p", "decimal_above_max_value"),
    ({"n": 0}, "n", "integer_below_min_value"),
    ({"n": 129}, "n", "integer_above_max_value"),
    ({"n": 1.5}, "n", "invalid_type"),
    ({"max_tokens": 0}, "max_tokens", "integer_below_min_value"),
    ({"max_completion_tokens": "5"}, "max_completion_tokens", "invalid_type"),
    ({"stream": "yes"}, "stream", "invalid_type"),
    ({"stream_options": {"include_usage": True}}, "stream_options", "invalid_value"),
    ({"stream": True, "stream_options": {"include_usage": 1}}, "stream_options.include_usage", "invalid_type"),
    ({"stop": 5}, "stop", "invalid_type"),
    ({"stop": ["a"] * 5}, "stop", "array_above_max_length"),
    ({"stop": [None]}, "stop[0]", "invalid_type"),
    ({"tools": {}}, "tools", "invalid_type"),
    ({"tools": [{}]}, "tools[0].type", "missing_required_parameter"),
    ({"tools": [{"type": "function"}]}, "tools[0].function", "missing_required_parameter"),
    ({"tools": [{"type": "function", "function": {}}]}, "tools[0].function.name", "missing_required_parameter"),
    ({"tools": [{"type": "function", "function": {"name": "f", "parameters": []}}]}, "tools[0].function.parameters", "invalid_type"),
    ({"tools": [FUNCTION] * 129}, "tools", "array_above_max_length"),
    ({"tool_choice": "maybe"}, "tool_choice", "invalid_value"),
    ({"tool_choice": {}}, "tool_choice.type", "missing_required_parameter"),
    ({"tool_choice": {"type": "function"}}, "tool_choice.function", "missing_required_parameter"),
    ({"tool_choice": {"type": "magic"}}, "tool_choice.type", "invalid_value"),
    ({"response_format": "json"}, "response_format", "invalid_type"),
    ({"response_format": {"type": "xml"}}, "response_format.type", "invalid_value"),
    ({"response_format": {"type": "json_schema"}}, "response_format.json_schema", "missing_required_parameter"),
    ({"response_format": {"type": "json_schema", "json_schema": {}}}, "response_format.json_schema.name", "missing_required_parameter"),
    ({"functions": []}, "functions", "empty_array"),
    ({"functions": [{"name": "f"}], "function_call": "required"}, "function_call", "invalid_value"),
    ({"functions": [{"name": "f"}], "function_call": {}}, "function_call.name", "missing_required_parameter"),
    ({"reasoning_effort": "huge"}, "reasoning_effort", "invalid_value"),
    ({"logit_bias": []}, "logit_bias", "invalid_type"),
    ({"top_logprobs": 21}, "top_logprobs", "integer_above_max_value"),
]


@pytest.mark.parametrize(("body", "param", "code"), BAD, ids=lambda value: value if isinstance(value, str) else None)
def test_what_openai_refuses_is_refused_with_its_param_and_code(body: Json, param: str, code: str) -> None:
    assert refused(body) == (param, code)


def test_a_message_names_what_is_wrong_as_openai_does() -> None:
    with pytest.raises(Refusal) as raised:
        validate.chat({"model": "m", "messages": [USER], "temperature": 3})

    assert str(raised.value) == "Invalid 'temperature': decimal above maximum value. Expected a value <= 2, but got 3 instead."


WORDS = st.sampled_from(
    "user system assistant tool function developer text image_url auto none required custom allowed_tools json_schema a f".split()
)
LEAF = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=4) | WORDS
NAMES = st.sampled_from(
    "role content type text image_url url tool_calls id function name arguments tool_call_id function_call parameters json_schema schema "
    "allowed_tools mode tools custom include_usage strict detail".split()
)
ANY = st.recursive(LEAF, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4), max_leaves=8)
MESSAGE = st.fixed_dictionaries({}, optional=dict.fromkeys("role content tool_calls tool_call_id function_call name refusal".split(), ANY))
TOOL = st.fixed_dictionaries(
    {"type": st.just("function") | ANY, "function": st.fixed_dictionaries({"name": st.just("f")}, optional={"parameters": ANY}) | ANY}
)
BODY = st.fixed_dictionaries(
    {"model": st.just("m"), "messages": st.lists(st.just(USER) | MESSAGE | st.sampled_from([CALLS, RESULT]), max_size=3) | ANY},
    optional={**dict.fromkeys(validate.CHAT.keys() - {"model", "messages", "tools"}, ANY), "tools": st.lists(TOOL, max_size=2) | ANY},
)


def taken_or_refused(check: Callable[[Json], Json], body: Json) -> Json | Refusal:
    try:
        return check(body)
    except Refusal as refusal:
        return refusal


@given(BODY)
def test_a_body_is_taken_or_refused_and_nothing_else(body: Json) -> None:
    taken = taken_or_refused(validate.chat, body)

    if isinstance(taken, Refusal):
        assert taken.status == 400
        assert taken.body["error"]["param"]
    else:
        assert None not in taken.values()


@given(BODY)
def test_what_is_taken_can_be_translated_or_is_refused_by_the_translator(body: Json) -> None:
    taken = taken_or_refused(validate.chat, body)
    if isinstance(taken, Refusal):
        return
    if legacy_functions.used(taken):
        taken = legacy_functions.as_tools(taken)

    with suppress(Fault):
        assert ADAPTER.endpoints["chat"].request(taken, Target("http://x", Model("glm-5.2", thinking="effort"))).body


@given(st.dictionaries(st.sampled_from(["model", "input", "dimensions", "encoding_format", "user"]), ANY))
def test_an_embeddings_body_is_taken_or_refused_and_nothing_else(body: Json) -> None:
    taken = taken_or_refused(validate.embeddings, body)

    assert taken.status == 400 if isinstance(taken, Refusal) else taken["input"]
