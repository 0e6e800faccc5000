"""rules.yaml has a test for every rule, and a rule for every test."""

import ast
from functools import cache
from pathlib import Path

import yaml

HERE = Path(__file__).parent
RULES: dict[str, dict[str, list[str]]] = yaml.safe_load((HERE / "rules.yaml").read_text())
NAMED = {name for rules in RULES.values() for names in rules.values() for name in names}


@cache
def names_in(path: Path) -> frozenset[str]:
    tree = ast.parse(path.read_text())
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"))


def test_every_rule_has_tests_that_exist() -> None:
    missing = []
    for name in NAMED:
        file, _, test = name.partition("::")
        path = (HERE if "/" not in file else HERE.parent) / file
        if not path.exists() or (test and test not in names_in(path)):
            missing.append(name)

    assert missing == []
    assert all(names for rules in RULES.values() for names in rules.values())


def test_every_test_of_the_battery_stands_for_a_rule() -> None:
    ours = {f"{path.name}::{test}" for path in HERE.glob("test_*.py") if path.name != Path(__file__).name for test in names_in(path)}

    assert ours - NAMED == set()


def test_every_timer_and_limit_of_the_rules_is_a_group() -> None:
    assert set(RULES) == {
        "timers", "commit", "after the commit", "retries", "fallback", "breaker", "errors", "client leaves", "backpressure", "limits",
    }  # fmt: skip
