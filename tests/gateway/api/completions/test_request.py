"""Requests for completions in chat's words: prompts in all forms, what each field becomes, and what is refused."""

import asyncio
from typing import Any

import pytest

from gateway import tokens
from gateway.api import validate
from gateway.api.completions.request import FILL, Asked, asked_of
from gateway.api.wire import Refusal
from providers.base import Json


def asked(prompt: Any = "Hi", **more: Any) -> Asked:
    return asyncio.run(asked_of({"model": "m", "prompt": prompt, **more}))


def prompts(given: Any) -> list[Any]:
    bodies = asked(given).bodies
    assert all(validate.chat(body) == body for body in bodies)
    return [body["messages"] for body in bodies]


def user(text: str) -> list[Json]:
    return [{"role": "user", "content": text}]


def test_a_prompt_is_what_the_user_says() -> None:
    assert asked(temperature=0.5, seed=4, top_k=3, user="u").bodies == (
        {"model": "m", "max_tokens": 16, "messages": user("Hi"), "temperature": 0.5, "seed": 4, "top_k": 3, "user": "u"},
    )


def test_prompts_in_all_their_forms() -> None:
    hello, bye = (tokens.encoding("cl100k").encode(text) for text in ("Hello 你好", "Bye"))

    assert prompts("Hello") == [user("Hello")]
    assert prompts(["Hello", "Bye"]) == [user("Hello"), user("Bye")]
    assert prompts(hello) == [user("Hello 你好")]
    assert prompts([hello, bye]) == [user("Hello 你好"), user("Bye")]


def test_a_suffix_is_asked_for_in_words() -> None:
    found = asked("def f(", suffix="return a")

    assert found.bodies[0]["messages"] == [
        {"role": "system", "content": FILL},
        {"role": "user", "content": "<before>def f(</before>\n<after>return a</after>"},
    ]
    assert [(change.field, change.fate) for change in found.changes] == [("suffix", "emulated")]
    assert asked(suffix="").changes == ()


@pytest.mark.parametrize(("given", "said"), [(0, {"logprobs": True}), (3, {"logprobs": True, "top_logprobs": 3})])
def test_logprobs(given: int, said: Json) -> None:
    body = asked(logprobs=given).bodies[0]

    assert {name: body[name] for name in ("logprobs", "top_logprobs") if name in body} == said


def test_the_best_of_several_is_any() -> None:
    assert [(change.field, change.fate) for change in asked(best_of=3, n=2).changes] == [("best_of", "dropped")]
    assert asked(best_of=2, n=2).changes == ()


def test_several_prompts_are_looked_at_as_one() -> None:
    found = asked(["a", "the longest", "b"], n=2)

    assert found.body == {"model": "m", "max_tokens": 16, "n": 6, "messages": user("the longest")}
    assert [found.prompt_of(choice) for choice in range(6)] == ["a", "a", "the longest", "the longest", "b", "b"]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"prompt": None}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({"prompt": {}}, "prompt"),
        ({"prompt": ["a", 1]}, "prompt[1]"),
        ({"prompt": [[1], "a"]}, "prompt[1]"),
        ({"prompt": [[]]}, "prompt[0]"),
        ({"prompt": [True]}, "prompt[0]"),
        ({"prompt": [10**9]}, "prompt"),
        ({"prompt": ["a"] * 129}, "prompt"),
        ({"prompt": ["a"] * 3, "n": 50}, "n"),
        ({"model": None}, "model"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"logprobs": True}, "logprobs"),
        ({"logprobs": 6}, "logprobs"),
        ({"logprobs": 1, "echo": True}, "echo"),
        ({"best_of": 1, "n": 2}, "best_of"),
        ({"suffix": 1}, "suffix"),
        ({"stop": ["a"] * 5}, "stop"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
    ],
)
def test_what_is_wrong_is_named(fields: Json, param: str) -> None:
    with pytest.raises(Refusal) as refused:
        asked(**fields)

    assert (refused.value.status, refused.value.body["error"]["param"]) == (400, param)
