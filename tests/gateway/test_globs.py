"""Model names with stars: which names a pattern means, and which pattern of several."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.globs import Globs, matches, specificity

PATTERNS = st.text("ab*", max_size=8)
NAMES = st.text("ab", max_size=12)


def reference(pattern: str, name: str) -> bool:
    """What `*` means, said by regular expressions."""
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), name, re.S) is not None


@given(PATTERNS, NAMES)
def test_a_star_stands_for_any_text_and_nothing_else_is_special(pattern: str, name: str) -> None:
    assert matches(pattern, name) == reference(pattern, name)


@given(st.text(max_size=8), st.text(max_size=8))
def test_signs_of_other_pattern_languages_are_just_signs(pattern: str, name: str) -> None:
    assert matches(pattern, name) == reference(pattern, name)


@pytest.mark.parametrize(
    ("pattern", "name", "meant"),
    [
        ("*", "", True),
        ("gpt-4o*", "gpt-4o", True),
        ("gpt-4o*", "gpt-4", False),
        ("*-mini", "gpt-4o-mini", True),
        ("a*a", "a", False),
        ("a*a", "aa", True),
        ("a**b", "ab", True),
        ("gpt-?o", "gpt-4o", False),
        ("[gG]pt", "gpt", False),
        ("GPT*", "gpt-4o", False),
        ("", "", True),
        ("*ab*ab*", "abab", True),
        ("*ab*ab*", "abb", False),
    ],
)
def test_a_pattern_means_these_names(pattern: str, name: str, meant: bool) -> None:
    assert matches(pattern, name) is meant


def test_a_pattern_made_to_be_slow_is_not() -> None:
    began = time.process_time()

    assert not matches("*a" * 50 + "*b", "a" * 50_000)

    assert time.process_time() - began < 1


def test_an_exact_name_goes_before_any_pattern() -> None:
    table = Globs([("*", "all"), ("gpt-4*", "four"), ("gpt-4o", "exact")])

    assert table.find("gpt-4o") == "exact"


def test_the_most_specific_pattern_decides_in_whichever_order_they_stand() -> None:
    entries = [("*", "all"), ("gpt-4o-mini*", "mini"), ("gpt-4*", "four"), ("*mini*", "any mini")]

    for order in (entries, entries[::-1]):
        table = Globs(order)
        assert table.find("gpt-4o-mini-2024") == "mini"
        assert table.find("gpt-4-turbo") == "four"
        assert table.find("o1-mini") == "any mini"
        assert table.find("o1") == "all"


def test_of_patterns_as_long_the_one_with_fewer_stars_is_more_specific() -> None:
    assert specificity("gpt-4*") > specificity("gpt*-4*") > specificity("gpt*4*")


def test_a_name_that_no_pattern_means_is_not_found() -> None:
    assert Globs([("gpt-*", 1)]).find("o1") is None


def test_all_entries_can_be_listed() -> None:
    assert Globs([("b*", 1), ("a", 2), ("bc*", 3)]).values() == [("a", 2), ("bc*", 3), ("b*", 1)]
