"""`make bench`: one table of what a request costs, the floor's and ours measured in turns in the same run.

CPU time is that of the whole process under test, from /proc, over the requests that wrk counted. Trust the ratios: the machine is shared.
"""

import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from os import sysconf
from pathlib import Path
from statistics import median

ROUNDS = 5
SECONDS = 4
CONNECTIONS = 64
TICK = sysconf("SC_CLK_TCK")
BODY = '{"model":"gpt-4o","messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"Say fifty words, please."}]%s}'
LUA = """
wrk.method = "POST"
wrk.body = [[%s]]
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Bearer sk-bench"
done = function(summary, latency, requests)
  local e = summary.errors
  io.write("COUNT ", summary.requests, " ", e.connect + e.read + e.write + e.status + e.timeout, "\\n")
end
"""
GATEWAY = """
schema: banjia/v1
server: {port: %d}
storage: {url: "sqlite:///%s/usage.db"}
providers:
  bench: {vendor: openai_compatible, jurisdiction: on-premises, base_url: "%s"}
models: {gpt-4o: bench/constant}
"""
TEAM = """
schema: banjia/team.v1
team: bench
keys: [{name: bench, key: sk-bench}]
limits: {rpm: 1G, tpm: 1000G, concurrent: 100000}
"""


def main() -> int:
    if shutil.which("wrk") is None:
        print("make bench needs wrk: install it (Debian, Ubuntu: apt-get install wrk; macOS: brew install wrk)", file=sys.stderr)
        return 2
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        upstream, floor, ours = free_ports(3)
        base = f"http://127.0.0.1:{upstream}"
        stack.enter_context(running("bench.upstream", str(upstream), port=upstream))
        floor_pid = stack.enter_context(running("bench.floor", str(floor), base, port=floor))
        (folder / "teams").mkdir()
        (folder / "gateway.yaml").write_text(GATEWAY % (ours, folder, f"{base}/v1"))
        (folder / "teams" / "bench.yaml").write_text(TEAM)
        started = time.perf_counter()
        ours_pid = stack.enter_context(running("gateway.cli", "serve", "--config", str(folder), port=ours))
        ready = time.perf_counter() - started
        time.sleep(5)  # jobs are loaded when it serves already
        idle = memory(ours_pid)
        table: list[tuple[str, float, float]] = []
        for name, more in (("plain request", ""), ("stream of 50 events", ',"stream":true')):
            script = folder / f"{len(more)}.lua"
            script.write_text(LUA % (BODY % more))
            costs = compare(name, script, (floor, floor_pid), (ours, ours_pid))
            table.append((name, *costs))
        report(table, idle, memory(ours_pid), ready)
    return 0


def compare(name: str, script: Path, *servers: tuple[int, int]) -> tuple[float, float]:
    """µs of CPU per request for the floor and for ours, the median of rounds taken in turns."""
    costs: list[list[float]] = [[] for _ in servers]
    for port, pid in servers:
        cost(script, port, pid, 1)  # to warm up
    for number in range(ROUNDS):
        print(f"\r{name}: round {number + 1} of {ROUNDS} ", end="", file=sys.stderr, flush=True)
        for (port, pid), found in zip(servers, costs, strict=True):
            found.append(cost(script, port, pid, SECONDS))
    print("\r" + " " * 60 + "\r", end="", file=sys.stderr)
    return median(costs[0]), median(costs[1])


def cost(script: Path, port: int, pid: int, seconds: int) -> float:
    before = cpu(pid)
    out = subprocess.run(
        ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "-s", str(script), f"http://127.0.0.1:{port}/v1/chat/completions"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    spent = cpu(pid) - before
    found = re.search(r"COUNT (\d+) (\d+)", out)
    if not found or found[2] != "0" or found[1] == "0":
        raise SystemExit(f"the load did not go through:\n{out}")
    return spent / int(found[1]) * 1e6


def cpu(pid: int) -> float:
    """Seconds of CPU that a process has used, all threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def memory(pid: int) -> float:
    """MiB resident."""
    return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1]) / 1024  # type: ignore[index]


def free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for sock in sockets:
            sock.bind(("127.0.0.1", 0))
        return [sock.getsockname()[1] for sock in sockets]


@contextmanager
def running(module: str, *arguments: str, port: int) -> Iterator[int]:
    """A module in a process of its own, once it listens; its pid."""
    process = subprocess.Popen([sys.executable, "-m", module, *arguments], stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 0.2).close()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit(f"{module} did not start") from None
                time.sleep(0.01)
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)


def report(table: list[tuple[str, float, float]], idle: float, after: float, ready: float) -> None:
    print(f"{'CPU per':24}{'floor':>12}{'banjia':>12}{'ratio':>8}")
    for name, floor, ours in table:
        print(f"{name:24}{floor:9.0f} µs{ours:9.0f} µs{ours / floor:8.2f}")
    print(f"memory: {idle:.0f} MiB idle, {after:.0f} MiB after the load · listening {ready:.2f} s after start")


if __name__ == "__main__":
    sys.exit(main())
