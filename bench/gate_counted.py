"""A module whose calls are counted: `python -m bench.gate_counted FILE MODULE …`. SIGUSR1 writes how many into the file."""

import gc
import runpy
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

CALLS = ("call", "c_call")


def main(file: Path, module: str) -> None:
    gc.disable()  # when it runs depends on more than the requests
    count = 0

    def called(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal count
        if event in CALLS:
            count += 1

    def tell(number: int, frame: FrameType | None) -> None:
        sys.setprofile(None)
        being = file.with_suffix(".new")
        being.write_text(str(count))
        being.rename(file)
        sys.setprofile(called)

    signal.signal(signal.SIGUSR1, tell)
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    told, name = sys.argv[1:3]
    del sys.argv[1:3]
    main(Path(told), name)
