"""OpenAI's tokens, without a network."""

import pytest

from gateway import tokens


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
    assert tokens.decode([tokens.cl100k().encode(text)]) == [text]


@pytest.mark.parametrize("number", [100_256, 10**6, 2**32, -1])
def test_a_number_that_is_no_token_is_refused(number: int) -> None:
    with pytest.raises((KeyError, OverflowError)):
        tokens.decode([[number]])


def test_half_a_sign_is_no_error() -> None:
    first, *_ = tokens.cl100k().encode("🙂")

    assert tokens.decode([[first]]) != [""]
