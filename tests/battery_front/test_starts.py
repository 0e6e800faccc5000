"""Starts that cannot succeed: exit code 2, soon, with one line for each problem that says where it is, no trace, and no secret."""

import re
import resource
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from msgspec import Struct

from tests.conftest import PATIENCE
from tests.journeys.processes import environment

SECRET = "sk-very-secret-0123456789"
GATEWAY = f"""\
schema: banjia/v1
providers:
  good:
    vendor: openai_compatible
    jurisdiction: cn-mainland
    base_url: http://127.0.0.1:9/v1
    api_key: {SECRET}
models:
  m: good/good
server:
  drain: 1s
"""
TEAM = f"""\
schema: banjia/team.v1
team: red
keys:
  - name: main
    key: {SECRET}-of-red
"""


class Case(Struct, frozen=True):
    """Changes of the files, and the problems that are told of them: file, line, field."""

    changes: tuple[tuple[str, str], ...]
    """Of gateway.yaml, each in place of what is there."""
    told: tuple[tuple[str, int, str], ...]
    team: str = TEAM
    more: str = ""
    """A second team's file."""


BLUE = TEAM.replace("team: red", "team: blue")
G, T = "gateway.yaml", "teams/red.yaml"
LAUGHS = "".join(f"{name}: &{name} [{', '.join([f'*{other}'] * 8)}]\n" for other, name in zip("abcdefgh", "bcdefghi", strict=True))
CASES = {
    "wrong-values-of-every-kind": Case(
        (
            ("127.0.0.1:9/v1", "//nowhere"),
            (SECRET, "${NOT_SET_ANYWHERE}"),
            ("drain: 1s", "drane: 1s\n  port: x\n  pre_stop: 1 parsec\n  max_body: -1\nadmin: {key: sk-1234}"),
            ("server:", "storage: {url: 'mysql://root:very-secret@x/y'}\nserver:"),
        ),
        (
            (G, 6, "providers.good.base_url"), (G, 7, "providers.good.api_key"), (G, 10, "storage.url"),
            (G, 12, "server.drane"), (G, 13, "server.port"), (G, 14, "server.pre_stop"), (G, 15, "server.max_body"),
            (G, 16, "admin.key"), (T, 6, "budgett"),
        ),
        team=TEAM + "budgett: 1\n",
    ),
    "what-contradicts-the-rest": Case(
        (("openai_compatible", "nobody"), ("  m: good/good", "  m: good/good\n  n: other/good")),
        ((G, 4, "providers.good.vendor"), (G, 10, "models.n"), (T, 5, "keys[0].key")),
        more=BLUE,
    ),
    "a-field-twice": Case((("drain: 1s", "drain: 1s\n  drain: 2s"),), ((G, 12, ""),)),
    "no-yaml": Case((("models:", "models: ["),), ((G, 10, ""),)),
    "aliases-without-measure": Case((("server:", "a: &a [x, x, x, x, x, x, x, x]\n" + LAUGHS + "server:"),), ((G, 0, ""),)),
}  # fmt: skip


class Ended(Struct):
    code: int
    said: str
    written: str
    cpu: float
    """Seconds: what it takes of a machine that has nothing else to do."""


def serve(folder: Path, *arguments: str) -> Ended:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-m", "gateway.cli", "serve", "--config", str(folder), "--port", "0", *arguments],
        cwd=folder.parent,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return Ended(done.returncode, done.stderr, done.stdout, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def refused(ended: Ended) -> list[str]:
    """The lines of a start that failed as it should."""
    assert ended.code == 2, ended
    assert ended.cpu < 3
    assert ended.written == ""
    assert "Traceback" not in ended.said
    assert "very-secret" not in ended.said
    return ended.said.splitlines()


def folder_of(tmp_path: Path, gateway: str, team: str, more: str = "") -> Path:
    folder = tmp_path / "config"
    (folder / "teams").mkdir(parents=True)
    (folder / "gateway.yaml").write_text(gateway)
    (folder / "teams" / "red.yaml").write_text(team)
    if more:
        (folder / "teams" / "blue.yaml").write_text(more)
    return folder


@pytest.mark.parametrize("name", CASES)
def test_a_wrong_config_is_told_by_file_line_and_field(tmp_path: Path, name: str) -> None:
    case, gateway = CASES[name], GATEWAY
    for old, new in case.changes:
        assert old in gateway
        gateway = gateway.replace(old, new, 1)

    lines = refused(serve(folder_of(tmp_path, gateway, case.team, case.more)))

    for file, number, field in case.told:
        place = re.escape(file) + (rf":{number}: " if number else r"(:\d+)?: ") + (re.escape(field) + r"\S*: " if field else "")
        assert [line for line in lines if re.match(rf"\S*{place}\S.*", line)], (place, lines)
    assert len(lines) == len(case.told), lines


@pytest.mark.parametrize("gone", ["the-folder", "its-words", "its-encoding"])
def test_a_folder_or_file_that_is_not_there_is_told(tmp_path: Path, gone: str) -> None:
    folder = folder_of(tmp_path, GATEWAY, TEAM)
    file = folder / "gateway.yaml"
    if gone == "the-folder":
        folder = tmp_path / "nowhere"
    else:
        file.write_bytes(b"" if gone == "its-words" else GATEWAY.encode("utf-16"))

    lines = refused(serve(folder))

    assert all(str(folder) in line for line in lines)
    assert lines


def test_a_port_that_is_taken_is_told(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, GATEWAY, TEAM)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        (line,) = refused(serve(folder, "--port", str(port)))

    assert f"port {port} " in line
    assert "in use" in line


@pytest.mark.parametrize("arguments", [("--host", "203.0.113.7"), ("--workers", "2")])
def test_what_cannot_be_done_as_it_is_asked_is_told(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    lines = refused(serve(folder_of(tmp_path, GATEWAY, TEAM), *arguments))

    assert lines
