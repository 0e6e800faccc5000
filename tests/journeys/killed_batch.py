"""A batch on a gateway that is killed with SIGKILL while it works on it, and started again.

python -m tests.journeys.killed_batch LINES KILLS    prints what came of it
"""

import json
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
from msgspec import Struct

from providers.base import Json
from tests.conftest import KEY, NO_TLS, PATIENCE, TEAM
from tests.journeys.processes import ADDRESS, ROOT, banjia, bill, environment

OVER = ("completed", "failed", "expired", "cancelled")


class Outcome(Struct):
    """What is there when all is over."""

    batch: Json
    answered: Counter[str]
    """How often each custom_id is in the output."""
    rows: Counter[str]
    """How often each request is in the table of usage, those alone that were answered."""
    billed: int
    """Requests that the vendor has answered."""
    starts: list[float]
    """Seconds from each start to the first line after it."""
    seconds: float


class Gateway:
    """`banjia serve`, again and again over the same folder."""

    def __init__(self, folder: Path, simulators: str, lines: int) -> None:
        account: Json = {"vendor": "zhipu", "jurisdiction": "cn-mainland", "base_url": f"{simulators}/zhipu", "api_key": "id.secret"}
        self.database = folder / "usage.db"
        told = {
            "schema": "banjia/v1",
            "server": {"pre_stop": "0s", "drain": "2s", "log": "errors"},
            "storage": {"url": f"sqlite:///{self.database}", "journal": str(folder / "journal")},
            "files": {"url": f"file:///{folder}/files", "batch_lines": lines},
            "providers": {"z": account},
            "models": {"m": "z/glm-5.2"},
        }
        (folder / "config" / "teams").mkdir(parents=True)
        (folder / "config" / "gateway.yaml").write_text(json.dumps(told))
        (folder / "config" / "teams" / "red.yaml").write_text(json.dumps(TEAM))
        self.command = [sys.executable, "-m", "gateway.cli", "serve", "--config", str(folder / "config"), "--port", "0"]
        self.process: subprocess.Popen[str] | None = None
        self.client = httpx.Client()

    def start(self) -> None:
        self.process = subprocess.Popen(
            self.command, cwd=ROOT, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, encoding="utf-8"
        )
        assert self.process.stderr is not None
        found = next(match for line in self.process.stderr if (match := ADDRESS.search(line)))
        headers = {"authorization": f"Bearer {KEY}"}
        self.client = httpx.Client(base_url=f"{found[1]}/v1", headers=headers, trust_env=False, verify=NO_TLS, timeout=PATIENCE)

    def end(self, how: signal.Signals) -> None:
        assert self.process is not None
        self.client.close()
        self.process.send_signal(how)
        self.process.wait(PATIENCE)
        if self.process.stderr is not None:
            self.process.stderr.close()


def survived(
    folder: Path, simulators: str, *, lines: int, kills: int, at_once: int = 16, patience: float = 60, how: signal.Signals = signal.SIGKILL
) -> Outcome:
    """Kills it when about equal parts of the lines have been answered."""
    gateway = Gateway(folder, simulators, at_once)
    before, began = asked(simulators), time.monotonic()
    starts = []
    gateway.start()
    try:
        batch = begun(gateway.client, lines)
        for number in range(1, kills + 1):
            started, had = time.monotonic(), asked(simulators)
            until(lambda had=had: asked(simulators) > had, patience)
            starts.append(time.monotonic() - started)
            until(lambda number=number: asked(simulators) - before >= lines * number // (kills + 1), patience)
            gateway.end(how)
            gateway.start()
        until(lambda: gateway.client.get(f"/batches/{batch}").json()["status"] in OVER, patience)
        told: Json = gateway.client.get(f"/batches/{batch}").json()
        output = gateway.client.get(f"/files/{told['output_file_id']}/content").text
        answered = Counter(json.loads(line)["custom_id"] for line in output.splitlines())
    finally:
        gateway.end(signal.SIGTERM)
    with sqlite3.connect(gateway.database) as database:
        rows = Counter(name for (name,) in database.execute("SELECT request_id FROM usage WHERE kind = 'ok'"))
    return Outcome(told, answered, rows, asked(simulators) - before, starts, time.monotonic() - began)


def begun(client: httpx.Client, lines: int) -> str:
    data = "".join(
        json.dumps(
            {
                "custom_id": f"line-{number}",
                "method": "POST",
                "url": "/v1/chat/completions",
                "body": {"model": "m", "messages": [{"role": "user", "content": f"Hello {number}"}]},
            }
        )
        + "\n"
        for number in range(lines)
    )
    file = client.post("/files", data={"purpose": "batch"}, files={"file": ("lines.jsonl", data.encode())}).json()["id"]
    asked = {"input_file_id": file, "endpoint": "/v1/chat/completions", "completion_window": "24h"}
    id: str = client.post("/batches", json=asked).json()["id"]
    return id


def asked(simulators: str) -> int:
    return sum(row["requests"] for row in bill(simulators).values())


def until(holds: Any, patience: float) -> None:
    end = time.monotonic() + patience
    while not holds():
        if time.monotonic() > end:
            raise AssertionError(f"not within {patience:g} s")
        time.sleep(0.01)


def main(lines: int, kills: int) -> None:
    with TemporaryDirectory() as folder, banjia("simulate", "--port", "0") as simulators:
        it = survived(Path(folder), simulators.url, lines=lines, kills=kills, patience=600)
        once = sum(count == 1 for count in it.answered.values())
        print(f"{it.batch['status']}, {it.batch['request_counts']}, in {it.seconds:.1f} s with {kills} kills")  # noqa: T201
        print(f"lines that are in the output once: {once} of {lines}, more often: {len(it.answered) - once}")  # noqa: T201
        print(f"rows of usage: {it.rows.total()} of {len(it.rows)} requests; the vendor answered {it.billed} requests")  # noqa: T201
        print(f"seconds from the start to the first line: {', '.join(f'{one:.1f}' for one in it.starts)}")  # noqa: T201


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
