"""Anthropic's requests in chat's words: what each field and each block becomes, and what is refused."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.api import validate
from gateway.api.messages.request import asked_of
from gateway.api.messages.turns import GO_ON
from gateway.api.wire import Refusal
from providers.base import Json, StopAt

TOOL = {"name": "f", "description": "d", "input_schema": {"type": "object"}}
CALL = {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": "é"}}
PNG = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}


def asked(**more: Any) -> Any:
    return asked_of({"model": "m", "max_tokens": 9, "messages": user("Hi"), **more})


def user(content: Any) -> list[Json]:
    return [{"role": "user", "content": content}]


def told(*contents: Any) -> list[Json]:
    """Chat's messages for turns that alternate, the user's first."""
    turns = [{"role": "assistant" if number % 2 else "user", "content": content} for number, content in enumerate(contents)]
    messages: list[Json] = asked(messages=turns).body["messages"]
    return messages


def changes(**more: Any) -> list[str]:
    return [f"{change.field}={change.fate}" for change in asked(**more).changes]


def test_plain_words() -> None:
    assert asked(system="Be kind.", temperature=0.5, top_p=0.9, top_k=4, metadata={"user_id": "u"}, stream=True).body == {
        "model": "m",
        "max_tokens": 9,
        "messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi"}],
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 4,
        "user": "u",
        "stream": True,
    }
    assert asked().changes == ()


def test_system_in_blocks() -> None:
    blocks = [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}, {"type": "text", "text": "b"}]

    found = asked(system=blocks)

    assert found.body["messages"][0] == {"role": "system", "content": "a\n\nb"}
    assert changes(system=blocks) == ["cache_control=dropped"]


def test_images_and_text() -> None:
    (message,) = told(
        [{"type": "text", "text": "What?"}, PNG, {"type": "image", "source": {"type": "url", "url": "https://a.example/b.png"}}]
    )

    assert message["content"] == [
        {"type": "text", "text": "What?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
        {"type": "image_url", "image_url": {"url": "https://a.example/b.png"}},
    ]


@pytest.mark.parametrize(
    ("source", "part"),
    [
        ({"type": "text", "media_type": "text/plain", "data": "words"}, {"type": "text", "text": "words"}),
        ({"type": "content", "content": [{"type": "text", "text": "words"}]}, {"type": "text", "text": "words"}),
        ({"type": "content", "content": "words"}, {"type": "text", "text": "words"}),
        (
            {"type": "base64", "media_type": "application/pdf", "data": "AAAA"},
            {"type": "file", "file": {"filename": "T", "file_data": "data:application/pdf;base64,AAAA"}},
        ),
    ],
)
def test_documents(source: Json, part: Json) -> None:
    (message,) = told([{"type": "document", "source": source, "title": "T", "context": "C"}])

    assert message["content"] == [{"type": "text", "text": "T\nC"}, part]


def test_a_result_of_a_search_is_words() -> None:
    block = {"type": "search_result", "source": "https://a.example", "title": "T", "content": [{"type": "text", "text": "words"}]}

    assert told([block]) == user("T\nhttps://a.example\nwords")


def test_a_call_and_its_result() -> None:
    messages = told(
        "Hi",
        [{"type": "text", "text": "So"}, CALL],
        [{"type": "text", "text": "then"}, {"type": "tool_result", "tool_use_id": "t1", "content": "1"}],
    )

    call = {"id": "t1", "type": "function", "function": {"name": "f", "arguments": '{"a":"é"}'}}
    assert messages[1:] == [
        {"role": "assistant", "content": "So", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "t1", "content": "1"},
        {"role": "user", "content": "then"},
    ]


def test_a_result_that_failed_and_one_with_an_image() -> None:
    results = [
        {
            "type": "tool_result",
            "tool_use_id": "t1",
            "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
            "is_error": True,
        },
        {"type": "tool_result", "tool_use_id": "t2", "content": [PNG]},
        {"type": "tool_result", "tool_use_id": "t3"},
    ]

    messages = told("Hi", [CALL, {**CALL, "id": "t2"}, {**CALL, "id": "t3"}], results)

    assert messages[1]["content"] is None
    assert [(message["role"], message["content"]) for message in messages[2:5]] == [
        ("tool", "Error: a\nb"),
        ("tool", "See what the user sends."),
        ("tool", ""),
    ]
    assert [part["type"] for part in messages[5]["content"]] == ["text", "image_url"]
    assert "t2" in messages[5]["content"][0]["text"]


def test_thoughts_go_back_and_what_nobody_can_read_does_not() -> None:
    blocks = [
        {"type": "thinking", "thinking": "Hm", "signature": "x"},
        {"type": "redacted_thinking", "data": "?"},
        {"type": "text", "text": "a"},
    ]
    turns = [*user("Hi"), {"role": "assistant", "content": blocks}, *user("b")]

    assert asked(messages=turns).body["messages"][1] == {"role": "assistant", "content": "a", "reasoning_content": "Hm"}
    assert changes(messages=turns) == ["messages[].content[].redacted_thinking=dropped"]


def test_an_answer_that_the_client_has_begun_is_gone_on_with() -> None:
    turns = [*user("Hi"), {"role": "assistant", "content": "{"}]

    assert asked(messages=turns).body["messages"][1:] == [{"role": "assistant", "content": "{"}, {"role": "user", "content": GO_ON}]
    assert changes(messages=turns) == ["messages[].role:assistant=emulated"]


def test_a_turn_of_nothing_that_can_be_said_is_left_out() -> None:
    assert told("Hi", [{"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}], "again") == [*user("Hi"), *user("again")]


def test_tools() -> None:
    tools = [
        {**TOOL, "type": "custom", "strict": True, "cache_control": {"type": "ephemeral"}},
        {"type": "web_search_20250305", "name": "web_search"},
    ]
    choice = {"type": "any", "disable_parallel_tool_use": True}

    body = asked(tools=tools, tool_choice=choice).body

    function = {"name": "f", "parameters": {"type": "object"}, "description": "d", "strict": True}
    assert body["tools"] == [{"type": "function", "function": function}]
    assert (body["tool_choice"], body["parallel_tool_calls"]) == ("required", False)
    assert changes(tools=tools) == ["cache_control=dropped", "tools[].web_search_20250305=dropped"]


@pytest.mark.parametrize(
    ("choice", "said"),
    [("auto", "auto"), ("none", "none"), ("any", "required"), ("tool", {"type": "function", "function": {"name": "f"}})],
)
def test_the_choice_of_a_tool(choice: str, said: Any) -> None:
    assert asked(tools=[TOOL], tool_choice={"type": choice, "name": "f"}).body["tool_choice"] == said
    assert "tool_choice" not in asked(tool_choice={"type": choice, "name": "f"}).body


def test_a_name_that_is_too_long_for_chat_has_another_there() -> None:
    long = "mcp__" + "x" * 90
    turns = [*user("Hi"), {"role": "assistant", "content": [{**CALL, "name": long}]}, *user([{"type": "tool_result", "tool_use_id": "t1"}])]

    found = asked(tools=[{**TOOL, "name": long}], messages=turns)

    ((alias, name),) = found.names.items()
    assert (len(alias), name) == (64, long)
    assert found.body["tools"][0]["function"]["name"] == found.body["messages"][1]["tool_calls"][0]["function"]["name"] == alias


@pytest.mark.parametrize(
    ("fields", "effort"),
    [
        ({}, None),
        ({"thinking": {"type": "disabled"}, "output_config": {"effort": "high"}}, "none"),
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, "low"),
        ({"thinking": {"type": "enabled", "budget_tokens": 8000}}, "medium"),
        ({"thinking": {"type": "enabled", "budget_tokens": 31999}}, "high"),
        ({"thinking": {"type": "adaptive"}}, "high"),
        ({"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}}, "max"),
        ({"output_config": {"effort": "low"}}, "low"),
    ],
)
def test_thinking(fields: Json, effort: str | None) -> None:
    assert asked(**fields).body.get("reasoning_effort") == effort


@pytest.mark.parametrize(
    "where",
    [
        {"output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}}},
        {"output_format": {"type": "json_schema", "schema": {"type": "object"}}},
    ],
)
def test_structured_output(where: Json) -> None:
    shape = {"type": "json_schema", "json_schema": {"name": "answer", "schema": {"type": "object"}, "strict": True}}

    assert asked(**where).body["response_format"] == shape


def test_stop_sequences_are_kept_here_so_that_the_message_can_name_them() -> None:
    found = asked(stop_sequences=["a", "", "b"])

    assert "stop" not in found.body
    assert found.changes[0].work == StopAt(("a", "b"), told=True)
    strict = asked_of({"model": "m", "max_tokens": 9, "messages": user("Hi"), "stop_sequences": ["a"]}, strict=True)
    assert (strict.body["stop"], strict.changes) == (["a"], ())


def test_fields_that_chat_does_not_have_are_reported() -> None:
    assert changes(container="c", context_management={"edits": []}, betas=None, service_tier="auto") == [
        "container=dropped",
        "context_management=dropped",
        "service_tier=dropped",
    ]


def test_a_thread_is_refused_in_the_words_that_sdks_know() -> None:
    with pytest.raises(Refusal) as refused:
        asked(thread={"type": "create"})

    assert refused.value.body["error"]["details"]["error_code"] == "thread_unsupported_request"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"max_tokens": None}, "max_tokens"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"content": "a"}]}, "messages[0].role"),
        ({"messages": [{"role": "tool", "content": "a"}]}, "messages[0].role"),
        ({"messages": user([])}, "messages[0].content"),
        ({"messages": user([{"text": "a"}])}, "messages[0].content[0].type"),
        ({"messages": user([{"type": "text"}])}, "messages[0].content[0].text"),
        ({"messages": user([{"type": "image", "source": {"type": "file", "file_id": "f"}}])}, "messages[0].content[0].source.type"),
        ({"messages": user([{"type": "image", "source": {"type": "base64", "data": "A"}}])}, "messages[0].content[0].source.media_type"),
        ({"messages": user([{"type": "document", "source": {"type": "url", "url": "u"}}])}, "messages[0].content[0].type"),
        ({"messages": user([{"type": "tool_result", "tool_use_id": "t1"}])}, "messages[0].content[0].tool_use_id"),
        ({"messages": [*user("a"), {"role": "assistant", "content": [CALL]}]}, "messages[1]"),
        ({"messages": [*user("a"), {"role": "assistant", "content": [CALL]}, *user("b")]}, "messages[2]"),
        ({"messages": [*user("a"), {"role": "assistant", "content": [{**CALL, "input": "x"}]}]}, "messages[1].content[0].input"),
        ({"tools": [{"name": "f"}]}, "tools[0].input_schema"),
        ({"tools": [TOOL], "tool_choice": {"type": "tool", "name": "g"}}, "tool_choice.name"),
        ({"tools": [TOOL], "tool_choice": {"type": "required"}}, "tool_choice.type"),
        ({"temperature": 1.5}, "temperature"),
        ({"stop_sequences": "a"}, "stop_sequences"),
        ({"system": [{"type": "image", "text": "a"}]}, "system[0].type"),
        ({"thinking": {"budget_tokens": 5}}, "thinking.type"),
        ({"output_config": {"effort": "much"}}, "output_config.effort"),
    ],
)
def test_what_is_wrong_is_named(fields: Json, param: str) -> None:
    with pytest.raises(Refusal) as refused:
        asked(**fields)

    assert (refused.value.status, refused.value.body["error"]["param"]) == (400, param)


# ---- any turns ----

WORDS = st.text(max_size=5)
BLOCK = st.one_of(
    st.builds(lambda text: {"type": "text", "text": text}, WORDS),
    st.builds(lambda text: {"type": "thinking", "thinking": text, "signature": "s"}, WORDS),
    st.sampled_from([PNG, {"type": "redacted_thinking", "data": "x"}, {"type": "server_tool_use", "id": "s"}, {**CALL, "id": "t2"}, CALL]),
    st.sampled_from(["t1", "t2"]).map(lambda id: {"type": "tool_result", "tool_use_id": id, "content": [PNG]}),
)
TURN = st.fixed_dictionaries({"role": st.sampled_from(["user", "assistant", "system"]), "content": WORDS | st.lists(BLOCK, max_size=4)})


@given(st.lists(TURN, min_size=1, max_size=6), st.lists(st.sampled_from([TOOL, {"type": "bash_20250124", "name": "bash"}]), max_size=2))
def test_whatever_is_taken_is_a_request_of_chat(turns: list[Json], tools: list[Json]) -> None:
    try:
        body = asked(messages=turns, tools=tools).body
    except Refusal:
        return

    assert validate.chat(body) == body
