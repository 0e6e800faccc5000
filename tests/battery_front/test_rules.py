"""rules.yaml has a test for every rule, and a rule for every test."""

import ast
from pathlib import Path

import yaml

HERE = Path(__file__).parent
RULES: dict[str, dict[str, list[str]]] = yaml.safe_load((HERE / "rules.yaml").read_text())
NAMED = {name for rules in RULES.values() for names in rules.values() for name in names}
TESTS = {
    f"{path.name}::{node.name}"
    for path in HERE.glob("test_*.py")
    if path.name != Path(__file__).name
    for node in ast.parse(path.read_text()).body
    if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
}


def test_every_rule_has_tests_that_exist() -> None:
    assert NAMED <= TESTS
    assert all(names for rules in RULES.values() for names in rules.values())


def test_every_test_of_the_battery_stands_for_a_rule() -> None:
    assert TESTS <= NAMED
