"""JSON that is no request: every field of a wrong type or out of range is a 400 that names it, before the vendor hears of it."""

import json
from typing import Any

import pytest
from msgspec import Struct

from tests.battery_front.conftest import Front
from tests.battery_front.speaking import LAST, ask, body_of, post, refused

HELLO = {"role": "user", "content": "Hello"}


class Bad(Struct, frozen=True):
    body: bytes
    code: str
    param: str


def raw(field: str, text: str, code: str) -> Bad:
    """A request with a field whose JSON is written by hand."""
    return Bad(body_of()[:-1] + f', "{field}": {text}}}'.encode(), code, field)


def odd(field: str, value: Any, code: str = "invalid_type", param: str = "") -> Bad:
    return Bad(json.dumps({"model": "good", "messages": [HELLO], field: value}).encode(), code, param or field)


def message(value: Any, param: str, code: str = "invalid_type") -> Bad:
    return Bad(json.dumps({"model": "good", "messages": [value]}).encode(), code, param)


FUNCTION = {"type": "function", "function": {"name": "f"}}
CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
CALLED = {"role": "assistant", "content": None, "tool_calls": [CALL]}

NO_REQUESTS: dict[str, Bad] = {
    "no-model": Bad(b'{"messages": [{"role": "user", "content": "Hello"}]}', "missing_required_parameter", "model"),
    "a-null-model": odd("model", None, "missing_required_parameter"),
    "no-messages": Bad(b'{"model": "good"}', "missing_required_parameter", "messages"),
    "fields-in-capitals": Bad(b'{"Model": "good", "MESSAGES": []}', "missing_required_parameter", "model"),
    "no-messages-in-the-list": odd("messages", [], "empty_array"),
    "messages-as-text": odd("messages", "Hello"),
    "messages-as-an-object": odd("messages", {"0": HELLO}),
    "a-model-that-is-a-number": odd("model", 5),
    "a-model-that-is-a-list": odd("model", ["good"]),
    "a-temperature-in-words": odd("temperature", "hot"),
    "a-temperature-that-is-true": odd("temperature", True),
    "a-temperature-of-less-than-nothing": odd("temperature", -5e-324, "decimal_below_min_value"),
    "a-seed-of-4300-digits": raw("seed", "9" * 4300, "integer_above_max_value"),
    "tokens-below-all-numbers": raw("max_tokens", "-" + "9" * 4299, "integer_below_min_value"),
    "tokens-beyond-all-numbers": raw("max_completion_tokens", "1e300", "integer_above_max_value"),
    "a-seed-with-a-fraction": odd("seed", 1.5),
    "an-n-of-nothing": odd("n", 0, "integer_below_min_value"),
    "a-stream-in-words": odd("stream", "true"),
    "a-stream-of-one": odd("stream", 1),
    "options-of-no-stream": odd("stream_options", {"include_usage": True}, "invalid_value"),
    "a-stop-that-is-an-object": odd("stop", {}),
    "five-stops": odd("stop", list("abcde"), "array_above_max_length"),
    "a-bias-that-is-a-list": odd("logit_bias", []),
    "a-user-that-is-an-object": odd("user", {"name": "x"}),
    "metadata-in-words": odd("metadata", "x"),
    "tools-as-an-object": odd("tools", FUNCTION),
    "a-tool-without-a-function": odd("tools", [{"type": "function"}], "missing_required_parameter", "tools[0].function"),
    "a-tool-with-a-line-end-in-its-name": odd(
        "tools", [{"type": "function", "function": {"name": "f\r\nx"}}], "invalid_value", "tools[0].function.name"
    ),
    "a-format-nobody-knows": odd("response_format", {"type": "yaml"}, "invalid_value", "response_format.type"),
    "an-effort-nobody-knows": odd("reasoning_effort", "heroic", "invalid_value"),
    "a-message-as-text": message("Hello", "messages[0]"),
    "a-message-of-null": message(None, "messages[0]"),
    "a-message-without-a-role": message({"content": "Hello"}, "messages[0].role", "missing_required_parameter"),
    "a-role-nobody-knows": message({"role": "root", "content": "Hello"}, "messages[0].role", "invalid_value"),
    "a-role-of-100-kb": message({"role": "r" * 100_000, "content": "Hello"}, "messages[0].role", "invalid_value"),
    "a-content-that-is-a-number": message({"role": "user", "content": 5}, "messages[0].content"),
    "a-part-without-a-type": message(
        {"role": "user", "content": [{"text": "Hello"}]}, "messages[0].content[0].type", "missing_required_parameter"
    ),
    "an-image-as-text": message(
        {"role": "user", "content": [{"type": "image_url", "image_url": "http://x/"}]}, "messages[0].content[0].image_url"
    ),
    "an-answer-to-no-call": message({"role": "tool", "tool_call_id": "c", "content": "x"}, "messages[0].role", "invalid_value"),
    "a-call-that-nobody-answers": odd("messages", [HELLO, CALLED], "invalid_value", "messages[1]"),
    "a-call-without-an-id": message(
        {**CALLED, "tool_calls": [{**CALL, "id": None}]}, "messages[0].tool_calls[0].id", "missing_required_parameter"
    ),
    "10000-calls-that-nobody-answers": message(
        {**CALLED, "tool_calls": [{**CALL, "id": f"c{number}"} for number in range(10_000)]}, "messages[0]", "invalid_value"
    ),
}


@pytest.mark.parametrize("case", NO_REQUESTS)
def test_a_field_that_is_wrong_is_refused_by_name_before_the_vendor_hears_of_it(front: Front, case: str) -> None:
    bad = NO_REQUESTS[case]
    before = front.vendor.count

    error = refused(ask(front.url, post(bad.body, LAST)), 400, bad.code)

    assert (error["type"], error["param"]) == ("invalid_request_error", bad.param)
    assert len(error["message"]) < 1000
    assert front.vendor.count == before


EMBEDDED: dict[str, Bad] = {
    "no-input": Bad(b'{"model": "good"}', "missing_required_parameter", "input"),
    "an-empty-text": Bad(b'{"model": "good", "input": ""}', "empty_string", "input"),
    "no-texts": Bad(b'{"model": "good", "input": []}', "empty_array", "input"),
    "a-number": Bad(b'{"model": "good", "input": 5}', "invalid_type", "input"),
    "numbers-and-texts": Bad(b'{"model": "good", "input": [5, "x"]}', "invalid_type", "input[1]"),
    "a-negative-token": Bad(b'{"model": "good", "input": [[5, -5]]}', "integer_below_min_value", "input[0][1]"),
    "2049-texts": Bad(json.dumps({"model": "good", "input": ["x"] * 2049}).encode(), "array_above_max_length", "input"),
    "a-width-of-nothing": Bad(b'{"model": "good", "input": "x", "dimensions": 0}', "integer_below_min_value", "dimensions"),
    "a-width-of-30-digits": Bad(
        b'{"model": "good", "input": "x", "dimensions": %s}' % (b"9" * 30), "integer_above_max_value", "dimensions"
    ),
}


@pytest.mark.parametrize("case", EMBEDDED)
def test_the_same_of_embeddings(front: Front, case: str) -> None:
    bad = EMBEDDED[case]

    error = refused(ask(front.url, post(bad.body, LAST, path=b"/v1/embeddings")), 400, bad.code)

    assert error["param"] == bad.param
