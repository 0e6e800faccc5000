"""A judge that is not there fails the tests that need it, and says how to get it: a test that is skipped proves nothing."""

from pathlib import Path

import pytest

from tests.journeys import judges
from tests.journeys.judges import CLIENTS, judge, node, node_command
from tests.journeys.processes import ROOT, Failed, banjia


def test_a_judge_that_is_not_installed() -> None:
    with pytest.raises(Failed, match=r"make \.judges/openai-2020/\.installed.*make test"):
        judge("openai-2020", {})


def test_node_that_is_not_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(judges, "CLIENTS", tmp_path)
    with pytest.raises(Failed, match=r"make tests/clients/node/node_modules/\.installed"):
        node("openai.mjs", {})

    monkeypatch.setattr(judges, "ROOT", tmp_path)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(Failed, match=r"make \.judges/node/\.installed"):
        node_command()


def test_every_judge_that_is_locked_has_a_script() -> None:
    locked = {path.stem for path in (ROOT / "requirements" / "judges").glob("*.in")}
    scripts = {path.stem for path in CLIENTS.glob("[a-z]*.py")}

    assert {name.replace("-", "_").replace(".", "_") for name in locked - {"node"}} == scripts


def test_a_command_that_does_not_serve_is_told_with_its_words(tmp_path: Path) -> None:
    with pytest.raises(Failed, match=r"ended before it served: .*gateway\.yaml"), banjia("serve", "--config", str(tmp_path)):
        pass
