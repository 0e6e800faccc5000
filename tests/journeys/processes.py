"""Starts the `banjia` command as a user would, on a port of the system's choosing, and stops it again."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Condition, Thread
from time import monotonic, sleep
from typing import Any
from urllib.request import ProxyHandler, build_opener

import httpx

from tests.conftest import NO_TLS

ROOT = Path(__file__).parents[2]
ADDRESS = re.compile(r" on (http://\S+)")
KEPT = ("PATH", "HOME", "LANG", "TMPDIR", "SYSTEMROOT", "SSL_CERT_FILE")
"""Of our environment, what a command is given: no vendor's key, and no proxy."""

DIRECT = build_opener(ProxyHandler({}))


class Failed(AssertionError):
    """A command ended, or could not be understood."""


class Running:
    """A command that serves."""

    def __init__(self, process: subprocess.Popen[str], url: str, said: list[str]) -> None:
        self.process = process
        self.url = url
        self.said = said
        """What it has written to stderr; grows."""
        self._more = Condition()

    def add(self, line: str) -> None:
        with self._more:
            self.said.append(line)
            self._more.notify_all()

    def wait_for(self, words: str, timeout: float = 20) -> None:
        """Until it has said `words`."""
        with self._more:
            if not self._more.wait_for(lambda: any(words in line for line in self.said), timeout):
                raise Failed(f"it never said {words!r}: {''.join(self.said)}")


def environment(**more: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    return {**kept, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **more}


@contextmanager
def banjia(*arguments: str) -> Iterator[Running]:
    """`banjia …`, from the moment it says where it listens. It has to end cleanly when it is told to."""
    command = [sys.executable, "-m", "gateway.cli", *arguments]
    with (
        TemporaryDirectory() as folder,  # for its database, where the config names no other
        subprocess.Popen(
            command, cwd=folder, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, encoding="utf-8"
        ) as process,
    ):
        said: list[str] = []
        try:
            assert process.stderr is not None
            url = _address(process.stderr, said)
            running = Running(process, url, said)
            reader = Thread(target=lambda lines: list(map(running.add, lines)), args=(process.stderr,), daemon=True)
            reader.start()
            yield running
            process.terminate()
            ended = process.wait(timeout=20)
            reader.join(timeout=5)
        finally:
            process.kill()
    if ended != 0:
        raise Failed(f"`banjia {arguments[0]}` ended with {ended}: {''.join(said)[-3000:]}")


def _address(lines: Any, said: list[str]) -> str:
    for line in lines:
        said.append(line)
        if found := ADDRESS.search(line):
            return found[1]
    raise Failed(f"it ended before it served: {''.join(said)}")


def bill(simulators: str) -> dict[tuple[str, str, str], dict[str, int]]:
    """What is owed to the simulated vendors, by (vendor, account, model)."""
    with DIRECT.open(f"{simulators}/bill", timeout=20) as reply:
        rows = json.load(reply)
    return {(row.pop("vendor"), row.pop("account"), row.pop("model")): row for row in rows}


def owed_since(before: dict[tuple[str, str, str], dict[str, int]], simulators: str) -> dict[str, Any]:
    """What has been added to the bill, all accounts together, and for which vendor, account and model."""
    total: dict[str, int] = {}
    whose: list[tuple[str, str, str]] = []
    for row, charge in bill(simulators).items():
        more = {name: count - before.get(row, {}).get(name, 0) for name, count in charge.items()}
        if any(more.values()):
            whose.append(row)
            total = {name: total.get(name, 0) + count for name, count in more.items()}
    return {**total, "whose": whose}


def run_json(command: list[str], stdin: Any, *, path: str, environment: dict[str, str], cwd: Path = ROOT) -> Any:
    """What a script prints as JSON, given JSON. `path`: where it is found, for the message if it fails."""
    done = subprocess.run(
        command,
        cwd=cwd,
        env=environment,
        input=json.dumps(stdin),
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=150,
        check=False,
    )
    if done.returncode != 0:
        raise Failed(f"{path} ended with {done.returncode}: {done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def until_jobs_run(url: str, key: str, within: float = 30) -> None:
    """They do a moment after the gateway serves; until then what needs them is refused, for the client to come again."""
    body = {"model": "gpt-4o", "input": "Hello", "background": True}
    began = monotonic()
    with httpx.Client(base_url=url, headers={"authorization": f"Bearer {key}"}, trust_env=False, verify=NO_TLS) as client:
        while (reply := client.post("/v1/responses", json=body)).status_code == 503 and monotonic() - began < within:
            sleep(float(reply.headers["retry-after"]))
    if reply.status_code != 200:
        raise Failed(f"jobs do not run: {reply.status_code} {reply.text[:300]}")
