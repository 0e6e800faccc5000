"""Load in a closed loop, by wrk: so many connections that each ask again at once. What a request costs is told by the server's CPU time."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from bench.progress import over, tell
from bench.servers import Failed, cpu, pinned
from bench.subjects import Server

CONNECTIONS = 64
WARM = 3
"""Seconds: some do not answer at all within the first."""
MOST_WARM = 30
"""Times."""
SCRIPT = """
local requests = {}
local number = tonumber(os.getenv("BENCH_FROM"))
local file = io.open("%s", "rb")
while true do
  local length = file:read("*n", "*l")
  if not length then break end
  requests[#requests + 1] = file:read(length)
end
request = function()
  number = number %% #requests + 1
  return requests[number]
end
done = function(summary, latency, requests)
  local e = summary.errors
  io.write("COUNT ", summary.requests, " ", e.connect + e.read + e.write + e.status + e.timeout, " ", summary.duration, "\\n")
end
"""


class Cost(Struct, frozen=True):
    """Of a request."""

    cpu: float
    """Microseconds."""
    rate: float
    """Requests a second, of all cores together."""
    requests: int
    """That it was measured on."""


class Load(Struct):
    """Requests that a server is asked, in turn: each run goes on where the one before has ended."""

    server: Server
    script: Path
    variety: int = 1
    """How many they are."""
    connections: int = CONNECTIONS
    beside: Server | None = None
    """Another that takes the same requests at the same time: a replica."""
    asked: int = 0

    def warm(self) -> float:
        """Until each request has been asked once, if that is not too long; what one cost, in microseconds."""
        costs: list[Cost] = []
        while not costs or (sum(one.requests for one in costs) < self.variety and len(costs) < MOST_WARM):
            costs.append(self.cost(WARM))
        return sum(one.cpu * one.requests for one in costs) / sum(one.requests for one in costs)

    def cost(self, seconds: float) -> Cost:
        servers = [self.server, *([self.beside] if self.beside else [])]
        share = self.connections // len(servers)
        wrk = ["wrk", "-t1", f"-c{share}", f"-d{max(1, round(seconds))}s", "--timeout", "20s", "-s", str(self.script)]
        before = sum(cpu(one.pid) for one in servers)
        with pinned(0):
            running = [
                subprocess.Popen(
                    [*wrk, f"http://127.0.0.1:{one.port}/v1/chat/completions"],
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    env={**os.environ, "BENCH_FROM": str(self.asked)},
                )
                for one in servers
            ]
        said = [one.communicate()[0] for one in running]
        spent = sum(cpu(one.pid) for one in servers) - before
        counts = [re.search(r"COUNT (\d+) (\d+) (\d+)", words) for words in said]
        if not all(found and found[2] == "0" and found[1] != "0" for found in counts):
            raise Failed(f"the load on {self.server.name} did not go through:\n{''.join(said)}")
        done = [(int(found[1]), int(found[3])) for found in counts if found]
        requests = sum(number for number, _ in done)
        self.asked += requests
        return Cost(spent / requests * 1e6, sum(number / duration * 1e6 for number, duration in done), requests)


def load(folder: Path, server: Server, requests: Sequence[bytes], connections: int = CONNECTIONS, beside: Server | None = None) -> Load:
    """wrk reads the requests from a file, each after its length."""
    folder = folder / f"load-{server.port}-{len(requests)}-{len(requests[0])}"
    folder.mkdir(exist_ok=True)
    (folder / "requests").write_bytes(b"".join(b"%d\n%s\n" % (len(one), one) for one in requests))
    script = folder / "load.lua"
    script.write_text(SCRIPT % (folder / "requests"))
    return Load(server, script, len(requests), connections, beside)


class Found(Struct):
    """What a request costs under a load."""

    costs: list[Cost]
    """Round by round."""
    first: float = 0.0
    """Microseconds of CPU, while each request was asked for the first time."""

    @property
    def cpu(self) -> list[float]:
        return [one.cpu for one in self.costs]

    @property
    def rate(self) -> list[float]:
        return [one.rate for one in self.costs]


def in_turns(what: str, loads: Sequence[Load], rounds: int, seconds: float) -> list[Found]:
    """All are measured in every round, so that a busy minute is everybody's. Nothing for a server that fails."""
    found = [Found([]) for _ in loads]
    well = dict(enumerate(loads))
    for turn in range(rounds + 1):
        tell(f"{what}: round {turn} of {rounds}" if turn else f"{what}: to warm up")
        for number, one in tuple(well.items()):
            try:
                if turn:
                    found[number].costs.append(one.cost(seconds))
                else:
                    found[number].first = one.warm()
            except Failed as exc:
                over()
                print(exc, file=sys.stderr)
                del well[number]
                found[number].costs.clear()
    return found


def missing() -> str:
    """What has to be installed first, if anything."""
    if sys.platform != "linux":
        return "the benchmarks need Linux: they read CPU time and memory from /proc"
    if shutil.which("wrk") is None:
        return "the benchmarks need wrk: apt-get install wrk"
    return ""
