"""What SenseNova's simulator refuses, as SenseNova does; and that nothing malformed upsets it."""

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.base import Json
from tests.providers.roundtrip import fault
from tests.providers.sensetime import DEVELOPER, FLASH, NAMED, PIXEL, SYSTEM, TEXT, USER, V6, WEATHER, ask, knock, pair


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("surface", "model", "words", "kind"), [
    ("native", "SenseChat-9", "hi", "no_model"),
    ("native", FLASH, "hi", "no_model"),
    ("native", TEXT, "[unsafe-input]", "refused"),
    ("native", TEXT, "[unsafe-output]", "refused"),
    ("native", "SenseChat", "word " * 4097, "too_long"),
    ("compatible", "SenseChat-9", "hi", "no_model"),
    ("compatible", TEXT, "[unsafe-input]", "refused"),
    ("compatible", TEXT, "[unsafe-output]", "refused"),
    ("compatible", "SenseChat", "word " * 4097, "too_long"),
    ("token_plan", V6, "[unsafe-input]", "refused"),
    ("token_plan", "nova-embedding-stable", "hi", "no_model"),
    ("token_plan", FLASH, "[unsafe-input]", "refused"),
    ("token_plan", FLASH, "[unsafe-output]", "refused"),
    ("token_plan", FLASH, "word " * 262145, "too_long"),
])  # fmt: skip
def test_what_is_refused_is_a_fault_of_the_right_kind(surface: str, model: str, words: str, kind: str, stream: bool) -> None:
    two = pair(surface)
    call = two.stream(ask(words), model) if stream else two.chat(ask(words), model)

    assert asyncio.run(fault(call)).kind == kind
    assert two.bill == {}


def parts(*given: Json) -> list[Json]:
    return [{"role": "user", "content": list(given)}]


