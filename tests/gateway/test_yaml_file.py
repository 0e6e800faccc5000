"""YAML: the values that were meant, the line of each, and every trouble told as one that can be mended."""

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.yaml_file import ConfigError, Document, Problem, dotted, fill_references, load_yaml, parse_yaml


def problem(text: str) -> Problem:
    with pytest.raises(ConfigError) as raised:
        parse_yaml(text, "a.yaml")
    (only,) = raised.value.problems
    return only


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: yes", "yes"),
        ("a: no", "no"),
        ("a: on", "on"),
        ("a: NO", "NO"),
        ("a: true", True),
        ("a: False", False),
        ("a: 1", 1),
        ("a: -1", -1),
        ("a: 0", 0),
        ("a: 007", "007"),
        ("a: 0x1F", "0x1F"),
        ("a: 1_000", "1_000"),
        ("a: 12:30:45", "12:30:45"),
        ("a: 1.5", 1.5),
        ("a: 1e3", 1000.0),
        ("a: .inf", ".inf"),
        ("a: 2026-12-31", "2026-12-31"),
        ("a: 2024-10-21T00:00:00Z", "2024-10-21T00:00:00Z"),
        ("a:", None),
        ("a: ~", None),
        ("a: null", None),
        ("a: '1'", "1"),
        ("a: [1, {b: c}]", [1, {"b": "c"}]),
        ("1: 2\ntrue: x", {"1": 2, "true": "x"}),
        ("gpt-4.1: x", {"gpt-4.1": "x"}),
        ("", None),
        ("# nothing", None),
    ],
)
def test_values_are_what_a_deployer_means(text: str, value: Any) -> None:
    data = parse_yaml(text, "a.yaml").data

    assert (data["a"] if text.startswith("a:") else data) == value


def test_every_value_has_its_line() -> None:
    document = parse_yaml("a: 1\nb:\n  - x\n  - {c: d,\n     e: f}\n", "a.yaml")

    assert document.lines == {(): 1, ("a",): 1, ("b",): 2, ("b", 0): 3, ("b", 1): 4, ("b", 1, "c"): 4, ("b", 1, "e"): 5}


def test_a_problem_with_what_is_not_there_is_at_the_nearest_thing_that_is() -> None:
    document = parse_yaml("a: 1\nb:\n  c: 2\n", "a.yaml")

    assert str(document.problem(("b", "missing", 0), "is missing")) == "a.yaml:2: b.missing[0]: is missing"


def test_a_place_is_written_as_people_do() -> None:
    assert dotted(("models", "gpt-4o", "serve", 0, "use")) == "models.gpt-4o.serve[0].use"
    assert dotted(()) == ""


def test_a_key_that_stands_twice_is_refused() -> None:
    assert str(problem("a: 1\nb: {c: 1, c: 2}\n")) == "a.yaml:2: b.c: stands here twice"


@pytest.mark.parametrize(
    "text",
    [
        "a: [1", "a: {b", "a: 'x", "\ta: 1", "a: b: c", "a: *unknown", "a: 1\n--- \nb: 2", "a: \0", "a: \x07", "&a [*a]", "a: &a {b: *a}",
        "a: !!int abc", "a: !!float x", "a: !!bool maybe", "a: !!timestamp soon", "a: !!binary 'é'",
        "a: !!python/object/apply:os.getpid []",
        "a: !!python/name:os.getpid", "a: !mine 1", "a: " + "9" * 5000,
        "a: " + "[" * 5000 + "]" * 5000, "? [1]\n: 2", "? {a: 1}\n: 2",
    ],
    ids=lambda text: text[:24],
)  # fmt: skip
def test_what_is_not_plain_yaml_is_one_problem_with_its_file(text: str) -> None:
    assert problem(text).file == "a.yaml"


def test_yaml_deep_enough_to_break_a_parser_is_refused() -> None:
    depth = 100_000

    assert "too" in problem("a: " + "[" * depth + "]" * depth).message


def test_a_file_that_grows_by_references_to_itself_is_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]

    assert "too large" in problem("\n".join(lines)).message


