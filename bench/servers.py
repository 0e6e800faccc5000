"""Processes under test: started on a core of their own, and read by what Linux tells of them in /proc."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")
CORES = sorted(os.sched_getaffinity(0))
KEPT = ("PATH", "HOME", "LANG", "TMPDIR")
"""Of our environment, what a server is given: nobody's key, and no proxy."""
PATIENCE = 120.0
"""Seconds that a server may take to listen."""
LEAVE = 10.0
"""Seconds that it may take to end, before it is killed."""


class Failed(Exception):
    """Something could not be measured, and why."""


def module(name: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", name, *arguments]


@contextmanager
def running(command: Sequence[str], port: int, *, tested: int = 0, environment: Mapping[str, str] | None = None) -> Iterator[int]:
    """A command from when it listens until it is over; its pid. `tested`: how many cores it has for itself, the rest of the machine has the
    others; 0: it is of the rest."""
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    with ExitStack() as stack:
        said = stack.enter_context(tempfile.TemporaryFile())
        with pinned(tested):
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=said, env={**kept, **(environment or {})}
            )
        stack.callback(end, process, signal.SIGINT if tested else signal.SIGTERM)  # by hand, as it were: it waits for no balancer
        began = time.monotonic()
        while not listens(port):
            if process.poll() is not None or time.monotonic() - began > PATIENCE:
                said.seek(0)
                words = said.read().decode(errors="replace")[-2000:]
                raise Failed(f"{' '.join(command[:4])} did not listen within {PATIENCE:.0f} s:\n{words}")
            time.sleep(0.005)
        yield process.pid


def end(process: subprocess.Popen[bytes], number: int) -> None:
    """Whatever it takes."""
    process.send_signal(number)
    try:
        process.wait(LEAVE)
    except subprocess.TimeoutExpired:
        for pid in tree(process.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()


@contextmanager
def pinned(tested: int) -> Iterator[None]:
    """What is started within runs on the first cores, as many as are tested, or for 0 on those after the first."""
    if len(CORES) < 2:
        yield
        return
    os.sched_setaffinity(0, CORES[:tested] if tested else CORES[1:])
    try:
        yield
    finally:
        os.sched_setaffinity(0, CORES)


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 0.2).close()
    except OSError:
        return False
    return True


def tree(pid: int) -> list[int]:
    """A process and those it has started."""
    found = [pid]
    for one in found:
        with suppress(OSError):
            for task in Path(f"/proc/{one}/task").iterdir():
                found += map(int, (task / "children").read_text().split())
    return found


def cpu(pid: int) -> float:
    """Seconds of CPU that a process and those it has started have used, all threads."""
    return sum(_cpu(one) for one in tree(pid))


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def memory(pid: int) -> float:
    """MiB resident, of a process and those it has started."""
    pages = sum(int(Path(f"/proc/{one}/statm").read_text().split()[1]) for one in tree(pid))
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for sock in sockets:
            sock.bind(("127.0.0.1", 0))
        return [sock.getsockname()[1] for sock in sockets]


def machine() -> str:
    """What it is measured on, in a line."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), os.uname().machine)
    total = int(Path("/proc/meminfo").read_text().split()[1]) / 2**20
    python = ".".join(map(str, sys.version_info[:3]))
    return f"{len(CORES)} cores of {model}, {total:.0f} GiB, Linux {os.uname().release.partition('-')[0]}, Python {python}"