BAD_NATIVE: list[Json] = [
    {"messages": []}, {"messages": "hi"}, {"messages": [SYSTEM]}, {"messages": [USER, SYSTEM, USER]}, {"messages": [DEVELOPER]},
    {"messages": [{**USER, "name": "a"}]}, {"messages": parts({"type": "text", "text": "hi"})},
    {"messages": [USER, {**USER, "role": "assistant"}]},
    {"messages": [USER, {"role": "assistant", "content": None}, USER]},
    {"messages": [USER, {"role": "tool", "content": "x", "tool_call_id": "c"}]},
    {"top_p": 1}, {"top_p": 0}, {"temperature": 0}, {"temperature": 2.1}, {"temperature": 0.1234567}, {"temperature": True},
    {"max_new_tokens": 0}, {"max_new_tokens": 2049}, {"n": 5}, {"stop": ["a"]}, {"seed": 1}, {"max_tokens": 5}, {"stream": 1},
    {"tools": [WEATHER]}, {"tools": []}, {"tool_choice": "auto"}, {"tool_choice": {"mode": "required"}}, {"tool_choice": NAMED},
    {"thinking": {"enabled": True}}, {"response_format": {"type": "text"}}, {"plugins": {"x": 1}}, {"stream_options": {}}, {"model": 1},
]  # fmt: skip
BAD_V6: list[Json] = [
    {"messages": [USER]}, {"messages": parts()}, {"messages": parts({"type": "text", "text": 1})}, {"thinking": {"enabled": 1}},
    {"messages": parts({"type": "image_url", "image_url": {"url": "https://example.com/a.png"}})},
    {"messages": parts({"type": "image_base64", "image_base64": f"data:image/png;base64,{PIXEL}"})},
    {"messages": parts(*[{"type": "image_url", "image_url": "https://example.com/a.png"}] * 7)},
    {"messages": parts({"type": "image_file_id", "image_file_id": "f"})}, {"max_new_tokens": 16385},
]  # fmt: skip
BAD_TOKEN_PLAN: list[Json] = [
    {"response_format": {"type": "json_object"}}, {"thinking": {"type": "disabled"}}, {"user": "me"}, {"metadata": {}},
    {"tools": [WEATHER]},
    {"max_completion_tokens": 5}, {"max_tokens": 65537}, {"logprobs": True}, {"messages": [SYSTEM, SYSTEM, USER]},
    {"messages": [USER, {"role": "assistant", "content": None}, USER]}, {"temperature": 3}, {"tool_choice": "any"}, {"model": None},
    {"messages": [USER, {"role": "assistant", "content": "x", "reasoning": "y"}, USER]},
    {"messages": parts({"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "low"}})},
    {"messages": parts({"type": "image_url", "image_url": {"url": "https://nowhere.invalid/a.png"}})},
]  # fmt: skip


@pytest.mark.parametrize(("base", "key", "model", "usual", "wrong"), [
    *(("/v1/llm/chat-completions", "", TEXT, [USER], wrong) for wrong in BAD_NATIVE),
    *(("/v1/llm/chat-completions", "", V6, parts({"type": "text", "text": "hi"}), wrong) for wrong in BAD_V6),
    *(("/compatible-mode/v1/chat/completions", "", V6, parts({"type": "text", "text": "hi"}), wrong)
      for wrong in [*BAD_V6, {"n": 2}, {"stop": "a"}, {"tool_choice": "none"}, {"frequency_penalty": 0}, {"user": "me"}, {"top_p": 1}]),
    *(("/token/v1/chat/completions", "sk-1", FLASH, [USER], wrong) for wrong in BAD_TOKEN_PLAN),
])  # fmt: skip
def test_the_simulator_is_as_strict_as_the_vendor(base: str, key: str, model: str, usual: list[Json], wrong: Json) -> None:
    right = {"model": model, "messages": usual}

    status, told = knock(base, {**right, **wrong}, key=key)

    assert (status, str(told["error"]["code"])) == (400, "3")
    assert knock(base, right, key=key)[0] == 200


def test_the_token_plans_refusal_of_an_unlisted_field_is_the_vendors() -> None:
    status, told = knock("/token/v1/chat/completions", {"model": FLASH, "messages": [USER], "user": "me"}, key="sk-1")

    assert status == 400
    assert told == {"error": {"message": "Errors in message queue response", "type": "invalid_request_error", "code": "3"}}


@pytest.mark.parametrize(("method", "path", "key", "status"), [
    ("GET", "/compatible-mode/v1/models", "", 404),
    ("POST", "/token/v1/embeddings", "sk-1", 404),
    ("POST", "/v1/chat/completions", "", 404),
    ("GET", "/v1/llm/nothing", "", 404),
    ("GET", "/v1/llm/models", "", 200),
    ("GET", "/token/v1/models", "sk-1", 200),
])  # fmt: skip
def test_each_surface_has_its_own_paths(method: str, path: str, key: str, status: int) -> None:
    assert knock(path, method=method, key=key)[0] == status


def test_each_platform_lists_its_own_models() -> None:
    native = [model["id"] for model in knock("/v1/llm/models", method="GET")[1]["data"]]
    plan = [model["id"] for model in knock("/token/v1/models", method="GET", key="sk-1")[1]["data"]]

    assert (V6 in native, FLASH in native) == (True, False)
    assert "nova-embedding-stable" in native
    assert FLASH in plan
    assert "nova-embedding-stable" not in plan


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["type", "text", "role", "name", "mode"]), inner, max_size=3)
    ),
    max_leaves=6,
)
CALL: Json = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
TOOL: Json = {"type": "function", "function": {"name": "f", "description": "", "parameters": {
    "type": "object", "properties": {"a": {"type": "string"}}}}}  # fmt: skip
WHOLE: Json = {
    "model": V6, "max_new_tokens": 9, "n": 2, "temperature": 1, "top_p": 0.5, "user": "me", "thinking": {"enabled": True},
    "tools": [TOOL], "tool_choice": {"mode": "auto"}, "plugins": {"web_search": {"search_enable": True}}, "stream": False,
    "messages": [SYSTEM, *parts({"type": "text", "text": "hi"}), {"role": "assistant", "content": "", "tool_calls": [CALL]},
                 {"role": "tool", "tool_call_id": "c", "content": "x"}],
}  # fmt: skip


def spoilt(value: Any, path: list[int], by: Any) -> Any:
    """`value` with another in the place that `path` leads to."""
    if not path or not isinstance(value, list | dict) or not value:
        return by
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))
    at = keys[path[0] % len(keys)]
    changed = value.copy()
    changed[at] = spoilt(value[at], path[1:], by)
    return changed


@settings(max_examples=300, deadline=None)
@given(st.lists(st.integers(0, 20), max_size=8), JSON_VALUES, st.sampled_from(["/v1/llm/chat-completions", "/token/v1/chat/completions"]))
def test_no_malformed_request_upsets_the_simulator(path: list[int], by: Any, where: str) -> None:
    token_plan = where.startswith("/token")
    whole = {key: WHOLE[key] for key in ("messages", "tools", "n", "top_p")} | {"model": FLASH} if token_plan else WHOLE

    status, told = knock(where, spoilt(whole, path, by), key="sk-1" if token_plan else "")

    assert status == 200 or (status in (400, 404) and told["error"]["message"])
