"""Requests of the Responses API in chat's words, and what is refused as OpenAI refuses it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.api import validate
from gateway.api.responses.items import sealed, unsealed
from gateway.api.responses.request import Asked, asked_of, checked
from gateway.api.responses.shown import items_of
from gateway.api.responses.tools import INPUT, arguments_of, input_of
from gateway.api.wire import Refusal
from providers.base import Json

WEATHER: Json = {"type": "function", "name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}
PATCH = {
    "type": "custom",
    "name": "patch",
    "description": "Edits files",
    "format": {"type": "grammar", "syntax": "lark", "definition": "x: y"},
}
GIT: Json = {
    "type": "namespace",
    "name": "git",
    "description": "Of git",
    "tools": [{"type": "function", "name": "log", "description": "L"}],
}


def asked(given: Any = "Hi", *, strict: bool = False, **more: Any) -> Asked:
    body = checked({"model": "m", "input": given, **more})
    return asked_of(body, items_of(body.get("input")), strict=strict)


def chat(given: Any = "Hi", **more: Any) -> Json:
    return asked(given, **more).body


def changes(found: Asked) -> list[tuple[str, str]]:
    return [(change.field, change.fate) for change in found.changes]


def refused(given: Any = "Hi", **more: Any) -> tuple[int, str | None, str]:
    with pytest.raises(Refusal) as caught:
        asked(given, **more)
    error = caught.value.body["error"]
    return caught.value.status, error["param"], error["message"]


def user(text: str) -> Json:
    return {"role": "user", "content": text}


def only(name: str) -> Json:
    return {"type": "function", "function": {"name": name}}


def called(id: str, name: str = "weather", **more: Any) -> Json:
    return {"type": "function_call", "call_id": id, "name": name, "arguments": "{}", **more}


def gave(id: str, output: Any = "ok") -> Json:
    return {"type": "function_call_output", "call_id": id, "output": output}


# ---- fields ----


def test_the_simplest() -> None:
    found = asked("Hi", user=None, stream=True)

    assert found.body == {"model": "m", "messages": [user("Hi")], "stream": True}
    assert found.changes == ()


def test_fields_under_chats_names() -> None:
    schema = {"type": "json_schema", "name": "a", "schema": {"type": "object"}, "strict": True}

    body = chat(
        instructions="Be kind",
        max_output_tokens=50,
        reasoning={"effort": "low", "summary": "auto"},
        text={"format": schema, "verbosity": "low"},
        include=["message.output_text.logprobs"],
        top_logprobs=3,
        temperature=0.5,
        prompt_cache_key="k",
        metadata={"a": "b"},
        store=False,
        enable_thinking=True,
    )

    assert body == {
        "model": "m",
        "messages": [{"role": "system", "content": "Be kind"}, user("Hi")],
        "max_completion_tokens": 50,
        "reasoning_effort": "low",
        "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}, "strict": True}},
        "verbosity": "low",
        "logprobs": True,
        "top_logprobs": 3,
        "temperature": 0.5,
        "prompt_cache_key": "k",
        "enable_thinking": True,
    }


def test_what_chat_has_no_words_for_is_reported() -> None:
    found = asked(truncation="auto", client_metadata={"a": "b"}, max_tool_calls=3, stream_options={"include_obfuscation": False})

    assert found.body == {"model": "m", "messages": [user("Hi")]}
    assert sorted(changes(found)) == [("client_metadata", "dropped"), ("max_tool_calls", "dropped"), ("truncation", "dropped")]


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"messages": []}, "messages"),
        ({"max_tokens": 5}, "max_tokens"),
        ({"response_format": {"type": "text"}}, "response_format"),
        ({"n": 2}, "n"),
        ({"prompt": {"id": "pmpt_1"}}, "prompt"),
        ({"temperature": 3}, "temperature"),
        ({"max_output_tokens": "5"}, "max_output_tokens"),
        ({"metadata": {"a": 1}}, "metadata.a"),
        ({"text": {"format": {"type": "json_schema", "name": "a"}}}, "text.format.schema"),
        ({"reasoning": {"effort": "much"}}, "reasoning.effort"),
        ({"tools": [{"name": "x"}]}, "tools[0].type"),
        ({"tools": [{"type": "function"}]}, "tools[0].name"),
        ({"tools": [WEATHER, WEATHER]}, "tools[1].name"),
        ({"tools": [WEATHER], "tool_choice": {"type": "function", "name": "x"}}, "tool_choice.name"),
        ({"tool_choice": "sometimes"}, "tool_choice"),
    ],
)
def test_what_is_refused(more: Json, param: str) -> None:
    status, named, message = refused(**more)

    assert (status, named) == (400, param)
    assert len(message) > 20


@pytest.mark.parametrize(
    ("given", "param"),
    [
        (5, "input"),
        ([], "input"),
        ([{"role": "user"}], "input[0].content"),
        ([{"role": "user", "content": [{"type": "video"}]}], "input[0].content[0].type"),
        ([{"role": "user", "content": [{"type": "input_text"}]}], "input[0].content[0].text"),
        ([{"role": "user", "content": [{"type": "input_image", "file_id": "file-1"}]}], "input[0].content[0].image_url"),
        ([{"role": "user", "content": [{"type": "input_file", "file_url": "https://example.com"}]}], "input[0].content[0].file_data"),
        ([user("Hi"), gave("c1")], "input[1]"),
        ([user("Hi"), called("c1")], "input"),
        ([{"type": "nothing"}], "input[0].type"),
    ],
)
def test_input_that_is_refused(given: Any, param: str) -> None:
    assert refused(given)[:2] == (400, param)


# ---- tools ----


def test_tools_in_chats_words() -> None:
    found = asked(tools=[{**WEATHER, "strict": True}, PATCH, GIT], parallel_tool_calls=False)

    function, custom, spaced = (tool["function"] for tool in found.body["tools"])
    assert function == {"name": "weather", "parameters": WEATHER["parameters"], "strict": True}
    assert (custom["name"], custom["parameters"]) == ("patch", INPUT)
    assert custom["description"] == "Edits files\n\nThe input has to follow this grammar (lark):\nx: y"
    assert (spaced["name"], spaced["description"]) == ("git__log", "Of git\n\nL")
    assert found.body["parallel_tool_calls"] is False
    assert sorted(changes(found)) == [("tools[].custom", "emulated"), ("tools[].namespace", "emulated")]


def test_for_who_wants_nothing_emulated_a_custom_tool_is_chats_own() -> None:
    found = asked([user("Hi"), {"type": "custom_tool_call", "call_id": "c", "name": "patch", "input": "x"},
                   {"type": "custom_tool_call_output", "call_id": "c", "output": "ok"}], tools=[PATCH], strict=True)  # fmt: skip

    grammar = {"type": "grammar", "grammar": {"syntax": "lark", "definition": "x: y"}}
    assert found.body["tools"] == [{"type": "custom", "custom": {"name": "patch", "description": "Edits files", "format": grammar}}]
    assert found.body["messages"][1]["tool_calls"] == [{"id": "c", "type": "custom", "custom": {"name": "patch", "input": "x"}}]
    assert found.changes == ()


def test_hosted_tools_are_left_out_and_reported() -> None:
    found = asked(tools=[{"type": "file_search", "vector_store_ids": ["vs_1"]}, {"type": "image_generation"}], tool_choice="required")

    assert found.body == {"model": "m", "messages": [user("Hi")]}
    assert changes(found) == [("tools[].file_search", "dropped"), ("tools[].image_generation", "dropped"), ("tool_choice", "dropped")]


@pytest.mark.parametrize("kind", ["web_search", "web_search_preview", "web_search_preview_2025_03_11", "web_search_2025_08_26"])
def test_a_search_of_the_web_is_asked_for_where_a_vendor_has_one(kind: str) -> None:
    where = {"type": "approximate", "country": "CN", "city": None}

    found = asked(tools=[{"type": kind, "search_context_size": "low", "user_location": where}])

    near = {"type": "approximate", "approximate": {"country": "CN"}}
    assert found.body["web_search_options"] == {"search_context_size": "low", "user_location": near}
    assert "tools" not in found.body


@pytest.mark.parametrize(
    ("choice", "told"),
    [
        ("none", "none"),
        ("required", "required"),
        ({"type": "function", "name": "weather"}, {"type": "function", "function": {"name": "weather"}}),
        ({"type": "custom", "name": "patch"}, {"type": "function", "function": {"name": "patch"}}),
        ({"type": "file_search"}, None),
        (
            {
                "type": "allowed_tools",
                "mode": "required",
                "tools": [{"type": "custom", "name": "patch"}, {"type": "namespace", "name": "git"}],
            },
            {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [only("patch"), only("git__log")]}},
        ),
        ({"type": "allowed_tools", "mode": "auto", "tools": [{"type": "image_generation"}]}, "none"),
    ],
)
def test_the_choice_of_tools(choice: Any, told: Any) -> None:
    assert chat(tools=[WEATHER, PATCH, GIT], tool_choice=choice).get("tool_choice") == told


def test_a_name_too_long_for_chat_has_another_there() -> None:
    name = "n" * 70

    found = asked([user("Hi"), called("c", name), gave("c")], tools=[{"type": "function", "name": name}])

    (tool,) = found.body["tools"]
    short = tool["function"]["name"]
    assert len(short) <= 64
    assert found.body["messages"][1]["tool_calls"][0]["function"]["name"] == short
    assert found.tools.called(short, "function").name == name


@given(st.text())
def test_a_custom_tools_input_comes_back_as_it_was(text: str) -> None:
    assert input_of(arguments_of(text)) == text


# ---- items ----


def test_what_the_assistant_did_in_one_go_is_one_message_with_its_results_behind() -> None:
    given = [
        user("Weather?"),
        {"type": "reasoning", "id": "rs_1", "summary": [], "content": [{"type": "reasoning_text", "text": "Hm"}]},
        {"type": "message", "role": "assistant", "id": "msg_1", "content": [{"type": "output_text", "text": "I look", "annotations": []}]},
        called("c1"),
        called("c2", "log", namespace="git"),
        {"type": "message", "role": "developer", "content": "Go on"},
        gave("c2", [{"type": "input_text", "text": "two"}]),
        gave("c1", "one"),
    ]

    messages = chat(given, tools=[WEATHER, GIT])["messages"]

    assert messages == [
        user("Weather?"),
        {
            "role": "assistant",
            "content": "I look",
            "reasoning_content": "Hm",
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{}"}},
                {"id": "c2", "type": "function", "function": {"name": "git__log", "arguments": "{}"}},
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "one"},
        {"role": "tool", "tool_call_id": "c2", "content": "two"},
        {"role": "developer", "content": "Go on"},
    ]


def test_results_go_to_their_calls_also_where_ids_come_again() -> None:
    messages = chat([called("c"), gave("c", "one"), called("c"), gave("c", "two")])["messages"]

    assert [message["content"] for message in messages if message["role"] == "tool"] == ["one", "two"]
    assert [message["role"] for message in messages] == ["assistant", "tool", "assistant", "tool"]


def test_pictures_in_a_result_are_sent_by_the_user() -> None:
    picture = {"type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "low"}

    found = asked([called("c"), gave("c", [picture])])

    shown = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA==", "detail": "low"}}
    assert found.body["messages"][1:] == [
        {"role": "tool", "tool_call_id": "c", "content": "See what the user sends."},
        {"role": "user", "content": [{"type": "text", "text": "Of the result of c:"}, shown]},
    ]
    assert changes(found) == [("input[].output", "emulated")]


def test_all_that_a_user_may_send() -> None:
    audio = {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}}
    parts = [
        {"type": "input_text", "text": "a"},
        audio,
        {"type": "input_file", "filename": "f.pdf", "file_data": "data:application/pdf;base64,AA=="},
    ]

    (message,) = chat([{"role": "user", "content": parts}])["messages"]

    assert message["content"] == [
        {"type": "text", "text": "a"},
        audio,
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,AA==", "filename": "f.pdf"}},
    ]


def test_sealed_thoughts_are_opened_and_others_reported() -> None:
    ours = {"type": "reasoning", "summary": [], "encrypted_content": sealed("Hm 好")}
    other = {"type": "reasoning", "summary": [], "encrypted_content": "gAAAA"}

    found = asked(
        [user("a"), ours, {"role": "assistant", "content": "b"}, user("c"), other, {"role": "assistant", "content": "d"}, user("e")]
    )

    assert [message.get("reasoning_content") for message in found.body["messages"]] == [None, "Hm 好", None, None, None]
    assert changes(found) == [("input[].reasoning.encrypted_content", "dropped")]


@pytest.mark.parametrize("given", [None, 5, "banjia1.", "banjia1.!", "banjia1.好", "banjia1._w=="])
def test_what_was_not_sealed_here_is_nothing(given: Any) -> None:
    assert unsealed(given) == ""


def test_items_of_hosted_tools_are_left_out_and_reported() -> None:
    found = asked([user("a"), {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {}}])

    assert (found.body["messages"], changes(found)) == ([user("a")], [("input[].web_search_call", "dropped")])


# ---- anything ----

KEY = st.sampled_from(["type", "name", "text", "role", "content", "id"])
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEY, inner, max_size=3),
    max_leaves=6,
)
ITEM = st.fixed_dictionaries(
    {"type": st.sampled_from("message reasoning function_call function_call_output custom_tool_call web_search_call".split())},
    optional={
        "role": st.sampled_from(["user", "assistant"]) | ANY,
        "content": st.text(max_size=3)
        | st.lists(st.fixed_dictionaries({"type": st.sampled_from(["input_text", "output_text", "input_image"])}, optional={"text": ANY}))
        | ANY,
        "call_id": st.sampled_from(["c1", "c2"]) | ANY,
        "name": st.just("weather") | ANY,
        "arguments": st.just("{}") | ANY,
        "input": ANY,
        "output": st.just("ok") | ANY,
        "summary": st.just([]) | ANY,
        "encrypted_content": ANY,
        "namespace": ANY,
    },
)
TOOL = st.fixed_dictionaries(
    {"type": st.sampled_from(["function", "custom", "namespace", "web_search", "mcp"]) | ANY},
    optional={"name": st.just("f") | ANY, "tools": ANY, "format": ANY, "user_location": ANY, "parameters": ANY},
)


@given(
    st.lists(ITEM, max_size=5) | ANY,
    st.dictionaries(st.sampled_from(["tools", "tool_choice", "text", "reasoning", "include", "metadata", "instructions"]), ANY),
    st.lists(TOOL, max_size=3),
)
def test_whatever_is_asked_is_good_chat_or_refused(given: Any, more: Json, tools: list[Json]) -> None:
    try:
        body = asked(given, **{"tools": tools, **more}).body
    except Refusal as refusal:
        body = refusal.body
        told = refusal.status
    else:
        told = 200

    assert told == 400 or validate.chat(body) == body
