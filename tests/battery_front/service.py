"""`banjia serve` as a process of its own: how it is started, what it writes, what it holds, and how it ends."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Condition, Thread
from time import perf_counter
from typing import IO, Any

import httpx

from tests.conftest import KEY, NO_TLS, PATIENCE, TEAM
from tests.journeys.processes import environment

Json = dict[str, Any]
ADMIN = "the-admin-key-of-the-test"
SERVER: Json = {"pre_stop": "0s", "drain": "1s"}
HELLO: Json = {"model": "good", "messages": [{"role": "user", "content": "Hello"}]}


class Written:
    """The lines that a process writes to one of its outputs; may be waited for."""

    def __init__(self, source: IO[bytes]) -> None:
        self.lines: list[bytes] = []
        self._ended = False
        self._more = Condition()
        self._reader = Thread(target=self._read, args=(source,), daemon=True)
        self._reader.start()

    def _read(self, source: IO[bytes]) -> None:
        for line in source:
            with self._more:
                self.lines.append(line)
                self._more.notify_all()
        with self._more:
            self._ended = True
            self._more.notify_all()

    def find(self, wanted: Callable[[bytes], Any]) -> bytes:
        """The first line that is wanted, once it is there."""
        at = 0
        with self._more:
            while True:
                while at < len(self.lines):
                    if wanted(self.lines[at]):
                        return self.lines[at]
                    at += 1
                assert not self._ended, f"it ended without: {self.text()[-2000:]}"
                assert self._more.wait(PATIENCE), f"it never came: {self.text()[-2000:]}"

    def text(self) -> str:
        return b"".join(self.lines).decode()

    def all(self) -> str:
        """All of it, once the process has ended."""
        self._reader.join(PATIENCE)
        return self.text()


class Service:
    def __init__(self, process: "subprocess.Popen[bytes]", folder: Path) -> None:
        assert process.stdout is not None
        assert process.stderr is not None
        self.process = process
        self.folder = folder
        self.log = Written(process.stdout)
        """A line for each request."""
        self.said = Written(process.stderr)
        """Its own words."""
        self.url = ""
        self.client = httpx.Client(headers={"authorization": f"Bearer {KEY}"}, timeout=PATIENCE, trust_env=False, verify=NO_TLS)

    def until_ready(self) -> None:
        line = self.said.find(lambda line: b" serves on http" in line)
        found = re.search(rb"http://\S+", line)
        assert found is not None
        self.url = found[0].decode()
        self.client.base_url = self.url

    def call(self, **fields: Any) -> float:
        """Seconds that an ordinary call takes."""
        began = perf_counter()
        reply = self.client.post("/v1/chat/completions", json={**HELLO, **fields})
        assert reply.status_code == 200, reply.text
        return perf_counter() - began

    def record(self, request_id: str) -> Any:
        """What the log says of a request."""
        wanted = b'"request_id":"%s"' % request_id.encode()
        return json.loads(self.log.find(lambda line: wanted in line))

    def ready(self) -> Any:
        return self.client.get("/readyz").json()

    def reload(self) -> Any:
        reply = self.client.post("/admin/v1/reload", headers={"authorization": f"Bearer {ADMIN}"})
        assert reply.status_code == 200, reply.text
        return reply.json()

    def memory(self) -> int:
        """Bytes resident."""
        return int(re.findall(r"VmRSS:\s+(\d+)", Path(f"/proc/{self.process.pid}/status").read_text())[0]) * 1024

    def cpu(self) -> float:
        """Seconds."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def write(folder: Path, config: Json, *teams: Json) -> None:
    """The files of a config, the main one in one stroke as an editor puts it there."""
    (folder / "teams").mkdir(parents=True, exist_ok=True)
    for team in teams or (TEAM,):
        (folder / "teams" / f"{team['team']}.yaml").write_text(json.dumps(team))
    half = folder / "gateway.new"
    half.write_text(json.dumps({"schema": "banjia/v1", "admin": {"key": ADMIN}, **config}))
    half.rename(folder / "gateway.yaml")


@contextmanager
def started(folder: Path, *, port: int = 0, files: int = 0) -> Iterator[Service]:
    """`banjia serve` of a folder, whatever becomes of it; its database is beside the folder. `files`: descriptors that it may have."""
    command = [sys.executable, "-m", "gateway.cli", "serve", "--config", str(folder), "--port", str(port)]
    if files:
        command = ["/bin/sh", "-c", f'ulimit -n {files}; exec "$@"', "sh", *command]
    with subprocess.Popen(command, cwd=folder.parent, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        service = Service(process, folder)
        try:
            with service.client:
                yield service
        finally:
            process.kill()
            process.wait()
            service.log.all()
            service.said.all()


@contextmanager
def serving(folder: Path, config: Json, *teams: Json, files: int = 0) -> Iterator[Service]:
    """`banjia serve` from the moment it says where; it has to end cleanly when told to. Listens on the config's port, if that has one."""
    write(folder, config, *teams)
    with started(folder, port=config["server"].get("port", 0), files=files) as service:
        service.until_ready()
        yield service
        if service.process.poll() is None:
            service.process.terminate()
        assert service.process.wait(PATIENCE) == 0, service.said.all()[-3000:]
