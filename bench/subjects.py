"""What is measured: the floor, ours, and peers that happen to be installed. All forward the same request to the same provider."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection, HTTPException
from importlib.metadata import version
from pathlib import Path
from typing import Any

from msgspec import Struct

from bench.progress import tell
from bench.servers import KEPT, PATIENCE, Failed, free_ports, module, running
from bench.setup import KEY, MODEL, Setup, key_of, model_of, write

BODY: dict[str, Any] = {
    "model": MODEL,
    "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Say fifty words, please."}],
}
NGINX = """
daemon off; worker_processes 1; pid %(folder)s/nginx.pid; error_log stderr error;
events { worker_connections 8192; }
http {
  access_log off; client_max_body_size 32m; client_body_buffer_size 2m;
  client_body_temp_path %(folder)s; proxy_temp_path %(folder)s; fastcgi_temp_path %(folder)s;
  uwsgi_temp_path %(folder)s; scgi_temp_path %(folder)s;
  upstream provider { server %(provider)s; keepalive 64; }
  server {
    listen 127.0.0.1:%(port)d;
    location / { proxy_pass http://provider; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off; }
  }
}
"""
LITELLM = """
model_list: [{model_name: %s, litellm_params: {model: openai/constant, api_base: "%s/v1", api_key: k}}]
general_settings: {master_key: %s}
litellm_settings: {telemetry: false}
"""


class Subject(Struct, frozen=True):
    """Something that forwards requests."""

    name: str
    version: str
    command: Callable[[Path, int, str], tuple[list[str], Mapping[str, str]]]
    """Of a folder of its own, the port to listen at, and the provider's address: its command, and what its environment has more."""
    headers: Mapping[str, str] = {}
    """Of its own that requests need; `{provider}` stands for the provider's address."""
    setup: Setup = Setup()
    cores: int = 1


class Server(Struct, frozen=True):
    """A subject that runs."""

    subject: Subject
    pid: int
    port: int
    ready: float
    """Seconds from its start to its first answer."""
    head: str
    """Headers that requests to it have."""

    @property
    def name(self) -> str:
        return self.subject.name

    def request(self, *, stream: bool = False, fill: int = 0, number: int = 0) -> bytes:
        """A whole request, of the key and the model of that number. `fill`: bytes that its prompt has more."""
        setup = self.subject.setup
        body = {**BODY, "model": model_of(number % setup.routes, setup)}
        if fill:
            body["messages"] = [*BODY["messages"], {"role": "user", "content": prose(fill)}]
        if stream:
            body["stream"] = True
        raw = json.dumps(body, separators=(",", ":")).encode()
        key = key_of((number + number // setup.routes) % (setup.teams * setup.keys), setup)
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1:{self.port}\r\nauthorization: Bearer {key}\r\n"
            f"content-type: application/json\r\n{self.head}content-length: {len(raw)}\r\n\r\n"
        )
        return head.encode() + raw


def prose(size: int) -> str:
    """Text with what JSON escapes in it now and then, as code and letters have."""
    line = 'It said "moving house" and meant it; nothing was lost on the way.\n'
    return (line * (size // len(line) + 1))[:size]


@contextmanager
def served(subject: Subject, folder: Path, provider: str) -> Iterator[Server]:
    """It runs, and has answered a request."""
    (port,) = free_ports(1)
    own = folder / f"{subject.name.replace(' ', '-')}-{port}"
    own.mkdir()
    command, environment = subject.command(own, port, provider)
    head = "".join(f"{name}: {value.format(provider=provider)}\r\n" for name, value in subject.headers.items())
    began = time.perf_counter()
    with running(command, port, tested=subject.cores, environment=environment) as pid:
        server = Server(subject, pid, port, 0.0, head)
        answered(server)
        yield Server(subject, pid, port, time.perf_counter() - began, head)


@contextmanager
def all_served(folder: Path, subjects: Sequence[Subject], port: int, *, every: bool = True) -> Iterator[list[Server]]:
    """By the provider at that port. Unless `every` one is needed, who does not start is told of and left out."""
    with ExitStack() as stack:
        servers: list[Server] = []
        for one in subjects:
            tell(f"starting {one.name}")
            try:
                servers.append(stack.enter_context(served(one, folder, f"http://127.0.0.1:{port}")))
            except Failed as exc:
                if every:
                    raise
                tell(str(exc))
        yield servers


def answered(server: Server) -> None:
    raw = server.request()
    head, _, body = raw.partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
    said = ""
    began = time.monotonic()
    while time.monotonic() - began < PATIENCE:
        try:
            connection = HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
            connection.request("POST", "/v1/chat/completions", body, headers)
            reply = connection.getresponse()
            said = f"{reply.status}: {reply.read()[:500]!r}"
            connection.close()
            if reply.status == 200 and "word word" in said:
                return
        except (OSError, HTTPException) as exc:
            said = str(exc)
        time.sleep(0.01)
    raise Failed(f"{server.name} does not serve: {said}")


def floor() -> Subject:
    return Subject("floor", f"uvicorn {version('uvicorn')}, aiohttp {version('aiohttp')}", lambda _, port, provider: (
        module("bench.floor", str(port), provider), {})
    )  # fmt: skip


def ours(setup: Setup = Setup(), *, name: str = "banjia", workers: int = 1) -> Subject:  # noqa: B008 - frozen
    def command(folder: Path, port: int, provider: str) -> tuple[list[str], Mapping[str, str]]:
        config = write(folder / "config", f"{provider}/v1", setup)
        return module("gateway.cli", "serve", "--config", str(config), "--port", str(port), "--workers", str(workers)), {}

    return Subject(name, version("banjia"), command, setup=setup, cores=workers)


def peers() -> list[Subject]:
    """Those that are installed, as `bench --help` says."""
    return [peer for find in (nginx, portkey, litellm) if (peer := find()) is not None]


def nginx() -> Subject | None:
    program = os.environ.get("BENCH_NGINX") or shutil.which("nginx")
    if not program:
        return None

    def command(folder: Path, port: int, provider: str) -> tuple[list[str], Mapping[str, str]]:
        conf = folder / "nginx.conf"
        location = f"{provider.removeprefix('http://')}"
        conf.write_text(NGINX % {"folder": folder, "port": port, "provider": location})
        return [program, "-c", str(conf), "-p", str(folder)], {}

    said = subprocess.run([program, "-v"], capture_output=True, text=True, check=True).stderr
    return Subject("nginx", said.rpartition("/")[2].strip(), command)


def portkey() -> Subject | None:
    """Its own program is called `gateway`, as others' may be: so one from PATH has to be its own."""
    program = os.environ.get("BENCH_PORTKEY") or shutil.which("gateway")
    if not program or "@portkey-ai" not in (path := os.path.realpath(program)):
        return None
    package = json.loads((Path(path).parents[1] / "package.json").read_text())
    headers = {"x-portkey-provider": "openai", "x-portkey-custom-host": "{provider}/v1"}

    def command(folder: Path, port: int, provider: str) -> tuple[list[str], Mapping[str, str]]:
        return ["node", path, f"--port={port}", "--headless"], {"NODE_ENV": "production", "TRUSTED_CUSTOM_HOSTS": "127.0.0.1,localhost"}

    return Subject("portkey", package["version"], command, headers)


def litellm() -> Subject | None:
    program = os.environ.get("BENCH_LITELLM") or shutil.which("litellm")
    if not program:
        return None

    def command(folder: Path, port: int, provider: str) -> tuple[list[str], Mapping[str, str]]:
        config = folder / "litellm.yaml"
        config.write_text(LITELLM % (MODEL, provider, KEY))
        words = ["--config", str(config), "--host", "127.0.0.1", "--port", str(port), "--num_workers", "1"]
        return [program, *words], {"LITELLM_MODE": "PRODUCTION", "LITELLM_LOG": "ERROR", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}

    python = next(
        (one for one in (Path(program).with_name("python"), Path(program).resolve().with_name("python")) if one.exists()), sys.executable
    )
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    script = "from importlib.metadata import version; print(version('litellm'))"
    said = subprocess.run([str(python), "-c", script], capture_output=True, text=True, check=False, env=kept).stdout
    return Subject("litellm", said.strip() or "?", command)


def direct(port: int) -> Server:
    """The provider itself, asked by nobody in between."""
    return Server(Subject("provider", "", lambda _, port, provider: ([], {})), 0, port, 0.0, "")
