"""The scripted brain: the same question has the same answer, and the answer does what the question asks for."""

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.brain.scripted import Scripted, fill, names, pieces, script
from providers.base import Json
from providers.simulation import Answer, Ask, Call, End, Message, Text, Thought, Tool, count, whole

WEATHER = Tool("get_weather", "Weather of a city", {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]})
TIME = Tool("get_time", "Current time in a zone", {"type": "object", "properties": {"zone": {"type": "string"}}})


def answer(text: str, **more: Any) -> Answer:
    return asyncio.run(whole(Scripted(), Ask((Message("user", text),), **more)))


def called(text: str, **more: Any) -> list[tuple[str, Any]]:
    return [(call.name, json.loads(call.arguments)) for call in answer(text, tools=(WEATHER, TIME), **more).calls]


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ("Say hello", "hello"),
        ('Please say exactly: "one two"', "one two"),
        ("Reply with: yes", "yes"),
        ("Answer with the word", "the word"),
        ("Count to 5", "1 2 3 4 5"),
        ("Count from 1 to 3", "1 2 3"),
    ],
)
def test_an_order_is_obeyed(question: str, said: str) -> None:
    assert answer(question).text == said


def test_another_question_is_quoted() -> None:
    assert "You asked: Why?" in answer("Why?").text


def test_the_same_question_has_the_same_answer_and_another_index_another() -> None:
    assert answer("Why?") == answer("Why?")
    assert answer("Why?").text != answer("Why?", index=1).text


def test_a_stop_word_ends_the_answer_before_it() -> None:
    told = answer("Count to 9", stop=("7", "5"))

    assert (told.text, told.end.reason) == ("1 2 3 4 ", "stop")


def test_the_token_limit_ends_the_answer() -> None:
    told = answer("Count to 9", most=3)

    assert (told.text, told.end.reason, told.end.completion) == ("1 2 3", "length", 3)


def test_thinking_comes_first_and_is_billed() -> None:
    told = answer("Say hi", think=True)

    assert told.thought.startswith("The question is: Say hi")
    assert told.end.reasoning == count(told.thought) > 0
    assert told.end.completion == told.end.reasoning + 1


@pytest.mark.parametrize(
    ("question", "more", "calls"),
    [
        ('Weather in "Paris"?', {}, [("get_weather", {"city": "Paris"})]),
        ('What is it in "Paris"?', {"choice": "get_time"}, [("get_time", {"zone": "Paris"})]),
        ("Use get_time please", {}, [("get_time", {"zone": "zone"})]),
        ('Weather in "Paris" and "Rome"?', {}, [("get_weather", {"city": "Paris"}), ("get_weather", {"city": "Rome"})]),
        ('Weather in "Paris" and "Rome"?', {"parallel": False}, [("get_weather", {"city": "Paris"})]),
        ("Weather?", {"choice": "none"}, []),
    ],
)
def test_tools_are_called_as_the_question_asks(question: str, more: Any, calls: list[tuple[str, Any]]) -> None:
    assert called(question, **more) == calls


def test_results_of_tools_are_told_and_not_asked_for_again() -> None:
    turns = (
        Message("user", "Weather?"),
        Message("assistant", calls=(Call("a", "get_weather", "{}"),)),
        Message("tool", "sunny", call_id="a"),
    )

    told = asyncio.run(whole(Scripted(), Ask(turns, tools=(WEATHER,))))

    assert (told.text, told.calls) == ("The tools say: sunny.", ())


def test_calls_at_once_have_ids_of_their_own() -> None:
    ids = [call.id for call in answer('Weather in "Paris" and "Rome"?', tools=(WEATHER,)).calls]

    assert len(set(ids)) == 2


@given(st.text(max_size=40))
def test_pieces_make_up_the_text_again(text: str) -> None:
    assert "".join(pieces(text)) == text


@given(st.text(max_size=40), st.none() | st.integers(1, 9), st.lists(st.text(min_size=1, max_size=3), max_size=2), st.booleans())
def test_every_answer_ends_once_and_within_its_limit(text: str, most: int | None, stop: list[str], think: bool) -> None:
    told = list(script(Ask((Message("user", text),), most=most, stop=tuple(stop), think=think)))

    assert [isinstance(piece, End) for piece in told] == [False] * (len(told) - 1) + [True]
    end = told[-1]
    assert isinstance(end, End)
    words = "".join(piece.text for piece in told if isinstance(piece, Text))
    thought = "".join(piece.text for piece in told if isinstance(piece, Thought))
    assert end.completion == count(words) + count(thought)
    assert most is None or count(words) <= most
    assert not any(one in words for one in stop)


SCHEMAS: dict[str, tuple[Json, str, Any]] = {
    "an-object": (
        {"type": "object", "properties": {"city": {"type": "string"}, "n": {"type": "integer"}}},
        '"Oslo" 7',
        {"city": "Oslo", "n": 7},
    ),
    "an-enum": ({"enum": ["red", "blue"]}, "is it Blue?", "blue"),
    "a-constant": ({"const": 5}, "", 5),
    "bounds": ({"type": "integer", "minimum": 10, "maximum": 20}, "7", 10),
    "a-reference": ({"$ref": "#/$defs/a", "$defs": {"a": {"type": "boolean"}}}, "", True),
    "a-union": ({"anyOf": [{"type": "null"}, {"type": "boolean"}]}, "", True),
    "several": (
        {"allOf": [{"type": "object", "properties": {"a": {"const": 1}}}, {"properties": {"b": {"const": 2}}}]},
        "",
        {"a": 1, "b": 2},
    ),
    "a-list": ({"type": "array", "items": {"type": "boolean"}, "minItems": 2}, "", [True, True]),
    "types": ({"type": ["null", "boolean"]}, "", True),
    "lengths": ({"type": "string", "minLength": 3, "maxLength": 4}, '"a"', "axx"),
    "nothing": ({"type": "null"}, "", None),
}


@pytest.mark.parametrize("case", SCHEMAS)
def test_a_schema_is_filled(case: str) -> None:
    schema, question, value = SCHEMAS[case]

    assert fill(schema, question) == value


def test_a_schema_that_refers_to_itself_is_filled_too() -> None:
    node: Json = {"type": "object", "properties": {"next": {"$ref": "#"}, "v": {"type": "integer"}}, "required": ["v"]}

    assert fill(node, "")["next"]["v"] == 1


@pytest.mark.parametrize(
    ("question", "found"),
    [
        ('"a b" and “c”', ["a b", "c"]),
        ("What is the weather in New York and Paris?", ["New York", "Paris"]),
        ("北京的天气", ["北京"]),
        ("nothing here", []),
    ],
)
def test_names_in_a_question(question: str, found: list[str]) -> None:
    assert names(question) == found
