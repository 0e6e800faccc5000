"""Word lists: what is found, what is not, and that any text is looked through in time."""

import unicodedata
from random import Random
from string import ascii_lowercase
from threading import Thread
from time import perf_counter, process_time, sleep

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wordlists import PIECE, UNSPACED, WordLists, normal, spaced, whole

LISTS = WordLists({"violence": ["kill", "blow up", "杀人", "ナイフ"], "hate": ["kill", "straße", "СЛОВО"]})


@pytest.mark.parametrize(
    ("text", "categories"),
    [
        ("I will kill you", {"violence", "hate"}),
        ("KILL.", {"violence", "hate"}),
        ("ｋｉｌｌ", {"violence", "hate"}),
        ("k\u200bi\u00adll", {"violence", "hate"}),
        ("他要kill了", {"violence", "hate"}),
        ("kill_him", {"violence", "hate"}),
        ("skill, killed, overkill2", set()),
        ("k i l l", set()),
        ("blow\n\t  up", {"violence"}),
        ("blow upon", set()),
        ("预谋杀人的计划", {"violence"}),
        ("杀\u200b人", {"violence"}),
        ("杀 人", set()),
        ("大きなナイフで", {"violence"}),
        ("大きなﾅｲﾌで", {"violence"}),
        ("STRASSE", {"hate"}),
        ("слово", {"hate"}),
        ("словом", set()),
        ("", set()),
        ("\ud800 kill", {"violence", "hate"}),
    ],
)
def test_a_word_is_found_however_it_is_written_and_nothing_that_only_has_its_letters(text: str, categories: set[str]) -> None:
    assert LISTS.found(text) == categories


def test_without_words_nothing_is_found_and_nothing_is_loaded() -> None:
    empty = WordLists({"hate": []})

    assert not empty
    assert empty.categories == frozenset()
    assert not LISTS.ready() or WordLists({"hate": ["a"]}).ready() is False


text = st.text(alphabet=st.sampled_from("aAbB ｂßéİı杀人가กา\u0301\u200b\u00ad-_.1"), max_size=40)
word = st.text(alphabet=st.sampled_from("aAbBßé杀人가ก1 -"), min_size=1, max_size=4).filter(lambda word: bool(normal(word)))


@given(st.text())
def test_the_form_of_a_text_is_its_own_form(text: str) -> None:
    assert normal(normal(text)) == normal(text)


@given(st.text())
def test_texts_that_unicode_takes_for_the_same_have_the_same_form(text: str) -> None:
    assert normal(unicodedata.normalize("NFD", text)) == normal(unicodedata.normalize("NFC", text))


def by_hand(lists: dict[str, list[str]], text: str) -> set[str]:
    """The same without a library: every word at every place."""
    there = normal(text)
    return {
        category
        for category, words in lists.items()
        for word in map(normal, words)
        for at in range(len(there) - len(word) + 1)
        if there.startswith(word, at) and whole(there, at, at + len(word))
    }


@given(st.dictionaries(st.sampled_from(["hate", "violence", "sexual"]), st.lists(word, min_size=1, max_size=5), min_size=1), text)
def test_it_finds_what_a_search_by_hand_finds(lists: dict[str, list[str]], text: str) -> None:
    assert WordLists(lists).found(text) == by_hand(lists, text)


@given(st.dictionaries(st.sampled_from(["hate", "violence", "sexual"]), st.lists(word, min_size=1, max_size=5), min_size=1), text)
def test_it_finds_the_same_when_its_words_are_in_many_parts(lists: dict[str, list[str]], text: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gateway.wordlists.PART", 3)
        assert WordLists(lists).found(text) == by_hand(lists, text)


def test_other_threads_run_while_a_long_list_is_made_ready() -> None:
    letters = Random(1)
    words = ["".join(letters.choices(ascii_lowercase, k=9)) for _ in range(100_000)]

    assert min(waited(words) for _ in range(3)) < 0.4, "made in one step, nobody else has a turn until it is there"


def waited(words: list[str]) -> float:
    """The longest that another thread waits for its turn, as a share of the time that it takes."""
    lists = WordLists({"hate": words})
    thread = Thread(target=lists.found, args=(f"{words[-1]} of many",))
    longest, began = 0.0, perf_counter()

    thread.start()
    last = perf_counter()
    while thread.is_alive():
        sleep(0)
        now = perf_counter()
        longest, last = max(longest, now - last), now

    assert lists.found(f"{words[-1]} of many") == {"hate"}
    return longest / (last - began)


@given(word, text, text)
def test_a_word_between_blanks_is_always_found(word: str, before: str, after: str) -> None:
    assert WordLists({"hate": [word]}).found(f"{before} {word} {after}") == {"hate"}


@given(st.integers(-8, 8), st.sampled_from(["杀人", "blow up"]))
def test_a_word_is_found_where_pieces_of_a_long_text_meet(shift: int, word: str) -> None:
    assert LISTS.found("我 " * (PIECE // 2 - 10) + "x" * (16 + shift) + " " + word + " 我" * 10) == {"violence"}


def test_a_long_text_of_nothing_but_words_is_looked_through_in_time() -> None:
    lists = WordLists({"hate": ["a" * length for length in range(1, 9)], "violence": ["never"]})
    started = process_time()

    assert lists.found("a" * 300_000) == set(), "of one long word none is a whole one"

    assert process_time() - started < 5


@given(st.characters(categories=["Lo"]).filter(lambda sign: "CJK UNIFIED" in unicodedata.name(sign, "")))
def test_no_chinese_sign_has_an_end_of_a_word(sign: str) -> None:
    assert UNSPACED.match(sign)
    assert not spaced(sign)


@given(st.lists(text, min_size=20, max_size=40))
def test_a_long_text_has_the_form_of_its_words(texts: list[str]) -> None:
    assert normal(" ".join(texts)) == " ".join(filter(None, map(normal, texts)))


@given(st.integers(1, 40), st.sampled_from(["e\u0301", "ｶﾞ", "\u1112\u1161\u11ab", "ก\u0e33", "a\u200b\u0323", "A  ｂ"]))
def test_letters_of_several_signs_stay_whole_in_a_long_text(shift: int, letter: str) -> None:
    assert normal("杀" * shift + letter * 300) == "杀" * shift + normal(letter) * 300


@pytest.mark.parametrize("sign", ["\u0301\u0323", "ﷺ", "a \u200b"])
def test_other_threads_run_while_the_form_of_a_long_text_is_made(sign: str) -> None:
    started = process_time()

    normal("a" + sign * 30_000)

    assert process_time() - started < 2, "marks that are sorted all at once would take seconds"
