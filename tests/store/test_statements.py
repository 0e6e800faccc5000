"""No statement is put together from text: values are bound, whoever they come from."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import gateway

EXECUTING = {"execute", "executemany", "executescript", "exec_driver_sql", "fetch", "fetchrow", "fetchval", "text", "literal_column"}
"""Methods and functions whose first argument is SQL; some of them exist elsewhere too, with other arguments."""


def composed(tree: ast.AST) -> Iterator[str]:
    """Calls that are given text with values in it."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        for part in ast.walk(node.args[0]) if name in EXECUTING else ():
            formatted = isinstance(part, ast.JoinedStr)
            added = isinstance(part, ast.BinOp) and isinstance(part.op, ast.Add | ast.Mod)
            if formatted or added or (isinstance(part, ast.Attribute) and part.attr in ("format", "join", "replace")):
                yield f"line {node.lineno}: {ast.unparse(node)}"


@pytest.mark.parametrize("code", ['c.execute(f"{x}")', 'c.execute("a" + x)', 'c.exec_driver_sql("%s" % x)', 'text("{}".format(x))'])
def test_a_statement_with_values_in_its_text_is_noticed(code: str) -> None:
    assert [*composed(ast.parse(code))]
    assert not [*composed(ast.parse('c.execute("SELECT 1", (x,)); c.execute(select(t).where(t.c.a == x))'))]


def test_no_statement_of_the_gateway_has_values_in_its_text() -> None:
    folder = Path(gateway.__path__[0])
    files = sorted(folder.rglob("*.py"))

    found = {str(file.relative_to(folder)): [*composed(ast.parse(file.read_text("utf-8")))] for file in files}

    assert len(files) > 50
    assert {file: calls for file, calls in found.items() if calls} == {}