def test_one_anchor_may_be_used_many_times() -> None:
    assert parse_yaml("a: &x {b: 1}\nc: *x\nd: *x\n", "a.yaml").data == {"a": {"b": 1}, "c": {"b": 1}, "d": {"b": 1}}


@given(st.text(st.characters(codec="utf-8"), max_size=60) | st.text("{}[]:,-&*!|>'\"#%@ \n\tab1.", max_size=60))
def test_no_text_makes_the_reader_fail_otherwise_than_with_its_problems(text: str) -> None:
    with suppress(ConfigError):
        assert parse_yaml(text, "a.yaml").lines


KEYS = st.text("abc-.", min_size=1, max_size=4)
DATA = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="utf-8", exclude_categories=["C"]), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(KEYS, DATA, max_size=4))
def test_json_is_yaml_and_means_the_same(data: dict[str, Any]) -> None:
    assert parse_yaml(json.dumps(data, ensure_ascii=False), "a.yaml").data == data


# ---- files ----


def test_a_file_that_is_not_there_is_a_problem(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml: cannot be read: No such file"):
        load_yaml(tmp_path / "none.yaml")


def test_a_file_that_is_not_utf_8_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(b"a: \xff")

    with pytest.raises(ConfigError, match="it is not UTF-8"):
        load_yaml(tmp_path / "a.yaml")


def test_a_file_that_begins_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(b"\xef\xbb\xbfa: 1\n")

    assert load_yaml(tmp_path / "a.yaml").data == {"a": 1}


# ---- references ----


def filled(data: Any, **environment: str) -> tuple[Any, list[str]]:
    document = Document("a.yaml", data, {(): 1})
    problems = fill_references(document, environment)
    return document.data, [f"{found.field}: {found.message}" for found in problems]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("${A}", "1"),
        ("x${A}y${B:-b}", "x1yb"),
        ("${B:-}", ""),
        ("${EMPTY:-b}", "b"),
        ("$A", "$A"),
        ("${}", "${}"),
        ("${a b}", "${a b}"),
        ("$${A}", "$1"),
        (5, 5),
        (None, None),
        (True, True),
    ],
)
def test_references_are_filled(text: Any, value: Any) -> None:
    assert filled({"x": text}, A="1", EMPTY="") == ({"x": value}, [])


def test_what_a_reference_stands_for_is_not_looked_at_again() -> None:
    assert filled({"x": "${A}"}, A="${B}", B="secret") == ({"x": "${B}"}, [])


def test_every_reference_without_a_value_is_told_with_its_place() -> None:
    _, problems = filled({"a": {"b": ["x", "${NONE}"]}, "c": "${EMPTY}"}, EMPTY="")

    assert problems == [
        "a.b[1]: the environment variable NONE is not set: set it, or write ${NONE:-default}",
        "c: the environment variable EMPTY is not set: set it, or write ${EMPTY:-default}",
    ]


def test_a_mounted_secret_is_read_without_its_line_end(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("sk-secret\n")

    assert filled({"key": f"file:{tmp_path / 'key'}"}) == ({"key": "sk-secret"}, [])


@pytest.mark.parametrize("path", ["/nowhere/at/all", "/", "", "a\0b"])
def test_a_mounted_secret_that_cannot_be_read_is_told(path: str) -> None:
    _, problems = filled({"key": f"file:{path}"})

    assert len(problems) == 1
    assert problems[0].startswith("key: the file")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_mounted_secret_that_may_not_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("x")
    (tmp_path / "key").chmod(0)

    _, problems = filled({"key": f"file:{tmp_path / 'key'}"})

    assert problems[0].endswith("cannot be read: Permission denied")


def test_where_files_are_to_be_is_no_reference_to_a_file() -> None:
    document = Document("gateway.yaml", {"files": {"url": "file:///${WHERE}/files"}}, {})

    assert fill_references(document, {"WHERE": "var"}) == []
    assert document.data == {"files": {"url": "file:///var/files"}}
